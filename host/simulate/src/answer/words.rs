//! The words of an answer: the script's text with the facts filled in.

use super::Ask;
use crate::script::{AnswerScript, ModelScript};

/// Tokens of filler in one answer: a script's slip must not fill the memory.
const LOREM_TOKENS_MAX: u64 = 1 << 20;
/// Filler; each word begins at a blank, so four letters are one token.
const LOREM: [&str; 16] = [
    " sit", " non", " sed", " est", " qui", " aut", " per", " nec", " vel", " hic", " ubi", " pax",
    " lux", " rex", " vox", " nox",
];
/// Bytes of the prompt that `{beginning}` stands for.
const BEGINNING_BYTES: usize = 1_000;
/// Characters of the prompt that a made-up thought repeats.
const THOUGHT_CHARACTERS: usize = 80;

/// What the model says, in text, with a word on what it was shown.
pub(super) fn of(ask: &Ask, model: &ModelScript) -> String {
    let mut text = script_text(ask, model);
    if !ask.media.is_empty() {
        let gap = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{gap}[received {}]", media(ask)));
    }
    text
}

/// A thought of a model whose script has none.
pub(super) fn thought(ask: &Ask) -> String {
    let about: String = ask.last_user_text.chars().take(THOUGHT_CHARACTERS).collect();
    format!("Let me think about this: {about}")
}

/// "2 images: image/png, image/jpeg; 1 document: application/pdf".
fn media(ask: &Ask) -> String {
    let of = |kind: &str| {
        let types: Vec<&str> = ask
            .media
            .iter()
            .filter(|media| media.kind == kind)
            .map(|media| media.media_type.as_str())
            .collect();
        let plural = if types.len() == 1 || kind == "audio" { "" } else { "s" };
        let count = types.len();
        (count > 0).then(|| format!("{count} {kind}{plural}: {}", types.join(", ")))
    };
    let all: Vec<String> = ["image", "document", "audio"].into_iter().filter_map(of).collect();
    all.join("; ")
}

fn script_text(ask: &Ask, model: &ModelScript) -> String {
    match &model.answer {
        AnswerScript::Agent { text, .. } => return fill(text, ask, model),
        AnswerScript::Calls { text, .. } if !text.is_empty() => return fill(text, ask, model),
        _ => {}
    }
    if let Some(result) = &ask.tool_result {
        return format!("The tool answered: {result}");
    }
    match &model.answer {
        AnswerScript::Echo {} => ask.last_user_text.clone(),
        AnswerScript::Lorem { tokens } => lorem(*tokens),
        AnswerScript::Text { text }
        | AnswerScript::Refusal { text }
        | AnswerScript::Calls { text, .. }
        | AnswerScript::Agent { text, .. } => fill(text, ask, model),
        AnswerScript::Cases { cases, otherwise } => {
            let fits = cases.iter().find(|case| ask.last_user_text.contains(&case.contains));
            fill(fits.map_or(otherwise, |case| &case.text), ask, model)
        }
    }
}

/// Puts facts where their names stand in braces; what they bring in is not looked at again.
pub(super) fn fill(template: &str, ask: &Ask, model: &ModelScript) -> String {
    let facts = [
        ("{prompt}", ask.last_user_text.as_str()),
        ("{beginning}", beginning(&ask.last_user_text)),
        ("{model}", model.id.as_str()),
        ("{result}", ask.tool_result.as_deref().unwrap_or("")),
    ];
    let mut out = String::with_capacity(template.len() + ask.last_user_text.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let known = facts.iter().find_map(|(name, fact)| Some((fact, tail.strip_prefix(name)?)));
        let (text, after) = known.map_or_else(|| tail.split_at(1), |(fact, after)| (fact, after));
        out.push_str(text);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn beginning(prompt: &str) -> &str {
    prompt.get(..prompt.floor_char_boundary(BEGINNING_BYTES)).unwrap_or_default()
}

fn lorem(count: u64) -> String {
    let words = LOREM.iter().cycle();
    let count = usize::try_from(count.min(LOREM_TOKENS_MAX)).unwrap_or(0);
    words.take(count).copied().collect()
}
