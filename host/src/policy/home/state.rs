//! The state of one plugin in one organization: keys and values that live for a while. In memory
//! only, never on disk; bounded in keys and bytes, alone and together with all others. What has
//! expired is gone for whoever asks, and makes room when room is needed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Keys of one plugin.
const KEYS_MAX: usize = 1_000;
/// Bytes of one plugin's keys and values, with what each entry takes beside them.
const BYTES_MAX: usize = 256 << 10;
/// Bytes of all states in the process together.
const TOTAL_BYTES_MAX: usize = 64 << 20;
/// Bytes of a key.
const KEY_BYTES_MAX: usize = 128;
/// Bytes of a value.
const VALUE_BYTES_MAX: usize = 16 << 10;
/// What an entry takes beside its key and value.
const ENTRY_BYTES: usize = 64;
/// The longest life, and that of what is given none.
const TTL_SECONDS_MAX: u32 = 30 * 24 * 3_600;
/// Beyond this a number with a fraction could no longer tell one from the next.
const COUNT_MAX: i64 = 1 << 53;

/// No `Debug`: what a policy keeps may be content.
struct Entry {
    value: Vec<u8>,
    expires_at_ms: u64,
}

#[derive(Default)]
struct Shelf {
    entries: HashMap<String, Entry>,
    bytes: usize,
}

/// See the head of this file. `Debug` never shows what is in it.
pub(in crate::policy) struct State {
    shelf: Mutex<Shelf>,
    total: Arc<AtomicUsize>,
}

fn size(key: &str, value: &[u8]) -> usize {
    key.len().saturating_add(value.len()).saturating_add(ENTRY_BYTES)
}

fn expiry(ttl_seconds: u32, now_ms: u64) -> u64 {
    let seconds = match ttl_seconds {
        0 => TTL_SECONDS_MAX,
        some => some.min(TTL_SECONDS_MAX),
    };
    now_ms.saturating_add(u64::from(seconds).saturating_mul(1_000))
}

// === impl State ===

impl State {
    pub(super) fn new(total: Arc<AtomicUsize>) -> Self {
        Self { shelf: Mutex::default(), total }
    }

    /// The value of a key that has not expired.
    pub(in crate::policy) fn get(&self, key: &str, now_ms: u64) -> Option<Vec<u8>> {
        let shelf = self.shelf.lock();
        let entry = shelf.entries.get(key)?;
        (entry.expires_at_ms > now_ms).then(|| entry.value.clone())
    }

    /// Sets a key; an empty value removes it. The error says which bound is met.
    pub(in crate::policy) fn set(
        &self,
        key: &str,
        value: Vec<u8>,
        ttl_seconds: u32,
        now_ms: u64,
    ) -> Result<(), String> {
        let mut shelf = self.shelf.lock();
        if value.is_empty() {
            self.remove(&mut shelf, key);
            return Ok(());
        }
        self.put(&mut shelf, key, value, expiry(ttl_seconds, now_ms), now_ms)
    }

    /// Adds to a number and returns it. What is not there begins at 0, and lives as long as the
    /// first call says; later ones don't prolong it.
    pub(in crate::policy) fn increment(
        &self,
        key: &str,
        by: i32,
        ttl_seconds: u32,
        now_ms: u64,
    ) -> Result<i64, String> {
        let mut shelf = self.shelf.lock();
        let (number, expires_at_ms) = next(&shelf, key, by, ttl_seconds, now_ms)?;
        self.put(&mut shelf, key, number.to_string().into_bytes(), expires_at_ms, now_ms)?;
        Ok(number)
    }

    /// What [`Self::increment`] would return, without doing it.
    pub(in crate::policy) fn would_be(
        &self,
        key: &str,
        by: i32,
        now_ms: u64,
    ) -> Result<i64, String> {
        Ok(next(&self.shelf.lock(), key, by, 0, now_ms)?.0)
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut shelf = self.shelf.lock();
        self.total.fetch_sub(shelf.bytes, Ordering::Relaxed);
        *shelf = Shelf::default();
    }

    fn remove(&self, shelf: &mut Shelf, key: &str) {
        if let Some(old) = shelf.entries.remove(key) {
            let freed = size(key, &old.value);
            shelf.bytes = shelf.bytes.saturating_sub(freed);
            self.total.fetch_sub(freed, Ordering::Relaxed);
        }
    }

    fn put(
        &self,
        shelf: &mut Shelf,
        key: &str,
        value: Vec<u8>,
        expires_at_ms: u64,
        now_ms: u64,
    ) -> Result<(), String> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(format!("a key has 1 to {KEY_BYTES_MAX} bytes"));
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!("a value has at most {VALUE_BYTES_MAX} bytes"));
        }
        let new = size(key, &value);
        let fits = |shelf: &Shelf| {
            let old = shelf.entries.get(key).map(|old| size(key, &old.value));
            let keys = shelf.entries.len().saturating_add(usize::from(old.is_none()));
            let bytes = shelf.bytes.saturating_sub(old.unwrap_or(0)).saturating_add(new);
            keys <= KEYS_MAX && bytes <= BYTES_MAX
        };
        if !fits(shelf) {
            self.drop_expired(shelf, now_ms);
            if !fits(shelf) {
                return Err(format!("the state is full: {KEYS_MAX} keys, {BYTES_MAX} bytes"));
            }
        }
        // Reserved before anything changes, so that two plugins never take the last place both.
        let room = |total: usize| {
            let next = total.saturating_add(new);
            (next <= TOTAL_BYTES_MAX).then_some(next)
        };
        let reserve = || self.total.fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        if reserve().is_err() {
            self.drop_expired(shelf, now_ms);
            if reserve().is_err() {
                return Err("the states of all policies together are full".to_owned());
            }
        }
        self.remove(shelf, key);
        shelf.bytes = shelf.bytes.saturating_add(new);
        shelf.entries.insert(key.to_owned(), Entry { value, expires_at_ms });
        Ok(())
    }

    fn drop_expired(&self, shelf: &mut Shelf, now_ms: u64) {
        let expired = shelf.entries.iter().filter(|(_, entry)| entry.expires_at_ms <= now_ms);
        let expired: Vec<String> = expired.map(|(key, _)| key.clone()).collect();
        expired.iter().for_each(|key| self.remove(shelf, key));
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.clear();
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("keys", &self.shelf.lock().entries.len()).finish()
    }
}

/// The number that a key comes to, and until when it lives.
fn next(
    shelf: &Shelf,
    key: &str,
    by: i32,
    ttl_seconds: u32,
    now_ms: u64,
) -> Result<(i64, u64), String> {
    let there = shelf.entries.get(key).filter(|entry| entry.expires_at_ms > now_ms);
    let (before, expires_at_ms) = match there {
        Some(entry) => {
            let text = std::str::from_utf8(&entry.value).ok();
            let number = text.and_then(|text| text.parse::<i64>().ok());
            let number = number.ok_or("what is under that key is no whole number")?;
            (number, entry.expires_at_ms)
        }
        None => (0, expiry(ttl_seconds, now_ms)),
    };
    let number = before.saturating_add(i64::from(by)).clamp(-COUNT_MAX, COUNT_MAX);
    Ok((number, expires_at_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State::new(Arc::default())
    }

    fn held(state: &State) -> (usize, usize) {
        (state.shelf.lock().bytes, state.total.load(Ordering::Relaxed))
    }

    #[test]
    fn values_live_as_long_as_they_are_told() {
        let state = state();
        state.set("k", b"one".to_vec(), 10, 1_000).unwrap();
        assert_eq!(state.get("k", 10_999), Some(b"one".to_vec()));
        assert_eq!(state.get("k", 11_000), None);
        state.set("for long", b"x".to_vec(), 0, 0).unwrap();
        state.set("too long", b"x".to_vec(), u32::MAX, 0).unwrap();
        let end = u64::from(TTL_SECONDS_MAX) * 1_000;
        for key in ["for long", "too long"] {
            assert!(state.get(key, end - 1).is_some() && state.get(key, end).is_none());
        }
    }

    #[test]
    fn an_empty_value_removes_and_the_bytes_come_back() {
        let state = state();
        state.set("k", vec![1; 100], 10, 0).unwrap();
        state.set("k", vec![1; 50], 10, 0).unwrap();
        assert_eq!(held(&state), (1 + 50 + ENTRY_BYTES, 1 + 50 + ENTRY_BYTES));
        state.set("k", Vec::new(), 10, 0).unwrap();
        assert_eq!((state.get("k", 0), held(&state)), (None, (0, 0)));
    }

    #[test]
    fn a_count_begins_at_zero_and_keeps_its_first_end() {
        let state = state();
        assert_eq!(state.would_be("n", 5, 0), Ok(5));
        assert_eq!(state.increment("n", 5, 10, 0), Ok(5));
        assert_eq!(state.increment("n", -2, 600, 9_000), Ok(3));
        assert_eq!(state.get("n", 9_000), Some(b"3".to_vec()));
        assert_eq!(state.increment("n", 1, 10, 10_000), Ok(1), "a new window");
        state.set("text", b"word".to_vec(), 10, 0).unwrap();
        assert!(state.increment("text", 1, 10, 0).unwrap_err().contains("no whole number"));
        assert_eq!(state.get("text", 0), Some(b"word".to_vec()));
        state.set("big", COUNT_MAX.to_string().into_bytes(), 10, 0).unwrap();
        assert_eq!(state.increment("big", 1, 10, 0), Ok(COUNT_MAX));
    }

    #[test]
    fn quotas_hold_and_what_has_expired_makes_room() {
        let state = state();
        for number in 0..KEYS_MAX {
            state.set(&format!("k{number}"), vec![1], 10, 0).unwrap();
        }
        assert!(state.set("one more", vec![1], 10, 0).unwrap_err().contains("1000 keys"));
        assert!(state.set("k0", vec![2], 10, 0).is_ok(), "what is there may change");
        assert!(state.set("one more", vec![1], 10, 10_000).is_ok(), "the others have expired");
        let large = vec![1; VALUE_BYTES_MAX];
        let most = BYTES_MAX / (VALUE_BYTES_MAX + ENTRY_BYTES);
        state.clear();
        let fitting =
            (0..100).take_while(|n| state.set(&format!("{n}"), large.clone(), 10, 0).is_ok());
        assert_eq!(fitting.count(), most);
        assert!(held(&state).0 <= BYTES_MAX);
    }

    #[test]
    fn of_requests_at_once_each_one_counts() {
        let state = state();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..250).for_each(|_| drop(state.increment("n", 1, 60, 0))));
            }
        });
        assert_eq!(state.would_be("n", 0, 0), Ok(1_000));
    }

    #[test]
    fn keys_and_values_have_a_length() {
        let state = state();
        assert!(state.set("", vec![1], 1, 0).is_err());
        assert!(state.set(&"k".repeat(KEY_BYTES_MAX + 1), vec![1], 1, 0).is_err());
        assert!(state.set("k", vec![1; VALUE_BYTES_MAX + 1], 1, 0).is_err());
        assert!(state.increment(&"k".repeat(KEY_BYTES_MAX + 1), 1, 1, 0).is_err());
        assert_eq!(held(&state), (0, 0));
    }

    #[test]
    fn all_states_together_are_bounded_and_given_back() {
        let total = Arc::new(AtomicUsize::new(TOTAL_BYTES_MAX - 200));
        let (first, second) = (State::new(Arc::clone(&total)), State::new(Arc::clone(&total)));
        first.set("k", vec![1; 100], 1, 0).unwrap();
        assert!(second.set("k", vec![1; 100], 1, 0).unwrap_err().contains("all policies"));
        drop(first);
        assert!(second.set("k", vec![1; 100], 1, 0).is_ok());
        drop(second);
        assert_eq!(total.load(Ordering::Relaxed), TOTAL_BYTES_MAX - 200);
    }
}
