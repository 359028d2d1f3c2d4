//! The built-in choice made again by other code, from what is shown of it and nothing else.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage, chat};

use super::{dry_run, plan};

/// The rule's numbers, as docs/routing.md has them.
const FLOOR: f64 = 0.48;
const FLOOR_PER_DIFFICULTY: f64 = 0.5;
const QUALITY_VALUE: f64 = 5.0;
const CHEAP_RELIEF: f64 = 0.15;
const OF_BEST: f64 = 0.97;
const TYPICAL_TOKENS: f64 = 300.0;
const SHAKY: f64 = 0.5;
const BETWEEN_EQUALS: f64 = 1e-5;

/// One candidate in the running, as it is shown.
struct Row {
    offer: String,
    score: f64,
    quality: f64,
    cost: f64,
    time: f64,
    availability: f64,
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn rows(shown: &Value) -> Result<Vec<Row>> {
    let candidates = shown["candidates"].as_array().context("candidates")?;
    let scored = candidates.iter().filter(|one| one["score"].is_number());
    scored
        .map(|one| {
            let figures = &one["figures"];
            let figure = |name: &str| {
                let own = number(&figures[name]).or_else(|| number(&one[name]));
                own.with_context(|| format!("{name} of {one}"))
            };
            let (first, tail) = (figure("first_token_ms")?, figure("first_token_p95_ms")?);
            let availability = figure("availability")?.clamp(0.0, 1.0);
            let trouble = 1.0 / availability.max(0.01);
            let typical = TYPICAL_TOKENS / figure("tokens_per_second")?.max(1.0) * 1_000.0;
            let load = 1.0 + figure("in_flight")? * 0.01;
            Ok(Row {
                offer: one["offer"].as_str().context("an offer")?.to_owned(),
                score: one["score"].as_f64().context("a score")?,
                quality: figure("quality")?,
                cost: figure("expected_cost_usd")? * trouble,
                time: (first * 0.7 + tail.max(first) * 0.3 + typical) * trouble * load,
                availability,
            })
        })
        .collect()
}

/// How many doublings a row is away from the least.
fn doublings(rows: &[&Row], of: fn(&Row) -> f64, row: &Row) -> f64 {
    let least = rows.iter().map(|row| of(row)).fold(f64::INFINITY, f64::min);
    (of(row) / least).max(1.0).log2()
}

/// The scores that the rule gives these rows.
fn scores(rows: &[Row], profile: &str, difficulty: f64, own_floor: f64) -> Vec<f64> {
    let relief = if profile == "cheap" { CHEAP_RELIEF } else { 0.0 };
    let wanted = FLOOR + FLOOR_PER_DIFFICULTY * difficulty - relief;
    let sound: Vec<&Row> = rows.iter().filter(|row| row.availability >= SHAKY).collect();
    let best = |rows: &[&Row]| rows.iter().map(|row| row.quality).fold(0.0, f64::max);
    let floor = wanted.min(best(&sound) * OF_BEST).max(own_floor);
    let clear: Vec<&Row> = sound.iter().filter(|row| row.quality >= floor).copied().collect();
    let all: Vec<&Row> = rows.iter().collect();
    let burden = |profile: &str, rows: &[&Row], row: &Row| {
        let [by_cost, by_time, by_quality] = match profile {
            "balanced" => [1.0, 0.0, QUALITY_VALUE],
            "cheap" => [1.0, 0.0, BETWEEN_EQUALS],
            "fast" => [0.15, 0.85, BETWEEN_EQUALS],
            _ => [0.02, 0.0, 10.0],
        };
        by_cost * doublings(rows, |row| row.cost, row)
            + by_time * doublings(rows, |row| row.time, row)
            + by_quality * (best(rows) - row.quality)
    };
    let within = |burden: f64| (1.0 - 1e-6) / (1.0 + burden);
    let score = |row: &Row| match row {
        row if row.availability < SHAKY => {
            row.availability * 0.9 + within(burden(profile, &all, row)) * 0.09
        }
        row if row.quality < floor => 1.0 + within(burden("best", &all, row)),
        row => 2.0 + within(burden(profile, &clear, row)),
    };
    rows.iter().map(score).collect()
}

/// The order of a plan: the best first, then the best at providers that are not in it yet, but
/// never one of a lower tier before one of a higher.
fn order(rows: &[Row], length: usize) -> Vec<&str> {
    let provider = |offer: &str| offer.rsplit('@').next().unwrap_or_default().to_owned();
    let mut plan: Vec<&str> = Vec::new();
    while plan.len() < length {
        let left = rows.iter().filter(|row| !plan.contains(&row.offer.as_str()));
        let fresh = |row: &Row| !plan.iter().any(|it| provider(it) == provider(&row.offer));
        let next = left.max_by(|a, b| {
            let (a_place, b_place) = ((a.score.trunc(), fresh(a)), (b.score.trunc(), fresh(b)));
            let by_place = a_place.0.total_cmp(&b_place.0).then(a_place.1.cmp(&b_place.1));
            by_place.then(a.score.total_cmp(&b.score))
        });
        let Some(row) = next else { break };
        plan.push(&row.offer);
    }
    plan
}

fn check(shown: &Value, profile: &str, tolerance: f64) -> Result<()> {
    let rows = rows(shown)?;
    assert!(rows.len() > 2, "{shown:#}");
    let difficulty = shown["task"]["difficulty"].as_f64().context("a difficulty")?;
    let own_floor = shown["objective"]["quality_floor"].as_f64().unwrap_or(0.0);
    for (row, score) in rows.iter().zip(scores(&rows, profile, difficulty, own_floor)) {
        assert!((row.score - score).abs() < tolerance, "{}: {} {score}", row.offer, row.score);
    }
    let planned = plan(shown);
    assert_eq!(order(&rows, planned.len()), planned, "{shown:#}");
    Ok(())
}

#[tokio::test]
async fn scores_and_plan_follow_from_what_is_shown() -> Result<()> {
    let stage = Stage::open().await?;
    let text = "Prove that the square root of two is irrational, then write it as a Coq proof.";
    for (model, profile) in [
        ("auto", "balanced"),
        ("auto:cheap", "cheap"),
        ("auto:fast", "fast"),
        ("auto:best", "best"),
    ] {
        // The first answers give the live figures something to say.
        let answer = stage.caller.chat(&chat(model, text)).await?.expect_status(200)?;
        let shown = dry_run(&stage, &chat(model, text)).await?;
        assert_eq!(shown["objective"]["profile"], profile);
        check(&shown, profile, 1e-9).with_context(|| format!("the dry run of {model}"))?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        // A record rounds: quality to four digits, times to a tenth of a millisecond.
        check(&explanation, profile, 1e-3).with_context(|| format!("the record of {model}"))?;
    }
    let floored = json!({ "request": chat("auto", "hello"), "rules": [{ "quality_floor": 0.9 }] });
    check(&dry_run(&stage, &floored).await?, "balanced", 1e-9)
}
