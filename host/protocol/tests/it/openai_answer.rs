//! Whole answers: what is read, and that they pass on untouched.

use bytes::Bytes;
use turnpike_protocol::{Answer, Dialect};

fn parse(body: &'static str) -> Answer {
    Answer::parse(Dialect::OpenAiChat, Bytes::from_static(body.as_bytes())).unwrap()
}

const WHOLE: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"gpt-x-2026",
 "choices":[{"index":0,"message":{"role":"assistant","content":"caf\u00e9","refusal":null,
  "reasoning_content":"hm","tool_calls":[{"id":"t","type":"function","function":{"name":"f",
      "arguments":"{\"a\":1}"}}]},
  "logprobs":null,"finish_reason":"tool_calls"},
  {"index":1,"message":{"role":"assistant","content":[{"type":"thinking","thinking":[
      {"type":"text","text":"deep"}]},{"type":"text","text":"said"}],
  "audio":{"id":"a","data":"AAAA","transcript":"spoken"}},"finish_reason":"stop"}],
 "usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13},"service_tier":"flex",
     "x_new":{"kept":[1.0]}}"#;

#[test]
fn the_view_holds_texts_usage_and_what_was_served() {
    let answer = parse(WHOLE);
    let texts: Vec<_> = (answer.texts.iter())
        .map(|text| {
            let choice = text.message.unwrap();
            format!("{choice} {} {}", text.channel.label(), text.content.expose())
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    0 text café
    0 reasoning hm
    0 tool-arguments {"a":1}
    1 reasoning deep
    1 text said
    1 text spoken
    "#);
    assert_eq!(answer.model.as_deref(), Some("gpt-x-2026"));
    assert_eq!(answer.service_tier.as_deref(), Some("flex"));
    assert_eq!(answer.usage.unwrap().input_uncached, 9);
    assert!(answer.has_content() && answer.tool_called && answer.error.is_none());
    assert_eq!(answer.choices, 2);
}

#[test]
fn untouched_bytes_are_the_providers_own() {
    let body = Bytes::from_static(WHOLE.as_bytes());
    let answer = Answer::parse(Dialect::OpenAiChat, body.clone()).unwrap();
    assert_eq!(answer.encode().as_ptr(), body.as_ptr());
}

#[test]
fn a_replaced_text_changes_that_string_only() {
    let mut answer = parse(WHOLE);
    answer.replace_text(2, "{\"a\":\"x\"}".to_owned());
    answer.replace_text(99, "nothing".to_owned());
    let expected = WHOLE.replace(r#""{\"a\":1}""#, r#""{\"a\":\"x\"}""#);
    assert_eq!(answer.encode(), expected.as_bytes());
}

#[test]
fn pitfall_44_an_error_under_status_200_is_not_an_answer() {
    let answer =
        parse(r#"{"error":{"message":"upstream is busy","type":"server_error","code":503}}"#);
    let error = answer.error.as_ref().unwrap();
    assert_eq!((error.kind.as_deref(), error.code.as_deref()), (Some("server_error"), Some("503")));
    assert!(!answer.has_content() && answer.usage.is_none());
    assert!(parse(r#"{"error":null,"choices":[]}"#).error.is_none());
}

#[test]
fn pitfall_45_an_empty_answer_has_no_content() {
    let empty = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":""},
        "finish_reason":"stop"}]}"#;
    assert!(!parse(empty).has_content());
    let tool = r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"a",
        "function":{"name":"f","arguments":""}}]}}]}"#;
    assert!(parse(tool).has_content());
}

#[test]
fn what_cannot_be_read_says_where_and_quotes_nothing() {
    let broken = Answer::parse(Dialect::OpenAiChat, Bytes::from_static(b"<html>canary</html>"));
    let error = broken.map(|_| ()).unwrap_err();
    assert_eq!(error.at, 0);
    assert!(!error.to_string().contains("canary"));
    let cut = Answer::parse(Dialect::OpenAiChat, Bytes::copy_from_slice(&WHOLE.as_bytes()[..300]));
    assert!(cut.is_err());
    assert!(!format!("{:?}", parse(WHOLE)).contains("spoken"));
}

#[test]
fn the_probabilities_of_a_changed_choice_are_dropped_and_no_others() {
    let body = r#"{"choices":[
        {"index":0,"message":{"content":"to jane"},"logprobs":{"content":[{"token":" jane"}]}},
        {"index":1,"logprobs":{"content":[{"token":"kept"}]},"message":{"content":"kept"}}]}"#;
    let bytes = Bytes::from_static(body.as_bytes());
    let mut answer = Answer::parse(Dialect::OpenAiChat, bytes.clone()).unwrap();
    assert_eq!(answer.encode(), bytes);
    answer.replace_text(0, "to [NAME]".to_owned());
    let sent: serde_json::Value = serde_json::from_slice(&answer.encode()).unwrap();
    assert_eq!(sent["choices"][0]["logprobs"], serde_json::Value::Null);
    assert_eq!(sent["choices"][0]["message"]["content"], "to [NAME]");
    assert_eq!(sent["choices"][1]["logprobs"]["content"][0]["token"], "kept");
}
