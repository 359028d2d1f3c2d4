//! The inside of JSON strings: finding the end, checking escapes, decoding. Never sees the quotes
//! of other values.

use super::{Fault, LoneSurrogate};

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Finds the quote that closes the string whose first byte is at `at`.
/// Returns its position and whether there were escapes.
#[inline]
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

/// Like `close`, and decodes on the way: the closing position and, if there were escapes, the text.
/// Half a surrogate pair, where accepted, reads as U+FFFD.
pub(super) fn read(
    bytes: &[u8],
    start: usize,
    lone: LoneSurrogate,
) -> Result<(usize, Option<String>), Fault> {
    let mut at = next_special(bytes, start);
    if bytes.get(at) == Some(&b'"') {
        return Ok((at, None));
    }
    let plain = bytes.get(start..at).unwrap_or_default();
    let mut out = Vec::with_capacity(plain.len() * 2 + 64);
    out.extend_from_slice(plain);
    while bytes.get(at) == Some(&b'\\') {
        let simple = simple_escape(bytes, at);
        if simple != 0 {
            out.push(simple);
            at += 2;
        } else {
            let next = after_escape(bytes, at, lone)?;
            let letter = unicode_escape(bytes, at);
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            at = next;
        }
        at = copy_plain(bytes, at, &mut out);
    }
    let (end, _) = close(bytes, at, lone)?;
    // Whole characters were copied and encoded, so this cannot fail.
    Ok((end, Some(String::from_utf8(out).unwrap_or_default())))
}

/// Copies up to the next special byte; returns where that is. A word is copied whole and cut off
/// after, because runs between escapes are short and a copy of odd length costs more.
#[inline]
fn copy_plain(bytes: &[u8], mut at: usize, out: &mut Vec<u8>) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let hits = specials(u64::from_le_bytes(*word));
        let plain = out.len();
        out.extend_from_slice(word);
        if hits != 0 {
            let kept = usize::try_from(hits.trailing_zeros() / 8).unwrap_or_default();
            out.truncate(plain + kept);
            return at + kept;
        }
        at += 8;
    }
    let end = next_special(bytes, at);
    out.extend_from_slice(bytes.get(at..end).unwrap_or_default());
    end
}

/// The first quote, backslash or control character from `at` on, or the end.
#[inline]
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

/// What the one-letter escapes stand for, by letter; 0 for everything else.
const SIMPLE: [u8; 128] = {
    let mut table = [0; 128];
    let pairs = *b"\"\"\\\\//b\x08f\x0cn\nr\rt\t";
    let mut at = 0;
    while at < pairs.len() {
        #[allow(clippy::indexing_slicing, reason = "a constant: out of range fails to compile")]
        {
            table[pairs[at] as usize] = pairs[at + 1];
        }
        at += 2;
    }
    table
};

/// The byte that a one-letter escape at `at` stands for; 0 if it is no such escape.
#[inline]
fn simple_escape(bytes: &[u8], at: usize) -> u8 {
    let letter = bytes.get(at + 1).copied().unwrap_or_default();
    SIMPLE.get(usize::from(letter)).copied().unwrap_or_default()
}

/// Checks the escape whose backslash is at `at`; returns the position after it.
#[inline]
fn after_escape(bytes: &[u8], at: usize, lone: LoneSurrogate) -> Result<usize, Fault> {
    if simple_escape(bytes, at) != 0 {
        return Ok(at + 2);
    }
    match bytes.get(at + 1) {
        Some(b'u') => {}
        Some(_) => return Err(Fault { at, what: "unknown escape, write a backslash as \\\\" }),
        None => return Err(Fault { at, what: "the text ends inside an escape" }),
    }
    let what = "expected four hexadecimal digits after \\u";
    let unit = hex4(bytes, at + 2).ok_or(Fault { at, what })?;
    if is_high(unit) && low_after(bytes, at + 6).is_some() {
        return Ok(at + 12);
    }
    if (is_high(unit) || is_low(unit)) && lone == LoneSurrogate::Refuse {
        let what = "half of a \\u surrogate pair stands alone, write both halves or \\ufffd";
        return Err(Fault { at, what });
    }
    Ok(at + 6)
}

/// The character of a `\u` escape, or pair of them, that has been checked.
fn unicode_escape(bytes: &[u8], at: usize) -> char {
    let unit = hex4(bytes, at + 2).unwrap_or(0xfffd);
    match low_after(bytes, at + 6).filter(|_| is_high(unit)) {
        Some(low) => joined(unit, low),
        None => char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
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
