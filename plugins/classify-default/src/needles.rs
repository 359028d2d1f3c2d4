//! Words that speak for work: signs of a hard task, looked for where a word begins. Never looked
//! for in the middle of one.

/// Beginnings of words, in small letters; each is one sign, of at least four characters. With the
/// same first letter together.
const SIGNS: [&[u8]; 30] = [
    b"algorithm",
    b"architect",
    b"complexity",
    b"comprehensive",
    b"concurren",
    b"contract",
    b"derive",
    b"diagnos",
    b"distributed",
    b"edge case",
    b"in depth",
    b"in-depth",
    b"integral",
    b"legal",
    b"lemma",
    b"liabilit",
    b"negotiat",
    b"optimi",
    b"proof",
    b"prove",
    b"refactor",
    b"regulat",
    b"rigorous",
    b"risk",
    b"step by step",
    b"strateg",
    b"theorem",
    b"tradeoff",
    b"trade-off",
    b"vulnerabilit",
];

/// The first letters of each as one number, by which nearly every word is told from it.
#[allow(clippy::indexing_slicing, reason = "in a constant a wrong index ends the build")]
const HEADS: [u32; SIGNS.len()] = {
    let mut heads = [0; SIGNS.len()];
    let mut nth = 0;
    while nth < SIGNS.len() {
        heads[nth] = match SIGNS[nth].first_chunk() {
            Some(first) => head(first),
            None => 0,
        };
        nth += 1;
    }
    heads
};

/// Where among [`SIGNS`] those with each letter begin and end.
#[allow(clippy::indexing_slicing, reason = "in a constant a wrong index ends the build")]
const BY_LETTER: [(usize, usize); 26] = {
    let mut letters = [(0, 0); 26];
    let mut nth = 0;
    while nth < SIGNS.len() {
        let place = &mut letters[(SIGNS[nth][0] - b'a') as usize];
        assert!(place.1 == 0 || place.1 == nth, "signs with one first letter stand together");
        *place = (if place.1 == 0 { nth } else { place.0 }, nth + 1);
        nth += 1;
    }
    letters
};

/// Four characters, with capitals as small letters. Others may come out alike, too.
const fn head(characters: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*characters) | 0x2020_2020
}

/// The signs with which the text begins, as bits.
pub(crate) fn at(text: &[u8]) -> u32 {
    let Some(first @ [letter, ..]) = text.first_chunk::<4>() else { return 0 };
    let letter = usize::from((letter | 0x20).wrapping_sub(b'a'));
    let Some((from, to)) = BY_LETTER.get(letter).copied() else { return 0 };
    let head = head(first);
    let mut found = 0;
    for index in from..to {
        if HEADS.get(index) == Some(&head) {
            let sign = SIGNS.get(index).copied().unwrap_or_default();
            let alike = text.get(..sign.len()).is_some_and(|it| it.eq_ignore_ascii_case(sign));
            found |= u32::from(alike) << index;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{SIGNS, at};

    /// Each sign by its bit, in any case, with whatever behind it; and nothing that only looks like
    /// one.
    #[test]
    fn signs_are_found_whole_and_in_any_case() {
        for (index, sign) in SIGNS.iter().enumerate() {
            let sign = std::str::from_utf8(sign).unwrap();
            for text in [sign.to_owned(), sign.to_uppercase(), format!("{sign}s, and")] {
                assert_eq!(at(text.as_bytes()), 1 << index, "{text}");
            }
            assert_eq!(at(&sign.as_bytes()[..sign.len() - 1]), 0, "cut: {sign}");
            assert_eq!(at(format!("x{sign}").as_bytes()), 0, "in the middle: {sign}");
            let masked: Vec<u8> = sign.bytes().map(|byte| byte & !0x20).collect();
            let letters = sign.bytes().all(|byte| byte.is_ascii_lowercase());
            assert_eq!(at(&masked) != 0, letters, "{sign}");
        }
        assert_eq!(at(b"the"), 0);
        assert_eq!(at(b""), 0);
        assert_eq!(at("änderung".as_bytes()), 0);
    }
}
