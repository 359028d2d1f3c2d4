//! Stream events in OpenAI's order: the response begins, each item is added, grows part by part
//! and is done, the response is completed. Numbers are given when the events are framed.

use serde_json::{Value, json};

use super::body::{self, set, shell, whole};
use super::items::items;
use crate::frame::{Frame, Kind, NUMBER};
use crate::speech::{Answered, Stamp};
use crate::tokens;

/// All events of an answer, in order.
pub(super) fn frames(answered: &Answered<'_>) -> Vec<Frame> {
    let begun = shell(answered, "in_progress");
    let mut out = Vec::new();
    for name in ["response.created", "response.in_progress"] {
        out.push(frame(Kind::Lifecycle, name, &json!({ "response": begun }), 0));
    }
    let chunk = answered.stamp.script.chunk_tokens;
    let lives: Vec<Life> = items(answered)
        .iter()
        .enumerate()
        .map(|(index, item)| Writer { index, item, chunk }.life())
        .collect();
    if answered.style.interleaved {
        interleave(lives, &mut out);
    } else {
        for life in lives {
            out.extend(life.opening.into_iter().chain(life.deltas).chain(life.closing));
        }
    }
    if answered.style.whole_items {
        out.retain(|frame| frame.kind != Kind::Content);
        for frame in &mut out {
            // What is done is the content now.
            if frame.event == Some("response.output_item.done") {
                frame.kind = Kind::Content;
            }
        }
    }
    let cut = body::is_cut(answered);
    let name = if cut { "response.incomplete" } else { "response.completed" };
    out.push(frame(Kind::Done, name, &json!({ "response": whole(answered) }), 0));
    out
}

/// `response.failed` with `code`; for the code `error`, the event of that name.
pub(super) fn failed_frame(stamp: &Stamp<'_>, code: &str, message: &str) -> Frame {
    if code == "error" {
        let data = json!({ "code": "server_error", "message": message, "param": null });
        return frame(Kind::Finish, "error", &data, 0);
    }
    let mut response = json!({ "id": body::id(stamp), "object": "response",
        "created_at": stamp.created, "status": "failed", "model": stamp.model, "output": [],
        "usage": null, "metadata": {} });
    set(&mut response, "error", json!({ "code": code, "message": message }));
    frame(Kind::Finish, "response.failed", &json!({ "response": response }), 0)
}

/// One event; its number is filled in later.
fn frame(kind: Kind, name: &'static str, members: &Value, tokens: u64) -> Frame {
    let rest = members.to_string();
    let rest = rest.strip_prefix('{').unwrap_or("}");
    let data = format!("{{\"type\":\"{name}\",{NUMBER},{rest}");
    Frame { kind, event: Some(name), data, tokens }
}

/// The events of one item.
struct Life {
    opening: Vec<Frame>,
    deltas: Vec<Frame>,
    closing: Vec<Frame>,
}

/// Every item is opened, then they grow in turns, then every one is closed.
fn interleave(lives: Vec<Life>, out: &mut Vec<Frame>) {
    let (mut deltas, mut closing) = (Vec::new(), Vec::new());
    for life in lives {
        out.extend(life.opening);
        deltas.push(life.deltas.into_iter());
        closing.extend(life.closing);
    }
    loop {
        let turn: Vec<Frame> = deltas.iter_mut().filter_map(Iterator::next).collect();
        if turn.is_empty() {
            break;
        }
        out.extend(turn);
    }
    out.extend(closing);
}

struct Writer<'a> {
    index: usize,
    item: &'a Value,
    chunk: u32,
}

impl Writer<'_> {
    fn text(&self, pointer: &str) -> &str {
        self.item.pointer(pointer).and_then(Value::as_str).unwrap_or("")
    }

    fn life(&self) -> Life {
        let mut life = Life { opening: Vec::new(), deltas: Vec::new(), closing: Vec::new() };
        let mut added = self.item.clone();
        let empty = |added: &mut Value, name: &str, value: Value| {
            set(added, "status", json!("in_progress"));
            set(added, name, value);
        };
        match self.text("/type") {
            "message" => empty(&mut added, "content", json!([])),
            "reasoning" => set(&mut added, "summary", json!([])),
            "function_call" => empty(&mut added, "arguments", json!("")),
            _ => empty(&mut added, "input", json!("")),
        }
        let event = json!({ "output_index": self.index, "item": added });
        life.opening.push(frame(Kind::Lifecycle, "response.output_item.added", &event, 0));
        match self.text("/type") {
            "message" => self.message(&mut life),
            "reasoning" => self.reasoning(&mut life),
            "function_call" => self.call(
                &mut life,
                ("arguments", self.text("/arguments")),
                ["response.function_call_arguments.delta", "response.function_call_arguments.done"],
            ),
            _ => self.call(
                &mut life,
                ("input", self.text("/input")),
                ["response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"],
            ),
        }
        let event = json!({ "output_index": self.index, "item": self.item });
        life.closing.push(frame(Kind::Lifecycle, "response.output_item.done", &event, 0));
        life
    }

    /// Members that every event of this item begins with.
    fn at(&self, more: &Value) -> Value {
        let mut out = json!({ "item_id": self.text("/id"), "output_index": self.index });
        for (name, value) in more.as_object().into_iter().flatten() {
            set(&mut out, name, value.clone());
        }
        out
    }

    fn deltas(&self, life: &mut Life, name: &'static str, text: &str, more: &Value) {
        for (part, count) in tokens::groups(text, self.chunk) {
            let mut data = self.at(more);
            set(&mut data, "delta", json!(part));
            life.deltas.push(frame(Kind::Content, name, &data, count));
        }
    }

    fn closes(&self, life: &mut Life, name: &'static str, more: &Value) {
        life.closing.push(frame(Kind::Lifecycle, name, &self.at(more), 0));
    }

    fn message(&self, life: &mut Life) {
        let part = self.item.pointer("/content/0").cloned().unwrap_or(Value::Null);
        let refusal = self.text("/content/0/type") == "refusal";
        let mut begun = part.clone();
        set(&mut begun, if refusal { "refusal" } else { "text" }, json!(""));
        if !refusal {
            set(&mut begun, "annotations", json!([]));
            set(&mut begun, "logprobs", json!([]));
        }
        let data = self.at(&json!({ "content_index": 0, "part": begun }));
        life.opening.push(frame(Kind::Lifecycle, "response.content_part.added", &data, 0));
        if refusal {
            let text = self.text("/content/0/refusal");
            self.deltas(life, "response.refusal.delta", text, &json!({ "content_index": 0 }));
            let more = json!({ "content_index": 0, "refusal": text });
            self.closes(life, "response.refusal.done", &more);
        } else {
            let text = self.text("/content/0/text");
            let more = json!({ "content_index": 0, "logprobs": [] });
            self.deltas(life, "response.output_text.delta", text, &more);
            let cited = part.get("annotations").and_then(Value::as_array).into_iter().flatten();
            for (nth, annotation) in cited.enumerate() {
                let more = json!({ "content_index": 0, "annotation_index": nth,
                    "annotation": annotation });
                self.closes(life, "response.output_text.annotation.added", &more);
            }
            let more = json!({ "content_index": 0, "text": text, "logprobs": [] });
            self.closes(life, "response.output_text.done", &more);
        }
        let more = json!({ "content_index": 0, "part": part });
        self.closes(life, "response.content_part.done", &more);
    }

    fn reasoning(&self, life: &mut Life) {
        let Some(part) = self.item.pointer("/summary/0") else { return };
        let text = self.text("/summary/0/text");
        let begun = json!({ "type": "summary_text", "text": "" });
        let data = self.at(&json!({ "summary_index": 0, "part": begun }));
        life.opening.push(frame(
            Kind::Lifecycle,
            "response.reasoning_summary_part.added",
            &data,
            0,
        ));
        let more = json!({ "summary_index": 0 });
        self.deltas(life, "response.reasoning_summary_text.delta", text, &more);
        let more = json!({ "summary_index": 0, "text": text });
        self.closes(life, "response.reasoning_summary_text.done", &more);
        let more = json!({ "summary_index": 0, "part": part });
        self.closes(life, "response.reasoning_summary_part.done", &more);
    }

    fn call(
        &self,
        life: &mut Life,
        (member, text): (&str, &str),
        [delta, done]: [&'static str; 2],
    ) {
        self.deltas(life, delta, text, &json!({}));
        self.closes(life, done, &json!({ member: text }));
    }
}
