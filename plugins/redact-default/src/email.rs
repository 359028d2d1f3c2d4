//! E-mail addresses within an atom.

use std::ops::Range;

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte)
}

/// The first address at or after `from`, as a range within `atom`.
pub(crate) fn find(atom: &[u8], mut from: usize) -> Option<Range<usize>> {
    loop {
        let at = from + atom.get(from..)?.iter().position(|byte| *byte == b'@')?;
        let before = atom.get(from..at)?;
        let after = atom.get(at + 1..)?;
        let local = before.iter().rev().take_while(|byte| is_local(**byte)).count();
        let leading_dots =
            before.get(before.len() - local..)?.iter().take_while(|byte| **byte == b'.').count();
        let domain = after.iter().take_while(|byte| is_domain(**byte)).count();
        let domain = trimmed(after.get(..domain)?);
        if local > leading_dots && is_host(domain) {
            return Some(at - local + leading_dots..at + 1 + domain.len());
        }
        from = at + 1;
    }
}

/// Without the punctuation of the sentence around it.
fn trimmed(domain: &[u8]) -> &[u8] {
    let tail = domain.iter().rev().take_while(|byte| b".-".contains(byte)).count();
    domain.get(..domain.len() - tail).unwrap_or_default()
}

fn is_host(domain: &[u8]) -> bool {
    let mut labels = domain.split(|byte| *byte == b'.');
    let top = labels.next_back().unwrap_or_default();
    let mut names = labels.peekable();
    names.peek().is_some()
        && names.all(|label| !label.is_empty())
        && top.len() >= 2
        && top.iter().all(u8::is_ascii_alphabetic)
}
