//! What people's ratings of answers say of the models that gave them: small corrections of the
//! quality that is believed, per organization, task and model. Slow, bounded, and forgetful. Keeps
//! numbers and never what was rated; where nobody rates, nothing is looked at.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::catalog::ConfiguredCatalog;

/// The most by which ratings move a quality, up or down.
pub const CORRECTION_MAX: f64 = 0.1;
/// Ratings that move it half as far as they would if there were endlessly many.
pub const HALFWAY_RATINGS: f64 = 20.0;
/// What is left of the weight of earlier ratings at each new one: about the last 200 count.
const KEPT: f64 = 0.995;

/// Ratings of one model at one task.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Ratings {
    /// How many, the older ones counting for less.
    pub weight: f64,
    /// Their mean, 0 to 1.
    pub mean: f64,
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
    /// One more rating, 0 to 1.
    pub fn add(&mut self, rating: f64) {
        let kept = self.weight * KEPT;
        self.weight = kept + 1.0;
        self.mean = (self.mean * kept + rating.clamp(0.0, 1.0)) / self.weight;
    }

    /// By how much the quality is corrected. A mean of one half says nothing.
    pub fn correction(self) -> f64 {
        let sure = self.weight / (self.weight + HALFWAY_RATINGS);
        CORRECTION_MAX * sure * (self.mean - 0.5) * 2.0
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

    #[test]
    fn corrections_are_slow_bounded_and_forget() {
        let mut ratings = Ratings::default();
        ratings.add(1.0);
        assert!((0.0..0.01).contains(&ratings.correction()), "one rating says little");
        for _ in 0..10_000 {
            ratings.add(1.0);
        }
        assert!(ratings.correction() < CORRECTION_MAX && ratings.correction() > 0.08);
        for _ in 0..400 {
            ratings.add(0.0);
        }
        assert!(ratings.correction() < 0.0, "what was long ago counts for less");
        assert!(ratings.correction() > -CORRECTION_MAX);
        for _ in 0..10_000 {
            ratings.add(-7.0);
        }
        assert!(ratings.mean >= 0.0 && ratings.correction() >= -CORRECTION_MAX);
    }

    #[test]
    fn a_correction_is_for_all_who_sell_the_model_and_for_one_task() {
        let offers = Catalog::embedded().unwrap().for_providers(&["openai", "mistral"]).unwrap();
        let model = &offers.offers()[0].model;
        let mut ratings = Ratings::default();
        (0..50).for_each(|_| ratings.add(1.0));
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
