use std::sync::Arc;

use super::*;
use crate::catalog::{Catalog, ConfiguredCatalog, Modalities, Offer};
use crate::route::{
    FigureRow, OrgRules, Particulars, Profile, Rule, Situation, Snapshot, Terms, Workload,
    figure_row,
};

fn offers() -> ConfiguredCatalog {
    Catalog::embedded().unwrap().for_providers(&["openai"]).unwrap()
}

/// An offer that can do everything.
fn able() -> Offer {
    let all = Modalities { text: true, image: true, audio: true, video: true, file: true };
    let catalog = offers();
    let known = catalog.offers().iter().find(|offer| offer.is_priced()).unwrap();
    Offer {
        kind: Kind::Chat,
        dialects: Arc::from([Arc::from("openai-chat")]),
        context_tokens: 1_000,
        input_tokens: None,
        output_tokens: 500,
        input: all,
        output: all,
        tools: true,
        structured_output: true,
        deprecated: false,
        ..(**known).clone()
    }
}

const NEEDS: Needs = Needs {
    tools: true,
    structured_output: true,
    schema: true,
    image_input: true,
    audio_input: true,
    file_input: true,
    audio_output: true,
    reasoning: true,
    logprobs: false,
    web_search: false,
    hosted_tools: false,
    caller_tools: true,
};

fn asked(needs: &Needs) -> Asked<'_> {
    let selector = Selector::Auto(Profile::Balanced);
    Asked {
        kind: Kind::Chat,
        selector,
        needs,
        input_tokens: 100,
        output_limit: Some(100),
        free_offers: false,
    }
}

fn rejected(change: impl FnOnce(&mut Offer)) -> Rejection {
    let mut offer = able();
    change(&mut offer);
    check(&offer, &asked(&NEEDS), true, || Gate::Closed).expect("it is out")
}

fn terms(rule: &str) -> Terms {
    let rule: Rule = serde_json::from_str(rule).unwrap();
    rule.check().unwrap();
    let rules = Arc::new(OrgRules::compile(&[("r".into(), rule)], &offers()));
    rules.terms(&Situation { model: "auto", team: None, project: None, task: "chat" })
}

fn ruled(rule: &str) -> Rejection {
    let offers = offers();
    forbidden(0, &offers.offers()[0], &terms(rule)).expect("it is out")
}

fn row(seen: Snapshot) -> FigureRow {
    let work = Workload::new("chat", 0.5, 1_000, None);
    figure_row(&able(), &work, &Particulars::of_text(&work), seen).unwrap()
}

fn over(rule: &str) -> Rejection {
    beyond(&terms(rule))
}

fn too_weak() -> Rejection {
    let mut terms = terms("{}");
    terms.quality_min = 1.0;
    beyond(&terms)
}

fn beyond(terms: &Terms) -> Rejection {
    let mut row = row(Snapshot { first_token_measured: true, ..Snapshot::UNKNOWN });
    over_ceiling(&mut row, terms).expect("it is out")
}

#[test]
fn a_time_that_nobody_has_measured_rules_nobody_out() {
    let mut assumed = row(Snapshot::UNKNOWN);
    let ceiling = terms(r#"{"first_token_ceiling_ms": 500}"#);
    assert_eq!(over_ceiling(&mut assumed, &ceiling), None);
    assert!((assumed.first_token_under(500.0) - 500.0).abs() < 1e-9, "nor does the route policy");
    assert!((assumed.first_token_ms - 700.0).abs() < 1e-9, "it is shown as it was assumed");
    let slow = Snapshot { first_token_ms: 501.0, first_token_measured: true, ..Snapshot::UNKNOWN };
    let mut slow = row(slow);
    assert!(over_ceiling(&mut slow, &ceiling).is_some() && !slow.assumed_over_ceiling);
}

#[test]
fn what_a_provider_gives_away_is_for_those_who_name_it_or_allow_it() {
    let needs = Needs::default();
    let free = Offer { given_away: true, ..able() };
    let auto = asked(&needs);
    let why = |asked: &Asked<'_>| check(&free, asked, true, || Gate::Closed);
    assert_eq!(why(&auto), Some(Rejection::GivenAway));
    assert_eq!(why(&Asked { free_offers: true, ..auto }), None);
    assert_eq!(why(&Asked { selector: Selector::Named(&free.model), ..auto }), None);
}

#[test]
fn a_rule_says_whether_a_choice_may_take_what_is_given_away() {
    assert_eq!(terms("{}").free_offers, None, "as the operator has it");
    for (rule, said) in [(r#"{"free_offers": true}"#, true), (r#"{"free_offers": false}"#, false)] {
        assert_eq!(terms(rule).free_offers, Some(said));
    }
}

/// Each reason that is found here, as it comes about.
fn found_here() -> Vec<Rejection> {
    let needs = Needs::default();
    let embedding = Asked { kind: Kind::Embedding, ..asked(&needs) };
    let gate = |gate| check(&able(), &asked(&NEEDS), true, || gate).unwrap();
    vec![
        check(&able(), &asked(&NEEDS), false, || Gate::Closed).unwrap(),
        rejected(|offer| offer.output.text = false),
        check(&able(), &embedding, true, || Gate::Closed).unwrap(),
        rejected(|offer| offer.dialects = Arc::from([])),
        rejected(|offer| offer.rates.base.output = None),
        rejected(|offer| offer.deprecated = true),
        rejected(|offer| offer.given_away = true),
        rejected(|offer| offer.context_tokens = 150),
        rejected(|offer| offer.output_tokens = 50),
        rejected(|offer| offer.tools = false),
        rejected(|offer| offer.structured_output = false),
        rejected(|offer| offer.input.image = false),
        rejected(|offer| offer.input.audio = false),
        rejected(|offer| offer.input.file = false),
        rejected(|offer| offer.output.audio = false),
        gate(Gate::Open { until_ms: 5 }),
        gate(Gate::Full { most: 2 }),
        ruled(r#"{"deny": ["openai/*"]}"#),
        ruled(r#"{"allow": ["mistral/*"]}"#),
        ruled(r#"{"regions": ["eu"]}"#),
        ruled(r#"{"zero_retention": true}"#),
        over(r#"{"cost_ceiling_usd": "0.000000000001"}"#),
        too_weak(),
        over(r#"{"first_token_ceiling_ms": 1}"#),
    ]
}

const HERE: &str = "each_offer_is_out_for_the_one_thing_that_it_lacks";

/// The test in which a reason comes about. A new reason does not compile until one is named here.
fn test_of(reason: &Rejection) -> &'static str {
    match reason {
        Rejection::Lossy { .. } => "pitfall_25_what_translation_would_lose_is_refused_when_strict",
        Rejection::KeptElsewhere => {
            "a_provider_that_keeps_nothing_is_not_asked_and_the_caller_is_told"
        }
        Rejection::HostedTool => "a_tool_that_a_provider_runs_goes_where_it_is_run",
        Rejection::SearchUnpriced => "a_search_whose_price_is_not_known_is_not_allowed",
        Rejection::ToolUnpriced => "a_tool_whose_price_is_not_known_is_not_allowed",
        Rejection::Budget => "the_budget_of_a_model_leaves_the_choice_to_the_others",
        Rejection::CreditShort => "what_cant_be_paid_makes_room_for_what_was_not_in_the_plan",
        Rejection::BudgetShort => "auto_goes_to_what_the_money_pays_for",
        Rejection::NotInPlan => "a_free_plan_has_its_models_and_a_daily_allowance",
        Rejection::Policy => "what_the_policy_gives_no_score_is_excluded_by_it",
        Rejection::NotAllowed
        | Rejection::NotChat
        | Rejection::NotEmbedding
        | Rejection::Dialect
        | Rejection::Unpriced
        | Rejection::Deprecated
        | Rejection::GivenAway
        | Rejection::Context { .. }
        | Rejection::Output { .. }
        | Rejection::Tools
        | Rejection::StructuredOutput
        | Rejection::ImageInput
        | Rejection::AudioInput
        | Rejection::FileInput
        | Rejection::AudioOutput
        | Rejection::Resting { .. }
        | Rejection::Busy { .. }
        | Rejection::RuleDenies { .. }
        | Rejection::RuleAllowsNot { .. }
        | Rejection::Region { .. }
        | Rejection::Retention
        | Rejection::TooDear { .. }
        | Rejection::TooWeak { .. }
        | Rejection::TooSlow { .. } => HERE,
    }
}

#[test]
fn every_reason_has_a_test() {
    let sources = [
        include_str!("tests.rs"),
        include_str!("../../pipeline/decide/tests.rs"),
        include_str!("../../pipeline/reserve/tests.rs"),
        include_str!("../../../../tests/it/routing/rules.rs"),
        include_str!("../../../../tests/it/kept_elsewhere.rs"),
        include_str!("../../../../tests/it/hosted_tools.rs"),
        include_str!("../../../../tests/it/search_price.rs"),
        include_str!("../../../../tests/it/budgets/plans.rs"),
        include_str!("../../../../tests/it/budgets/room.rs"),
        include_str!("../../../../tests/it/budgets/scopes.rs"),
    ];
    let elsewhere = [
        Rejection::Lossy { what: String::new() },
        Rejection::KeptElsewhere,
        Rejection::HostedTool,
        Rejection::SearchUnpriced,
        Rejection::ToolUnpriced,
        Rejection::Budget,
        Rejection::CreditShort,
        Rejection::BudgetShort,
        Rejection::NotInPlan,
        Rejection::Policy,
    ];
    for reason in found_here() {
        assert_eq!(test_of(&reason), HERE, "{reason:?}");
    }
    for reason in &elsewhere {
        let name = format!("fn {}(", test_of(reason));
        assert!(sources.iter().any(|text| text.contains(&name)), "{reason:?} has no {name}");
    }
}

#[test]
fn each_offer_is_out_for_the_one_thing_that_it_lacks() {
    let codes: Vec<&str> = found_here().iter().map(Rejection::code).collect();
    let wanted = [
        "not_allowed",
        "not_chat",
        "not_embedding",
        "other_protocol",
        "unknown_price",
        "deprecated",
        "free_offer",
        "context_too_small",
        "output_too_small",
        "no_tools",
        "no_structured_output",
        "no_image_input",
        "no_audio_input",
        "no_file_input",
        "no_audio_output",
        "resting",
        "busy",
        "denied_by_rule",
        "not_allowed_by_rule",
        "other_region",
        "retains_data",
        "over_cost_ceiling",
        "below_min_quality",
        "over_time_ceiling",
    ];
    assert_eq!(codes, wanted);
    assert!(found_here().iter().all(|reason| !reason.text().is_empty()));
    assert_eq!(check(&able(), &asked(&NEEDS), true, || Gate::Closed), None);
    assert_eq!(check(&able(), &asked(&NEEDS), true, || Gate::HalfOpen), None);
}
