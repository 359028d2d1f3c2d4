//! Which of a seller's models another one is the next of: a name as its words and the number of its
//! generation. Tells families apart by spelling alone; knows no model.

/// A name, taken apart: `grok-4-1-fast-reasoning` is the words `grok`, `fast`, `reasoning` and the
/// generation 4.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spelling {
    pub(super) words: Vec<String>,
    /// In thousandths; 0 where the name has none.
    pub(super) generation: u32,
}

/// Words that say how far along a model is and not which it is.
const STANDING: [&str; 4] = ["latest", "preview", "beta", "exp"];

/// Digits in a row from which on they are a day, a month or a revision.
const DATE_DIGITS: usize = 3;

// === impl Spelling ===

impl Spelling {
    pub(super) fn of(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let last = lower.rsplit('/').next().unwrap_or_default();
        let mut read = Self { words: Vec::new(), generation: 0 };
        // The digits before a point and behind it; those behind may stand in a part of their own.
        let mut number: Option<(String, String)> = None;
        let (mut before_was_number, mut day) = (false, false);
        for part in last.split(['-', '_', ':', '@']) {
            let digits = part.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            let letters = part.strip_suffix(digits).unwrap_or_default();
            let whole =
                !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let dated = digits.len() >= DATE_DIGITS && !digits.contains('.');
            // What comes behind a year is a month and a day.
            day |= whole && dated;
            before_was_number = match (whole && !day, &mut number) {
                (true, None) => {
                    let (units, rest) = digits.split_once('.').unwrap_or((digits, ""));
                    number = Some((units.to_owned(), rest.to_owned()));
                    true
                }
                (true, Some((_, rest))) if before_was_number && letters.is_empty() => {
                    rest.push_str(digits);
                    false
                }
                _ => false,
            };
            let word = if whole { letters } else { part };
            if !word.is_empty() && !STANDING.contains(&word) {
                read.words.push(word.to_owned());
            }
        }
        read.generation = number.map_or(0, |(units, rest)| thousandths(&units, &rest));
        read
    }

    /// Of the models with these names the one that this is the next of: the newest older one of the
    /// same words, else the oldest newer one; else the same of those with the fewest words that
    /// begin alike.
    pub(super) fn nearest<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let known: Vec<(Self, &str)> = names.map(|name| (Self::of(name), name)).collect();
        let same = || known.iter().filter(|(it, _)| it.words == self.words);
        let alike = || known.iter().filter(|(it, _)| it.words.first() == self.words.first());
        let fewest = alike().map(|(it, _)| it.words.len()).min()?;
        let plain = || alike().filter(|(it, _)| it.words.len() == fewest);
        self.among(same()).or_else(|| self.among(plain()))
    }

    fn among<'a, 'b>(
        &self,
        known: impl Iterator<Item = &'b (Self, &'a str)> + Clone,
    ) -> Option<&'a str>
    where
        'a: 'b,
    {
        let older = known.clone().filter(|(it, _)| it.generation <= self.generation);
        let newer = known.filter(|(it, _)| it.generation > self.generation);
        let older = older.max_by_key(|(it, name)| (it.generation, *name));
        let nearest = older.or_else(|| newer.min_by_key(|(it, name)| (it.generation, *name)));
        nearest.map(|(_, name)| *name)
    }

    /// Whether any of these names is of a later generation: of the same words where there are such,
    /// else of those that begin alike.
    pub(super) fn is_outdated<'a>(&self, names: impl Iterator<Item = &'a str>) -> bool {
        let known: Vec<Self> = names.map(Self::of).collect();
        let newest = |same: fn(&Self, &Self) -> bool| {
            known.iter().filter(|it| same(it, self)).map(|it| it.generation).max()
        };
        let newest = newest(|it, own| it.words == own.words)
            .or_else(|| newest(|it, own| it.words.first() == own.words.first()));
        newest.is_some_and(|newest| newest > self.generation)
    }
}

/// `4` and `20` are 4200: makers count their generations as decimals.
fn thousandths(units: &str, rest: &str) -> u32 {
    let decimals: String = rest.chars().filter(char::is_ascii_digit).chain("000".chars()).collect();
    let decimals = decimals.get(..3).unwrap_or_default().parse().unwrap_or(0);
    units.parse::<u32>().unwrap_or(0).saturating_mul(1000).saturating_add(decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> (String, u32) {
        let Spelling { words, generation } = Spelling::of(name);
        (words.join(" "), generation)
    }

    #[test]
    fn a_name_is_words_and_a_generation() {
        for (name, words, generation) in [
            ("claude-opus-4-8", "claude opus", 4_800),
            ("claude-sonnet-4-20250514", "claude sonnet", 4_000),
            ("grok-4.20-0309-reasoning", "grok reasoning", 4_200),
            ("grok-4-1-fast", "grok fast", 4_100),
            ("gpt-5.6-sol", "gpt sol", 5_600),
            ("o4-mini", "o mini", 4_000),
            ("MiniMax-M2.1-highspeed", "minimax m highspeed", 2_100),
            ("gemini-3.1-flash-lite-preview", "gemini flash lite", 3_100),
            ("gemini-embedding-001", "gemini embedding", 0),
            ("gpt-4-32k", "gpt 32k", 4_000),
            ("gpt-4o-2024-08-06", "gpt 4o", 0),
            ("x-ai/grok-latest", "grok", 0),
        ] {
            assert_eq!(read(name), (words.to_owned(), generation), "{name}");
        }
    }

    #[test]
    fn the_next_of_a_family_is_told_from_an_older_one() {
        let listed = ["gpt-5.5", "gpt-5.5-pro", "gpt-4o", "gpt-4", "gpt-5.4-mini"];
        let of = |name: &str| {
            let spelling = Spelling::of(name);
            let outdated = spelling.is_outdated(listed.into_iter());
            (spelling.nearest(listed.into_iter()), outdated)
        };
        assert_eq!(of("gpt-5.6-sol"), (Some("gpt-5.5"), false));
        assert_eq!(of("gpt-5.6-pro"), (Some("gpt-5.5-pro"), false));
        assert_eq!(of("gpt-4-32k"), (Some("gpt-4"), true));
        assert_eq!(of("gpt-3"), (Some("gpt-4"), true));
        assert_eq!(of("other-1"), (None, false));
    }
}
