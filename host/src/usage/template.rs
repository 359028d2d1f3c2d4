//! Sentences that differ in their numbers only, such as `needs 9312 tokens, the limit is 8192`: the
//! sentence with holes goes into the dictionary, the numbers into the record.

/// What stands for a number. A text that has it in itself can't be taken apart.
const HOLE: char = '\u{1}';

/// Numbers taken out of one text; further ones stay in it.
const NUMBERS_MAX: usize = 8;

/// Digits of a number that surely fits into 64 bits.
const DIGITS_MAX: usize = 18;

/// Takes the numbers out of a text. `None` if the text can't be taken apart.
pub(super) fn split(text: &str, template: &mut String, numbers: &mut Vec<u64>) -> Option<()> {
    template.clear();
    numbers.clear();
    if text.contains(HOLE) {
        return None;
    }
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at_checked(start)?;
        let len = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (digits, after) = from.split_at_checked(len)?;
        template.push_str(before);
        // 007 would come back as 7.
        let plain = digits.len() == 1 || !digits.starts_with('0');
        if plain && digits.len() <= DIGITS_MAX && numbers.len() < NUMBERS_MAX {
            numbers.push(digits.parse().ok()?);
            template.push(HOLE);
        } else {
            template.push_str(digits);
        }
        rest = after;
    }
    template.push_str(rest);
    Some(())
}

/// Puts the numbers back.
pub(super) fn join<E>(
    template: &str,
    mut next: impl FnMut() -> Result<u64, E>,
) -> Result<String, E> {
    let mut text = String::with_capacity(template.len().saturating_add(DIGITS_MAX));
    for c in template.chars() {
        if c == HOLE {
            text.push_str(&next()?.to_string());
        } else {
            text.push(c);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{join, split};

    fn back(text: &str) -> Option<(String, String)> {
        let (mut template, mut numbers) = (String::new(), Vec::new());
        split(text, &mut template, &mut numbers)?;
        let mut numbers = numbers.into_iter();
        let joined = join(&template, || numbers.next().ok_or(())).unwrap();
        assert_eq!(numbers.next(), None);
        Some((joined, template))
    }

    proptest! {
        #[test]
        fn a_text_comes_back(text in "[0-9a-c. ü]{0,60}") {
            prop_assert_eq!(back(&text).unwrap().0, text);
        }
    }

    #[test]
    fn texts_that_differ_in_numbers_have_one_template() {
        let one = back("needs 9312 tokens, the limit is 8192").unwrap();
        let other = back("needs 12 tokens, the limit is 0").unwrap();
        assert_eq!(one.1, other.1);
        assert_eq!(back("007").unwrap().0, "007");
        assert_eq!(back("a\u{1}b"), None);
        let long = "123456789012345678901234567890 1 2 3 4 5 6 7 8 9";
        assert_eq!(back(long).unwrap().0, long);
    }
}
