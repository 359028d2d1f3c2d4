//! Payment cards, phone numbers and IBANs: runs of atoms that are digits (or, for an IBAN,
//! capitals and digits) with the gaps that people write between them.

mod card;
mod iban;
mod phone;

use crate::atom::{self, Atom, DIGIT};
use crate::config::Kind;

/// Longer atoms are no part of a number that people write.
const MAX_GROUP: usize = 40;
/// Characters of an IBAN, and more than the digits of anything else here.
const MAX_CHARS: usize = 34;
/// A shorter atom is no number by itself.
const MIN_ALONE: usize = 8;
/// Atoms looked at for one number: an IBAN in fours has nine, a phone number in pairs seven.
const MAX_GROUPS: usize = 10;

/// What begins at an atom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Number {
    No,
    /// More text may make it a number, or a longer one.
    Open,
    /// Of this kind, up to this offset.
    Is(Kind, usize),
}

/// One atom of a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    /// Without a full stop at its end.
    pub(crate) text: &'a [u8],
    /// Offset of the end of `text` in the scanned text.
    pub(crate) end: usize,
    /// The gap before it was one space, and nothing like `) `.
    pub(crate) plain_gap: bool,
}

/// Looks for a number that begins at `first`; `opened` when a parenthesis stands before it.
pub(crate) fn find(bytes: &[u8], first: &Atom, opened: bool, last: bool) -> Number {
    let head = first.text(bytes);
    let numeric = is_numeric(head);
    if first.range.len() > MAX_GROUP || !(numeric || iban::may_begin(head)) {
        return Number::No;
    }
    if numeric && head.len() < MIN_ALONE && stands_alone(bytes, first.range.end) {
        return Number::No;
    }
    let belongs: fn(&[u8]) -> bool = if numeric { is_numeric } else { iban::may_continue };
    let (groups, open) = collect(bytes, first, belongs, last);
    if open {
        return Number::Open;
    }
    if !numeric {
        return iban::end(&groups).map_or(Number::No, |end| Number::Is(Kind::Iban, end));
    }
    if let Some(end) = card::end(&groups) {
        return Number::Is(Kind::Card, end);
    }
    phone::end(&groups, opened).map_or(Number::No, |end| Number::Is(Kind::Phone, end))
}

/// Whether it is plain that no further group follows: years, counts and prices in prose.
fn stands_alone(bytes: &[u8], end: usize) -> bool {
    match (bytes.get(end), bytes.get(end + 1)) {
        (None, _) | (Some(b')'), _) | (Some(b' '), None) => false,
        (Some(b' '), Some(next)) => !(next.is_ascii_digit() || b"+(".contains(next)),
        (Some(_), _) => true,
    }
}

/// The groups from `first` on, and whether what follows is still to come.
fn collect<'a>(
    bytes: &'a [u8],
    first: &Atom,
    belongs: fn(&[u8]) -> bool,
    last: bool,
) -> (Vec<Group<'a>>, bool) {
    let mut groups = Vec::new();
    let mut chars = 0;
    let mut atom = first.clone();
    let mut plain_gap = true;
    loop {
        let text = atom.text(bytes);
        if atom.range.len() > MAX_GROUP || !belongs(text) {
            return (groups, false);
        }
        if atom::is_open(bytes, &atom, last) {
            return (groups, true);
        }
        let stop = usize::from(text.ends_with(b"."));
        let end = atom.range.end - stop;
        groups.push(Group {
            text: text.get(..text.len() - stop).unwrap_or_default(),
            end,
            plain_gap,
        });
        chars += text.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        if stop == 1 || chars > MAX_CHARS || groups.len() == MAX_GROUPS {
            return (groups, false);
        }
        match gap(bytes, atom.range.end) {
            Gap::Ends if !last => return (groups, true),
            Gap::Ends | Gap::None => return (groups, false),
            Gap::Until { next, plain } => {
                plain_gap = plain;
                let Some(following) = atom::next(bytes, next) else { return (groups, false) };
                atom = following;
            }
        }
    }
}

enum Gap {
    /// The text ends within what may be a gap.
    Ends,
    None,
    Until {
        next: usize,
        plain: bool,
    },
}

/// What people write between the groups of a number: a space, or a closing or opening parenthesis
/// with or without one.
fn gap(bytes: &[u8], from: usize) -> Gap {
    for (form, plain) in [(&b" "[..], true), (b") ", false), (b")", false), (b" (", false)] {
        let rest = bytes.get(from..).unwrap_or_default();
        if rest.len() <= form.len() && form.starts_with(rest) {
            return Gap::Ends;
        }
        let next = from + form.len();
        let follows = bytes.get(next).copied().map_or(0, atom::class);
        if rest.starts_with(form) && follows != 0 {
            return Gap::Until { next, plain };
        }
    }
    Gap::None
}

/// Digits with single separators within: `+49`, `4111-1111`, `555.0100`, `030/12345`, `0100.`
fn is_numeric(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let mut previous_is_digit = false;
    for (index, byte) in digits.iter().enumerate() {
        let is_digit = atom::class(*byte) == DIGIT;
        let is_stop = *byte == b'.' && index + 1 == digits.len();
        if !is_digit && !(previous_is_digit && (b"-./".contains(byte) || is_stop)) {
            return false;
        }
        previous_is_digit = is_digit;
    }
    previous_is_digit || (digits.len() > 1 && digits.ends_with(b"."))
        // A window may end after the sign or a separator: not a number yet, but it may become one.
        || digits.is_empty()
        || digits.ends_with(b"-")
        || digits.ends_with(b"/")
}
