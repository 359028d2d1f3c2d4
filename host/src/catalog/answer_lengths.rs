//! How long the answers of models are beside those of others, before any has been seen here:
//! reasoning models are charged for what they think. Facts from `host/catalog/answers.toml`; never
//! learns, that is routing's.

use serde::Deserialize;

use crate::catalog::{CatalogError, Offer};

/// The facts that this version ships.
const ANSWERS: &str = include_str!("../../catalog/answers.toml");

/// Of a model that writes only what the caller sees, in hundredths.
const PLAIN_PERCENT: u32 = 100;
/// Of one that can think and that nothing else is known of.
const THINKING_PERCENT: u32 = 200;

/// What is known of families of models.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLengths {
    families: Vec<Family>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    models: Vec<String>,
    percent: u32,
    thinking: u32,
}

// === impl AnswerLengths ===

impl AnswerLengths {
    /// Those that this version ships.
    ///
    /// # Errors
    /// When the file that was built in is damaged.
    pub fn embedded() -> Result<Self, CatalogError> {
        toml::from_str(ANSWERS).map_err(|error| CatalogError::AnswerLengths(error.to_string()))
    }

    /// Tokens of an answer, in hundredths of what one has that is not thought about: usually, and
    /// where the caller asks for thinking.
    pub fn of(&self, offer: &Offer) -> [u32; 2] {
        if !offer.reasoning {
            return [PLAIN_PERCENT; 2];
        }
        let fits = |family: &&Family| family.models.iter().any(|it| is_called(it, &offer.model));
        let found = self.families.iter().find(fits);
        found.map_or([THINKING_PERCENT; 2], |family| [family.percent, family.thinking])
    }
}

fn is_called(pattern: &str, model: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => match start.strip_prefix('*') {
            Some(middle) => model.contains(middle),
            None => model.starts_with(start),
        },
        None => match pattern.strip_prefix('*') {
            Some(end) => model.ends_with(end),
            None => model == pattern,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn families_that_think_are_expected_to_write_more() {
        let catalog = Catalog::embedded().unwrap();
        let catalog = catalog.for_providers(&["openai", "anthropic", "google"]).unwrap();
        let lengths = AnswerLengths::embedded().unwrap();
        let of = |id: &str| {
            let offer = catalog.offers().iter().find(|offer| &*offer.id == id).unwrap();
            lengths.of(offer)
        };
        assert_eq!(of("openai/gpt-4o@openai"), [100, 100], "it can't think");
        assert_eq!(of("anthropic/claude-sonnet-4-5@anthropic"), [100, 200], "where it is asked to");
        assert_eq!(of("openai/gpt-5@openai"), [250, 250]);
        assert_eq!(of("openai/gpt-5-mini@openai"), [180, 250]);
        assert_eq!(of("openai/gpt-5.4@openai"), [125, 200]);
        assert_eq!(of("openai/o3@openai"), [250, 250]);
        assert_eq!(of("google/gemini-2.5-pro@google"), [300, 300]);
        assert_eq!(of("google/gemini-2.5-flash-lite@google"), [100, 300]);
    }

    #[test]
    fn a_star_stands_for_anything_at_either_end() {
        for (pattern, model, fits) in [
            ("a/b", "a/b", true),
            ("a/b", "a/bc", false),
            ("a/*", "a/bc", true),
            ("*-pro", "a/b-pro", true),
            ("*b*", "a/bc", true),
            ("*-pro", "a/b-prose", false),
        ] {
            assert_eq!(is_called(pattern, model), fits, "{pattern} {model}");
        }
    }
}
