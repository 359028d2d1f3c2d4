//! How many tokens a text may come to, estimated upwards without a tokenizer: one pass over the
//! bytes, each with a weight by its class. Pure; never the count that is charged where a provider
//! reports one.
//!
//! The weights are those of random text of each class under the vocabularies in use (100 and 200
//! thousand entries), which is the densest that a class gets: prose has half as many tokens.
//! Random consonants, or random letters of an alphabet that is common elsewhere, such as Greek,
//! can have a quarter more than is estimated here, and ideographs that are in no dictionary half as
//! many again; nothing else that was measured has more than is estimated.

/// Weights are quarters of a token.
const QUARTERS: usize = 4;
/// The heaviest byte: digits, capitals (which makes 0.8 of base64, where 0.71 was measured),
/// punctuation and control characters, which no vocabulary joins reliably, bytes that continue a
/// character, and the first byte of characters that are rare enough to be read byte by byte (four
/// tokens of most emoji, three of a braille cell).
const WHOLE: u8 = 4;
/// A lower-case letter or a space: half a token. Random ones have 0.54, prose 0.22.
const LETTER_LESS: u8 = 2;
/// The first byte of a Latin letter with an accent, of Greek, Cyrillic, Hebrew or Arabic: with the
/// byte that follows a character is 1.25 tokens. Russian prose has 0.6.
const COMMON_TWO_LESS: u8 = 3;
/// The first byte of Indic and Thai letters, kana, ideographs and Hangul: with the two that follow
/// a character is 2 tokens. Chinese prose has 1.2, random ideographs 2.4.
const COMMON_THREE_LESS: u8 = 4;

/// Bytes that are weighed side by side; a multiple of what vector registers hold.
const LANES: usize = 32;
/// Rows of lanes before the sums could overflow a byte: 63 times 4 is 252.
const ROWS: usize = 63;

/// Tokens of a text, rounded up. Grows with the text: no text has fewer than a part of it.
pub(crate) fn text_tokens_upper(text: &str) -> usize {
    let mut quarters = 0_usize;
    for block in text.as_bytes().chunks(LANES * ROWS) {
        // Most text is ASCII, for which fewer classes need to be told apart.
        let sum = if block.is_ascii() { sum(block, ascii) } else { sum(block, every) };
        quarters = quarters.saturating_add(sum);
    }
    quarters.div_ceil(QUARTERS)
}

/// Tokens of what stands between the texts of a body: braces, names of members, numbers. Half a
/// token a byte, and one a digit.
pub(crate) fn frame_tokens_upper(bytes: &[u8]) -> usize {
    let weigh = |byte: u8| WHOLE - LETTER_LESS * u8::from(!byte.is_ascii_digit());
    let blocks = bytes.chunks(LANES * ROWS).map(|block| sum(block, weigh));
    blocks.fold(0, usize::saturating_add).div_ceil(QUARTERS)
}

fn ascii(byte: u8) -> u8 {
    let letter = byte.wrapping_sub(b'a') < 26 || byte == b' ';
    WHOLE - LETTER_LESS * u8::from(letter)
}

fn every(byte: u8) -> u8 {
    let within = |first: u8, count: u8| byte.wrapping_sub(first) < count;
    let two = within(0xc2, 2) | within(0xce, 4) | within(0xd7, 3);
    let three = (byte == 0xe0) | within(0xe3, 7) | within(0xeb, 3);
    ascii(byte) - COMMON_TWO_LESS * u8::from(two) - COMMON_THREE_LESS * u8::from(three)
}

/// The weights of at most `LANES * ROWS` bytes together. Written so that the compiler weighs a row
/// at once.
#[inline(always)]
fn sum(block: &[u8], weigh: impl Fn(u8) -> u8) -> usize {
    let mut lanes = [0_u8; LANES];
    let (rows, rest) = block.as_chunks::<LANES>();
    for row in rows {
        for (lane, byte) in lanes.iter_mut().zip(row) {
            *lane = lane.wrapping_add(weigh(*byte));
        }
    }
    let rest = rest.iter().map(|byte| usize::from(weigh(*byte)));
    lanes.iter().map(|lane| usize::from(*lane)).chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts with the larger of their counts under the vocabularies `cl100k_base` and `o200k_base`.
    const COUNTED: &[(&str, usize)] = &[
        ("8273640192837465501928374655647382910", 13),
        ("Zm9vYmFyIEx0aG9sb3JlbSBpcHN1bSB4UTlrMnZQNzh0QmdLcE13RHNVcQ==", 44),
        ("xqzkvjwpbtnhgfdqlrmcskzjvxwq", 17),
        ("QXZKPWVJHGTBNMLKSRDFQWZX", 17),
        ("7f3a9c0e5b1d4826f0c9e7a35d1b8642", 27),
        ("{\"a\":[1,2,3],\"b\":{\"c\":-4.5e10}};;!!??==>>", 25),
        ("x1y2z3 a=b+c*d/(e-f)%g", 15),
        ("a\nb\nc\nd\ne\n", 10),
        ("f47ac10b-58cc-4372-a567-0e02b2c3d479", 23),
        ("ሰላም ለዓለም ሁሉ", 27),
        ("ⵣⴰⵡⴳⵍ", 15),
        ("𒀀𒀱𒁹𒂣", 16),
        ("😀🧑\u{200d}🚀🏳\u{fe0f}\u{200d}🌈", 19),
        ("܀ܫܠܡܐ", 10),
        ("⠓⠑⠇⠇⠕", 15),
        ("Съешь же ещё этих мягких булок", 21),
        ("人人生而自由，在尊严和权利上一律平等。", 21),
        ("सभी मन\u{941}ष\u{94d}यो\u{902} को गौरव और अधिकार", 33),
    ];

    #[test]
    fn dense_text_is_not_counted_short() {
        for (text, tokens) in COUNTED {
            let estimate = text_tokens_upper(text);
            assert!(estimate * 5 / 4 >= *tokens, "{estimate} of {tokens}: {text}");
            assert!(estimate <= *tokens * 4 + 4, "{estimate} of {tokens}: {text}");
        }
    }

    #[test]
    fn prose_is_counted_about_twice() {
        let prose = "The quick brown fox jumps over the lazy dog. ".repeat(200);
        assert!((2_001..=5_000).contains(&text_tokens_upper(&prose)));
        assert_eq!(text_tokens_upper(""), 0);
    }

    #[test]
    fn a_block_is_summed_without_overflow() {
        for text in ["7".repeat(100_000), "\u{12000}".repeat(30_000), "Z9".repeat(LANES * ROWS)] {
            let bytes: usize = text.bytes().map(|byte| usize::from(every(byte))).sum();
            assert_eq!(text_tokens_upper(&text), bytes.div_ceil(QUARTERS));
        }
    }

    #[test]
    fn no_class_overlaps_another() {
        // Debug builds panic if a weight falls below zero.
        for byte in 0..=u8::MAX {
            assert!(every(byte) <= WHOLE);
            if byte.is_ascii() {
                assert_eq!(every(byte), ascii(byte));
            }
        }
    }

    proptest! {
        #[test]
        fn a_longer_text_never_has_fewer_tokens(text in any::<String>(), more in any::<String>()) {
            let both = text_tokens_upper(&format!("{text}{more}"));
            prop_assert!(both >= text_tokens_upper(&text));
            prop_assert!(both >= text_tokens_upper(&more));
            // Cut into parts it may only be rounded up more often.
            prop_assert!(text_tokens_upper(&text) + text_tokens_upper(&more) >= both);
        }
    }
}
