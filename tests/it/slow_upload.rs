//! A request that is sent slowly: what is held for it is held from when it is there, not from when
//! it began, or else it would be over before the answer is.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use turnpike_tests::{ORG, PROVIDERS, Stage, chat};

/// Between the halves of the body.
const PAUSE: Duration = Duration::from_millis(1500);
/// Slow enough that the hold can be looked at while it is answered.
const TOKENS_PER_SECOND: u64 = 20;

#[tokio::test]
async fn what_is_held_counts_from_when_the_request_is_whole() -> Result<()> {
    let stage = Stage::open().await?;
    for (provider, models) in PROVIDERS {
        for model in models {
            let slow = |model: &mut turnpike_simulate::ModelScript| {
                model.tokens_per_second = TOKENS_PER_SECOND;
            };
            stage.simulator.change(provider, model, slow)?;
        }
    }
    let text = "one two three four five six seven eight nine ten ".repeat(4);
    let body = serde_json::to_vec(&chat("auto", &text))?;
    let url = &stage.gateway()?.data_url;
    let mut caller = TcpStream::connect(url.trim_start_matches("http://")).await?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        stage.caller.key(),
        body.len()
    );
    let (first, rest) = body.split_at(body.len() / 2);
    caller.write_all(head.as_bytes()).await?;
    caller.write_all(first).await?;
    tokio::time::sleep(PAUSE).await;
    // By the gateway's own clock: a correction that is booked now.
    let now = serde_json::json!({
        "amount_usd": "1", "direction": "credit", "reason": "to read the clock"
    });
    let credits = format!("/orgs/{ORG}/credits");
    let booked = stage.operate(Method::POST, &format!("{credits}/adjustments"), Some(&now)).await?;
    booked.expect_status(201)?;
    let entries = stage.operate(Method::GET, &format!("{credits}/entries"), None).await?;
    let entries = entries.expect_status(200)?.body;
    let items = entries["items"].as_array().context("entries")?;
    let booked = items.iter().filter(|entry| entry["kind"] == "adjust").find_map(at);
    let booked = booked.with_context(|| format!("the correction in {entries:#}"))?;
    caller.write_all(rest).await?;
    let held = held(&stage, &credits).await?;
    assert!(held > booked, "held from {held}, when the request was not whole before {booked}");
    let mut answer = String::new();
    caller.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(stage.settled_balance(ORG).await?.spent > 0);
    Ok(())
}

fn at(item: &Value) -> Option<String> {
    item["at"].as_str().map(str::to_owned)
}

/// When the one open hold was made.
async fn held(stage: &Stage, credits: &str) -> Result<String> {
    for _ in 0..500 {
        let holds = stage.operate(Method::GET, &format!("{credits}/holds"), None).await?;
        if let Some(hold) = holds.expect_status(200)?.body["items"].get(0) {
            return at(hold).context("when it was made");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("nothing is held for the request")
}
