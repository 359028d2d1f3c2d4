//! The project's own prompts: `prompts/TASK.txt`, one pattern a line, from which prompts are made
//! with a fixed seed. `[[a|b]]` is one of several, `<<TEXT>>` something out of `banks.txt`, `\n` a
//! line's end. `words.txt` lists words that tell a task by themselves. Never reads anything else.

use std::collections::BTreeSet;

use crate::data::{Prompt, task_number};
use crate::dice::Dice;

const BANKS: &str = include_str!("../prompts/banks.txt");
const WORDS: &str = include_str!("../prompts/words.txt");
const PATTERNS: [(&str, &str); 9] = [
    ("agent", include_str!("../prompts/agent.txt")),
    ("chat", include_str!("../prompts/chat.txt")),
    ("code", include_str!("../prompts/code.txt")),
    ("data-analysis", include_str!("../prompts/data-analysis.txt")),
    ("extraction", include_str!("../prompts/extraction.txt")),
    ("reasoning", include_str!("../prompts/reasoning.txt")),
    ("summarization", include_str!("../prompts/summarization.txt")),
    ("translation", include_str!("../prompts/translation.txt")),
    ("writing", include_str!("../prompts/writing.txt")),
];

/// Prompts of one pattern.
const PER_PATTERN: usize = 32;
/// Of a line that only lists short prompts.
const PER_LIST: usize = 60;
/// Draws for each prompt that is wanted, since two may be alike.
const DRAWS: usize = 3;
/// Times that each list of words is shuffled, and words of a prompt.
const SHUFFLES: usize = 3;
const WORDS_OF_A_PROMPT: (usize, usize) = (2, 6);
/// What may be long in real life; more of it follows with even chance, up to so many bytes.
const LONG: [&str; 4] = ["TEXT", "STORY", "TRANSCRIPT", "CODE"];
const LONG_BYTES: usize = 4000;

/// All of them, in order.
pub(crate) fn all() -> Result<Vec<Prompt>, String> {
    let banks = Banks::read(BANKS)?;
    let mut prompts = Vec::new();
    for (task, patterns) in PATTERNS {
        for (number, pattern) in patterns.lines().filter(|it| !it.is_empty()).enumerate() {
            let name = format!("{task}:{number}");
            let mut dice = Dice::named(&name);
            for (nth, text) in banks.several(pattern, &mut dice)?.into_iter().enumerate() {
                let of = if is_list(pattern) { format!("{name}:{nth}") } else { name.clone() };
                prompts.push(prompt(&of, task, text)?);
            }
        }
    }
    for (number, line) in WORDS.lines().enumerate() {
        let (task, words) = line.split_once('\t').ok_or("words.txt: no tab in a line")?;
        let mut dice = Dice::named(&format!("words:{number}"));
        let mut words: Vec<&str> = words.split(' ').collect();
        for _ in 0..SHUFFLES {
            dice.shuffle(&mut words);
            let mut rest: &[&str] = &words;
            while !rest.is_empty() {
                let (least, most) = WORDS_OF_A_PROMPT;
                let count = (least + dice.below(most + 1 - least)).min(rest.len());
                let (some, others) = rest.split_at(count);
                let of = format!("words:{}", prompts.len());
                prompts.push(prompt(&of, task, some.join(" "))?);
                rest = others;
            }
        }
    }
    Ok(prompts)
}

/// A line that only lists prompts which are written one by one.
fn is_list(pattern: &str) -> bool {
    pattern.matches("[[").count() == 1 && !pattern.contains("<<")
}

/// `pattern`: what prompts of one pattern have in common, and no others.
fn prompt(pattern: &str, task: &str, text: String) -> Result<Prompt, String> {
    Ok(Prompt::of(pattern, task_number(task)?, text))
}

struct Banks(Vec<(&'static str, &'static str)>);

impl Banks {
    fn read(text: &'static str) -> Result<Self, String> {
        let line = |line: &'static str| line.split_once('\t').ok_or("banks.txt: no tab in a line");
        Ok(Self(text.lines().map(line).collect::<Result<_, _>>()?))
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'static str> + 'a {
        self.0.iter().filter(move |(key, _)| *key == name).map(|(_, text)| *text)
    }

    /// Different prompts of one pattern, in alphabetical order.
    fn several(&self, pattern: &str, dice: &mut Dice) -> Result<BTreeSet<String>, String> {
        let wanted = if is_list(pattern) { PER_LIST } else { PER_PATTERN };
        let mut found = BTreeSet::new();
        for _ in 0..wanted * DRAWS {
            if found.len() == wanted {
                break;
            }
            found.insert(self.one(pattern, dice)?);
        }
        Ok(found)
    }

    /// Chooses among alternatives from the inside outwards, and only then looks into banks, whose
    /// pieces may have alternatives again.
    fn one(&self, pattern: &str, dice: &mut Dice) -> Result<String, String> {
        let mut text = pattern.to_owned();
        loop {
            if let Some((part, place)) = innermost(&text) {
                let choices: Vec<&str> = part.split('|').collect();
                let choice = dice.choice(&choices).copied().unwrap_or_default().to_owned();
                text.replace_range(place, &choice);
                continue;
            }
            let next = named(&text).next().map(|(name, place)| (name.to_owned(), place));
            let Some((name, place)) = next else { break };
            let piece = self.piece(&name, dice)?;
            text.replace_range(place, &piece);
        }
        Ok(text.replace("\\n", "\n").replace("\\t", "\t"))
    }

    fn piece(&self, name: &str, dice: &mut Dice) -> Result<String, String> {
        let bank: Vec<&str> = self.of(name).collect();
        let mut piece = dice.choice(&bank).map(|it| (*it).to_owned()).unwrap_or_default();
        if piece.is_empty() {
            return Err(format!("banks.txt has nothing for <<{name}>>"));
        }
        if LONG.contains(&name) {
            while dice.below(2) == 1 && piece.len() < LONG_BYTES {
                piece.push_str(if name == "TRANSCRIPT" { "\\n" } else { "\\n\\n" });
                piece.push_str(dice.choice(&bank).copied().unwrap_or_default());
            }
        }
        Ok(piece)
    }
}

/// Alternatives that have no others within them.
fn innermost(text: &str) -> Option<(&str, std::ops::Range<usize>)> {
    let end = text.find("]]")?;
    let start = text.get(..end)?.rfind("[[")?;
    Some((text.get(start + 2..end)?, start..end + 2))
}

/// Where something out of a bank belongs; `cout << x` is no name.
fn named(text: &str) -> impl Iterator<Item = (&str, std::ops::Range<usize>)> {
    pieces(text, "<<", ">>")
        .filter(|(name, _)| !name.is_empty() && name.bytes().all(|it| it.is_ascii_uppercase()))
}

/// What stands between two marks, and where the whole of it is.
fn pieces<'a>(
    text: &'a str,
    open: &'a str,
    close: &'a str,
) -> impl Iterator<Item = (&'a str, std::ops::Range<usize>)> {
    text.match_indices(open).filter_map(move |(start, _)| {
        let inside = start + open.len();
        let length = text.get(inside..)?.find(close)?;
        let part = text.get(inside..inside + length)?;
        Some((part, start..inside + length + close.len()))
    })
}
