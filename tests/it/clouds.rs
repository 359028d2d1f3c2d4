//! The clouds that serve other people's models: Amazon Bedrock, both publishers of Google Vertex,
//! Azure. What is sent there, how it is signed in, and that callers notice nothing of it.

mod azure;
mod bedrock;
mod vertex;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Script};
use turnpike_tests::{Answered, Stage};

/// The simulators' key.
const KEY: &str = "sim-key";

/// One provider with these models, which echo.
fn script(name: &str, prefix: &str, dialect: Dialect, models: &[&str]) -> Script {
    let model = |id: &&str| ModelScript::instant(id, AnswerScript::Echo {});
    let provider = ProviderScript {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        api_key: Some(KEY.to_owned()),
        dialect,
        models: models.iter().map(model).collect(),
        failures: Vec::new(),
    };
    Script { seed: 5, providers: vec![provider] }
}

/// Sends a body with headers; the answer.
async fn post(
    stage: &Stage,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<Answered> {
    let url = format!("{}{path}", stage.gateway()?.data_url);
    let mut request = reqwest::Client::new().request(Method::POST, url);
    request = request.bearer_auth(stage.caller.key());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.json(body).send().await?;
    let status = response.status().as_u16();
    let headers = response.headers().iter().map(|(name, value)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let headers = headers.collect();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answered { status, headers, text, body })
}

/// The body that the provider got last.
fn received(stage: &Stage, provider: &str) -> Result<Value> {
    let seen = stage.simulator.requests(provider);
    let seen = seen.last().context("a request")?;
    Ok(serde_json::from_str(&seen.text())?)
}

/// A question in Anthropic's dialect.
fn message(model: &str, text: &str) -> Value {
    json!({ "model": model, "max_tokens": 4_000,
        "messages": [{ "role": "user", "content": text }] })
}

/// The data of a stream of Anthropic's, by the names of its events.
fn events(text: &str) -> Vec<(String, Value)> {
    let event = |event: &str| {
        let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let data = serde_json::from_str(line("data: ")?).ok()?;
        Some((line("event: ")?.to_owned(), data))
    };
    text.split("\n\n").filter_map(event).collect()
}

/// What a stream of Anthropic's says.
fn said(events: &[(String, Value)]) -> String {
    let deltas = events.iter().filter_map(|(_, data)| data.pointer("/delta/text")?.as_str());
    deltas.collect()
}

/// How often each event comes.
fn counts(events: &[(String, Value)]) -> BTreeMap<&str, usize> {
    let mut out = BTreeMap::new();
    for (name, _) in events {
        *out.entry(name.as_str()).or_default() += 1;
    }
    out
}
