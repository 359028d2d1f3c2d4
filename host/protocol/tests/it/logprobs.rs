//! Probabilities of tokens repeat the text in pieces, so they do not go on where the text was
//! changed; where it was not, not a byte changes.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::{Answer, Chunk, Dialect};

const GEMINI: &str = r#"{"candidates":[
  {"content":{"parts":[{"text":"to jane"}]},"index":0,"logprobsResult":{"chosenCandidates":
    [{"token":" jane","logProbability":-0.1}]},"avgLogprobs":-0.1},
  {"logprobsResult":{"chosenCandidates":[{"token":"kept"}]},"index":1,
    "content":{"parts":[{"text":"kept"}]},"finishReason":"STOP"}]}"#;

fn responses() -> String {
    let said = |text: &str| {
        json!({"type": "output_text", "text": text, "annotations": [],
            "logprobs": [{"token": text, "logprob": -0.1, "bytes": [1], "top_logprobs": []}]})
    };
    json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m",
        "output": [{"type": "message", "id": "msg_1", "role": "assistant",
            "content": [said("to jane"), said("more")]}]})
    .to_string()
}

fn answer(dialect: Dialect, body: &str) -> Answer {
    Answer::parse(dialect, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn tree(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The payload of one event.
fn sent(chunk: &Chunk) -> Value {
    let event = String::from_utf8(chunk.encode().to_vec()).unwrap();
    let data = event.split_once("data: ").unwrap().1;
    serde_json::from_str(data.trim_end()).unwrap()
}

#[test]
fn a_changed_answer_loses_them() {
    let body = responses();
    let mut whole = answer(Dialect::OpenAiResponses, &body);
    assert_eq!(whole.encode(), body.as_bytes());
    whole.replace_text(0, "to ***".to_owned());
    let changed = tree(&whole.encode());
    let parts = &changed["output"][0]["content"];
    assert_eq!((&parts[0]["logprobs"], &parts[1]["logprobs"]), (&json!([]), &json!([])));
    assert_eq!(parts[0]["text"], "to ***");

    let mut whole = answer(Dialect::Gemini, GEMINI);
    assert_eq!(whole.encode(), GEMINI.as_bytes());
    whole.replace_text(0, "to ***".to_owned());
    let changed = tree(&whole.encode());
    assert_eq!(changed["candidates"][0]["logprobsResult"], Value::Null);
    let kept = &changed["candidates"][1]["logprobsResult"]["chosenCandidates"][0]["token"];
    assert_eq!(kept, "kept");
}

#[test]
fn a_changed_stream_loses_them() {
    let token = json!([{"token": "jane", "logprob": -0.1, "bytes": [1], "top_logprobs": []}]);
    let part = json!({"type": "output_text", "text": "jane", "logprobs": token});
    let item = json!({"type": "message", "id": "msg_1", "content": [part]});
    let events = [
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "delta": "jane", "logprobs": token, "sequence_number": 4}),
        json!({"type": "response.output_text.done", "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "text": "jane", "logprobs": token}),
        json!({"type": "response.content_part.done", "item_id": "msg_1", "part": part}),
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"status": "completed",
            "output": [item]}}),
    ];
    for event in events {
        let mut chunk =
            Chunk::parse(Dialect::OpenAiResponses, &Bytes::from(event.to_string())).unwrap();
        assert_eq!(sent(&chunk), event);
        assert!(chunk.drop_logprobs(0), "{event}");
        let without = sent(&chunk).to_string();
        assert!(without.contains(r#""logprobs":[]"#) && !without.contains("token"), "{without}");
        let expected = event.to_string().replace(&token.to_string(), "[]");
        assert_eq!(without, expected);
    }

    let mut chunk = Chunk::parse(Dialect::Gemini, &Bytes::from_static(GEMINI.as_bytes())).unwrap();
    assert!(chunk.drop_logprobs(0) && !chunk.drop_logprobs(7));
    let changed = sent(&chunk);
    assert_eq!(changed["candidates"][0]["logprobsResult"], Value::Null);
    assert_ne!(changed["candidates"][1]["logprobsResult"], Value::Null);
}
