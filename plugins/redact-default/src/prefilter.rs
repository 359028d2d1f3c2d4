//! Finds the few bytes of a text without which nothing is found: a digit (numbers, and every key,
//! token and value that counts as one), an `@`, or the `B` of `-----BEGIN`. Most of a text has
//! none, and goes by a block at a time: the loop over a block has no branch, so that the compiler
//! makes vector instructions of it. Decides nothing.

/// Bytes that are looked at together: two vectors.
const BLOCK: usize = 32;

/// Of the byte and the one before it.
#[inline]
fn is_trigger(before: u8, byte: u8) -> bool {
    byte.is_ascii_digit() | (byte == b'@') | ((before == b'-') & (byte == b'B'))
}

/// Where in the block the first trigger is, counted from its second byte; the first only stands
/// before it.
#[inline]
fn in_block(block: &[u8; BLOCK + 1]) -> Option<usize> {
    let mut marks = [0_u8; BLOCK];
    for ((mark, before), byte) in marks.iter_mut().zip(block).zip(block.iter().skip(1)) {
        *mark = u8::from(is_trigger(*before, *byte));
    }
    let words = marks.chunks_exact(8);
    let words = words.map(|word| word.first_chunk().copied().map_or(0, u64::from_le_bytes));
    if words.clone().fold(0, |all, word| all | word) == 0 {
        return None;
    }
    let (index, word) = words.enumerate().find(|(_, word)| *word != 0)?;
    Some(index * 8 + word.trailing_zeros() as usize / 8)
}

/// The first trigger at or after `from`.
pub(crate) fn next(bytes: &[u8], from: usize) -> Option<usize> {
    let first = *bytes.get(from)?;
    let before = from.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or_default();
    if is_trigger(before, first) {
        return Some(from);
    }
    // Each block begins with the byte before those that are looked at.
    let mut at = from;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        if let Some(found) = in_block(block) {
            return Some(at + 1 + found);
        }
        at += BLOCK;
    }
    let rest = bytes.get(at..)?;
    let found = rest.windows(2).position(|pair| match pair {
        [before, byte] => is_trigger(*before, *byte),
        _ => false,
    })?;
    Some(at + 1 + found)
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn the_first_is_found_wherever_it_stands() {
        for length in [1, 2, 31, 32, 33, 34, 64, 65, 100] {
            let plain = vec![b'x'; length];
            assert_eq!(next(&plain, 0), None);
            for at in 0..length {
                for trigger in *b"0579@" {
                    let mut text = plain.clone();
                    text[at] = trigger;
                    for from in 0..=length {
                        let wanted = (from <= at).then_some(at);
                        assert_eq!(next(&text, from), wanted, "{at} of {length} from {from}");
                    }
                }
            }
        }
    }

    #[test]
    fn of_a_private_key_it_is_the_b_behind_a_dash() {
        for lead in 0..70 {
            let text = format!("{}-----BEGIN Bob", "é".repeat(lead));
            assert_eq!(next(text.as_bytes(), 0), Some(2 * lead + 5));
            assert_eq!(next(text.as_bytes(), 2 * lead + 6), None);
        }
        assert_eq!(next(b"- B b- /:A`", 0), None);
    }
}
