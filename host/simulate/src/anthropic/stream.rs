//! Stream events in Anthropic's order: the message's start, each block's start, deltas and stop,
//! why it stopped with the final figures, the end. One block is open at a time.

use serde_json::{Value, json};

use super::body::{blocks, counts, opening, stop, stop_details, usage};
use crate::answer::Used;
use crate::frame::{Frame, Kind};
use crate::speech::Answered;
use crate::tokens;

/// All events of an answer, in order.
pub(super) fn frames(answered: &Answered<'_>) -> Vec<Frame> {
    let Answered { stamp, reply, style, .. } = *answered;
    let mut out = vec![start(answered)];
    let said = reply.choices.first();
    let blocks = said.map(|said| blocks(answered, said)).unwrap_or_default();
    let writer = Writer { chunk: stamp.script.chunk_tokens, whole: style.whole_items };
    for (index, block) in blocks.iter().enumerate() {
        writer.block(index, block, &mut out);
        if index == 0 {
            // The real API sends its first sign of life here.
            out.insert(2, lifecycle("ping", &json!({ "type": "ping" })));
        }
    }
    let (reason, sequence) =
        said.map_or((json!("end_turn"), Value::Null), |said| stop(stamp, said));
    let mut end = json!({ "type": "message_delta",
        "delta": { "stop_reason": reason, "stop_sequence": sequence,
            "stop_details": said.map_or(Value::Null, stop_details) } });
    if let (true, Some(members)) = (style.with_usage, end.as_object_mut()) {
        members.insert("usage".to_owned(), counts(&reply.usage));
    }
    out.push(event("message_delta", &end));
    let stop = event("message_stop", &json!({ "type": "message_stop" }));
    out.push(Frame { kind: Kind::Done, ..stop });
    out
}

fn start(answered: &Answered<'_>) -> Frame {
    let mut message = opening(answered.stamp);
    message.insert("content".to_owned(), json!([]));
    message.insert("stop_reason".to_owned(), Value::Null);
    message.insert("stop_sequence".to_owned(), Value::Null);
    message.insert("stop_details".to_owned(), Value::Null);
    if answered.style.with_usage {
        let begun = answered.reply.usage.completion.min(1);
        let used = Used { completion: begun, ..answered.reply.usage };
        message.insert("usage".to_owned(), usage(answered.stamp, &used));
    }
    lifecycle("message_start", &json!({ "type": "message_start", "message": message }))
}

/// One event; it counts as the finish unless said otherwise.
pub(super) fn event(name: &'static str, data: &Value) -> Frame {
    Frame { kind: Kind::Finish, event: Some(name), data: data.to_string(), tokens: 0 }
}

fn lifecycle(name: &'static str, data: &Value) -> Frame {
    Frame { kind: Kind::Lifecycle, ..event(name, data) }
}

/// A frame whose JSON is cut.
pub(super) fn malformed_frame() -> Frame {
    let data = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_del"#;
    let event = Some("content_block_delta");
    Frame { kind: Kind::Content, event, data: data.to_owned(), tokens: 0 }
}

struct Writer {
    chunk: u32,
    /// No deltas: every block comes whole with its start.
    whole: bool,
}

impl Writer {
    fn block(&self, index: usize, block: &Value, out: &mut Vec<Frame>) {
        let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or("");
        let kind = text("type").to_owned();
        let mut begun = block.clone();
        let mut deltas = Vec::new();
        match kind.as_str() {
            _ if self.whole => {}
            "text" => {
                begun = json!({ "type": "text", "text": "" });
                self.parts(text("text"), "text_delta", "text", &mut deltas);
                if let Some(citations) = block.get("citations").and_then(Value::as_array) {
                    begun = json!({ "type": "text", "text": "", "citations": [] });
                    let delta = |cited| json!({ "type": "citations_delta", "citation": cited });
                    deltas.extend(citations.iter().map(|cited| (delta(cited), 0)));
                }
            }
            "thinking" => {
                begun = json!({ "type": "thinking", "thinking": "", "signature": "" });
                self.parts(text("thinking"), "thinking_delta", "thinking", &mut deltas);
                let sealed = json!({ "type": "signature_delta", "signature": text("signature") });
                deltas.push((sealed, 0));
            }
            "tool_use" => {
                begun = json!({ "type": "tool_use", "id": text("id"), "name": text("name"),
                    "input": {} });
                // The real API begins with an empty fragment, also where no arguments follow.
                deltas.push((json!({ "type": "input_json_delta", "partial_json": "" }), 0));
                let input = block.get("input").map(arguments).unwrap_or_default();
                self.parts(&input, "input_json_delta", "partial_json", &mut deltas);
            }
            _ => {}
        }
        let data = json!({ "type": "content_block_start", "index": index, "content_block": begun });
        let kind = if deltas.is_empty() { Kind::Content } else { Kind::Lifecycle };
        out.push(Frame { kind, ..event("content_block_start", &data) });
        for (delta, tokens) in deltas {
            let data = json!({ "type": "content_block_delta", "index": index, "delta": delta });
            let kind = if tokens > 0 { Kind::Content } else { Kind::Lifecycle };
            out.push(Frame { kind, tokens, ..event("content_block_delta", &data) });
        }
        let data = json!({ "type": "content_block_stop", "index": index });
        out.push(lifecycle("content_block_stop", &data));
    }

    fn parts(&self, text: &str, kind: &str, member: &str, deltas: &mut Vec<(Value, u64)>) {
        for (part, count) in tokens::groups(text, self.chunk) {
            deltas.push((json!({ "type": kind, member: part }), count));
        }
    }
}

/// A tool's input as the text that its fragments make; nothing for no arguments.
fn arguments(input: &Value) -> String {
    match input {
        Value::Object(members) if members.is_empty() => String::new(),
        Value::String(broken) => broken.clone(),
        other => other.to_string(),
    }
}
