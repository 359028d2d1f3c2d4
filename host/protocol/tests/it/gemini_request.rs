//! Gemini requests: what is read of them, and that nothing else changes when they are written.

use bytes::Bytes;
use serde_json::Value;
use turnpike_protocol::{
    Addressed, Call, Dialect, LimitField, Outgoing, Quirks, RequestError, Role, error_body,
};

const AGENT: &str = include_str!("../golden/gemini/agent.json");
const BODY: &str = r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;

fn try_parse(body: &str) -> Result<Call, RequestError> {
    let addressed = Addressed { model: Some("gemini-3-pro"), stream: Some(true) };
    let body = Bytes::copy_from_slice(body.as_bytes());
    Call::parse_addressed(Dialect::Gemini, body, &addressed)
}

fn parse(body: &str) -> Call {
    try_parse(body).unwrap()
}

fn encode(call: &Call, output_limit: Option<u32>) -> String {
    let quirks = Quirks::default();
    let out = Outgoing {
        model: "served",
        output_limit,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &quirks,
    };
    String::from_utf8(call.encode(&out).to_vec()).unwrap()
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
    insta::assert_snapshot!(list(&parse(AGENT)), @r##"
    - system system "You are careful.\nMail ops@example.com."
    0 user text "What is on “page 2”? 😀"
    0 user document "https://files.example.com/jane.doe.pdf"
    0 user document "cv jane"
    1 assistant reasoning "look it up"
    1 assistant tool-arguments "{\"q\": \"jane\", \"deep\": {\"list\": [\"a b\", 3]}}"
    1 assistant tool-arguments "print('jane')"
    1 tool tool-result "jane 555"
    2 tool tool-result "{\"output\": \"found: 555-0100\"}"
    3 user text "and now?"
    3 user document "odd one"
    - other document "Finds people"
    - other document "who"
    - other document "jane"
    - other document "joe"
    - other document "of what kind"
    - other document "nothing"
    - other document "END"
    - other document "Person"
    - other document "the name"
    - other document "search crew"
    - other document "call 555-0199"
    "##);
}

#[test]
fn the_neutral_view_tells_what_the_call_needs() {
    let call = parse(AGENT);
    assert_eq!(
        (call.model.as_str(), call.stream, call.include_usage),
        ("gemini-3-pro", true, true)
    );
    assert_eq!((call.output_limit, call.choices, call.body_len), (Some(4096), 2, AGENT.len()));
    let needs = call.needs;
    assert!(needs.tools && needs.structured_output && needs.reasoning && needs.logprobs);
    assert!(needs.image_input && needs.audio_input && needs.file_input && !needs.audio_output);
    let user = &call.messages[0];
    assert_eq!((user.role, user.images, user.audio, user.files), (Role::User, 1, 1, 1));
    let roles: Vec<_> = call.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::User]);
    let tools: Vec<_> = call.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(tools, ["find", "noop", "googleSearch"]);
    assert_eq!(call.tools[0].description.as_ref().unwrap().expose(), "Finds people");
    assert_eq!(parse(BODY).needs, turnpike_protocol::Needs::default());
}

#[test]
fn pitfall_17_what_is_not_changed_passes_byte_for_byte() {
    assert_eq!(encode(&parse(AGENT), None), AGENT);
}

#[test]
fn the_bound_on_answer_tokens_is_written_wherever_it_belongs() {
    assert_eq!(encode(&parse(AGENT), Some(9)), AGENT.replace("4096", "9"));
    let with = |config: &str| BODY.replacen('{', &format!("{{\"generationConfig\":{config},"), 1);
    let limited = with(r#"{"maxOutputTokens":9}"#);
    assert_eq!(encode(&parse(BODY), Some(9)), limited);
    assert_eq!(encode(&parse(&with("null")), Some(9)), limited);
    assert_eq!(encode(&parse(&with("{}")), Some(9)), limited);
    let more = encode(&parse(&with(r#"{"topK":1}"#)), Some(9));
    assert_eq!(more, with(r#"{"maxOutputTokens":9,"topK":1}"#));
    let snake = with(r#"{"max_output_tokens":4}"#).replace("generationC", "generation_c");
    assert_eq!(parse(&snake).output_limit, Some(4));
    assert_eq!(encode(&parse(&snake), Some(9)), snake.replace(":4}", ":9}"));
}

#[test]
fn all_texts_can_be_replaced_at_once() {
    let mut call = parse(AGENT);
    for index in 0..call.texts.len() {
        call.replace_text(index, format!("<{index}>\n"));
    }
    assert_eq!(call.tools[0].description.as_ref().unwrap().expose(), format!("<11>\n"));
    let read = parse(&encode(&call, None));
    for (index, text) in read.texts.iter().enumerate() {
        let expected = match text.is_json() {
            true => format!("{{\"text\":\"<{index}>\\n\"}}"),
            false => format!("<{index}>\n"),
        };
        assert_eq!(text.content.expose(), expected);
    }
    assert_eq!(read.texts.len(), call.texts.len());
}

#[test]
fn pitfall_69_readable_text_cannot_hide_as_media_or_a_signature() {
    for part in [
        r#"{"inlineData":{"mimeType":"image/png","data":"jane@example.com"}}"#,
        r#"{"text":"","thought_signature":"call jane now"}"#,
    ] {
        let call = parse(&format!(r#"{{"contents":{{"parts":{part}}}}}"#));
        assert_eq!(call.texts.len(), 1, "{part}");
    }
}

#[test]
fn what_is_acted_on_must_be_usable_and_written_once() {
    let cases = [
        ("[]", None, "invalid_json"),
        ("{}", Some("contents"), "missing_field"),
        (r#"{"contents":"hi"}"#, Some("contents"), "invalid_value"),
        (r#"{"contents":[7]}"#, Some("contents[0]"), "invalid_value"),
        (r#"{"contents":[{"role":1}]}"#, Some("contents[0].role"), "invalid_value"),
        (
            r#"{"generationConfig":{"maxOutputTokens":"9"}}"#,
            Some("generationConfig.maxOutputTokens"),
            "invalid_value",
        ),
        (r#"{"generationConfig":7}"#, Some("generationConfig"), "invalid_value"),
        (
            r#"{"generationConfig":{"candidateCount":0}}"#,
            Some("generationConfig.candidateCount"),
            "invalid_value",
        ),
        (r#"{"contents":[],"contents":[]}"#, Some("contents"), "duplicate_field"),
        (
            r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}"#,
            Some("maxOutputTokens"),
            "duplicate_field",
        ),
        (r#"{"Contents":[]}"#, Some("contents"), "invalid_value"),
        (
            r#"{"tools":[{"functionDeclarations":[1]}]}"#,
            Some("tools.functionDeclarations"),
            "invalid_value",
        ),
    ];
    for (body, param, code) in cases {
        let error = try_parse(body).map(|_| ()).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (param, code), "{body}");
        assert_eq!(error.status, 400);
    }
    let nameless = Call::parse(Dialect::Gemini, Bytes::from_static(BODY.as_bytes()));
    assert_eq!(nameless.map(|_| ()).unwrap_err().param.as_deref(), Some("model"));
}

#[test]
fn errors_have_googles_shape_and_words() {
    let cases = [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (422, "FAILED_PRECONDITION"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ];
    for (status, word) in cases {
        let facts = error_body::ErrorFacts {
            message: "no \"such\" model",
            kind: "invalid_request_error",
            param: Some("model"),
            code: Some("model_not_found"),
            status,
            request_id: None,
        };
        let body = error_body::encode(Dialect::Gemini, &facts);
        let tree: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&tree["error"]["code"], &tree["error"]["status"]),
            (&status.into(), &word.into())
        );
        let read = error_body::parse(Dialect::Gemini, &body).unwrap();
        assert_eq!(read.message.expose(), facts.message);
        assert_eq!(read.code.as_deref(), Some(status.to_string().as_str()));
        let event = error_body::stream_event(Dialect::Gemini, &facts);
        assert_eq!(
            event.strip_prefix(b"data: ").unwrap().strip_suffix(b"\n\n").unwrap(),
            &body[..]
        );
    }
    let listed = Bytes::from_static(
        br#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#,
    );
    let read = error_body::parse(Dialect::Gemini, &listed).unwrap();
    assert_eq!(read.kind.as_deref(), Some("rate_limit_error"));
    assert!(error_body::parse(Dialect::Gemini, &Bytes::from_static(b"<html>")).is_none());
}

#[test]
fn debug_shows_no_text_of_a_call() {
    let shown = format!("{:?}", parse(AGENT));
    for canary in ["jane", "careful", "555", "Finds", "look it"] {
        assert!(!shown.contains(canary), "{canary}");
    }
}
