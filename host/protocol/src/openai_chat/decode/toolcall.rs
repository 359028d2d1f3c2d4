//! The tool calls of one streamed choice. Servers disagree on everything about them: some number
//! them all 0, some not at all, some repeat id and name each time, some send all arguments at once,
//! some send `{}` first and the arguments later. Never buffers arguments.

use serde_json::Value;

use crate::neutral::{Event, Opening, Signature, ToolKind, Words};

use super::super::tree::{self, Object};
use super::thinking;

/// One call while it is written.
#[derive(Debug)]
struct Call {
    /// The number the server gave, if any.
    index: Option<u32>,
    id: Option<String>,
    name: String,
    kind: ToolKind,
    /// Its block, once it is open: a call without a name waits for it.
    block: Option<u32>,
    /// Arguments that came before the name.
    early: String,
    extent: Extent,
    closed: bool,
}

/// How far a JSON text has come, without keeping it.
#[derive(Debug, Default)]
struct Extent {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Anything but white space and a lone `{}` was sent.
    begun: bool,
    /// The outermost object has ended.
    ended: bool,
    /// A lone `{}` was sent: no arguments, or a placeholder for those that follow.
    placeholder: bool,
}

/// All calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
}

// === impl Calls ===

impl Calls {
    /// Whether the model called anything.
    pub(super) fn any(&self) -> bool {
        self.calls.iter().any(|call| call.block.is_some())
    }

    /// Takes the entries of one delta.
    pub(super) fn push(
        &mut self,
        spoken: &Object,
        next: &mut dyn FnMut(Opening) -> Event,
        out: &mut Vec<Event>,
    ) {
        for entry in tree::items(spoken, "tool_calls").iter().filter_map(Value::as_object) {
            self.entry(entry, next, out);
        }
        if let Some(entry) = tree::object(spoken, "function_call") {
            self.entry(entry, next, out);
        }
    }

    fn entry(
        &mut self,
        entry: &Object,
        next: &mut dyn FnMut(Opening) -> Event,
        out: &mut Vec<Event>,
    ) {
        let custom = tree::object(entry, "custom");
        let inner = custom.or_else(|| tree::object(entry, "function")).unwrap_or(entry);
        let (id, name) = (tree::string(entry, "id"), tree::string(inner, "name"));
        let index = tree::number(entry, "index");
        let input = tree::input(inner.get("arguments").or_else(|| inner.get("input")));
        let at = match self.find(index, id, name) {
            Some(at) => at,
            None => {
                self.close_complete(out);
                let kind = if custom.is_some() || tree::string(entry, "type") == Some("custom") {
                    ToolKind::Custom
                } else {
                    ToolKind::Function
                };
                self.calls.push(Call::new(index, kind));
                self.calls.len().saturating_sub(1)
            }
        };
        let Some(call) = self.calls.get_mut(at) else { return };
        call.take(id, name, next, out);
        if let Some(signature) = thinking::of_call(entry) {
            call.sign(signature, out);
        }
        call.write(&input, out);
    }

    /// The call that an entry continues; `None` if it begins a new one.
    fn find(&self, index: Option<u32>, id: Option<&str>, name: Option<&str>) -> Option<usize> {
        if let Some(id) = id {
            let known = self.calls.iter().position(|call| {
                call.id.as_deref() == Some(id) && (index.is_none() || call.index == index)
            });
            if known.is_some() {
                return known;
            }
        }
        let last = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None => self.calls.len().checked_sub(1),
        }?;
        let call = self.calls.get(last)?;
        let other_id = id.is_some() && call.id.is_some() && call.id.as_deref() != id;
        // Without a number and an id, a name begins a call; with a number it may be a repetition.
        let begins = match (index, id) {
            (None, None) => name.is_some() && !call.name.is_empty(),
            _ => other_id && name.is_some(),
        };
        (!begins).then_some(last)
    }

    /// Ends the calls whose arguments are whole, so that what follows need not wait for them.
    fn close_complete(&mut self, out: &mut Vec<Event>) {
        let whole =
            |call: &&mut Call| call.extent.ended || (call.extent.placeholder && !call.extent.begun);
        self.calls.iter_mut().filter(whole).for_each(|call| call.close(out));
    }

    /// Ends every call. One without arguments gets `{}`.
    pub(super) fn close(&mut self, next: &mut dyn FnMut(Opening) -> Event, out: &mut Vec<Event>) {
        for call in &mut self.calls {
            if call.block.is_none() && (call.id.is_some() || !call.early.is_empty()) {
                call.open(next, out);
            }
            call.close(out);
        }
    }

    /// The signature of a call that came apart from it, by the call's id; gives it back if there
    /// is no such call, or it is closed.
    pub(super) fn sign(
        &mut self,
        id: &str,
        signature: Signature,
        out: &mut Vec<Event>,
    ) -> Option<Signature> {
        let of = |call: &&mut Call| call.id.as_deref() == Some(id) && !call.closed;
        match self.calls.iter_mut().find(of) {
            Some(call) => {
                call.sign(signature, out);
                None
            }
            None => Some(signature),
        }
    }
}

// === impl Call ===

impl Call {
    fn new(index: Option<u32>, kind: ToolKind) -> Self {
        Self {
            index,
            id: None,
            name: String::new(),
            kind,
            block: None,
            early: String::new(),
            extent: Extent::default(),
            closed: false,
        }
    }

    fn take(
        &mut self,
        id: Option<&str>,
        name: Option<&str>,
        next: &mut dyn FnMut(Opening) -> Event,
        out: &mut Vec<Event>,
    ) {
        if self.id.is_none() {
            self.id = id.map(str::to_owned);
        }
        if let Some(name) = name.filter(|_| self.name.is_empty()) {
            name.clone_into(&mut self.name);
            self.open(next, out);
        }
    }

    fn open(&mut self, next: &mut dyn FnMut(Opening) -> Event, out: &mut Vec<Event>) {
        let (id, name, kind) = (self.id.clone(), self.name.clone(), self.kind);
        let event = next(Opening::ToolCall { id, name, kind });
        if let Event::Open { block, .. } = event {
            self.block = Some(block);
        }
        out.push(event);
        let early = std::mem::take(&mut self.early);
        self.write(&early, out);
    }

    fn sign(&self, signature: Signature, out: &mut Vec<Event>) {
        if let Some(block) = self.block.filter(|_| !self.closed) {
            out.push(Event::Signed { block, signature });
        }
    }

    fn write(&mut self, input: &str, out: &mut Vec<Event>) {
        let Some(block) = self.block else {
            self.early.push_str(input);
            return;
        };
        // What comes behind the end of the arguments repeats them, or is white space.
        if self.closed || input.is_empty() {
            return;
        }
        if self.kind == ToolKind::Function {
            let blank = !self.extent.begun && matches!(input.trim(), "" | "{}");
            self.extent.placeholder |= blank && !input.trim().is_empty();
            if blank || self.extent.ended {
                return;
            }
            self.extent.advance(input);
        }
        out.push(Event::Delta { block, text: Words::from(input) });
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        let Some(block) = self.block.filter(|_| !self.closed) else { return };
        if self.kind == ToolKind::Function && !self.extent.begun {
            out.push(Event::Delta { block, text: "{}".into() });
        }
        out.push(Event::Close { block });
        self.closed = true;
    }
}

// === impl Extent ===

impl Extent {
    fn advance(&mut self, input: &str) {
        self.begun = true;
        for byte in input.bytes() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.ended |= self.depth == 0;
                }
                _ => {}
            }
        }
    }
}
