//! Gemini: candidates whole, as events and as an array; functions, thoughts and their signatures,
//! counting, listing, and what Google refuses.

use crate::play::{echo, named_events, play_as};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, Failure, ModelScript, Rule, Simulator, ToolCalls};

async fn google(name: &str) -> Simulator {
    let model = ModelScript { id: name.to_owned(), ..echo() };
    play_as(Dialect::Gemini, vec![model]).await
}

async fn post(simulator: &Simulator, rest: &str, body: &Value) -> Response {
    let url = format!("{}/models/{rest}", simulator.url("p").expect("p"));
    let post = Client::new().post(url).header("x-goog-api-key", "sim-key");
    post.json(body).send().await.expect("an answer")
}

async fn answer(simulator: &Simulator, name: &str, body: &Value) -> (u16, Value) {
    let response = post(simulator, &format!("{name}:generateContent"), body).await;
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

async fn chunks(simulator: &Simulator, name: &str, body: &Value) -> Vec<Value> {
    let rest = format!("{name}:streamGenerateContent?alt=sse");
    let text = post(simulator, &rest, body).await.text().await.expect("a body");
    assert!(text.ends_with("}\r\n\r\n"), "{text:?}");
    named_events(&text).into_iter().map(|(_, event)| event).collect()
}

fn say(text: &str) -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] })
}

fn parts(chunks: &[Value]) -> Vec<Value> {
    let of = |chunk: &Value| chunk.pointer("/candidates/0/content/parts").cloned();
    let all = chunks.iter().filter_map(of);
    all.flat_map(|parts| parts.as_array().expect("a list").clone()).collect()
}

fn texts(chunks: &[Value]) -> String {
    let parts = parts(chunks);
    parts.iter().filter_map(|part| part["text"].as_str()).collect()
}

fn weather() -> Value {
    json!([{ "functionDeclarations": [{ "name": "weather", "parameters": { "type": "OBJECT",
        "properties": { "city": { "type": "STRING" } }, "required": ["city"] } }] }])
}

#[tokio::test]
async fn whole_as_events_and_as_an_array() {
    let simulator = google("gemini-2.5-flash").await;
    let name = "gemini-2.5-flash";
    let (status, body) = answer(&simulator, name, &say("hello there")).await;
    assert_eq!(status, 200);
    let candidate = json!({ "content": { "parts": [{ "text": "hello there" }], "role": "model" },
        "finishReason": "STOP", "index": 0 });
    assert_eq!(body["candidates"][0], candidate);
    let usage = &body["usageMetadata"];
    assert_eq!((&usage["candidatesTokenCount"], &body["modelVersion"]), (&json!(4), &json!(name)));
    let sum = usage["promptTokenCount"].as_u64().map(|count| count + 4);
    assert_eq!(usage["totalTokenCount"].as_u64(), sum);

    let chunks = chunks(&simulator, name, &say("hello there")).await;
    assert_eq!(texts(&chunks), "hello there");
    let last = &chunks[chunks.len() - 1];
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(&last["usageMetadata"], usage);
    assert!(chunks.iter().all(|chunk| chunk["responseId"] == last["responseId"]));

    let rest = format!("{name}:streamGenerateContent?key=sim-key");
    let array: Value =
        post(&simulator, &rest, &say("hello there")).await.json().await.expect("JSON");
    assert_eq!(texts(array.as_array().expect("an array")), "hello there");

    let counted = post(&simulator, &format!("{name}:countTokens"), &say("hello there")).await;
    let counted: Value = counted.json().await.expect("JSON");
    assert_eq!(counted["totalTokens"], usage["promptTokenCount"]);
    let url = format!("{}/models?key=sim-key", simulator.url("p").expect("p"));
    let list: Value = Client::new().get(url).send().await.expect("one").json().await.expect("JSON");
    assert_eq!(list["models"][0]["name"], format!("models/{name}"));
}

#[tokio::test]
async fn functions_and_their_signatures() {
    let name = "gemini-3-pro";
    let simulator = google(name).await;
    simulator.change("p", name, |model| model.tool_calls = ToolCalls::All).expect("known");
    let mut body = say("Paris");
    body["tools"] = weather();
    let called = parts(&chunks(&simulator, name, &body).await);
    let call = called.iter().find(|part| part["functionCall"].is_object()).expect("a call");
    assert_eq!(call["functionCall"]["args"], json!({ "city": "Paris" }));
    assert!(call["thoughtSignature"].is_string() && call["functionCall"]["id"].is_string());
    let turn = |call: &Value| {
        let response = json!({ "functionResponse": { "name": "weather",
            "response": { "result": "18 degrees" } } });
        let mut next = body.clone();
        let contents = next["contents"].as_array_mut().expect("a list");
        contents.push(json!({ "role": "model", "parts": [call] }));
        contents.push(json!({ "role": "user", "parts": [response] }));
        next
    };
    let (status, last) = answer(&simulator, name, &turn(call)).await;
    assert_eq!(
        (status, &last["candidates"][0]["content"]["parts"][0]["text"]),
        (200, &json!("The tool answered: 18 degrees"))
    );
    let mut bare = call.clone();
    bare.as_object_mut().expect("an object").remove("thoughtSignature");
    let (status, error) = answer(&simulator, name, &turn(&bare)).await;
    let text = error["error"]["message"].as_str().expect("text");
    assert_eq!(status, 400);
    assert!(text.contains("`default_api:weather` , position 2."), "{text}");
    bare["thoughtSignature"] = json!("Zm9yZWlnbg==");
    assert_eq!(answer(&simulator, name, &turn(&bare)).await.0, 400);
    bare["thoughtSignature"] = json!("skip_thought_signature_validator");
    assert_eq!(answer(&simulator, name, &turn(&bare)).await.0, 200);

    body["toolConfig"] = json!({ "functionCallingConfig": { "mode": "NONE" } });
    let (_, said) = answer(&simulator, name, &body).await;
    assert_eq!(said["candidates"][0]["content"]["parts"][0]["text"], "Paris");
}

#[tokio::test]
async fn thoughts_schemas_limits_refusals_and_images() {
    let name = "gemini-2.5-flash";
    let simulator = google(name).await;
    let mut body = say("Ann");
    body["generationConfig"] = json!({ "thinkingConfig": { "includeThoughts": true } });
    let (_, thought) = answer(&simulator, name, &body).await;
    assert_eq!(thought["candidates"][0]["content"]["parts"][0]["thought"], true);
    assert!(thought["usageMetadata"]["thoughtsTokenCount"].as_u64() > Some(0));
    let schema = json!({ "type": "OBJECT", "properties": { "name": { "type": "STRING" } } });
    body["generation_config"] =
        json!({ "response_mime_type": "application/json", "response_schema": schema });
    body.as_object_mut().expect("an object").remove("generationConfig");
    let (_, fitted) = answer(&simulator, name, &body).await;
    assert_eq!(fitted["candidates"][0]["content"]["parts"][0]["text"], "{\"name\":\"Ann\"}");
    let mut body = say("one two three");
    body["generationConfig"] = json!({ "maxOutputTokens": 2 });
    let (_, cut) = answer(&simulator, name, &body).await;
    assert_eq!(cut["candidates"][0]["finishReason"], "MAX_TOKENS");
    let mut body = say("look");
    let image = json!({ "inlineData": { "mimeType": "image/webp", "data": "AA==" } });
    body["contents"][0]["parts"].as_array_mut().expect("a list").push(image);
    let (_, seen) = answer(&simulator, name, &body).await;
    let text = "look\n[received 1 image: image/webp]";
    assert_eq!(seen["candidates"][0]["content"]["parts"][0]["text"], text);
    let refusal = AnswerScript::Refusal { text: String::new() };
    simulator.change("p", name, |model| model.answer = refusal).expect("known");
    let (_, refused) = answer(&simulator, name, &say("x")).await;
    assert_eq!(refused["candidates"], json!([{ "finishReason": "SAFETY", "index": 0 }]));
    let failure = Failure::StreamError { chunks: 0, error: "UNAVAILABLE".into(), message: None };
    simulator.fail("p", &[Rule::always(failure)]).expect("p");
    let chunks = chunks(&simulator, name, &say("x")).await;
    assert_eq!(chunks.last().expect("one")["error"]["code"], 503);
}

#[tokio::test]
async fn what_google_refuses() {
    let name = "gemini-2.5-flash";
    let simulator = google(name).await;
    let refused = async |edit: &dyn Fn(&mut Value)| {
        let mut body = say("x");
        edit(&mut body);
        let (status, error) = answer(&simulator, name, &body).await;
        assert_eq!(
            (status, &error["error"]["status"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{error}"
        );
        error["error"]["message"].as_str().expect("text").to_owned()
    };
    let text = refused(&|body| body["messages"] = json!([])).await;
    assert_eq!(
        text,
        "Invalid JSON payload received. Unknown name \"messages\": Cannot find field."
    );
    let text = refused(&|body| body["contents"] = json!([])).await;
    assert!(text.ends_with("contents is not specified"), "{text}");
    let text = refused(&|body| body["contents"][0]["role"] = json!("assistant")).await;
    assert_eq!(text, "Please use a valid role: user, model.");
    let text = refused(&|body| body["contents"][0]["parts"] = json!([{ "text": "" }])).await;
    assert!(text.contains("required oneof field 'data'"), "{text}");
    let strict = |edit: &dyn Fn(&mut Value)| {
        let mut tools = weather();
        edit(&mut tools[0]["functionDeclarations"][0]["parameters"]);
        tools
    };
    let extra = strict(&|schema| schema["additionalProperties"] = json!(false));
    let text = refused(&|body| body["tools"] = extra.clone()).await;
    assert_eq!(
        text,
        "Invalid JSON payload received. Unknown name \"additionalProperties\" at \
        'tools[0].function_declarations[0].parameters': Cannot find field."
    );
    let empty = strict(&|schema| schema["properties"] = json!({}));
    let text = refused(&|body| body["tools"] = empty.clone()).await;
    assert!(text.ends_with(".properties: should be non-empty for OBJECT type"), "{text}");
    let listed = strict(&|schema| schema["properties"]["city"]["type"] = json!(["string", "null"]));
    let text = refused(&|body| body["tools"] = listed.clone()).await;
    assert!(text.contains("parameters.properties[0].value': Proto field is not repeating"));

    let call =
        json!({ "role": "model", "parts": [{ "functionCall": { "name": "a", "args": {} } }] });
    let response = |count: usize| {
        let one = json!({ "functionResponse": { "name": "a", "response": {} } });
        json!({ "role": "user", "parts": vec![one; count] })
    };
    let user = say("x")["contents"][0].clone();
    let first = json!([call, response(1)]);
    let text = refused(&|body| body["contents"] = first.clone()).await;
    assert!(text.starts_with("Please ensure that function call turn comes immediately"), "{text}");
    let alone = json!([user, response(1)]);
    let text = refused(&|body| body["contents"] = alone.clone()).await;
    assert!(text.starts_with("Please ensure that function response turn"), "{text}");
    let twice = json!([user, call, response(2)]);
    let text = refused(&|body| body["contents"] = twice.clone()).await;
    assert!(text.starts_with("Please ensure that the number of function response"), "{text}");

    let url = format!("{}/models/{name}:generateContent", simulator.url("p").expect("p"));
    let bare = Client::new().post(&url).json(&say("x")).send().await.expect("an answer");
    assert_eq!(bare.status(), 403);
    let wrong = Client::new().post(format!("{url}?key=wrong")).json(&say("x")).send().await;
    let wrong: Value = wrong.expect("an answer").json().await.expect("JSON");
    assert_eq!(wrong["error"]["details"][0]["reason"], "API_KEY_INVALID");
    assert_eq!(answer(&simulator, "gone", &say("x")).await.0, 404);
}
