//! The user's last turn, as the classifier reads it: a window in lower case, together with the
//! turn before when it is too short to stand alone ("and now in Rust?").

use turnpike_policy_sdk::Request;

use crate::features::{HEAD_BYTES, TAIL_BYTES, found, is_word};

/// A turn below this many bytes is read together with the one before it.
const SHORT_TURN: usize = 60;
/// Bytes of the turn before that are read.
const BEFORE_BYTES: u32 = 600;
/// Messages looked through for a user's turn; an agent's history is long and mostly tools.
const MAX_LOOKED_AT: u32 = 256;
/// Where a verb must stand to be what is asked for.
const VERB_BYTES: usize = 160;

const GREETINGS: [&[u8]; 18] = [
    b"hi",
    b"hello",
    b"hey",
    b"good morning",
    b"good evening",
    b"good afternoon",
    b"thanks",
    b"thank you",
    b"thx",
    b"ok",
    b"okay",
    b"bye",
    b"hola",
    b"bonjour",
    b"hallo",
    b"guten",
    b"ciao",
    b"danke",
];
const SMALL_TALK_WORDS: usize = 6;

const TRANSLATION: [&[u8]; 11] = [
    b"translat",
    b"\xc3\xbcbersetz",
    b"traduc",
    b"traduis",
    b"traduire",
    b"tradurre",
    b"vertaal",
    "翻译".as_bytes(),
    "翻譯".as_bytes(),
    "перевед".as_bytes(),
    "翻訳".as_bytes(),
];
const SUMMARIZATION: [&[u8]; 7] = [
    b"summari",
    b"tl;dr",
    b"tldr",
    b"zusammenfass",
    b"r\xc3\xa9sume",
    "总结".as_bytes(),
    "要約".as_bytes(),
];
const EXTRACTION: [&[u8]; 3] = [b"extract all", b"extract the", b"extract every"];

/// A user's turn.
pub(crate) struct Turn {
    /// The window that is read, in lower case (ASCII letters).
    pub(crate) text: Vec<u8>,
    /// Bytes of the whole turn.
    pub(crate) length: usize,
    /// The last turn alone; the rest of `text` is what stood before.
    own: usize,
    /// Messages of the conversation.
    pub(crate) messages: u32,
}

impl Turn {
    pub(crate) fn read(request: &dyn Request) -> Self {
        let messages = request.messages();
        let mut users = (messages.saturating_sub(MAX_LOOKED_AT)..messages)
            .rev()
            .filter(|index| request.message_role(*index).as_deref() == Some("user"));
        let Some(last) = users.next() else {
            return Self { text: Vec::new(), length: 0, own: 0, messages };
        };
        let length = request.message_length(last);
        let mut text = window(request, last, length);
        text.make_ascii_lowercase();
        let mut text = text.into_bytes();
        let own = text.len();
        if own < SHORT_TURN {
            if let Some(before) = users.next() {
                let mut before = request.message_text(before, 0, BEFORE_BYTES);
                before.make_ascii_lowercase();
                text.push(b'\n');
                text.extend_from_slice(before.as_bytes());
            }
        }
        Self { text, length: usize::try_from(length).unwrap_or(usize::MAX), own, messages }
    }

    /// The last turn's own window.
    fn own(&self) -> &[u8] {
        self.text.get(..self.own).unwrap_or_default()
    }

    pub(crate) fn has(&self, mark: &[u8]) -> bool {
        found(&self.text, &[mark], false) != 0
    }

    /// A greeting, thanks or the like, and nothing else.
    pub(crate) fn is_small_talk(&self) -> bool {
        let own = self.own();
        let words = || own.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty());
        let greets = GREETINGS.iter().any(|greeting| {
            own.strip_prefix(*greeting)
                .is_some_and(|rest| rest.first().is_none_or(|it| !is_word(*it)))
        });
        greets && own.len() < SHORT_TURN && words().count() <= SMALL_TALK_WORDS
    }

    /// The task that a verb at the beginning or the end of the turn names.
    pub(crate) fn asked_for(&self) -> Option<&'static str> {
        let own = self.own();
        let head = own.get(..own.len().min(VERB_BYTES)).unwrap_or_default();
        let tail = own.get(own.len().saturating_sub(VERB_BYTES)..).unwrap_or_default();
        let says = |verbs: &[&[u8]]| (found(head, verbs, false) | found(tail, verbs, false)) != 0;
        if says(&TRANSLATION) {
            Some("translation")
        } else if says(&SUMMARIZATION) {
            Some("summarization")
        } else if says(&EXTRACTION) {
            Some("extraction")
        } else {
            None
        }
    }
}

fn window(request: &dyn Request, index: u32, length: u32) -> String {
    if length <= HEAD_BYTES + TAIL_BYTES {
        return request.message_text(index, 0, length);
    }
    let mut text = request.message_text(index, 0, HEAD_BYTES);
    text.push('\n');
    text.push_str(&request.message_text(index, length - TAIL_BYTES, TAIL_BYTES));
    text
}
