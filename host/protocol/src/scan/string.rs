//! The inside of JSON strings: finding the end, checking escapes, decoding. Never sees the quotes
//! of other values.

use memchr::memchr;

use super::{Fault, LoneSurrogate};

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Finds the quote that closes the string whose first byte is at `at`.
/// Returns its position and whether there were escapes.
pub(super) fn close(
    bytes: &[u8],
    mut at: usize,
    lone: LoneSurrogate,
) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        at = next_special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = after_escape(bytes, at, lone)?;
            }
            Some(_) => return Err(Fault { at, what: "control characters must be escaped" }),
            None => return Err(Fault { at, what: "the text ends inside a string" }),
        }
    }
}

/// Decodes the inside of a string that `close` has accepted. Half a surrogate pair, where accepted,
/// reads as U+FFFD.
pub(super) fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) =
        memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(plain);
        let (decoded, taken) = decode_escape(escape.as_bytes());
        out.push(decoded);
        rest = escape.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The first quote, backslash or control character from `at` on, or the end.
fn next_special(bytes: &[u8], mut at: usize) -> usize {
    // Eight bytes at a time: prose and code have few specials, and this is most of the work.
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let hits = specials(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + usize::try_from(hits.trailing_zeros() / 8).unwrap_or_default();
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            break;
        }
        at += 1;
    }
    at
}

/// The high bit of each byte that is special. Borrows can mark bytes above the first special one
/// wrongly, so only the lowest mark counts.
fn specials(word: u64) -> u64 {
    let zero_in = |bits: u64| bits.wrapping_sub(LOW_BITS) & !bits;
    let quote = zero_in(word ^ (LOW_BITS * b'"' as u64));
    let backslash = zero_in(word ^ (LOW_BITS * b'\\' as u64));
    let control = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    (quote | backslash | control) & HIGH_BITS
}

/// Checks the escape whose backslash is at `at`; returns the position after it.
fn after_escape(bytes: &[u8], at: usize, lone: LoneSurrogate) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let unit = hex4(bytes, at + 2)
                .ok_or(Fault { at, what: "expected four hexadecimal digits after \\u" })?;
            let paired = is_high(unit) && low_after(bytes, at + 6).is_some();
            if paired {
                return Ok(at + 12);
            }
            let half = is_high(unit) || is_low(unit);
            if half && lone == LoneSurrogate::Refuse {
                let what =
                    "half of a \\u surrogate pair stands alone, write both halves or \\ufffd";
                return Err(Fault { at, what });
            }
            Ok(at + 6)
        }
        Some(_) => Err(Fault { at, what: "unknown escape, write a backslash as \\\\" }),
        None => Err(Fault { at, what: "the text ends inside an escape" }),
    }
}

/// Decodes the escape that `escape` begins with: the character and the bytes taken.
fn decode_escape(escape: &[u8]) -> (char, usize) {
    match escape.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => {
            let unit = hex4(escape, 2).unwrap_or(0xfffd);
            match low_after(escape, 6).filter(|_| is_high(unit)) {
                Some(low) => (joined(unit, low), 12),
                None => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            }
        }
        Some(other) => (char::from(*other), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

fn is_high(unit: u32) -> bool {
    (0xd800..0xdc00).contains(&unit)
}

fn is_low(unit: u32) -> bool {
    (0xdc00..0xe000).contains(&unit)
}

fn joined(high: u32, low: u32) -> char {
    let point = 0x1_0000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
    char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The low surrogate written as an escape at `at`, if one is.
fn low_after(bytes: &[u8], at: usize) -> Option<u32> {
    let escape = bytes.get(at..at.checked_add(2)?)?;
    if escape != b"\\u" {
        return None;
    }
    hex4(bytes, at + 2).filter(|unit| is_low(*unit))
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at.checked_add(4)?)?;
    digits.iter().try_fold(0, |value: u32, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(value << 4 | digit)
    })
}
