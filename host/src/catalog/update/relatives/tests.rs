//! Small makers' catalogues, each with one thing that must hold.

use turnpike_ledger::PicoUsd;

use super::*;
use crate::catalog::update::source::Benchmark;

/// A model: name, month of release, cents per million tokens of output, score in SWE-Bench Pro as
/// others measured it.
type Row = (&'static str, &'static str, u128, Option<f64>);

fn priors_of(rows: &[Row]) -> BTreeMap<String, Estimate> {
    let mut all = BTreeMap::new();
    for (name, released, cents, score) in rows {
        let mut evidence = Evidence {
            released: (!released.is_empty()).then(|| (*released).to_owned()),
            output_price: Some(PicoUsd(cents * 10_000)),
            reasoning: true,
            ..Evidence::default()
        };
        if let Some(score) = *score {
            let source = Some("https://labs.scale.com/leaderboard".to_owned());
            evidence.scores.add(&Benchmark { name: "SWE-Bench Pro".to_owned(), score, source });
        }
        all.insert((*name).to_owned(), evidence);
    }
    let priors = priors(&all).unwrap();
    priors.into_iter().map(|(name, estimate)| (name.to_owned(), estimate)).collect()
}

/// Code where something is known of it, else general work.
fn code(of: &Estimate) -> u16 {
    of.fields[0].unwrap_or(of.general)
}

#[test]
fn being_measured_never_lowers_a_model_beside_its_twin() {
    for score in [5.0, 30.0, 60.0, 80.0] {
        let rows = [
            ("openai/gpt-7-x", "2026-03-01", 1400, Some(score)),
            ("openai/gpt-7-y", "2026-03-01", 1400, None),
        ];
        let priors = priors_of(&rows);
        let (known, hoped_for) = (&priors["openai/gpt-7-x"], &priors["openai/gpt-7-y"]);
        assert!(code(known) > code(hoped_for), "{score}: {priors:?}");
        assert!(known.general > hoped_for.general, "{score}: {priors:?}");
        assert_eq!(hoped_for.like.as_deref(), Some("openai/gpt-7-x"));
        assert_eq!(known.like, None);
    }
}

#[test]
fn nobody_unmeasured_is_much_better_than_the_best_measured_of_its_maker() {
    let rows = [
        ("moonshotai/kimi-k2.6", "2026-04-01", 400, Some(27.0)),
        // Dear, new and of another generation.
        ("moonshotai/kimi-k3", "2027-04-01", 6000, None),
    ];
    let priors = priors_of(&rows);
    let [known, new] = rows.map(|(name, ..)| &priors[name]);
    assert!(code(new) > code(known), "{priors:?}");
    assert!(i64::from(code(new)) <= i64::from(code(known)) + STEP, "{priors:?}");
}

#[test]
fn the_next_generation_is_a_little_better_though_nobody_measured_it() {
    let rows = [
        ("anthropic/claude-opus-4-8", "2026-05-28", 2500, Some(69.0)),
        ("anthropic/claude-opus-5", "", 2500, None),
        ("anthropic/claude-opus-4-1", "2025-08-05", 7500, None),
    ];
    let priors = priors_of(&rows);
    let [known, next, before] = rows.map(|(name, ..)| code(&priors[name]));
    // Nobody says when it came out; that it is the next one says enough.
    assert!(before < known && known < next, "{priors:?}");
}

#[test]
fn of_one_generation_the_flagship_is_the_best() {
    let rows = [
        ("anthropic/claude-opus-4-8", "2026-05-28", 2500, Some(69.0)),
        ("anthropic/claude-sonnet-4-6", "2026-02-17", 1500, Some(50.0)),
        ("anthropic/claude-fable-5", "2026-06-09", 5000, None),
        ("anthropic/claude-opus-5", "2026-05-28", 2500, None),
        // Younger than its larger sisters, and at the price of a flagship.
        ("anthropic/claude-sonnet-5", "2026-06-30", 2500, None),
        ("anthropic/claude-haiku-5", "2026-06-30", 2500, None),
        // Somebody measured the small one of this generation better than the large one.
        ("google/gemini-7-pro", "2026-06-30", 1200, Some(40.0)),
        ("google/gemini-7-flash", "2026-06-30", 300, Some(70.0)),
        ("google/gemini-7-flash-lite", "2026-06-30", 40, None),
        // And of this one, the small one alone.
        ("openai/gpt-8-mini", "2026-06-30", 300, Some(70.0)),
        ("openai/gpt-8", "2026-06-30", 300, None),
    ];
    let priors = priors_of(&rows);
    let by_rank = |names: &[&str]| {
        let figures: Vec<u16> = names.iter().map(|name| code(&priors[*name])).collect();
        let general: Vec<u16> = names.iter().map(|name| priors[*name].general).collect();
        for figures in [figures, general] {
            assert!(figures.is_sorted_by(|a, b| *a >= *b + 10), "{names:?} {figures:?}");
        }
    };
    let claude = ["fable", "opus", "sonnet", "haiku"].map(|it| format!("anthropic/claude-{it}-5"));
    by_rank(&claude.each_ref().map(|it| &**it));
    let gemini = ["pro", "flash", "flash-lite"].map(|it| format!("google/gemini-7-{it}"));
    by_rank(&gemini.each_ref().map(|it| &**it));
    by_rank(&["openai/gpt-8", "openai/gpt-8-mini"]);
    assert!(priors["openai/gpt-8-mini"].like.is_none(), "who was measured stands");
}

#[test]
fn the_same_weights_are_worth_the_same_at_any_speed_and_price() {
    let rows = [
        ("moonshotai/kimi-k2.6", "2026-04-21", 400, Some(27.0)),
        ("moonshotai/kimi-k2.6-turbo", "2026-06-17", 1600, None),
        ("moonshotai/kimi-k2.6-fast", "2026-06-17", 800, None),
        ("moonshotai/kimi-k2.6:free", "", 0, None),
        ("anthropic/claude-haiku-4-5", "2025-10-15", 500, None),
        // The score is known of one of its names.
        ("anthropic/claude-haiku-4-5-20251001", "2025-10-15", 500, Some(39.0)),
    ];
    let priors = priors_of(&rows);
    let [kimi, turbo, fast, free, haiku, dated] = rows.map(|(name, ..)| &priors[name]);
    assert!([turbo, fast, free].into_iter().all(|it| it == kimi), "{priors:?}");
    assert_eq!(haiku, dated);
    assert!(haiku.like.is_none() && haiku.fields[0].is_some(), "{priors:?}");
}

#[test]
fn a_later_generation_is_at_least_what_the_one_before_was() {
    let rows = [
        ("openai/gpt-5", "2025-08-07", 1000, Some(60.0)),
        ("openai/gpt-5.2", "2025-12-11", 1400, Some(20.0)),
        ("openai/gpt-5.4", "2026-03-05", 1500, Some(64.0)),
    ];
    let priors = priors_of(&rows);
    let [first, second, third] = rows.map(|(name, ..)| code(&priors[name]));
    assert!(second == first && third > second, "{priors:?}");
}

#[test]
fn a_maker_of_whom_nothing_was_measured_is_doubted() {
    let rows = [
        ("xai/grok-4.5", "2026-06-01", 600, None),
        ("mistral/mistral-9", "2026-06-01", 600, Some(60.0)),
    ];
    let priors = priors_of(&rows);
    let alone = &priors["xai/grok-4.5"];
    assert_eq!((alone.fields, &alone.like), ([None; 3], &None));
    assert!(alone.general < priors["mistral/mistral-9"].general, "{priors:?}");
}

#[test]
fn what_was_trained_for_code_is_worth_less_elsewhere() {
    let rows = [
        ("openai/gpt-6", "2026-03-05", 1500, Some(60.0)),
        ("openai/gpt-6-codex", "2026-03-05", 1500, Some(60.0)),
    ];
    let priors = priors_of(&rows);
    let [plain, codex] = rows.map(|(name, ..)| &priors[name]);
    assert_eq!(code(plain), code(codex));
    assert!(plain.general > codex.general);
}
