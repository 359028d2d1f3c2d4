//! Puts the facts of a request and the model's figures together: facts come before words, a
//! greeting is a greeting whatever tools are offered, and tools that have nothing to do with what
//! is asked for do not make an agent of it. Reads no configuration and keeps nothing.

use std::ops::Range;

use turnpike_policy_sdk::{Classification, Request, Value};

use crate::difficulty;
use crate::features::Features;
use crate::model::{self, Scores, Weights};
use crate::tools;
use crate::turn::Turn;

/// Of difficulty and confidence, a thousandth is said.
const DIGITS: f64 = 1000.0;
/// Said for extraction by a schema that the answer has to fit, in the model's logits.
const STRUCTURED: f64 = 6.0;
/// Said for code by what only programs print.
const LOGGED: f64 = 6.0;
/// Each with the place of its letter that is rarest in other texts: an `E` or a `k`.
const LOG_MARKS: [(&[u8], usize); 4] =
    [(b" ERROR ", 1), (b"Exception", 0), (b"Traceback (", 8), (b"panicked at", 5)];
/// Bytes that are looked at together for such a letter.
const BLOCK: usize = 32;
/// Said against agent where there are no tools.
const NO_TOOLS: f64 = 3.0;
/// Said for a task whose verb the turn begins with.
const ASKED: f64 = 3.0;
/// Said for chat by a short turn that begins with a greeting.
const GREETED: f64 = 3.0;
/// Fewer words tell hardly anything.
const FEW_WORDS: u32 = 3;
/// Said for chat by each word that lacks to [`FEW_WORDS`], and how sure such an answer may be.
const PER_LACKING_WORD: f64 = 6.0;
const UNSURE: f64 = 0.4;
/// Certain enough to act on, but an attachment or a tool may still be beside the point.
const BY_FACT: f64 = 0.9;
/// Words must be this sure of another task before tools count as not needed.
const SURE_WITHOUT_TOOLS: f64 = 0.85;
/// So sure of a conversation, which is what a wish that a tool could fulfil looks like, too.
const SURE_OF_CHAT: f64 = 0.95;

/// The answer to one request with these weights.
pub(crate) fn classify(weights: Weights<'_>, request: &dyn Request) -> Classification {
    let offered = request.tools();
    let needs = needs(request, offered > 0);
    let turn = Turn::read(request);
    let mut features = Features::of(weights, &turn.text, &turn.before);
    let scores = features.sums.scores();
    let facts = Facts { needs: &needs, tools: offered, turn: &turn, words: features.words };
    let found = facts.task(scores, request);
    let likely = found.likely.as_ref();
    Classification {
        difficulty: rounded(difficulty::of(
            found.task,
            likely,
            &turn,
            &features,
            request.input_tokens(),
        )),
        task: found.task.to_owned(),
        confidence: rounded(found.confidence),
        needs: needs.into_iter().map(str::to_owned).collect(),
        context_tokens: 0,
        attrs: Vec::new(),
    }
}

/// To the digits that it is worth: more would be shown to people and kept for nothing.
fn rounded(share: f64) -> f64 {
    (share * DIGITS).round() / DIGITS
}

/// Whether there is any of [`LOG_MARKS`]. One pass for all of them, by their rare letters.
fn is_logged(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        // Without a branch, so that the compiler makes vector instructions of it.
        let any = block.iter().fold(0, |any, byte| any | u8::from(is_rare(*byte)));
        if any != 0 && is_logged_at(text, at..at + BLOCK) {
            return true;
        }
        at += BLOCK;
    }
    is_logged_at(text, at..text.len())
}

fn is_rare(byte: u8) -> bool {
    (byte == b'E') | (byte == b'k')
}

/// The same, of a mark whose rare letter is within the range.
fn is_logged_at(text: &[u8], range: Range<usize>) -> bool {
    let block = text.get(range.clone()).unwrap_or_default();
    let rare = range.zip(block).filter(|(_, byte)| is_rare(**byte)).map(|(at, _)| at);
    rare.into_iter().any(|at| {
        LOG_MARKS.iter().any(|(mark, rare)| {
            let from = at.checked_sub(*rare).and_then(|from| text.get(from..));
            from.is_some_and(|it| it.starts_with(mark))
        })
    })
}

fn needs(request: &dyn Request, tools: bool) -> Vec<&'static str> {
    let flag = |name: &str| {
        request.attr(name).is_some_and(|value| match value {
            Value::Flag(flag) => flag,
            Value::Number(number) => number > 0.0,
            Value::Text(_) => false,
        })
    };
    let mut needs = Vec::new();
    if tools {
        needs.push("tools");
    }
    for (attr, need) in [
        ("needs.structured-output", "structured-output"),
        ("needs.reasoning", "reasoning"),
        ("input.image", "image-input"),
        ("input.audio", "audio-input"),
        ("input.file", "file-input"),
    ] {
        if flag(attr) {
            needs.push(need);
        }
    }
    needs
}

struct Found {
    task: &'static str,
    confidence: f64,
    /// The probability of each task, where words told it.
    likely: Option<Scores>,
}

impl Found {
    fn by_fact(task: &'static str, confidence: f64) -> Self {
        Self { task, confidence, likely: None }
    }

    fn by_words(scores: &Scores) -> Self {
        let likely = model::probabilities(scores);
        let (task, confidence) = model::likeliest(&likely);
        Self { task, confidence, likely: Some(likely) }
    }
}

struct Facts<'a> {
    needs: &'a [&'static str],
    tools: u32,
    turn: &'a Turn,
    words: u32,
}

impl Facts<'_> {
    fn task(&self, mut scores: Scores, request: &dyn Request) -> Found {
        let greets = self.turn.greets();
        let small_talk = greets && self.turn.is_brief();
        // Thanks for what was said of a picture is no question about it.
        if small_talk && self.turn.messages > 1 {
            return Found::by_fact("chat", BY_FACT);
        }
        if self.needs.contains(&"image-input") {
            return Found::by_fact("vision", BY_FACT);
        }
        if self.needs.contains(&"audio-input") {
            return Found::by_fact("audio", BY_FACT);
        }
        if small_talk {
            return Found::by_fact("chat", BY_FACT);
        }
        if self.tools > 0 {
            return self.with_tools(&scores, request);
        }
        if self.turn.after_tool {
            return Found::by_fact("agent", BY_FACT);
        }
        if self.words == 0 {
            return Found::by_fact("chat", 0.3);
        }
        model::favour(&mut scores, "agent", -NO_TOOLS);
        if self.needs.contains(&"structured-output") {
            model::favour(&mut scores, "extraction", STRUCTURED);
        }
        if is_logged(self.turn.text.as_bytes()) {
            model::favour(&mut scores, "code", LOGGED);
        }
        if let Some(asked) = self.turn.asks() {
            model::favour(&mut scores, asked, ASKED);
        }
        if greets {
            model::favour(&mut scores, "chat", GREETED);
        }
        let alone = self.turn.before.is_empty();
        let lacking = if alone { FEW_WORDS.saturating_sub(self.words) } else { 0 };
        model::favour(&mut scores, "chat", f64::from(lacking) * PER_LACKING_WORD);
        let mut found = Found::by_words(&scores);
        if lacking > 0 {
            found.confidence = found.confidence.min(UNSURE);
        }
        found
    }

    /// Tools make an agent, unless the turn surely asks for something else and no tool has to do
    /// with it.
    fn with_tools(&self, scores: &Scores, request: &dyn Request) -> Found {
        if !self.turn.after_tool && self.words > 0 {
            let found = Found::by_words(scores);
            let sure = match found.task {
                "writing" | "translation" | "summarization" => SURE_WITHOUT_TOOLS,
                "chat" => SURE_OF_CHAT,
                _ => f64::INFINITY,
            };
            if found.confidence >= sure && !tools::concern(request, self.tools, &self.turn.text) {
                return found;
            }
        }
        Found::by_fact("agent", BY_FACT)
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, LOG_MARKS, is_logged};

    #[test]
    fn what_only_programs_print_is_found_wherever_it_stands() {
        for (mark, rare) in LOG_MARKS {
            assert!(matches!(mark[rare], b'E' | b'k'), "{mark:?}");
            for lead in 0..2 * BLOCK + 2 {
                for trail in [0, 1, BLOCK] {
                    let plain = |count| std::iter::repeat_n(b"look, Every kind "[lead % 17], count);
                    let text: Vec<u8> =
                        plain(lead).chain(mark.iter().copied()).chain(plain(trail)).collect();
                    assert!(is_logged(&text), "{:?}", String::from_utf8_lossy(&text));
                    let mut other = text;
                    other[lead + mark.len() / 2] = b'_';
                    assert!(!is_logged(&other), "{:?}", String::from_utf8_lossy(&other));
                }
            }
        }
        assert!(!is_logged(b"") && !is_logged(b"k") && !is_logged(b"E"));
    }
}
