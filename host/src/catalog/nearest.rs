//! Which known names a mistyped one probably meant. Runs only when a lookup failed.

/// Names longer than this are not compared: nobody types them, and the work is quadratic.
const COMPARED_BYTES_MAX: usize = 96;

/// Suggestions offered at most: more than a few is a list, not a hint.
pub(super) const SUGGESTIONS_MAX: usize = 3;

/// The known names nearest to `asked`, best first. Ties are in the order of `known`.
pub(crate) fn nearest<'a>(asked: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let asked = asked.to_ascii_lowercase();
    if asked.is_empty() || asked.len() > COMPARED_BYTES_MAX {
        return Vec::new();
    }
    let allowed = (asked.len() / 3).max(2);
    let mut scored: Vec<(usize, &str)> = known
        .filter(|name| name.len() <= COMPARED_BYTES_MAX)
        .filter_map(|name| score(&asked, name).filter(|d| *d <= allowed).map(|d| (d, name)))
        .collect();
    scored.sort_by_key(|(distance, name)| (*distance, name.len()));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(SUGGESTIONS_MAX).map(|(_, name)| name).collect()
}

/// The distance to the whole name or to the part after its vendor, whichever is nearer; a
/// name that is cut short counts as one slip, one with too much at its end as two.
fn score(asked: &str, name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    let bare = name.split_once('/').map_or(name.as_str(), |(_, bare)| bare);
    let plain = asked.split_once('/').map_or(asked, |(_, bare)| bare);
    if plain.len().min(bare.len()) >= 3 {
        if bare.starts_with(plain) {
            return Some(1);
        }
        if plain.starts_with(bare) {
            return Some(2);
        }
    }
    [distance(asked, &name), distance(asked, bare), distance(plain, bare)].into_iter().min()
}

/// Edits (insert, delete, replace a byte) that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let replaced = diagonal.saturating_add(usize::from(x != y));
            let moved = (*cell).min(left).saturating_add(1);
            diagonal = *cell;
            left = replaced.min(moved);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = [
        "openai/gpt-5.4",
        "openai/gpt-5.4-mini",
        "anthropic/claude-sonnet-5",
        "anthropic/claude-opus-4-8",
        "meta/llama-3.3-70b-instruct",
    ];

    #[test]
    fn suggests_what_was_meant() {
        let best = |asked: &str| nearest(asked, KNOWN.into_iter()).first().copied();
        assert_eq!(best("gpt5.4"), Some("openai/gpt-5.4"));
        assert_eq!(best("openai/gpt-5,4"), Some("openai/gpt-5.4"));
        assert_eq!(best("claude-sonet-5"), Some("anthropic/claude-sonnet-5"));
        assert_eq!(best("llama-3.3-70b"), Some("meta/llama-3.3-70b-instruct"));
        assert_eq!(best("completely-else"), None);
        assert_eq!(best(""), None);
        assert_eq!(best(&"g".repeat(4096)), None);
    }

    #[test]
    fn counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
