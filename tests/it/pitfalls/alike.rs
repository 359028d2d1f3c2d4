//! What is asked of a request beside its words – who may ask what, for how much money, with what
//! masked, how faithfully – holds alike in every dialect, because one pipeline serves them all.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::Dialect;
use turnpike_tests::{Caller, ORG};

use super::speech::{Ask, Said};
use super::world::{SPOKEN, open};

const MAIL: &str = "ada.lovelace@example.org";

/// A provider of another dialect than the caller's, and so never without a translation.
fn other(dialect: Dialect) -> &'static str {
    if dialect == Dialect::AnthropicMessages { "sim/chat" } else { "sim/messages" }
}

/// The same question in every dialect, streamed and not; both are to get the same status.
async fn everywhere(
    caller: &Caller,
    model: impl Fn(Dialect) -> &'static str,
    headers: &[(&str, &str)],
    status: u16,
) -> Result<Vec<Said>> {
    let mut all = Vec::new();
    for (name, dialect) in SPOKEN {
        for stream in [false, true] {
            let ask = Ask::of(dialect, model(dialect), MAIL).streamed(stream);
            let said = ask.say_with(caller, headers).await?;
            let at = format!("{name}, streamed: {stream}");
            assert_eq!(said.answered.status, status, "{at}: {}", said.answered.text);
            if status != 200 {
                let (kind, message) = said.error().context(at)?;
                assert!(!kind.is_empty() && !message.is_empty());
            }
            all.push(said);
        }
    }
    Ok(all)
}

#[tokio::test]
async fn pitfall_26_what_a_key_may_do_holds_in_every_dialect() -> Result<()> {
    let stage = open().await?;
    let narrow = stage.add_key(ORG, &json!({ "name": "a", "models": ["sim/gemini"] })).await?;
    everywhere(&narrow, other, &[], 403).await?;
    everywhere(&narrow, |_| "sim/gemini", &[], 200).await?;
    everywhere(&stage.caller, |_| "sim/nobody-has-this", &[], 404).await?;
    let budget = json!({ "amount_usd": "0.000001", "period": "day" });
    let spent = stage.add_key(ORG, &json!({ "name": "b", "budget": budget })).await?;
    everywhere(&spent, other, &[], 429).await?;
    let poor = stage.add_org("poor", "0.000001").await?;
    everywhere(&poor, other, &[], 402).await?;
    let nobody = Caller::new(&stage.gateway()?.data_url, "tp-nobody");
    everywhere(&nobody, other, &[], 401).await?;
    Ok(())
}

#[tokio::test]
async fn pitfall_26_an_output_limit_is_clamped_in_every_dialect() -> Result<()> {
    let stage = open().await?;
    for (name, dialect) in SPOKEN {
        for (provider, _) in SPOKEN {
            let org = format!("{name}-{provider}");
            // Enough for the prompt and some 300 tokens of answer.
            let poor = stage.add_org(&org, "0.00068").await?;
            stage.simulator.forget();
            let model = format!("sim/{provider}");
            let ask = Ask { limit: 4_000, ..Ask::of(dialect, &model, "hello") };
            let said = ask.say(&poor).await?.expect_answer()?;
            let clamped: u64 = said.answered.header("x-turnpike-clamped").parse().context(org)?;
            assert!((256..400).contains(&clamped), "{clamped}");
            let seen = stage.simulator.all_requests();
            let seen = seen.first().context("a request")?;
            let body: Value = serde_json::from_slice(&seen.body)?;
            let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
            let told = names.iter().find_map(|name| body[*name].as_u64());
            let told = told.or_else(|| body["generationConfig"]["maxOutputTokens"].as_u64());
            assert_eq!(told, Some(clamped), "{name} to {provider}: {body}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn pitfall_26_redaction_and_tags_hold_in_every_dialect() -> Result<()> {
    let stage = open().await?;
    let config = json!({ "input": { "all": "pseudonymize" }, "output": { "all": "count" } });
    stage.bind("redact", &json!({ "plugin": "redact-default", "config": config })).await?;
    let tags = [("x-turnpike-tags", "job=nightly, team=a")];
    let answers = everywhere(&stage.caller, other, &tags, 200).await?;
    for said in &answers {
        assert_eq!(said.text(), MAIL, "it comes back whole: {}", said.answered.text);
        let explanation = stage.explanation(ORG, said.id()).await?;
        let counted = explanation["redactions"].as_array().context("redactions")?;
        assert!(counted.iter().any(|fact| fact["kind"] == "email"), "{explanation:#}");
    }
    for seen in stage.simulator.all_requests() {
        assert!(!seen.text().contains(MAIL), "{}", seen.text());
    }
    let block = json!({ "input": { "all": "block" } });
    stage.bind("redact", &json!({ "plugin": "redact-default", "config": block })).await?;
    everywhere(&stage.caller, other, &[], 403).await?;
    let path = format!("/admin/v1/orgs/{ORG}/requests");
    let page = stage.admin.call(Method::GET, &path, None).await?.expect_status(200)?;
    let listed = page.body["items"].as_array().context("items")?;
    for said in &answers {
        let event = listed.iter().find(|event| event["id"] == said.id()).context("an event")?;
        let tags = event["tags"].to_string();
        assert!(tags.contains("nightly") && tags.contains("team"), "{event}");
    }
    Ok(())
}

#[tokio::test]
async fn pitfall_26_strictness_holds_in_every_dialect() -> Result<()> {
    let stage = open().await?;
    for (name, dialect) in SPOKEN {
        let ask = Ask::of(dialect, other(dialect), "hello");
        let mut body = ask.body();
        match dialect {
            Dialect::AnthropicMessages => body["top_k"] = json!(5),
            Dialect::Gemini => body["generationConfig"]["temperature"] = json!(1.5),
            _ => body["temperature"] = json!(1.5),
        }
        let loose = stage.caller.post(&ask.path(), &body, &[]).await?.expect_status(200)?;
        assert_ne!(loose.header("x-turnpike-loss"), "", "{name}: {:?}", loose.headers);
        let strict = [("x-turnpike-strict", "1")];
        let refused = stage.caller.post(&ask.path(), &body, &strict).await?.expect_status(422)?;
        let said = Said { dialect, stream: false, answered: refused };
        let (_, message) = said.error()?;
        assert!(message.contains("translation would lose"), "{name}: {message}");
        // Where the caller's own dialect is spoken nothing is lost.
        let own = format!("sim/{name}");
        let ask = Ask { model: &own, ..ask };
        if dialect != Dialect::Gemini {
            body["model"] = json!(own);
        }
        stage.caller.post(&ask.path(), &body, &strict).await?.expect_status(200)?;
    }
    Ok(())
}
