//! A Messages request: what is read of it, and that nothing but what was decided changes.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::quirks::Envelope;
use turnpike_protocol::{Call, Dialect, Outgoing, Quirks, RequestError, Role, Severity, translate};

use crate::anthropic_kit::{AGENT, FEATURES, HERE, call, out};

fn refused(body: &str) -> RequestError {
    Call::parse(HERE, Bytes::copy_from_slice(body.as_bytes())).unwrap_err()
}

fn encoded(call: &Call, out: &Outgoing<'_>) -> String {
    String::from_utf8(call.encode(out).to_vec()).unwrap()
}

fn tree(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn texts(call: &Call) -> Vec<String> {
    let line = |text: &turnpike_protocol::Text| {
        let at = text.message.map_or_else(|| "-".to_owned(), |message| message.to_string());
        let (role, channel) = (text.role.label(), text.channel.label());
        format!("{at} {role} {channel}: {}", text.content.expose())
    };
    call.texts.iter().map(line).collect()
}

#[test]
fn every_readable_string_of_an_agents_request_is_a_text() {
    let call = call(AGENT);
    let expected = [
        "0 user text: <system-reminder>\nToday is Monday.\n</system-reminder>",
        "0 user text: Fix the café test",
        "1 assistant reasoning: I should look at the file first.",
        "1 assistant text: Let me look.",
        "1 assistant tool-arguments: {\"file_path\":\"/src/cafe.test.ts\",\"limit\":20}",
        "2 tool tool-result: 1\ttest('menu')",
        "- system system: x-attribution: cli",
        "- system system: You are an agent.",
        "- system system: Be brief.",
        "- other document: Reads a file.",
        "- other document: Absolute path",
        "- other document: user_81_account__session_c0",
        "- other document: all",
        "- other document: kept",
    ];
    assert_eq!(texts(&call), expected);
    assert_eq!(call.model, "claude-sonnet-4-5-20250929");
    assert_eq!((call.stream, call.include_usage, call.choices), (true, true, 1));
    assert_eq!(call.output_limit, Some(32_000));
    let roles: Vec<Role> = call.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool]);
    assert_eq!(call.messages[2].images, 1);
    assert!(call.needs.tools && call.needs.reasoning && call.needs.image_input);
    assert!(!call.needs.structured_output);
    let names: Vec<&str> = call.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["Read", "web_search"]);
}

#[test]
fn documents_results_and_unknown_blocks_are_read_too() {
    let listed = texts(&call(FEATURES)).join("\n");
    for text in [
        "https://example.org/a.png",
        "Report",
        "Of last year.",
        "Plain words.",
        "A chunk.",
        "Body.",
        "{\"query\":\"facts\"}",
        "https://example.org/f",
        "wet",
        "cold",
        "no clock",
        "https://mcp.example.org/sse",
    ] {
        assert!(listed.contains(&format!(": {text}")), "{text} in {listed}");
    }
    for hidden in ["JVBERi0", "EqQBsig", "toolu_1", "Eo8B", "file_011", "ephemeral", "container_"] {
        assert!(!listed.contains(hidden), "{hidden} in {listed}");
    }
    let call = call(FEATURES);
    assert!(call.needs.file_input && call.needs.structured_output);
    assert_eq!((call.messages[0].images, call.messages[0].files), (2, 3));
    assert_eq!(call.messages[2].role, Role::User);
}

#[test]
fn text_cannot_hide_as_base64_or_as_a_name() {
    let body = json!({ "model": "m", "max_tokens": 1, "messages": [{ "role": "user", "content": [
        { "type": "image", "source": { "type": "base64", "media_type": "image/png",
            "data": "call me at 555" } },
        { "type": "thinking", "thinking": "", "signature": "my name is" },
        { "type": "tool_use", "id": "t", "name": "a b", "input": { "type": "in a type" } },
        { "type": "novel", "data": "x y", "deep": [{ "er": "words" }] },
    ] }] });
    let listed = texts(&call(&body.to_string())).join("\n");
    for text in ["call me at 555", "my name is", "a b", "in a type", "x y", "words"] {
        assert!(listed.contains(text), "{text} in {listed}");
    }
}

#[test]
fn pitfall_17_the_same_request_passes_byte_for_byte() {
    for body in [AGENT, FEATURES] {
        let call = call(body);
        let quirks = Quirks::default();
        assert_eq!(encoded(&call, &out(&call.model, &quirks)), body);
        let other = encoded(&call, &out("other", &quirks));
        assert_eq!(other, body.replacen(&call.model, "other", 1));
    }
}

#[test]
fn pitfall_19_context_management_and_unknown_members_stay_in_the_body() {
    let mut call = call(AGENT);
    let text = call.texts.iter().position(|text| text.content.expose() == "Be brief.").unwrap();
    call.replace_text(text, "Be \"long\".".to_owned());
    let sent = encoded(&call, &out(&call.model, &Quirks::default()));
    assert_eq!(sent, AGENT.replace("Be brief.", "Be \\\"long\\\"."));
    assert!(sent.contains(r#""context_management":{"edits":[{"type":"clear_thinking_20251015""#));
    assert!(sent.contains(r#""x_unknown":{"note":"kept","n":1e2}"#));
}

#[test]
fn the_bound_on_answer_tokens_is_written_over_or_added() {
    let quirks = Quirks::default();
    let bounded = Outgoing { output_limit: Some(99), ..out("m", &quirks) };
    for head in ["{", "{ ", "{\"max_tokens\" : null ,"] {
        let body = format!(
            "{head}\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],\"model\":\"x\"}}"
        );
        let call = call(&body);
        // A count of tokens asks for no answer, and so has no bound.
        assert_eq!(call.output_limit, None);
        let sent = tree(&call.encode(&bounded));
        assert_eq!(sent["max_tokens"], 99, "{body}");
        assert_eq!(sent["model"], "m");
    }
}

/// No answer at all is something that one dialect alone can ask for.
#[test]
fn a_bound_of_zero_goes_to_no_provider_of_another_dialect() {
    let body = |limit: &str| {
        format!(
            r#"{{"model":"m","max_tokens":{limit},"messages":[{{"role":"user","content":"x"}}]}}"#
        )
    };
    let quirks = Quirks::default();
    for to in Dialect::ALL.into_iter().filter(|to| *to != HERE) {
        let lost = |limit: &str| {
            let call = call(&body(limit));
            translate::request(&call, to, &out("m", &quirks)).unwrap().losses
        };
        let (zero, some) = (lost("0"), lost("100"));
        assert_eq!(zero.worst(), Some(Severity::Unsupported), "{to:?}");
        assert!(zero.iter().any(|loss| loss.at == "max_tokens"), "{to:?}");
        assert!(!some.iter().any(|loss| loss.at == "max_tokens"), "{to:?}: {some:?}");
    }
    let error = refused(&body("-1"));
    assert!(error.message.contains("from 1 to 4294967295, or 0"), "{}", error.message);
}

#[test]
fn pitfall_21_a_budget_gives_way_to_the_bound_on_the_answer() {
    let quirks = Quirks::default();
    let bounded = |limit| {
        tree(&call(AGENT).encode(&Outgoing { output_limit: Some(limit), ..out("m", &quirks) }))
    };
    let thinking = |budget| json!({ "type": "enabled", "budget_tokens": budget });
    assert_eq!(bounded(40_000)["thinking"], thinking(31_999));
    assert_eq!(bounded(5_000)["thinking"], thinking(4_999));
    assert_eq!(bounded(1_000)["thinking"], json!({ "type": "disabled" }));
    assert_eq!(bounded(1_000)["max_tokens"], 1_000);
}

#[test]
fn clouds_get_the_body_without_what_the_address_says() {
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    let bodies = [
        format!(r#"{{"model":"x",{messages},"max_tokens":5,"stream":true}}"#),
        format!(r#"{{ "stream" : true , "model":"x" , {messages} , "max_tokens":5 }}"#),
        format!(r#"{{"model":"x","stream":true,{messages}}}"#),
        format!(r#"{{"anthropic_version":"old","model":"x","stream":true,{messages}}}"#),
        format!(r#"{{{messages},"model":"x","anthropic_version":"old","stream":true}}"#),
        format!(r#"{{{messages},"stream":true,"model":"x"}}"#),
    ];
    for body in bodies {
        for (envelope, version) in
            [(Envelope::Vertex, "vertex-2023-10-16"), (Envelope::Bedrock, "bedrock-2023-05-31")]
        {
            let quirks = Quirks { envelope, ..Quirks::default() };
            let bounded = Outgoing { output_limit: Some(7), ..out("served", &quirks) };
            let sent = tree(&call(&body).encode(&bounded));
            let mut expected = json!({
                "anthropic_version": version,
                "max_tokens": 7,
                "messages": [{ "role": "user", "content": "hi" }],
            });
            if envelope == Envelope::Vertex {
                expected["stream"] = json!(true);
            }
            assert_eq!(sent, expected, "{body}");
        }
    }
}

#[test]
fn pitfall_15_thinking_is_stripped_for_one_more_attempt() {
    let quirks = Quirks::default();
    let call = call(AGENT);
    let sent = tree(&call.encode_without_thinking(&out("m", &quirks)).unwrap());
    let mut expected: Value = serde_json::from_str(AGENT).unwrap();
    expected["model"] = json!("m");
    let blocks = expected["messages"][1]["content"].as_array_mut().unwrap();
    blocks.drain(..2);
    // The turn whose tools just answered would have to begin with thinking.
    expected["thinking"] = json!({ "type": "disabled" });
    assert_eq!(sent, expected);
    let plain = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    assert!(self::call(plain).encode_without_thinking(&out("m", &quirks)).is_none());
}

#[test]
fn pitfall_15_a_turn_of_nothing_but_thinking_goes_with_it() {
    let body = json!({ "model": "m", "thinking": { "type": "adaptive" }, "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "x", "signature": "s" },
            { "type": "redacted_thinking", "data": "d" }] },
        { "role": "user", "content": "b" },
        { "role": "assistant", "content": [
            { "type": "text", "text": "one" },
            { "type": "thinking", "thinking": "y", "signature": "s" },
            { "type": "text", "text": "two" },
            { "type": "thinking", "thinking": "z", "signature": "s" }] },
        { "role": "user", "content": "c" },
    ] });
    let mut call = call(&body.to_string());
    // An edit inside what is taken out is taken out with it.
    let thought = call.texts.iter().position(|text| text.content.expose() == "y").unwrap();
    call.replace_text(thought, "redacted".to_owned());
    let sent = tree(&call.encode_without_thinking(&out("m", &Quirks::default())).unwrap());
    let expected = json!([
        { "role": "user", "content": "a" },
        { "role": "user", "content": "b" },
        { "role": "assistant", "content": [
            { "type": "text", "text": "one" }, { "type": "text", "text": "two" }] },
        { "role": "user", "content": "c" },
    ]);
    assert_eq!(sent["messages"], expected);
    assert_eq!(sent["thinking"], json!({ "type": "adaptive" }));
}

#[test]
fn pitfall_15_and_16_thinking_of_another_issuer_never_reaches_this_one() {
    let own = json!({ "type": "thinking", "thinking": "own", "signature": "EqQB" });
    let body = json!({ "model": "m", "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "of another", "signature": "tp1.openai.abc=" },
            { "type": "redacted_thinking", "data": "tp1.gemini.abc" },
            own,
            { "type": "tool_use", "id": "t", "name": "f", "input": {} }] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "t", "content": "r" }] },
    ] });
    let sent = tree(&call(&body.to_string()).encode(&out("m", &Quirks::default())));
    let content = &sent["messages"][1]["content"];
    assert_eq!(content[0], own);
    assert_eq!(content[1]["type"], "tool_use");
    assert_eq!(content.as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_acted_on_is_refused_with_its_place() {
    let hi = r#""messages":[{"role":"user","content":"hi"}]"#;
    let cases = [
        (format!("{{{hi}}}"), "model"),
        (format!(r#"{{"model":7,{hi}}}"#), "model"),
        (r#"{"model":"m"}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":[]}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":[7]}"#.to_owned(), "messages[0]"),
        (r#"{"model":"m","messages":[{"content":"x"}]}"#.to_owned(), "messages[0].role"),
        (r#"{"model":"m","messages":[{"role":"user"}]}"#.to_owned(), "messages[0].content"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":{}}]}"#.to_owned(),
            "messages[0].content",
        ),
        (format!(r#"{{"model":"m",{hi},"max_tokens":"1"}}"#), "max_tokens"),
        (format!(r#"{{"model":"m",{hi},"max_tokens":-1}}"#), "max_tokens"),
        (format!(r#"{{"model":"m",{hi},"stream":1}}"#), "stream"),
        (format!(r#"{{"model":"m",{hi},"tools":{{}}}}"#), "tools"),
        (format!(r#"{{"model":"m",{hi},"thinking":true}}"#), "thinking"),
        (format!(r#"{{"model":"m",{hi},"model":"n"}}"#), "model"),
        (format!(r#"{{"model":"m",{hi},"Stream":true}}"#), "stream"),
    ];
    for (body, param) in cases {
        let error = refused(&body);
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
        assert_eq!(error.status, 400);
    }
    let twice = r#"{"model":"m","messages":[{"role":"user","content":[
        {"type":"text","text":"a","text":"b"}]}]}"#;
    assert_eq!(refused(twice).code, "duplicate_field");
}
