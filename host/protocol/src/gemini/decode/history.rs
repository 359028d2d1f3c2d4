//! The conversation of a request. Calls and results often carry no ids here: stable ones are made
//! from the places of the calls, and results find theirs by name and order. Never reorders turns.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::gemini::tree::{self, Members, take, take_string};
use crate::neutral::{Own, Part, Signature, Speaker, ToolKind, Turn, Words};
use crate::request_error::RequestError;

use super::piece::{self, Outcome, Piece, Read};

/// The conversation so far.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) turns: Vec<Turn>,
    /// Members of parts that only Google has.
    pub(super) own: Vec<Own>,
    /// The calls that have been made.
    calls: Vec<Called>,
    /// The first call of each id, and those of each name that no result may have answered yet.
    by_id: HashMap<String, usize>,
    by_name: HashMap<String, VecDeque<usize>>,
}

/// A call that has been made.
#[derive(Debug)]
struct Called {
    id: String,
    answered: bool,
}

// === impl History ===

impl History {
    /// Adds one content.
    pub(super) fn push(&mut self, index: usize, content: Value) -> Result<(), RequestError> {
        let at = format!("contents[{index}]");
        let Value::Object(mut content) = content else {
            return Err(RequestError::invalid(at, "an object with a role and parts"));
        };
        let role = take_string(&mut content, "role").unwrap_or_default();
        let speaker = match role.as_str() {
            "user" | "" | "function" | "tool" => Speaker::User,
            "model" => Speaker::Assistant,
            "system" => Speaker::System,
            _ => return Err(RequestError::invalid(format!("{at}.role"), "user or model")),
        };
        let mut parts = Vec::new();
        for (place, part) in tree::items(take(&mut content, "parts")).into_iter().enumerate() {
            let place = Place { at: &at, content: index, part: place };
            self.part(&place, piece::read(part), &mut parts);
        }
        self.turns.push(Turn { at, speaker, parts, name: None });
        Ok(())
    }

    fn part(&mut self, place: &Place<'_>, read: Read, parts: &mut Vec<Part>) {
        let Read { piece, thought, signature, rest } = read;
        self.keep(place, rest);
        match piece {
            Piece::Text { text, thought: true } => think(text, signature, parts),
            Piece::Text { text, thought: false } => {
                parts.push(Part::text(text));
                parts.extend(signature.map(Part::SealedThinking));
            }
            Piece::Call(call) => {
                let id = call.id.unwrap_or_else(|| place.made_id());
                self.called(&id, &call.name);
                parts.push(Part::ToolCall {
                    id,
                    name: call.name,
                    input: call.input,
                    kind: ToolKind::Function,
                    signature,
                    cache: None,
                });
            }
            Piece::Result(outcome) => parts.push(self.result(place, outcome)),
            Piece::Media(media) => parts.push(Part::Media(media)),
            Piece::Own(value) => {
                parts.push(Part::Own(Own { at: place.path(), value: value.into() }));
            }
            Piece::Nothing => match signature {
                Some(signature) if thought => think(String::new(), Some(signature), parts),
                Some(signature) => parts.push(Part::SealedThinking(signature)),
                None => {}
            },
        }
    }

    fn called(&mut self, id: &str, name: &str) {
        let index = self.calls.len();
        self.calls.push(Called { id: id.to_owned(), answered: false });
        self.by_id.entry(id.to_owned()).or_insert(index);
        self.by_name.entry(name.to_owned()).or_default().push_back(index);
    }

    /// The first call of a name that has no answer yet.
    fn next_of(&mut self, name: &str) -> Option<usize> {
        let waiting = self.by_name.get_mut(name)?;
        while let Some(index) = waiting.pop_front() {
            if self.calls.get(index).is_some_and(|call| !call.answered) {
                return Some(index);
            }
        }
        None
    }

    fn result(&mut self, place: &Place<'_>, outcome: Outcome) -> Part {
        let Outcome { id, name, text, failed, parts } = outcome;
        let known = match &id {
            Some(id) => self.by_id.get(id).copied(),
            None => self.next_of(&name),
        };
        let known = known.and_then(|index| self.calls.get_mut(index)).map(|call| {
            call.answered = true;
            call.id.clone()
        });
        let mut inner: Vec<Part> = text.map(Part::text).into_iter().collect();
        for part in parts {
            let read = piece::read(part);
            match read.piece {
                Piece::Media(media) => inner.push(Part::Media(media)),
                Piece::Text { text, .. } => inner.push(Part::text(text)),
                _ => {}
            }
        }
        Part::ToolResult {
            call_id: known.or(id).unwrap_or_else(|| place.made_id()),
            name: Some(name).filter(|name| !name.is_empty()),
            kind: ToolKind::Function,
            parts: inner,
            failed,
            cache: None,
        }
    }

    fn keep(&mut self, place: &Place<'_>, rest: Members) {
        for (name, value) in rest {
            let at = tree::below(&place.path(), &name);
            match value {
                Value::Object(inner) if name.starts_with("function") => {
                    let own = |(name, value): (String, Value)| Own {
                        at: tree::below(&at, &name),
                        value: value.into(),
                    };
                    self.own.extend(inner.into_iter().map(own));
                }
                value => self.own.push(Own { at, value: value.into() }),
            }
        }
    }
}

/// Where a part stands.
struct Place<'a> {
    at: &'a str,
    content: usize,
    part: usize,
}

// === impl Place ===

impl Place<'_> {
    fn path(&self) -> String {
        format!("{}.parts[{}]", self.at, self.part)
    }

    fn made_id(&self) -> String {
        format!("call_{}_{}", self.content, self.part)
    }
}

/// Adds thinking: to the block before it, while that has no signature yet.
fn think(text: String, signature: Option<Signature>, parts: &mut Vec<Part>) {
    if let Some(Part::Thinking { text: open, signature: proof @ None }) = parts.last_mut() {
        open.0.push_str(&text);
        *proof = signature;
        return;
    }
    match signature {
        Some(signature) if text.is_empty() => parts.push(Part::SealedThinking(signature)),
        signature => parts.push(Part::Thinking { text: Words::from(text), signature }),
    }
}
