//! What one instance can reach: the facts of the request in hand, and its log. Text only while a
//! hook runs that may read content. What must be granted is in `granted.rs`; nothing else exists
//! for a guest.

use std::sync::Arc;

use super::binding::Hook;
use super::engine::PolicyLimits;
use super::facts::{AttrValue, Offers, RequestFacts};
use super::guest_log::{LEVEL_MIN, Level, LogLine, LogRing};
use super::home::{Fetches, Home};
use super::limiter::Account;
use super::quota::Allowance;
use super::v0_1::turnpike::policy::types::ValueResult;
use super::v0_1::turnpike::policy::{candidates, log, request, types};
use super::warm;
use super::wasi::Wasi;
use crate::clock;

/// Bytes of text given out by one call of `message-text`: bounds the copy that nothing interrupts.
const TEXT_RANGE_BYTES_MAX: usize = 1 << 20;
/// What joins the text parts of one message.
const PART_JOINT: &str = "\n";

/// What a guest sees during one call.
#[derive(Debug)]
pub(super) struct View {
    pub(super) hook: Hook,
    pub(super) facts: Arc<RequestFacts>,
    pub(super) candidates: Option<Arc<dyn Offers>>,
    pub(super) log: Arc<LogRing>,
    /// Where a policy that imports what must be granted keeps what it keeps.
    pub(super) home: Option<Arc<Home>>,
    /// What the request's policies may still ask of the network, where this one may at all.
    pub(super) fetches: Option<Arc<Fetches>>,
    /// Whether it is asked beside another one, so that nothing that it does may count.
    pub(super) aside: bool,
}

/// The data of a store.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) account: Account,
    pub(super) ticks_left: u32,
    /// None before the first call, while the component starts and is configured.
    pub(super) view: Option<View>,
    /// What its organization may take; none for a built-in.
    pub(super) allowance: Option<Allowance>,
    /// Made at the first call of a guest that imports WASI.
    pub(super) wasi: Option<Box<Wasi>>,
    lines_max: u32,
    /// Whether it has asked for anything about a request so far.
    pub(super) looked: bool,
    lines_left: u32,
    /// Calls so far, and those after which it is let go; drawn when it is first kept.
    calls: u32,
    calls_max: u32,
}

impl Guest {
    pub(super) fn new(limits: &PolicyLimits) -> Self {
        Self {
            account: Account::new(limits.memory_bytes_max),
            ticks_left: 0,
            view: None,
            allowance: None,
            wasi: None,
            looked: false,
            lines_max: limits.log_lines_max,
            lines_left: limits.log_lines_max,
            calls: 0,
            calls_max: u32::MAX,
        }
    }

    /// Bounds it by what its organization may take, before it is started.
    pub(super) fn allow(&mut self, allowance: Allowance) {
        self.account = Account::new(allowance.memory_bytes);
        self.lines_max = allowance.log_lines;
        self.lines_left = allowance.log_lines;
        self.allowance = Some(allowance);
    }

    /// Begins a call.
    pub(super) fn enter(&mut self, view: View) {
        self.view = Some(view);
        self.calls = self.calls.saturating_add(1);
    }

    /// Begins another request: what is counted for each request starts again.
    pub(super) fn begin_anew(&mut self) {
        self.lines_left = self.lines_max;
        if self.calls_max == u32::MAX {
            self.calls_max = warm::calls_of_one();
        }
    }

    /// See [`super::instance::Instance::is_worn`].
    pub(super) fn is_worn(&self) -> bool {
        self.calls >= self.calls_max || self.account.is_half_used()
    }

    fn facts(&mut self) -> Option<&RequestFacts> {
        self.looked = true;
        self.view.as_ref().map(|view| &*view.facts)
    }

    /// The facts, if the hook that runs may read text.
    fn readable(&mut self) -> Option<&RequestFacts> {
        self.looked = true;
        let view = self.view.as_ref()?;
        view.hook.reads_content().then_some(&*view.facts)
    }

    /// The offers, if the route hook runs.
    fn offers(&mut self) -> Option<&dyn Offers> {
        self.looked = true;
        self.view.as_ref()?.candidates.as_deref()
    }
}

pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn lower(value: AttrValue) -> ValueResult {
    match value {
        AttrValue::Text(text) => ValueResult::Text(text),
        AttrValue::Number(number) => ValueResult::Number(number),
        AttrValue::Flag(flag) => ValueResult::Flag(flag),
    }
}

/// The parts of a message.
fn parts(facts: &RequestFacts, message: usize) -> impl Iterator<Item = &str> {
    (0..).map_while(move |part| facts.call.part(message, part))
}

/// The pieces of a message's text: its parts with a joint between.
fn pieces(facts: &RequestFacts, message: usize) -> impl Iterator<Item = &str> {
    parts(facts, message)
        .enumerate()
        .flat_map(|(at, part)| [if at == 0 { "" } else { PART_JOINT }, part])
}

/// Bytes `offset..offset + length` of the pieces: a character that the range cuts is left out at
/// both ends.
fn range<'a>(pieces: impl Iterator<Item = &'a str>, offset: usize, length: usize) -> String {
    let end = offset.saturating_add(length.min(TEXT_RANGE_BYTES_MAX));
    let mut out = String::new();
    let mut at = 0_usize;
    for piece in pieces {
        let next = at.saturating_add(piece.len());
        if next > offset {
            let from = piece.ceil_char_boundary(offset.saturating_sub(at));
            let to = piece.floor_char_boundary(end.saturating_sub(at));
            out.push_str(piece.get(from..to).unwrap_or_default());
        }
        at = next;
        if at >= end {
            break;
        }
    }
    out
}

// === impl the imports for Guest ===

impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        let Some(left) = self.lines_left.checked_sub(1) else { return };
        let Some(view) = &self.view else { return };
        if level < LEVEL_MIN {
            return;
        }
        self.lines_left = left;
        view.log.push(LogLine::new(clock::now_ms(), level, view.hook, &view.facts.id, &message));
    }
}

impl request::Host for Guest {
    fn id(&mut self) -> String {
        self.facts().map(|facts| facts.id.clone()).unwrap_or_default()
    }

    fn protocol(&mut self) -> String {
        self.facts().map(|facts| facts.protocol.to_owned()).unwrap_or_default()
    }

    fn model(&mut self) -> String {
        self.facts().map(|facts| facts.model.clone()).unwrap_or_default()
    }

    fn streaming(&mut self) -> bool {
        self.facts().is_some_and(|facts| facts.streaming)
    }

    fn input_tokens(&mut self) -> u32 {
        self.facts().map(|facts| facts.input_tokens).unwrap_or_default()
    }

    fn output_tokens_limit(&mut self) -> Option<u32> {
        self.facts()?.output_limit
    }

    fn messages(&mut self) -> u32 {
        self.facts().map(|facts| count(facts.call.messages())).unwrap_or_default()
    }

    fn message_role(&mut self, message: u32) -> Option<String> {
        self.facts()?.call.role(index(message)).map(str::to_owned)
    }

    fn message_length(&mut self, message: u32) -> u32 {
        let Some(facts) = self.facts() else { return 0 };
        count(pieces(facts, index(message)).map(str::len).fold(0, usize::saturating_add))
    }

    fn message_text(&mut self, message: u32, offset: u32, length: u32) -> String {
        let Some(facts) = self.readable() else { return String::new() };
        range(pieces(facts, index(message)), index(offset), index(length))
    }

    fn tools(&mut self) -> u32 {
        self.facts().map(|facts| count(facts.call.tools())).unwrap_or_default()
    }

    fn tool_name(&mut self, tool: u32) -> Option<String> {
        self.facts()?.call.tool_name(index(tool)).map(str::to_owned)
    }

    fn tool_description(&mut self, tool: u32) -> Option<String> {
        self.readable()?.call.tool_description(index(tool)).map(str::to_owned)
    }

    fn attr(&mut self, name: String) -> Option<ValueResult> {
        self.facts()?.attr(&name).cloned().map(lower)
    }
}

impl candidates::Host for Guest {
    fn count(&mut self) -> u32 {
        self.offers().map(|offers| count(offers.count())).unwrap_or_default()
    }

    fn offer(&mut self, offer: u32) -> String {
        let found = self.offers().and_then(|offers| offers.id(index(offer)));
        found.map(str::to_owned).unwrap_or_default()
    }

    fn attr(&mut self, offer: u32, name: String) -> Option<ValueResult> {
        self.offers()?.attr(index(offer), &name).map(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Read in any step of at least one character, the text comes out whole.
        #[test]
        fn ranges_add_up_to_the_text(
            parts in prop::collection::vec(".{0,9}", 0..5),
            step in 4..9_usize,
        ) {
            let pieces = || parts.iter().map(String::as_str);
            let whole: String = pieces().collect();
            let mut read = String::new();
            while read.len() < whole.len() {
                let next = range(pieces(), read.len(), step);
                prop_assert!(!next.is_empty() && next.len() <= step);
                read.push_str(&next);
            }
            prop_assert_eq!(read, whole);
        }

        #[test]
        fn no_range_panics(text in ".{0,12}", offset in 0..99_usize, length in 0..99_usize) {
            let cut = range(std::iter::once(text.as_str()), offset, length);
            prop_assert!(text.contains(&cut));
        }
    }
}
