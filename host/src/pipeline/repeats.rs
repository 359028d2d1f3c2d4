//! Requests that are sent again under the same `idempotency-key`: what was charged for once is not
//! charged for a second time. Answers are not kept, so none is given twice; what is kept, in memory
//! and bounded, are keyed hashes of the key and of the body, and an amount. One organization's keys
//! never push out another's that has no more of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use http::HeaderMap;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::error::Refusal;

use super::settle::Tab;

/// The header; its bytes, as other services bound them.
const HEADER: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 255;
/// For longer than any client tries again by itself.
const KEPT_MS: u64 = 3_600_000;
/// Requests that are remembered, about 20 MB; past that the oldest are forgotten of the
/// organization that has the most.
const KEPT_MAX: usize = 65_536;
/// Entries whose time is over that one use of a key clears away: more than it adds, so that none of
/// them stays for long, and few enough that nobody waits for it.
const CLEARED_AT_ONCE_MAX: usize = 64;

/// What is known of the keys that were used.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    hashing: RandomState,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// None of these is empty.
    orgs: HashMap<Arc<str>, OrgBook>,
    /// All organizations by the number of their entries.
    sizes: BTreeSet<(usize, Arc<str>)>,
    /// The keys of all of them in the order of their use, by its number: who used one first is the
    /// first whose time is over.
    order: BTreeMap<u64, (Arc<str>, u64)>,
    /// The number of the next use.
    next: u64,
}

/// What is known of one organization's.
#[derive(Debug, Default)]
struct OrgBook {
    entries: HashMap<u64, Entry>,
    /// The keys in the order of their use, by its number.
    order: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    body: u64,
    /// The request that has the key now, or had it last.
    id: Uuid,
    state: State,
    until_ms: u64,
    /// Its place in the order.
    turn: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is being answered, or its provider read on to learn what it cost.
    Running,
    /// Answered and charged.
    Answered,
    /// Charged, and interrupted: what is owed may be nothing, and is counted on all the same.
    Owing(Tab),
}

/// A request that has its key; dropped, it gives it back as if it had not been sent.
#[derive(Debug)]
pub(super) struct Ticket {
    repeats: Arc<Repeats>,
    org: Arc<str>,
    key: u64,
    id: Uuid,
    /// What earlier requests were charged for and the caller did not get.
    pub(super) tab: Tab,
    closed: bool,
}

/// What a request says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print {
    key: u64,
    body: u64,
}

// === impl Repeats ===

impl Repeats {
    /// What tells a request of `whose` from others; `None` without the header.
    pub(super) fn print(
        &self,
        whose: &str,
        headers: &HeaderMap,
        target: &str,
        body: &[u8],
    ) -> Result<Option<Print>, Box<Refusal>> {
        let Some(value) = headers.get(HEADER) else { return Ok(None) };
        if value.is_empty() || value.len() > KEY_BYTES_MAX {
            let message = format!("{HEADER} must have from 1 to {KEY_BYTES_MAX} bytes");
            let param = Some(HEADER.to_owned());
            return Err(Box::new(Refusal::invalid(400, "invalid_value", message, param)));
        }
        let key = self.hashing.hash_one((whose, value.as_bytes()));
        Ok(Some(Print { key, body: self.hashing.hash_one((target, body)) }))
    }

    /// Takes the key for request `id` of an organization, by the steady clock: were it the wall's,
    /// a correction of that would let a second request in beside the first, or keep one out.
    ///
    /// # Errors
    /// The refusal, when another request has it, has used it, or used it for something else.
    pub(super) fn begin(
        self: &Arc<Self>,
        org: &Arc<str>,
        print: Print,
        id: Uuid,
        steady_ms: u64,
    ) -> Result<Ticket, Box<Refusal>> {
        let mut book = self.book.lock();
        let own = book.orgs.get(org).and_then(|own| own.entries.get(&print.key));
        let known = own.filter(|known| steady_ms < known.until_ms).copied();
        let tab = match known {
            Some(Entry { body, .. }) if body != print.body => {
                return Err(Box::new(Refusal::idempotency_key_reused()));
            }
            Some(Entry { state: State::Running, id, .. }) => {
                return Err(Box::new(Refusal::request_in_progress(&id.to_string())));
            }
            Some(Entry { state: State::Answered, id, .. }) => {
                return Err(Box::new(Refusal::already_answered(&id.to_string())));
            }
            Some(Entry { state: State::Owing(tab), .. }) => tab,
            None => Tab::default(),
        };
        let until_ms = steady_ms.saturating_add(KEPT_MS);
        let turn = book.next;
        book.next = turn.saturating_add(1);
        let entry = Entry { body: print.body, id, state: State::Running, until_ms, turn };
        book.keep(org, print.key, entry, steady_ms);
        let (repeats, org) = (Arc::clone(self), Arc::clone(org));
        Ok(Ticket { repeats, org, key: print.key, id, tab, closed: false })
    }
}

// === impl Book ===

impl Book {
    fn keep(&mut self, org: &Arc<str>, key: u64, entry: Entry, now_ms: u64) {
        self.remove(org, key);
        self.clear(now_ms);
        if self.order.len() >= KEPT_MAX {
            self.forget_one();
        }
        self.order.insert(entry.turn, (Arc::clone(org), key));
        let own = self.orgs.entry(Arc::clone(org)).or_default();
        own.order.insert(entry.turn, key);
        own.entries.insert(key, entry);
        let count = own.entries.len();
        self.resize(org, count.saturating_sub(1), count);
    }

    /// Forgets what has been kept for its time, whosever it is.
    fn clear(&mut self, now_ms: u64) {
        for _ in 0..CLEARED_AT_ONCE_MAX {
            let Some((_, (org, key))) = self.order.first_key_value() else { return };
            let (org, key) = (Arc::clone(org), *key);
            let entry = self.orgs.get(&org).and_then(|own| own.entries.get(&key));
            if entry.is_some_and(|entry| now_ms < entry.until_ms) {
                return;
            }
            self.remove(&org, key);
        }
    }

    /// Forgets the oldest of who has the most.
    fn forget_one(&mut self) {
        let Some((_, most)) = self.sizes.last() else { return };
        let most = Arc::clone(most);
        let oldest = self.orgs.get(&most).and_then(|own| own.order.first_key_value());
        if let Some((_, key)) = oldest {
            let key = *key;
            self.remove(&most, key);
        }
    }

    fn remove(&mut self, org: &Arc<str>, key: u64) {
        let Some(own) = self.orgs.get_mut(org) else { return };
        let Some(entry) = own.entries.remove(&key) else { return };
        own.order.remove(&entry.turn);
        self.order.remove(&entry.turn);
        let count = own.entries.len();
        if count == 0 {
            self.orgs.remove(org);
        }
        self.resize(org, count.saturating_add(1), count);
    }

    fn resize(&mut self, org: &Arc<str>, before: usize, now: usize) {
        self.sizes.remove(&(before, Arc::clone(org)));
        if now > 0 {
            self.sizes.insert((now, Arc::clone(org)));
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// It was answered to its end and charged.
    pub(super) fn answered(mut self) {
        self.close(Some(State::Answered));
    }

    /// It was charged and interrupted: another try goes by this.
    pub(super) fn owing(mut self, tab: Tab) {
        self.close(Some(State::Owing(tab)));
    }

    fn close(&mut self, state: Option<State>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let mut book = self.repeats.book.lock();
        let own = book.orgs.get_mut(&self.org).and_then(|own| own.entries.get_mut(&self.key));
        let Some(entry) = own.filter(|entry| entry.id == self.id) else { return };
        // What an earlier request left owing is still owed, if this one came to nothing.
        let left = (self.tab != Tab::default()).then_some(State::Owing(self.tab));
        match state.or(left) {
            Some(state) => entry.state = state,
            None => book.remove(&self.org, self.key),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.close(None);
    }
}

#[cfg(test)]
mod tests;
