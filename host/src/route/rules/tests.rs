use super::compiled::Forbidden;
use super::*;
use crate::catalog::{Catalog, ConfiguredCatalog};
use crate::route::Selector;

fn offers() -> ConfiguredCatalog {
    Catalog::embedded().unwrap().for_providers(&["openai", "mistral", "groq"]).unwrap()
}

fn rule(json: &str) -> Rule {
    let rule: Rule = serde_json::from_str(json).unwrap();
    rule.check().unwrap();
    rule
}

fn compiled(rules: &[&str]) -> (Arc<OrgRules>, ConfiguredCatalog) {
    let offers = offers();
    let numbered = rules.iter().enumerate().map(|(n, text)| (format!("{n}").into(), rule(text)));
    let rules: Vec<(Arc<str>, Rule)> = numbered.collect();
    (Arc::new(OrgRules::compile(&rules, &offers)), offers)
}

const ASKED: Situation<'_> =
    Situation { model: "auto", team: Some("research"), project: None, task: "code" };

/// Whether any offer of the provider is left, and why the others are not.
fn left(terms: &Terms, offers: &ConfiguredCatalog, provider: &str) -> Result<(), Forbidden> {
    let all = offers.offers().iter().enumerate();
    let mut own = all.filter(|(_, offer)| *offer.provider == *provider);
    own.try_for_each(|(index, offer)| terms.forbids(index, offer).map_or(Ok(()), Err))
}

#[test]
fn constraints_of_all_rules_that_fit_hold_together() {
    let (rules, offers) = compiled(&[
        r#"{"deny": ["mistral/*"]}"#,
        r#"{"when": {"team": ["research"]}, "deny": ["*@groq"], "cost_ceiling_usd": "0.5"}"#,
        r#"{"when": {"team": ["sales"]}, "deny": ["openai/*"]}"#,
        r#"{"cost_ceiling_usd": "0.25", "first_token_ceiling_ms": 900, "priority": -1}"#,
    ]);
    let terms = rules.terms(&ASKED);
    assert_eq!(left(&terms, &offers, "mistral"), Err(Forbidden::Denied("0".into())));
    assert_eq!(left(&terms, &offers, "groq"), Err(Forbidden::Denied("1".into())));
    assert_eq!(left(&terms, &offers, "openai"), Ok(()));
    assert_eq!(terms.cost_ceiling, Some(PicoUsd(250_000_000_000)), "the lowest counts");
    assert!((terms.first_token_ceiling_ms - 900.0).abs() < 1e-9);
    let (rules, offers) = compiled(&[r#"{"allow": ["openai/*", "*/mistral-*"]}"#]);
    let terms = rules.terms(&ASKED);
    assert_eq!(
        left(&terms, &offers, "mistral"),
        Err(Forbidden::NotAllowed("0".into())),
        "codestral is not"
    );
    assert_eq!(left(&terms, &offers, "openai"), Ok(()));
}

#[test]
fn a_region_that_nobody_states_is_no_region() {
    let (rules, offers) = compiled(&[r#"{"regions": ["eu*"]}"#]);
    assert_eq!(left(&rules.terms(&ASKED), &offers, "openai"), Err(Forbidden::Region("0".into())));
}

#[test]
fn zero_retention_is_only_what_the_operator_vouches_for() {
    let (rules, offers) = compiled(&[r#"{"zero_retention": true}"#]);
    assert_eq!(left(&rules.terms(&ASKED), &offers, "openai"), Err(Forbidden::Retention));
}

#[test]
fn aims_come_from_priority_then_from_more_conditions_then_from_age() {
    let (rules, _) = compiled(&[
        r#"{"profile": "cheap", "quality_floor": 0.3, "prefer": ["openai/*"]}"#,
        r#"{"when": {"team": ["research"]}, "quality_floor": 0.5}"#,
        r#"{"when": {"team": ["research"], "task": ["code"]}, "quality_floor": 0.7}"#,
        r#"{"priority": 1, "profile": "best"}"#,
        r#"{"priority": 1, "profile": "fast"}"#,
    ]);
    let terms = rules.terms(&ASKED);
    assert!((terms.quality_floor() - 0.7).abs() < 1e-9);
    assert_eq!(terms.profile(Selector::parse("auto")), "best");
    assert_eq!(terms.profile(Selector::parse("auto:fast")), "fast", "the caller's choice is first");
    assert_eq!(terms.ids().map(|id| &**id).collect::<Vec<_>>(), ["3", "4", "2", "1", "0"]);
    let other = Situation { team: None, task: "chat", ..ASKED };
    assert!((rules.terms(&other).quality_floor() - 0.3).abs() < 1e-9);
    let openai = offers().offers().iter().position(|offer| *offer.provider == *"openai").unwrap();
    assert!(terms.prefers(openai));
}

/// The higher rule has taken the floor away, and the lower one must not bring it back.
#[test]
fn a_floor_of_zero_is_a_floor_and_not_none() {
    let (rules, _) =
        compiled(&[r#"{"quality_floor": 0.9}"#, r#"{"priority": 1, "quality_floor": 0}"#]);
    assert!(rules.terms(&ASKED).quality_floor().abs() < 1e-9);
    let (rules, _) = compiled(&[r#"{"quality_floor": 0.9}"#, r#"{"priority": 1}"#]);
    assert!((rules.terms(&ASKED).quality_floor() - 0.9).abs() < 1e-9);
}

#[test]
fn a_rule_for_a_model_fits_whatever_name_it_is_asked_for_by() {
    let (rules, offers) =
        compiled(&[r#"{"when": {"model": ["openai/gpt-5.4"]}, "regions": ["eu*"]}"#]);
    assert!(rules.go_by_model());
    let asked = Situation { model: "House-Writer", ..ASKED };
    assert_eq!(left(&rules.terms(&asked), &offers, "openai"), Ok(()), "it may be any model");
    let stands_for = ["gpt-5.4", "OpenAI/GPT-5.4", "openai/gpt-5.4@openai"];
    let terms = rules.terms_of(&asked, &stands_for);
    assert_eq!(left(&terms, &offers, "openai"), Err(Forbidden::Region("0".into())));
    let (rules, _) = compiled(&[r#"{"deny": ["mistral/*"]}"#]);
    assert!(!rules.go_by_model(), "nothing has to be looked up");
}

#[test]
fn a_request_of_a_rules_class_is_of_the_highest() {
    let (rules, _) = compiled(&[
        r#"{"data_class": "confidential", "priority": -5}"#,
        r#"{"data_class": "public", "priority": 5}"#,
    ]);
    assert_eq!(rules.terms(&ASKED).class, Some(Clearance::Confidential));
}

#[test]
fn weights_are_told_as_a_profile() {
    let (rules, _) = compiled(&[r#"{"weights": {"cost": 2, "speed": 1, "quality": 1}}"#]);
    assert_eq!(rules.terms(&ASKED).profile(Selector::parse("auto")), "weighted-50-25-25");
    assert_eq!(rules.terms(&ASKED).profile(Selector::parse("auto:cheap")), "cheap");
}

#[test]
fn weights_are_rounded_to_a_hundred_and_nothing_stays_nothing() {
    for (cost, speed, quality, label) in [
        (0, 1, 2, "weighted-0-33-67"),
        (1, 1, 1, "weighted-34-33-33"),
        (1, 0, 2, "weighted-33-0-67"),
        (255, 255, 1, "weighted-50-50-0"),
        (3, 3, 1, "weighted-43-43-14"),
        (0, 0, 7, "weighted-0-0-100"),
    ] {
        assert_eq!(Weights { cost, speed, quality }.label(), label);
    }
}

#[test]
fn what_means_nothing_is_refused_by_name() {
    let bad = [
        (r#"{"profile": "slow"}"#, "profile"),
        (r#"{"data_class": "secret"}"#, "data_class"),
        (r#"{"quality_floor": 1.5}"#, "quality_floor"),
        (r#"{"cost_ceiling_usd": "0"}"#, "cost_ceiling_usd"),
        (r#"{"first_token_ceiling_ms": 0}"#, "first_token_ceiling_ms"),
        (r#"{"deny": [""]}"#, "deny"),
        (r#"{"weights": {}}"#, "weights"),
        (r#"{"weights": {"cost": 1}, "profile": "fast"}"#, "weights"),
    ];
    for (text, field) in bad {
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.check().unwrap_err().field, field, "{text}");
    }
    assert!(serde_json::from_str::<Rule>(r#"{"denny": []}"#).is_err());
}

#[test]
fn an_organization_without_rules_has_nothing_to_look_at() {
    let book = Rulebook::default();
    assert!(book.of("acme").is_none());
    let offers = offers();
    let one = |text: &str| OrgRules::compile(&[("r".into(), rule(text))], &offers);
    book.set("acme", one(r#"{"deny": ["openai/*"]}"#));
    assert!(book.of("acme").is_some() && book.of("other").is_none());
    book.set("acme", one(r#"{"deny": ["openai/*"], "disabled": true}"#));
    assert!(book.of("acme").is_none());
}
