//! What the simulated callers and operators do, each thing at random: new, repeated, with other
//! amounts, too much, too late. What the ledger answers is compared with the model.

use std::sync::Arc;

use rand::{RngExt, seq::IndexedRandom};

use super::world::World;
use crate::{
    Adjust, CaptureNote, Direction, Ending, Event, LedgerError, Period, PicoUsd, Posted, Reserve,
    ReserveError, SettleError, TopUp,
};

pub(super) const ORGS: [&str; 3] = ["acme", "globex", "initech"];
const CHANNELS: [&str; 3] = ["manual", "stripe", "wallet"];
/// Levels of budgets that are set.
const LEVELS: usize = 6;
const BUDGETS: [&str; LEVELS + 1] =
    ["organization", "team", "project", "user", "key", "tag", "never-set"];

impl World {
    pub(super) fn top_up(&mut self) {
        let repeat = self.rng.random_bool(0.3);
        let (id, before) = match self.top_ups.choose(&mut self.rng) {
            Some((id, amount)) if repeat => (*id, Some(*amount)),
            _ => (self.rng.random::<[u8; 16]>().into(), None),
        };
        let changed = self.rng.random_bool(0.3);
        let amount = before.filter(|_| !changed).unwrap_or_else(|| self.amount(5_000));
        let (org, channel) =
            (ORGS[usize::from(id.0[0]) % 3], CHANNELS[usize::from(id.0[1]) % CHANNELS.len()]);
        let (reference, at_ms) = ("by hand", self.now_ms);
        let top_up = TopUp { id, org, amount, channel, reference, at_ms };
        let result = self.ledger().top_up(&top_up);
        let known = self.model.entries.iter().find(|entry| entry.transfer() == Some(id));
        match (known.map(|entry| (entry.seq, &entry.event)), result) {
            (_, Err(error)) if self.stopped(&error) => {}
            (None, Ok(Posted::New { .. })) => self.top_ups.push((id, amount)),
            (
                Some((seq, Event::TopUp { amount: before, .. })),
                Ok(Posted::Exists { seq: again }),
            ) => {
                assert_eq!((seq, *before), (again, amount));
            }
            (Some((_, Event::TopUp { amount: before, .. })), Err(LedgerError::IdReused(_))) => {
                assert_ne!(*before, amount);
            }
            (known, result) => panic!("{known:?} {result:?}"),
        }
    }

    pub(super) fn adjust(&mut self) {
        let repeat = self.rng.random_bool(0.3);
        let (id, org, direction, amount) = match self.adjustments.choose(&mut self.rng) {
            Some(before) if repeat => *before,
            _ => {
                let up = self.rng.random_bool(0.5);
                let direction = if up { Direction::Credit } else { Direction::Debit };
                let org = *ORGS.choose(&mut self.rng).unwrap();
                (self.rng.random::<[u8; 16]>().into(), org, direction, self.amount(300))
            }
        };
        let (reference, reason, at_ms) = ("ticket 7", "charged twice", self.now_ms);
        let adjust = Adjust { id, org, direction, amount, reference, reason, at_ms };
        let enough = direction == Direction::Credit || amount <= self.model.available(org);
        let known = self.model.posted.get(&id).copied();
        match (known, self.ledger().adjust(&adjust)) {
            (_, Err(error)) if self.stopped(&error) => {}
            (Some(seq), Ok(Posted::Exists { seq: again })) => assert_eq!(seq, again),
            (None, Ok(Posted::New { .. })) => {
                assert!(enough);
                self.adjustments.push((id, org, direction, amount));
            }
            (None, Err(LedgerError::Insufficient { .. })) => assert!(!enough),
            (known, result) => panic!("{known:?} {result:?}"),
        }
    }

    pub(super) fn set_budget(&mut self) {
        let id = *BUDGETS[..LEVELS].choose(&mut self.rng).unwrap();
        let limit = self.rng.random_bool(0.8).then(|| self.amount(3_000));
        match self.ledger().set_budget(id, limit, Period::Day, self.now_ms) {
            Ok(_) => {}
            Err(error) => assert!(self.stopped(&error), "{error}"),
        }
    }

    pub(super) fn reserve(&mut self) {
        let repeat = self.rng.random_bool(0.1);
        let id = match self.used.choose(&mut self.rng) {
            Some(id) if repeat => *id,
            _ => self.rng.random::<[u8; 16]>().into(),
        };
        let org = *ORGS.choose(&mut self.rng).unwrap();
        let window = self.now_ms / 400 + self.rng.random_range(0..2);
        // From the organization down to the key, as deep as this request goes, and by tag.
        let count = self.rng.random_range(0..=LEVELS);
        let never_set = self.rng.random_bool(0.05);
        let budgets = BUDGETS[..count].iter().chain(never_set.then_some(&BUDGETS[LEVELS]));
        let budgets: Vec<(&str, u64)> = budgets.map(|id| (*id, window)).collect();
        let amount = self.amount(800);
        let expires_at_ms = self.now_ms + self.rng.random_range(0..2_000);
        let at_ms = self.now_ms;
        let request = Reserve { id, org, budgets: &budgets, amount, at_ms, expires_at_ms };
        let fits = self.model.fits(org, &budgets, amount);
        let affordable = self.ledger().affordable(org, &budgets);
        let result = self.ledger().reserve(&request);
        let open = self.model.sums.holds.contains_key(&id);
        match &result {
            Err(ReserveError::NotDurable(_)) => assert!(self.failed()),
            Err(ReserveError::DiskFull(_)) => assert!(self.full()),
            Ok(hold) if hold.new => {
                assert!(fits && !open, "{request:?}");
                let ended = self.model.endings.get(&id);
                assert!(ended.is_none_or(|ended| self.forgotten(ended.0)), "{id} used again");
                assert!(amount <= affordable);
                self.used.push(id);
                self.promise(hold.seq);
            }
            Ok(hold) => assert!(open && !hold.new),
            Err(ReserveError::AlreadyUsed(_)) => {
                assert!(open || self.model.endings.contains_key(&id));
            }
            Err(ReserveError::WindowClosed { .. }) => assert!(window < self.now_ms / 400 + 2),
            Err(error) => assert!(!fits, "{request:?} {error}"),
        }
    }

    pub(super) fn extend(&mut self) {
        let Some(id) = self.used.choose(&mut self.rng).copied() else { return };
        let held = self.model.sums.holds.get(&id).cloned();
        let extra = self.amount(300);
        let total = held.as_ref().map_or(extra, |held| held.0.checked_add(extra).unwrap());
        let expires_at_ms = self.now_ms + self.rng.random_range(0..2_000);
        let result = self.ledger().extend_to(id, total, expires_at_ms, self.now_ms);
        match (held, result) {
            (_, Err(ReserveError::NotDurable(_))) => assert!(self.failed()),
            (None, Err(ReserveError::Unknown(_))) => {}
            (Some(held), result) => {
                let budgets: Vec<_> = held.1.iter().map(|at| (&*at.budget, at.window)).collect();
                let entry = self.model.entries.iter().rev();
                let entry = entry.clone().find(|e| e.label() == "hold" && e.transfer() == Some(id));
                let org = entry.and_then(|entry| entry.org()).unwrap();
                let fits = self.model.fits(org, &budgets, extra);
                assert_eq!(result.is_ok(), fits, "{result:?}");
            }
            (None, result) => panic!("{result:?}"),
        }
    }

    pub(super) fn settle(&mut self) {
        let Some(id) = self.used.choose(&mut self.rng).copied() else { return };
        let held = self.model.sums.holds.get(&id).map(|held| held.0);
        let before = self.model.endings.get(&id).copied();
        let absorbed = if self.rng.random_bool(0.2) { self.amount(20) } else { PicoUsd::ZERO };
        let note = *[CaptureNote::Complete, CaptureNote::Partial].choose(&mut self.rng).unwrap();
        let actual = match held {
            Some(held) => PicoUsd(self.rng.random_range(0..=held.0 + held.0 / 20)),
            None => self.amount(100),
        };
        let again = self.rng.random_bool(0.7);
        let ending = match before {
            Some((_, before)) if again => before,
            _ if self.rng.random_bool(0.7) => Ending::Captured { actual, absorbed, note },
            _ => Ending::Released { absorbed },
        };
        let result = match ending {
            Ending::Captured { actual, absorbed, note } => {
                self.ledger().capture(id, actual, note, absorbed, self.now_ms)
            }
            Ending::Released { absorbed } => self.ledger().release(id, absorbed, self.now_ms),
            Ending::Expired => return,
        };
        match (held, before, result) {
            (_, _, Err(SettleError::NotDurable(_))) => assert!(self.failed()),
            (Some(held), _, Ok(settled)) => {
                assert!(settled.new && settled.ending == ending);
                assert!(!matches!(ending, Ending::Captured { actual, .. } if actual > held));
                self.promise(settled.seq);
            }
            (Some(held), _, Err(SettleError::OverCapture { actual, .. })) => assert!(actual > held),
            (None, Some((seq, before)), Ok(settled)) => {
                assert_eq!((settled.seq, settled.ending, settled.new), (seq, before, false));
                assert_eq!(ending, before);
            }
            (None, Some((_, before)), Err(SettleError::AlreadySettled { ending: told, .. })) => {
                assert!(before == told && before != ending);
            }
            (None, Some((seq, _)), Err(SettleError::Unknown(_))) => assert!(self.forgotten(seq)),
            (None, None, Err(SettleError::Unknown(_))) => {}
            (held, before, result) => panic!("{held:?} {before:?} {result:?}"),
        }
    }

    pub(super) fn expire(&mut self) {
        match self.ledger().expire_due(self.now_ms) {
            Err(LedgerError::NotDurable(_)) => assert!(self.failed()),
            result => {
                let expired = result.unwrap();
                assert!(expired.iter().all(|id| self.model.sums.holds.contains_key(id)));
            }
        }
    }

    pub(super) fn amount(&mut self, up_to: u128) -> PicoUsd {
        PicoUsd(self.rng.random_range(1..=up_to))
    }

    fn failed(&self) -> bool {
        self.ledger().health().failed.is_some()
    }

    fn full(&self) -> bool {
        self.ledger().health().full.is_some()
    }

    /// Whether that is why nothing new is booked.
    fn stopped(&self, error: &LedgerError) -> bool {
        match error {
            LedgerError::NotDurable(_) => self.failed(),
            LedgerError::DiskFull(_) => self.full(),
            _ => false,
        }
    }

    fn forgotten(&self, seq: u64) -> bool {
        let last = u64::try_from(self.model.entries.len()).unwrap();
        seq + self.settled_window <= last + 1
    }

    /// Sometimes asks to be told when the entry is safe.
    fn promise(&mut self, seq: u64) {
        if self.rng.random_bool(0.3) {
            let promised = Arc::clone(&self.promised);
            let told = move |safe: bool| {
                let mut last = promised.lock();
                *last = if safe { seq.max(*last) } else { *last };
            };
            self.ledger().on_durable(seq, Box::new(told));
        }
    }
}
