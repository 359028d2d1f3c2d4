//! Splits text into atoms: runs of the ASCII characters of which addresses, numbers and keys are
//! made. Every verdict is about whole atoms, which is what makes it independent of how a stream
//! is cut: an atom at the end of a window is held back until it is whole.

use std::ops::Range;

/// Longer runs are split every so many bytes, counted from their start, so that a run without
/// end never has to be held back whole: two of these and a gap stay under the host's 4 KiB only
/// because a keyword is at most [`MAX_KEYWORD`](crate::secret::MAX_KEYWORD) long.
pub(crate) const MAX_ATOM: usize = 3072;

pub(crate) const LETTER: u8 = 1;
pub(crate) const DIGIT: u8 = 2;
pub(crate) const AT: u8 = 4;
/// `-` and `_`.
pub(crate) const DASH: u8 = 8;
/// `. + / ~ %`
pub(crate) const OTHER: u8 = 16;
/// All of them end an atom when absent.
const BREAK: u8 = 0;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [BREAK; 256];
    let mut byte = 0_usize;
    while byte < 128 {
        // In a const context there is no try_from; 0..128 fits.
        let class = class_of(byte as u8);
        #[allow(clippy::indexing_slicing, reason = "const evaluation checks the bounds")]
        {
            table[byte] = class;
        }
        byte += 1;
    }
    table
}

const fn class_of(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => LETTER,
        b'0'..=b'9' => DIGIT,
        b'@' => AT,
        b'-' | b'_' => DASH,
        b'.' | b'+' | b'/' | b'~' | b'%' => OTHER,
        _ => BREAK,
    }
}

/// The class of a byte, 0 for one that ends an atom.
pub(crate) fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(BREAK)
}

/// A run of atom characters and the classes that occur in it.
#[derive(Debug, Clone)]
pub(crate) struct Atom {
    pub(crate) range: Range<usize>,
    pub(crate) classes: u8,
}

impl Atom {
    pub(crate) fn has(&self, class: u8) -> bool {
        self.classes & class != 0
    }

    pub(crate) fn text<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.range.clone()).unwrap_or_default()
    }
}

/// The first atom at or after `from`.
pub(crate) fn next(bytes: &[u8], from: usize) -> Option<Atom> {
    let rest = bytes.get(from..)?;
    let skipped = rest.iter().position(|byte| class(*byte) != BREAK)?;
    let start = from + skipped;
    let mut classes = 0;
    let mut end = start;
    for byte in bytes.get(start..)?.iter().take(MAX_ATOM) {
        let class = class(*byte);
        if class == BREAK {
            break;
        }
        classes |= class;
        end += 1;
    }
    Some(Atom { range: start..end, classes })
}

/// Whether more text could still change the atom.
pub(crate) fn is_open(bytes: &[u8], atom: &Atom, last: bool) -> bool {
    !last && atom.range.end == bytes.len() && atom.range.len() < MAX_ATOM
}
