//! What is told beside the answer to a change that was made: patterns that fit nothing here, and
//! what will do nothing as it is. It is kept, because a model may come later or a rule be finished;
//! never a reason to refuse anything.

use std::sync::Arc;

use serde::Serialize;

use crate::auth::ModelRules;
use crate::catalog::ConfiguredCatalog;
use crate::route::{Rule, Unmatched, unmatched};

/// Warnings of one answer about patterns: more are not read, and suggestions take time.
const WARNINGS_MAX: usize = 20;
/// Suggestions of one warning.
const SUGGESTIONS_MAX: usize = 3;
/// The code of those, for programs.
const CODE: &str = "matches_nothing";

/// One, in the shape of an error.
#[derive(Debug, Serialize)]
pub(super) struct Warning {
    code: &'static str,
    message: String,
    /// Such as `models.0`; none where it is about the whole.
    field: Option<String>,
}

// === impl Warning ===

impl Warning {
    /// About one field.
    pub(super) fn new(code: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: Some(field.to_owned()) }
    }
}

/// An answer with its warnings, none of which is the usual case.
#[derive(Debug, Serialize)]
pub(super) struct Warned<T> {
    #[serde(flatten)]
    shown: T,
    warnings: Vec<Warning>,
}

impl<T> Warned<T> {
    pub(super) fn new(shown: T, warnings: Vec<Warning>) -> Self {
        Self { shown, warnings }
    }
}

/// Patterns of models, as keys and plans have them, that fit no model of a configured provider.
/// `alias` says what a name of the organization's own stands for: such a name fits nothing, since
/// these lists are compared with the model behind it.
pub(super) fn of_models(
    patterns: &[String],
    offers: &ConfiguredCatalog,
    alias: impl Fn(&str) -> Option<Arc<str>>,
) -> Vec<Warning> {
    let mut found = Vec::new();
    for (place, pattern) in patterns.iter().enumerate() {
        let (sign, body) = match pattern.strip_prefix('!') {
            Some(body) => ("!", body),
            None => ("", &**pattern),
        };
        if fits(body, offers) {
            continue;
        }
        let near = match found.len() < WARNINGS_MAX {
            true => near_models(alias(body).as_deref().unwrap_or(body), offers),
            false => Vec::new(),
        };
        let near = near.into_iter().map(|near| format!("{sign}{near}")).collect();
        let entry = pattern.clone();
        found.push(Unmatched { field: "models", place, entry, near });
    }
    told(found)
}

/// The same of the pattern of a budget's scope, which is the only one there.
pub(super) fn of_scope(pattern: &str, offers: &ConfiguredCatalog) -> Vec<Warning> {
    if fits(pattern, offers) {
        return Vec::new();
    }
    let near = near_models(pattern, offers);
    vec![Warning::new(CODE, "scope", message("scope", pattern, &near))]
}

/// Entries of a rule that fit no offer, region, task, or name that could be asked for; and whether
/// it asks for anything.
pub(super) fn of_rule(rule: &Rule, offers: &ConfiguredCatalog, aliases: &[String]) -> Vec<Warning> {
    let mut warnings = told(unmatched(rule, offers, aliases, WARNINGS_MAX));
    if rule.asks_for_nothing() {
        let message = "the rule asks for nothing: it has neither a constraint, such as deny, nor \
                       an aim, such as prefer or profile"
            .to_owned();
        warnings.push(Warning { code: "asks_for_nothing", message, field: None });
    }
    warnings
}

/// As the key's list is read: by the ids of the catalogue, and by their case.
fn fits(pattern: &str, offers: &ConfiguredCatalog) -> bool {
    let rules = ModelRules::parse(&[pattern]);
    rules.is_ok_and(|rules| offers.models().any(|(model, _)| rules.may_use(model)))
}

fn near_models(pattern: &str, offers: &ConfiguredCatalog) -> Vec<String> {
    // These lists name makers and not sellers.
    let model = pattern.split_once('@').map_or(pattern, |(model, _)| model);
    let named = offers.resolve(model).ok().and_then(|named| offers.offer(*named.first()?));
    let mut near: Vec<String> = named.map(|offer| offer.model.to_string()).into_iter().collect();
    let like = offers.patterns_like(model).into_iter().filter(|like| fits(like, offers));
    for like in like {
        if !near.contains(&like) {
            near.push(like);
        }
    }
    near
}

fn told(found: Vec<Unmatched>) -> Vec<Warning> {
    let more = found.len().saturating_sub(WARNINGS_MAX);
    let mut warnings: Vec<Warning> = found
        .into_iter()
        .take(WARNINGS_MAX)
        .map(|Unmatched { field, place, entry, near }| {
            Warning::new(CODE, &format!("{field}.{place}"), message(field, &entry, &near))
        })
        .collect();
    if let (true, Some(last)) = (more > 0, warnings.last_mut()) {
        last.message.push_str(&format!("; {more} more entries fit nothing either"));
    }
    warnings
}

fn message(field: &str, entry: &str, near: &[String]) -> String {
    let what = match field {
        "regions" => "no offer here is known to be in",
        "when.model" => "nothing that can be asked for here is called",
        "when.task" => "no task of the built-in classifier fits",
        _ => "no model of a configured provider fits",
    };
    let kept = match field {
        "when.task" => "it is kept, in case a policy of your own names one so",
        _ => "it is kept, in case one comes later",
    };
    match near {
        [] => format!("{what} {entry:?}; {kept}"),
        near => {
            let near: Vec<String> =
                near.iter().take(SUGGESTIONS_MAX).map(|it| format!("{it:?}")).collect();
            format!("{what} {entry:?}; did you mean {}? As it stands {kept}", near.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// An alias or a bare name is no catalogue id: a key allows what stands behind it.
    #[test]
    fn a_name_that_can_be_asked_for_is_told_as_the_model_behind_it() {
        let offers = Catalog::embedded().unwrap().for_providers(&["mistral", "groq"]).unwrap();
        let alias = |name: &str| (name == "writer").then(|| Arc::from("openai/gpt-oss-120b@groq"));
        let patterns = ["!writer".to_owned(), "gpt-oss-120b".to_owned(), "openai/*".to_owned()];
        let warnings = of_models(&patterns, &offers, alias);
        let [alias, bare] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert!(alias.message.contains("mean \"!openai/gpt-oss-120b\""), "{}", alias.message);
        assert!(bare.message.contains("mean \"openai/gpt-oss-120b\""), "{}", bare.message);
        let fields = [alias.field.as_deref(), bare.field.as_deref()];
        assert_eq!(fields, [Some("models.0"), Some("models.1")]);
    }
}
