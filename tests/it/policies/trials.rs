//! Policies on trial: a shadow never decides, a canary for its share; both are compared, and what
//! is shown of it are facts.

use std::collections::HashSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_tests::{Stage, chat};

use super::{classify_binding, task_of, to, upload_answering};

/// Words that stand in every prompt and may stand nowhere else.
const PRIVATE: &str = "marmalade-4711";

/// The comparison once it has this many calls.
pub(super) async fn compared(stage: &Stage, mode: &str, calls: u64) -> Result<Value> {
    let enough = async {
        loop {
            let shown = classify_binding(stage).await?;
            let compared = &shown[mode]["statistics"]["compared"];
            if compared["calls"].as_u64() >= Some(calls) {
                return anyhow::Ok(compared.clone());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), enough).await;
    waited.with_context(|| format!("{mode} never has {calls} comparisons"))?
}

#[tokio::test]
async fn a_shadow_is_compared_and_never_decides() -> Result<()> {
    let stage = Stage::open().await?;
    let active = upload_answering(&stage, "active", "code").await?;
    let shadow = upload_answering(&stage, "shadow", "extraction").await?;
    stage.bind("classify", &to(&active)).await?;
    stage.bind("classify", &json!({ "plugin": shadow, "mode": "shadow" })).await?;
    for _ in 0..5 {
        let answer = stage.caller.chat(&chat("auto", PRIVATE)).await?.expect_status(200)?;
        assert_eq!(task_of(&stage, &answer).await?, "code");
        assert!(!answer.header("x-turnpike-policy").contains("shadow"));
    }
    let compared = compared(&stage, "shadow", 5).await?;
    assert_eq!((&compared["agreed"], &compared["agreement"]), (&json!(0), &json!(0.0)));
    let examples = compared["examples"].as_array().context("examples")?;
    assert_eq!(examples.len(), 5);
    assert!(examples.iter().all(|one| one["tried"] == "extraction, difficulty 0.00"));
    assert!(!compared.to_string().contains(PRIVATE), "facts, not content");
    assert!(!stage.log()?.contains(PRIVATE));
    Ok(())
}

#[tokio::test]
async fn a_broken_shadow_harms_no_request() -> Result<()> {
    let stage = Stage::open().await?;
    let component = turnpike_tests::bad_policy("traps")?;
    stage.upload("traps", "0.1.0", component).await?.expect_status(201)?;
    stage.bind("classify", &json!({ "plugin": "traps@0.1.0", "mode": "shadow" })).await?;
    for _ in 0..8 {
        let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
        let explanation = stage.explanation(turnpike_tests::ORG, answer.request_id()).await?;
        assert!(!explanation["policies"].to_string().contains("traps"), "{explanation}");
    }
    let suspended = async {
        loop {
            let shown = classify_binding(&stage).await?;
            let of = &shown["shadow"]["statistics"];
            if of["suspended"].is_object() {
                return anyhow::Ok(of.clone());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), suspended).await;
    let shown = waited.context("its breaker never keeps it away")??;
    assert_eq!(shown["failures"]["trap"], 5);
    let because = shown["suspended"]["because"].as_str().context("a reason")?;
    assert!(because.contains("trap"), "{because}");
    Ok(())
}

/// A policy in force that says `code`, and a canary of half the conversations that says otherwise.
async fn with_half_a_canary() -> Result<Stage> {
    let stage = Stage::open().await?;
    let active = upload_answering(&stage, "active", "code").await?;
    let canary = upload_answering(&stage, "canary", "extraction").await?;
    stage.bind("classify", &to(&active)).await?;
    let binding = json!({ "plugin": canary, "mode": "canary", "percent": 50 });
    stage.bind("classify", &binding).await?;
    Ok(stage)
}

#[tokio::test]
async fn a_canary_decides_for_its_share_of_conversations() -> Result<()> {
    let stage = with_half_a_canary().await?;
    let (mut taken, mut sides) = (HashSet::new(), [0_u32, 0]);
    for round in 0..2 {
        for conversation in 0..24 {
            let text = format!("conversation {conversation}");
            let answer = stage.caller.chat(&chat("auto", &text)).await?.expect_status(200)?;
            let by_canary = answer.header("x-turnpike-policy").contains("canary@");
            if round == 0 {
                sides[usize::from(by_canary)] += 1;
                taken.extend(by_canary.then_some(conversation));
            }
            assert_eq!(by_canary, taken.contains(&conversation), "the same side each time");
        }
    }
    // The chance that 24 conversations fall on one side is one in eight million.
    assert!(sides.iter().all(|count| *count > 0), "{sides:?}");
    let compared = compared(&stage, "canary", 1).await?;
    assert_eq!(compared["agreed"], 0);
    assert_eq!(compared["examples"][0]["current"], "code, difficulty 0.00");
    Ok(())
}

/// The name that a conversation has decides which side of a canary it is on.
#[tokio::test]
async fn a_canary_goes_by_the_name_of_a_conversation() -> Result<()> {
    let stage = with_half_a_canary().await?;
    let mut sides = HashSet::new();
    for conversation in 0..24 {
        let mut seen = HashSet::new();
        for turn in 0..3 {
            // The name stays the same; the text and its length do not.
            let mut body = chat("auto", &format!("turn {turn} of {conversation}"));
            body["prompt_cache_key"] = json!(format!("conversation {conversation}"));
            let answer = stage.caller.chat(&body).await?.expect_status(200)?;
            seen.insert(answer.header("x-turnpike-policy").contains("canary@"));
        }
        assert_eq!(seen.len(), 1, "conversation {conversation} stays on its side");
        sides.extend(seen);
    }
    assert_eq!(sides.len(), 2, "both sides have some");
    Ok(())
}

/// Cost differences of a route policy on trial are added up and shown.
#[tokio::test]
async fn what_a_shadow_would_cost_is_visible() -> Result<()> {
    let stage = Stage::open().await?;
    let shadow = json!({
        "plugin": "route-default", "mode": "shadow", "config": { "floor": 1.0 }
    });
    stage.bind("route", &shadow).await?;
    for _ in 0..3 {
        stage.caller.chat(&chat("auto", PRIVATE)).await?.expect_status(200)?;
    }
    let path = format!("/orgs/{}/bindings/route", turnpike_tests::ORG);
    let looked = async {
        loop {
            let shown = stage.operate(reqwest::Method::GET, &path, None).await?.body;
            let compared = shown["shadow"]["statistics"]["compared"].clone();
            if compared["calls"].as_u64() >= Some(3) {
                return anyhow::Ok(compared);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let compared = tokio::time::timeout(std::time::Duration::from_secs(60), looked).await??;
    assert_eq!(compared["agreement"], json!(0.0), "{compared}");
    let usd = |name: &str| {
        turnpike_tests::pico(compared[name].as_str().with_context(|| name.to_owned())?)
    };
    let (current, tried) = (usd("cost_current_usd")?, usd("cost_tried_usd")?);
    assert!(tried > current, "{compared}");
    assert_eq!(usd("cost_difference_usd")?, tried - current, "{compared}");
    Ok(())
}
