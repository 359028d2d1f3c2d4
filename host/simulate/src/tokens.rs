//! A tokenizer that is nobody's, but deterministic: at most four characters, cut before blanks.
//! Its counts stand in for a provider's, so that usage and price can be checked exactly.

/// Characters in one token: about what English text has on real tokenizers.
const CHARACTERS_PER_TOKEN: usize = 4;

/// The tokens of a text, in order; together they are the text.
pub(crate) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

/// How many tokens a text has.
pub(crate) fn count(text: &str) -> u64 {
    pieces(text).fold(0, |sum, _| sum + 1)
}

/// The first `limit` tokens of a text, and whether anything was cut off.
pub(crate) fn truncate(text: &str, limit: u64) -> (&str, bool) {
    let mut bytes = 0;
    for (index, piece) in (0u64..).zip(pieces(text)) {
        if index == limit {
            return (text.get(..bytes).unwrap_or(text), true);
        }
        bytes += piece.len();
    }
    (text, false)
}

/// Groups of `size` tokens (at least one each), in order; together they are the text.
pub(crate) fn groups(text: &str, size: u32) -> Vec<(&str, u64)> {
    let size = u64::from(size.max(1));
    let mut out = Vec::new();
    let (mut start, mut end, mut held) = (0, 0, 0u64);
    for piece in pieces(text) {
        end += piece.len();
        held += 1;
        if held == size {
            out.push((text.get(start..end).unwrap_or(""), held));
            (start, held) = (end, 0);
        }
    }
    if held > 0 {
        out.push((text.get(start..end).unwrap_or(""), held));
    }
    out
}

/// See [`pieces`].
pub(crate) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let cut = self
            .rest
            .char_indices()
            .enumerate()
            .skip(1)
            .find(|(nth, (_, c))| *nth >= CHARACTERS_PER_TOKEN || c.is_whitespace())
            .map_or(self.rest.len(), |(_, (at, _))| at);
        let (piece, rest) = self.rest.split_at(cut);
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_short_begin_at_blanks_and_join_to_the_text() {
        let text = "Write to <EMAIL_1>, größer!";
        let all: Vec<&str> = pieces(text).collect();
        assert_eq!(all.concat(), text);
        assert!(all.iter().all(|piece| piece.chars().count() <= 4), "{all:?}");
        assert_eq!(all[..3], ["Writ", "e", " to"]);
    }

    #[test]
    fn groups_join_to_the_text_and_keep_the_count() {
        let text = "one two three four five";
        let grouped = groups(text, 3);
        assert_eq!(grouped.iter().map(|(piece, _)| *piece).collect::<String>(), text);
        assert_eq!(grouped.iter().map(|(_, tokens)| tokens).sum::<u64>(), count(text));
    }

    #[test]
    fn truncate_says_whether_it_cut() {
        assert_eq!(truncate("a b c", 3), ("a b c", false));
        assert_eq!(truncate("a b c", 2), ("a b", true));
        assert_eq!(truncate("a b c", 0), ("", true));
    }
}
