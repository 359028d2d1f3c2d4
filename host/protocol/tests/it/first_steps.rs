//! What SDKs send and read in their first requests, where the simulators forgive what providers do
//! not: threads, schemas, bounds, sources, and the deltas of tool calls.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::error_body::{self, ErrorFacts};
use turnpike_protocol::quirks::Structured;
use turnpike_protocol::translate::{Naming, StreamTranslator};
use turnpike_protocol::{
    Call, Chunk, Dialect, LimitField, Losses, Outgoing, Quirks, Severity, sse, translate,
};

const HERE: Dialect = Dialect::AnthropicMessages;

fn out(quirks: &Quirks, model_limit: Option<u32>) -> Outgoing<'_> {
    let limit_field = LimitField::MaxTokens;
    Outgoing { model: "served", output_limit: None, model_limit, limit_field, quirks }
}

fn sent(from: Dialect, to: Dialect, body: &Value, out: &Outgoing<'_>) -> (Value, Losses) {
    let call = Call::parse(from, Bytes::from(body.to_string())).unwrap();
    let written = translate::request(&call, to, out).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), written.losses)
}

fn chat(extra: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let Value::Object(extra) = extra else { panic!("members of a request") };
    body.as_object_mut().unwrap().extend(extra);
    body
}

fn severity(losses: &Losses, at: &str) -> Option<Severity> {
    losses.iter().find(|loss| loss.at == at).map(|loss| loss.severity)
}

fn approximated(losses: &Losses, at: &str) -> bool {
    severity(losses, at) == Some(Severity::Approximated)
}

/// The SDKs of Anthropic's then send the whole conversation.
#[test]
fn a_thread_is_refused_with_the_details_that_sdks_fall_back_on() {
    let body = json!({"model": "m", "max_tokens": 9, "thread": {"type": "create"},
        "messages": [{"role": "user", "content": "hi"}]});
    let error = Call::parse(HERE, Bytes::from(body.to_string())).unwrap_err();
    assert_eq!((error.status, error.param.as_deref()), (400, Some("thread")));
    let told: Value =
        serde_json::from_slice(&error_body::encode(HERE, &ErrorFacts::from(&error))).unwrap();
    assert_eq!(told["type"], "error");
    assert_eq!(told["error"]["type"], "invalid_request_error");
    assert_eq!(told["error"]["details"]["error_code"], "thread_unsupported_request");
    assert!(told["error"]["details"]["unsupported"].is_array());
    let other = error_body::encode(HERE, &ErrorFacts { code: None, ..ErrorFacts::from(&error) });
    assert!(!String::from_utf8_lossy(&other).contains("details"));
    let without = json!({"model": "m", "max_tokens": 9, "thread": null,
        "messages": [{"role": "user", "content": "hi"}]});
    Call::parse(HERE, Bytes::from(without.to_string())).unwrap();
}

/// Clients of OpenAI's look into `function` of every delta of a call.
#[test]
fn every_delta_of_a_tool_call_has_its_function() {
    let naming = Naming {
        id: "req-1".to_owned(),
        created_s: 7,
        model: "asked".to_owned(),
        include_usage: false,
        input_tokens: 0,
        custom_tools: Vec::new(),
        long_tools: Vec::new(),
    };
    let mut translator = StreamTranslator::new(Dialect::Gemini, Dialect::OpenAiChat, naming);
    let part = json!({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "QQ=="});
    let event = json!({"candidates": [{"content": {"role": "model", "parts": [part]},
        "finishReason": "STOP", "index": 0}]});
    let mut written = Vec::new();
    let frame = sse::Frame::made(None, event.to_string().as_bytes());
    translator.push(&[frame], &mut written).unwrap();
    translator.finish(&mut written);
    let chunks = written.iter().filter_map(|frame| serde_json::from_slice(&frame.data).ok());
    let calls: Vec<Value> = chunks
        .flat_map(|chunk: Value| {
            let calls = chunk["choices"][0]["delta"]["tool_calls"].as_array().cloned();
            calls.unwrap_or_default()
        })
        .collect();
    assert!(calls.iter().any(|call| call["extra_content"].is_object()), "{calls:?}");
    for call in &calls {
        assert!(call["function"]["arguments"].is_string(), "{call}");
    }
}

#[test]
fn newer_models_of_anthropic_get_no_sampling() {
    let refused = ["temperature", "top_p", "top_k"].map(str::to_owned).to_vec();
    let quirks = Quirks { adaptive_thinking: true, refused, ..Quirks::default() };
    let body = chat(json!({"temperature": 0.2}));
    let (body, losses) = sent(Dialect::OpenAiChat, HERE, &body, &out(&quirks, None));
    assert_eq!(body.get("temperature"), None);
    assert_eq!(severity(&losses, "temperature"), Some(Severity::Dropped));
    let body = chat(json!({"temperature": 1}));
    let (body, losses) = sent(Dialect::OpenAiChat, HERE, &body, &out(&quirks, None));
    assert_eq!((body.get("temperature"), losses.is_empty()), (None, true), "{losses:?}");
}

#[test]
fn the_schema_of_an_answer_has_only_what_anthropic_takes() {
    let schema = json!({"type": "object", "required": ["age", "minimum"], "properties": {
        "age": {"type": "integer", "minimum": 3, "description": "In years."},
        "minimum": {"type": "string", "minLength": 2, "pattern": "^a+$"},
        "tags": {"type": "array", "minItems": 2, "items": {"type": "string", "maxLength": 9}},
    }});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let body = chat(json!({"response_format": format}));
    let quirks = Quirks::default();
    let (body, losses) = sent(Dialect::OpenAiChat, HERE, &body, &out(&quirks, None));
    let told = &body["output_config"]["format"]["schema"];
    assert_eq!(
        *told,
        json!({
            "type": "object", "required": ["age", "minimum"], "additionalProperties": false,
            "properties": {
                "age": {"type": "integer", "description": "In years. (minimum: 3)"},
                "minimum": {"type": "string", "pattern": "^a+$", "description": "(minLength: 2)"},
                "tags": {"type": "array", "minItems": 1, "description": "(minItems: 2)",
                    "items": {"type": "string", "description": "(maxLength: 9)"}},
            },
        })
    );
    assert!(approximated(&losses, "response_format.json_schema.schema"), "{losses:?}");
}

#[test]
fn a_map_of_any_names_cannot_be_had_from_anthropic() {
    let schema = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let body = chat(json!({"response_format": format}));
    let quirks = Quirks::default();
    let (_, losses) = sent(Dialect::OpenAiChat, HERE, &body, &out(&quirks, None));
    let at = "response_format.json_schema.schema";
    assert_eq!(severity(&losses, at), Some(Severity::Unsupported));
}

#[test]
fn older_models_of_anthropic_are_asked_for_a_schema_in_words() {
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let function = json!({"name": "f", "strict": true, "parameters": {"type": "object"}});
    let tools = json!([{"type": "function", "function": function}]);
    let body = chat(json!({"response_format": format, "tools": tools}));
    let quirks = Quirks { structured: Structured::Nothing, ..Quirks::default() };
    let (body, losses) = sent(Dialect::OpenAiChat, HERE, &body, &out(&quirks, None));
    assert_eq!(body.get("output_config"), None);
    assert_eq!(body["tools"][0].get("strict"), None);
    assert!(body["system"].to_string().contains("additionalProperties"), "{body}");
    assert!(approximated(&losses, "response_format"), "{losses:?}");
    assert!(approximated(&losses, "tools[0].strict"), "{losses:?}");
}

#[test]
fn a_bound_on_the_answer_is_fitted_to_the_model() {
    let quirks = Quirks::default();
    let body = json!({"model": "m", "max_tokens": 64_000,
        "messages": [{"role": "user", "content": "hi"}]});
    for (to, at) in [
        (Dialect::OpenAiChat, "/max_tokens"),
        (Dialect::OpenAiResponses, "/max_output_tokens"),
        (Dialect::Gemini, "/generationConfig/maxOutputTokens"),
        (Dialect::BedrockConverse, "/inferenceConfig/maxTokens"),
    ] {
        let (fitted, losses) = sent(HERE, to, &body, &out(&quirks, Some(16_384)));
        assert_eq!(fitted.pointer(at), Some(&json!(16_384)), "{fitted}");
        assert!(approximated(&losses, "max_tokens"), "{losses:?}");
        let (kept, losses) = sent(HERE, to, &body, &out(&quirks, Some(64_000)));
        assert_eq!(kept.pointer(at), Some(&json!(64_000)), "{kept}");
        assert!(!approximated(&losses, "max_tokens"), "{losses:?}");
    }
}

#[test]
fn a_budget_of_gemini_leaves_room_for_the_answer() {
    let quirks = Quirks::default();
    let body = chat(json!({"reasoning_effort": "high", "max_tokens": 2_000}));
    let (body, _) = sent(Dialect::OpenAiChat, Dialect::Gemini, &body, &out(&quirks, None));
    assert_eq!(body["generationConfig"]["thinkingConfig"]["thinkingBudget"], 1_000);
    let body = json!({"model": "m", "max_tokens": 2_000,
        "thinking": {"type": "enabled", "budget_tokens": 1_999},
        "messages": [{"role": "user", "content": "hi"}]});
    let (body, _) = sent(HERE, Dialect::Gemini, &body, &out(&quirks, None));
    assert_eq!(body["generationConfig"]["thinkingConfig"]["thinkingBudget"], 1_999);
}

/// Sources that only Anthropic has a form for are read by any model as text.
#[test]
fn sources_of_anthropic_are_carried_as_text() {
    let text = |text: &str| json!({"type": "text", "text": text});
    let document = json!({"type": "document", "title": "Menu", "source": {"type": "content",
        "content": [text("Soup of the day")]}});
    let found = json!({"type": "search_result", "source": "https://x.example", "title": "Hours",
        "content": [text("Open till nine")]});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": [document, text("When?")]},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [found]}]},
    ]});
    let quirks = Quirks::default();
    for to in
        [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini, Dialect::BedrockConverse]
    {
        let (sent, losses) = sent(HERE, to, &body, &out(&quirks, None));
        let sent = sent.to_string();
        for said in ["Soup of the day", "Open till nine"] {
            assert!(sent.contains(said), "{}: {sent}", to.label());
        }
        assert!(approximated(&losses, "messages[0].content[0]"), "{losses:?}");
    }
}

/// The caller runs them, so any model can call them.
#[test]
fn tools_that_callers_run_become_functions_of_their_known_shape() {
    let body = json!({"model": "m", "max_tokens": 9,
    "messages": [{"role": "user", "content": "hi"}],
    "tools": [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "memory_20250818", "name": "memory"},
    ]});
    let quirks = Quirks::default();
    let (chat, losses) = sent(HERE, Dialect::OpenAiChat, &body, &out(&quirks, None));
    let function = |at: usize| &chat["tools"][at]["function"];
    assert_eq!(function(0)["name"], "bash");
    assert!(function(0)["parameters"]["properties"]["command"].is_object());
    assert_eq!(function(1)["name"], "str_replace_based_edit_tool");
    let commands = &function(2)["parameters"]["properties"]["command"]["enum"];
    assert!(commands.as_array().unwrap().contains(&json!("rename")));
    assert!((0..3).all(|at| approximated(&losses, &format!("tools[{at}]"))), "{losses:?}");
}

/// Google's clients may send the whole request whose tokens are to be counted.
#[test]
fn a_request_to_count_is_unwrapped() {
    let inner = json!({"model": "models/m", "contents": [{"parts": [{"text": "hi"}]}]});
    for name in ["generateContentRequest", "generate_content_request"] {
        let wrapped = Bytes::from(format!("{{\"{name}\": {inner} }}"));
        assert_eq!(turnpike_protocol::counted_request(wrapped), inner.to_string());
    }
    let odd = [
        inner.to_string(),
        format!("{{\"contents\": [], \"generateContentRequest\": {inner}}}"),
        "{\"generateContentRequest\": 3}".to_owned(),
        "{\"generateContentRequest\":".to_owned(),
    ];
    for body in odd {
        assert_eq!(turnpike_protocol::counted_request(Bytes::from(body.clone())), body);
    }
}

/// A client looks for the end of the answer that it knows.
#[test]
fn a_failed_response_is_the_one_that_began() {
    let created = json!({"type": "response.created", "sequence_number": 4, "response":
        {"id": "resp_9", "created_at": 77, "model": "m-1", "status": "in_progress", "output": []}});
    let data = Bytes::from(created.to_string());
    let chunk = Chunk::parse(Dialect::OpenAiResponses, &data).unwrap();
    let origin = chunk.origin.clone().unwrap();
    assert_eq!(chunk.sequence_number(), Some(4));
    let facts = ErrorFacts {
        message: "gone",
        kind: "api_error",
        param: None,
        code: None,
        status: 502,
        request_id: None,
    };
    let begun = Some((&origin, 5));
    let event = error_body::stream_event_of(Dialect::OpenAiResponses, &facts, begun);
    let event = String::from_utf8(event.to_vec()).unwrap();
    let data = event.trim_end().rsplit_once("data: ").unwrap().1;
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!(event["sequence_number"], 5);
    let response = &event["response"];
    assert_eq!((&response["id"], &response["model"]), (&json!("resp_9"), &json!("m-1")));
    assert_eq!((&response["created_at"], &response["status"]), (&json!(77), &json!("failed")));
}
