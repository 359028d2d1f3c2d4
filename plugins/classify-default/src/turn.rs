//! The user's last turn, as the classifier reads it: a window of it, together with the turn before
//! when it is too short to stand alone ("and now in Rust?"). Never reads what a system prompt says.

use turnpike_policy_sdk::Request;

/// A longer text is known by both of its ends.
const HEAD_BYTES: u32 = 768;
const TAIL_BYTES: u32 = 256;
/// A turn below this many bytes is read together with the one before it.
const SHORT_TURN: usize = 60;
/// Bytes of the turn before that are read.
const BEFORE_BYTES: u32 = 600;
/// Messages looked through for a user's turn; an agent's history is long and mostly tools.
const MAX_LOOKED_AT: u32 = 256;

const GREETINGS: [&str; 46] = [
    "hi",
    "hello",
    "hey",
    "good morning",
    "good evening",
    "good afternoon",
    "good night",
    "thanks",
    "thank you",
    "thx",
    "ok",
    "okay",
    "bye",
    "goodbye",
    "great",
    "perfect",
    "cool",
    "nice",
    "yes",
    "no",
    "sure",
    "hola",
    "gracias",
    "buenos días",
    "bonjour",
    "salut",
    "merci",
    "hallo",
    "guten",
    "danke",
    "ciao",
    "grazie",
    "olá",
    "obrigado",
    "obrigada",
    "привет",
    "спасибо",
    "здравствуйте",
    "你好",
    "您好",
    "谢谢",
    "こんにちは",
    "ありがとう",
    "おはよう",
    "안녕",
    "감사",
];
/// Bytes in which a verb is looked for.
const ASKING_BYTES: usize = 96;
/// Verbs that name a task, most of them of languages in which few prompts could be learnt from.
const ASKING: [(&str, &str); 27] = [
    ("translate", "translation"),
    ("übersetz", "translation"),
    ("traduce", "translation"),
    ("traduis", "translation"),
    ("traduci", "translation"),
    ("traduza", "translation"),
    ("vertaal", "translation"),
    ("переведи", "translation"),
    ("翻译", "translation"),
    ("翻譯", "translation"),
    ("翻訳", "translation"),
    ("번역", "translation"),
    ("summari", "summarization"),
    ("sum up ", "summarization"),
    ("tl;dr", "summarization"),
    ("tldr", "summarization"),
    ("what's the gist", "summarization"),
    ("what is the gist", "summarization"),
    ("fasse ", "summarization"),
    ("résume", "summarization"),
    ("resume ", "summarization"),
    ("resuma ", "summarization"),
    ("riassumi", "summarization"),
    ("总结", "summarization"),
    ("概括", "summarization"),
    ("要約", "summarization"),
    ("요약", "summarization"),
];
const SMALL_TALK_WORDS: usize = 6;

/// A user's turn.
pub(crate) struct Turn {
    /// The window that is read.
    pub(crate) text: String,
    /// The beginning of the turn before, where the last one is short.
    pub(crate) before: String,
    /// Bytes of the whole turn.
    pub(crate) length: u32,
    /// Messages of the conversation.
    pub(crate) messages: u32,
    /// The last message is what a tool answered.
    pub(crate) after_tool: bool,
}

impl Turn {
    pub(crate) fn read(request: &dyn Request) -> Self {
        let messages = request.messages();
        let mut turn = Self {
            text: String::new(),
            before: String::new(),
            length: 0,
            messages,
            after_tool: false,
        };
        let mut own = true;
        for index in (messages.saturating_sub(MAX_LOOKED_AT)..messages).rev() {
            let role = request.message_role(index);
            match role.as_deref() {
                Some("user") if own => {
                    (turn.text, turn.length) = window(request, index);
                    if turn.text.len() >= SHORT_TURN {
                        break;
                    }
                    own = false;
                }
                Some("user") => {
                    turn.before = request.message_text(index, 0, BEFORE_BYTES);
                    break;
                }
                Some("tool") => turn.after_tool |= own,
                _ => {}
            }
        }
        turn
    }

    /// Begins with a greeting or thanks, and is short.
    pub(crate) fn greets(&self) -> bool {
        if self.text.len() >= SHORT_TURN {
            return false;
        }
        let text = self.text.trim_start_matches(|it: char| !it.is_alphanumeric()).to_lowercase();
        GREETINGS.iter().any(|greeting| {
            text.strip_prefix(greeting).is_some_and(|rest| {
                // A script without gaps has no end of a word to wait for.
                greeting.chars().all(|it| u32::from(it) >= 0x3000)
                    || !rest.starts_with(|next: char| next.is_alphanumeric())
            })
        })
    }

    /// The task whose verb the turn begins with, or has near its beginning in other scripts.
    pub(crate) fn asks(&self) -> Option<&'static str> {
        let mut end = self.text.len().min(ASKING_BYTES);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let head = self.text.get(..end).unwrap_or_default().trim_start().to_lowercase();
        let plain = head.is_ascii();
        let asked = ASKING.iter().find(|(verb, _)| {
            if verb.is_ascii() {
                head.starts_with(verb)
            } else if plain {
                // Nothing to look for, which would cost more than all the others.
                false
            } else if verb.starts_with(['ü', 'r']) {
                head.starts_with(verb)
            } else {
                head.contains(verb)
            }
        });
        asked.map(|(_, task)| *task)
    }

    /// Few words; an address is one.
    pub(crate) fn is_brief(&self) -> bool {
        let own = self.text.as_str();
        let words = own.split_ascii_whitespace().take(SMALL_TALK_WORDS + 1).count();
        words <= SMALL_TALK_WORDS && own.chars().count() < SHORT_TURN / 2 + words
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
