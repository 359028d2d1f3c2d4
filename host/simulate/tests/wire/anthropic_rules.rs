//! What Anthropic refuses, with its words.

use crate::anthropic::{answer, claude, request, say};
use crate::play::echo;
use reqwest::Client;
use serde_json::{Value, json};

async fn refusal(body: &Value) -> String {
    let (status, body) = answer(&claude(echo()).await, body).await;
    assert_eq!(status, 400, "{body}");
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&json!("error"), &json!("invalid_request_error"))
    );
    body["error"]["message"].as_str().expect("text").to_owned()
}

/// A conversation of (role, content).
fn talk(messages: &[(&str, Value)]) -> Value {
    let messages: Vec<Value> = messages
        .iter()
        .map(|(role, content)| json!({ "role": role, "content": content }))
        .collect();
    let mut body = say("x");
    body["messages"] = json!(messages);
    body
}

fn with(name: &str, value: Value) -> Value {
    let mut body = say("x");
    body[name] = value;
    body
}

#[tokio::test]
async fn keys_versions_and_models() {
    let simulator = claude(echo()).await;
    let url = format!("{}/messages", simulator.url("p").expect("p"));
    let bare = Client::new().post(&url).json(&say("x"));
    let sent = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        (status, body["error"]["message"].as_str().expect("text").to_owned())
    };
    let clone = || bare.try_clone().expect("a request");
    let (status, text) = sent(clone()).await;
    assert_eq!((status, text.as_str()), (401, "x-api-key header is required"));
    let (status, text) = sent(clone().bearer_auth("wrong")).await;
    assert_eq!((status, text.as_str()), (401, "Invalid bearer token"));
    let (status, text) = sent(clone().header("x-api-key", "sim-key")).await;
    assert_eq!((status, text.as_str()), (400, "anthropic-version: header is required"));
    let (status, body) = answer(&simulator, &with("model", json!("gone"))).await;
    assert_eq!((status, &body["error"]["message"]), (404, &json!("model: gone")));
    let path = request(&simulator, "/complete").json(&say("x")).send().await.expect("one");
    assert_eq!(path.status(), 404);
}

#[tokio::test]
async fn members_and_limits() {
    let mut body = say("x");
    body.as_object_mut().expect("an object").remove("max_tokens");
    assert_eq!(refusal(&body).await, "max_tokens: Field required");
    let extra = refusal(&with("max_completion_tokens", json!(3))).await;
    assert_eq!(extra, "max_completion_tokens: Extra inputs are not permitted");
    let unpaired = refusal(&with("context_management", json!({}))).await;
    assert_eq!(unpaired, "context_management: Extra inputs are not permitted");
    let simulator = claude(echo()).await;
    let paired = request(&simulator, "/messages")
        .header("anthropic-beta", "context-management-2025-06-27,made-up-2031-01-01")
        .json(&with("context_management", json!({ "edits": [] })));
    assert_eq!(paired.send().await.expect("an answer").status(), 200);
    let threaded = request(&simulator, "/messages")
        .header("anthropic-beta", "message-threads-2026-08-12")
        .json(&with("thread", json!({ "type": "create" })));
    let refused = threaded.send().await.expect("an answer");
    assert_eq!(refused.status(), 400);
    let refused: Value = refused.json().await.expect("JSON");
    assert_eq!(refused["error"]["details"]["error_code"], "thread_unsupported_request");
    let small = json!({ "type": "enabled", "budget_tokens": 1000 });
    assert!(refusal(&with("thinking", small)).await.contains("greater than or equal to 1024"));
    let large = json!({ "type": "enabled", "budget_tokens": 4096 });
    assert!(refusal(&with("thinking", large)).await.starts_with("`max_tokens` must be greater"));
    assert_eq!(refusal(&with("temperature", json!(1.5))).await, "temperature: range: 0..1");
}

#[tokio::test]
async fn tools() {
    let named = |name: &str| json!([{ "name": name, "input_schema": { "type": "object" } }]);
    let text = refusal(&with("tools", named("a.b"))).await;
    assert_eq!(text, "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'");
    let text = refusal(&with("tools", json!([{ "name": "a", "parameters": {} }]))).await;
    assert_eq!(text, "tools.0.custom.parameters: Extra inputs are not permitted");
    let text = refusal(&with("tools", json!([{ "name": "a", "input_schema": {} }]))).await;
    assert_eq!(text, "tools.0.custom.input_schema.type: Field required");
    let mut body = with("tools", named("a"));
    body["tool_choice"] = json!({ "type": "any" });
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
    let text = refusal(&body).await;
    assert_eq!(text, "Thinking may not be enabled when tool_choice forces tool use.");
}

#[tokio::test]
async fn results_follow_their_calls_at_once() {
    let call = json!([{ "type": "tool_use", "id": "toolu_1", "name": "a", "input": {} }]);
    let result = json!({ "type": "tool_result", "tool_use_id": "toolu_1", "content": "x" });
    let user = || ("user", json!("go"));
    let text = refusal(&talk(&[user(), ("assistant", call.clone()), ("user", json!("so?"))])).await;
    assert!(
        text.starts_with(
            "messages.1: `tool_use` ids were found without `tool_result` blocks \
        immediately after: toolu_1."
        ),
        "{text}"
    );
    let late = json!([{ "type": "text", "text": "first" }, result]);
    let text = refusal(&talk(&[user(), ("assistant", call.clone()), ("user", late)])).await;
    assert!(text.contains("without `tool_result` blocks immediately after"), "{text}");
    let text =
        refusal(&talk(&[user(), ("assistant", json!("hm")), ("user", json!([result]))])).await;
    assert!(
        text.starts_with(
            "messages.2.content.0: unexpected `tool_use_id` found in \
        `tool_result` blocks: toolu_1."
        ),
        "{text}"
    );
    let text = refusal(&talk(&[user(), ("assistant", call)])).await;
    assert!(text.starts_with("messages.1: `tool_use` ids were found without"), "{text}");
    let broken = json!([{ "type": "tool_use", "id": "toolu_1", "name": "a", "input": "{}" }]);
    let text = refusal(&talk(&[user(), ("assistant", broken), ("user", json!([result]))])).await;
    assert_eq!(text, "messages.1.content.0.tool_use.input: Input should be a valid dictionary");
}

#[tokio::test]
async fn texts_roles_and_the_ending() {
    let block = |text: &str| json!([{ "type": "text", "text": text }]);
    let text = refusal(&talk(&[("user", block(""))])).await;
    assert_eq!(text, "messages: text content blocks must be non-empty");
    let text = refusal(&talk(&[("user", block(" \n"))])).await;
    assert_eq!(text, "messages: text content blocks must contain non-whitespace text");
    let text = refusal(&talk(&[("system", json!("x")), ("user", json!("x"))])).await;
    assert!(text.starts_with("messages: Unexpected role \"system\"."), "{text}");
    let text = refusal(&talk(&[("user", json!("x")), ("assistant", json!("so: "))])).await;
    assert_eq!(text, "messages: final assistant content cannot end with trailing whitespace");
    let text = refusal(&talk(&[("user", json!([{ "type": "image_url" }]))])).await;
    assert!(text.starts_with("messages.0.content.0: Input tag 'image_url' found"), "{text}");
    let text =
        refusal(&talk(&[("user", json!([{ "type": "text", "text": "x", "id": "1" }]))])).await;
    assert_eq!(text, "messages.0.content.0.text.id: Extra inputs are not permitted");
    let mut body = say("x");
    body["messages"][0]["name"] = json!("Ann");
    assert_eq!(refusal(&body).await, "messages.0.name: Extra inputs are not permitted");
    let text = refusal(&with("system", json!([{ "type": "text", "text": "" }]))).await;
    assert_eq!(text, "system: text content blocks must be non-empty");
}

#[tokio::test]
async fn the_newest_version_takes_less() {
    let simulator = claude(echo()).await;
    let url = format!("{}/messages", simulator.url("p").expect("p"));
    let refused = async |body: &Value| {
        let post = Client::new().post(&url).bearer_auth("sim-key");
        let post = post.header("anthropic-version", "2026-10-21").json(body);
        let body: Value = post.send().await.expect("an answer").json().await.expect("JSON");
        body["error"]["message"].as_str().unwrap_or("").to_owned()
    };
    assert_eq!(refused(&say("x")).await, "");
    let text = refused(&with("temperature", json!(1.0))).await;
    assert_eq!(text, "temperature: Extra inputs are not permitted");
    let cited =
        json!([{ "type": "text", "text": "x", "citations": [{ "type": "char_location" }] }]);
    let text = refused(&talk(&[("user", cited)])).await;
    assert_eq!(text, "messages.0.content.0.text.citations: Extra inputs are not permitted");
    let document = json!([{ "type": "document", "source": { "type": "text", "data": "x" } }]);
    let messages = [("user", json!("x")), ("assistant", document), ("user", json!("y"))];
    assert!(refused(&talk(&messages)).await.contains("not permitted in assistant messages"));
    let later = [("user", json!("x")), ("system", json!("be kind")), ("user", json!("y"))];
    assert_eq!(refused(&talk(&later)).await, "");
}
