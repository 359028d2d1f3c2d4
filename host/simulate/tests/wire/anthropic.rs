//! Anthropic Messages: whole answers, streams, tools, thinking, caching, counting, listing.

use crate::play::{echo, named_events, play_as};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use turnpike_simulate::{
    AnswerScript, Dialect, Failure, ModelScript, Rule, ScriptedCall, Simulator, Step, ToolCalls,
    UsageScript, WriteFile,
};

pub(crate) async fn claude(model: ModelScript) -> Simulator {
    play_as(Dialect::AnthropicMessages, vec![model]).await
}

pub(crate) fn request(simulator: &Simulator, path: &str) -> RequestBuilder {
    let url = format!("{}{path}", simulator.url("p").expect("p"));
    let post = Client::new().post(url).header("x-api-key", "sim-key");
    post.header("anthropic-version", "2023-06-01")
}

async fn post(simulator: &Simulator, body: &Value) -> Response {
    request(simulator, "/messages").json(body).send().await.expect("an answer")
}

pub(crate) async fn answer(simulator: &Simulator, body: &Value) -> (u16, Value) {
    let response = post(simulator, body).await;
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

async fn stream(simulator: &Simulator, body: &Value) -> Vec<(String, Value)> {
    let mut body = body.clone();
    body["stream"] = json!(true);
    named_events(&post(simulator, &body).await.text().await.expect("a body"))
}

pub(crate) fn say(text: &str) -> Value {
    json!({ "model": "m", "max_tokens": 4096, "messages": [{ "role": "user", "content": text }] })
}

fn weather() -> Value {
    json!({ "name": "weather", "input_schema": { "type": "object",
        "properties": { "city": { "type": "string" } } } })
}

/// The content blocks that a stream's deltas build, as the SDKs build them.
fn built(events: &[(String, Value)]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    let mut open = None;
    for (name, event) in events {
        assert_eq!(*name, event["type"]);
        let index = event["index"].as_u64().map(|index| usize::try_from(index).expect("small"));
        match name.as_str() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(blocks.len())));
                open = index;
                blocks.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                assert_eq!(open, index);
                let (delta, at) = (&event["delta"], index.expect("an index"));
                let mut append = |member: &str| {
                    let more = delta[member].as_str().expect("text");
                    let have = blocks[at][member].as_str().unwrap_or("").to_owned();
                    blocks[at][member] = json!(have + more);
                };
                match delta["type"].as_str().expect("a type") {
                    "text_delta" => append("text"),
                    "thinking_delta" => append("thinking"),
                    "signature_delta" => append("signature"),
                    "input_json_delta" => {
                        inputs[at].push_str(delta["partial_json"].as_str().expect("text"));
                    }
                    "citations_delta" => {
                        let all = blocks[at]["citations"].as_array_mut().expect("a list");
                        all.push(delta["citation"].clone());
                    }
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                assert_eq!(open.take(), index);
                let at = index.expect("an index");
                if !inputs[at].is_empty() {
                    blocks[at]["input"] = serde_json::from_str(&inputs[at]).expect("JSON");
                }
            }
            _ => assert_eq!(open.filter(|_| name != "ping"), None),
        }
    }
    blocks
}

#[tokio::test]
async fn a_whole_message_and_the_same_as_a_stream() {
    let simulator = claude(echo()).await;
    let response = post(&simulator, &say("hello there")).await;
    let id = response.headers()["request-id"].to_str().expect("text").to_owned();
    assert!(id.starts_with("req_011C"), "{id}");
    let body: Value = response.json().await.expect("JSON");
    assert!(body["id"].as_str().expect("an id").starts_with("msg_01"));
    let shape = (&body["type"], &body["role"], &body["stop_reason"], &body["stop_sequence"]);
    assert_eq!(shape, (&json!("message"), &json!("assistant"), &json!("end_turn"), &Value::Null));
    assert_eq!(body["content"], json!([{ "type": "text", "text": "hello there" }]));
    assert_eq!(body["usage"]["cache_creation"]["ephemeral_5m_input_tokens"], 0);
    assert_eq!(body["usage"]["output_tokens"], 4);

    let events = stream(&simulator, &say("hello there")).await;
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let (first, last) = (&names[..4], &names[names.len() - 3..]);
    assert_eq!(first, ["message_start", "content_block_start", "ping", "content_block_delta"]);
    assert_eq!(last, ["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(json!(built(&events)), body["content"]);
    let start = &events[0].1["message"];
    assert_eq!((&start["content"], &start["stop_reason"]), (&json!([]), &Value::Null));
    assert_eq!(start["usage"]["input_tokens"], body["usage"]["input_tokens"]);
    let end = &events[events.len() - 2].1;
    assert_eq!(
        end["delta"],
        json!({ "stop_reason": "end_turn", "stop_sequence": null,
        "stop_details": null })
    );
    assert_eq!(end["usage"]["output_tokens"], 4);
}

#[tokio::test]
async fn parallel_forced_and_argumentless_tools_and_their_round_trip() {
    let mut model = echo();
    model.tool_calls = ToolCalls::All;
    model.leading_text = Some("I will look.".to_owned());
    let simulator = claude(model).await;
    let mut body = say("Paris");
    let time = json!({ "name": "time", "input_schema": { "type": "object" } });
    body["tools"] = json!([weather(), time]);
    let (_, whole) = answer(&simulator, &body).await;
    assert_eq!(whole["stop_reason"], "tool_use");
    let content = whole["content"].as_array().expect("blocks").clone();
    assert_eq!(content[0], json!({ "type": "text", "text": "I will look." }));
    assert_eq!(content[1]["input"], json!({ "city": "Paris" }));
    assert_eq!((&content[2]["name"], &content[2]["input"]), (&json!("time"), &json!({})));
    assert!(content[1]["id"].as_str().expect("an id").starts_with("toolu_01"));
    let mut streamed = built(&stream(&simulator, &body).await);
    for (streamed, whole) in streamed.iter_mut().zip(&content).skip(1) {
        streamed["id"] = whole["id"].clone();
    }
    assert_eq!(streamed, content);

    let result = |block: &Value| {
        let id = &block["id"];
        json!({ "type": "tool_result", "tool_use_id": id, "content": "18 degrees" })
    };
    let results = json!([result(&content[1]), result(&content[2])]);
    let mut next = body.clone();
    next["messages"] = json!([body["messages"][0], { "role": "assistant", "content": content },
        { "role": "user", "content": results }]);
    let (_, last) = answer(&simulator, &next).await;
    assert_eq!(last["content"][0]["text"], "The tool answered: 18 degrees");

    body["tool_choice"] = json!({ "type": "tool", "name": "time" });
    let (_, forced) = answer(&simulator, &body).await;
    assert_eq!(forced["content"][1]["name"], "time");
    body["tool_choice"] = json!({ "type": "auto", "disable_parallel_tool_use": true });
    let (_, single) = answer(&simulator, &body).await;
    assert_eq!(single["content"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn thinking_is_signed_and_comes_back_only_unchanged_and_only_to_its_issuer() {
    let simulator = claude(echo()).await;
    let mut body = say("Paris");
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
    body["tools"] = json!([weather()]);
    let (_, whole) = answer(&simulator, &body).await;
    let content = whole["content"].as_array().expect("blocks").clone();
    assert_eq!(content[0]["type"], "thinking");
    assert_eq!(built(&stream(&simulator, &body).await)[0], content[0]);
    let turn = |content: &[Value]| {
        let id = &content.last().expect("a call")["id"];
        let result = json!({ "type": "tool_result", "tool_use_id": id, "content": "x" });
        let mut next = body.clone();
        next["messages"] = json!([body["messages"][0], { "role": "assistant", "content": content },
            { "role": "user", "content": [result] }]);
        next
    };
    assert_eq!(answer(&simulator, &turn(&content)).await.0, 200);
    let refused = async |content: &[Value]| {
        let (status, error) = answer(&simulator, &turn(content)).await;
        assert_eq!(status, 400);
        error["error"]["message"].as_str().expect("text").to_owned()
    };
    let mut foreign = content.clone();
    foreign[0]["signature"] = json!("c2lnbmF0dXJl");
    let text = refused(&foreign).await;
    assert_eq!(text, "messages.1.content.0: Invalid `signature` in `thinking` block");
    let mut changed = content.clone();
    changed[0]["thinking"] = json!("I thought something else");
    assert!(refused(&changed).await.contains("cannot be modified"));
    assert!(refused(&content[1..]).await.contains("but found `tool_use`"));

    let edit = |model: &mut ModelScript| model.redacted_thinking = true;
    simulator.change("p", "m", edit).expect("m");
    let (_, redacted) = answer(&simulator, &body).await;
    assert_eq!(redacted["content"][0]["type"], "redacted_thinking");
    let content = redacted["content"].as_array().expect("blocks").clone();
    assert_eq!(answer(&simulator, &turn(&content)).await.0, 200);
}

#[tokio::test]
async fn marked_beginnings_are_written_once_and_read_later() {
    let mut model = echo();
    model.cache_tokens_min = 10;
    let simulator = claude(model).await;
    let system = "The same long instructions, again and again, for every single request.";
    let mut body = say("one");
    body["system"] = json!([{ "type": "text", "text": system,
        "cache_control": { "type": "ephemeral" } }]);
    let usage = async |body: &Value| answer(&simulator, body).await.1["usage"].clone();
    let first = usage(&body).await;
    let written = first["cache_creation_input_tokens"].as_u64().expect("a number");
    assert!(written > 10 && first["cache_read_input_tokens"] == 0, "{first}");
    assert_eq!(first["cache_creation"]["ephemeral_5m_input_tokens"], written);
    let second = usage(&body).await;
    assert_eq!(second["cache_read_input_tokens"], written);
    assert_eq!(second["cache_creation_input_tokens"], 0);
    assert_eq!(second["input_tokens"], first["input_tokens"]);
    body["messages"][0]["content"] = json!([{ "type": "text", "text": "two",
        "cache_control": { "type": "ephemeral", "ttl": "1h" } }]);
    let third = usage(&body).await;
    assert_eq!(third["cache_read_input_tokens"], written);
    assert!(third["cache_creation"]["ephemeral_1h_input_tokens"].as_u64() > Some(0), "{third}");

    let fixed = UsageScript { prompt: Some(100), cached: Some(60), ..UsageScript::default() };
    simulator.change("p", "m", |model| model.usage = Some(fixed)).expect("m");
    let usage = usage(&say("x")).await;
    let figures = (&usage["input_tokens"], &usage["cache_read_input_tokens"]);
    assert_eq!(figures, (&json!(40), &json!(60)));
}

#[tokio::test]
async fn stops_limits_refusals_schemas_images_and_citations() {
    let simulator = claude(echo()).await;
    let mut body = say("one two three");
    body["stop_sequences"] = json!(["two"]);
    let (_, stopped) = answer(&simulator, &body).await;
    assert_eq!(stopped["content"][0]["text"], "one ");
    let why = (&stopped["stop_reason"], &stopped["stop_sequence"]);
    assert_eq!(why, (&json!("stop_sequence"), &json!("two")));
    let mut body = say("one two three");
    body["max_tokens"] = json!(2);
    assert_eq!(answer(&simulator, &body).await.1["stop_reason"], "max_tokens");

    let mut body = say("Ann");
    body["output_config"] = json!({ "format": { "type": "json_schema", "schema": {
        "type": "object", "properties": { "name": { "type": "string" } },
        "required": ["name"], "additionalProperties": false } } });
    assert_eq!(answer(&simulator, &body).await.1["content"][0]["text"], "{\"name\":\"Ann\"}");

    let source = json!({ "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=" });
    let pages = json!({ "type": "text", "media_type": "text/plain", "data": "Water is wet." });
    let mut body = say("");
    body["messages"][0]["content"] = json!([{ "type": "image", "source": source },
        { "type": "document", "source": pages, "title": "Facts", "citations": { "enabled": true } },
        { "type": "text", "text": "look" }]);
    let (_, seen) = answer(&simulator, &body).await;
    let text = "look\n[received 1 image: image/png; 1 document: text/plain]";
    assert_eq!(seen["content"][0]["text"], text);
    assert_eq!(seen["content"][0]["citations"][0]["cited_text"], "Water is wet.");
    let block = built(&stream(&simulator, &body).await).remove(0);
    assert_eq!(block, seen["content"][0]);

    let refusal = AnswerScript::Refusal { text: String::new() };
    simulator.change("p", "m", |model| model.answer = refusal).expect("m");
    let (_, refused) = answer(&simulator, &say("x")).await;
    assert_eq!((&refused["stop_reason"], &refused["content"]), (&json!("refusal"), &json!([])));
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed() {
    let simulator = claude(echo()).await;
    let mut body = say("hello there");
    body.as_object_mut().expect("an object").remove("max_tokens");
    let counted = request(&simulator, "/messages/count_tokens").json(&body).send().await;
    let counted: Value = counted.expect("an answer").json().await.expect("JSON");
    let (_, whole) = answer(&simulator, &say("hello there")).await;
    assert_eq!(counted, json!({ "input_tokens": whole["usage"]["input_tokens"] }));

    let get = |path: &str| {
        let url = format!("{}{path}", simulator.url("p").expect("p"));
        let get = Client::new().get(url).bearer_auth("sim-key");
        get.header("anthropic-version", "2023-06-01").send()
    };
    let list: Value = get("/models?limit=1000").await.expect("one").json().await.expect("JSON");
    assert_eq!((&list["data"][0]["id"], &list["has_more"]), (&json!("m"), &json!(false)));
    assert_eq!(list["data"][0]["type"], "model");
    let one = get("/models/gone").await.expect("an answer");
    assert_eq!(one.status(), 404);
}

#[tokio::test]
async fn an_agent_writes_a_file_step_by_step() {
    let file = WriteFile { path: "/tmp/a.txt".to_owned(), text: "hi\n".to_owned() };
    let look = Step {
        tool: Some("Bash".to_owned()),
        arguments: Some(json!({ "command": "ls # {prompt}" })),
        ..Step::default()
    };
    let write = Step { write: Some(file), ..Step::default() };
    let text = "done: {result}".to_owned();
    let simulator =
        claude(ModelScript::instant("m", AnswerScript::Agent { steps: vec![look, write], text }))
            .await;
    let tool = |name: &str, members: Value| {
        let schema = json!({ "type": "object", "properties": members });
        json!({ "name": name, "input_schema": schema })
    };
    let mut body = say("go");
    let text = || json!({ "type": "string" });
    body["tools"] = json!([
        tool("Bash", json!({ "command": text() })),
        tool("Write", json!({ "file_path": text(), "content": text() }))
    ]);
    let mut inputs = Vec::new();
    let last = loop {
        let (status, said) = answer(&simulator, &body).await;
        assert_eq!(status, 200, "{said}");
        if said["stop_reason"] == "end_turn" {
            break said;
        }
        inputs.push(said["content"][0]["input"].clone());
        let result = json!({ "type": "tool_result", "tool_use_id": said["content"][0]["id"],
            "content": "fine" });
        let note = json!({ "type": "text", "text": "<system-reminder>note</system-reminder>" });
        let messages = body["messages"].as_array_mut().expect("a list");
        messages.push(json!({ "role": "assistant", "content": said["content"] }));
        messages.push(json!({ "role": "user", "content": [result, note] }));
    };
    assert_eq!(
        inputs,
        [json!({ "command": "ls # go" }), json!({ "file_path": "/tmp/a.txt", "content": "hi\n" })]
    );
    assert_eq!(last["content"][0]["text"], "done: fine");
}

#[tokio::test]
async fn scripted_calls_errors_in_the_stream_and_whole_items() {
    let call = ScriptedCall { name: "now".to_owned(), arguments: None };
    let calls = AnswerScript::Calls { calls: vec![call], text: String::new() };
    let simulator = claude(ModelScript::instant("m", calls)).await;
    let events = stream(&simulator, &say("x")).await;
    assert_eq!(built(&events)[0]["input"], json!({}));

    simulator.change("p", "m", |model| model.answer = AnswerScript::Echo {}).expect("m");
    let overloaded = Failure::StreamError {
        chunks: 1,
        error: "overloaded_error".to_owned(),
        message: Some("Overloaded".to_owned()),
    };
    simulator.fail("p", &[Rule::always(overloaded)]).expect("p");
    let events = stream(&simulator, &say("one two")).await;
    let wanted = json!({ "type": "error",
        "error": { "type": "overloaded_error", "message": "Overloaded" } });
    assert_eq!(events.last(), Some(&("error".to_owned(), wanted)));

    simulator.fail("p", &[Rule::always(Failure::WholeItems)]).expect("p");
    let events = stream(&simulator, &say("one two")).await;
    assert!(events.iter().all(|(name, _)| name != "content_block_delta"));
    assert_eq!(built(&events)[0]["text"], "one two");
    simulator.fail("p", &[Rule::always(Failure::status(529))]).expect("p");
    let (status, error) = answer(&simulator, &say("x")).await;
    assert_eq!((status, &error["error"]["type"]), (529, &json!("overloaded_error")));
    assert!(error["request_id"].as_str().expect("an id").starts_with("req_011C"));
}
