//! The journal's frame: one record with its length, checksum, number and the hash of the frame
//! before it, so that a torn, flipped, missing or inserted record is noticed. Bytes in, bytes out;
//! never touches a file.
//!
//! Little-endian: `length u32 | crc32c u32 | kind u8 | version u8 | seq u64 | synced u64 |
//! previous [u8; 16] | payload`. The checksum covers everything but itself. `synced` is the last
//! entry that was known to be safe on disk when this frame was written: a damaged frame that is
//! followed by one with `synced` at or beyond it can't be a torn tail.

use sha2::{Digest, Sha256};

/// Length of everything before the payload.
pub(crate) const HEADER_BYTES: usize = 42;

/// Longest payload: an entry with all its names and budgets at their limits fits several times.
/// A longer length is read as damage.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// The format that this crate writes.
const VERSION: u8 = 1;

/// The first 16 bytes of the SHA-256 of a whole frame.
pub(crate) type FrameHash = [u8; 16];

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The start of a segment; its `seq` is that of the next entry.
    Segment,
    /// A journal entry.
    Entry,
}

/// A frame that is about to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) seq: u64,
    pub(crate) synced: u64,
    pub(crate) previous: FrameHash,
}

/// A frame as it was read.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
    pub(crate) hash: FrameHash,
    /// Bytes of the whole frame.
    pub(crate) len: usize,
}

/// Appends a frame to `out` and returns its hash. `payload` writes the payload.
pub(crate) fn encode<E>(
    header: &Header,
    out: &mut Vec<u8>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<FrameHash, E> {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.push(match header.kind {
        Kind::Segment => 0,
        Kind::Entry => 1,
    });
    out.push(VERSION);
    out.extend_from_slice(&header.seq.to_le_bytes());
    out.extend_from_slice(&header.synced.to_le_bytes());
    out.extend_from_slice(&header.previous);
    payload(out)?;
    let length = out.len().saturating_sub(start).saturating_sub(HEADER_BYTES);
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let frame = out.get_mut(start..).unwrap_or_default();
    let (head, body) = frame.split_at_mut_checked(8).unwrap_or_default();
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&length), body).to_le_bytes();
    for (to, from) in head.iter_mut().zip(length.into_iter().chain(checksum)) {
        *to = from;
    }
    Ok(hash(frame))
}

/// Reads the frame at the start of `bytes`.
///
/// # Errors
/// Why it is not a whole and sound frame.
pub(crate) fn decode(bytes: &[u8]) -> Result<Frame<'_>, &'static str> {
    let mut reader = Reader(bytes);
    let length = u32::from_le_bytes(reader.take().ok_or("the frame is cut short")?);
    let checksum = u32::from_le_bytes(reader.take().ok_or("the frame is cut short")?);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > PAYLOAD_BYTES_MAX {
        return Err("the frame's length is impossible");
    }
    let len = length.saturating_add(HEADER_BYTES);
    let body = bytes.get(8..len).ok_or("the frame is cut short")?;
    let length_bytes = bytes.get(..4).unwrap_or_default();
    if crc32c::crc32c_append(crc32c::crc32c(length_bytes), body) != checksum {
        return Err("the frame's checksum is wrong");
    }
    let [kind, version] = reader.take().ok_or("the frame is cut short")?;
    let kind = match kind {
        0 => Kind::Segment,
        1 => Kind::Entry,
        _ => return Err("the frame is of a kind this version does not know"),
    };
    if version != VERSION {
        return Err("the frame is of a format this version does not know");
    }
    let seq = u64::from_le_bytes(reader.take().ok_or("the frame is cut short")?);
    let synced = u64::from_le_bytes(reader.take().ok_or("the frame is cut short")?);
    let previous = reader.take().ok_or("the frame is cut short")?;
    let payload = bytes.get(HEADER_BYTES..len).ok_or("the frame is cut short")?;
    let hash = hash(bytes.get(..len).unwrap_or_default());
    let header = Header { kind, seq, synced, previous };
    Ok(Frame { header, payload, hash, len })
}

/// Whether `bytes` hold, at any place, a sound frame that was written when entry `seq` was already
/// safe on disk. Sound frames that were written before the sync which covered `seq` prove nothing:
/// of several unsynced writes a later one may outlive an earlier one.
pub(crate) fn proves_synced(bytes: &[u8], seq: u64) -> bool {
    let mut rest = bytes;
    while rest.len() >= HEADER_BYTES {
        if decode(rest).is_ok_and(|frame| frame.header.synced >= seq) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

fn hash(frame: &[u8]) -> FrameHash {
    let digest = Sha256::digest(frame);
    let mut hash = FrameHash::default();
    for (to, from) in hash.iter_mut().zip(digest) {
        *to = from;
    }
    hash
}

/// Takes fixed-size pieces off the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (piece, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(seq: u64, synced: u64, payload: &[u8]) -> Vec<u8> {
        let header = Header { kind: Kind::Entry, seq, synced, previous: [7; 16] };
        let mut bytes = Vec::new();
        encode(&header, &mut bytes, |out| {
            out.extend_from_slice(payload);
            Ok::<(), ()>(())
        })
        .unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn a_frame_survives_and_any_flipped_bit_is_noticed(
            seq: u64, synced: u64, payload: Vec<u8>, place: prop::sample::Index, bit in 0..8_u32,
        ) {
            let mut bytes = frame(seq, synced, &payload);
            {
                let read = decode(&bytes).unwrap();
                prop_assert_eq!((read.header.seq, read.header.synced), (seq, synced));
                prop_assert_eq!(read.payload, &payload[..]);
                prop_assert_eq!(read.len, bytes.len());
            }
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn a_frame_cut_anywhere_is_noticed(payload: Vec<u8>, place: prop::sample::Index) {
            let bytes = frame(1, 0, &payload);
            prop_assert!(decode(&bytes[..place.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn a_later_frame_proves_that_an_earlier_one_was_safe() {
        let mut bytes = vec![0xa5; 100];
        bytes.extend(frame(9, 6, b"x"));
        bytes.extend([1, 2, 3]);
        assert!(proves_synced(&bytes, 6));
        assert!(!proves_synced(&bytes, 7));
    }
}
