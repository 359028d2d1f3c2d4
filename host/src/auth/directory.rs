//! The directory: every key's hash and caller, as one immutable snapshot that the data plane reads
//! through an `ArcSwap`. A change of a key makes a new directory; requests keep the one they saw.

use std::collections::HashMap;
use std::sync::Arc;

use super::caller::Caller;
use super::pepper::{KeyHash, Pepper};
use super::spending::Watched;

/// A snapshot of all keys.
#[derive(Debug, Clone)]
pub struct Directory {
    pepper: Pepper,
    callers: HashMap<KeyHash, Arc<Caller>>,
    /// Shared by copies: nobody changes it.
    watched: Arc<[Watched]>,
}

// === impl Directory ===

impl Directory {
    /// A directory of these keys.
    pub fn new(pepper: Pepper, callers: impl IntoIterator<Item = (KeyHash, Caller)>) -> Self {
        let callers = callers.into_iter().map(|(hash, caller)| (hash, Arc::new(caller))).collect();
        Self { pepper, callers, watched: Arc::from([]) }
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
    pub(super) fn find(&self, key: &str) -> Option<&Arc<Caller>> {
        self.callers.get(&self.pepper.hash(key))
    }
}
