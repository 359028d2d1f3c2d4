//! What a caller asks of one request in headers: how much it may be expected to cost, and how good
//! an offer has to be. They hold beside the organization's rules and loosen none.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage, chat, pico};

use super::{add_rule, plan, reason};

const COST: &str = "x-turnpike-max-cost-usd";
const QUALITY: &str = "x-turnpike-min-quality";

async fn shown(stage: &Stage, body: &Value, headers: &[(&str, &str)]) -> Result<Value> {
    Ok(stage.caller.post("/v1/route", body, headers).await?.expect_status(200)?.body)
}

/// The candidates of a dry run that are in the running, and those that are out for that reason.
fn parted<'a>(shown: &'a Value, code: &str) -> Result<[Vec<&'a Value>; 2]> {
    let all = shown["candidates"].as_array().context("candidates")?;
    let running = all.iter().filter(|one| one["reason_code"].is_null());
    let out = all.iter().filter(|one| one["reason_code"] == code);
    Ok([running.collect(), out.collect()])
}

fn cost(candidate: &Value) -> Result<u128> {
    pico(candidate["expected_cost_usd"].as_str().context("a cost")?)
}

#[tokio::test]
async fn what_costs_more_than_the_caller_allows_is_out() -> Result<()> {
    let stage = Stage::open().await?;
    let body = chat("auto", "Prove that there are infinitely many primes.");
    let [usual, _] = parted(&shown(&stage, &body, &[]).await?, "")?.map(|all| all.len());
    let free = shown(&stage, &body, &[(COST, "0.002")]).await?;
    let [running, out] = parted(&free, "over_cost_ceiling")?;
    assert!(!running.is_empty() && running.len() + out.len() == usual, "{free:#}");
    for one in running {
        assert!(cost(one)? <= 2_000_000_000, "{one:#}");
    }
    assert_eq!(free["objective"]["cost_ceiling_usd"], json!(0.002), "{free:#}");
    // A rule's ceiling stays where the caller's is higher.
    add_rule(&stage, &json!({ "cost_ceiling_usd": "0.000001" })).await?;
    let ruled = shown(&stage, &body, &[(COST, "100")]).await?;
    assert!(plan(&ruled).is_empty(), "{ruled:#}");
    assert_eq!(reason(&ruled, "openai/gpt-5.4@"), "over_cost_ceiling");
    let named = [(COST, "100")];
    let path = "/v1/chat/completions";
    let refused = stage.caller.post(path, &chat("openai/gpt-5.4", "hi"), &named).await?;
    refused.expect_status(422)?;
    Ok(())
}

#[tokio::test]
async fn what_is_not_good_enough_for_the_caller_is_out() -> Result<()> {
    let stage = Stage::open().await?;
    let body = chat("auto", "hello");
    let [usual, _] = parted(&shown(&stage, &body, &[]).await?, "")?.map(|all| all.len());
    let good = shown(&stage, &body, &[(QUALITY, "0.8")]).await?;
    let [running, out] = parted(&good, "below_min_quality")?;
    assert!(!running.is_empty() && !out.is_empty(), "{good:#}");
    assert_eq!(running.len() + out.len(), usual, "{good:#}");
    for (all, above) in [(running, true), (out, false)] {
        for one in all {
            let quality = one["quality"].as_f64().context("a quality")?;
            assert_eq!(quality >= 0.8, above, "{one:#}");
        }
    }
    let headers = [(QUALITY, "0.8")];
    let path = "/v1/chat/completions";
    let answer = stage.caller.post(path, &body, &headers).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["plan"][0], plan(&good)[0], "the request goes where it was said");
    Ok(())
}

#[tokio::test]
async fn limits_are_refused_in_the_callers_protocol() -> Result<()> {
    let stage = Stage::open().await?;
    let said = json!([{ "role": "user", "content": "hello" }]);
    let bodies = [
        ("/v1/chat/completions", json!({ "model": "auto", "messages": said })),
        ("/v1/responses", json!({ "model": "auto", "input": "hello" })),
        ("/v1/messages", json!({ "model": "auto", "max_tokens": 9, "messages": said })),
        (
            "/v1beta/models/auto:generateContent",
            json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }] }),
        ),
    ];
    for (path, body) in bodies {
        for (headers, status, words) in [
            ([(QUALITY, "1")], 422, ", is below the 1 that the request asks for"),
            ([(QUALITY, "0.999")], 422, "; lower x-turnpike-min-quality"),
            ([(COST, "0.000000000001")], 422, "over the ceiling of 0.000000000001 USD"),
            ([(COST, "0.000000000001")], 422, "; raise the ceiling (x-turnpike-max-cost-usd"),
            ([(QUALITY, "best")], 400, "x-turnpike-min-quality is a number from 0 to 1"),
            ([(COST, "0")], 400, "x-turnpike-max-cost-usd is an amount in US dollars"),
        ] {
            let refused = stage.caller.post(path, &body, &headers).await?.expect_status(status)?;
            let message = refused.body["error"]["message"].as_str().context("a message")?;
            assert!(message.contains(words), "{path}: {message}");
            let error = &refused.body["error"];
            match path {
                "/v1/messages" => assert_eq!(error["type"], "invalid_request_error"),
                path if path.starts_with("/v1beta") => assert_eq!(error["code"], status),
                _ if status == 400 => assert_eq!(error["code"], "invalid_limit"),
                _ => assert_eq!(error["code"], "no_suitable_model"),
            }
        }
    }
    assert!(stage.simulator.all_requests().is_empty());
    Ok(())
}

/// Who is refused by a figure hears of those that came nearest, and of a limit in the words of its
/// own dialect.
#[tokio::test]
async fn who_came_nearest_is_named_first() -> Result<()> {
    let stage = Stage::open().await?;
    let body = chat("auto", "hello");
    let ceiling = [(COST, "0.0000000001")];
    let out = shown(&stage, &body, &ceiling).await?;
    let [running, dear] = parted(&out, "over_cost_ceiling")?;
    assert!(running.is_empty() && dear.len() > 3, "{out:#}");
    let costs = dear.iter().map(|one| cost(one)).collect::<Result<Vec<_>>>()?;
    let least = costs.iter().min().context("a candidate")?;
    let cheapest = dear.iter().zip(&costs).filter(|(_, cost)| *cost == least);
    let cheapest: Vec<&str> = cheapest.filter_map(|(one, _)| one["offer"].as_str()).collect();
    let message = out["refused"]["message"].as_str().context("a message")?;
    let told = message.strip_prefix("no model can take this request: ").context("reasons")?;
    assert!(cheapest.iter().any(|offer| told.starts_with(offer)), "{cheapest:?}: {message}");
    assert!(message.contains(&format!("{} other", dear.len() - 3)), "{message}");
    assert!(message.contains("set a lower max_tokens"), "{message}");
    let spoken = json!({ "model": "auto", "input": "hello" });
    let refused = stage.caller.post("/v1/responses", &spoken, &ceiling).await?;
    let refused = refused.expect_status(422)?;
    assert!(refused.text.contains("set a lower max_output_tokens"), "{}", refused.text);
    add_rule(&stage, &json!({ "name": "nothing", "deny": ["*"] })).await?;
    let refused = stage.caller.chat(&body).await?.expect_status(422)?;
    let message = refused.body["error"]["message"].as_str().context("a message")?;
    assert!(message.contains(": all "), "{message}");
    assert_eq!(message.matches("denies it").count(), 1, "{message}");
    assert!(message.ends_with("an administrator of the organization can change its rules"));
    Ok(())
}
