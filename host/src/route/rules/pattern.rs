//! Patterns of names in which each `*` stands for anything, cut into their pieces beforehand. A
//! match looks at each byte of the name and of the pattern a bounded number of times, whatever
//! either of them is made of. Case does not count.

use std::borrow::Cow;

/// A pattern, in small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// With what a name begins, or, without any `*`, all of it.
    start: Box<str>,
    /// What comes behind it in this order; none of these is empty.
    middles: Box<[Box<str>]>,
    /// With what a name ends; `None` without any `*`.
    end: Option<Box<str>>,
}

/// A name in small letters, as patterns are compared with.
pub(super) fn small(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

// === impl Pattern ===

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let text = small(text);
        let mut pieces = text.split('*').map(Box::from);
        let start = pieces.next().unwrap_or_default();
        let mut middles: Vec<Box<str>> = pieces.collect();
        let end = middles.pop();
        // Two in a row stand for as much as one.
        middles.retain(|piece| !piece.is_empty());
        Self { start, middles: middles.into(), end }
    }

    /// Whether a name fits that is in small letters.
    pub(super) fn fits(&self, name: &str) -> bool {
        let Some(mut rest) = name.strip_prefix(&*self.start) else { return false };
        let Some(end) = &self.end else { return rest.is_empty() };
        for piece in &self.middles {
            // The first place is as good as any: what comes behind has the most room there. The
            // search is linear in both texts.
            let behind = rest.find(&**piece).and_then(|at| rest.get(at..)?.strip_prefix(&**piece));
            let Some(behind) = behind else { return false };
            rest = behind;
        }
        rest.ends_with(&**end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).fits(&small(name))
    }

    #[test]
    fn a_star_stands_for_anything_and_case_does_not_count() {
        for (pattern, name, expected) in [
            ("auto", "AUTO", true),
            ("auto", "auto:fast", false),
            ("Auto*", "auto:fast", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*@Groq", "meta/llama@groq", true),
            ("*/mistral-*", "mistral/codestral-1", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("*a*", "bcd", false),
            ("*é*", "caFÉé", true),
            ("**x***y**", "axby", true),
            ("a**", "a", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn stars_in_a_row_are_one() {
        assert_eq!(Pattern::new("a****b***"), Pattern::new("a*b*"));
    }

    /// Compared with what a plain search finds, over all short texts of two letters.
    #[test]
    fn it_finds_what_trying_everything_finds() {
        fn tried(pattern: &[u8], name: &[u8]) -> bool {
            match pattern.split_first() {
                None => name.is_empty(),
                Some((b'*', rest)) => (0..=name.len()).any(|at| tried(rest, &name[at..])),
                Some((byte, rest)) => name
                    .split_first()
                    .is_some_and(|(first, after)| first == byte && tried(rest, after)),
            }
        }
        let texts = |letters: &[u8], longest: u32| -> Vec<String> {
            let count = letters.len();
            let of = |length: u32| {
                (0..count.pow(length)).map(move |number| {
                    let letter = |place| letters[number / count.pow(place) % count];
                    String::from_utf8((0..length).map(letter).collect()).unwrap()
                })
            };
            (0..=longest).flat_map(of).collect()
        };
        let names = texts(b"ab", 5);
        for pattern in texts(b"ab*", 5) {
            for name in &names {
                let expected = tried(pattern.as_bytes(), name.as_bytes());
                assert_eq!(fits(&pattern, name), expected, "{pattern} {name}");
            }
        }
    }

    /// What a matcher that goes back would take for ever about ends at once.
    #[test]
    fn a_hostile_pattern_costs_no_more_than_its_length() {
        let pattern = "*a".repeat(100_000);
        assert!(!fits(&pattern, &"a".repeat(99_999)));
        assert!(fits(&pattern, &"a".repeat(100_000)));
        let (piece, name) = (format!("*{}b*", "a".repeat(50_000)), "a".repeat(1_000_000));
        assert!(!fits(&piece, &name));
    }
}
