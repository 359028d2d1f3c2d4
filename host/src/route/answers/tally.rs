//! The mean of what answers have shown, the older ones counting less. Plain atomics: a request only
//! loads one word.

use std::sync::atomic::{AtomicU64, Ordering};

/// Of what was seen so much is left after one more answer: about the last hundred count.
const KEPT: f64 = 0.99;

/// The sum of the samples, and how many answers they count as: two `f32` in one word, so that they
/// always belong together.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

// === impl Tally ===

impl Tally {
    /// The mean, drawn towards what is believed, which counts as so many answers.
    pub(super) fn mean(&self, believed: f64, answers: f64) -> f64 {
        let [sum, count] = self.sums();
        (sum + answers * believed) / (count + answers)
    }

    /// As how many answers it counts.
    pub(super) fn count(&self) -> f64 {
        let [_, count] = self.sums();
        count
    }

    /// One more, which counts as so many answers.
    pub(super) fn add(&self, sample: f64, answers: f64) {
        let kept = KEPT.powf(answers.min(1.0));
        let more = |packed: u64| {
            let [sum, count] = unpacked(packed);
            Some(packed_sums(sum * kept + sample * answers, count * kept + answers))
        };
        // A sample that is lost would be harmless, and none is: it always gives one.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok();
    }

    fn sums(&self) -> [f64; 2] {
        unpacked(self.0.load(Ordering::Relaxed))
    }
}

fn unpacked(packed: u64) -> [f64; 2] {
    let [a, b, c, d, e, f, g, h] = packed.to_le_bytes();
    [[a, b, c, d], [e, f, g, h]].map(|bytes| f64::from(f32::from_le_bytes(bytes)))
}

fn packed_sums(sum: f64, count: f64) -> u64 {
    // Seven digits of each are enough.
    let [sum, count] = [sum, count].map(|it| (it as f32).to_bits());
    u64::from(sum) | u64::from(count) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_believed_fades_as_answers_come_and_old_answers_do_too() {
        let tally = Tally::default();
        let mean = || tally.mean(2.0, 30.0);
        assert!((mean() - 2.0).abs() < 1e-9 && tally.count() < 1e-9, "nothing was seen");
        (0..30).for_each(|_| tally.add(4.0, 1.0));
        assert!((2.8..3.0).contains(&mean()), "nearly as much as what is believed: {}", mean());
        (0..5_000).for_each(|_| tally.add(1.0, 1.0));
        assert!((1.0..1.25).contains(&mean()), "the last hundred count: {}", mean());
        assert!((99.0..101.0).contains(&tally.count()), "{}", tally.count());
    }

    #[test]
    fn what_counts_as_less_makes_less_be_forgotten() {
        let [whole, parts] = [Tally::default(), Tally::default()];
        (0..50).for_each(|_| whole.add(3.0, 1.0));
        (0..500).for_each(|_| parts.add(3.0, 0.1));
        assert!((whole.count() - parts.count()).abs() < 0.5, "{whole:?} {parts:?}");
        assert!((whole.mean(1.0, 30.0) - parts.mean(1.0, 30.0)).abs() < 0.01);
    }
}
