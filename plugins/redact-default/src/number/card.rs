//! Payment cards: brand, length and check digit.

use super::Group;

const MAX_DIGITS: usize = 19;
/// Cards are written in groups of four, or 4-6-5, or in one.
const MIN_GROUP: usize = 3;

/// Where the card that begins at the first group ends; the longest that holds wins.
pub(super) fn end(groups: &[Group<'_>]) -> Option<usize> {
    let mut digits = Vec::with_capacity(MAX_DIGITS);
    let mut found = None;
    for (index, group) in groups.iter().enumerate() {
        if index > 0 && !group.plain_gap {
            break;
        }
        for part in group.text.split(|byte| *byte == b'-') {
            if part.len() < MIN_GROUP || !part.iter().all(u8::is_ascii_digit) {
                return found;
            }
            digits.extend(part.iter().map(|byte| byte - b'0'));
        }
        if digits.len() > MAX_DIGITS {
            break;
        }
        if is_brand(&digits) && luhn(&digits) {
            found = Some(group.end);
        }
    }
    found
}

/// The value of the first `count` digits.
fn leading(digits: &[u8], count: usize) -> u32 {
    digits.iter().take(count).fold(0, |number, digit| number * 10 + u32::from(*digit))
}

/// Whether a brand issues numbers of this beginning and length.
fn is_brand(digits: &[u8]) -> bool {
    let length = digits.len();
    match leading(digits, 4) {
        4000..=4999 => matches!(length, 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => length == 16,
        3400..=3499 | 3700..=3799 => length == 15,
        3000..=3059 | 3600..=3699 | 3800..=3999 => (14..=19).contains(&length),
        3528..=3589 | 6011 | 6200..=6299 | 6440..=6599 | 2200..=2204 => (16..=19).contains(&length),
        5000..=5099 | 5600..=5999 | 6300..=6399 | 6700..=6799 => (16..=19).contains(&length),
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let doubled = u32::from(*digit) << (index % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum % 10 == 0 && digits.iter().any(|digit| *digit != 0)
}
