//! Which names a model goes by: the file's own small language of rules. Never fails on a name.

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// Rules nested deeper than this are a mistake of the file.
const NESTED_MAX: usize = 16;

/// A rule as the file writes it: an object with one member.
#[derive(Deserialize)]
pub(super) enum RuleText {
    #[serde(rename = "equals")]
    Equals(String),
    #[serde(rename = "starts_with")]
    StartsWith(String),
    #[serde(rename = "ends_with")]
    EndsWith(String),
    #[serde(rename = "contains")]
    Contains(String),
    #[serde(rename = "regex")]
    Regex(String),
    #[serde(rename = "or")]
    Or(Vec<Self>),
    #[serde(rename = "and")]
    And(Vec<Self>),
}

/// A rule that is ready to be asked.
#[derive(Debug)]
pub enum Rule {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Pattern(Regex),
    Any(Vec<Self>),
    All(Vec<Self>),
}

// === impl Rule ===

impl Rule {
    pub(super) fn of(text: RuleText) -> Result<Self, String> {
        Self::nested(text, NESTED_MAX)
    }

    fn nested(text: RuleText, deeper: usize) -> Result<Self, String> {
        let deeper = deeper.checked_sub(1).ok_or("its rule is nested too deeply")?;
        let all = |rules: Vec<RuleText>| {
            rules.into_iter().map(|rule| Self::nested(rule, deeper)).collect::<Result<_, _>>()
        };
        Ok(match text {
            RuleText::Equals(name) => Self::Equals(name),
            RuleText::StartsWith(part) => Self::StartsWith(part),
            RuleText::EndsWith(part) => Self::EndsWith(part),
            RuleText::Contains(part) => Self::Contains(part),
            RuleText::Regex(pattern) => {
                let pattern = RegexBuilder::new(&pattern).unicode(false).build();
                Self::Pattern(pattern.map_err(|error| format!("its rule is no pattern: {error}"))?)
            }
            RuleText::Or(rules) => Self::Any(all(rules)?),
            RuleText::And(rules) => Self::All(all(rules)?),
        })
    }

    /// The names that it spells out.
    pub fn spelled(&self) -> Vec<&str> {
        match self {
            Self::Equals(name) => vec![name],
            Self::Any(rules) => rules.iter().flat_map(Self::spelled).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a model of this name is meant.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == text,
            Self::StartsWith(text) => name.starts_with(text.as_str()),
            Self::EndsWith(text) => name.ends_with(text.as_str()),
            Self::Contains(text) => name.contains(text.as_str()),
            Self::Pattern(pattern) => pattern.is_match(name),
            Self::Any(rules) => rules.iter().any(|rule| rule.fits(name)),
            Self::All(rules) => rules.iter().all(|rule| rule.fits(name)),
        }
    }
}
