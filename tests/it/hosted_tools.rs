//! A tool that only a provider runs, such as a search of the web: a request that is about it goes
//! to an offer that has it, whatever others would cost; one of an agent, which brings it along
//! beside tools of its own, goes where it is best; and where nobody has it the loss is told.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{
    AnswerScript, Dialect, ModelScript, ProviderScript, Script, Simulator, ToolCalls,
};
use turnpike_tests::{Answered, ORG, Setup, Stage};

/// Providers by their names in the catalogue, with one model each. The last costs least.
const ALL: [(&str, Dialect, &str); 3] = [
    ("anthropic", Dialect::AnthropicMessages, "claude-haiku-4-5"),
    ("openai", Dialect::Any, "gpt-5.4"),
    ("groq", Dialect::OpenAiChat, "openai/gpt-oss-120b"),
];
const CHEAPEST: &str = "groq";

async fn stage() -> Result<Stage> {
    stage_with(&Setup::default().credit_usd).await
}

async fn stage_with(credit_usd: &str) -> Result<Stage> {
    let mut model = ModelScript::instant("*", AnswerScript::Echo {});
    model.tool_calls = ToolCalls::Never;
    let provider = |(name, dialect, _): &(&str, Dialect, &str)| ProviderScript {
        name: (*name).to_owned(),
        prefix: format!("/{name}/v1"),
        api_key: Some("sim-key".to_owned()),
        dialect: *dialect,
        models: vec![model.clone()],
        failures: Vec::new(),
    };
    let script = Script { seed: 7, providers: ALL.iter().map(provider).collect() };
    let credit_usd = credit_usd.to_owned();
    Stage::open_with(Setup { script, providers: configured, credit_usd, ..Setup::default() }).await
}

fn configured(script: &Script, simulator: &Simulator) -> Result<String> {
    turnpike_tests::one_model_each(&ALL, script, simulator)
}

/// The same question in Anthropic's dialect and in OpenAI's, with the search that each has.
fn searching() -> [(&'static str, &'static str, Value); 2] {
    let said = "Search the web: who won the match yesterday?";
    [
        (
            "anthropic",
            "/v1/messages",
            json!({ "model": "auto:cheap", "max_tokens": 1_000,
                "messages": [{ "role": "user", "content": said }],
                "tools": [{ "type": "web_search_20250305", "name": "web_search" }] }),
        ),
        (
            "openai",
            "/v1/responses",
            json!({ "model": "auto:cheap", "input": said, "max_output_tokens": 1_000,
                "tools": [{ "type": "web_search" }] }),
        ),
    ]
}

async fn ask(stage: &Stage, path: &str, body: &Value) -> Result<Answered> {
    stage.caller.call(Method::POST, path, Some(body)).await?.expect_status(200)
}

fn codes(explanation: &Value, provider: &str) -> Result<Vec<String>> {
    let all = explanation["candidates"].as_array().context("candidates")?;
    let end = format!("@{provider}");
    let of = all.iter().filter(|it| it["offer"].as_str().is_some_and(|id| id.ends_with(&end)));
    Ok(of.map(|it| it["reason_code"].as_str().unwrap_or_default().to_owned()).collect())
}

#[tokio::test]
async fn a_tool_that_a_provider_runs_goes_where_it_is_run() -> Result<()> {
    let stage = stage().await?;
    for (provider, path, body) in searching() {
        let answer = ask(&stage, path, &body).await?;
        assert_eq!(answer.header("x-turnpike-provider"), provider, "{path}");
        assert_eq!(answer.header("x-turnpike-loss"), "", "{path}");
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        for (other, ..) in ALL.iter().filter(|(name, ..)| *name != provider) {
            assert_eq!(codes(&explanation, other)?, ["hosted_tool"], "{path}: {explanation:#}");
        }
        assert_eq!(explanation["expected"]["searches"], 1, "{path}: {explanation:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tool_that_an_agent_brings_along_narrows_no_choice() -> Result<()> {
    let stage = stage().await?;
    let function = [
        json!({ "name": "f", "input_schema": { "type": "object" } }),
        json!({ "type": "function", "name": "f", "parameters": { "type": "object" } }),
    ];
    for ((_, path, mut body), function) in searching().into_iter().zip(function) {
        body["tools"].as_array_mut().context("tools")?.push(function);
        let answer = ask(&stage, path, &body).await?;
        assert_eq!(answer.header("x-turnpike-provider"), CHEAPEST, "{path}");
        let lost = answer.header("x-turnpike-loss");
        assert!(lost.contains("tools[0]=dropped"), "{path}: {lost}");
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        for (provider, ..) in ALL {
            assert_eq!(codes(&explanation, provider)?, [""], "{path}: {explanation:#}");
        }
        // What a search costs is not held against those who could.
        assert_eq!(explanation["expected"]["searches"], 0, "{path}: {explanation:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tool_that_nobody_runs_is_told_as_lost_or_strictly_refused() -> Result<()> {
    let stage = stage().await?;
    let rule = json!({ "deny": ["*@anthropic"] });
    let rules = format!("/orgs/{ORG}/rules");
    stage.operate(Method::POST, &rules, Some(&rule)).await?.expect_status(201)?;
    let [(_, path, body), _] = searching();
    let answer = ask(&stage, path, &body).await?;
    let lost = answer.header("x-turnpike-loss");
    assert!(lost.starts_with("tools[0]=dropped"), "{lost}");
    let strict = [("x-turnpike-strict", "1")];
    stage.caller.post(path, &body, &strict).await?.expect_status(422)?;
    Ok(())
}

/// Whose money does not pay for a search hears that it pays for an answer without one.
#[tokio::test]
async fn a_search_that_can_not_be_paid_is_refused_with_what_would_help() -> Result<()> {
    let stage = stage_with("0.02").await?;
    for (_, path, mut body) in searching() {
        let refused = stage.caller.call(Method::POST, path, Some(&body)).await?;
        let refused = refused.expect_status(402)?;
        assert!(refused.text.contains("leave out the tool"), "{path}: {}", refused.text);
        body.as_object_mut().context("a body")?.remove("tools");
        let answer = ask(&stage, path, &body).await?;
        assert_eq!(answer.header("x-turnpike-provider"), CHEAPEST, "{path}");
    }
    Ok(())
}
