//! Answers that succeed.

use crate::play::{chat, echo, events, parsed, play, post, post_json, said, streamed};
use reqwest::Client;
use serde_json::{Value, json};
use turnpike_simulate::{
    AnswerScript, Dialect, ModelScript, Outcome, Pace, ProviderScript, Script, Simulator,
};

#[tokio::test]
async fn a_whole_answer_has_every_field_of_the_real_api() {
    let simulator = play(echo()).await;
    let (status, body) = post_json(&simulator, &chat("hello there")).await;
    assert_eq!(status, 200);
    assert!(body["id"].as_str().expect("an id").starts_with("chatcmpl-"));
    assert_eq!(body["object"], "chat.completion");
    assert!(body["created"].as_u64().expect("a time") > 1_700_000_000);
    let choice = &body["choices"][0];
    let message = json!({ "role": "assistant", "content": "hello there", "refusal": null,
        "annotations": [] });
    assert_eq!(choice["message"], message);
    assert_eq!((&choice["index"], &choice["logprobs"]), (&json!(0), &Value::Null));
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(body["service_tier"], "default");
    assert!(body["system_fingerprint"].as_str().expect("one").starts_with("fp_"));
    let usage = &body["usage"];
    let sum = usage["prompt_tokens"].as_u64().zip(usage["completion_tokens"].as_u64());
    assert_eq!(sum.map(|(prompt, completion)| prompt + completion), usage["total_tokens"].as_u64());
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 0);
}

#[tokio::test]
async fn a_stream_is_role_deltas_finish_usage_and_done() {
    let simulator = play(echo()).await;
    let text = post(&simulator, &streamed("hello there")).await.expect("200");
    assert_eq!(text.headers()["content-type"], "text/event-stream; charset=utf-8");
    let text = text.text().await.expect("a whole body");
    assert_eq!(events(&text).last(), Some(&"[DONE]"));
    let chunks = parsed(&text);
    let first = json!({ "role": "assistant", "content": "", "refusal": null });
    assert_eq!(chunks[0]["choices"][0]["delta"], first);
    assert_eq!(said(&chunks), "hello there");
    let (usage, finish) = (&chunks[chunks.len() - 1], &chunks[chunks.len() - 2]);
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 4);
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
    assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk["usage"].is_null()));
}

#[tokio::test]
async fn usage_comes_in_a_stream_only_when_asked_for() {
    let simulator = play(echo()).await;
    let mut body = chat("hi");
    body["stream"] = json!(true);
    let text = post(&simulator, &body).await.expect("200").text().await.expect("a body");
    assert!(!text.contains("usage"), "{text}");
}

#[tokio::test]
async fn a_tool_round_trip_streamed_and_not() {
    let simulator = play(echo()).await;
    let mut body = chat("Paris");
    body["tools"] = json!([{ "type": "function", "function": { "name": "weather", "parameters": {
        "type": "object", "properties": { "city": { "type": "string" } } } } }]);
    let (_, answer) = post_json(&simulator, &body).await;
    let message = answer["choices"][0]["message"].clone();
    let call = &message["tool_calls"][0];
    assert_eq!(call["function"], json!({ "name": "weather", "arguments": "{\"city\":\"Paris\"}" }));
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(message["content"], Value::Null);

    let mut stream = body.clone();
    stream["stream"] = json!(true);
    let text = post(&simulator, &stream).await.expect("200").text().await.expect("a body");
    let parts = parsed(&text).into_iter().filter_map(|chunk| {
        let part = chunk.pointer("/choices/0/delta/tool_calls/0/function/arguments")?;
        Some(part.as_str()?.to_owned())
    });
    assert_eq!(parts.collect::<String>(), "{\"city\":\"Paris\"}");

    let result = json!({ "role": "tool", "tool_call_id": call["id"], "content": "18 degrees" });
    body["messages"] = json!([body["messages"][0], message, result]);
    let (_, last) = post_json(&simulator, &body).await;
    assert_eq!(last["choices"][0]["message"]["content"], "The tool answered: 18 degrees");
}

#[tokio::test]
async fn limits_choices_schemas_and_logprobs_are_honoured() {
    let simulator = play(echo()).await;
    let mut body = chat("one two three four");
    body["max_completion_tokens"] = json!(2);
    body["n"] = json!(2);
    body["logprobs"] = json!(true);
    let (_, answer) = post_json(&simulator, &body).await;
    assert_eq!(answer["choices"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer["choices"][1]["finish_reason"], "length");
    assert_eq!(answer["choices"][1]["message"]["content"], "one two");
    assert_eq!(answer["choices"][0]["logprobs"]["content"][1]["token"], " two");
    assert_eq!(answer["usage"]["completion_tokens"], 4);

    let mut body = chat("Ann");
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    body["response_format"] = json!({ "type": "json_schema", "json_schema": { "schema": schema } });
    let (_, answer) = post_json(&simulator, &body).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "{\"name\":\"Ann\"}");
}

#[tokio::test]
async fn wrong_keys_models_and_bodies_are_refused_in_the_real_shape() {
    let simulator = play(echo()).await;
    let url = format!("{}/chat/completions", simulator.url("p").expect("p"));
    let answer = Client::new().post(&url).bearer_auth("wrong").json(&chat("x")).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 401);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], "invalid_api_key");
    let keys: Vec<&String> = body["error"].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["message", "type", "param", "code"]);

    let (status, body) = post_json(&simulator, &json!({ "model": "gone", "messages": [] })).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("model_not_found")));
    let (status, body) = post_json(&simulator, &json!({ "model": "m" })).await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("messages")));
    assert_eq!(simulator.counts("p").expect("p").refused, 3);
}

#[tokio::test]
async fn what_reached_a_provider_can_be_read() {
    let simulator = play(echo()).await;
    post_json(&simulator, &chat("secret words")).await;
    let seen = simulator.requests("p");
    assert_eq!(seen.len(), 1);
    assert!(seen[0].text().contains("secret words"));
    assert_eq!((seen[0].model.as_str(), &seen[0].outcome), ("m", &Outcome::Answered));
    assert_eq!(seen[0].header("authorization"), Some("Bearer sim-key"));
    simulator.forget();
    assert!(simulator.all_requests().is_empty());
}

#[tokio::test]
async fn a_prebuilt_burst_repeats_a_hundred_events() {
    let mut model = ModelScript::instant("m", AnswerScript::Lorem { tokens: 97 });
    model.prebuilt = true;
    model.pace = Pace::Burst;
    let simulator = play(model).await;
    let mut bodies = Vec::new();
    for text in ["one", "two"] {
        let answer = post(&simulator, &streamed(text)).await.expect("200");
        bodies.push(answer.text().await.expect("a body"));
    }
    assert_eq!(bodies[0], bodies[1]);
    let events = events(&bodies[0]);
    assert_eq!((events.len(), events[100]), (101, "[DONE]"));
    let counts = simulator.counts("p").expect("p");
    assert_eq!((counts.requests, counts.answered), (2, 2));
}

#[tokio::test]
async fn every_chat_model_of_the_demo_answers_and_is_listed() {
    let script = Script::demo().expect("valid");
    let simulator = Simulator::start(&script).await.expect("a port");
    let speaks_chat = |provider: &&ProviderScript| provider.dialect == Dialect::OpenAiChat;
    assert!(script.providers.iter().filter(speaks_chat).count() > 3);
    for provider in script.providers.iter().filter(speaks_chat) {
        simulator.fail(&provider.name, &[]).expect("known");
        let base = simulator.url(&provider.name).expect("known");
        let http = Client::new();
        let list = http.get(format!("{base}/models")).bearer_auth("sim-key").send().await;
        let list: Value = list.expect("an answer").json().await.expect("JSON");
        assert_eq!(list["data"].as_array().map(Vec::len), Some(provider.models.len()));
        for model in &provider.models {
            let edit = |model: &mut ModelScript| {
                (model.first_token_ms, model.tokens_per_second) = (0, 0);
            };
            simulator.change(&provider.name, &model.id, edit).expect("known");
            let mut body = chat("hello");
            body["model"] = json!(model.id);
            let url = format!("{base}/chat/completions");
            let answer = http.post(url).bearer_auth("sim-key").json(&body).send().await;
            let answer: Value = answer.expect("an answer").json().await.expect("JSON");
            let content = answer["choices"][0]["message"]["content"].as_str().expect("text");
            assert!(content.contains("hello"), "{}: {content}", model.id);
        }
    }
}
