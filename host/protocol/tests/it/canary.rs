//! Hidden corners of redaction: a word is put into every place of a request of every dialect where
//! a caller could write one, and must come into view there. The few places that are exempt are
//! named, each with its reason.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::{Addressed, Call, Dialect, RequestError};

use crate::support;

/// What is hidden. None of it has the form of a name or of an id.
const CANARY: &str = "jane doe 4111111111111111";
const NUMBER: u64 = 4_111_111_111_111_111;

/// A dialect, bodies that have every member it knows, and the last steps of paths to places that
/// are exempt in it.
struct Case {
    dialect: Dialect,
    bodies: &'static [&'static str],
    exempt: &'static [&'static str],
}

const CASES: [Case; 4] = [
    Case {
        dialect: Dialect::OpenAiChat,
        bodies: &[
            include_str!("../golden/openai-chat/agent.json"),
            include_str!("../golden/hidden/openai-chat.json"),
        ],
        // The model, which the gateway writes itself.
        exempt: &["/model"],
    },
    Case {
        dialect: Dialect::OpenAiResponses,
        bodies: &[
            include_str!("../golden/openai-responses/agent.json"),
            include_str!("../golden/openai-responses/mixed.json"),
            include_str!("../golden/openai-responses/plain.json"),
            include_str!("../golden/hidden/openai-responses.json"),
        ],
        exempt: &["/model"],
    },
    Case {
        dialect: Dialect::AnthropicMessages,
        bodies: &[
            include_str!("../golden/anthropic-messages/agent.json"),
            include_str!("../golden/anthropic-messages/features.json"),
            include_str!("../golden/hidden/anthropic-messages.json"),
        ],
        // What is no place that has a price is refused.
        exempt: &["/model", "/inference_geo"],
    },
    Case {
        dialect: Dialect::Gemini,
        bodies: &[
            include_str!("../golden/gemini/agent.json"),
            include_str!("../golden/hidden/gemini.json"),
        ],
        exempt: &[],
    },
];

fn parse(dialect: Dialect, body: &Value) -> Result<Call, RequestError> {
    let addressed = Addressed { model: Some("m"), stream: Some(false) };
    Call::parse_addressed(dialect, Bytes::from(body.to_string()), &addressed)
}

/// The paths of every value of a tree that `wanted` picks.
fn paths(value: &Value, path: &str, wanted: fn(&Value) -> bool, out: &mut Vec<String>) {
    if wanted(value) {
        out.push(path.to_owned());
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                paths(item, &format!("{path}/{index}"), wanted, out);
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                paths(item, &format!("{path}/{key}"), wanted, out);
            }
        }
        _ => {}
    }
}

/// Nothing of `hidden` leaves once each text that holds it is masked, and all of it is in view.
fn assert_seen(dialect: Dialect, body: &Value, hidden: &str, place: &str) {
    let mut call = parse(dialect, body).unwrap_or_else(|error| panic!("{place}: {error}"));
    let seen: Vec<usize> = (call.texts.iter().enumerate())
        .filter(|(_, text)| text.content.expose().contains(hidden))
        .map(|(index, _)| index)
        .collect();
    assert!(!seen.is_empty(), "{} does not see {place}", dialect.label());
    for index in seen {
        call.replace_text(index, "<MASKED>".to_owned());
    }
    let sent = call.encode(&support::outgoing("m"));
    let sent = String::from_utf8(sent.to_vec()).unwrap();
    assert!(!sent.contains(hidden), "{}: {place} leaves masked: {sent}", dialect.label());
    assert!(sent.contains("\"<MASKED>\""), "{place}");
    serde_json::from_str::<Value>(&sent).unwrap();
}

fn every_body(check: impl Fn(&Case, &Value)) {
    for case in &CASES {
        for body in case.bodies {
            let body: Value = serde_json::from_str(body).unwrap();
            parse(case.dialect, &body).unwrap();
            check(case, &body);
        }
    }
}

#[test]
fn pitfall_69_no_string_of_a_request_is_out_of_view() {
    every_body(|case, body| {
        let mut places = Vec::new();
        paths(body, "", Value::is_string, &mut places);
        for place in places {
            if case.exempt.iter().any(|exempt| place.ends_with(exempt)) {
                continue;
            }
            let mut body = body.clone();
            *body.pointer_mut(&place).unwrap() = json!(CANARY);
            assert_seen(case.dialect, &body, CANARY, &place);
        }
    });
}

#[test]
fn pitfall_69_no_unknown_member_is_out_of_view() {
    every_body(|case, body| {
        let mut places = Vec::new();
        paths(body, "", Value::is_object, &mut places);
        for place in places {
            let with = |key: &str, value: Value| {
                let mut body = body.clone();
                let object = body.pointer_mut(&place).unwrap().as_object_mut().unwrap();
                object.insert(key.to_owned(), value);
                body
            };
            let key = with(CANARY, json!(1));
            assert_seen(case.dialect, &key, CANARY, &format!("a key of {place:?}"));
            for value in [json!(CANARY), json!([[CANARY]]), json!({"type": {"id": CANARY}})] {
                let text = with("x_new", value);
                assert_seen(case.dialect, &text, CANARY, &format!("a member of {place:?}"));
            }
            let number = with("x_new", json!(NUMBER));
            let digits = NUMBER.to_string();
            assert_seen(case.dialect, &number, &digits, &format!("a number in {place:?}"));
        }
    });
}

/// Members that hold one kind of value, given another.
#[test]
fn pitfall_69_no_member_of_another_type_is_out_of_view() {
    every_body(|case, body| {
        let mut places = Vec::new();
        paths(body, "", |value| !value.is_null(), &mut places);
        for place in places {
            for value in [json!([CANARY]), json!({"a": CANARY}), json!({CANARY: 1})] {
                let mut body = body.clone();
                *body.pointer_mut(&place).unwrap() = value;
                // What is acted on is refused if it is not of its type; then nothing leaves at all.
                match parse(case.dialect, &body) {
                    Err(error) => assert!(!error.message.contains("jane"), "{place}: {error}"),
                    Ok(_) => assert_seen(case.dialect, &body, CANARY, &place),
                }
            }
        }
    });
}

/// What is plain costs no scan, and media cost few tokens.
#[test]
fn a_megabyte_of_base64_is_not_counted_as_text() {
    let data = "iVBORw0KGgo7".repeat(90_000);
    let url = format!("data:image/png;base64,{data}");
    let bodies = [
        (
            Dialect::OpenAiChat,
            json!({"model": "m", "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": url}}]}]}),
        ),
        (
            Dialect::OpenAiResponses,
            json!({"model": "m", "input": [{"role": "user", "content": [
                {"type": "input_image", "image_url": url}]}]}),
        ),
        (
            Dialect::OpenAiResponses,
            json!({"model": "m", "input": [
                {"type": "image_generation_call", "id": "ig_1", "result": data}]}),
        ),
        (
            Dialect::OpenAiResponses,
            json!({"model": "m", "input": [{"type": "computer_call_output", "call_id": "call_1",
                "output": {"type": "computer_screenshot", "image_url": url}}]}),
        ),
        (
            Dialect::OpenAiResponses,
            json!({"model": "m", "input": [{"type": "code_interpreter_call", "id": "ci_1",
                "outputs": [{"type": "image", "url": url}]}]}),
        ),
        (
            Dialect::OpenAiResponses,
            json!({"model": "m", "input": [{"role": "user", "content": [
                {"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}}]}]}),
        ),
        (
            Dialect::AnthropicMessages,
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [
                {"type": "image", "source":
                    {"data": data, "media_type": "image/png", "type": "base64"}}]}]}),
        ),
        (
            Dialect::Gemini,
            json!({"contents": [{"parts": [
                {"inlineData": {"data": data, "mimeType": "image/png"}}]}]}),
        ),
    ];
    for (dialect, body) in bodies {
        let call = parse(dialect, &body).unwrap();
        let tokens = call.input_tokens_upper();
        assert!(tokens < 12_000, "{tokens} tokens for {}", dialect.label());
        assert_eq!(call.texts.len(), 0, "{}", dialect.label());
    }
}

/// Documents have text inside, and sealed thinking is read again.
#[test]
fn files_and_sealed_thinking_are_counted_by_their_size() {
    let data = "JVBERi0xLjQK".repeat(10_000);
    let bodies = [
        (
            Dialect::OpenAiResponses,
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_file",
                "filename": "a", "file_data": format!("data:application/pdf;base64,{data}")}]}]}),
        ),
        (
            Dialect::OpenAiResponses,
            json!({"model": "m", "input": [{"type": "reasoning", "encrypted_content": data}]}),
        ),
        (
            Dialect::AnthropicMessages,
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [
                {"type": "document", "source":
                    {"type": "base64", "media_type": "application/pdf", "data": data}}]}]}),
        ),
        (
            Dialect::AnthropicMessages,
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [
                {"type": "thinking", "thinking": "", "signature": data}]}]}),
        ),
        (
            Dialect::Gemini,
            json!({"contents": [{"parts": [
                {"inlineData": {"data": data, "mimeType": "application/pdf"}}]}]}),
        ),
    ];
    for (dialect, body) in bodies {
        let tokens = parse(dialect, &body).unwrap().input_tokens_upper();
        assert!((30_000..31_000).contains(&tokens), "{tokens} tokens for {}", dialect.label());
    }
}

#[test]
fn the_tier_asked_for_is_known_in_every_dialect() {
    let tier = |dialect, body: Value| parse(dialect, &body).unwrap().service_tier;
    let responses = |tier: Value| json!({"model": "m", "input": "x", "service_tier": tier});
    let flex = Some("flex".to_owned());
    assert_eq!(tier(Dialect::OpenAiResponses, responses(json!("Flex"))), flex);
    assert_eq!(tier(Dialect::OpenAiResponses, responses(Value::Null)), None);
    let messages = |members: Value| {
        let mut body = json!({"model": "m", "max_tokens": 1,
            "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        tier(Dialect::AnthropicMessages, body)
    };
    assert_eq!(messages(json!({"service_tier": "standard_only"})).unwrap(), "standard_only");
    assert_eq!(messages(json!({"speed": "fast", "service_tier": "auto"})).unwrap(), "fast");
    assert_eq!(messages(json!({"speed": "standard"})), None);
    for (name, word) in [("serviceTier", "FLEX"), ("service_tier", "SERVICE_TIER_FLEX")] {
        let body = json!({"contents": [{"parts": [{"text": "x"}]}], name: word});
        assert_eq!(tier(Dialect::Gemini, body), flex);
    }
    let odd = parse(Dialect::OpenAiResponses, &responses(json!(7))).unwrap_err();
    assert_eq!(odd.param.as_deref(), Some("service_tier"));
}
