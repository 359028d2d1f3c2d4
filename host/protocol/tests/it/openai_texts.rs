//! All text of a request is listed, each can be replaced, and nothing else changes by it.

use bytes::Bytes;
use serde_json::Value;
use turnpike_protocol::{Call, Channel, Dialect, Outgoing, Role};

use crate::support;

const AGENT: &str = include_str!("../golden/openai-chat/agent.json");

fn parse(body: &str) -> Call {
    Call::parse(Dialect::OpenAiChat, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn plain(model: &str) -> Outgoing<'_> {
    support::outgoing(model)
}

fn list(call: &Call) -> String {
    let line = |text: &turnpike_protocol::Text| {
        let message = text.message.map_or("-".to_owned(), |index| index.to_string());
        let (role, channel) = (text.role.label(), text.channel.label());
        format!("{message} {role} {channel} {:?}\n", text.content.expose())
    };
    call.texts.iter().map(line).collect()
}

#[test]
fn pitfall_69_every_text_is_in_view() {
    let call = parse(AGENT);
    insta::assert_snapshot!(list(&call), @r#"
    0 system system "You are careful.\nMail ops@example.com."
    1 user text "What is on “page 2”? 😀"
    1 user document "https://files.example.com/jane.doe.png"
    1 user document "cv jane.pdf"
    1 user document "jane"
    2 assistant reasoning "look it up"
    2 assistant text "not that"
    2 assistant reasoning "in detail"
    2 assistant tool-arguments "{\"q\":\"jane\"}"
    2 assistant tool-arguments "ls -l"
    3 tool tool-result "found: 555-0100"
    4 developer system "be brief"
    5 assistant tool-arguments "{}"
    5 assistant document "noted"
    - other document "Finds people"
    - other document "who"
    - other document "jane"
    - other document "joe"
    - other document "how"
    - other document "out"
    - other document "the result"
    - other document "END"
    - other document "jane:"
    - other document "expected"
    - other document "jane@example.com"
    - other document "call 555-0199"
    - other document "attached"
    "#);
}

#[test]
fn the_neutral_view_tells_what_the_call_needs() {
    let call = parse(AGENT);
    assert_eq!((call.model.as_str(), call.stream, call.include_usage), ("auto:best", true, false));
    assert_eq!((call.output_limit, call.choices, call.body_len), (Some(4096), 2, AGENT.len()));
    let needs = call.needs;
    assert!(needs.tools && needs.structured_output && needs.reasoning && needs.logprobs);
    assert!(needs.image_input && needs.audio_input && needs.file_input && needs.audio_output);
    let user = &call.messages[1];
    assert_eq!((user.role, user.images, user.audio, user.files), (Role::User, 2, 1, 1));
    assert_eq!(user.texts, 1..5);
    let tools: Vec<_> = call.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(tools, ["find", "web_search"]);
    let plain = parse(r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
    assert_eq!(plain.needs, turnpike_protocol::Needs::default());
    assert_eq!(plain.choices, 1);
}

/// Every string of a JSON tree, with its path.
fn strings(value: &Value, path: &str, out: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => out.push((path.to_owned(), text.clone())),
        Value::Array(items) => {
            (items.iter().enumerate())
                .for_each(|(i, item)| strings(item, &format!("{path}/{i}"), out));
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, item)| strings(item, &format!("{path}/{key}"), out));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn replacing_a_text_rewrites_that_string_and_nothing_else() {
    let mut before = Vec::new();
    let untouched = parse(AGENT).encode(&plain("auto:best"));
    strings(&serde_json::from_slice(&untouched).unwrap(), "", &mut before);
    let new = "«\"quoted\"\n\u{1}\\»";
    for index in 0..parse(AGENT).texts.len() {
        let mut call = parse(AGENT);
        let old = call.texts[index].content.expose().to_owned();
        call.replace_text(index, new.to_owned());
        assert_eq!(call.texts[index].content.expose(), new);
        let mut after = Vec::new();
        let encoded = call.encode(&plain("auto:best"));
        strings(&serde_json::from_slice(&encoded).unwrap(), "", &mut after);
        let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
        assert_eq!(changed.len(), 1, "text {index}");
        assert_eq!((&changed[0].0.1, changed[0].1.1.as_str()), (&old, new));
    }
}

#[test]
fn all_texts_can_be_replaced_at_once() {
    let mut call = parse(AGENT);
    for index in 0..call.texts.len() {
        call.replace_text(index, format!("<{index}>"));
    }
    call.replace_text(9_999, "nothing".to_owned());
    let again = call.encode(&plain("m"));
    let read = Call::parse(Dialect::OpenAiChat, again).unwrap();
    let texts: Vec<_> = read.texts.iter().map(|text| text.content.expose().to_owned()).collect();
    let expected: Vec<_> = (0..read.texts.len()).map(|index| format!("<{index}>")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn a_replaced_tool_description_is_replaced_in_the_tool_too() {
    let mut call = parse(AGENT);
    let index = call.texts.iter().position(|text| text.content.expose() == "Finds people").unwrap();
    call.replace_text(index, "masked".to_owned());
    assert_eq!(call.tools[0].description.as_ref().unwrap().expose(), "masked");
}

#[test]
fn pitfall_69_readable_text_cannot_hide_as_an_image() {
    for url in [
        "data:text/plain,jane@example.com",
        "data:text/plain;base64,jane@example.com",
        "data:image/png;x=jane@example.com",
    ] {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url",
            "image_url":{{"url":"{url}"}}}}]}}]}}"#
        );
        let call = parse(&body);
        assert_eq!(call.texts.len(), 1, "{url}");
        assert_eq!(call.texts[0].channel, Channel::Document);
    }
}

#[test]
fn debug_shows_no_text_of_a_call() {
    let shown = format!("{:?}", parse(AGENT));
    for canary in ["jane", "careful", "555", "Finds", "attached"] {
        assert!(!shown.contains(canary), "{canary} in {shown}");
    }
}
