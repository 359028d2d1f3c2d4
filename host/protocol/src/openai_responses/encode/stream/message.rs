//! A message of a stream and the part of it that is being written. Nothing is opened before there
//! is text: an empty part would come back in the next request, and be refused.

use serde_json::{Value, json};

use super::super::item;
use super::Writer;

/// A message that has begun.
pub(super) struct Message {
    id: String,
    parts: Vec<Value>,
}

/// One part: text or refusal.
pub(super) struct Said {
    refusal: bool,
    open: bool,
    text: String,
    annotations: Vec<Value>,
    /// Tokens of the whole part, and how many of them have been told.
    tokens: Vec<Value>,
    told: usize,
}

// === impl Message ===

impl Message {
    fn begin(writer: &mut Writer) -> Self {
        let id = item::id(&writer.naming, "msg", writer.output.len());
        writer.added(&item::message(&id, &[], "in_progress"));
        Self { id, parts: Vec::new() }
    }

    pub(super) fn close(self, writer: &mut Writer) {
        writer.done(item::message(&self.id, &self.parts, "completed"));
    }
}

// === impl Said ===

impl Said {
    pub(super) fn new(refusal: bool) -> Self {
        Self {
            refusal,
            open: false,
            text: String::new(),
            annotations: Vec::new(),
            tokens: Vec::new(),
            told: 0,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn logprobs(&mut self, tokens: Vec<Value>) {
        self.tokens.extend(tokens);
    }

    pub(super) fn write(&mut self, text: &str, message: &mut Option<Message>, writer: &mut Writer) {
        let message = message.get_or_insert_with(|| Message::begin(writer));
        let index = message.parts.len();
        if !self.open {
            self.open = true;
            let part = self.part("", &[], &[]);
            let members = json!({"content_index": index, "part": part});
            writer.inside("response.content_part.added", &message.id, members);
        }
        self.text.push_str(text);
        if self.refusal {
            let members = json!({"content_index": index, "delta": text});
            writer.inside("response.refusal.delta", &message.id, members);
            return;
        }
        let tokens = self.tokens.get(self.told..).unwrap_or_default();
        let members = json!({"content_index": index, "delta": text, "logprobs": tokens});
        self.told = self.tokens.len();
        writer.inside("response.output_text.delta", &message.id, members);
    }

    pub(super) fn cite(
        &mut self,
        annotation: Value,
        message: &mut Option<Message>,
        writer: &mut Writer,
    ) {
        let position = self.annotations.len();
        // What is cited before the text has begun is told when the part closes.
        if let Some(message) = message.as_ref().filter(|_| self.open) {
            let members = json!({
                "content_index": message.parts.len(),
                "annotation_index": position,
                "annotation": annotation,
            });
            writer.inside("response.output_text.annotation.added", &message.id, members);
        }
        self.annotations.push(annotation);
    }

    pub(super) fn close(self, message: &mut Option<Message>, writer: &mut Writer) {
        let Some(message) = message.as_mut().filter(|_| self.open) else { return };
        let index = message.parts.len();
        if self.refusal {
            let members = json!({"content_index": index, "refusal": self.text});
            writer.inside("response.refusal.done", &message.id, members);
        } else {
            let members =
                json!({"content_index": index, "text": self.text, "logprobs": self.tokens});
            writer.inside("response.output_text.done", &message.id, members);
        }
        let part = self.part(&self.text, &self.annotations, &self.tokens);
        let members = json!({"content_index": index, "part": part});
        writer.inside("response.content_part.done", &message.id, members);
        message.parts.push(part);
    }

    fn part(&self, text: &str, annotations: &[Value], tokens: &[Value]) -> Value {
        if self.refusal {
            return item::refusal_part(text);
        }
        item::text_part(text, annotations, tokens)
    }
}
