//! Thresholds, refusals, and the webhook that tells of them.

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use turnpike_tests::{ORG, Receiver, Recorded, Setup, Stage, chat};

use super::add_budget;

const MODEL: &str = "openai/gpt-5.4-mini";
const SECRET: &str = "whsec-canary-0123456789abcdef";

async fn stage() -> Result<Stage> {
    let more_config = "[alerts]\nwebhook_loopback = true\n".to_owned();
    Stage::open_with(Setup { more_config, ..Setup::default() }).await
}

async fn set_webhook(stage: &Stage, receiver: &Receiver) -> Result<()> {
    let hook = json!({"url": receiver.url(), "secret": SECRET});
    let path = format!("/orgs/{ORG}/webhook");
    stage.operate(Method::PUT, &path, Some(&hook)).await?.expect_status(200)?;
    Ok(())
}

async fn alerts(stage: &Stage) -> Result<Vec<Value>> {
    let path = format!("/orgs/{ORG}/alerts");
    let body = stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body;
    Ok(body["items"].as_array().context("a list")?.clone())
}

/// The alerts, once so many are in that state.
async fn alerts_in(stage: &Stage, state: &str, count: usize) -> Result<Vec<Value>> {
    let found = async {
        loop {
            let mut all = alerts(stage).await?;
            all.retain(|alert| alert["delivery"]["state"] == state);
            if all.len() >= count {
                return anyhow::Ok(all);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), found).await;
    match waited {
        Ok(found) => found,
        Err(_) => anyhow::bail!("no {count} alerts are {state}: {:?}", alerts(stage).await?),
    }
}

/// The body, if it was signed as the documentation says.
fn verified(sent: &Recorded) -> Result<Value> {
    let header = sent.header("x-turnpike-signature").context("no signature")?;
    let (time, signature) = header.split_once(",v1=").context("two parts")?;
    let time = time.strip_prefix("t=").context("a time")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(format!("{time}.").as_bytes());
    mac.update(&sent.body);
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, signature);
    let body: Value = serde_json::from_slice(&sent.body)?;
    assert_eq!(sent.header("x-turnpike-event-id"), body["id"].as_str());
    assert_eq!(sent.header("x-turnpike-event"), body["type"].as_str());
    Ok(body)
}

#[tokio::test]
async fn a_threshold_is_told_once_signed_and_again_until_it_is_taken() -> Result<()> {
    let stage = stage().await?;
    let receiver = Receiver::answering(&[500, 200]).await?;
    set_webhook(&stage, &receiver).await?;
    let budget = json!({"scope": "organization", "amount_usd": "0.00001", "period": "day",
        "mode": "alert", "alerts": [50, 1000]});
    let budget = add_budget(&stage, budget).await?;
    // Once half of it is spent, and less than ten times of it.
    stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    let delivered = alerts_in(&stage, "delivered", 1).await?;
    assert_eq!(delivered.len(), 1, "{delivered:?}");
    let alert = &delivered[0];
    assert_eq!((&alert["type"], &alert["threshold"]), (&json!("budget.threshold"), &json!(50)));
    assert_eq!(alert["delivery"]["attempts"], 2, "{alert}");
    assert_eq!(alert["budget"], format!("budget:{budget}:day"));
    // More of the same tells nothing new.
    stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let received = receiver.received();
    assert_eq!(received.len(), 2, "the refused try, and the one that was taken");
    let (first, second) = (verified(&received[0])?, verified(&received[1])?);
    assert_eq!(first, second, "a repeat is told by its id");
    assert_eq!(first["id"], alert["id"]);
    assert_eq!(first["organization"], ORG);
    assert_eq!(
        (&first["scope"], &first["limit_usd"]),
        (&json!("organization"), &json!("0.000010"))
    );
    Ok(())
}

#[tokio::test]
async fn a_budget_that_refuses_is_told_and_a_restart_loses_nothing() -> Result<()> {
    let mut stage = stage().await?;
    // It takes nothing for as long as the first process lives.
    let receiver = Receiver::answering(&[503]).await?;
    set_webhook(&stage, &receiver).await?;
    let none = json!({"scope": "organization", "amount_usd": "0.0001", "period": "day"});
    add_budget(&stage, none).await?;
    for _ in 0..3 {
        stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(429)?;
    }
    let pending = alerts_in(&stage, "pending", 1).await?;
    assert_eq!(pending.len(), 1, "three refusals are one alert: {pending:?}");
    assert_eq!(pending[0]["type"], "budget.exhausted");
    receiver.wait_for(1).await?;
    stage.restart().await?;
    let willing = Receiver::answering(&[204]).await?;
    set_webhook(&stage, &willing).await?;
    let taken = willing.wait_for(1).await?;
    assert_eq!(verified(&taken[0])?["id"], pending[0]["id"]);
    stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(429)?;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(alerts(&stage).await?.len(), 1, "nor is it told again after a restart");
    Ok(())
}

/// An organization's webhook is no way into the operator's network, and its secret no way out.
#[tokio::test]
async fn webhooks_go_where_the_operator_allows_and_their_secret_is_never_shown() -> Result<()> {
    let mut plain = Stage::open().await?;
    let path = format!("/orgs/{ORG}/webhook");
    for url in ["http://127.0.0.1:9/x", "https://10.0.0.1/x", "https://[::1]/", "ftp://a.example/"]
    {
        let hook = json!({"url": url, "secret": SECRET});
        let refused = plain.operate(Method::PUT, &path, Some(&hook)).await?.expect_status(422)?;
        assert_eq!(refused.body["error"]["field"], "url", "{url}: {}", refused.text);
    }
    plain.operate(Method::GET, &path, None).await?.expect_status(404)?;
    let short = json!({"url": "https://hooks.example/x", "secret": "short"});
    let refused = plain.operate(Method::PUT, &path, Some(&short)).await?.expect_status(422)?;
    assert_eq!(refused.body["error"]["field"], "secret");
    let hook = json!({"url": "https://hooks.example/x", "secret": SECRET});
    let set = plain.operate(Method::PUT, &path, Some(&hook)).await?.expect_status(200)?;
    let got = plain.operate(Method::GET, &path, None).await?.expect_status(200)?;
    for shown in [set.text, got.text] {
        assert!(!shown.contains("canary"), "{shown}");
    }
    // The address may change without the secret.
    let moved = json!({"url": "https://hooks.example/y"});
    plain.operate(Method::PUT, &path, Some(&moved)).await?.expect_status(200)?;
    plain.stop().await?;
    let mut folders = vec![plain.data_folder()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path)?;
            let found = String::from_utf8_lossy(&bytes).contains("whsec-canary");
            assert!(!found, "{}", path.display());
        }
    }
    Ok(())
}
