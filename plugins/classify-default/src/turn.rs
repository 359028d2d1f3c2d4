//! The user's last turn, as the classifier reads it: a window in lower case, together with the
//! turn before when it is too short to stand alone ("and now in Rust?").

use turnpike_policy_sdk::Request;

use crate::features::{HEAD_BYTES, TAIL_BYTES};
use crate::needles::is_word;

/// A turn below this many bytes is read together with the one before it.
const SHORT_TURN: usize = 60;
/// Bytes of the turn before that are read.
const BEFORE_BYTES: u32 = 600;
/// Messages looked through for a user's turn; an agent's history is long and mostly tools.
const MAX_LOOKED_AT: u32 = 256;

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

/// A user's turn.
pub(crate) struct Turn {
    /// The window that is read, in lower case (ASCII letters).
    pub(crate) text: Vec<u8>,
    /// Bytes of the whole turn.
    pub(crate) length: usize,
    /// The last turn alone; the rest of `text` is what stood before.
    pub(crate) own: usize,
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
        let (mut text, length) = window(request, last);
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

    /// Begins with a greeting or thanks, and is short.
    pub(crate) fn greets(&self) -> bool {
        let own = self.own();
        own.len() < SHORT_TURN
            && GREETINGS.iter().any(|greeting| {
                own.strip_prefix(*greeting)
                    .is_some_and(|rest| rest.first().is_none_or(|it| !is_word(*it)))
            })
    }

    /// Few words; an address is one.
    pub(crate) fn is_brief(&self) -> bool {
        let words = self.own().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.take(SMALL_TALK_WORDS + 1).count() <= SMALL_TALK_WORDS
    }
}

/// The text or its two ends, and how long the text is.
fn window(request: &dyn Request, index: u32) -> (String, u32) {
    const WINDOW: u32 = HEAD_BYTES + TAIL_BYTES;
    /// The host cuts at a character's boundary, so a longer text gives at least so much.
    const CUT: usize = WINDOW as usize - 3;
    let mut text = request.message_text(index, 0, WINDOW);
    if text.len() < CUT {
        let length = u32::try_from(text.len()).unwrap_or(WINDOW);
        return (text, length);
    }
    let length = request.message_length(index);
    if length > WINDOW {
        let mut head = HEAD_BYTES as usize;
        while !text.is_char_boundary(head) {
            head -= 1;
        }
        text.truncate(head);
        text.push('\n');
        text.push_str(&request.message_text(index, length - TAIL_BYTES, TAIL_BYTES));
    }
    (text, length)
}
