//! A tool call of a stream. Its beginning waits for the second piece of its input, because a proof
//! that belongs to it must stand in front of it and comes, if at all, with the first. Free text
//! that arrives wrapped in JSON is unwrapped when it is complete.

use serde_json::json;

use crate::neutral::{Losses, Signature, ToolKind};

use super::super::item::Call;
use super::thinking::Thinking;
use super::{Writer, custom, reply};

/// A call that is being written.
pub(super) struct ToolCall {
    id: Option<String>,
    name: String,
    kind: ToolKind,
    signature: Option<Signature>,
    /// The call's names, once it has begun.
    begun: Option<Call>,
    input: String,
}

// === impl ToolCall ===

impl ToolCall {
    pub(super) fn new(id: Option<String>, name: String, kind: ToolKind) -> Self {
        Self { id, name, kind, signature: None, begun: None, input: String::new() }
    }

    pub(super) fn sign(&mut self, signature: Signature, losses: &mut Losses) {
        if self.begun.is_some() {
            losses.dropped("signature", "a proof that came after its call had begun");
            return;
        }
        self.signature = Some(signature);
    }

    pub(super) fn write(&mut self, text: &str, writer: &mut Writer) {
        if self.input.is_empty() {
            self.input.push_str(text);
            return;
        }
        if self.begun.is_none() {
            let call = self.begin(writer);
            self.tell(&call, &self.input, writer);
            self.begun = Some(call);
        }
        self.input.push_str(text);
        if let Some(call) = &self.begun {
            self.tell(call, text, writer);
        }
    }

    pub(super) fn close(mut self, writer: &mut Writer) {
        let begun = self.begun.take();
        let late = begun.is_none();
        let call = begun.unwrap_or_else(|| self.begin(writer));
        if self.is_wrapped(&call) {
            self.input = custom::unwrap(&self.input);
            told(&call, &self.input, writer);
        } else if late {
            if self.input.is_empty() && !call.custom {
                self.input.push_str("{}");
            }
            told(&call, &self.input, writer);
        }
        if call.custom {
            let members = json!({"input": self.input});
            writer.inside("response.custom_tool_call_input.done", &call.item_id, members);
        } else {
            let members = json!({"name": call.name, "arguments": self.input});
            writer.inside("response.function_call_arguments.done", &call.item_id, members);
        }
        writer.done(call.value(&self.input, "completed"));
    }

    fn begin(&self, writer: &mut Writer) -> Call {
        if let Some(signature) = &self.signature {
            Thinking::sealed(signature, writer);
        }
        let names = (self.id.as_deref(), self.name.as_str());
        let call = reply::call(&writer.naming, writer.output.len(), names, self.kind);
        writer.added(&call.value("", "in_progress"));
        call
    }

    /// Whether the input is JSON around the free text that the caller's tool wants.
    fn is_wrapped(&self, call: &Call) -> bool {
        call.custom && self.kind != ToolKind::Custom
    }

    /// Passes a piece on, unless it is wrapped and must wait for the rest.
    fn tell(&self, call: &Call, text: &str, writer: &mut Writer) {
        if !self.is_wrapped(call) {
            told(call, text, writer);
        }
    }
}

fn told(call: &Call, text: &str, writer: &mut Writer) {
    if text.is_empty() {
        return;
    }
    let name = if call.custom {
        "response.custom_tool_call_input.delta"
    } else {
        "response.function_call_arguments.delta"
    };
    writer.inside(name, &call.item_id, json!({"delta": text}));
}
