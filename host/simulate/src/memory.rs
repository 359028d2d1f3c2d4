//! What a provider remembers from one request to the next: beginnings of prompts that it cached,
//! and answers that later requests may refer to. Bounded; the oldest go first.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use serde_json::Value;

/// Cached beginnings: a long agent session has hundreds.
const PREFIXES_MAX: usize = 16_384;
/// Stored answers: more than any test refers to.
const ANSWERS_MAX: usize = 1024;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    prefixes: Mutex<Bounded<[u8; 32], ()>>,
    answers: Mutex<Bounded<String, Stored>>,
}

/// An answer that can be referred to, with all that led to it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// As it was sent.
    pub(crate) body: Value,
    /// The conversation up to and with it, as input of the next request.
    pub(crate) history: Vec<Value>,
}

/// A beginning of a prompt: its hash and how many tokens it has.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    pub(crate) hash: [u8; 32],
    pub(crate) tokens: u64,
}

#[derive(Debug)]
struct Bounded<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + std::hash::Hash, V> Bounded<K, V> {
    fn insert(&mut self, key: K, value: V, most: usize) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > most {
            let Some(oldest) = self.order.pop_front() else { break };
            self.entries.remove(&oldest);
        }
    }
}

impl Memory {
    /// Tokens of the longest of these beginnings that is cached.
    pub(crate) fn cached(&self, prefixes: &[Prefix]) -> u64 {
        let known = self.prefixes.lock();
        let hits = prefixes.iter().filter(|prefix| known.entries.contains_key(&prefix.hash));
        hits.map(|prefix| prefix.tokens).max().unwrap_or(0)
    }

    /// Caches a beginning.
    pub(crate) fn cache(&self, prefix: &Prefix) {
        self.prefixes.lock().insert(prefix.hash, (), PREFIXES_MAX);
    }

    pub(crate) fn store(&self, id: String, stored: Stored) {
        self.answers.lock().insert(id, stored, ANSWERS_MAX);
    }

    pub(crate) fn stored(&self, id: &str) -> Option<Stored> {
        self.answers.lock().entries.get(id).cloned()
    }

    pub(crate) fn forget_stored(&self, id: &str) -> bool {
        self.answers.lock().entries.remove(id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_cached_beginning_counts_and_old_answers_go() {
        let memory = Memory::default();
        let prefixes: Vec<Prefix> =
            (1..=3u8).map(|n| Prefix { hash: [n; 32], tokens: u64::from(n) * 100 }).collect();
        assert_eq!(memory.cached(&prefixes), 0);
        memory.cache(&prefixes[0]);
        memory.cache(&prefixes[1]);
        assert_eq!(memory.cached(&prefixes), 200);
        let stored = Stored { body: Value::Null, history: Vec::new() };
        for n in 0..=ANSWERS_MAX {
            memory.store(n.to_string(), stored.clone());
        }
        assert!(memory.stored("0").is_none() && memory.stored("1").is_some());
        assert!(memory.forget_stored("1") && !memory.forget_stored("1"));
    }
}
