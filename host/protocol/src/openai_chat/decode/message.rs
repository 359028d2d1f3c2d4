//! The conversation of a request: messages become turns, results of tools become parts of user
//! turns. Never merges what stood apart.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::neutral::{Own, Part, Request, Speaker, ToolKind, Turn, Words};
use crate::request_error::RequestError;

use super::super::tree::{self, Object};
use super::{part, thinking, tool};

/// A conversation while it is read.
#[derive(Debug, Default)]
pub(super) struct Thread {
    turns: Vec<Turn>,
    /// Names and kinds of the calls so far, by id: results say neither.
    calls: HashMap<String, (String, ToolKind)>,
    /// The name and the made id of the last call in the older form, which has no ids.
    function: Option<(String, String)>,
}

// === impl Thread ===

impl Thread {
    /// Reads `messages`.
    pub(super) fn read(value: Value, request: &mut Request) -> Result<(), RequestError> {
        let Value::Array(messages) = value else {
            return Err(RequestError::invalid("messages", "an array of messages"));
        };
        let mut thread = Self::default();
        for (index, message) in messages.into_iter().enumerate() {
            let at = format!("messages[{index}]");
            let Value::Object(message) = message else {
                return Err(RequestError::invalid(at, "an object with a role and content"));
            };
            thread.message(&at, index, message, request)?;
        }
        request.turns = thread.turns;
        Ok(())
    }

    fn message(
        &mut self,
        at: &str,
        index: usize,
        mut message: Object,
        request: &mut Request,
    ) -> Result<(), RequestError> {
        let content = message.get_mut("content").map(Value::take).unwrap_or_default();
        let content_at = format!("{at}.content");
        let mut parts = Vec::new();
        let speaker = match tree::string(&message, "role") {
            Some("system" | "developer") => {
                part::read(&content_at, content, &mut parts)?;
                if self.turns.is_empty() {
                    request.system.append(&mut parts);
                    return Ok(());
                }
                Speaker::System
            }
            Some("user") => {
                part::read(&content_at, content, &mut parts)?;
                Speaker::User
            }
            Some("assistant") => {
                self.assistant(at, index, &message, content, &mut parts)?;
                Speaker::Assistant
            }
            Some("tool" | "function") => {
                let result = self.result(at, index, &message, content)?;
                let (at, parts) = (at.to_owned(), vec![result]);
                self.turns.push(Turn { at, speaker: Speaker::User, parts, name: None });
                return Ok(());
            }
            _ => {
                let expected = "system, developer, user, assistant or tool";
                return Err(RequestError::invalid(format!("{at}.role"), expected));
            }
        };
        let name = tree::string(&message, "name").map(str::to_owned);
        self.turns.push(Turn { at: at.to_owned(), speaker, parts, name });
        Ok(())
    }

    fn assistant(
        &mut self,
        at: &str,
        index: usize,
        message: &Object,
        content: Value,
        parts: &mut Vec<Part>,
    ) -> Result<(), RequestError> {
        let (thoughts, mut signatures) = thinking::history(message);
        parts.extend(thoughts);
        part::read(&format!("{at}.content"), content, parts)?;
        if let Some(refusal) = tree::string(message, "refusal") {
            parts.push(Part::Refusal(refusal.into()));
        }
        if message.get("audio").is_some_and(|audio| !audio.is_null()) {
            let value = message.get("audio").cloned().unwrap_or_default();
            parts.push(Part::Own(Own { at: format!("{at}.audio"), value: value.into() }));
        }
        for (position, call) in tree::items(message, "tool_calls").iter().enumerate() {
            let at = format!("{at}.tool_calls[{position}]");
            let call = call.as_object().ok_or_else(|| {
                RequestError::invalid(at.clone(), "an object with an id and a function")
            })?;
            let mut part = self.call(&at, call)?;
            if let Part::ToolCall { id, signature: signature @ None, .. } = &mut part {
                *signature = signatures.get_mut(id).and_then(VecDeque::pop_front);
            }
            parts.push(part);
        }
        if let Some(call) = tree::object(message, "function_call") {
            let name = tree::string(call, "name").ok_or_else(|| {
                RequestError::missing(format!("{at}.function_call.name"), "the function's name")
            })?;
            let id = format!("call_{index}");
            self.function = Some((name.to_owned(), id.clone()));
            parts.push(called(id, name, tree::input(call.get("arguments")), ToolKind::Function));
        }
        Ok(())
    }

    fn call(&mut self, at: &str, call: &Object) -> Result<Part, RequestError> {
        let id = tree::string(call, "id").ok_or_else(|| {
            RequestError::missing(format!("{at}.id"), "the id that the call came with")
        })?;
        let custom = tree::object(call, "custom");
        let kind = if custom.is_some() { ToolKind::Custom } else { ToolKind::Function };
        let inner = custom.or_else(|| tree::object(call, "function")).unwrap_or(call);
        let name = tree::string(inner, "name").ok_or_else(|| {
            RequestError::missing(format!("{at}.function.name"), "the function's name")
        })?;
        let input = match kind {
            ToolKind::Custom => tree::input(inner.get("input")),
            _ => tree::input(inner.get("arguments")),
        };
        self.calls.insert(id.to_owned(), (name.to_owned(), kind));
        let mut part = called(id.to_owned(), name, input, kind);
        if let Part::ToolCall { signature, cache, .. } = &mut part {
            *signature = thinking::of_call(call);
            *cache = tool::cache(call);
        }
        Ok(part)
    }

    fn result(
        &self,
        at: &str,
        index: usize,
        message: &Object,
        content: Value,
    ) -> Result<Part, RequestError> {
        let given = tree::string(message, "name").map(str::to_owned);
        let (call_id, name) = match tree::string(message, "tool_call_id") {
            Some(id) => (id.to_owned(), given),
            None if tree::string(message, "role") == Some("function") => {
                let last = self.function.as_ref().filter(|(name, _)| Some(name) == given.as_ref());
                let id = last.map_or_else(|| format!("call_{index}"), |(_, id)| id.clone());
                (id, given)
            }
            None => {
                let expected = "the id of the call that this answers";
                return Err(RequestError::missing(format!("{at}.tool_call_id"), expected));
            }
        };
        let called = self.calls.get(&call_id);
        let name = name.or_else(|| called.map(|(name, _)| name.clone()));
        let kind = called.map_or(ToolKind::Function, |(_, kind)| *kind);
        let mut parts = Vec::new();
        part::read(&format!("{at}.content"), content, &mut parts)?;
        Ok(Part::ToolResult {
            call_id,
            name,
            kind,
            parts,
            failed: false,
            cache: tool::cache(message),
        })
    }
}

fn called(id: String, name: &str, input: String, kind: ToolKind) -> Part {
    let input = if kind == ToolKind::Custom { input } else { tree::or_braces(input) };
    Part::ToolCall {
        id,
        name: name.to_owned(),
        input: Words::from(input),
        kind,
        signature: None,
        cache: None,
    }
}
