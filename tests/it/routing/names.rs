//! What a caller can move by how it asks: the profile, in a header, and nothing of what a rule asks
//! for, whichever name of a model it writes; and whom a schema may be sent to under `auto`.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Script, Simulator};
use turnpike_tests::{ORG, Setup, Stage, chat};

use super::{add_rule, reason};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_rule_for_a_model_is_not_got_around_by_another_name_of_it() -> Result<()> {
    let stage = Stage::open().await?;
    let alias = json!({ "model": "gpt-5.4" });
    let path = format!("/orgs/{ORG}/aliases/house-writer");
    stage.operate(Method::PUT, &path, Some(&alias)).await?;
    add_rule(&stage, &json!({ "when": { "model": ["openai/gpt-5.4"] }, "regions": ["eu*"] }))
        .await?;
    let names =
        ["openai/gpt-5.4", "OpenAI/GPT-5.4", "gpt-5.4", "openai/gpt-5.4@openai", "House-Writer"];
    for name in names {
        let refused = stage.caller.chat(&chat(name, "hello")).await?;
        assert_eq!(refused.status, 422, "{name}: {}", refused.text);
        let explanation = stage.explanation(ORG, refused.request_id()).await?;
        assert_eq!(reason(&explanation, "openai/gpt-5.4@"), "other_region", "{name}");
    }
    stage.caller.chat(&chat("gpt-5.4-mini", "hello")).await?.expect_status(200)?;
    Ok(())
}

#[tokio::test]
async fn the_profile_of_a_request_may_stand_in_a_header() -> Result<()> {
    let stage = Stage::open().await?;
    add_rule(&stage, &json!({ "profile": "best" })).await?;
    let profile = |model: &'static str, header: Option<&'static str>| {
        let stage = &stage;
        async move {
            let headers: Vec<_> = header.map(|it| ("x-turnpike-profile", it)).into_iter().collect();
            let shown = stage.caller.post("/v1/route", &chat(model, "hello"), &headers).await?;
            let shown = shown.expect_status(200)?.body;
            Ok::<_, anyhow::Error>(shown["objective"]["profile"].as_str().map(str::to_owned))
        }
    };
    for (model, header, expected) in [
        ("auto", None, "best"),
        ("auto", Some("fast"), "fast"),
        ("auto", Some("balanced"), "balanced"),
        ("auto:cheap", Some("best"), "best"),
        ("openai/gpt-5.4", Some("cheap"), "cheap"),
    ] {
        let found = profile(model, header).await?;
        assert_eq!(found.as_deref(), Some(expected), "{model} {header:?}");
    }
    let cheap = [("x-turnpike-profile", "cheap")];
    let answer = stage.caller.post(CHAT, &chat("auto", "hello"), &cheap).await?;
    let answer = answer.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["objective"]["profile"], "cheap", "{explanation:#}");
    let seen = stage.simulator.all_requests();
    let passed = seen.iter().flat_map(|seen| &seen.headers);
    assert!(!passed.into_iter().any(|(name, _)| name.starts_with("x-turnpike-")));
    Ok(())
}

/// In the caller's protocol, with the values that there are.
#[tokio::test]
async fn a_profile_that_is_none_is_refused_by_name() -> Result<()> {
    let stage = Stage::open().await?;
    let said = json!([{ "role": "user", "content": "hello" }]);
    let contents = json!([{ "role": "user", "parts": [{ "text": "hello" }] }]);
    for (path, body, message) in [
        (CHAT, json!({ "model": "auto", "messages": said }), "/error/message"),
        ("/v1/responses", json!({ "model": "auto", "input": "hello" }), "/error/message"),
        (
            "/v1/messages",
            json!({ "model": "auto", "max_tokens": 9, "messages": said }),
            "/error/message",
        ),
        ("/v1beta/models/auto:generateContent", json!({ "contents": contents }), "/error/message"),
    ] {
        for wrong in ["slow", "", "auto:fast"] {
            let headers = [("x-turnpike-profile", wrong), ("anthropic-version", "2023-06-01")];
            let refused = stage.caller.post(path, &body, &headers).await?;
            assert_eq!(refused.status, 400, "{path}: {}", refused.text);
            let told = refused.body.pointer(message).and_then(Value::as_str).context("words")?;
            assert!(told.contains("balanced, cheap, fast or best"), "{path}: {told}");
        }
    }
    assert!(stage.simulator.all_requests().is_empty());
    Ok(())
}

fn anthropic(script: &Script, simulator: &Simulator) -> Result<String> {
    let models: Vec<&str> = script.providers[0].models.iter().map(|it| it.id.as_str()).collect();
    let url = simulator.url("anthropic")?;
    Ok(format!(
        "[providers.anthropic]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\nmodels = {models:?}\n"
    ))
}

/// Claude keeps to a schema since Opus 4.1 and Sonnet 4.5; no model before does.
#[tokio::test]
async fn a_schema_goes_to_the_claudes_that_keep_to_it_under_auto() -> Result<()> {
    let model = |id: &str| ModelScript::instant(id, AnswerScript::Echo {});
    let script = Script {
        seed: 7,
        providers: vec![ProviderScript {
            name: "anthropic".to_owned(),
            prefix: "/anthropic/v1".to_owned(),
            api_key: Some("sim-key".to_owned()),
            dialect: Dialect::AnthropicMessages,
            models: vec![model("claude-sonnet-4-5"), model("claude-sonnet-4-0")],
            failures: Vec::new(),
        }],
    };
    let stage =
        Stage::open_with(Setup { script, providers: anthropic, ..Setup::default() }).await?;
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } },
        "required": ["city"], "additionalProperties": false });
    let mut body = chat("auto", "Which city is it?");
    body["response_format"] =
        json!({ "type": "json_schema", "json_schema": { "name": "city", "schema": schema } });
    let answer = stage.caller.chat(&body).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-model"), "anthropic/claude-sonnet-4-5");
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(reason(&explanation, "claude-sonnet-4-0@"), "no_structured_output");
    let seen = stage.simulator.requests("anthropic");
    let sent: Value = serde_json::from_slice(&seen.first().context("a request")?.body)?;
    assert_eq!(sent["output_config"]["format"]["type"], "json_schema", "{sent:#}");
    Ok(())
}
