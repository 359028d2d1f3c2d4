//! A request and candidates to test a policy with, natively and without a host.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::request::{Candidates, Request};
use crate::types::Value;

/// A request made of plain values. Build it with [`MockRequest::new`] and the `with_*` methods.
#[derive(Debug, Clone, Default)]
pub struct MockRequest {
    /// Role and text of each message.
    pub messages: Vec<(String, String)>,
    /// Name and description of each tool.
    pub tools: Vec<(String, String)>,
    pub attrs: Vec<(String, Value)>,
    pub model: String,
    pub streaming: bool,
    pub output_tokens_limit: Option<u32>,
}

impl MockRequest {
    /// A request to `auto` without messages.
    #[must_use]
    pub fn new() -> Self {
        Self { model: "auto".to_owned(), ..Self::default() }
    }

    #[must_use]
    pub fn with_message(mut self, role: &str, text: &str) -> Self {
        self.messages.push((role.to_owned(), text.to_owned()));
        self
    }

    #[must_use]
    pub fn with_tool(mut self, name: &str, description: &str) -> Self {
        self.tools.push((name.to_owned(), description.to_owned()));
        self
    }

    #[must_use]
    pub fn with_attr(mut self, name: &str, value: Value) -> Self {
        self.attrs.push((name.to_owned(), value));
        self
    }

    fn message(&self, index: u32) -> Option<&(String, String)> {
        self.messages.get(usize::try_from(index).ok()?)
    }

    fn tool(&self, index: u32) -> Option<&(String, String)> {
        self.tools.get(usize::try_from(index).ok()?)
    }
}

/// Lengths beyond u32 do not occur in a request; they are capped.
fn bytes(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Request for MockRequest {
    fn id(&self) -> String {
        "mock".to_owned()
    }

    fn protocol(&self) -> String {
        "openai-chat".to_owned()
    }

    fn model(&self) -> String {
        self.model.clone()
    }

    fn streaming(&self) -> bool {
        self.streaming
    }

    fn input_tokens(&self) -> u32 {
        bytes(self.messages.iter().map(|(_, text)| text.len()).sum::<usize>().div_ceil(3))
    }

    fn output_tokens_limit(&self) -> Option<u32> {
        self.output_tokens_limit
    }

    fn messages(&self) -> u32 {
        bytes(self.messages.len())
    }

    fn message_role(&self, index: u32) -> Option<String> {
        self.message(index).map(|(role, _)| role.clone())
    }

    fn message_length(&self, index: u32) -> u32 {
        self.message(index).map_or(0, |(_, text)| bytes(text.len()))
    }

    fn message_text(&self, index: u32, offset: u32, length: u32) -> String {
        let Some((_, text)) = self.message(index) else { return String::new() };
        let mut start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        while !text.is_char_boundary(start) {
            start += 1;
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut end = start.saturating_add(length).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.get(start..end).unwrap_or_default().to_owned()
    }

    fn tools(&self) -> u32 {
        bytes(self.tools.len())
    }

    fn tool_name(&self, index: u32) -> Option<String> {
        self.tool(index).map(|(name, _)| name.clone())
    }

    fn tool_description(&self, index: u32) -> Option<String> {
        self.tool(index).map(|(_, description)| description.clone())
    }

    fn attr(&self, name: &str) -> Option<Value> {
        self.attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

/// Offers by name, each with its attributes.
#[derive(Debug, Clone, Default)]
pub struct MockCandidates(pub Vec<(String, Vec<(String, Value)>)>);

impl Candidates for MockCandidates {
    fn count(&self) -> u32 {
        bytes(self.0.len())
    }

    fn offer(&self, index: u32) -> String {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.0.get(index))
            .map_or_else(String::new, |(offer, _)| offer.clone())
    }

    fn attr(&self, index: u32, name: &str) -> Option<Value> {
        let (_, attrs) = self.0.get(usize::try_from(index).ok()?)?;
        attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

/// What stands in for the host behind [`crate::granted`], one for each thread: set what a policy
/// should find, call it, and look at what it left.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub now_ms: f64,
    pub state: BTreeMap<String, Vec<u8>>,
    /// What was counted up, by name.
    pub counters: BTreeMap<String, f64>,
    pub samples: BTreeMap<String, Vec<f64>>,
    pub catalog: MockCandidates,
    /// What the network answers, by address: status and body. Nothing else is in it.
    pub answers: BTreeMap<String, (u16, Vec<u8>)>,
    /// Where the random bytes are; the same beginning gives the same bytes.
    pub drawn: u64,
}

impl World {
    /// Works on this thread's world.
    pub fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        std::thread_local! {
            static WORLD: RefCell<World> = RefCell::default();
        }
        WORLD.with(|world| work(&mut world.borrow_mut()))
    }
}
