//! Requests that are sent again under the same `idempotency-key`: what was charged for once is not
//! charged for a second time. Answers are not kept, so none is given twice; what is kept, in memory
//! and bounded, are keyed hashes of the key and of the body, and an amount. One organization's keys
//! never push out another's that has no more of them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use http::HeaderMap;
use parking_lot::Mutex;
use turnpike_ledger::PicoUsd;
use uuid::Uuid;

use crate::error::Refusal;

/// The header; its bytes, as other services bound them.
const HEADER: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 255;
/// For longer than any client tries again by itself.
const KEPT_MS: u64 = 3_600_000;
/// Requests that are remembered, about 10 MB; past that the oldest are forgotten of the
/// organization that has the most.
const KEPT_MAX: usize = 65_536;

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
    /// Entries of all of them.
    count: usize,
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
    /// Charged for more than the caller got.
    Owing(PicoUsd),
}

/// A request that has its key; dropped, it gives it back as if it had not been sent.
#[derive(Debug)]
pub(super) struct Ticket {
    repeats: Arc<Repeats>,
    org: Arc<str>,
    key: u64,
    id: Uuid,
    /// What an earlier request was charged for and the caller did not get.
    pub(super) credit: PicoUsd,
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

    /// Takes the key for request `id` of an organization.
    ///
    /// # Errors
    /// The refusal, when another request has it, has used it, or used it for something else.
    pub(super) fn begin(
        self: &Arc<Self>,
        org: &Arc<str>,
        print: Print,
        id: Uuid,
        now_ms: u64,
    ) -> Result<Ticket, Box<Refusal>> {
        let mut book = self.book.lock();
        let own = book.orgs.get(org).and_then(|own| own.entries.get(&print.key));
        let known = own.filter(|known| now_ms < known.until_ms).copied();
        let credit = match known {
            Some(Entry { body, .. }) if body != print.body => {
                return Err(Box::new(Refusal::idempotency_key_reused()));
            }
            Some(Entry { state: State::Running, id, .. }) => {
                return Err(Box::new(Refusal::request_in_progress(&id.to_string())));
            }
            Some(Entry { state: State::Answered, id, .. }) => {
                return Err(Box::new(Refusal::already_answered(&id.to_string())));
            }
            Some(Entry { state: State::Owing(credit), .. }) => credit,
            None => PicoUsd::ZERO,
        };
        let until_ms = now_ms.saturating_add(KEPT_MS);
        let turn = book.next;
        book.next = turn.saturating_add(1);
        let entry = Entry { body: print.body, id, state: State::Running, until_ms, turn };
        book.keep(org, print.key, entry, now_ms);
        let (repeats, org) = (Arc::clone(self), Arc::clone(org));
        Ok(Ticket { repeats, org, key: print.key, id, credit, closed: false })
    }
}

// === impl Book ===

impl Book {
    fn keep(&mut self, org: &Arc<str>, key: u64, entry: Entry, now_ms: u64) {
        self.remove(org, key);
        while self.oldest(org).is_some_and(|(_, oldest)| oldest.until_ms <= now_ms) {
            self.forget_oldest(org);
        }
        if self.count >= KEPT_MAX {
            let most = self.most(org);
            self.forget_oldest(&most);
        }
        let own = self.orgs.entry(Arc::clone(org)).or_default();
        own.order.insert(entry.turn, key);
        own.entries.insert(key, entry);
        self.count = self.count.saturating_add(1);
    }

    /// Who has the most entries. Whoever has more than half of them all is soon found.
    fn most(&self, org: &Arc<str>) -> Arc<str> {
        let count = |org| self.orgs.get(org).map_or(0, |own: &OrgBook| own.entries.len());
        if count(org).saturating_mul(2) > self.count {
            return Arc::clone(org);
        }
        let most = self.orgs.iter().max_by_key(|(_, own)| own.entries.len());
        Arc::clone(most.map_or(org, |(most, _)| most))
    }

    fn oldest(&self, org: &Arc<str>) -> Option<(u64, &Entry)> {
        let own = self.orgs.get(org)?;
        let (_, key) = own.order.first_key_value()?;
        Some((*key, own.entries.get(key)?))
    }

    fn forget_oldest(&mut self, org: &Arc<str>) {
        if let Some((oldest, _)) = self.oldest(org) {
            self.remove(org, oldest);
        }
    }

    fn remove(&mut self, org: &Arc<str>, key: u64) {
        let Some(own) = self.orgs.get_mut(org) else { return };
        let Some(entry) = own.entries.remove(&key) else { return };
        own.order.remove(&entry.turn);
        self.count = self.count.saturating_sub(1);
        if own.entries.is_empty() {
            self.orgs.remove(org);
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// It was answered to its end and charged.
    pub(super) fn answered(mut self) {
        self.close(Some(State::Answered));
    }

    /// It was charged for more than the caller got, by this amount: another try pays that less.
    pub(super) fn owing(mut self, amount: PicoUsd) {
        self.close(Some(State::Owing(amount)));
    }

    fn close(&mut self, state: Option<State>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let mut book = self.repeats.book.lock();
        let own = book.orgs.get_mut(&self.org).and_then(|own| own.entries.get_mut(&self.key));
        let Some(entry) = own.filter(|entry| entry.id == self.id) else { return };
        // What an earlier request left owing is still owed, if this one came to nothing.
        let left = (!self.credit.is_zero()).then_some(State::Owing(self.credit));
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
mod tests {
    use super::*;

    fn headers(key: &str) -> HeaderMap {
        HeaderMap::from_iter([(HEADER.parse().unwrap(), key.parse().unwrap())])
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn acme() -> Arc<str> {
        "acme".into()
    }

    #[test]
    fn pitfall_46_a_key_is_for_one_answer_to_one_request() {
        let repeats = Arc::new(Repeats::default());
        let print = |key: &str, body: &str| {
            repeats.print("k1", &headers(key), "/v1", body.as_bytes()).unwrap().unwrap()
        };
        let code = |print, now_ms| repeats.begin(&acme(), print, id(9), now_ms).unwrap_err().code;
        let one = repeats.begin(&acme(), print("a", "x"), id(1), 0).unwrap();
        assert_eq!(code(print("a", "x"), 1), "request_in_progress");
        assert_eq!(code(print("a", "y"), 1), "idempotency_key_reused");
        drop(one);
        let two = repeats.begin(&acme(), print("a", "x"), id(2), 2).unwrap();
        two.owing(PicoUsd(7));
        let three = repeats.begin(&acme(), print("a", "x"), id(3), 3).unwrap();
        assert_eq!(three.credit, PicoUsd(7));
        drop(three);
        let four = repeats.begin(&acme(), print("a", "x"), id(4), 4).unwrap();
        assert_eq!(four.credit, PicoUsd(7), "what came to nothing used nothing up");
        four.answered();
        assert_eq!(code(print("a", "x"), 5), "already_answered");
        assert!(repeats.begin(&acme(), print("b", "x"), id(5), 5).is_ok());
        let other = repeats.print("k2", &headers("a"), "/v1", b"x").unwrap().unwrap();
        assert!(
            repeats.begin(&acme(), other, id(6), 5).is_ok(),
            "another caller's keys are its own"
        );
        assert!(
            repeats.begin(&acme(), print("a", "y"), id(7), 4 + KEPT_MS).is_ok(),
            "not for ever"
        );
    }

    fn use_keys(repeats: &Arc<Repeats>, org: &str, keys: std::ops::Range<u64>, now_ms: u64) {
        for key in keys {
            let print = Print { key, body: 0 };
            repeats.begin(&org.into(), print, id(1), now_ms).unwrap().answered();
        }
    }

    fn knows(repeats: &Repeats, org: &str, key: u64) -> bool {
        repeats.book.lock().orgs.get(org).is_some_and(|own| own.entries.contains_key(&key))
    }

    #[test]
    fn only_so_many_are_remembered_and_who_has_the_most_makes_room() {
        let repeats = Arc::new(Repeats::default());
        use_keys(&repeats, "beta", 0..100, 0);
        use_keys(&repeats, "acme", 0..70_000, 0);
        assert!((0..100).all(|key| knows(&repeats, "beta", key)), "another's retry is still known");
        assert!(!knows(&repeats, "acme", 0) && knows(&repeats, "acme", 69_999));
        use_keys(&repeats, "beta", 100..200, 0);
        assert!((0..200).all(|key| knows(&repeats, "beta", key)));
        let book = repeats.book.lock();
        assert_eq!(book.count, KEPT_MAX);
        assert_eq!(book.orgs.values().map(|own| own.order.len()).sum::<usize>(), KEPT_MAX);
        drop(book);
        use_keys(&repeats, "acme", 70_000..70_001, KEPT_MS);
        assert_eq!(repeats.book.lock().count, 201, "what is over goes when its owner comes again");
    }

    /// What was refused leaves nothing behind, so it pushes nothing out.
    #[test]
    fn a_request_that_came_to_nothing_keeps_no_place() {
        let repeats = Arc::new(Repeats::default());
        for key in 0..10_u64 {
            drop(repeats.begin(&acme(), Print { key, body: 0 }, id(1), 0).unwrap());
        }
        let book = repeats.book.lock();
        assert!(book.orgs.is_empty() && book.count == 0);
    }

    #[test]
    fn a_key_has_bounds_and_no_header_is_no_key() {
        let repeats = Repeats::default();
        assert!(repeats.print("k", &HeaderMap::new(), "/", b"").unwrap().is_none());
        let refused = repeats.print("k", &headers(&"x".repeat(256)), "/", b"").unwrap_err();
        assert_eq!(refused.code, "invalid_value");
    }
}
