//! What makers say of their own models' order, from `catalog/ranks.toml`: which of one generation
//! is the stronger, and which names stand for the same weights. Knows no figures.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::kinship::Spelling;

const TABLE: &str = include_str!("../../../catalog/ranks.toml");

/// Ends of names that say how a model is run or sold, and not which it is.
const RUN: [&str; 4] = [":free", "-fast", "-highspeed", "-turbo"];

/// The whole table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ranks {
    #[serde(rename = "ladder")]
    ladders: Vec<Ladder>,
    same: Vec<Same>,
    other: Vec<Other>,
}

/// Models of one generation, the strongest first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ladder {
    vendor: String,
    family: String,
    rungs: Vec<Vec<String>>,
    source: String,
    reason: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Same {
    name: String,
    #[serde(rename = "as")]
    plain: String,
    source: String,
    reason: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    names: Vec<String>,
    source: String,
    reason: String,
}

/// A model's place on a ladder: which, and how far from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rung {
    pub(super) ladder: usize,
    pub(super) below_top: usize,
}

// === impl Ranks ===

impl Ranks {
    /// Reads the embedded table.
    ///
    /// # Errors
    /// When it isn't in form, or an entry lacks its source or reason.
    pub(super) fn embedded() -> Result<Self, String> {
        let ranks: Self = toml::from_str(TABLE).map_err(|e| e.to_string())?;
        let ladders = ranks.ladders.iter().map(|it| (&it.source, &it.reason));
        let same = ranks.same.iter().map(|it| (&it.source, &it.reason));
        let other = ranks.other.iter().map(|it| (&it.source, &it.reason));
        let mut all = ladders.chain(same).chain(other);
        if all.any(|(source, reason)| !source.starts_with("https://") || reason.is_empty()) {
            return Err("an entry has no source or no reason".to_owned());
        }
        Ok(ranks)
    }

    /// Where a model of that vendor stands.
    pub(super) fn rung(&self, vendor: &str, spelling: &Spelling) -> Option<Rung> {
        let (family, rest) = spelling.words.split_first()?;
        let rest = rest.join(" ");
        let mut ladders = self.ladders.iter().enumerate();
        ladders.find_map(|(ladder, it)| {
            let of_it = it.vendor == vendor && it.family == *family;
            let below_top = it.rungs.iter().position(|names| names.contains(&rest))?;
            of_it.then_some(Rung { ladder, below_top })
        })
    }

    /// For each of these models the one that has its weights, itself where it is the plain one.
    pub(super) fn plain<'a>(&'a self, names: &BTreeSet<&'a str>) -> BTreeMap<&'a str, &'a str> {
        let dated = dated(names);
        let plain = |name: &'a str| {
            let mut plain = self.undecorated(name, names);
            if let Some((short, _)) = split_date(plain)
                && dated.get(short) == Some(&1)
                && let Some(short) = names.get(short).copied()
            {
                plain = short;
            }
            (name, plain)
        };
        names.iter().copied().map(plain).collect()
    }

    fn undecorated<'a>(&'a self, name: &'a str, names: &BTreeSet<&'a str>) -> &'a str {
        let same = self.same.iter().find(|it| it.name == name);
        if let Some(plain) = same.and_then(|it| names.get(&*it.plain).copied()) {
            return plain;
        }
        if self.other.iter().any(|it| it.names.iter().any(|other| other == name)) {
            return name;
        }
        let run = RUN.iter().filter_map(|end| name.strip_suffix(end));
        run.filter_map(|plain| names.get(plain)).next().copied().unwrap_or(name)
    }
}

/// How many days each name is sold with. A name with one day is the same as without; of several,
/// nobody says which it stands for.
fn dated<'a>(names: &BTreeSet<&'a str>) -> BTreeMap<&'a str, usize> {
    let mut dated: BTreeMap<&str, usize> = BTreeMap::new();
    for (short, _) in names.iter().copied().filter_map(split_date) {
        let count = dated.entry(short).or_default();
        *count = count.saturating_add(1);
    }
    dated
}

/// A name and the day at its end: `20250929` or `2024-08-06`.
fn split_date(name: &str) -> Option<(&str, &str)> {
    let whole = |at: usize, form: &str| {
        let (short, day) = name.split_at_checked(name.len().checked_sub(at)?)?;
        let fits = day.len() == form.len()
            && day.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'-' => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        Some((short.strip_suffix('-')?, day)).filter(|_| fits)
    };
    whole(8, "00000000").or_else(|| whole(10, "0000-00-00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_of(name: &str, others: &[&str]) -> String {
        let ranks = Ranks::embedded().unwrap();
        let names: BTreeSet<&str> = others.iter().copied().chain([name]).collect();
        ranks.plain(&names)[name].to_owned()
    }

    #[test]
    fn a_name_that_says_how_a_model_is_run_stands_for_the_plain_one() {
        for (name, plain) in [
            ("moonshotai/kimi-k2.6-turbo", "moonshotai/kimi-k2.6"),
            ("moonshotai/kimi-k2-thinking-turbo", "moonshotai/kimi-k2-thinking"),
            ("anthropic/claude-opus-4-8-fast", "anthropic/claude-opus-4-8"),
            ("minimax/minimax-m2.5-highspeed", "minimax/minimax-m2.5"),
            ("nvidia/nemotron-3:free", "nvidia/nemotron-3"),
            ("anthropic/claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"),
            ("openai/gpt-5.6", "openai/gpt-5.6-sol"),
        ] {
            assert_eq!(plain_of(name, &[plain]), plain);
            assert_eq!(plain_of(name, &[]), name, "there is no plain one");
        }
        let own = |name: &str, other: &str| assert_eq!(plain_of(name, &[other]), name);
        own("openai/gpt-4-turbo", "openai/gpt-4");
        own("xai/grok-4-fast", "xai/grok-4");
        own("mistral/mistral-large-2512", "mistral/mistral-large");
        let days = ["openai/gpt-4o", "openai/gpt-4o-2024-05-13"];
        assert_eq!(plain_of("openai/gpt-4o-2024-08-06", &days), "openai/gpt-4o-2024-08-06");
    }

    #[test]
    fn a_rung_is_found_by_the_words_of_a_name() {
        let ranks = Ranks::embedded().unwrap();
        let below_top = |vendor: &str, name: &str| {
            ranks.rung(vendor, &Spelling::of(name)).map(|rung| rung.below_top)
        };
        assert_eq!(below_top("anthropic", "claude-opus-4-8"), Some(1));
        assert_eq!(below_top("anthropic", "claude-3-5-sonnet-20241022"), Some(2));
        assert_eq!(below_top("openai", "gpt-5.5"), Some(1));
        assert_eq!(below_top("openai", "gpt-5.6-sol"), Some(1));
        assert_eq!(below_top("openai", "gpt-5.4-nano"), Some(3));
        assert_eq!(below_top("google", "gemini-3.1-flash-lite-preview"), Some(2));
        assert_eq!(below_top("deepseek", "deepseek-v4-flash"), Some(1));
        assert_eq!(below_top("openai", "gpt-5.3-codex"), None);
        assert_eq!(below_top("azure", "gpt-5.5"), None);
    }
}
