//! What OpenAI's own models refuse in chat, and what a chat answer can be made to hold.

use crate::play::{chat, echo, parsed, play_as, post_json, streamed};
use reqwest::Client;
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, Failure, ModelScript, Rule, Simulator, ToolCalls};

async fn openai(name: &str) -> Simulator {
    let model = ModelScript { id: name.to_owned(), ..echo() };
    play_as(Dialect::OpenAiChat, vec![model, echo()]).await
}

#[tokio::test]
async fn models_are_as_strict_as_their_names_say() {
    let simulator = openai("o3-mini").await;
    let refused = async |edit: &dyn Fn(&mut Value)| {
        let mut body = chat("x");
        body["model"] = json!("o3-mini");
        edit(&mut body);
        let (status, error) = post_json(&simulator, &body).await;
        assert_eq!(status, 400, "{error}");
        error["error"]["code"].as_str().unwrap_or("").to_owned()
    };
    assert_eq!(refused(&|body| body["max_tokens"] = json!(9)).await, "unsupported_parameter");
    assert_eq!(refused(&|body| body["temperature"] = json!(0.2)).await, "unsupported_value");
    assert_eq!(refused(&|body| body["thinking"] = json!({})).await, "unknown_parameter");
    let open = json!({ "type": "json_schema", "json_schema": { "name": "n", "strict": true,
        "schema": { "type": "object", "properties": { "a": {} } } } });
    let code = refused(&|body| body["response_format"] = open.clone()).await;
    assert_eq!(code, "invalid_json_schema");
    let mut body = chat("x");
    body["max_tokens"] = json!(9);
    body["thinking"] = json!({});
    assert_eq!(post_json(&simulator, &body).await.0, 200, "another's model takes them");
}

#[tokio::test]
async fn a_missing_tool_result_is_refused() {
    let simulator = openai("m-2").await;
    let function = json!({ "name": "a", "arguments": "{}" });
    let call = |id: &str| json!({ "id": id, "type": "function", "function": function });
    let mut body = chat("x");
    body["messages"] = json!([{ "role": "user", "content": "x" },
        { "role": "assistant", "content": null, "tool_calls": [call("call_1"), call("call_2")] },
        { "role": "tool", "tool_call_id": "call_2", "content": "x" }]);
    let (status, error) = post_json(&simulator, &body).await;
    let text = error["error"]["message"].as_str().expect("text");
    assert_eq!(status, 400);
    assert!(text.ends_with("did not have response messages: call_1"), "{text}");
}

#[tokio::test]
async fn refusals_images_interleaved_and_whole_tool_calls() {
    let simulator = openai("m-2").await;
    let mut body = streamed("Paris");
    let tool = |name: &str| {
        json!({ "type": "function", "function": { "name": name, "parameters": {
            "type": "object", "properties": { "city": { "type": "string" } } } } })
    };
    body["tools"] = json!([tool("a"), tool("b")]);
    simulator.change("p", "m", |model| model.tool_calls = ToolCalls::All).expect("m");
    let calls = async |failure: Failure| {
        simulator.fail("p", &[Rule::always(failure)]).expect("p");
        let text = crate::play::post(&simulator, &body).await.expect("200").text().await;
        let chunks = parsed(&text.expect("a body"));
        let calls = chunks.iter().filter_map(|c| c.pointer("/choices/0/delta/tool_calls/0"));
        calls.cloned().collect::<Vec<Value>>()
    };
    let turns = calls(Failure::InterleavedTools).await;
    let order: Vec<u64> = turns.iter().map(|call| call["index"].as_u64().expect("one")).collect();
    assert_eq!(order[..4], [0, 1, 0, 1]);
    let whole = calls(Failure::WholeItems).await;
    assert_eq!(whole.len(), 2);
    assert_eq!(whole[1]["function"]["arguments"], "{\"city\":\"Paris\"}");

    simulator.fail("p", &[]).expect("p");
    let refusal = AnswerScript::Refusal { text: "No.".to_owned() };
    simulator.change("p", "m", |model| model.answer = refusal).expect("m");
    let (_, answer) = post_json(&simulator, &chat("x")).await;
    let message = &answer["choices"][0]["message"];
    assert_eq!((&message["refusal"], &message["content"]), (&json!("No."), &Value::Null));

    simulator.change("p", "m", |model| model.answer = AnswerScript::Echo {}).expect("m");
    let mut body = chat("x");
    body["messages"][0]["content"] = json!([{ "type": "text", "text": "look" },
        { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } }]);
    let (_, answer) = post_json(&simulator, &body).await;
    let text = "look\n[received 1 image: image/png]";
    assert_eq!(answer["choices"][0]["message"]["content"], text);
}

#[tokio::test]
async fn one_port_speaks_every_dialect() {
    let simulator = play_as(Dialect::Any, vec![ModelScript { id: "*".to_owned(), ..echo() }]).await;
    let base = simulator.url("p").expect("p");
    let http = Client::new();
    let sent = async |request: reqwest::RequestBuilder| -> Value {
        request.send().await.expect("an answer").json().await.expect("JSON")
    };
    let chat = sent(
        http.post(format!("{base}/chat/completions")).bearer_auth("sim-key").json(&chat("hi")),
    )
    .await;
    assert_eq!(chat["choices"][0]["message"]["content"], "hi");
    let made = json!({ "model": "any-model", "input": "hi" });
    let response =
        sent(http.post(format!("{base}/responses")).bearer_auth("sim-key").json(&made)).await;
    assert_eq!(
        (&response["object"], &response["model"]),
        (&json!("response"), &json!("any-model"))
    );
    let message = sent(
        http.post(format!("{base}/messages"))
            .header("x-api-key", "sim-key")
            .header("anthropic-version", "2023-06-01")
            .json(&json!({ "model": "x", "max_tokens": 9,
        "messages": [{ "role": "user", "content": "hi" }] })),
    )
    .await;
    assert_eq!(message["content"][0]["text"], "hi");
    let candidate = sent(
        http.post(format!("{base}/models/g:generateContent?key=sim-key"))
            .json(&json!({ "contents": [{ "parts": [{ "text": "hi" }] }] })),
    )
    .await;
    assert_eq!(candidate["candidates"][0]["finishReason"], "STOP");
    let list = http.get(format!("{base}/models")).header("x-api-key", "sim-key");
    assert_eq!(
        sent(list.header("anthropic-version", "2023-06-01")).await["data"][0]["type"],
        "model"
    );
    let seen = simulator.requests("p");
    assert_eq!(seen.len(), 4);
    assert!(seen[3].path.ends_with("?key=sim-key") && seen[3].credentials == ["?key="]);
    assert!(seen[2].head.starts_with(b"POST /p/v1/messages HTTP/1.1\r\n"));
}
