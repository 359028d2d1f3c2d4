//! A Responses request: what is read of it, what is refused, and that nothing else changes.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::{
    Call, Channel, Dialect, LimitField, Outgoing, PaidTools, Quirks, RequestError, Role,
};

const AGENT: &str = include_str!("../golden/openai-responses/agent.json");
const MIXED: &str = include_str!("../golden/openai-responses/mixed.json");
const PLAIN: &str = include_str!("../golden/openai-responses/plain.json");

fn try_parse(body: &str) -> Result<Call, RequestError> {
    Call::parse(Dialect::OpenAiResponses, Bytes::copy_from_slice(body.as_bytes()))
}

fn parse(body: &str) -> Call {
    try_parse(body).unwrap()
}

fn encode(call: &Call, model: &str, output_limit: Option<u32>) -> String {
    let quirks = Quirks::default();
    let limit_field = LimitField::MaxTokens;
    let out = Outgoing { model, output_limit, model_limit: None, limit_field, quirks: &quirks };
    String::from_utf8(call.encode(&out).to_vec()).unwrap()
}

fn list(call: &Call) -> Vec<String> {
    let line = |text: &turnpike_protocol::Text| {
        let message = text.message.map_or("-".to_owned(), |index| index.to_string());
        let (role, channel) = (text.role.label(), text.channel.label());
        format!("{message} {role} {channel} {}", text.content.expose())
    };
    call.texts.iter().map(line).collect()
}

#[test]
fn pitfall_69_every_text_is_in_view_instructions_too() {
    let expected = [
        "0 system system You are careful.\nMail ops@example.com.",
        "1 developer system sandbox: read-only",
        "2 user text What is on “page 2”? 😀",
        "2 user document https://files.example.com/jane.doe.png",
        "2 user document cv jane.pdf",
        "3 assistant reasoning look it up",
        "4 assistant text One moment.",
        "5 assistant tool-arguments {\"q\":\"jane\"}",
        "6 assistant tool-arguments *** Begin Patch",
        "7 tool tool-result found: 555-0100",
        "8 tool tool-result done by joe",
        "9 assistant tool-arguments jane doe",
        "10 other document noted",
        "11 user text and now?",
        "- other document Finds people",
        "- other document who",
        "- other document jane",
        "- other document joe",
        "- other document Edits files",
        "- other document start: begin",
        "- other document out",
        "- other document the result",
        "- other document session 7",
        "- other document jane@example.com",
        "- other document call 555-0199",
        "- other document attached",
    ];
    assert_eq!(list(&parse(AGENT)), expected);
}

#[test]
fn the_neutral_view_tells_what_the_call_needs() {
    let call = parse(AGENT);
    assert_eq!((call.model.as_str(), call.stream, call.include_usage), ("auto:best", true, true));
    assert_eq!((call.output_limit, call.choices, call.body_len), (Some(4096), 1, AGENT.len()));
    let needs = call.needs;
    assert!(needs.tools && needs.structured_output && needs.reasoning && needs.logprobs);
    assert!(needs.image_input && needs.audio_input && needs.file_input && !needs.audio_output);
    let user = &call.messages[2];
    assert_eq!((user.role, user.images, user.audio, user.files), (Role::User, 2, 1, 1));
    assert_eq!((call.messages[7].role, call.messages[7].images), (Role::Tool, 1));
    let tools: Vec<_> = call.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(tools, ["find", "apply_patch", "web_search"]);
    assert_eq!(call.kept_elsewhere(), None);
    let plain = parse(r#"{"model":"m","input":"hi"}"#);
    assert_eq!(plain.needs, turnpike_protocol::Needs::default());
    assert_eq!(list(&plain), ["0 user text hi"]);
}

#[test]
fn pitfall_17_what_is_not_changed_passes_byte_for_byte() {
    for (body, model) in [(AGENT, "auto:best"), (MIXED, "gpt-5"), (PLAIN, "gpt-5")] {
        assert_eq!(encode(&parse(body), model, None), body);
    }
    let renamed = encode(&parse(AGENT), "gpt-5", Some(77));
    let expected = AGENT
        .replace("\"auto:best\"", "\"gpt-5\"")
        .replace("\"max_output_tokens\": 4096", "\"max_output_tokens\": 77");
    assert_eq!(renamed, expected);
    let bare = parse(r#"{"model":"a","input":"hi"}"#);
    assert_eq!(encode(&bare, "b", Some(9)), r#"{"model":"b","max_output_tokens":9,"input":"hi"}"#);
}

#[test]
fn replacing_a_text_rewrites_that_string_and_nothing_else() {
    let count = parse(AGENT).texts.len();
    for index in 0..count {
        let mut call = parse(AGENT);
        call.replace_text(index, "«\"quoted\"\n\u{1}\\»".to_owned());
        let again = parse(&encode(&call, "auto:best", None));
        for (at, (new, old)) in again.texts.iter().zip(&parse(AGENT).texts).enumerate() {
            let expected =
                if at == index { "«\"quoted\"\n\u{1}\\»" } else { old.content.expose() };
            assert_eq!(new.content.expose(), expected);
        }
    }
}

#[test]
fn pitfall_23_bodies_that_mix_two_dialects_are_read() {
    let call = parse(MIXED);
    let tools: Vec<_> = call.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(tools, ["read", "write", "ApplyPatch"]);
    let expected = [
        "- other document auth0|1",
        "0 system system You pair with a person in an editor.",
        "1 user text fix it",
        "2 assistant text Reading.",
        "2 assistant tool-arguments {\"path\":\"a.rs\"}",
        "3 tool tool-result fn main() {}",
        "- other document Reads",
        "- other document Writes",
        "- other document Edits",
        "- other document start: x",
    ];
    assert_eq!(list(&call), expected);
    assert_eq!((call.messages[1].images, call.needs.image_input), (1, true));
}

#[test]
fn what_lives_at_a_provider_is_known() {
    for (member, body) in [
        ("previous_response_id", r#"{"model":"m","previous_response_id":"resp_1","input":"on"}"#),
        ("conversation", r#"{"model":"m","conversation":{"id":"conv_1"},"input":"go on"}"#),
        ("prompt", r#"{"model":"m","prompt":{"id":"pmpt_1","variables":{"city":"Bonn"}}}"#),
        ("input", r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}"#),
        ("input", r#"{"model":"m","input":[{"id":"msg_1"}]}"#),
    ] {
        assert_eq!(parse(body).kept_elsewhere(), Some(member), "{body}");
    }
    let none = r#"{"model":"m","previous_response_id":null,"conversation":null,"input":"x"}"#;
    assert_eq!(parse(none).kept_elsewhere(), None);
}

#[test]
fn pitfall_31_what_cannot_be_acted_on_is_refused_with_its_place() {
    let cases = [
        (r#"{"input":"x"}"#, "model", "missing_field"),
        (r#"{"previous_response_id":"resp_1","input":"x"}"#, "model", "missing_field"),
        (r#"{"model":"m"}"#, "input", "missing_field"),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#, "input", "missing_field"),
        (r#"{"model":"m","input":7}"#, "input", "invalid_value"),
        (r#"{"model":"m","input":["x"]}"#, "input[0]", "invalid_value"),
        (r#"{"model":"m","input":[{"content":"x"}]}"#, "input[0].role", "missing_field"),
        (r#"{"model":"m","input":[{"role":1,"content":"x"}]}"#, "input[0].role", "invalid_value"),
        (r#"{"model":"m","input":"x","background":true}"#, "background", "invalid_value"),
        (r#"{"model":"m","input":"x","stream":"yes"}"#, "stream", "invalid_value"),
        (
            r#"{"model":"m","input":"x","max_output_tokens":0}"#,
            "max_output_tokens",
            "invalid_value",
        ),
        (r#"{"model":"m","input":"x","input":"y"}"#, "input", "duplicate_field"),
        (r#"{"model":"m","Input":"x"}"#, "input", "invalid_value"),
        (r#"{"model":"m","input":[{"role":"user","role":"user"}]}"#, "role", "duplicate_field"),
        (r#"{"model":"m","input":"x","models":["a"]}"#, "models", "invalid_value"),
    ];
    for (body, param, code) in cases {
        let error = try_parse(body).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (Some(param), code), "{body}");
        assert_eq!(error.status, 400);
    }
}

#[test]
fn pitfall_69_readable_text_cannot_hide_as_an_image_or_a_file() {
    for part in [
        json!({"type": "input_image", "image_url": "data:text/plain,jane@example.com"}),
        json!({"type": "input_file", "file_data": "data:text/plain;base64,jane@example.com"}),
        json!({"type": "input_audio", "input_audio": {"data": "jane @ example"}}),
        json!({"type": "input_file", "file_url": "https://example.com/jane"}),
    ] {
        let body = json!({"model": "m", "input": [{"role": "user", "content": [part]}]});
        let call = parse(&body.to_string());
        assert_eq!(call.texts.len(), 1, "{body}");
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

#[test]
fn the_goldens_are_json() {
    for body in [AGENT, MIXED, PLAIN] {
        serde_json::from_str::<Value>(body).unwrap();
    }
}

#[test]
fn a_search_that_is_only_offered_can_be_left_out() {
    let body = json!({"model": "gpt-5.4", "input": "news?", "tool_choice": "auto", "tools": [
        {"type": "function", "name": "f", "parameters": {}},
        {"type": "web_search", "user_location": {"city": "Oslo"}},
        {"type": "code_interpreter", "container": {"type": "auto"}}]});
    let body = body.to_string();
    let call = Call::parse(Dialect::OpenAiResponses, Bytes::from(body)).unwrap();
    let all = PaidTools { searches: true, hosted: true };
    assert_eq!(call.can_do_without(), all);
    assert!(call.needs.web_search && call.needs.hosted_tools);
    for (which, places) in [
        (all, &["tools[1]", "tools[2]"][..]),
        (PaidTools { searches: true, hosted: false }, &["tools[1]"]),
        (PaidTools { searches: false, hosted: true }, &["tools[2]"]),
    ] {
        let lost = call.without_paid(which);
        assert_eq!(lost.iter().map(|loss| loss.at.as_str()).collect::<Vec<_>>(), places);
    }
}
