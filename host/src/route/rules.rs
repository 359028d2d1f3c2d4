//! What an organization asks of routing without writing a policy: constraints and aims, each for
//! some of its requests. Rules are checked and compiled against the offers when they are written;
//! a request only looks up bits. Never calls a policy and never widens what a key may use.

mod compiled;
mod pattern;
mod unmatched;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;

use crate::hook::Clearance;
use crate::json;

use super::selector::Profile;

pub use compiled::{Forbidden, OrgRules, Situation, Terms};
pub use unmatched::{Unmatched, unmatched};

/// Rules of one organization: each is looked at for each of its requests.
pub const RULES_MAX: usize = 100;
/// Bytes of one rule as JSON.
pub const RULE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of all rules of an organization: they have to fit into its record, and each of their
/// patterns is compared with every offer.
pub const RULES_BYTES_MAX: usize = 128 * 1024;
/// Entries of one list of a rule.
const ENTRIES_MAX: usize = 200;
/// Bytes of one entry: longer than any name that is matched with it.
const ENTRY_BYTES_MAX: usize = 200;

/// One rule, as it is written and read in the API. What is left out asks for nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// What people call it.
    pub name: String,
    /// Kept, and not in force.
    pub disabled: bool,
    /// Of two rules that set the same aim the one with the higher priority counts.
    pub priority: i32,
    /// For which requests; for all without it.
    #[serde(deserialize_with = "json::object")]
    pub when: When,
    /// Constraint: only these offers, by patterns such as `openai/*` and `*@groq`.
    pub allow: Vec<String>,
    /// Constraint: none of these.
    pub deny: Vec<String>,
    /// Constraint: only offers in one of these regions.
    pub regions: Vec<String>,
    /// Constraint: only providers that keep nothing.
    pub zero_retention: bool,
    /// Constraint: these requests are of this class of data at least.
    pub data_class: Option<String>,
    /// Aim: these go first among those that are good enough.
    pub prefer: Vec<String>,
    /// Aim of `auto` where the caller names no other: `balanced`, `cheap`, `fast` or `best`.
    pub profile: Option<String>,
    /// Aim: offers below this quality, 0 to 1, go last.
    pub quality_floor: Option<f64>,
    /// Constraint: an offer that is expected to cost more for the request is out.
    pub cost_ceiling_usd: Option<PicoUsd>,
    /// Constraint: so is one whose first token is expected later, in milliseconds.
    pub first_token_ceiling_ms: Option<f64>,
    /// Aim: whether `auto` may take what a provider gives away, such as OpenRouter's `:free`
    /// models; as the operator has it where no rule says.
    pub free_offers: Option<bool>,
    /// Aim, in place of a profile: how much each counts among those that are good enough.
    #[serde(deserialize_with = "json::object_or_null")]
    pub weights: Option<Weights>,
}

/// For which requests a rule is. Every list that is not empty must have an entry that fits; `*`
/// stands for anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The model as the caller wrote it, or what that stands for: `auto`, `auto:fast`, an alias, a
    /// catalogue id, the id of an offer that may answer.
    pub model: Vec<String>,
    pub team: Vec<String>,
    pub project: Vec<String>,
    pub task: Vec<String>,
}

/// Shares of cost, speed and quality; only their proportion counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    pub cost: u8,
    pub speed: u8,
    pub quality: u8,
}

/// What can't be said in a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct RuleFault {
    /// The member of the rule, such as `when.task`.
    pub field: &'static str,
    pub reason: String,
}

/// The rules of all organizations, as a snapshot that a change replaces.
#[derive(Debug, Default)]
pub struct Rulebook {
    orgs: ArcSwap<HashMap<Arc<str>, Arc<OrgRules>>>,
}

// === impl Rulebook ===

impl Rulebook {
    /// An organization's rules; `None` where it has none.
    pub fn of(&self, org: &str) -> Option<Arc<OrgRules>> {
        let orgs = self.orgs.load();
        if orgs.is_empty() { None } else { orgs.get(org).map(Arc::clone) }
    }

    /// Replaces an organization's rules. To be called by one at a time.
    pub fn set(&self, org: &str, rules: OrgRules) {
        let mut orgs = HashMap::clone(&self.orgs.load());
        if rules.is_empty() {
            orgs.remove(org);
        } else {
            orgs.insert(org.into(), Arc::new(rules));
        }
        self.orgs.store(Arc::new(orgs));
    }
}

// === impl Rule ===

impl Rule {
    /// Patterns that are compared with every offer.
    pub fn entries(&self) -> usize {
        let Self { allow, deny, regions, prefer, .. } = self;
        [allow, deny, regions, prefer].into_iter().map(Vec::len).sum()
    }

    /// Whether it has neither a constraint nor an aim, so that it changes nothing for anybody.
    pub fn asks_for_nothing(&self) -> bool {
        let Self { name, disabled, priority, when, .. } = self.clone();
        *self == Self { name, disabled, priority, when, ..Self::default() }
    }

    /// Whether everything in it means something.
    ///
    /// # Errors
    /// Which member does not, and what it may be; goes on after its name and a colon.
    pub fn check(&self) -> Result<(), RuleFault> {
        let lists: [(&'static str, &Vec<String>); 8] = [
            ("allow", &self.allow),
            ("deny", &self.deny),
            ("regions", &self.regions),
            ("prefer", &self.prefer),
            ("when.model", &self.when.model),
            ("when.team", &self.when.team),
            ("when.project", &self.when.project),
            ("when.task", &self.when.task),
        ];
        for (field, list) in lists {
            if list.len() > ENTRIES_MAX {
                return fault(field, format!("it has at most {ENTRIES_MAX} entries"));
            }
            let wrong = |entry: &&String| entry.is_empty() || entry.len() > ENTRY_BYTES_MAX;
            if let Some(entry) = list.iter().find(wrong) {
                return fault(field, format!("{entry:?} has not 1 to {ENTRY_BYTES_MAX} bytes"));
            }
        }
        if self.data_class.as_deref().is_some_and(|class| Clearance::from_label(class).is_none()) {
            let reason = "it is public, internal, confidential or restricted";
            return fault("data_class", reason.to_owned());
        }
        if self.profile.as_deref().is_some_and(|profile| Profile::from_label(profile).is_none()) {
            return fault("profile", "it is balanced, cheap, fast or best".to_owned());
        }
        if self.quality_floor.is_some_and(|floor| !(0.0..=1.0).contains(&floor)) {
            return fault("quality_floor", "it is a number from 0 to 1".to_owned());
        }
        if self.cost_ceiling_usd.is_some_and(|ceiling| ceiling.is_zero()) {
            let reason = "it is more than zero; leave it out for none";
            return fault("cost_ceiling_usd", reason.to_owned());
        }
        if self.first_token_ceiling_ms.is_some_and(|ms| !(1.0..=3_600_000.0).contains(&ms)) {
            let reason = "it is a number of milliseconds from 1 to 3600000";
            return fault("first_token_ceiling_ms", reason.to_owned());
        }
        match (self.weights, &self.profile) {
            (Some(_), Some(_)) => {
                fault("weights", "give either weights or a profile, not both".to_owned())
            }
            (Some(Weights { cost: 0, speed: 0, quality: 0 }), None) => {
                fault("weights", "one of cost, speed and quality is above 0".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn fault(field: &'static str, reason: String) -> Result<(), RuleFault> {
    Err(RuleFault { field, reason })
}

// === impl Weights ===

impl Weights {
    /// The profile by which the route policy is told: `weighted-50-30-20`, percents of cost, speed
    /// and quality.
    fn label(self) -> String {
        let weights = [self.cost, self.speed, self.quality].map(u32::from);
        let sum = weights.iter().sum::<u32>().max(1);
        let mut shares = weights.map(|weight| (weight * 100 / sum, weight * 100 % sum));
        // What rounding took goes to those it took most from: who asked for nothing gets nothing.
        for _ in shares.iter().map(|(percents, _)| percents).sum::<u32>()..100 {
            // Of equals the first.
            let most = shares.iter_mut().rev().max_by_key(|(_, lost)| *lost);
            if let Some((percents, lost)) = most {
                (*percents, *lost) = (*percents + 1, 0);
            }
        }
        let [cost, speed, quality] = shares.map(|(percents, _)| percents);
        format!("weighted-{cost}-{speed}-{quality}")
    }
}

#[cfg(test)]
mod tests;
