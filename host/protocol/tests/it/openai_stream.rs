//! Stream chunks: what is read, how they are edited, and the frames made here.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use turnpike_protocol::{Beginning, Chunk, Dialect, Slot, sse};

fn parse(data: impl AsRef<[u8]>) -> Chunk {
    Chunk::parse(Dialect::OpenAiChat, &Bytes::copy_from_slice(data.as_ref())).unwrap()
}

/// A chunk with one choice of this delta.
fn delta(delta: &str) -> Chunk {
    parse(format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1",
            "choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    ))
}

/// The payload of one event, framed and parsed as a client would.
fn payload(event: &Bytes) -> Bytes {
    let mut frames = Vec::new();
    sse::Framer::new(1 << 20).push(event.clone(), &mut frames).unwrap();
    assert_eq!(frames.len(), 1);
    frames[0].data.clone()
}

fn tree(event: &Bytes) -> Value {
    serde_json::from_slice(&payload(event)).unwrap()
}

/// The slot of the one text in a choice.
fn slot_of(choice: &str) -> Slot {
    parse(format!(r#"{{"choices":[{choice}]}}"#)).deltas[0].slot()
}

fn list(chunk: &Chunk) -> Vec<String> {
    let line = |delta: &turnpike_protocol::Delta| {
        let (channel, text) = (delta.channel.label(), delta.content.expose());
        format!("{} {channel} {} {text}", delta.choice, delta.tool)
    };
    chunk.deltas.iter().map(line).collect()
}

#[test]
fn texts_are_found_in_every_member_that_carries_them() {
    let cases = [
        (r#"{"content":"hi \u00e9"}"#, "0 text 0 hi é"),
        (r#"{"refusal":"no"}"#, "0 text 0 no"),
        (r#"{"reasoning_content":"hm"}"#, "0 reasoning 0 hm"),
        (r#"{"reasoning":"hm"}"#, "0 reasoning 0 hm"),
        (
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"hm","index":2}]}"#,
            "0 reasoning 2 hm",
        ),
        (
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#,
            "0 reasoning 0 hm",
        ),
        (
            r#"{"tool_calls":[{"function":{"arguments":"{\"a"},"index":3}]}"#,
            "0 tool-arguments 3 {\"a",
        ),
        (r#"{"tool_calls":[{"index":1,"custom":{"input":"ls"}}]}"#, "0 tool-arguments 1 ls"),
        (r#"{"function_call":{"arguments":"{"}}"#, "0 tool-arguments 0 {"),
        (r#"{"audio":{"transcript":"said"}}"#, "0 text 0 said"),
    ];
    for (member, expected) in cases {
        let chunk = delta(member);
        assert_eq!(list(&chunk), [expected], "{member}");
        assert!(chunk.has_content() && !chunk.is_lifecycle());
        assert_eq!(chunk.answers(), !expected.contains("reasoning"), "{member}");
        // A frame for the same slot reads back into the same slot.
        let slot = chunk.deltas[0].slot();
        let extra = parse(payload(&chunk.head().delta_frame(slot, "tail \"é\"\n")));
        assert_eq!(extra.deltas[0].slot(), slot, "{member}");
        assert_eq!(extra.deltas[0].content.expose(), "tail \"é\"\n");
    }
}

#[test]
fn pitfall_35_a_first_chunk_with_a_role_and_no_content_is_lifecycle() {
    for member in [
        r#"{"role":"assistant"}"#,
        r#"{"role":"assistant","content":""}"#,
        r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[]}"#,
        "{}",
        "null",
    ] {
        let chunk = delta(member);
        assert!(chunk.is_lifecycle() && !chunk.has_content(), "{member}");
    }
    assert!(
        delta(r#"{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}"#)
            .has_content()
    );
}

#[test]
fn the_end_of_a_choice_counts_as_content() {
    let chunk = parse(
        r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"},{"index":0,
            "delta":{"content":"x"},"finish_reason":null}]}"#,
    );
    assert_eq!(chunk.finished, [1]);
    assert_eq!(list(&chunk), ["0 text 0 x"]);
    assert!(chunk.has_content());
}

#[test]
fn pitfall_32_the_usage_chunk_is_the_one_without_choices() {
    let used = r#""usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}"#;
    let last = parse(format!(r#"{{"id":"c","choices":[],{used}}}"#));
    assert!(last.usage_only && !last.has_content());
    assert_eq!(last.usage.unwrap().output_text, 2);
    let mixed = parse(format!(r#"{{"choices":[{{"index":0,"delta":{{}}}}],{used}}}"#));
    assert!(!mixed.usage_only && mixed.usage.is_some());
    let none = parse(r#"{"choices":[],"usage":null}"#);
    assert!(!none.usage_only && none.usage.is_none());
    let inside = parse(format!(r#"{{"choices":[{{"index":0,"delta":{{}},{used}}}]}}"#));
    assert_eq!(inside.usage.unwrap().input_uncached, 5);
}

#[test]
fn pitfall_44_an_error_in_the_stream_is_an_error_and_not_output() {
    let chunk = parse(
        r#"{"error":{"message":"the model overloaded","type":"server_error","param":null,
            "code":null}}"#,
    );
    let error = chunk.error.as_ref().unwrap();
    assert_eq!(error.message.expose(), "the model overloaded");
    assert!(!chunk.has_content() && chunk.usage.is_none());
    assert!(!format!("{chunk:?}").contains("overloaded"));
}

#[test]
fn pitfall_68_a_replaced_delta_changes_that_string_only() {
    let data = r#"{"id":"c1" , "choices":[{"delta":{"content":"my \u006eumber"}}],"y":[ 1.0]}"#;
    let mut chunk = parse(data);
    assert_eq!(chunk.encode(), format!("data: {data}\n\n").as_bytes());
    chunk.replace_delta(0, "<PHONE_1> \"\n".to_owned());
    assert_eq!(chunk.deltas[0].content.expose(), "<PHONE_1> \"\n");
    chunk.replace_delta(9, "nothing".to_owned());
    let expected = data.replace(r"my \u006eumber", r#"<PHONE_1> \"\n"#);
    assert_eq!(chunk.encode(), format!("data: {expected}\n\n").as_bytes());
}

#[test]
fn pitfall_36_a_payload_of_several_lines_is_written_as_one() {
    let mut frames = Vec::new();
    let event =
        Bytes::from_static(b"data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"a\"}}]}\n\n");
    sse::Framer::new(1 << 10).push(event, &mut frames).unwrap();
    let mut chunk = parse(&frames[0].data);
    chunk.replace_delta(0, "b".to_owned());
    let encoded = chunk.encode();
    assert_eq!(encoded, &b"data: {\"choices\": [{\"delta\":{\"content\":\"b\"}}]}\n\n"[..]);
}

#[test]
fn extra_frames_share_what_all_chunks_of_the_stream_share() {
    let chunk = parse(
        r#"{"id":"c\u0031","created":7,"model":"m","system_fingerprint":"fp",
            "service_tier":"default","choices":[]}"#,
    );
    let made = chunk.head().delta_frame(slot_of(r#"{"index":2,"delta":{"content":"x"}}"#), "tail");
    let expected = json!({
        "object": "chat.completion.chunk", "id": "c1", "created": 7, "model": "m",
        "service_tier": "default", "system_fingerprint": "fp",
        "choices": [{"index": 2, "delta": {"content": "tail"}, "finish_reason": null}],
    });
    assert_eq!(tree(&made), expected);
    assert_eq!(chunk.model().as_deref(), Some("m"));
    assert_eq!(chunk.service_tier().as_deref(), Some("default"));
    let slot = slot_of(r#"{"delta":{"reasoning_content":"x"}}"#);
    let bare = parse(r#"{"id":"c"}"#).head().delta_frame(slot, "hm");
    assert_eq!(tree(&bare)["choices"][0]["delta"], json!({"reasoning_content": "hm"}));
}

#[test]
fn the_mark_at_the_end_is_known() {
    assert!(Chunk::done_marker(b"[DONE]") && Chunk::done_marker(b" [DONE]\r"));
    assert!(!Chunk::done_marker(b"{\"x\":\"[DONE]\"}"));
    assert!(Chunk::done_marker(&payload(&Bytes::from_static(sse::DONE))));
}

#[test]
fn a_character_cut_in_two_by_the_provider_does_not_break_the_stream() {
    let chunk = delta(r#"{"content":"\ud83d"}"#);
    assert_eq!(list(&chunk), ["0 text 0 \u{fffd}"]);
    assert!(chunk.encode().windows(6).any(|window| window == br"\ud83d"));
}

proptest! {
    #[test]
    fn any_text_goes_through_a_delta_and_back(text in any::<String>(), new in ".+") {
        let member = json!({"content": text}).to_string();
        let mut chunk = delta(&member);
        let expected: Vec<&str> = if text.is_empty() { vec![] } else { vec![&text] };
        let read: Vec<&str> = chunk.deltas.iter().map(|delta| delta.content.expose()).collect();
        prop_assert_eq!(read, expected);
        chunk.replace_delta(0, new.clone());
        let read = tree(&chunk.encode())["choices"][0]["delta"]["content"].clone();
        prop_assert_eq!(read, json!(if text.is_empty() { text } else { new }));
    }
}

/// What is remembered of one payload's beginning never changes what another is read as: not where
/// heads differ, where members stand elsewhere or twice, or where nothing but the beginning is
/// right.
#[test]
fn payloads_read_one_after_the_other_are_read_as_each_by_itself() {
    let head =
        r#"{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":"#;
    let one = r#"[{"index":0,"delta":{"content":"a"}}]"#;
    let rest = head.trim_start_matches(r#"{"id":"c1","#);
    let payloads = [
        format!("{head}{one}}}"),
        format!(r#"{head}[],"usage":{{"prompt_tokens":3,"completion_tokens":4}}}}"#),
        format!(r#"{head}{one},"model":"m-2","service_tier":"flex"}}"#),
        format!(r#"{head}{one},"choices":[]}}"#),
        format!("{head}{one}"),
        format!("{head}}}"),
        format!(
            r#"{head} [{{"index":1,"delta":{{"content":"b\u00e9"}},"finish_reason":"stop"}}] }}"#
        ),
        format!(r#"{{"id":"c2",{rest}{one}}}"#),
        format!(r#"{{"usage":{{"prompt_tokens":1}},{rest}{one}}}"#),
        format!(r#"{{"choices":{one},"id":"c3"}}"#),
        format!(r#"{{"error":{{"message":"no"}},"choices":{one}}}"#),
        format!(r#"{{"id":"{}","choices":{one}}}"#, "x".repeat(2_000)),
        format!(r#"{{"i\u0064":"c4","choices":{one}}}"#),
        "{}".to_owned(),
        "[]".to_owned(),
    ];
    let shown = |read: Result<Chunk, _>| match read {
        Ok(chunk) => {
            let made = chunk.deltas.first().map(|it| chunk.head().delta_frame(it.slot(), "x"));
            let spans: Vec<_> = chunk.deltas.iter().map(|it| it.content.expose()).collect();
            format!("{chunk:?} {spans:?} {:?} {made:?} {:?}", chunk.model(), chunk.encode())
        }
        Err(error) => format!("{error:?}"),
    };
    let chat = Dialect::OpenAiChat;
    for first in &payloads {
        let mut beginning = Beginning::default();
        for payload in [first].into_iter().chain(&payloads).chain(payloads.iter().rev()) {
            let data = Bytes::copy_from_slice(payload.as_bytes());
            let together = shown(Chunk::parse_next(chat, &data, &mut beginning));
            assert_eq!(together, shown(Chunk::parse(chat, &data)), "{payload} after {first}");
        }
    }
}
