//! Credentials: tokens that their issuers mark with a prefix, JSON web tokens, and values that
//! stand behind a telling name (`api_key = …`, `Bearer …`).

use std::ops::Range;

use crate::atom::{self, Atom, DIGIT};
use crate::config::Kind;

/// Longer atoms are no name of a setting.
pub(crate) const MAX_KEYWORD: usize = 64;
/// Between a name and its value, quotes, spaces and the sign, there are fewer bytes than this.
pub(crate) const MAX_GAP: usize = 8;
/// Shorter values are words, counts or examples.
const MIN_VALUE: usize = 12;
const MIN_PASSWORD: usize = 8;

/// The one name behind which a value stands without a sign.
const BEARER: &[u8] = b"bearer";

/// Prefix, and how many characters must follow it.
const PREFIXES: [(&str, usize); 30] = [
    ("sk-ant-", 20),
    ("sk-", 20),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("rk_test_", 16),
    ("whsec_", 24),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 22),
    ("glpat-", 20),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("AIza", 35),
    ("AKIA", 16),
    ("ASIA", 16),
    ("hf_", 30),
    ("gsk_", 40),
    ("xai-", 40),
    ("r8_", 37),
    ("npm_", 36),
    ("pypi-", 40),
    ("dop_v1_", 40),
];

/// Names behind which a secret stands, in lower case and without `-` and `_`.
const NAMES: [&str; 11] = [
    "apikey",
    "secretkey",
    "accesskey",
    "secretaccesskey",
    "clientsecret",
    "secret",
    "accesstoken",
    "refreshtoken",
    "authtoken",
    "token",
    "privatekey",
];
const PASSWORD_NAMES: [&str; 2] = ["password", "passwd"];

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The first marked credential at or after `from`, as a range within `atom`.
pub(crate) fn marked(atom: &[u8], from: usize) -> Option<(Range<usize>, Kind)> {
    let mut at = from;
    let mut previous = 0_u8;
    while let Some(rest) = atom.get(at..) {
        let first = *rest.first()?;
        if !previous.is_ascii_alphanumeric() && b"sgrwxAhndpe".contains(&first) {
            if let Some(length) = json_web_token(rest) {
                return Some((at..at + length, Kind::Token));
            }
            if let Some(length) = prefixed(rest) {
                return Some((at..at + length, Kind::ApiKey));
            }
        }
        previous = first;
        at += 1;
    }
    None
}

fn prefixed(rest: &[u8]) -> Option<usize> {
    let first = rest.first();
    let begins =
        |prefix: &str| prefix.as_bytes().first() == first && rest.starts_with(prefix.as_bytes());
    let (prefix, least) = PREFIXES.iter().find(|(prefix, _)| begins(prefix))?;
    let length = rest.iter().take_while(|byte| is_token_byte(**byte)).count();
    let body = rest.get(prefix.len()..length)?;
    // A word with dashes (`sk-learn-compatible-estimators`) is no key.
    (body.len() >= *least && body.iter().any(u8::is_ascii_digit)).then_some(length)
}

/// `eyJ….….…`; the signature may be empty.
fn json_web_token(rest: &[u8]) -> Option<usize> {
    if !rest.starts_with(b"eyJ") {
        return None;
    }
    let run = |from: usize| {
        rest.get(from..).map_or(0, |it| it.iter().take_while(|byte| is_token_byte(**byte)).count())
    };
    let head = run(0);
    let dot = |at: usize| rest.get(at) == Some(&b'.');
    if head < 10 || !dot(head) {
        return None;
    }
    let payload = run(head + 1);
    let signed = head + 1 + payload;
    if payload < 10 || !dot(signed) {
        return None;
    }
    Some(signed + 1 + run(signed + 1))
}

/// What stands behind a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    No,
    /// The value, or the sign before it, is still to come.
    Open,
    Value(Range<usize>, Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Secret,
    Password,
    Bearer,
}

/// Looks at the atom `name` and at what follows it.
pub(crate) fn named(bytes: &[u8], name: &Atom, last: bool) -> Named {
    let Some(what) = name_of(name.text(bytes)) else { return Named::No };
    let rest = bytes.get(name.range.end..).unwrap_or_default();
    let gap = rest.iter().take(MAX_GAP).take_while(|byte| is_gap(**byte)).count();
    let next = name.range.end + gap;
    if gap == 0 || gap == MAX_GAP {
        return Named::No;
    }
    if next == bytes.len() {
        return if last { Named::No } else { Named::Open };
    }
    let signed = rest.iter().take(gap).any(|byte| matches!(byte, b':' | b'='));
    if bytes.get(next).copied().map_or(0, atom::class) == 0 {
        return Named::No;
    }
    if (what == Name::Bearer) == signed {
        return Named::No;
    }
    let Some(value) = atom::next(bytes, next) else { return Named::No };
    if atom::is_open(bytes, &value, last) {
        return Named::Open;
    }
    let text = value.text(bytes);
    let stops = text.iter().rev().take_while(|byte| **byte == b'.').count();
    let length = text.len() - stops;
    let least = if what == Name::Password { MIN_PASSWORD } else { MIN_VALUE };
    if length < least || !value.has(DIGIT) || marked(text, 0).is_some() {
        return Named::No;
    }
    let kind = if what == Name::Bearer { Kind::Token } else { Kind::ApiKey };
    Named::Value(value.range.start..value.range.start + length, kind)
}

/// Between a name and its value.
pub(crate) fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\' | b':' | b'=' | b'>')
}

/// Whether what begins here may be a value that has a name. Only a cheap look: [`named`] decides.
pub(crate) fn may_be_value(rest: &[u8]) -> bool {
    rest.iter().take(MIN_PASSWORD).all(|byte| atom::class(*byte) != 0)
}

/// Whether a run that ends in `words` may be the name of the value behind `gap`. Only a cheap look.
pub(crate) fn may_be_name(words: &[u8], gap: &[u8]) -> bool {
    let signed = gap.iter().any(|byte| matches!(byte, b':' | b'='));
    match words.last().map(u8::to_ascii_lowercase) {
        Some(b'y' | b't' | b'n' | b'd') => signed,
        Some(b'r') => !signed,
        _ => false,
    }
}

/// Compares the end of the atom with the names, case and dashes aside.
fn name_of(text: &[u8]) -> Option<Name> {
    if text.len() > MAX_KEYWORD {
        return None;
    }
    if text.eq_ignore_ascii_case(BEARER) {
        return Some(Name::Bearer);
    }
    // Every name below ends in one of these, and hardly any other word of a text does.
    if !matches!(text.last().map(u8::to_ascii_lowercase), Some(b'y' | b't' | b'n' | b'd')) {
        return None;
    }
    let ends_with = |name: &str| {
        let mut letters = text.iter().rev().filter(|byte| !b"-_".contains(byte));
        name.bytes()
            .rev()
            .all(|byte| letters.next().is_some_and(|it| it.eq_ignore_ascii_case(&byte)))
    };
    if NAMES.into_iter().any(ends_with) {
        return Some(Name::Secret);
    }
    PASSWORD_NAMES.into_iter().any(ends_with).then_some(Name::Password)
}
