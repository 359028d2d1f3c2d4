//! Keys that are acted on. A request may hold each only once and only in its exact spelling: Go
//! servers match keys regardless of case, Python ones take the last of two, and what is redacted
//! and billed must be what the provider reads. Never applied to provider answers.

use crate::request_error::RequestError;
use crate::scan::{Literal, Scanner};

use crate::draft::{Draft, Mark};

/// The keys of one open object that are acted on, and which of them have been seen.
#[derive(Debug)]
pub(crate) struct Names {
    known: &'static [&'static str],
    seen: u64,
}

// === impl Names ===

impl Names {
    /// At most 64 names.
    pub(crate) fn new(known: &'static [&'static str]) -> Self {
        Self { known, seen: 0 }
    }

    /// The next key of the open object: a known name, `""` for any other key, or `None` at the end.
    /// A key that is not known is filed in `draft` if it is more than a name.
    pub(crate) fn next_in(
        &mut self,
        scanner: &mut Scanner<'_>,
        draft: &mut Draft,
        mark: Mark,
    ) -> Result<Option<&'static str>, RequestError> {
        let Some((name, literal)) = self.next_key(scanner)? else { return Ok(None) };
        if name.is_empty() {
            draft.key(scanner, literal, mark)?;
        }
        Ok(Some(name))
    }

    fn next_key(
        &mut self,
        scanner: &mut Scanner<'_>,
    ) -> Result<Option<(&'static str, Literal)>, RequestError> {
        let Some(literal) = scanner.next_literal_key()? else { return Ok(None) };
        let key = scanner.decode(&literal);
        let at = scanner.position();
        for (index, name) in self.known.iter().enumerate() {
            if key != *name {
                continue;
            }
            let bit = 1_u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
            if self.seen & bit != 0 {
                return Err(RequestError::duplicate(name, at));
            }
            self.seen |= bit;
            return Ok(Some((name, literal)));
        }
        if let Some(name) = self.known.iter().find(|name| differs_only_in_case(&key, name)) {
            return Err(RequestError::misspelt(name, at));
        }
        Ok(Some(("", literal)))
    }
}

/// Whether a parser that ignores letter case would take `key` for `name`, which is lower case.
fn differs_only_in_case(key: &str, name: &str) -> bool {
    if key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return false;
    }
    // The two characters outside ASCII that fold to a letter in it: long s and the kelvin sign.
    let folded = key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(name.chars())
}
