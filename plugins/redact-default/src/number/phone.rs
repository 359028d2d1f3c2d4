//! Phone numbers in the forms that can be told from other numbers: international with `+`, North
//! American 3-3-4, and national with a leading zero in at least two groups.

use super::Group;

const INTERNATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
const NATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 9..=12;
const NORTH_AMERICAN: [usize; 3] = [3, 3, 4];

/// Where the number that begins at the first group ends; `opened` when `(` stands before it.
pub(super) fn end(groups: &[Group<'_>], opened: bool) -> Option<usize> {
    let first = groups.first()?.text;
    if first.starts_with(b"+") {
        return international(groups);
    }
    north_american(groups)
        .or_else(|| if opened || first.starts_with(b"0") { national(groups) } else { None })
}

/// The runs of digits of one atom.
fn parts<'a>(group: &Group<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    group.text.split(|byte| !byte.is_ascii_digit()).filter(|part| !part.is_empty())
}

fn digits(group: &Group<'_>) -> usize {
    parts(group).map(<[u8]>::len).sum()
}

/// `+` and up to fifteen digits; with a country code of 1 exactly eleven.
fn international(groups: &[Group<'_>]) -> Option<usize> {
    let first = groups.first()?;
    let north_american = parts(first).next()?.starts_with(b"1");
    let most = if north_american { 11 } else { *INTERNATIONAL_DIGITS.end() };
    let mut count = 0;
    let mut found = None;
    for (index, group) in groups.iter().enumerate() {
        let more = digits(group);
        if count + more > most
            || (index > 1 && more < 2)
            || (index > 0 && group.text.starts_with(b"+"))
        {
            break;
        }
        count += more;
        if INTERNATIONAL_DIGITS.contains(&count) {
            found = Some(group.end);
        }
    }
    let zero = parts(first).next()?.starts_with(b"0");
    found.filter(|_| !zero)
}

/// `415-555-0100`, `(415) 555-0100`, `1 415 555 0100`.
fn north_american(groups: &[Group<'_>]) -> Option<usize> {
    let mut shape = NORTH_AMERICAN.iter().peekable();
    for (index, group) in groups.iter().enumerate() {
        for (place, part) in parts(group).enumerate() {
            if index == 0 && place == 0 && part == b"1" {
                continue;
            }
            let wanted = *shape.next()?;
            let plausible = part.len() == wanted && (wanted == 4 || part.first()? >= &b'2');
            if !plausible {
                return None;
            }
        }
        if shape.peek().is_none() {
            return Some(group.end);
        }
    }
    None
}

/// `030/1234567`, `06 12 34 56 78`, `07911 123456`; a date or a time is none.
fn national(groups: &[Group<'_>]) -> Option<usize> {
    // Fours are how account and card numbers are written, and no country's phone numbers.
    let fours = groups.len() > 1 && groups.iter().all(|group| group.text.len() == 4);
    if fours || groups.first().is_some_and(is_date) {
        return None;
    }
    let (mut count, mut pieces, mut found) = (0, 0, None);
    for group in groups {
        let short = parts(group).any(|part| part.len() < 2);
        if short || is_date(group) || count + digits(group) > *NATIONAL_DIGITS.end() {
            break;
        }
        count += digits(group);
        pieces += parts(group).count();
        if NATIONAL_DIGITS.contains(&count) && pieces > 1 {
            found = Some(group.end);
        }
    }
    found
}

/// Two or three numbers of which one has four digits and the others two at most, as `05/12/2024`.
fn is_date(group: &Group<'_>) -> bool {
    let lengths: Vec<usize> = parts(group).map(<[u8]>::len).collect();
    lengths.len() == 3
        && lengths.iter().all(|length| matches!(length, 1 | 2 | 4))
        && lengths.iter().filter(|length| **length == 4).count() <= 1
        && lengths.iter().sum::<usize>() <= 8
}
