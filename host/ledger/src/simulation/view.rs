//! A view in memory, as a host would keep it: one transaction per delta, which sometimes fails, and
//! older states to go back to, as a store that lost its last writes would.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::view::{ViewDelta, ViewSink, ViewSnapshot};

/// States that can be gone back to.
const OLDER_MAX: usize = 6;

#[derive(Debug, Clone, Default)]
pub(super) struct SimView(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    current: Option<ViewSnapshot>,
    older: Vec<ViewSnapshot>,
    failing: bool,
}

impl SimView {
    pub(super) fn fail(&self, failing: bool) {
        self.0.lock().failing = failing;
    }

    pub(super) fn current(&self) -> Option<ViewSnapshot> {
        self.0.lock().current.clone()
    }

    /// The view falls back to an older state.
    pub(super) fn lose(&self, index: usize) {
        let mut kept = self.0.lock();
        if let Some(older) = kept.older.get(index).cloned() {
            kept.current = Some(older);
        }
    }

    pub(super) fn drop_all(&self) {
        *self.0.lock() = Kept::default();
    }
}

impl ViewSink for SimView {
    fn store(&mut self, delta: &ViewDelta) -> Result<(), String> {
        let mut kept = self.0.lock();
        if kept.failing {
            return Err("the view's store is full".to_owned());
        }
        let base = if delta.full { None } else { kept.current.take() };
        if let Some(before) = &base {
            kept.older.insert(0, before.clone());
            kept.older.truncate(OLDER_MAX);
        }
        let mut view = base.unwrap_or_default();
        let new = delta.changed.clone();
        assert!(new.applied_seq >= view.applied_seq, "the view went back");
        view.applied_seq = new.applied_seq;
        view.applied_hash = new.applied_hash;
        view.platform = new.platform;
        view.orgs = merged(view.orgs, new.orgs, |row| row.org.clone());
        view.channels = merged(view.channels, new.channels, |row| row.channel.clone());
        view.budgets = merged(view.budgets, new.budgets, |row| row.budget.clone());
        let key = |row: &crate::CounterRow| (row.budget.clone(), row.window);
        view.counters = merged(view.counters, new.counters, key);
        view.holds = merged(view.holds, new.holds, |row| row.id);
        view.holds.retain(|row| !delta.ended_holds.contains(&row.id));
        view.posted = merged(view.posted, new.posted, |row| row.transfer());
        // Through bytes and back, as a store would keep it.
        let bytes = postcard::to_stdvec(&view).unwrap();
        kept.current = Some(postcard::from_bytes(&bytes).unwrap());
        Ok(())
    }
}

fn merged<R, K: Ord>(old: Vec<R>, new: Vec<R>, key: impl Fn(&R) -> K) -> Vec<R> {
    let rows: BTreeMap<K, R> = old.into_iter().chain(new).map(|row| (key(&row), row)).collect();
    rows.into_values().collect()
}
