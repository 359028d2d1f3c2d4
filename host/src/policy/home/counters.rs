//! What one plugin counts for its organization, to be seen among the gateway's metrics. Names are
//! labels and few, because each is a series that somebody stores; what does not fit is dropped and
//! counted. Never holds a text of a request, unless a policy makes a name of it.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::policy::validate::is_label;

/// Names of one plugin, sums and samples together.
const NAMES_MAX: usize = 32;

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// The organization.
    pub org: String,
    /// The plugin's name.
    pub plugin: String,
    /// The policy's own name for it.
    pub name: String,
    /// Whether samples were observed, rather than a sum counted up.
    pub samples: bool,
    /// The sum, of what was added or observed.
    pub sum: f64,
    /// How often.
    pub count: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Series {
    sum: f64,
    count: u64,
}

#[derive(Debug, Default)]
struct All {
    /// By name, and whether of samples.
    series: BTreeMap<(String, bool), Series>,
    dropped: u64,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(in crate::policy) struct Counters(Mutex<All>);

impl Counters {
    /// Counts up.
    pub(in crate::policy) fn add(&self, name: &str, by: f64) {
        self.take(name, by, false, by >= 0.0);
    }

    /// Takes a sample.
    pub(in crate::policy) fn observe(&self, name: &str, sample: f64) {
        self.take(name, sample, true, true);
    }

    fn take(&self, name: &str, number: f64, samples: bool, sound: bool) {
        let mut all = self.0.lock();
        let known = all.series.len();
        let key = (name.to_owned(), samples);
        let there = all.series.contains_key(&key);
        let fits = there || known < NAMES_MAX && is_label(name);
        let before = all.series.get(&key).copied().unwrap_or_default();
        let sum = before.sum + number;
        if !fits || !sound || !sum.is_finite() {
            all.dropped = all.dropped.saturating_add(1);
            return;
        }
        all.series.insert(key, Series { sum, count: before.count.saturating_add(1) });
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = All::default();
    }

    /// All series, by name; what was dropped as one of its own.
    pub(super) fn counted(&self, org: &str, plugin: &str) -> Vec<Counted> {
        let all = self.0.lock();
        let of = |name: &str, samples: bool, series: Series| Counted {
            org: org.to_owned(),
            plugin: plugin.to_owned(),
            name: name.to_owned(),
            samples,
            sum: series.sum,
            count: series.count,
        };
        let series = all.series.iter();
        let mut shown: Vec<Counted> =
            series.map(|((name, samples), series)| of(name, *samples, *series)).collect();
        if let Some(sum) = u32::try_from(all.dropped).ok().filter(|dropped| *dropped > 0) {
            let dropped = Series { sum: f64::from(sum), count: all.dropped };
            shown.push(of("(dropped)", false, dropped));
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(counters: &Counters) -> Vec<(String, bool, f64, u64)> {
        let all = counters.counted("a", "p").into_iter();
        all.map(|one| (one.name, one.samples, one.sum, one.count)).collect()
    }

    #[test]
    fn sums_and_samples_stand_apart() {
        let counters = Counters::default();
        counters.add("hits", 1.0);
        counters.add("hits", 2.0);
        counters.observe("hits", -3.5);
        let expected = [("hits".to_owned(), false, 3.0, 2), ("hits".to_owned(), true, -3.5, 1)];
        assert_eq!(shown(&counters), expected);
    }

    #[test]
    fn what_can_not_be_counted_is_dropped_and_counted() {
        let counters = Counters::default();
        for (name, by) in [("ok", -1.0), ("ok", f64::NAN), ("ok", f64::INFINITY), ("N N", 1.0)] {
            counters.add(name, by);
        }
        counters.observe("ok", f64::NAN);
        assert_eq!(shown(&counters), [("(dropped)".to_owned(), false, 5.0, 5)]);
    }

    #[test]
    fn names_are_few() {
        let counters = Counters::default();
        for name in 0..1_000 {
            counters.add(&format!("n{name}"), 1.0);
        }
        assert_eq!(shown(&counters).len(), NAMES_MAX + 1, "and what was dropped");
        counters.add("n0", 1.0);
        assert_eq!(shown(&counters).first().map(|one| one.2), Some(2.0));
    }
}
