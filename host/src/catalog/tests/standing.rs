//! How the shipped catalogue ranks models: what holds whatever the benchmarks of the day say.

use std::collections::BTreeMap;

use super::*;

/// Tasks with a figure of their own, and one of the others.
const TASKS: [&str; 4] = ["chat", "code", "agent", "data-analysis"];

/// Better than the best measured model of its maker by at most so many thousandths; see
/// `update/relatives.rs`.
const STEP: u16 = 25;

/// Every figure of an offer's model.
fn figures(offer: &Offer) -> [Option<u16>; 4] {
    let it = &offer.quality;
    [Some(it.general_permille), it.code_permille, it.agent_permille, it.data_permille]
}

#[test]
fn nobody_unmeasured_is_much_better_than_the_best_measured_of_its_maker() {
    let catalog = embedded();
    let mut best: BTreeMap<&str, [Option<u16>; 4]> = BTreeMap::new();
    let is_measured =
        |offer: &Offer| offer.like.is_none() && figures(offer).iter().flatten().count() > 1;
    for offer in catalog.offers().iter().filter(|offer| is_measured(offer)) {
        let known = best.entry(&offer.vendor).or_default();
        for (known, figure) in known.iter_mut().zip(figures(offer)) {
            *known = (*known).max(figure);
        }
    }
    let mut compared = 0;
    for offer in catalog.offers().iter().filter(|offer| offer.like.is_some()) {
        let best = best[&*offer.vendor];
        for (figure, best) in figures(offer).into_iter().zip(best) {
            assert!(figure <= best.map(|best| best + STEP), "{}: {figure:?} {best:?}", offer.id);
            compared += 1;
        }
        let like = offer.like.as_deref().unwrap();
        assert_eq!(like.split('/').next(), Some(&*offer.vendor), "{}", offer.id);
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn the_flagship_of_a_generation_is_above_its_smaller_siblings() {
    let catalog = embedded();
    let ladders: [&[&str]; 8] = [
        &["anthropic/claude-fable-5", "anthropic/claude-opus-5", "anthropic/claude-sonnet-5"],
        &["anthropic/claude-opus-4-6", "anthropic/claude-sonnet-4-6"],
        &["anthropic/claude-opus-4-5", "anthropic/claude-sonnet-4-5", "anthropic/claude-haiku-4-5"],
        &["openai/gpt-5.6-sol", "openai/gpt-5.6-terra", "openai/gpt-5.6-luna"],
        &["openai/gpt-5.4-pro", "openai/gpt-5.4", "openai/gpt-5.4-mini", "openai/gpt-5.4-nano"],
        &["google/gemini-3.1-pro-preview", "google/gemini-3.1-flash-lite"],
        &["google/gemini-2.5-pro", "google/gemini-2.5-flash", "google/gemini-2.5-flash-lite"],
        &["deepseek/deepseek-v4-pro", "deepseek/deepseek-v4-flash"],
    ];
    for ladder in ladders {
        for task in TASKS {
            let values = ladder.iter().map(|model| {
                let vendor = model.split('/').next().unwrap();
                let offer = offer(&catalog, &format!("{model}@{vendor}"));
                offer.quality.prior(&TaskDemands::of(task)).value
            });
            let values: Vec<f64> = values.collect();
            assert!(values.is_sorted_by(|a, b| a > b), "{task}: {ladder:?} {values:?}");
        }
    }
}

#[test]
fn a_model_is_as_good_however_quickly_it_is_run() {
    let catalog = embedded();
    let of = |model: &str| {
        let mut offers = catalog.offers().iter().filter(|offer| &*offer.model == model);
        figures(offers.next().unwrap_or_else(|| panic!("no {model}")))
    };
    for (quick, plain) in [
        ("moonshotai/kimi-k2.6-turbo", "moonshotai/kimi-k2.6"),
        ("moonshotai/kimi-k2-thinking-turbo", "moonshotai/kimi-k2-thinking"),
        ("anthropic/claude-opus-4-8-fast", "anthropic/claude-opus-4-8"),
        ("minimax/minimax-m2.5-highspeed", "minimax/minimax-m2.5"),
        ("anthropic/claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"),
        ("google/gemini-3.1-pro-preview-customtools", "google/gemini-3.1-pro-preview"),
    ] {
        assert_eq!(of(quick), of(plain), "{quick}");
    }
}

#[test]
fn being_dearer_or_a_month_younger_makes_nobody_the_best() {
    let catalog = embedded();
    let value = |model: &str, task: &str| {
        let vendor = model.split('/').next().unwrap();
        offer(&catalog, &format!("{model}@{vendor}")).quality.prior(&TaskDemands::of(task)).value
    };
    for task in TASKS {
        // Unmeasured, younger or smaller, before measured flagships.
        for (less, more) in [
            ("anthropic/claude-sonnet-5", "anthropic/claude-opus-4-8"),
            ("openai/gpt-5.3-chat-latest", "openai/gpt-5.4"),
            ("google/gemini-3.5-flash", "openai/gpt-5.4"),
            ("openai/gpt-5.6-luna", "openai/gpt-5.5"),
        ] {
            assert!(value(less, task) < value(more, task), "{task}: {less} {more}");
        }
        // The next of a line is hoped to be the better one.
        assert!(value("anthropic/claude-opus-5", task) > value("anthropic/claude-opus-4-8", task));
        assert!(value("openai/gpt-5.6-sol", task) > value("openai/gpt-5.5", task));
    }
}

#[test]
fn a_price_that_one_secondary_source_has_is_an_estimate_until_somebody_names_it() {
    let catalog = embedded();
    let card = |id: &str| offer(&catalog, id).rates.clone();
    assert!(card("openai/gpt-5.6-sol@openai").is_estimated(false));
    assert!(!card("openai/gpt-5.5@openai").is_estimated(true));
    let claude = card("anthropic/claude-opus-4-8@anthropic");
    assert!(!claude.is_estimated(false) && claude.is_estimated(true), "an hour is by a rule");
    for (named, still) in [("output", false), ("cache-read", true)] {
        let selection = ProviderSelection {
            overrides: vec![OfferOverride {
                model: "gpt-5.6-sol".to_owned(),
                usd_per_million: [(named.to_owned(), "30".to_owned())].into(),
                ..OfferOverride::default()
            }],
            ..select("openai")
        };
        let view = catalog.configured(&[selection]).unwrap();
        let sol = view.offers().iter().find(|it| &*it.upstream_model == "gpt-5.6-sol").unwrap();
        assert_eq!(sol.rates.is_estimated(false), still, "{named}");
    }
}
