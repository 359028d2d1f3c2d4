//! The built-in choice made again by other code, from what is shown of it and nothing else.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, ModelScript};
use turnpike_tests::{ORG, Setup, Stage, chat, instant_script};

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
const WARM: f64 = 0.9;
const WARM_SLACK: f64 = 0.05;
const ESTIMATED_PRICE: f64 = 1.1;
const ZERO_PRICE_SHARE: f64 = 0.25;
/// As the test's stage is configured.
const ATTEMPTS: usize = 5;
/// A model of whose price one secondary source alone knows.
const ESTIMATED: &str = "gpt-5.6-sol";

/// One candidate in the running, as it is shown.
struct Row {
    offer: String,
    score: f64,
    quality: f64,
    price: f64,
    trouble: f64,
    time: f64,
    availability: f64,
    warm: bool,
    estimated: bool,
    preferred: bool,
}

/// What the rows are scored under.
struct Rule<'a> {
    rows: &'a [Row],
    profile: &'a str,
    /// Before a warm conversation's slack, and the organization's own.
    wanted: f64,
    own_floor: f64,
    /// What a price of zero counts as.
    nothing: f64,
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
            let marked = |name: &str| figures[name] == true;
            let (first, tail) = (figure("first_token_ms")?, figure("first_token_p95_ms")?);
            let availability = figure("availability")?.clamp(0.0, 1.0);
            let warm = if marked("warm") { WARM } else { 1.0 };
            let trouble = warm / availability.max(0.01);
            let typical = TYPICAL_TOKENS / figure("tokens_per_second")?.max(1.0) * 1_000.0;
            let load = 1.0 + figure("in_flight")? * 0.01;
            Ok(Row {
                offer: one["offer"].as_str().context("an offer")?.to_owned(),
                score: one["score"].as_f64().context("a score")?,
                quality: figure("quality")?,
                price: figure("expected_cost_usd")?,
                trouble,
                time: (first * 0.7 + tail.max(first) * 0.3 + typical) * trouble * load,
                availability,
                warm: marked("warm"),
                estimated: marked("price_estimated"),
                preferred: marked("preferred"),
            })
        })
        .collect()
}

fn best(rows: &[&Row]) -> f64 {
    rows.iter().map(|row| row.quality).fold(0.0, f64::max)
}

/// How many doublings an amount is away from the least.
fn doublings(all: impl Iterator<Item = f64>, amount: f64) -> f64 {
    (amount / all.fold(f64::INFINITY, f64::min)).max(1.0).log2()
}

/// What a doubling of the cost, one of the time, and 1 of quality count for.
fn shares(profile: &str) -> [f64; 3] {
    if let Some(weights) = profile.strip_prefix("weighted-") {
        let mut of = weights.split('-').filter_map(|share| share.parse::<f64>().ok());
        let mut share = || of.next().unwrap_or_default() / 100.0;
        let [cost, time, quality] = [share(), share(), share() * QUALITY_VALUE];
        return [cost.max(BETWEEN_EQUALS), time, quality.max(BETWEEN_EQUALS)];
    }
    match profile {
        "balanced" => [1.0, 0.0, QUALITY_VALUE],
        "cheap" => [1.0, 0.0, BETWEEN_EQUALS],
        "fast" => [0.15, 0.85, BETWEEN_EQUALS],
        _ => [0.02, 0.0, 10.0],
    }
}

/// How many times the best a warm conversation's offer may come to.
fn warm_times(profile: &str) -> f64 {
    match profile {
        "balanced" => 4.0,
        "cheap" => 1.1,
        "fast" => 1.5,
        "best" => f64::INFINITY,
        _ => 2.0,
    }
}

impl<'a> Rule<'a> {
    fn of(rows: &'a [Row], profile: &'a str, difficulty: f64, own_floor: f64) -> Self {
        let relief = if profile == "cheap" { CHEAP_RELIEF } else { 0.0 };
        let wanted = FLOOR + FLOOR_PER_DIFFICULTY * difficulty - relief;
        let sound: Vec<&Row> = rows.iter().filter(|row| row.availability >= SHAKY).collect();
        let wanted = wanted.min(best(&sound) * OF_BEST);
        let mut rule = Self { rows, profile, wanted, own_floor, nothing: 0.0 };
        let least = |all: bool| {
            let asked = rows.iter().filter(|row| all || rule.clears(row)).map(|row| row.price);
            asked.filter(|price| *price > 0.0).reduce(f64::min)
        };
        rule.nothing = least(false).or(least(true)).unwrap_or(1.0) * ZERO_PRICE_SHARE;
        rule
    }

    fn clears(&self, row: &Row) -> bool {
        let slack = if row.warm { WARM_SLACK } else { 0.0 };
        row.availability >= SHAKY && row.quality >= (self.wanted - slack).max(self.own_floor)
    }

    fn cost(&self, row: &Row) -> f64 {
        let asked = if row.price > 0.0 { row.price } else { self.nothing };
        asked * row.trouble * if row.estimated { ESTIMATED_PRICE } else { 1.0 }
    }

    fn burden(&self, profile: &str, among: &[&Row], row: &Row) -> f64 {
        let [by_cost, by_time, by_quality] = shares(profile);
        by_cost * doublings(among.iter().map(|row| self.cost(row)), self.cost(row))
            + by_time * doublings(among.iter().map(|row| row.time), row.time)
            + by_quality * (best(among) - row.quality)
    }

    /// The scores that the rule gives its rows.
    fn scores(&self) -> Vec<f64> {
        let all: Vec<&Row> = self.rows.iter().collect();
        let clear: Vec<&Row> = all.iter().filter(|row| self.clears(row)).copied().collect();
        let burden = |row: &Row| self.burden(self.profile, &clear, row);
        let least = clear.iter().map(|row| burden(row)).fold(f64::INFINITY, f64::min);
        let most = least + warm_times(self.profile).log2();
        let one_is_preferred = clear.iter().any(|row| row.preferred);
        let stays = |row: &Row| {
            let good = self.profile != "best" || row.quality >= best(&clear) - WARM_SLACK;
            let may = row.preferred || !one_is_preferred;
            row.warm && good && may && burden(row) <= most
        };
        let within = |burden: f64| (1.0 - 1e-6) / (1.0 + burden);
        let score = |row: &Row| match row {
            row if row.availability < SHAKY => {
                let by_aim = within(self.burden(self.profile, &all, row));
                row.availability * 0.9 + by_aim * 0.09
            }
            row if !self.clears(row) => 1.0 + within(self.burden("best", &all, row)),
            row if stays(row) => 4.0 + within(burden(row)),
            row if row.preferred => 3.0 + within(burden(row)),
            row => 2.0 + within(burden(row)),
        };
        self.rows.iter().map(score).collect()
    }
}

/// The order of a plan: the best first, then the best at providers that are not in it yet, but
/// never one of a lower tier before one of a higher; one more elsewhere where all are one's.
fn order(rows: &[Row], length: usize) -> Vec<&str> {
    let provider = |offer: &str| offer.rsplit('@').next().unwrap_or_default().to_owned();
    let mut plan: Vec<&str> = Vec::new();
    while plan.len() < length {
        let left = rows.iter().filter(|row| !plan.contains(&row.offer.as_str()));
        let fresh = |row: &Row| !plan.iter().any(|it| provider(it) == provider(&row.offer));
        let elsewhere = plan.len() >= ATTEMPTS;
        let next = left.filter(|row| !elsewhere || fresh(row)).max_by(|a, b| {
            let (a_place, b_place) = ((a.score.trunc(), fresh(a)), (b.score.trunc(), fresh(b)));
            let by_place = a_place.0.total_cmp(&b_place.0).then(a_place.1.cmp(&b_place.1));
            by_place.then(a.score.total_cmp(&b.score))
        });
        let Some(row) = next else { break };
        plan.push(&row.offer);
    }
    plan
}

/// Checks scores and plan; the rows, for what they have to be like.
fn check(shown: &Value, profile: &str, tolerance: f64) -> Result<Vec<Row>> {
    assert_eq!(shown["objective"]["profile"], profile);
    let rows = rows(shown)?;
    assert!(rows.len() > 2, "{shown:#}");
    let difficulty = shown["task"]["difficulty"].as_f64().context("a difficulty")?;
    let own_floor = shown["objective"]["quality_floor"].as_f64().unwrap_or(0.0);
    let rule = Rule::of(&rows, profile, difficulty, own_floor);
    for (row, score) in rows.iter().zip(rule.scores()) {
        assert!((row.score - score).abs() < tolerance, "{}: {} {score}", row.offer, row.score);
    }
    let planned = plan(shown);
    assert_eq!(order(&rows, planned.len()), planned, "{shown:#}");
    Ok(rows)
}

/// The usual offers, one whose price is an estimate, and one of the operator's own that costs
/// nothing. What is only tried first has no place in an order by scores.
async fn open() -> Result<Stage> {
    let mut script = instant_script();
    let openai = script.providers.iter_mut().find(|it| it.name == "openai").context("openai")?;
    openai.models.push(ModelScript::instant(ESTIMATED, AnswerScript::Echo {}));
    let more_config = "\n[[providers.mistral.offers]]\nid = \"meta/own\"\n\
         upstream_model = \"mistral-large-latest\"\ncontext_tokens = 32000\n\
         output_tokens = 8000\nfree = true\nquality_permille = 700\n";
    let more_config = more_config.to_owned();
    let environment = vec![("TURNPIKE__ROUTING__EXPLORE_ONE_IN", "0")];
    Stage::open_with(Setup { script, more_config, environment, ..Setup::default() }).await
}

/// The dry run under a profile that the header names.
async fn dry_run_under(stage: &Stage, body: &Value, profile: &str) -> Result<Value> {
    let headers = [("x-turnpike-profile", profile)];
    let shown = stage.caller.post("/v1/route", body, &headers).await?;
    Ok(shown.expect_status(200)?.body)
}

#[tokio::test]
async fn scores_and_plan_follow_from_what_is_shown() -> Result<()> {
    let stage = open().await?;
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
        let rows = check(&shown, profile, 1e-9).with_context(|| format!("{model} in advance"))?;
        assert!(rows.iter().any(|row| row.estimated), "a price that is estimated: {shown:#}");
        assert!(rows.iter().any(|row| row.price == 0.0), "one that is zero: {shown:#}");
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        // A record rounds: quality to four digits, times to a tenth of a millisecond.
        check(&explanation, profile, 1e-3).with_context(|| format!("the record of {model}"))?;
    }
    let floored = json!({ "request": chat("auto", "hello"), "rules": [{ "quality_floor": 0.9 }] });
    check(&dry_run(&stage, &floored).await?, "balanced", 1e-9)?;
    Ok(())
}

#[tokio::test]
async fn what_a_rule_prefers_or_weighs_follows_too() -> Result<()> {
    let stage = open().await?;
    let request = chat("auto", "hello");
    for (rule, profile, preferred) in [
        (json!({ "prefer": ["deepseek/*", "meta/*"] }), "balanced", 2),
        (json!({ "weights": { "quality": 7 } }), "weighted-0-0-100", 0),
        (json!({ "weights": { "cost": 1, "speed": 1 } }), "weighted-50-50-0", 0),
    ] {
        let tried = json!({ "request": request, "rules": [rule] });
        let rows = check(&dry_run(&stage, &tried).await?, profile, 1e-9)?;
        assert_eq!(rows.iter().filter(|row| row.preferred).count(), preferred, "{rule}");
    }
    Ok(())
}

/// Where a conversation is warm it stays, or it does not because it is far too dear there: by the
/// same figures.
#[tokio::test]
async fn where_a_conversation_is_warm_follows_too() -> Result<()> {
    let stage = open().await?;
    let turn = |model: &str| {
        let said = |role: &str, content: &str| json!({ "role": role, "content": content });
        let messages = [said("user", "hello"), said("assistant", "hello"), said("user", "and?")];
        json!({ "model": model, "messages": messages })
    };
    let (plain, cheap) = (turn("auto"), turn("auto:cheap"));
    let path = "/v1/chat/completions";
    let headers = [("x-turnpike-profile", "best")];
    stage.caller.post(path, &plain, &headers).await?.expect_status(200)?;
    for (profile, stays) in [("best", true), ("balanced", false), ("cheap", false)] {
        let rows = check(&dry_run_under(&stage, &plain, profile).await?, profile, 1e-9)?;
        let warm: Vec<&Row> = rows.iter().filter(|row| row.warm).collect();
        assert_eq!(warm.len(), 1, "under {profile}");
        assert_eq!(warm[0].score >= 4.0, stays, "{} under {profile}", warm[0].offer);
    }
    let again = stage.caller.post(path, &plain, &headers).await?.expect_status(200)?;
    let record = stage.explanation(ORG, again.request_id()).await?;
    let rows = check(&record, "best", 1e-3).context("the record")?;
    assert!(rows.iter().any(|row| row.warm && row.score >= 4.0), "{record:#}");
    // At one that costs nothing.
    stage.caller.chat(&cheap).await?.expect_status(200)?;
    let rows = check(&dry_run(&stage, &cheap).await?, "cheap", 1e-9)?;
    assert!(rows.iter().any(|row| row.warm && row.price == 0.0 && row.score >= 4.0));
    Ok(())
}
