//! A reasoning item of a stream: its text as one part of a summary, its proof in the closing event.
//! Never opened when there is neither.

use serde_json::json;

use crate::neutral::Signature;

use super::super::item;
use super::Writer;

/// Thinking that is being written.
#[derive(Default)]
pub(super) struct Thinking {
    /// The item's id, once it has begun.
    id: Option<String>,
    text: String,
    signature: Option<Signature>,
}

// === impl Thinking ===

impl Thinking {
    /// An item without readable text.
    pub(super) fn sealed(signature: &Signature, writer: &mut Writer) {
        let id = item::id(&writer.naming, "rs", writer.output.len());
        writer.added(&item::reasoning(&id, "", None));
        writer.done(item::reasoning(&id, "", Some(signature)));
    }

    pub(super) fn sign(&mut self, signature: Signature) {
        self.signature = Some(signature);
    }

    pub(super) fn write(&mut self, text: &str, writer: &mut Writer) {
        let id = self.id.get_or_insert_with(|| {
            let id = item::id(&writer.naming, "rs", writer.output.len());
            writer.added(&item::reasoning(&id, "", None));
            let members = json!({"summary_index": 0, "part": item::summary_part("")});
            writer.inside("response.reasoning_summary_part.added", &id, members);
            id
        });
        self.text.push_str(text);
        let members = json!({"summary_index": 0, "delta": text});
        writer.inside("response.reasoning_summary_text.delta", id, members);
    }

    pub(super) fn close(self, writer: &mut Writer) {
        let signature = self.signature.as_ref();
        let Some(id) = &self.id else {
            if let Some(signature) = signature {
                Self::sealed(signature, writer);
            }
            return;
        };
        let members = json!({"summary_index": 0, "text": self.text});
        writer.inside("response.reasoning_summary_text.done", id, members);
        let members = json!({"summary_index": 0, "part": item::summary_part(&self.text)});
        writer.inside("response.reasoning_summary_part.done", id, members);
        writer.done(item::reasoning(id, &self.text, signature));
    }
}
