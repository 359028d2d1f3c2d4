//! Words that speak for work: signs of a hard task, looked for where a word begins. Never looked
//! for in the middle of one.

/// Beginnings of words, in small letters; each is one sign. With the same first letter together.
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

/// The letters with which any sign begins, as bits from `a`.
const FIRST_LETTERS: u32 = {
    let mut letters = 0;
    let mut rest: &[&[u8]] = &SIGNS;
    while let Some((sign, others)) = rest.split_first() {
        if let Some(first) = sign.first() {
            letters |= 1 << (*first - b'a');
        }
        rest = others;
    }
    letters
};

/// Whether a sign may begin with this character.
pub(crate) fn may_begin(code: u32) -> bool {
    let letter = (code | 0x20).wrapping_sub(97);
    letter < 26 && FIRST_LETTERS >> letter & 1 == 1
}

/// The signs with which the text begins, as bits.
pub(crate) fn at(text: &[u8]) -> u32 {
    let mut found = 0;
    for (index, sign) in SIGNS.iter().enumerate() {
        // The first letter tells nearly always, and a comparison of slices is a call.
        let alike = |a: Option<&u8>, b: Option<&u8>| a.map(u8::to_ascii_lowercase) == b.copied();
        if alike(text.first(), sign.first()) && alike(text.get(1), sign.get(1)) {
            let head = text.get(..sign.len()).unwrap_or_default();
            found |= u32::from(head.eq_ignore_ascii_case(sign)) << index;
        }
    }
    found
}
