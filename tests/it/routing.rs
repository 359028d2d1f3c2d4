//! How a choice is made and can be moved: the dry run, an organization's rules, classes of data,
//! several credentials, ratings; and that the choice can be made again from what is shown of it.

mod blame;
mod by_hand;
mod cost;
mod credentials;
mod exploration;
mod free;
mod limits;
mod names;
mod rules;
mod thinking;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{Failure, Rule};
use turnpike_tests::{Answered, ORG, Stage, chat};

/// The plan for a body, without running it.
async fn dry_run(stage: &Stage, body: &Value) -> Result<Value> {
    let answer = stage.caller.call(Method::POST, "/v1/route", Some(body)).await?;
    Ok(answer.expect_status(200)?.body)
}

fn plan(shown: &Value) -> Vec<&str> {
    let plan = shown["plan"].as_array().map(Vec::as_slice).unwrap_or_default();
    plan.iter().filter_map(Value::as_str).collect()
}

/// The code of a candidate's rejection; empty where it has none.
fn reason<'a>(shown: &'a Value, offer: &str) -> &'a str {
    let all = shown["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|one| one["offer"].as_str().is_some_and(|it| it.contains(offer)));
    found.and_then(|one| one["reason_code"].as_str()).unwrap_or_default()
}

/// Checks that each reason speaks of the figures of the candidate that it stands at; how many do.
fn reasons_of_their_own(shown: &Value) -> Result<usize> {
    let all = shown["candidates"].as_array().context("candidates")?;
    let number = |text: &str| {
        let digits = text.chars().take_while(|c| *c == '.' || c.is_ascii_digit());
        let digits: String = digits.collect();
        digits.trim_end_matches('.').parse::<f64>().context("a number in a reason")
    };
    let mut told = 0;
    for one in all {
        let reason = one["reason"].as_str().unwrap_or_default();
        if let Some((_, quality)) = reason.split_once("quality ") {
            let own = one["quality"].as_f64().context("a quality")?;
            assert!((number(quality)? - own).abs() < 0.006, "another row's reason: {one}");
            told += 1;
        }
        if let Some((_, cost)) = reason.split_once("expected cost $") {
            let own: f64 = one["expected_cost_usd"].as_str().context("a cost")?.parse()?;
            assert!((number(cost)? - own).abs() < 1e-8, "another row's reason: {one}");
        }
    }
    Ok(told)
}

async fn add_rule(stage: &Stage, rule: &Value) -> Result<Answered> {
    let path = format!("/orgs/{ORG}/rules");
    stage.operate(Method::POST, &path, Some(rule)).await?.expect_status(201)
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_leaves_nothing_behind() -> Result<()> {
    let stage = Stage::open().await?;
    let before = stage.balance(ORG).await?;
    let mut body = chat("auto", "Write a Rust function that sorts a vector of integers.");
    body["max_tokens"] = json!(64);
    let shown = dry_run(&stage, &body).await?;
    assert_eq!(shown["task"]["task"], "code", "{shown:#}");
    assert!(!plan(&shown).is_empty() && shown["refused"].is_null(), "{shown:#}");
    let first = plan(&shown)[0].to_owned();
    for what in ["expected_cost_usd", "worst_case_cost_usd"] {
        assert!(shown[what].is_string(), "{what}: {shown:#}");
    }
    let second = &shown["second_best"];
    assert!(second["offer"].is_string() && second["difference_usd"].is_string(), "{shown:#}");
    assert_ne!(second["offer"], first.as_str());
    let candidates = shown["candidates"].as_array().context("candidates")?;
    for candidate in candidates {
        let why = candidate["reason"].is_string() || candidate["rejected"].is_string();
        assert!(why, "neither the policy's reason nor a rejection: {candidate}");
    }
    assert!(reasons_of_their_own(&shown)? > 1, "{shown:#}");
    assert_eq!(stage.balance(ORG).await?, before, "nothing is held");
    assert!(stage.simulator.all_requests().is_empty(), "nobody is asked");
    let asked = stage.caller.chat(&body).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, asked.request_id()).await?;
    assert_eq!(explanation["plan"][0], first.as_str(), "the request goes where it was said");
    assert_eq!(explanation["hold_usd"], shown["worst_case_cost_usd"], "and holds what was said");
    let listed = stage.operate(Method::GET, &format!("/orgs/{ORG}/requests"), None).await?;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(1), "{}", listed.text);
    Ok(())
}

/// Money that does for some of the offers only: the others were scored all the same.
#[tokio::test]
async fn reasons_stand_at_their_own_rows_where_money_rules_some_out() -> Result<()> {
    let mut stage = Stage::open().await?;
    stage.caller = stage.add_org("poor", "0.002").await?;
    for model in ["auto:best", "auto"] {
        let shown = dry_run(&stage, &chat(model, "Prove that 91 is no prime.")).await?;
        let all = shown["candidates"].as_array().context("candidates")?;
        let too_dear = all.iter().filter(|one| one["reason_code"] == "credit_short").count();
        assert!(model == "auto" || too_dear > 0, "{shown:#}");
        assert!(!plan(&shown).is_empty(), "{shown:#}");
        assert!(reasons_of_their_own(&shown)? > too_dear, "{shown:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_dry_run_takes_the_body_of_any_dialect_and_refuses_what_is_none() -> Result<()> {
    let stage = Stage::open().await?;
    let said = [json!({ "role": "user", "content": "hello" })];
    let parts = json!([{ "role": "user", "parts": [{ "text": "hello" }] }]);
    for (body, dialect) in [
        (json!({ "model": "auto", "messages": said }), "openai-chat"),
        (json!({ "model": "auto", "input": "hello" }), "openai-responses"),
        (
            json!({ "model": "auto", "system": "x", "messages": said, "max_tokens": 9 }),
            "anthropic-messages",
        ),
        (json!({ "request": { "contents": parts }, "model": "auto" }), "gemini"),
    ] {
        let shown = dry_run(&stage, &body).await?;
        assert_eq!(shown["dialect"], dialect, "{shown:#}");
        assert!(!plan(&shown).is_empty(), "{dialect}: {shown:#}");
    }
    let call = |body: Value| async move {
        stage.caller.call(Method::POST, "/v1/route", Some(&body)).await
    };
    let refused = call(json!({ "model": "no-such-model", "messages": said })).await?;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (404, &json!("model_not_found")));
    Ok(())
}

#[tokio::test]
async fn that_nobody_can_take_it_is_an_answer_too() -> Result<()> {
    let stage = Stage::open().await?;
    let tried = json!({ "request": chat("auto", "hello"), "rules": [{ "deny": ["*"] }] });
    let shown = dry_run(&stage, &tried).await?;
    assert_eq!(shown["refused"]["status"], 422, "{shown:#}");
    assert!(plan(&shown).is_empty() && shown["expected_cost_usd"].is_null(), "{shown:#}");
    assert_eq!(reason(&shown, "gpt-5.4@"), "denied_by_rule");
    let nobody = turnpike_tests::Caller::new(&stage.gateway()?.data_url, "tp-wrong");
    let answer = nobody.call(Method::POST, "/v1/route", Some(&tried)).await?;
    assert_eq!(answer.status, 401);
    Ok(())
}

/// A rating moves what is believed of a model a little, once, and only for whom it answered.
#[tokio::test]
async fn an_answer_is_rated_once_by_the_key_that_got_it() -> Result<()> {
    let mut stage = Stage::open().await?;
    let answer = stage.caller.chat(&chat("auto", "hello there")).await?.expect_status(200)?;
    let id = answer.request_id().to_owned();
    let rating = json!({ "request_id": id, "label": "bad" });
    let other = stage.add_key(ORG, &json!({ "name": "other" })).await?;
    let rate = "/v1/feedback";
    assert_eq!(other.call(Method::POST, rate, Some(&rating)).await?.status, 404);
    let rated = stage.caller.call(Method::POST, rate, Some(&rating)).await?.expect_status(200)?;
    let correction = rated.body["correction"].as_f64().context("a correction")?;
    assert!((-0.1..0.0).contains(&correction), "{}", rated.text);
    let again = stage.caller.call(Method::POST, rate, Some(&rating)).await?;
    assert_eq!((again.status, &again.body["error"]["code"]), (409, &json!("already_rated")));
    let model = rated.body["model"].as_str().context("a model")?.to_owned();
    stage.restart().await?;
    let page = stage.operate(Method::GET, &format!("/models/{model}"), None).await?;
    let page = page.expect_status(200)?.body;
    assert_eq!(page["ratings"][0]["org"], ORG, "it is kept: {page:#}");
    let again = stage.caller.call(Method::POST, rate, Some(&rating)).await?;
    assert_eq!(again.status, 409, "also that it was rated");
    Ok(())
}

/// A provider that goes down: the breaker keeps it out, a probe brings it back, and nobody pays for
/// what failed.
#[tokio::test]
async fn a_provider_that_is_down_is_left_alone_and_comes_back() -> Result<()> {
    let environment = vec![
        ("TURNPIKE__ROUTING__BREAKER_FAILURES", "2"),
        ("TURNPIKE__ROUTING__BREAKER_OPEN_MS", "5000"),
    ];
    let stage =
        Stage::open_with(turnpike_tests::Setup { environment, ..Default::default() }).await?;
    let body = chat("auto", "What is the capital of France?");
    let first = stage.caller.chat(&body).await?.expect_status(200)?;
    let provider = first.header("x-turnpike-provider").to_owned();
    // It stays the favourite, whatever is learnt of costs meanwhile.
    let rule = json!({ "prefer": [format!("*@{provider}")] });
    let rules = format!("/orgs/{ORG}/rules");
    stage.operate(Method::POST, &rules, Some(&rule)).await?.expect_status(201)?;
    stage.simulator.fail(&provider, &[Rule::always(Failure::status(503))])?;
    let before = stage.settled_balance(ORG).await?;
    let mut paid = 0;
    for _ in 0..4 {
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        assert_ne!(answer.header("x-turnpike-provider"), provider);
        paid += turnpike_tests::pico(answer.header("x-turnpike-cost-usd"))?;
    }
    let after = stage.settled_balance(ORG).await?;
    assert_eq!(before.available - after.available, paid, "failed attempts cost nothing");
    let shown = dry_run(&stage, &body).await?;
    let all = shown["candidates"].as_array().context("candidates")?;
    let rests = |one: &&Value| one["reason_code"] == "resting";
    assert!(all.iter().filter(rests).count() > 0, "{shown:#}");
    let offers = stage.operate(Method::GET, "/offers", None).await?.expect_status(200)?.body;
    let offers = offers["items"].as_array().context("offers")?.clone();
    assert!(offers.iter().any(|one| one["live"]["state"] == "resting"), "{offers:#?}");
    let metrics = stage.metrics().await?;
    let open = |provider: &str, figure: &str| {
        let of = |line: &&str| line.starts_with("turnpike_offer_open{") && line.contains(provider);
        metrics.lines().filter(of).any(|line| line.ends_with(figure))
    };
    let server = format!("provider=\"{provider}\"");
    assert!(open(&server, " 0") && open("", " 1"), "{metrics}");
    let charged = metrics.lines().find(|line| line.starts_with("turnpike_cost_usd_total{"));
    assert!(charged.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
    stage.simulator.fail(&provider, &[])?;
    let back = async {
        loop {
            let answer = stage.caller.chat(&body).await?.expect_status(200)?;
            if answer.header("x-turnpike-provider") == provider {
                return anyhow::Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(90), back).await.context("never back")?
}

/// Pitfall 49: who is slow to begin a stream under `fast` gets a rival; one of them is paid, and
/// the other is cancelled.
#[tokio::test]
async fn a_slow_beginning_gets_a_rival_and_only_the_winner_is_paid() -> Result<()> {
    let environment = vec![("TURNPIKE__ROUTING__HEDGE_MS", "150")];
    let stage =
        Stage::open_with(turnpike_tests::Setup { environment, ..Default::default() }).await?;
    let body = chat("auto:fast", "hello there");
    let first = stage.caller.chat(&body).await?.expect_status(200)?;
    assert_eq!(first.header("x-turnpike-attempts"), "1", "nobody is slow");
    let slow = first.header("x-turnpike-provider").to_owned();
    stage.simulator.fail(&slow, &[Rule::always(Failure::HangBeforeHeaders)])?;
    let before = stage.settled_balance(ORG).await?;
    let mut answer = stage.caller.stream(&body).await?;
    answer.read().await?;
    assert!(answer.done && !answer.broken);
    let explanation = stage.explanation(ORG, &answer.request_id).await?;
    let attempts = explanation["attempts"].as_array().context("attempts")?;
    let outcomes: Vec<&str> = attempts.iter().filter_map(|it| it["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["cancelled", "answered"], "{explanation:#}");
    let loser = attempts[0]["offer"].as_str().context("an offer")?;
    assert!(loser.ends_with(&format!("@{slow}")), "{loser}");
    let after = stage.settled_balance(ORG).await?;
    let paid = turnpike_tests::pico(explanation["cost_usd"].as_str().context("a cost")?)?;
    assert_eq!(before.available - after.available, paid, "the winner alone is paid");
    Ok(())
}
