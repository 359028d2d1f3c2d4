//! The last minute of one scope, in slots of two seconds. Given the time; knows no limits.

/// Milliseconds of a slot: how exactly a wait is told.
const SLOT_MS: u64 = 2_000;
/// Slots of a minute, and the one that is running: so that what is counted is never less than the
/// last sixty seconds.
const SLOTS: usize = 31;

/// What was let in within a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: u64,
    requests: u64,
    tokens: u64,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Minute {
    /// Made when something is first let in: most keys sleep.
    slots: Vec<Slot>,
}

/// Sums over a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

/// The number of the slot that a moment is in.
pub(super) fn slot_of(now_ms: u64) -> u64 {
    now_ms / SLOT_MS
}

fn place_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0).checked_rem(SLOTS).unwrap_or(0)
}

// === impl Minute ===

impl Minute {
    /// What was let in within the last minute.
    pub(super) fn sums(&self, now_ms: u64) -> Sums {
        let oldest = oldest(now_ms);
        let mut sums = Sums::default();
        for slot in self.slots.iter().filter(|slot| slot.number >= oldest) {
            sums.requests = sums.requests.saturating_add(slot.requests);
            sums.tokens = sums.tokens.saturating_add(slot.tokens);
        }
        sums
    }

    /// Counts one request and its tokens in.
    pub(super) fn add(&mut self, number: u64, requests: u64, tokens: u64) {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        let Some(slot) = self.slots.get_mut(place_of(number)) else { return };
        if slot.number < number {
            *slot = Slot { number, ..Slot::default() };
        }
        // One that is older than the minute counts nowhere any more.
        if slot.number == number {
            slot.requests = slot.requests.saturating_add(requests);
            slot.tokens = slot.tokens.saturating_add(tokens);
        }
    }

    /// Takes something back that was counted in that slot, if it is of the last minute.
    pub(super) fn take_back(&mut self, number: u64, requests: u64, tokens: u64) {
        let slot = self.slots.get_mut(place_of(number)).filter(|slot| slot.number == number);
        if let Some(slot) = slot {
            slot.requests = slot.requests.saturating_sub(requests);
            slot.tokens = slot.tokens.saturating_sub(tokens);
        }
    }

    /// Milliseconds until so many requests and tokens have left the minute.
    pub(super) fn wait_ms(&self, now_ms: u64, requests: u64, tokens: u64) -> u64 {
        let oldest = oldest(now_ms);
        let mut slots: Vec<&Slot> = self.slots.iter().filter(|it| it.number >= oldest).collect();
        slots.sort_unstable_by_key(|slot| slot.number);
        let (mut freed, mut until) = (Sums::default(), now_ms);
        for slot in slots {
            if freed.requests >= requests && freed.tokens >= tokens {
                break;
            }
            freed.requests = freed.requests.saturating_add(slot.requests);
            freed.tokens = freed.tokens.saturating_add(slot.tokens);
            until = leaves_ms(slot.number);
        }
        until.saturating_sub(now_ms)
    }

    /// Milliseconds until all of it has left the minute.
    pub(super) fn reset_ms(&self, now_ms: u64) -> u64 {
        let oldest = oldest(now_ms);
        let used = |slot: &&Slot| slot.number >= oldest && (slot.requests > 0 || slot.tokens > 0);
        let newest = self.slots.iter().filter(used).map(|slot| slot.number).max();
        newest.map_or(0, |number| leaves_ms(number).saturating_sub(now_ms))
    }
}

/// The oldest slot of the minute that ends now.
fn oldest(now_ms: u64) -> u64 {
    let back = u64::try_from(SLOTS).unwrap_or(u64::MAX).saturating_sub(1);
    // Slot 0 is what an unused place has; it is never of the present.
    slot_of(now_ms).saturating_sub(back).max(1)
}

/// When a slot is no part of the last minute any more.
fn leaves_ms(number: u64) -> u64 {
    let slots = u64::try_from(SLOTS).unwrap_or(u64::MAX);
    number.saturating_add(slots).saturating_mul(SLOT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn what_was_let_in_counts_for_a_minute_and_no_more_than_two_seconds_longer() {
        let mut minute = Minute::default();
        assert_eq!(minute.sums(NOW), Sums::default());
        minute.add(slot_of(NOW), 1, 10);
        minute.add(slot_of(NOW + 30_000), 1, 5);
        assert_eq!(minute.sums(NOW + 59_999), Sums { requests: 2, tokens: 15 });
        assert_eq!(minute.sums(NOW + 62_000), Sums { requests: 1, tokens: 5 });
        assert_eq!(minute.sums(NOW + 200_000), Sums::default());
        assert_eq!(minute.wait_ms(NOW + 40_000, 1, 0), 22_000);
        assert_eq!(minute.wait_ms(NOW + 40_000, 1, 12), 52_000);
        assert_eq!(minute.reset_ms(NOW + 40_000), 52_000);
    }

    #[test]
    fn what_is_taken_back_counts_no_more_and_a_late_one_takes_nothing_of_others() {
        let mut minute = Minute::default();
        minute.add(slot_of(NOW), 1, 100);
        minute.take_back(slot_of(NOW), 0, 60);
        assert_eq!(minute.sums(NOW), Sums { requests: 1, tokens: 40 });
        // A minute later the same place belongs to another slot.
        let later = NOW + 62_000;
        minute.add(slot_of(later), 1, 7);
        minute.take_back(slot_of(NOW), 1, 40);
        minute.add(slot_of(NOW), 1, 40);
        assert_eq!(minute.sums(later), Sums { requests: 1, tokens: 7 });
    }
}
