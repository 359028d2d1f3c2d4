//! Turns as alternating messages: neighbours of one speaker become one message, results of tools
//! stand in front of what the user says, and the conversation begins with the user.

use serde_json::{Value, json};

use crate::neutral::{Losses, Request, Speaker, Turn};

use super::content::Blocks;

/// What stands for a user's message without anything in it.
const EMPTY: &str = "(no content)";

/// One message while it is put together.
struct Message {
    assistant: bool,
    blocks: Vec<Value>,
}

/// The `messages` of a request.
pub(super) fn messages(request: &Request, losses: &mut Losses) -> Vec<Value> {
    let mut blocks = Blocks::of(request);
    let mut messages: Vec<Message> = Vec::new();
    for turn in &request.turns {
        if turn.name.is_some() {
            losses.dropped(format!("{}.name", turn.at), "names of speakers are left out");
        }
        let mut written = Vec::new();
        for part in &turn.parts {
            blocks.push(part, losses, &mut written);
        }
        if turn.speaker == Speaker::System {
            let at = turn.at.as_str();
            losses.approximated(at, "instructions inside the conversation become a user's note");
            written = written.into_iter().map(note).collect();
        }
        if written.is_empty() && turn.speaker == Speaker::User {
            losses.approximated(
                turn.at.as_str(),
                "the provider takes no empty message: a note says that it is one",
            );
            written.push(json!({ "type": "text", "text": EMPTY }));
        }
        add(&mut messages, turn, written);
    }
    for message in messages.iter_mut().filter(|message| !message.assistant) {
        // Stable: results keep their order, and so does everything else.
        message.blocks.sort_by_key(|block| !is_result(block));
    }
    trim_prefill(&mut messages);
    if messages.first().is_none_or(|first| first.assistant) {
        losses.approximated("messages", "a user's turn is put in front of the conversation");
        let text = json!({ "type": "text", "text": "Continue." });
        messages.insert(0, Message { assistant: false, blocks: vec![text] });
    }
    messages.into_iter().map(Message::write).collect()
}

/// Whether the answer must begin with thinking if thinking is on with a budget, and cannot: the
/// turn whose tools have just answered has none that this provider signed.
pub(super) fn lacks_thinking(messages: &[Value]) -> bool {
    let blocks = |message: &Value| -> Vec<String> {
        let list = message.get("content").and_then(Value::as_array);
        let kinds = list.into_iter().flatten().filter_map(|block| block.get("type")?.as_str());
        kinds.map(str::to_owned).collect()
    };
    let mut last = messages.iter().rev();
    let Some(answered) = last.next().map(blocks) else { return false };
    if !answered.iter().any(|kind| kind == "tool_result") {
        return false;
    }
    let Some(called) = last.next().map(blocks) else { return false };
    !called.first().is_some_and(|kind| kind == "thinking" || kind == "redacted_thinking")
}

fn add(messages: &mut Vec<Message>, turn: &Turn, blocks: Vec<Value>) {
    if blocks.is_empty() {
        return;
    }
    let assistant = turn.speaker == Speaker::Assistant;
    match messages.last_mut() {
        Some(last) if last.assistant == assistant => last.blocks.extend(blocks),
        _ => messages.push(Message { assistant, blocks }),
    }
}

fn is_result(block: &Value) -> bool {
    block.get("type").and_then(Value::as_str) == Some("tool_result")
}

/// Instructions in the words of the user's side, marked for what they are.
fn note(mut block: Value) -> Value {
    let text = block.get("text").and_then(Value::as_str);
    let marked = text.map(|text| format!("<system-reminder>\n{text}\n</system-reminder>"));
    if let (Some(object), Some(marked)) = (block.as_object_mut(), marked) {
        object.insert("text".to_owned(), Value::from(marked));
    }
    block
}

/// The beginning of an answer may not end in white space.
fn trim_prefill(messages: &mut [Message]) {
    let Some(last) = messages.last_mut().filter(|last| last.assistant) else { return };
    if let Some(text) = last.blocks.last_mut().and_then(|block| block.get_mut("text"))
        && let Some(trimmed) = text.as_str().map(|text| text.trim_end().to_owned())
    {
        *text = Value::from(trimmed);
    }
}

// === impl Message ===

impl Message {
    fn write(self) -> Value {
        let role = if self.assistant { "assistant" } else { "user" };
        json!({ "role": role, "content": self.blocks })
    }
}
