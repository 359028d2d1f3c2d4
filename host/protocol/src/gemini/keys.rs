//! Keys that are acted on, in either spelling: camel case or snake case. A request may hold each
//! only once and in no third spelling, because what is redacted and billed must be what the
//! provider reads. Never applied to provider answers.

use crate::draft::{Draft, Mark};
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};

use super::tree::camel;

/// The keys of one open object that are acted on, and which of them have been seen.
#[derive(Debug)]
pub(super) struct Keys {
    known: &'static [&'static str],
    seen: u64,
}

// === impl Keys ===

impl Keys {
    /// At most 64 names, in camel case.
    pub(super) fn new(known: &'static [&'static str]) -> Self {
        Self { known, seen: 0 }
    }

    /// The next key of the open object: a known name, `""` for any other key, or `None` at the end.
    /// A key that is not known is filed in `draft` if it is more than a name.
    pub(super) fn next_in(
        &mut self,
        scanner: &mut Scanner<'_>,
        draft: &mut Draft,
        mark: Mark,
    ) -> Result<Option<&'static str>, RequestError> {
        let Some(literal) = scanner.next_literal_key()? else { return Ok(None) };
        let key = scanner.decode(&literal);
        let at = scanner.position();
        let spelt = camel(&key);
        for (index, name) in self.known.iter().enumerate() {
            if spelt != *name {
                continue;
            }
            let bit = 1_u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
            if self.seen & bit != 0 {
                return Err(RequestError::duplicate(name, at));
            }
            self.seen |= bit;
            return Ok(Some(name));
        }
        let folded = fold(&key);
        if let Some(name) = self.known.iter().find(|name| fold(name) == folded) {
            return Err(RequestError::misspelt(name, at));
        }
        draft.key(scanner, literal, mark)?;
        Ok(Some(""))
    }
}

/// What is left of a key where letter case and underscores do not count.
fn fold(key: &str) -> String {
    let letters = key.chars().filter(|letter| *letter != '_').map(|letter| match letter {
        // The two characters outside ASCII that fold to a letter in it: long s and the kelvin sign.
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    letters.collect()
}

/// Reads a list item by item; one item may stand for a list of one, and `null` for none.
pub(super) fn each(
    scanner: &mut Scanner<'_>,
    mut item: impl FnMut(&mut Scanner<'_>) -> Result<(), RequestError>,
) -> Result<(), RequestError> {
    if scanner.null()? {
        return Ok(());
    }
    if scanner.kind()? != Kind::Array {
        return item(scanner);
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        item(scanner)?;
    }
    Ok(())
}
