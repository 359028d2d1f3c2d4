//! OpenAI Responses: the response object, the events of every item, tools, reasoning, stored
//! conversations, and what is refused.

use crate::play::{echo, named_events, play_as};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use turnpike_simulate::{
    AnswerScript, Dialect, Failure, ModelScript, Rule, ScriptedCall, Simulator, Step, ToolCalls,
    WriteFile,
};

async fn openai(model: ModelScript) -> Simulator {
    play_as(Dialect::OpenAiResponses, vec![model]).await
}

async fn post(simulator: &Simulator, body: &Value) -> Response {
    let url = format!("{}/responses", simulator.url("p").expect("p"));
    let post = Client::new().post(url).bearer_auth("sim-key");
    post.json(body).send().await.expect("an answer")
}

async fn answer(simulator: &Simulator, body: &Value) -> (u16, Value) {
    let response = post(simulator, body).await;
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

async fn stream(simulator: &Simulator, body: &Value) -> Vec<(String, Value)> {
    let mut body = body.clone();
    body["stream"] = json!(true);
    let events = named_events(&post(simulator, &body).await.text().await.expect("a body"));
    for (index, (name, event)) in events.iter().enumerate() {
        assert_eq!(
            (name.as_str(), &event["sequence_number"]),
            (event["type"].as_str().expect("a type"), &json!(index))
        );
    }
    events
}

fn say(text: &str) -> Value {
    json!({ "model": "m", "input": text })
}

fn weather() -> Value {
    json!({ "type": "function", "name": "weather", "parameters": { "type": "object",
        "properties": { "city": { "type": "string" } } } })
}

/// The items, once from the deltas and once as done: both must be the same.
fn items(events: &[(String, Value)]) -> Vec<Value> {
    let mut grown: Vec<(Value, String)> = Vec::new();
    let mut done = Vec::new();
    for (name, event) in events {
        let at = event["output_index"].as_u64().map(|at| usize::try_from(at).expect("small"));
        match name.as_str() {
            "response.output_item.added" => {
                assert_eq!(at, Some(grown.len()));
                grown.push((event["item"].clone(), String::new()));
            }
            "response.output_item.done" => {
                let (added, text) = &grown[at.expect("an index")];
                let item = &event["item"];
                assert_eq!((&added["id"], &added["type"]), (&item["id"], &item["type"]));
                let whole = match item["type"].as_str().expect("a type") {
                    "message" => item.pointer("/content/0/text"),
                    "reasoning" => item.pointer("/summary/0/text"),
                    "function_call" => item.get("arguments"),
                    _ => item.get("input"),
                };
                assert_eq!(whole.and_then(Value::as_str).unwrap_or(""), text);
                done.push(item.clone());
            }
            name if name.ends_with(".delta") => {
                let (added, text) = &mut grown[at.expect("an index")];
                assert_eq!(added["id"], event["item_id"]);
                text.push_str(event["delta"].as_str().expect("text"));
            }
            _ => {}
        }
    }
    done
}

#[tokio::test]
async fn a_whole_response_and_the_same_as_a_stream() {
    let simulator = openai(echo()).await;
    let (status, body) = answer(&simulator, &say("hello there")).await;
    assert_eq!(
        (status, &body["object"], &body["status"]),
        (200, &json!("response"), &json!("completed"))
    );
    assert!(body["id"].as_str().expect("an id").starts_with("resp_"));
    assert_eq!(body["output"][0]["content"][0]["text"], "hello there");
    assert_eq!(body["usage"]["output_tokens"], 4);
    assert_eq!(body["usage"]["input_tokens_details"]["cached_tokens"], 0);
    let events = stream(&simulator, &say("hello there")).await;
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let short: Vec<&str> =
        names.into_iter().filter(|name| *name != "response.output_text.delta").collect();
    assert_eq!(
        short,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    let last = &events[events.len() - 1].1["response"];
    assert_eq!(last["output"], json!(items(&events)));
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect();
    let (streamed, whole): (Vec<String>, Vec<String>) = (keys(last), keys(&body));
    assert_eq!(streamed, whole);
}

#[tokio::test]
async fn tools_parallel_custom_interleaved_and_a_round_trip() {
    let mut model = echo();
    model.tool_calls = ToolCalls::All;
    let simulator = openai(model).await;
    let mut body = say("Paris");
    let custom = json!({ "type": "custom", "name": "note", "format": { "type": "text" } });
    body["tools"] = json!([weather(), custom, { "type": "web_search" }]);
    let events = stream(&simulator, &body).await;
    let calls = items(&events);
    assert_eq!(calls[0]["arguments"], "{\"city\":\"Paris\"}");
    assert_eq!(
        (&calls[1]["type"], &calls[1]["input"]),
        (&json!("custom_tool_call"), &json!("Paris"))
    );
    assert!(calls[0]["id"].as_str().expect("an id").starts_with("fc_"));

    let mut next = body.clone();
    let output = |call: &Value| {
        let kind = format!("{}_output", call["type"].as_str().expect("a type"));
        json!({ "type": kind, "call_id": call["call_id"], "output": "18 degrees" })
    };
    next["input"] = json!([{ "role": "user", "content": "Paris" }, calls[0], calls[1],
        output(&calls[0]), output(&calls[1])]);
    let (status, last) = answer(&simulator, &next).await;
    assert_eq!(status, 200, "{last}");
    assert_eq!(last["output"][0]["content"][0]["text"], "The tool answered: 18 degrees");

    simulator.fail("p", &[Rule::always(Failure::InterleavedTools)]).expect("p");
    let events = stream(&simulator, &body).await;
    assert_eq!(items(&events).len(), 2);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let second = names.iter().rposition(|name| name.ends_with("item.added")).expect("one");
    assert!(!names[..second].contains(&"response.function_call_arguments.delta"));

    simulator.fail("p", &[Rule::always(Failure::WholeItems)]).expect("p");
    let events = stream(&simulator, &body).await;
    assert!(events.iter().all(|(name, _)| !name.ends_with(".delta")));
    let done = events.iter().find(|(name, _)| name.ends_with("arguments.done")).expect("one");
    assert_eq!(done.1["arguments"], "{\"city\":\"Paris\"}");

    let call = ScriptedCall { name: "now".to_owned(), arguments: None };
    let calls = AnswerScript::Calls { calls: vec![call], text: String::new() };
    simulator.fail("p", &[]).expect("p");
    simulator.change("p", "m", |model| model.answer = calls).expect("m");
    assert_eq!(items(&stream(&simulator, &say("x")).await)[0]["arguments"], "{}");
}

#[tokio::test]
async fn reasoning_is_summarised_encrypted_and_verified() {
    let mut model = echo();
    model.reasoning_tokens = 20;
    let simulator = openai(model).await;
    let mut body = say("why");
    let (_, hidden) = answer(&simulator, &body).await;
    assert_eq!(hidden["output"][0]["summary"], json!([]));
    assert_eq!(hidden["usage"]["output_tokens_details"]["reasoning_tokens"], 20);
    body["reasoning"] = json!({ "effort": "low", "summary": "auto" });
    body["include"] = json!(["reasoning.encrypted_content"]);
    body["store"] = json!(false);
    let shown = items(&stream(&simulator, &body).await);
    assert_eq!(shown[0]["summary"][0]["type"], "summary_text");
    assert!(shown[0]["encrypted_content"].as_str().expect("text").starts_with("gAAAAA"));
    let back = |item: &Value| {
        let mut next = say("");
        next["input"] = json!([{ "role": "user", "content": "why" }, item, shown[1],
            { "role": "user", "content": "go on" }]);
        next
    };
    assert_eq!(answer(&simulator, &back(&shown[0])).await.0, 200);
    let mut foreign = shown[0].clone();
    foreign["encrypted_content"] = json!("gAAAAABxyz");
    let (status, error) = answer(&simulator, &back(&foreign)).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("invalid_encrypted_content")));
    foreign.as_object_mut().expect("an object").remove("encrypted_content");
    let (status, error) = answer(&simulator, &back(&foreign)).await;
    assert_eq!(status, 404);
    assert!(error["error"]["message"].as_str().expect("text").contains("are not persisted"));
}

#[tokio::test]
async fn stored_responses_are_found_continued_and_forgotten() {
    let simulator = openai(echo()).await;
    let (_, first) = answer(&simulator, &say("one")).await;
    let id = first["id"].as_str().expect("an id");
    let mut next = say("two");
    next["previous_response_id"] = json!(id);
    let (status, second) = answer(&simulator, &next).await;
    assert_eq!((status, &second["previous_response_id"]), (200, &json!(id)));
    assert!(second["usage"]["input_tokens"].as_u64() > first["usage"]["input_tokens"].as_u64());
    let url = format!("{}/responses/{id}", simulator.url("p").expect("p"));
    let get = || Client::new().get(&url).bearer_auth("sim-key").send();
    let found: Value = get().await.expect("one").json().await.expect("JSON");
    assert_eq!(found, first);
    let gone = Client::new().delete(&url).bearer_auth("sim-key").send().await.expect("one");
    assert_eq!(gone.status(), 200);
    assert_eq!(get().await.expect("one").status(), 404);
    let (status, error) = answer(&simulator, &next).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("previous_response_not_found")));
}

#[tokio::test]
async fn what_openai_refuses() {
    let simulator = openai(echo()).await;
    let refused = async |edit: &dyn Fn(&mut Value)| {
        let mut body = say("x");
        edit(&mut body);
        let (status, error) = answer(&simulator, &body).await;
        assert_eq!(status, 400, "{error}");
        error["error"]["message"].as_str().expect("text").to_owned()
    };
    let orphan = json!([{ "type": "function_call_output", "call_id": "call_1", "output": "x" }]);
    let text = refused(&|body| body["input"] = orphan.clone()).await;
    assert_eq!(text, "No tool call found for function call output with call_id call_1.");
    let call = json!({ "type": "function_call", "call_id": "call_1", "name": "a",
        "arguments": "{}" });
    let text = refused(&|body| body["input"] = json!([call])).await;
    assert_eq!(text, "No tool output found for function call call_1.");
    let mut odd = call.clone();
    odd["id"] = json!("call_1");
    let text = refused(&|body| body["input"] = json!([odd])).await;
    assert_eq!(text, "Invalid 'input[0].id': 'call_1'. Expected an ID that begins with 'fc'.");
    let text = refused(&|body| body["frobnicate"] = json!(1)).await;
    assert_eq!(text, "Unknown parameter: 'frobnicate'.");
    let text = refused(&|body| body["max_tokens"] = json!(64)).await;
    assert!(text.contains("has moved to 'max_output_tokens'"), "{text}");
    let text = refused(&|body| body["max_output_tokens"] = json!(2)).await;
    assert!(text.contains("Expected a value >= 16, but got 2 instead."), "{text}");
    let nested = json!([{ "type": "function", "function": { "name": "a" } }]);
    let text = refused(&|body| body["tools"] = nested.clone()).await;
    assert_eq!(text, "Missing required parameter: 'tools[0].name'.");
    let part = json!([{ "role": "user", "content": [{ "type": "text", "text": "x" }] }]);
    let text = refused(&|body| body["input"] = part.clone()).await;
    assert!(text.starts_with("Invalid value: 'text'. Supported values are: 'input_text'"));
}

#[tokio::test]
async fn limits_refusals_errors_and_images() {
    let simulator = openai(ModelScript::instant("m", AnswerScript::Lorem { tokens: 50 })).await;
    let mut body = say("x");
    body["max_output_tokens"] = json!(16);
    let events = stream(&simulator, &body).await;
    let (name, last) = &events[events.len() - 1];
    assert_eq!(name, "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");

    let refusal = AnswerScript::Refusal { text: "I can't.".to_owned() };
    simulator.change("p", "m", |model| model.answer = refusal).expect("m");
    let (_, body) = answer(&simulator, &say("x")).await;
    assert_eq!(
        body["output"][0]["content"][0],
        json!({ "type": "refusal",
        "refusal": "I can't." })
    );

    simulator.change("p", "m", |model| model.answer = AnswerScript::Echo {}).expect("m");
    let mut body = say("");
    body["input"] = json!([{ "role": "user", "content": [
        { "type": "input_image", "image_url": "data:image/jpeg;base64,AA==" },
        { "type": "input_text", "text": "look" }] }]);
    let (_, seen) = answer(&simulator, &body).await;
    let text = "look\n[received 1 image: image/jpeg]";
    assert_eq!(seen["output"][0]["content"][0]["text"], text);

    let limited = Failure::StreamError {
        chunks: 1,
        error: "rate_limit_exceeded".to_owned(),
        message: Some("Please try again in 2s.".to_owned()),
    };
    simulator.fail("p", &[Rule::always(limited)]).expect("p");
    let events = stream(&simulator, &say("one two")).await;
    let (name, last) = &events[events.len() - 1];
    assert_eq!(name, "response.failed");
    let error = json!({ "code": "rate_limit_exceeded", "message": "Please try again in 2s." });
    assert_eq!(last["response"]["error"], error);
}

#[tokio::test]
async fn an_agent_patches_a_file() {
    let file = WriteFile { path: "a.txt".to_owned(), text: "hi\n".to_owned() };
    let steps = vec![Step { write: Some(file), say: Some("Now.".into()), ..Step::default() }];
    let agent = AnswerScript::Agent { steps, text: "done".to_owned() };
    let simulator = openai(ModelScript::instant("m", agent)).await;
    let mut body = say("go");
    body["tools"] = json!([
        { "type": "function", "name": "write_stdin", "parameters": { "type": "object",
            "properties": { "chars": { "type": "string" } } } },
        { "type": "custom", "name": "apply_patch" }]);
    let (_, said) = answer(&simulator, &body).await;
    assert_eq!(said["output"][0]["content"][0]["text"], "Now.");
    let call = &said["output"][1];
    assert_eq!(call["name"], "apply_patch");
    let patch = "*** Begin Patch\n*** Add File: a.txt\n+hi\n*** End Patch\n";
    assert_eq!(call["input"], patch);
    let output = json!({ "type": "custom_tool_call_output", "call_id": call["call_id"],
        "output": "ok" });
    body["input"] = json!([{ "role": "user", "content": "go" }, said["output"][0], call, output]);
    let (_, last) = answer(&simulator, &body).await;
    assert_eq!(last["output"][0]["content"][0]["text"], "done");
}
