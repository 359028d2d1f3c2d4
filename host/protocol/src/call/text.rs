//! One text of a call or an answer: what it says, where it stands, and how what replaced it is
//! written there. Never decides what is replaced.

use std::ops::Range;

use crate::content::Content;
use crate::scan::{Kind, Scanner};
use crate::splice::{self, Edit};

use super::{Channel, Role};

/// One text of a call or an answer: one JSON string literal of the body, or what a tool is called
/// with or answers as a JSON object, whole, so that what is said of a value by its key is seen.
#[derive(Debug, Clone)]
pub struct Text {
    /// What kind of text.
    pub channel: Channel,
    /// Who speaks.
    pub role: Role,
    /// Index of the message (of a call) or the choice (of an answer).
    pub message: Option<u32>,
    /// The decoded text, as replaced last.
    pub content: Content,
    pub(crate) span: Range<usize>,
    pub(crate) edited: bool,
    /// It is a whole JSON object or array as it stands in the body, and not a string.
    pub(crate) json: bool,
}

// === impl Text ===

impl Text {
    pub(crate) fn replace(&mut self, new: String) {
        self.content = Content::from_string(new);
        self.edited = true;
    }

    /// Whether it is a JSON object or array that stands in the body as such.
    pub fn is_json(&self) -> bool {
        self.json
    }

    fn edit(&self) -> Edit {
        let (span, new) = (self.span.clone(), self.content.expose());
        match self.json {
            false => Edit::literal(span, new),
            true if is_json(new) => Edit::raw(span, new.to_owned()),
            // What is no JSON any more is still one text, and the provider wants an object.
            true => {
                let mut object = b"{\"text\":".to_vec();
                splice::write_literal(&mut object, new);
                object.push(b'}');
                Edit::raw(span, String::from_utf8(object).unwrap_or_default())
            }
        }
    }
}

/// Whether a text is one JSON object or array.
fn is_json(text: &str) -> bool {
    let mut scanner = Scanner::of_request(text);
    let kind = scanner.kind();
    matches!(kind, Ok(Kind::Object | Kind::Array))
        && scanner.skip().is_ok()
        && scanner.end().is_ok()
}

/// The edits that write every replaced text.
pub(crate) fn text_edits(texts: &[Text]) -> Vec<Edit> {
    let edited = texts.iter().filter(|text| text.edited);
    edited.map(Text::edit).collect()
}
