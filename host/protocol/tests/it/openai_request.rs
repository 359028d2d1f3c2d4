//! Requests: what is refused and how, and what is spliced on the way upstream.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use turnpike_protocol::{Call, Dialect, LimitField, Outgoing, Quirks, RequestError};

use crate::support;

fn try_parse(body: impl AsRef<[u8]>) -> Result<Call, RequestError> {
    Call::parse(Dialect::OpenAiChat, Bytes::copy_from_slice(body.as_ref()))
}

/// A body with `members` in front of the messages.
fn body(members: &str) -> String {
    format!(r#"{{"model":"asked", {members} "messages":[{{"role":"user","content":"hi"}}]}}"#)
}

fn sent(body: &str, limit: Option<u32>, field: LimitField) -> String {
    let out = Outgoing { output_limit: limit, limit_field: field, ..support::outgoing("served") };
    let bytes = try_parse(body).unwrap().encode(&out);
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn refused(body: &str) -> RequestError {
    try_parse(body).map(|_| ()).unwrap_err()
}

#[test]
fn only_the_model_changes_in_a_plain_request() {
    let body = body("\"temperature\" : 0.70,\t\"x\":[1e5,\"\\u00e9\"],\n");
    let expected = body.replace("asked", "served");
    assert_eq!(sent(&body, None, LimitField::MaxTokens), expected);
}

#[test]
fn pitfall_33_usage_chunk_is_asked_for_always_and_forwarded_only_if_asked() {
    let cases = [
        (r#""stream":true,"#, false),
        (r#""stream":true,"stream_options":null,"#, false),
        (r#""stream":true,"stream_options":{},"#, false),
        (r#""stream":true,"stream_options":{ "include_usage" : false },"#, false),
        (r#""stream":true,"stream_options":{"include_usage":null,"a":1},"#, false),
        (r#""stream_options":{"include_usage":true},"stream":true,"#, true),
    ];
    for (members, wanted) in cases {
        let call = try_parse(body(members)).unwrap();
        assert_eq!(call.include_usage, wanted, "{members}");
        let sent = sent(&body(members), None, LimitField::MaxTokens);
        let sent: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent["stream_options"]["include_usage"], json!(true), "{members}");
    }
    let kept = r#""stream":true,"stream_options":{"include_obfuscation":false},"#;
    let sent = sent(&body(kept), None, LimitField::MaxTokens);
    assert!(
        sent.contains(r#""stream_options":{"include_usage":true,"include_obfuscation":false}"#),
        "{sent}"
    );
}

#[test]
fn nothing_is_asked_about_usage_without_a_stream() {
    for members in ["", "\"stream\":false,", "\"stream\":null,"] {
        let sent = sent(&body(members), None, LimitField::MaxTokens);
        assert!(!sent.contains("stream_options"), "{sent}");
    }
}

#[test]
fn pitfall_20_the_output_bound_has_the_name_that_the_provider_knows() {
    let member = |members: &str, limit, field| {
        let sent: Value = serde_json::from_str(&sent(&body(members), limit, field)).unwrap();
        (sent["max_tokens"].clone(), sent["max_completion_tokens"].clone())
    };
    let (old, new) = (LimitField::MaxTokens, LimitField::MaxCompletionTokens);
    let (is_old, is_new) =
        (|limit: u32| (json!(limit), Value::Null), |limit: u32| (Value::Null, json!(limit)));
    let (first, second) = ("\"max_tokens\":9,", "\"max_completion_tokens\":8,");
    let both = format!("{first}{second}");
    assert_eq!(member("", None, new), (Value::Null, Value::Null));
    assert_eq!(member("", Some(50), old), is_old(50));
    assert_eq!(member("", Some(50), new), is_new(50));
    assert_eq!(member(first, Some(50), old), is_old(50));
    assert_eq!(member(first, Some(50), new), is_new(50));
    assert_eq!(member(first, None, new), is_new(9));
    assert_eq!(member(second, None, old), is_old(8));
    assert_eq!(member(second, Some(5), old), is_old(5));
    assert_eq!(member(&both, Some(5), old), is_old(5));
    assert_eq!(member(&both, Some(5), new), is_new(5));
    assert_eq!(member(&both, None, old), is_old(9));
    assert_eq!(member(&both, None, new), is_new(8));
    let null = "\"max_tokens\":null,";
    assert_eq!(member(null, Some(5), new), is_new(5));
    assert_eq!(member(null, Some(5), old), is_old(5));
    assert_eq!(member(&format!("{null}{second}"), None, old), is_old(8));
    let larger = try_parse(body("\"max_tokens\":9,\"max_completion_tokens\":80,")).unwrap();
    assert_eq!(larger.output_limit, Some(80));
}

#[test]
fn pitfall_20_a_renamed_bound_changes_nothing_else() {
    let field = LimitField::MaxCompletionTokens;
    let renamed = |body: &str| sent(body, None, field).replace("\"served\"", "\"m\"");
    let rest = r#""model":"m","messages":[{"role":"user","content":"max_tokens"}]"#;
    let cases = [
        (r#"{"max_tokens" : 5 , REST}"#, r#"{"max_completion_tokens" : 5 , REST}"#),
        (r#"{REST, "max_t\u006fkens": 5}"#, r#"{REST, "max_completion_tokens": 5}"#),
        (
            r#"{"max_tokens":5,"max_completion_tokens":7,REST}"#,
            r#"{"max_completion_tokens":7,REST}"#,
        ),
        (
            r#"{REST , "max_tokens":5 , "max_completion_tokens":7}"#,
            r#"{REST  , "max_completion_tokens":7}"#,
        ),
        (
            r#"{REST,"max_completion_tokens":7,"max_tokens":5 }"#,
            r#"{REST,"max_completion_tokens":7 }"#,
        ),
        (r#"{REST,"max_completion_tokens":7}"#, r#"{REST,"max_completion_tokens":7}"#),
    ];
    for (before, after) in cases {
        assert_eq!(renamed(&before.replace("REST", rest)), after.replace("REST", rest));
    }
}

#[test]
fn stream_options_are_neither_sent_nor_passed_to_a_provider_that_refuses_them() {
    let quirks = Quirks { no_stream_options: true, ..Quirks::default() };
    let rest = r#""model":"m","messages":[{"role":"user","content":"x"}],"stream":true"#;
    let options = r#""stream_options":{"include_usage":true}"#;
    let limits = r#""max_tokens":1"#;
    for body in [
        format!("{{{rest}}}"),
        format!("{{{rest},{options}}}"),
        format!("{{{options},{rest}}}"),
        format!("{{{options},{limits},\"max_completion_tokens\":2,{rest}}}"),
        format!("{{{limits},{options},\"max_completion_tokens\":2,{rest}}}"),
        format!("{{{rest},\"max_completion_tokens\":2,{options},{limits}}}"),
    ] {
        let limit_field = LimitField::MaxCompletionTokens;
        let out = Outgoing { quirks: &quirks, limit_field, ..support::outgoing("m") };
        let sent = try_parse(&body).unwrap().encode(&out);
        let tree: Value = serde_json::from_slice(&sent).unwrap();
        assert!(tree.get("stream_options").is_none(), "{body}");
        assert!(tree.get("max_tokens").is_none(), "{body}");
        assert_eq!(tree["messages"][0]["content"], "x");
    }
}

#[test]
fn refusals_name_the_field_and_the_way_out() {
    let cases = [
        ("[]", "invalid_json", None),
        ("{\"model\":\"m\",}", "invalid_json", None),
        (r#"{"messages":[{"role":"user","content":"x"}]}"#, "missing_field", Some("model")),
        (r#"{"model":7,"messages":[]}"#, "invalid_value", Some("model")),
        (r#"{"model":"","messages":[]}"#, "invalid_value", Some("model")),
        (r#"{"model":"m"}"#, "missing_field", Some("messages")),
        (r#"{"model":"m","messages":[]}"#, "missing_field", Some("messages")),
        (r#"{"model":"m","messages":"hi"}"#, "invalid_value", Some("messages")),
        (r#"{"model":"m","messages":["hi"]}"#, "invalid_value", Some("messages[0]")),
        (r#"{"model":"m","messages":[{"content":""}]}"#, "missing_field", Some("messages[0].role")),
        (
            r#"{"model":"m","messages":[{"role":"user","content":7}]}"#,
            "invalid_value",
            Some("messages[0].content"),
        ),
    ];
    for (body, code, param) in cases {
        let error = refused(body);
        assert_eq!((error.code, error.param.as_deref()), (code, param), "{body}");
        assert_eq!(error.status, 400);
        assert!(error.message.contains("send"), "{}", error.message);
    }
    for (name, bad) in [
        ("stream", "\"yes\""),
        ("max_tokens", "0"),
        ("max_tokens", "-1"),
        ("max_tokens", "1.5"),
        ("max_completion_tokens", "99999999999"),
        ("n", "129"),
        ("n", "\"2\""),
        ("stream_options", "true"),
        ("tools", "{}"),
        ("response_format", "\"json\""),
    ] {
        let error = refused(&body(&format!("\"{name}\":{bad},")));
        assert_eq!(error.param.as_deref(), Some(name), "{bad}");
    }
}

/// As OpenAI has it: who calls a tool, declines or thinks need not say anything beside it.
#[test]
fn a_message_without_content_is_no_empty_one() {
    let message = |members: &str| format!(r#"{{"model":"m","messages":[{{{members}}}]}}"#);
    for role in ["user", "system", "developer", "tool", "function", "assistant"] {
        let error = refused(&message(&format!(r#""role":"{role}""#)));
        let found = (error.code, error.param.as_deref());
        assert_eq!(found, ("missing_field", Some("messages[0].content")), "{role}");
        assert!(error.message.contains("send a string"), "{}", error.message);
    }
    for role in ["user", "system", "developer"] {
        let error = refused(&message(&format!(r#""content":null,"role":"{role}""#)));
        let found = (error.code, error.param.as_deref());
        assert_eq!(found, ("invalid_value", Some("messages[0].content")), "{role}");
    }
    for members in [
        r#""role":"user","content":"""#,
        r#""role":"user","content":[]"#,
        r#""role":"assistant","content":null"#,
        r#""role":"assistant","tool_calls":[]"#,
        r#""function_call":{"name":"f","arguments":"{}"},"role":"assistant""#,
        r#""role":"assistant","refusal":"no""#,
        r#""role":"assistant","reasoning_content":"so""#,
        r#""role":"tool","tool_call_id":"a","content":null"#,
    ] {
        assert!(try_parse(message(members)).is_ok(), "{members}");
    }
}

#[test]
fn pitfall_23_a_responses_body_is_told_where_it_belongs() {
    let error = refused(r#"{"model":"m","input":"hi"}"#);
    assert!(error.message.contains("/v1/responses"), "{}", error.message);
}

#[test]
fn the_message_gives_the_byte_but_never_the_text() {
    let error = refused(r#"{"model":"m","messages":[{"role":"user","content":"canary" oops}]}"#);
    assert!(error.message.contains("byte 59"), "{}", error.message);
    assert!(!error.message.contains("canary"));
}

#[test]
fn what_is_not_utf8_is_refused_with_its_position() {
    let error = try_parse(b"{\"model\":\"\xff\"}").map(|_| ()).unwrap_err();
    assert_eq!((error.code, error.status), ("invalid_utf8", 400));
    assert!(error.message.contains("byte 10"), "{}", error.message);
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    let error = refused(&body(r#""user":"\ud83d","#));
    assert_eq!(error.code, "invalid_json");
    assert!(error.message.contains("surrogate"), "{}", error.message);
}

#[test]
fn a_key_that_is_acted_on_may_come_once_only() {
    let twice = [
        r#"{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"a","mod\u0065l":"b","messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"a","messages":[{"role":"user","content":"x"}],"messages":[]}"#,
        r#"{"model":"a","messages":[{"role":"user","content":"x","content":"y"}]}"#,
        r#"{"model":"a","messages":[{"role":"user","role":"system"}]}"#,
    ];
    for body in twice {
        assert_eq!(refused(body).code, "duplicate_field", "{body}");
    }
}

#[test]
fn a_key_that_is_acted_on_must_be_spelt_exactly() {
    for key in ["Model", "MESSAGES", "Max_Tokens", "me\u{17f}\u{17f}ages", "tool\u{17f}"] {
        let error = refused(&body(&format!("\"{key}\":1,")));
        assert_eq!(error.code, "invalid_value", "{key}");
        assert!(error.message.contains("letter case"), "{}", error.message);
    }
    assert!(try_parse(body("\"Unrelated\":1,\"modelX\":2,")).is_ok());
}

#[test]
fn counts_over_their_bound_are_too_large() {
    let many = |item: &str, count: usize| vec![item; count].join(",");
    let messages = many(r#"{"role":"user","content":""}"#, 16_385);
    let error = refused(&format!(r#"{{"model":"m","messages":[{messages}]}}"#));
    assert_eq!((error.code, error.status), ("too_many_items", 413));
    let error = refused(&body(&format!("\"tools\":[{}],", many("{}", 2_049))));
    assert_eq!(error.param.as_deref(), Some("tools"));
    let error = refused(&body(&format!("\"x\":[{}],", many("\"a\"", 65_537))));
    assert_eq!(error.code, "too_many_items");
}

#[test]
fn the_estimate_is_above_what_tokenizers_count() {
    let prose = "The quick brown fox jumps over the lazy dog. ".repeat(200);
    let call = try_parse(body(&format!("\"x\":\"{prose}\","))).unwrap();
    // Ten tokens a sentence by the common tokenizers.
    assert!(call.input_tokens_upper() >= 2_000);
    assert!(call.input_tokens_upper() <= 6_000);
    let image = "A".repeat(1 << 20);
    let part = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url",
            "image_url":{{"url":"data:image/png;base64,{image}"}}}}]}}]}}"#
    );
    let estimate = try_parse(&part).unwrap().input_tokens_upper();
    assert!((4_000..5_000).contains(&estimate), "{estimate}");
    let mut grown = try_parse(body("")).unwrap();
    let before = grown.input_tokens_upper();
    grown.replace_text(0, "x".repeat(1_000));
    assert!(grown.input_tokens_upper() >= before + 490);
}

#[test]
fn dense_text_and_noise_are_estimated_by_what_they_are_made_of() {
    let estimate = |text: &str| {
        let call = try_parse(body(&format!("\"x\":\"{text}\","))).unwrap();
        call.input_tokens_upper()
    };
    let none = estimate("");
    // Models differ: some read every digit for itself.
    assert!(estimate(&"4111".repeat(1_000)) >= 4_000);
    assert!(estimate(&"\u{12000}".repeat(1_000)) >= 4_000);
    assert!(estimate(&"Zm9vYmFy".repeat(1_000)) >= 5_000);
    assert!(estimate(&"\\u4e2d".repeat(1_000)) <= 2_000 + none, "escapes are not counted as text");
    let numbers = "1,".repeat(1_000);
    let schema = format!(r#""x":[{numbers}1],"#);
    assert!(try_parse(body(&schema)).unwrap().input_tokens_upper() >= 1_500);
}

#[test]
fn sound_is_told_apart_from_text() {
    let clip = "A".repeat(128_000);
    let part = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"input_audio",
            "input_audio":{{"data":"{clip}","format":"mp3"}}}}]}}]}}"#
    );
    let call = try_parse(&part).unwrap();
    let media = call.media_tokens_upper();
    assert!((1_000..1_010).contains(&media.audio) && media.image == 0, "{media:?}");
    assert!((media.audio..media.audio + 200).contains(&call.input_tokens_upper()));
}

#[test]
fn the_service_tier_is_kept_and_what_is_none_is_a_text() {
    let tier = |members: &str| {
        let call = try_parse(body(members)).unwrap();
        (call.service_tier, call.texts.len())
    };
    assert_eq!(tier(""), (None, 1));
    assert_eq!(tier(r#""service_tier":null,"#), (None, 1));
    assert_eq!(tier(r#""service_tier":"priority","#), (Some("priority".to_owned()), 1));
    assert_eq!(tier(r#""service_tier":"jane@example.com","#).1, 2);
    let odd = refused(&body(r#""service_tier":["priority"],"#));
    assert_eq!(odd.param.as_deref(), Some("service_tier"));
}

/// A request tree with odd texts and unknown members.
fn requests() -> impl Strategy<Value = Value> {
    let text = any::<String>();
    let message = (prop_oneof![Just("user"), Just("assistant"), Just("tool")], text)
        .prop_map(|(role, content)| json!({"role": role, "content": content}));
    (prop::collection::vec(message, 1..5), text, text, any::<bool>(), any::<i64>()).prop_map(
        |(messages, user, odd, stream, number)| {
            json!({"messages": messages, "user": user, "model": "asked", "stream": stream,
                   "vendor": {"odd": odd, "n": number, "list": [null, true, {}]}})
        },
    )
}

proptest! {
    #[test]
    fn without_edits_only_the_spliced_fields_change(tree in requests(), pretty in any::<bool>()) {
        let write = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let body = write(&tree).unwrap();
        let sent = sent(&body, Some(77), LimitField::MaxTokens);
        let mut expected = tree.clone();
        expected["model"] = json!("served");
        expected["max_tokens"] = json!(77);
        if tree["stream"] == json!(true) {
            expected["stream_options"] = json!({"include_usage": true});
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), expected);
        // Byte for byte: taking the spliced members out again gives the body.
        let back = sent
            .replace(",\"max_tokens\":77", "")
            .replace(",\"stream_options\":{\"include_usage\":true}", "")
            .replace("\"served\"", "\"asked\"");
        prop_assert_eq!(back, body);
    }

    #[test]
    fn replaced_texts_arrive_as_given(tree in requests(), new in any::<String>()) {
        let mut call = try_parse(tree.to_string()).unwrap();
        for index in 0..call.texts.len() {
            call.replace_text(index, new.clone());
        }
        let out = support::outgoing("m");
        let again = try_parse(call.encode(&out)).unwrap();
        let count = if new.is_empty() { 0 } else { call.texts.len() };
        prop_assert_eq!(again.texts.len(), count);
        prop_assert!(again.texts.iter().all(|text| text.content.expose() == new));
    }
}
