//! Looks once a second at what has been spent, and raises what is to be told. What was raised is
//! remembered while the program runs, and found in the store after a restart under the id that the
//! same event has again. The store keeps an organization's newest 1,000 alerts: what is no longer
//! among them and still holds is raised once more after a restart, under the same id. A window that
//! ended while the program was down is looked at if it ended within [`LOOKED_BACK_MS`], with the
//! amount and the thresholds that the budget has by then; one that ended earlier is not.
//!
//! Never on the thread that accepts connections: each budget is a short wait for the ledger.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch::Receiver;
use turnpike_ledger::PicoUsd;

use crate::auth::{Watched, Window};
use crate::clock;
use crate::store::{AlertRecord, Delivery, Store};
use crate::usage::Anomaly;

use super::super::Gateway;
use super::super::running::pause;
use super::Refused;
use super::deliver::Pending;

/// How often budgets are looked at, when anything was booked at all.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two at the spending of hours.
const ANOMALY_LOOKS: u32 = 30;
/// Windows of a budget that are looked at: what is settled late belongs to the one before.
const WINDOWS: usize = 2;
/// How long ago the window before may have ended at the first look after a start.
const LOOKED_BACK_MS: u64 = 24 * 3_600_000;
/// Memories of budgets that may be gone, before they are gone through.
const SPARE: usize = 10_000;
/// How long it is remembered that something was raised after the end of its window, in which it can
/// be raised: longer than clocks are wrong.
const REMEMBERED_MS: u64 = 40 * 24 * 3_600_000;

/// Until the program stops.
pub(in super::super) async fn watch(
    gateway: Arc<Gateway>,
    store: Arc<Store>,
    pending: Arc<Pending>,
    mut stopped: Receiver<bool>,
) {
    let mut lookout = Lookout::of(&store).await;
    let mut looks = 0_u32;
    while pause(LOOK_EVERY, &mut stopped).await {
        looks = looks.wrapping_add(1);
        let at = Arc::clone(&gateway);
        let look = move || {
            let raised = lookout.budgets(&at, clock::now_ms());
            (lookout, raised)
        };
        let Ok((seen, mut raised)) = tokio::task::spawn_blocking(look).await else {
            tracing::error!("budgets could not be looked at; what was raised is read again");
            lookout = Lookout::of(&store).await;
            continue;
        };
        lookout = seen;
        if looks.is_multiple_of(ANOMALY_LOOKS) {
            let log = gateway.recorder.log();
            let now_ms = clock::now_ms();
            let found = tokio::task::spawn_blocking(move || log.anomalies(None, now_ms)).await;
            raised.extend(found.unwrap_or_default().iter().filter_map(|it| lookout.anomaly(it)));
        }
        if raised.is_empty() {
            continue;
        }
        let to = (Arc::clone(&store), Arc::clone(&pending));
        let kept = tokio::task::spawn_blocking(move || keep(&to.0, &to.1, raised)).await;
        if !matches!(kept, Ok(true)) {
            // They are worked out again from what is in the store.
            lookout = Lookout::of(&store).await;
        }
    }
}

/// Stores what was raised, and hands on what has somewhere to go.
fn keep(store: &Store, pending: &Pending, mut raised: Vec<AlertRecord>) -> bool {
    for alert in &mut raised {
        let webhook = store.webhook(&alert.org);
        alert.delivery = match webhook {
            Ok(None) => Delivery::None,
            _ => Delivery::Pending { attempts: 0, next_at_ms: alert.at_ms, last_error: None },
        };
        tracing::info!(org = alert.org, kind = alert.kind, scope = alert.scope, "an alert");
    }
    if let Err(error) = store.put_alerts(&raised) {
        tracing::error!(%error, "alerts can't be kept; they are raised again");
        return false;
    }
    pending.add(raised);
    true
}

/// What has been raised so far.
#[derive(Debug, Default)]
struct Lookout {
    /// By budget: its latest windows, each with the highest percentage that was raised.
    reached: HashMap<Arc<str>, Vec<(Window, u16)>>,
    /// Of what is raised once, by its id: budgets that refused, hours that were out of the usual.
    once: HashMap<String, Raised>,
    /// All budgets were looked at once since the start.
    begun: bool,
    /// The ledger's last entry at the last look.
    seq: u64,
}

/// Something that was raised.
#[derive(Debug)]
struct Raised {
    budget: Option<String>,
    /// None of a total budget, which never ends.
    window_end_ms: Option<u64>,
}

// === impl Lookout ===

impl Lookout {
    /// What the store says was raised.
    async fn of(store: &Arc<Store>) -> Self {
        let store = Arc::clone(store);
        let alerts = tokio::task::spawn_blocking(move || store.living_alerts());
        let mut this = Self::default();
        match alerts.await {
            Ok(Ok(alerts)) => this.remember(&alerts),
            _ => tracing::error!("what was raised can't be read; it may be raised once more"),
        }
        this
    }

    fn remember(&mut self, alerts: &[AlertRecord]) {
        for alert in alerts {
            let window = Window { start_ms: alert.window_start_ms, end_ms: alert.window_end_ms };
            match (&alert.budget, alert.threshold) {
                (Some(budget), Some(percent)) => {
                    let windows = self.reached.entry(budget.as_str().into()).or_default();
                    let known = windows.iter_mut().find(|(known, _)| *known == window);
                    match known {
                        Some((_, highest)) => *highest = percent.max(*highest),
                        None => windows.push((window, percent)),
                    }
                }
                _ => {
                    self.once.insert(alert.id.clone(), Raised::of(alert));
                }
            }
        }
    }

    fn budgets(&mut self, gateway: &Gateway, now_ms: u64) -> Vec<AlertRecord> {
        let seq = gateway.ledger.health().last_seq;
        let exhausted = gateway.exhausted.take();
        if seq == self.seq && exhausted.is_empty() {
            return Vec::new();
        }
        self.seq = seq;
        let directory = gateway.directory.load();
        let mut raised = Vec::new();
        for watched in directory.watched() {
            self.thresholds(gateway, watched, now_ms, &mut raised);
        }
        self.begun = true;
        let by_id: HashMap<&str, &Watched> = match exhausted.is_empty() {
            true => HashMap::new(),
            false => directory.watched().iter().map(|it| (&*it.budget.id, it)).collect(),
        };
        for ((budget, start_ms), refused) in exhausted {
            let Some(watched) = by_id.get(&*budget) else { continue };
            let window = watched.budget.window(now_ms);
            if window.start_ms == start_ms {
                raised.extend(self.exhausted(watched, window, refused, now_ms));
            }
        }
        let watched = || directory.watched().iter().map(|it| &*it.budget.id);
        self.forget(now_ms, watched);
        raised
    }

    /// What can't be raised any more need not be remembered.
    fn forget<'a, I: Iterator<Item = &'a str>>(&mut self, now_ms: u64, watched: impl Fn() -> I) {
        let over = |raised: &Raised| {
            raised
                .window_end_ms
                .is_some_and(|end_ms| end_ms.saturating_add(REMEMBERED_MS) <= now_ms)
        };
        self.once.retain(|_, raised| !over(raised));
        // Windows of budgets that are gone, looked for only once they could be as many as the rest.
        let most = watched().count().saturating_mul(2).saturating_add(SPARE);
        if self.once.len().max(self.reached.len()) < most {
            return;
        }
        let there: HashSet<&str> = watched().collect();
        self.reached.retain(|budget, _| there.contains(&**budget));
        self.once.retain(|_, raised| {
            raised.window_end_ms.is_some()
                || raised.budget.as_deref().is_some_and(|budget| there.contains(budget))
        });
    }

    fn thresholds(
        &mut self,
        gateway: &Gateway,
        watched: &Watched,
        now_ms: u64,
        raised: &mut Vec<AlertRecord>,
    ) {
        if watched.thresholds.is_empty() || watched.amount.is_zero() {
            return;
        }
        let now = watched.budget.window(now_ms);
        let windows = self.reached.entry(Arc::clone(&watched.budget.id)).or_default();
        // One that is set later was not there in the window before.
        if !self.begun {
            add(windows, before(watched, now, now_ms));
        }
        add(windows, Some(now));
        for (window, highest) in windows {
            let state = gateway.ledger.budget(&watched.budget.id, window.start_ms);
            let Some(spent) = state.map(|state| state.spent) else { continue };
            for percent in watched.thresholds.iter().filter(|percent| *percent > *highest) {
                if !has_reached(spent, watched.amount, percent) {
                    break;
                }
                let mut alert = of_budget("budget.threshold", watched, *window, spent, now_ms);
                alert.threshold = Some(percent);
                let start = window.start_ms.to_string();
                let percent = percent.to_string();
                alert.id = event_id(&[&watched.budget.id, &start, &percent]);
                raised.push(alert);
            }
            let reached = watched
                .thresholds
                .iter()
                .filter(|percent| has_reached(spent, watched.amount, *percent));
            *highest = reached.max().unwrap_or(0).max(*highest);
        }
    }

    /// With the limit by which it was refused: whoever hears of it may have raised it already.
    fn exhausted(
        &mut self,
        watched: &Watched,
        window: Window,
        refused: Refused,
        now_ms: u64,
    ) -> Option<AlertRecord> {
        let Refused { needed, limit, spent } = refused;
        let mut alert = of_budget("budget.exhausted", watched, window, spent, now_ms);
        alert.limit_usd = limit;
        alert.needed_usd = Some(needed);
        let start = window.start_ms.to_string();
        alert.id = event_id(&[&watched.budget.id, &start, "exhausted"]);
        self.first(alert)
    }

    fn anomaly(&mut self, found: &Anomaly) -> Option<AlertRecord> {
        let team = found.team.as_deref();
        let scope = team.map_or_else(|| "organization".to_owned(), |team| format!("team:{team}"));
        let hour = found.hour_ms.to_string();
        self.first(AlertRecord {
            v: 0,
            id: event_id(&[&found.org, &scope, &hour, "anomaly"]),
            org: found.org.to_string(),
            kind: "spend.anomaly".to_owned(),
            scope,
            at_ms: clock::now_ms(),
            budget: None,
            threshold: None,
            limit_usd: found.usual_usd,
            spent_usd: found.spent_usd,
            needed_usd: None,
            window_start_ms: found.hour_ms,
            window_end_ms: Some(found.hour_ms.saturating_add(3_600_000)),
            delivery: Delivery::None,
        })
    }

    /// The alert, unless it was raised before.
    fn first(&mut self, alert: AlertRecord) -> Option<AlertRecord> {
        if self.once.contains_key(&alert.id) {
            return None;
        }
        self.once.insert(alert.id.clone(), Raised::of(&alert));
        Some(alert)
    }
}

/// The window before, if it ended not long ago: perhaps nobody was there to look at it then.
fn before(watched: &Watched, now: Window, now_ms: u64) -> Option<Window> {
    let before = watched.budget.window_before(now)?;
    let ended_ms = before.end_ms?;
    (now_ms.saturating_sub(ended_ms) < LOOKED_BACK_MS).then_some(before)
}

/// Adds a window that is not there yet; the oldest go.
fn add(windows: &mut Vec<(Window, u16)>, window: Option<Window>) {
    let Some(window) = window.filter(|new| !windows.iter().any(|(known, _)| known == new)) else {
        return;
    };
    windows.push((window, 0));
    windows.sort_by_key(|(window, _)| window.start_ms);
    let old = windows.len().saturating_sub(WINDOWS);
    windows.drain(..old);
}

// === impl Raised ===

impl Raised {
    fn of(alert: &AlertRecord) -> Self {
        Self { budget: alert.budget.clone(), window_end_ms: alert.window_end_ms }
    }
}

/// Whether so much has been spent of an amount, exactly.
fn has_reached(spent: PicoUsd, amount: PicoUsd, percent: u16) -> bool {
    let spent = spent.0.checked_mul(100);
    let mark = amount.0.checked_mul(u128::from(percent));
    match (spent, mark) {
        (Some(spent), Some(mark)) => spent >= mark,
        // Beyond any amount of money there is.
        _ => false,
    }
}

fn of_budget(
    kind: &str,
    watched: &Watched,
    window: Window,
    spent: PicoUsd,
    now_ms: u64,
) -> AlertRecord {
    AlertRecord {
        v: 0,
        id: String::new(),
        org: watched.org.to_string(),
        kind: kind.to_owned(),
        scope: watched.budget.scope.to_string(),
        at_ms: now_ms,
        budget: Some(watched.budget.id.to_string()),
        threshold: None,
        limit_usd: watched.amount,
        spent_usd: spent,
        needed_usd: None,
        window_start_ms: window.start_ms,
        window_end_ms: window.end_ms,
        delivery: Delivery::None,
    }
}

/// The same event has the same id, whoever notices it and when. The length in front of each part
/// keeps different parts from reading alike.
fn event_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("evt_{hex}")
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::auth::{BudgetRef, Period};
    use crate::store::Thresholds;

    #[test]
    fn thresholds_are_reached_to_the_pico_dollar() {
        assert!(has_reached(PicoUsd(50), PicoUsd(100), 50));
        assert!(!has_reached(PicoUsd(49), PicoUsd(100), 50));
        assert!(!has_reached(PicoUsd(0), PicoUsd(3), 1));
        assert!(has_reached(PicoUsd(1), PicoUsd(3), 33));
        assert!(!has_reached(PicoUsd(u128::MAX), PicoUsd(1), 50), "nor does it wrap");
    }

    fn raised(lookout: &mut Lookout, id: &str, budget: Option<&str>, window_end_ms: Option<u64>) {
        let budget = budget.map(str::to_owned);
        lookout.once.insert(id.to_owned(), Raised { budget, window_end_ms });
    }

    #[test]
    fn what_never_ends_is_remembered_as_long_as_its_budget_is_there() {
        let mut lookout = Lookout::default();
        raised(&mut lookout, "total", Some("b"), None);
        raised(&mut lookout, "of a day", Some("b"), Some(5));
        raised(&mut lookout, "of another", Some("b"), Some(6));
        lookout.forget(5 + REMEMBERED_MS, || ["b"].into_iter());
        let mut left: Vec<&str> = lookout.once.keys().map(String::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["of another", "total"], "a year later it would be raised again");
        for number in 0..SPARE {
            raised(&mut lookout, &format!("gone {number}"), Some("gone"), None);
        }
        lookout.forget(0, || ["b"].into_iter());
        assert_eq!(lookout.once.len(), 2, "but not without a bound");
    }

    #[test]
    fn a_budget_that_refused_is_told_with_the_limit_that_it_had_then() {
        let budget = BudgetRef::of_key("k", Period::Day, TimeZone::UTC);
        let window = budget.window(1);
        // By now it is more than the request needed.
        let (amount, thresholds) = (PicoUsd(1_000), Thresholds::default());
        let watched = Watched { org: "acme".into(), budget, amount, thresholds };
        let refused = Refused { needed: PicoUsd(40), limit: PicoUsd(5), spent: PicoUsd(2) };
        let mut lookout = Lookout::default();
        let alert = lookout.exhausted(&watched, window, refused, 9).unwrap();
        assert_eq!((alert.limit_usd, alert.spent_usd), (PicoUsd(5), PicoUsd(2)));
        assert_eq!(alert.needed_usd, Some(PicoUsd(40)));
        assert_eq!(lookout.exhausted(&watched, window, refused, 10), None, "once in a window");
    }

    #[test]
    fn the_latest_windows_are_looked_at() {
        let window = |start_ms| Window { start_ms, end_ms: Some(start_ms + 1) };
        let mut windows = vec![(window(3), 50)];
        for start_ms in [3, 2, 4] {
            add(&mut windows, Some(window(start_ms)));
        }
        add(&mut windows, None);
        assert_eq!(windows, [(window(3), 50), (window(4), 0)]);
    }

    #[test]
    fn events_have_ids_of_their_own() {
        assert_eq!(event_id(&["a", "b"]), event_id(&["a", "b"]));
        assert_ne!(event_id(&["a", "b"]), event_id(&["ab", ""]));
        assert!(event_id(&["a"]).starts_with("evt_"));
    }
}
