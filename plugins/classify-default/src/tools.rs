//! Whether the tools that a request offers have to do with what it asks for: a word of the turn
//! begins like a word of a tool's name or description. Never decides the task.

use turnpike_policy_sdk::Request;

/// More tools than these are an agent's.
const MOST_TOOLS: u32 = 16;
/// Letters that two words must have in common, from their beginning.
const ALIKE: usize = 4;
/// Words of a turn that are compared.
const MOST_WORDS: usize = 64;
/// Bytes of a description that are read.
const DESCRIPTION_BYTES: usize = 300;

/// Words that say nothing about what a tool is for.
const EMPTY: [&str; 24] = [
    "with",
    "this",
    "that",
    "from",
    "what",
    "have",
    "your",
    "their",
    "there",
    "about",
    "which",
    "when",
    "will",
    "would",
    "should",
    "could",
    "into",
    "more",
    "some",
    "given",
    "using",
    "based",
    "provide",
    "specified",
];

/// Some tool concerns the turn, or there are too many to tell.
pub(crate) fn concern(request: &dyn Request, tools: u32, turn: &str) -> bool {
    if tools > MOST_TOOLS {
        return true;
    }
    let wanted: Vec<String> = words(turn).take(MOST_WORDS).collect();
    (0..tools).any(|tool| {
        let name = request.tool_name(tool).unwrap_or_default();
        let description = request.tool_description(tool).unwrap_or_default();
        let mut end = description.len().min(DESCRIPTION_BYTES);
        while !description.is_char_boundary(end) {
            end -= 1;
        }
        let description = description.get(..end).unwrap_or_default();
        words(&name).chain(words(description)).any(|word| wanted.contains(&word))
    })
}

/// The beginnings of a text's words, in small letters; `findMovies` and `find_movies` are two.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut small = false;
    for character in text.chars() {
        if !character.is_alphabetic() || (small && character.is_uppercase()) {
            parts.push(std::mem::take(&mut part));
        }
        if character.is_alphabetic() {
            part.extend(character.to_lowercase());
        }
        small = character.is_lowercase();
    }
    parts.push(part);
    parts.into_iter().filter(|it| !EMPTY.contains(&it.as_str())).filter_map(|it| {
        let beginning: String = it.chars().take(ALIKE).collect();
        (beginning.chars().count() == ALIKE).then_some(beginning)
    })
}
