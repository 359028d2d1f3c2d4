//! A simulator to talk to, and what the tests of this folder read answers with.

use reqwest::{Client, Response};
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Script, Simulator};

/// One provider "p" with the given model, in OpenAI Chat.
pub(crate) async fn play(model: ModelScript) -> Simulator {
    play_as(Dialect::OpenAiChat, vec![model]).await
}

/// One provider "p" with the given models, in any dialect.
pub(crate) async fn play_as(dialect: Dialect, models: Vec<ModelScript>) -> Simulator {
    let provider = ProviderScript {
        name: "p".to_owned(),
        prefix: "/p/v1".to_owned(),
        api_key: Some("sim-key".to_owned()),
        dialect,
        models,
        failures: Vec::new(),
    };
    let script = Script { seed: 1, providers: vec![provider] };
    Simulator::start(&script).await.expect("a free port")
}

pub(crate) fn echo() -> ModelScript {
    ModelScript::instant("m", AnswerScript::Echo {})
}

pub(crate) fn chat(text: &str) -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": text }] })
}

pub(crate) fn streamed(text: &str) -> Value {
    let mut body = chat(text);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

pub(crate) async fn post(simulator: &Simulator, body: &Value) -> reqwest::Result<Response> {
    let url = format!("{}/chat/completions", simulator.url("p").expect("provider p"));
    Client::new().post(url).bearer_auth("sim-key").json(body).send().await
}

pub(crate) async fn post_json(simulator: &Simulator, body: &Value) -> (u16, Value) {
    let response = post(simulator, body).await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.expect("a JSON body"))
}

/// The data of each event; the text after the last whole event comes last, if there is any.
pub(crate) fn events(text: &str) -> Vec<&str> {
    text.split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| event.strip_prefix("data: ").unwrap_or(event))
        .collect()
}

pub(crate) fn parsed(text: &str) -> Vec<Value> {
    let events = events(text).into_iter().filter(|data| *data != "[DONE]");
    events.map(|data| serde_json::from_str(data).expect("JSON data")).collect()
}

pub(crate) fn said(chunks: &[Value]) -> String {
    let content = |chunk: &Value| chunk.pointer("/choices/0/delta/content").cloned();
    let texts = chunks.iter().filter_map(content);
    texts.map(|text| text.as_str().expect("text").to_owned()).collect()
}

/// The events of a stream with their names; data that is no JSON is a string.
pub(crate) fn named_events(text: &str) -> Vec<(String, Value)> {
    let text = text.replace("\r\n", "\n");
    let event = |event: &str| {
        let field = |name: &str| {
            let lines = event.lines().filter_map(|line| line.strip_prefix(name));
            lines.map(str::trim_start).collect::<Vec<_>>().join("\n")
        };
        let data = field("data:");
        let value = serde_json::from_str(&data).unwrap_or(Value::String(data));
        (field("event:"), value)
    };
    text.split("\n\n").filter(|event| event.contains("data:")).map(event).collect()
}
