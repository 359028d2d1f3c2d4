//! What providers write that is not quite right: halves of characters, ends that are none, and
//! counts that leave something out. Never loses an answer or a charge over it.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::translate::{self, StreamTranslator};
use turnpike_protocol::{Answer, Chunk, Dialect, Usage, sse};

use super::anthropic_kit::naming;

#[test]
fn half_a_character_of_any_provider_becomes_the_replacement_character() {
    let anthropic = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m",
        "content":[{"type":"text","text":"hi \ud83d"}],"stop_reason":"end_turn",
        "usage":{"input_tokens":1,"output_tokens":1}}"#;
    let gemini = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hi \ud83d"}]},
        "finishReason":"STOP"}]}"#;
    for (from, body) in [(Dialect::AnthropicMessages, anthropic), (Dialect::Gemini, gemini)] {
        let body = Bytes::from_static(body.as_bytes());
        let answer = translate::answer(from, Dialect::OpenAiChat, &body, &naming()).unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], "hi \u{fffd}");
    }
    let streams: [(Dialect, &[&str]); 2] = [
        (
            Dialect::AnthropicMessages,
            &[
                r#"{"type":"content_block_start","index":0,
                    "content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,
                    "delta":{"type":"text_delta","text":"hi \ud83d"}}"#,
            ],
        ),
        (Dialect::Gemini, &[gemini]),
    ];
    for (from, events) in streams {
        let (mut framer, mut frames) = (sse::Framer::new(1 << 20), Vec::new());
        for event in events {
            let line = event.replace('\n', " ");
            framer.push(Bytes::from(format!("data: {line}\n\n")), &mut frames).unwrap();
        }
        let mut translator = StreamTranslator::new(from, Dialect::OpenAiChat, naming());
        let mut out = Vec::new();
        translator.push(&frames, &mut out).unwrap();
        let out: String =
            out.iter().map(|frame| String::from_utf8_lossy(&frame.data).into_owned()).collect();
        assert!(out.contains("hi \u{fffd}"), "{} {out}", from.label());
    }
}

#[test]
fn an_empty_word_for_the_end_of_a_chat_choice_is_no_end() {
    let chunk = |reason: Value| {
        let body = json!({"choices": [{"index": 0, "delta": {"content": "to <EMA"},
            "finish_reason": reason}]});
        Chunk::parse(Dialect::OpenAiChat, &Bytes::from(body.to_string())).unwrap().finished
    };
    assert!(chunk(json!("")).is_empty());
    assert!(chunk(Value::Null).is_empty());
    assert_eq!(chunk(json!("stop")), [0]);
}

fn usage_after(events: &[Value]) -> Usage {
    let mut usage = None;
    for event in events {
        let data = Bytes::from(event.to_string());
        usage = Chunk::parse(Dialect::AnthropicMessages, &data).unwrap().usage_after(usage);
    }
    usage.unwrap()
}

#[test]
fn a_zero_at_the_end_of_a_stream_erases_no_input() {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
        "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 100_000,
        "cache_read_input_tokens": 7, "cache_creation_input_tokens": 5, "output_tokens": 1}}});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 0, "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0, "output_tokens": 5}});
    let usage = usage_after(&[start.clone(), end]);
    assert_eq!((usage.input_uncached, usage.cache_read, usage.cache_write_5m), (100_000, 7, 5));
    assert_eq!(usage.output_tokens(), 5);
    // A count that is there still replaces the one before.
    let end = json!({"type": "message_delta", "delta": {}, "usage": {"input_tokens": 9}});
    assert_eq!(usage_after(&[start, end]).input_uncached, 9);
}

#[test]
fn rounds_that_the_counts_of_a_message_leave_out_are_charged_too() {
    let iterations = json!([{"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000}]);
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 23_000, "output_tokens": 1_000, "iterations": iterations}});
    let answer = Answer::parse(Dialect::AnthropicMessages, Bytes::from(body.to_string())).unwrap();
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input_uncached, usage.output_tokens()), (203_000, 4_500));
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
        "role": "assistant", "model": "m", "content": [],
        "usage": {"input_tokens": 23_000, "output_tokens": 1}}});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 1_000, "iterations": iterations}});
    // Told twice, it is charged once.
    let usage = usage_after(&[start, end.clone(), end]);
    assert_eq!((usage.input_uncached, usage.output_tokens()), (203_000, 4_500));
}
