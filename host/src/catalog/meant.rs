//! What a pattern of models, or of offers, that fits nothing here probably meant. Runs only when
//! somebody writes such a pattern; whether a suggestion fits is for whoever knows how it is read.

use std::collections::BTreeSet;

use super::ConfiguredCatalog;
use super::nearest::{SUGGESTIONS_MAX, nearest};

impl ConfiguredCatalog {
    /// Patterns near to one, the likeliest first: with another vendor or provider, or a whole
    /// model for one that is cut short or mistyped. Some of them may fit nothing either.
    pub fn patterns_like(&self, pattern: &str) -> Vec<String> {
        let (model, place) = match pattern.rsplit_once('@') {
            Some((model, place)) => (model, Some(place)),
            None => (pattern, None),
        };
        let places: Vec<Option<String>> = match place {
            // Its own place first: it may be the model that is mistyped.
            Some(place) => {
                let near = nearest(place, self.places().into_iter());
                let near = near.into_iter().map(str::to_owned).map(Some);
                std::iter::once(Some(place.to_owned())).chain(near).collect()
            }
            None => vec![None],
        };
        let models: Vec<String> =
            std::iter::once(model.to_owned()).chain(self.models_like(model)).collect();
        let all = places.iter().flat_map(|place| {
            models.iter().map(move |model| match place {
                Some(place) => format!("{model}@{place}"),
                None => model.clone(),
            })
        });
        let mut once: Vec<String> = Vec::new();
        for like in all {
            if like != pattern && !once.contains(&like) {
                once.push(like);
            }
        }
        once
    }

    fn models_like(&self, model: &str) -> Vec<String> {
        let vendors = self.vendors();
        let vendor = |text: &str| nearest(text, vendors.iter().copied());
        let whole = nearest(&model.replace('*', ""), self.models().map(|(model, _)| &**model));
        let whole = whole.into_iter().map(str::to_owned);
        match model.split_once('/') {
            Some((maker, rest)) => {
                let near = vendor(maker).into_iter().map(|near| format!("{near}/{rest}"));
                near.chain(whole).collect()
            }
            // A maker alone stands for nothing; all of its models may be meant.
            None if vendors.contains(&*model.to_ascii_lowercase()) => {
                vec![format!("{}/*", model.to_ascii_lowercase())]
            }
            None => {
                let near = vendor(model).into_iter().map(|near| format!("{near}/*"));
                whole.chain(near).collect()
            }
        }
    }

    /// Up to three regions of offers whose names are nearest to one.
    pub fn regions_like(&self, region: &str) -> Vec<String> {
        let known: BTreeSet<&str> =
            self.offers().iter().filter_map(|offer| offer.region.as_deref()).collect();
        let near = nearest(&region.replace('*', ""), known.into_iter());
        near.into_iter().take(SUGGESTIONS_MAX).map(str::to_owned).collect()
    }

    fn vendors(&self) -> BTreeSet<&str> {
        self.models().filter_map(|(model, _)| Some(model.split_once('/')?.0)).collect()
    }

    fn places(&self) -> BTreeSet<&str> {
        self.offers().iter().filter_map(|offer| Some(offer.id.rsplit_once('@')?.1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::catalog::Catalog;

    #[test]
    fn a_pattern_that_fits_nothing_has_near_ones() {
        let offers = Catalog::embedded().unwrap().for_providers(&["openai", "groq"]).unwrap();
        for (pattern, like) in [
            ("opnai/*", "openai/*"),
            ("OpenAI/gpt-5.4", "openai/gpt-5.4"),
            ("openai/gpt-5,4", "openai/gpt-5.4"),
            ("gpt-5.4", "openai/gpt-5.4"),
            ("openai", "openai/*"),
            ("*@gorq", "*@groq"),
            ("openai/gpt-oss-120@groq", "openai/gpt-oss-120b@groq"),
        ] {
            let near = offers.patterns_like(pattern);
            assert!(near.iter().any(|it| it == like), "{pattern}: {near:?}");
            assert!(!near.iter().any(|it| it == pattern), "{pattern}: {near:?}");
            let distinct: BTreeSet<&String> = near.iter().collect();
            assert_eq!(distinct.len(), near.len(), "{pattern}: {near:?}");
        }
    }
}
