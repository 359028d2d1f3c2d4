//! The directory: every key's hash and caller, as one immutable snapshot that the data plane reads
//! through an `ArcSwap`. A change of a key makes a new directory; requests keep the one they saw.

use std::collections::HashMap;
use std::sync::Arc;

use super::caller::Caller;
use super::pepper::{KeyHash, Pepper};
use super::spending::Watched;

/// Whose secret it is.
#[derive(Debug, Clone)]
pub struct Found {
    /// The key's.
    pub caller: Arc<Caller>,
    /// For a secret that a rotation took the place of: milliseconds since the Unix epoch from
    /// which it no longer works.
    pub works_until_ms: Option<u64>,
}

/// A snapshot of all keys.
#[derive(Debug, Clone)]
pub struct Directory {
    pepper: Pepper,
    callers: HashMap<KeyHash, Arc<Caller>>,
    /// Secrets that keys had before they were rotated; looked at only where `callers` has none.
    former: HashMap<KeyHash, Found>,
    /// Shared by copies: nobody changes it.
    watched: Arc<[Watched]>,
}

// === impl Directory ===

impl Directory {
    /// A directory of these keys.
    pub fn new(pepper: Pepper, callers: impl IntoIterator<Item = (KeyHash, Caller)>) -> Self {
        let callers = callers.into_iter().map(|(hash, caller)| (hash, Arc::new(caller))).collect();
        Self { pepper, callers, former: HashMap::new(), watched: Arc::from([]) }
    }

    /// The same with secrets that keys had before: each with the hash of the key's present one,
    /// and until when it works.
    #[must_use]
    pub fn with_former(self, secrets: impl IntoIterator<Item = (KeyHash, KeyHash, u64)>) -> Self {
        let known = |(hash, present, until_ms): (KeyHash, KeyHash, u64)| {
            let caller = Arc::clone(self.callers.get(&present)?);
            Some((hash, Found { caller, works_until_ms: Some(until_ms) }))
        };
        let former = secrets.into_iter().filter_map(known).collect();
        Self { former, ..self }
    }

    /// The same with the budgets that alerts may be raised about.
    #[must_use]
    pub fn watching(self, watched: Vec<Watched>) -> Self {
        Self { watched: watched.into(), ..self }
    }

    /// The budgets that alerts may be raised about.
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// A directory without keys.
    pub fn empty(pepper: Pepper) -> Self {
        Self::new(pepper, [])
    }

    /// The pepper that its hashes were made with.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.callers.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.callers.is_empty()
    }

    /// The caller whose key this is, whether or not it may still be used.
    pub(super) fn find(&self, key: &str) -> Option<Found> {
        let hash = self.pepper.hash(key);
        match self.callers.get(&hash) {
            Some(caller) => Some(Found { caller: Arc::clone(caller), works_until_ms: None }),
            None => self.former.get(&hash).cloned(),
        }
    }
}
