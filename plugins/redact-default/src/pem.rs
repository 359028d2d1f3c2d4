//! Private keys in PEM blocks, which span lines. A block without its end is taken up to a bound.

/// A 4096-bit RSA key takes 3.3 KB; the bound keeps what is held back under the host's 4 KiB.
const MAX_BLOCK: usize = 3600;
/// "-----BEGIN ENCRYPTED PRIVATE KEY-----" and its kin.
const MAX_HEADER: usize = 48;

pub(crate) const BEGIN: &[u8] = b"-----BEGIN";
const HEADER_END: &[u8] = b"PRIVATE KEY-----";
const PGP_HEADER_END: &[u8] = b"PRIVATE KEY BLOCK-----";
const END: &[u8] = b"-----END";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    No,
    /// More text may make it one, or end it.
    Open,
    /// Ends before this offset.
    Until(usize),
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Offset after the `PRIVATE KEY-----` that follows within `MAX_HEADER` bytes.
fn header(bytes: &[u8], from: usize) -> Option<usize> {
    let head = bytes.get(from..bytes.len().min(from + MAX_HEADER))?;
    [HEADER_END, PGP_HEADER_END]
        .into_iter()
        .filter_map(|end| find(head, end).map(|at| from + at + end.len()))
        .min()
}

/// Looks for a block whose first dash is at `start`.
pub(crate) fn block(text: &str, start: usize, last: bool) -> Block {
    let bytes = text.as_bytes();
    let rest = bytes.get(start..).unwrap_or_default();
    if !rest.starts_with(BEGIN) {
        return Block::No;
    }
    let Some(body) = header(bytes, start + BEGIN.len()) else {
        let undecided = !last && rest.len() < BEGIN.len() + MAX_HEADER;
        return if undecided { Block::Open } else { Block::No };
    };
    let bound = start + MAX_BLOCK;
    let visible = bytes.get(..bytes.len().min(bound)).unwrap_or_default();
    let end = visible
        .get(body..)
        .and_then(|inside| find(inside, END))
        .and_then(|at| header(visible, body + at + END.len()));
    match end {
        Some(end) => Block::Until(end),
        None if bytes.len() < bound && !last => Block::Open,
        None => {
            let mut end = visible.len();
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            Block::Until(end)
        }
    }
}
