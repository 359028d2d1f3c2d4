//! What a conversation is known by from turn to turn, so that its turns can go where its beginning
//! is cached. Reads names and beginnings, hashes them under a key of this process, and keeps
//! nothing of them.

use turnpike_protocol::{Call, Channel, Dialect, Role, Text};

use crate::route::{Affinity, Conversation, Pin};

use super::flight::{Flight, Labels};
use super::settle::Reported;
use crate::catalog::Offer;
use crate::clock;

/// Members of a body by which requests are grouped for a cache: those of one conversation, of one
/// user, or of a whole application.
const MEMBERS: [&str; 2] = ["prompt_cache_key", "user_id"];
/// Bytes of its instructions that a conversation is known by, and of either end of what was asked
/// first: what is alike for so long shares its cached beginning too.
const BEGINNING_BYTES: usize = 512;
/// Messages that are looked at for the first text that somebody said.
const MESSAGES_MAX: usize = 64;
/// How the line begins that Claude Code puts before its instructions. It says who is to be billed,
/// differs from turn to turn, and is no part of the prompt where it is meant to go.
const BILLING_LINE: &str = "x-anthropic-billing-header:";

/// What a conversation is known by, from turn to turn: to its canary as to where it is warm. Its
/// texts are content and go into hashes only.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// As a header names it.
    session: Option<&'a str>,
    /// As the body groups it with others, where no header names it.
    group: Option<&'a str>,
    /// Which of a session's agents asks.
    agent: Option<&'a str>,
    /// How its instructions begin, and what somebody asked first.
    pub(super) told: Option<&'a str>,
    pub(super) asked: Option<&'a str>,
}

/// Of which conversation a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// By how it begins, under its name: one of the conversations that a session is made of.
    begun: Option<Conversation>,
    /// By its name, agent, model and instructions alone.
    named: Option<Conversation>,
    memory: Memory,
}

/// Which of the two says where a turn is warm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    /// Neither: it has had no answer yet.
    Nothing,
    Begun,
    /// Its beginning; where that is new under the name, the name says where to go on, and not that
    /// anything of it is cached.
    BegunOrNamed,
    /// The name: what was said before is with the provider, and not in the body.
    Named,
}

// === impl Known ===

impl<'a> Known<'a> {
    /// By what headers and the body call it, and how it begins.
    pub(super) fn of(call: &'a Call, labels: &'a Labels) -> Self {
        let session = labels.session.as_deref();
        let member = || MEMBERS.iter().find_map(|name| call.document(name));
        let group = if session.is_none() { member() } else { None };
        let beginning = |text: &'a str| text.get(..text.floor_char_boundary(BEGINNING_BYTES));
        let (told, asked) = (told(call).next(), asked(call).and_then(beginning));
        Self { session, group, agent: labels.agent.as_deref(), told, asked }
    }

    /// As a header or the body names it.
    pub(super) fn name(&self) -> Option<&'a str> {
        self.session.or(self.group)
    }
}

/// The instructions before the conversation, as far as it is known by them.
fn told(call: &Call) -> impl Iterator<Item = &str> {
    let instructs = |role: Role| matches!(role, Role::System | Role::Developer);
    let begins = call.messages.iter().position(|message| !instructs(message.role));
    let begins = begins.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX);
    // They may stand behind all messages in the body.
    let before = move |text: &&Text| text.message.is_none_or(|message| message < begins);
    let texts = call.texts.iter().filter(|text| text.channel == Channel::System).filter(before);
    let texts = texts.map(|text| without_billing(text.content.expose()));
    let mut left = BEGINNING_BYTES;
    texts.filter(|text| !text.is_empty()).map_while(move |text| {
        let part = text.get(..text.floor_char_boundary(left)).unwrap_or_default();
        left = left.saturating_sub(part.len());
        (!part.is_empty()).then_some(part)
    })
}

/// Instructions without the line about who is to be billed: a block of its own, or before the rest
/// where a program between has put them into one.
fn without_billing(text: &str) -> &str {
    match text.starts_with(BILLING_LINE) {
        true => text.split_once('\n').map_or("", |(_, rest)| rest),
        false => text,
    }
}

/// What somebody asked first.
fn asked(call: &Call) -> Option<&str> {
    let messages = call.messages.iter().take(MESSAGES_MAX);
    let texts = messages
        .filter(|message| message.role == Role::User)
        .flat_map(|message| call.texts.get(message.texts.clone()).unwrap_or_default().iter());
    let mut said = texts.filter(|text| text.channel == Channel::Text);
    said.next().map(|text| text.content.expose())
}

// === impl Turn ===

impl Turn {
    /// The conversation by what it is known by; none where that is nothing. Vectors are no part of
    /// any.
    pub(super) fn of(
        affinity: &Affinity,
        org: &str,
        call: &Call,
        known: Known<'_>,
    ) -> Option<Self> {
        if call.embeds() {
            return None;
        }
        let first = asked(call);
        let goes_on = call.kept_elsewhere().is_some() && known.name().is_some();
        let may_go_on = known.group.is_some() && call.dialect == Dialect::OpenAiResponses;
        let begins = !goes_on && (first.is_some() || known.session.is_some());
        let named = known.session.is_some() || may_go_on;
        let answered = || call.messages.iter().any(|message| message.role == Role::Assistant);
        let memory = match known.session {
            _ if goes_on => Memory::Named,
            Some(_) => Memory::BegunOrNamed,
            None if answered() => Memory::Begun,
            None => Memory::Nothing,
        };
        let of = |kind: &'static [u8], first: &str| {
            let [head, tail] = ends(first);
            let length = first.len().to_be_bytes();
            let names = [known.name(), known.agent, Some(&*call.model)];
            let [name, agent, model] = names.map(|name| name.unwrap_or_default().as_bytes());
            let parts = [org.as_bytes(), kind, name, agent, model, head, tail, &length];
            affinity.conversation(parts.into_iter().chain(told(call).map(str::as_bytes)))
        };
        (begins || named).then(|| Self {
            begun: begins.then(|| of(b"begun", first.unwrap_or_default())),
            named: named.then(|| of(b"named", "")),
            memory,
        })
    }

    /// Where it is warm.
    pub(super) fn pin(self, affinity: &Affinity) -> Option<Pin> {
        let own = self.own(affinity);
        match self.memory {
            Memory::Nothing | Memory::Begun => own,
            Memory::BegunOrNamed => own.or_else(|| recall(affinity, self.named).map(Pin::uncached)),
            // The body holds what is new alone.
            Memory::Named => own.map(Pin::uncached),
        }
    }

    /// Where this very conversation was answered last.
    fn own(self, affinity: &Affinity) -> Option<Pin> {
        match self.memory {
            Memory::Nothing => None,
            Memory::Begun | Memory::BegunOrNamed => recall(affinity, self.begun),
            Memory::Named => recall(affinity, self.named),
        }
    }
}

fn recall(affinity: &Affinity, conversation: Option<Conversation>) -> Option<Pin> {
    affinity.recall(conversation?, clock::now_ms())
}

/// How a text begins and ends.
fn ends(text: &str) -> [&[u8]; 2] {
    let bytes = text.as_bytes();
    let most = bytes.len().min(BEGINNING_BYTES);
    let from = bytes.len().saturating_sub(most);
    [bytes.get(..most), bytes.get(from..)].map(Option::unwrap_or_default)
}

/// The offer has answered: the next turn is warm there. Not for an answer without a word: whoever
/// asks once more had better hear another.
pub(super) fn answered(flight: &Flight, index: usize, offer: &Offer, reported: &Reported) {
    let Some(turn) = flight.turn.filter(|_| !reported.is_empty()) else { return };
    let affinity = &flight.gateway.affinity;
    let usage = reported.usage.unwrap_or_default();
    let cached = [usage.cached_tokens(), usage.cache_write_5m, usage.cache_write_1h];
    let cached = cached.into_iter().fold(0, u64::saturating_add);
    let warm = turn.own(affinity).is_some_and(|pin| pin.offer == index);
    let pin = Pin::after(index, offer, usage.input_tokens(), cached, warm);
    for conversation in turn.begun.into_iter().chain(turn.named) {
        affinity.keep(conversation, pin, clock::now_ms());
    }
}

#[cfg(test)]
mod tests;
