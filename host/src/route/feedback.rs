//! What people's ratings of answers say of the models that gave them: small corrections of the
//! quality that is believed, per organization, task and model. Slow, bounded, forgetful, and the
//! say of many keys, never of one. Keeps numbers and never what was rated; where nobody rates,
//! nothing is looked at.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::catalog::ConfiguredCatalog;

/// The most by which ratings move a quality, up or down.
pub const CORRECTION_MAX: f64 = 0.1;
/// Ratings that move it half as far as they would if there were endlessly many.
pub const HALFWAY_RATINGS: f64 = 20.0;
/// For how many ratings those of one key count at most: nobody alone decides for all.
pub const KEY_RATINGS_MAX: f64 = 5.0;
/// After so long a rating counts for half: four weeks.
pub const HALF_LIFE: Duration = Duration::from_secs(28 * 24 * 3600);
/// What is left of the weight of a key's earlier ratings at each new one: its last 200 count.
const KEPT: f64 = 0.995;

/// Ratings of one model at one task, of all keys.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Ratings {
    /// How many count: older ones for less, and those of one key for at most
    /// [`KEY_RATINGS_MAX`].
    pub weight: f64,
    /// Their mean, 0 to 1.
    pub mean: f64,
}

/// What one key says of one model at one task.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct KeyRatings {
    /// How many there were at `at_ms`, the older ones counting for less.
    pub weight: f64,
    /// Their mean, 0 to 1.
    pub mean: f64,
    /// When the last one was given, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What one organization's ratings come to: for each task a correction for each offer by its index.
#[derive(Debug, Default)]
pub struct Corrections {
    tasks: HashMap<Box<str>, Box<[f32]>>,
}

/// Corrections of all organizations, as a snapshot that each rating replaces.
#[derive(Debug, Default)]
pub struct Feedback {
    orgs: ArcSwap<HashMap<Arc<str>, Arc<Corrections>>>,
}

// === impl Ratings ===

impl Ratings {
    /// What several keys come to together at a moment: the mean of what they say, each by how much
    /// of it still counts.
    pub fn of_keys<'a>(keys: impl Iterator<Item = &'a KeyRatings>, now_ms: u64) -> Self {
        let mut all = Self::default();
        for key in keys {
            let counts = key.weight_at(now_ms).min(KEY_RATINGS_MAX);
            all.weight += counts;
            all.mean += key.mean * counts;
        }
        if all.weight > 0.0 {
            all.mean /= all.weight;
        }
        all
    }

    /// By how much the quality is corrected. A mean of one half says nothing.
    pub fn correction(self) -> f64 {
        let sure = self.weight / (self.weight + HALFWAY_RATINGS);
        CORRECTION_MAX * sure * (self.mean - 0.5) * 2.0
    }
}

// === impl KeyRatings ===

impl KeyRatings {
    /// One more rating, 0 to 1.
    pub fn add(&mut self, rating: f64, at_ms: u64) {
        let kept = self.weight_at(at_ms) * KEPT;
        self.weight = kept + 1.0;
        self.mean = (self.mean * kept + rating.clamp(0.0, 1.0)) / self.weight;
        self.at_ms = self.at_ms.max(at_ms);
    }

    /// How many still count at that moment.
    pub fn weight_at(&self, at_ms: u64) -> f64 {
        let age = Duration::from_millis(at_ms.saturating_sub(self.at_ms));
        self.weight * 0.5_f64.powf(age.as_secs_f64() / HALF_LIFE.as_secs_f64())
    }
}

// === impl Corrections ===

impl Corrections {
    /// Of ratings by task and model.
    pub fn of<'a>(
        ratings: impl Iterator<Item = (&'a str, &'a str, Ratings)>,
        offers: &ConfiguredCatalog,
    ) -> Self {
        let mut built = Self::default();
        for (task, model, ratings) in ratings {
            let none = || vec![0.0; offers.offers().len()].into_boxed_slice();
            let column = built.tasks.entry(task.into()).or_insert_with(none);
            for (offer, correction) in offers.offers().iter().zip(column.iter_mut()) {
                if *offer.model == *model {
                    // Small and rounded on purpose: it corrects an estimate.
                    #[allow(clippy::cast_possible_truncation, reason = "within 0.1 of zero")]
                    let small = ratings.correction() as f32;
                    *correction = small;
                }
            }
        }
        built
    }

    /// The corrections for a task, by the offer's index.
    pub fn at(&self, task: &str) -> Option<&[f32]> {
        self.tasks.get(task).map(|column| &**column)
    }
}

// === impl Feedback ===

impl Feedback {
    /// An organization's corrections; `None` where nobody rated anything.
    pub fn of(&self, org: &str) -> Option<Arc<Corrections>> {
        let orgs = self.orgs.load();
        if orgs.is_empty() { None } else { orgs.get(org).map(Arc::clone) }
    }

    /// Replaces an organization's corrections. To be called by one at a time.
    pub fn set(&self, org: &str, corrections: Corrections) {
        let mut orgs = HashMap::clone(&self.orgs.load());
        orgs.insert(org.into(), Arc::new(corrections));
        self.orgs.store(Arc::new(orgs));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn rated(ratings: impl IntoIterator<Item = f64>) -> KeyRatings {
        let mut key = KeyRatings::default();
        ratings.into_iter().for_each(|rating| key.add(rating, DAY_MS));
        key
    }

    fn together(keys: &[KeyRatings], now_ms: u64) -> Ratings {
        Ratings::of_keys(keys.iter(), now_ms)
    }

    #[test]
    fn corrections_are_slow_bounded_and_forget() {
        let once = together(&[rated([1.0])], DAY_MS).correction();
        assert!((0.0..0.01).contains(&once), "one rating says little: {once}");
        let keys = |mean: f64| vec![rated([mean; 30]); 200];
        let all = together(&keys(1.0), DAY_MS).correction();
        assert!(all < CORRECTION_MAX && all > 0.08, "{all}");
        assert!(together(&keys(-7.0), DAY_MS).correction() > -CORRECTION_MAX);
        let turned = rated([1.0; 500].into_iter().chain([0.0; 400]));
        assert!(turned.mean < 0.5, "what a key said before counts for less: {turned:?}");
    }

    #[test]
    fn one_key_alone_hardly_moves_what_others_get() {
        let flood = rated([0.0; 60]);
        let alone = together(&[flood], DAY_MS);
        assert!((alone.weight - KEY_RATINGS_MAX).abs() < 1e-9);
        assert!(alone.correction() > -0.021, "{}", alone.correction());
        let many = vec![rated([0.9; 5]); 20];
        let before = together(&many, DAY_MS).correction();
        let mut with = many;
        with.push(flood);
        let moved = before - together(&with, DAY_MS).correction();
        assert!((0.0..0.01).contains(&moved), "{moved}");
    }

    #[test]
    fn a_rating_counts_for_half_after_four_weeks() {
        let keys = vec![rated([1.0; 5]); 4];
        let weight = |days: u64| together(&keys, DAY_MS * (1 + days)).weight;
        assert!((weight(28) * 2.0 - weight(0)).abs() < 1e-6);
        assert!(weight(280) < 0.03 && (together(&keys, DAY_MS * 300).mean - 1.0).abs() < 1e-9);
        let mut key = keys[0];
        key.add(0.0, DAY_MS * 281);
        assert!(key.mean < 0.02 && key.weight < 1.1, "the old ones are as good as gone: {key:?}");
        key.add(1.0, DAY_MS);
        assert_eq!(key.at_ms, DAY_MS * 281, "a clock that goes back makes nothing young");
    }

    #[test]
    fn a_correction_is_for_all_who_sell_the_model_and_for_one_task() {
        let offers = Catalog::embedded().unwrap().for_providers(&["openai", "mistral"]).unwrap();
        let model = &offers.offers()[0].model;
        let ratings = Ratings { weight: 50.0, mean: 1.0 };
        let made = Corrections::of([("code", &**model, ratings)].into_iter(), &offers);
        let column = made.at("code").unwrap();
        for (offer, correction) in offers.offers().iter().zip(column) {
            assert_eq!(offer.model == *model, *correction > 0.0, "{}", offer.id);
        }
        assert!(made.at("chat").is_none());
        let feedback = Feedback::default();
        assert!(feedback.of("acme").is_none());
        feedback.set("acme", made);
        assert!(feedback.of("acme").is_some() && feedback.of("other").is_none());
    }
}
