//! Requests that are sent again under the same `idempotency-key`: what was charged for once is not
//! charged for a second time. Answers are not kept, so none is given twice; what is kept, in memory
//! and bounded, are keyed hashes of the key and of the body, and an amount.

use std::collections::{HashMap, VecDeque};
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
/// Requests that are remembered, about 8 MB; past that the oldest are forgotten.
const KEPT_MAX: usize = 65_536;

/// What is known of the keys that were used.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    hashing: RandomState,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    entries: HashMap<u64, Entry>,
    /// The keys in the order of their first use, with the end of each.
    order: VecDeque<(u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    body: u64,
    /// The request that has the key now, or had it last.
    id: Uuid,
    state: State,
    until_ms: u64,
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

    /// Takes the key for request `id`.
    ///
    /// # Errors
    /// The refusal, when another request has it, has used it, or used it for something else.
    pub(super) fn begin(
        self: &Arc<Self>,
        print: Print,
        id: Uuid,
        now_ms: u64,
    ) -> Result<Ticket, Box<Refusal>> {
        let mut book = self.book.lock();
        let known = book.entries.get(&print.key).filter(|known| now_ms < known.until_ms).copied();
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
        book.keep(
            print.key,
            Entry { body: print.body, id, state: State::Running, until_ms },
            now_ms,
        );
        Ok(Ticket { repeats: Arc::clone(self), key: print.key, id, credit, closed: false })
    }
}

// === impl Book ===

impl Book {
    fn keep(&mut self, key: u64, entry: Entry, now_ms: u64) {
        while let Some((oldest, end_ms)) = self.order.front().copied()
            && (end_ms <= now_ms || self.order.len() >= KEPT_MAX)
        {
            self.order.pop_front();
            if self.entries.get(&oldest).is_some_and(|kept| kept.until_ms == end_ms) {
                self.entries.remove(&oldest);
            }
        }
        self.order.push_back((key, entry.until_ms));
        self.entries.insert(key, entry);
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
        let Some(entry) = book.entries.get_mut(&self.key).filter(|entry| entry.id == self.id)
        else {
            return;
        };
        // What an earlier request left owing is still owed, if this one came to nothing.
        let left = (!self.credit.is_zero()).then_some(State::Owing(self.credit));
        match state.or(left) {
            Some(state) => entry.state = state,
            None => {
                book.entries.remove(&self.key);
            }
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

    #[test]
    fn pitfall_46_a_key_is_for_one_answer_to_one_request() {
        let repeats = Arc::new(Repeats::default());
        let print = |key: &str, body: &str| {
            repeats.print("k1", &headers(key), "/v1", body.as_bytes()).unwrap().unwrap()
        };
        let code = |print, now_ms| repeats.begin(print, id(9), now_ms).unwrap_err().code;
        let one = repeats.begin(print("a", "x"), id(1), 0).unwrap();
        assert_eq!(code(print("a", "x"), 1), "request_in_progress");
        assert_eq!(code(print("a", "y"), 1), "idempotency_key_reused");
        drop(one);
        let two = repeats.begin(print("a", "x"), id(2), 2).unwrap();
        two.owing(PicoUsd(7));
        let three = repeats.begin(print("a", "x"), id(3), 3).unwrap();
        assert_eq!(three.credit, PicoUsd(7));
        drop(three);
        let four = repeats.begin(print("a", "x"), id(4), 4).unwrap();
        assert_eq!(four.credit, PicoUsd(7), "what came to nothing used nothing up");
        four.answered();
        assert_eq!(code(print("a", "x"), 5), "already_answered");
        assert!(repeats.begin(print("b", "x"), id(5), 5).is_ok());
        let other = repeats.print("k2", &headers("a"), "/v1", b"x").unwrap().unwrap();
        assert!(repeats.begin(other, id(6), 5).is_ok(), "another caller's keys are its own");
        assert!(repeats.begin(print("a", "y"), id(7), 4 + KEPT_MS).is_ok(), "not for ever");
    }

    #[test]
    fn only_so_many_are_remembered() {
        let repeats = Arc::new(Repeats::default());
        for number in 0..70_000_u32 {
            let print = Print { key: u64::from(number), body: 0 };
            repeats.begin(print, id(1), 0).unwrap().answered();
        }
        let book = repeats.book.lock();
        assert!(book.entries.len() <= KEPT_MAX && book.order.len() <= KEPT_MAX);
    }

    #[test]
    fn a_key_has_bounds_and_no_header_is_no_key() {
        let repeats = Repeats::default();
        assert!(repeats.print("k", &HeaderMap::new(), "/", b"").unwrap().is_none());
        let refused = repeats.print("k", &headers(&"x".repeat(256)), "/", b"").unwrap_err();
        assert_eq!(refused.code, "invalid_value");
    }
}
