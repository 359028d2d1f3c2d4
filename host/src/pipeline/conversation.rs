//! What a conversation is known by from turn to turn, so that its turns can go where its beginning
//! is cached. Reads names and beginnings, hashes them under a key of this process, and keeps
//! nothing of them.

use http::HeaderMap;
use turnpike_protocol::{Call, Channel, Role, Text};

use crate::auth::Caller;
use crate::route::{Affinity, Conversation, Pin};

use super::flight::Flight;
use super::settle::Reported;
use crate::catalog::Offer;
use crate::clock;

/// Members of a body that name a conversation, or the one user who has it.
const MEMBERS: [&str; 2] = ["prompt_cache_key", "user_id"];
/// Bytes of each text that a conversation is known by: prompts of one application begin alike, but
/// rarely for so long, and those that do share their cached beginning too.
const BEGINNING_BYTES: usize = 512;
/// Texts that are looked at for the first that somebody said.
const TEXTS_MAX: usize = 64;

/// What a conversation is known by, from turn to turn: to its canary as to where it is warm. Its
/// texts are content and go into hashes only.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// As a header or the body names it.
    pub(super) name: Option<&'a str>,
    /// How its instructions begin, and what somebody asked first.
    pub(super) told: Option<&'a str>,
    pub(super) asked: Option<&'a str>,
}

impl<'a> Known<'a> {
    /// By the name of a header or of the body; by its beginning.
    pub(super) fn of(call: &'a Call, session: Option<&'a str>) -> Self {
        let member = || MEMBERS.iter().find_map(|name| call.document(name));
        let texts = || call.texts.iter().take(TEXTS_MAX);
        let asked = texts().find(|text| text.role == Role::User && text.channel == Channel::Text);
        let told = texts().find(|text| text.channel == Channel::System);
        let name = session.or_else(member);
        Self { name, told: told.map(beginning), asked: asked.map(beginning) }
    }
}

/// Of which conversation a request is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    conversation: Conversation,
    /// It has had an answer before, or is named: it may be warm somewhere.
    later: bool,
}

// === impl Turn ===

impl Turn {
    /// The conversation by what it is known by; none where that is nothing.
    pub(super) fn of(
        affinity: &Affinity,
        caller: &Caller,
        call: &Call,
        known: Known<'_>,
    ) -> Option<Self> {
        let org = caller.org.as_bytes();
        if let Some(name) = known.name {
            let parts = [org, b"named", name.as_bytes()];
            let conversation = affinity.conversation(parts.into_iter());
            return Some(Self { conversation, later: true });
        }
        let told = known.told.unwrap_or_default();
        let parts = [org, b"begun", told.as_bytes(), known.asked?.as_bytes()];
        let later = call.messages.iter().any(|message| message.role == Role::Assistant);
        Some(Self { conversation: affinity.conversation(parts.into_iter()), later })
    }

    /// Where it is warm.
    pub(super) fn pin(self, affinity: &Affinity) -> Option<Pin> {
        if self.later { affinity.recall(self.conversation, clock::now_ms()) } else { None }
    }
}

fn beginning(text: &Text) -> &str {
    let text = text.content.expose();
    text.get(..text.floor_char_boundary(BEGINNING_BYTES)).unwrap_or_default()
}

/// The first of these headers that is there and short enough for a name.
pub(super) fn session<'a>(headers: &'a HeaderMap, names: &[&str], most: usize) -> Option<&'a str> {
    let header = |name: &&str| headers.get(*name).and_then(|value| value.to_str().ok());
    names.iter().find_map(header).filter(|name| !name.is_empty() && name.len() <= most)
}

/// The offer has answered: the next turn is warm there.
pub(super) fn answered(flight: &Flight, index: usize, offer: &Offer, reported: &Reported) {
    let Some(turn) = flight.turn else { return };
    let usage = reported.usage.unwrap_or_default();
    let cached = [usage.cached_tokens(), usage.cache_write_5m, usage.cache_write_1h];
    let cached = cached.into_iter().fold(0, u64::saturating_add);
    let warm = turn.pin(&flight.gateway.affinity).is_some_and(|pin| pin.offer == index);
    let pin = Pin::after(index, offer, usage.input_tokens(), cached, warm);
    flight.gateway.affinity.keep(turn.conversation, pin, clock::now_ms());
}
