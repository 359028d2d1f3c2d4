//! What the journal has of a request: read from the export of a gateway that has stopped, after
//! the offline check has found it sound.

use anyhow::{Context, Result};
use serde_json::Value;
use turnpike_tests::{Stage, pico};

/// The one entry that ends a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Booked {
    /// A charge, with this note.
    Captured(&'static str),
    Released,
    Expired,
}

/// All entries.
#[derive(Debug)]
pub(super) struct Journal(Vec<Value>);

impl Journal {
    /// Reads the journal of a stage whose gateway is down.
    pub(super) async fn read(stage: &Stage) -> Result<Self> {
        let folder = stage.data_folder();
        let folder = folder.to_str().context("a path")?;
        let check = stage.program(&["ledger", "check", "--data", folder]).await?;
        let report = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(check.status.success() && report.contains("sound"), "{report}");
        let export = stage.program(&["ledger", "export", "--data", folder]).await?;
        let text = String::from_utf8(export.stdout)?;
        let entries = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self(entries))
    }

    /// The events of one kind that are of this hold; `member` names it.
    fn of<'a>(&'a self, kind: &'a str, member: &'a str, id: &'a str) -> Vec<&'a Value> {
        let events = self.0.iter().filter_map(move |entry| entry["event"].get(kind));
        events.filter(|event| event[member] == id).collect()
    }

    /// That nothing was ever held.
    pub(super) fn check_untouched(&self) {
        let held = self.0.iter().filter(|entry| entry["event"].get("hold").is_some());
        assert_eq!(held.count(), 0, "{:?}", self.0);
    }

    /// What the platform bears, of all requests.
    pub(super) fn absorbed(&self) -> Result<u128> {
        let ends = ["capture", "release"].into_iter();
        let ends = ends.flat_map(|kind| self.0.iter().filter_map(move |it| it["event"].get(kind)));
        let amounts = ends.map(|end| pico(end["absorbed"].as_str().context("an amount")?));
        amounts.sum()
    }

    /// That a request was booked so and in no other way.
    pub(super) fn check(
        &self,
        id: &str,
        booked: Option<Booked>,
        paid: u128,
        absorbed: u128,
    ) -> Result<()> {
        let amount = |event: &Value, name: &str| {
            pico(event[name].as_str().with_context(|| format!("no {name} in {event}"))?)
        };
        let held = self.of("hold", "id", id);
        let mut total = 0;
        for event in &held {
            total += amount(event, "amount")?;
            let budgets = event["budgets"].as_array().map_or(0, Vec::len);
            assert!(budgets > 0, "it counts on the key's budget: {event}");
        }
        for event in self.of("extend", "hold", id) {
            total += amount(event, "extra")?;
        }
        let ends = ["capture", "release", "expire"].map(|kind| (kind, self.of(kind, "hold", id)));
        let ends: Vec<(&str, &Value)> = ends
            .into_iter()
            .flat_map(|(kind, events)| events.into_iter().map(move |event| (kind, event)))
            .collect();
        let Some(booked) = booked else {
            assert!(held.is_empty() && ends.is_empty(), "nothing was held: {held:?} {ends:?}");
            return Ok(());
        };
        assert_eq!(held.len(), 1, "one hold: {held:?}");
        let [(kind, end)] = ends.as_slice() else { panic!("one end: {ends:?}") };
        let expected = match booked {
            Booked::Captured(note) => {
                assert_eq!(end["note"], note, "{end}");
                assert_eq!(amount(end, "actual")?, paid, "{end}");
                "capture"
            }
            Booked::Released => "release",
            Booked::Expired => "expire",
        };
        assert_eq!(*kind, expected, "{end}");
        let returned = amount(end, "returned")?;
        assert_eq!(paid + returned, total, "what was held is charged or returns: {end}");
        if booked != Booked::Expired {
            assert_eq!(amount(end, "absorbed")?, absorbed, "{end}");
        }
        Ok(())
    }
}
