//! One segment file: frames of length, crc32c and a payload (words or a record). Appended by one
//! thread, read by any. A torn tail ends a segment at its first bad frame. Knows nothing of other
//! segments, nor of what a payload says.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::UsageError;

/// Length and checksum in front of each record, four bytes each.
pub(super) const HEAD_BYTES: usize = 8;

/// The longest payload. An explanation with every offer of a large catalogue stays far below it.
pub(super) const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Puts a payload into a frame at the end of `out`. False if it is too long, which
/// leaves `out` as it was.
pub(super) fn push_frame(out: &mut Vec<u8>, payload: &[u8]) -> bool {
    let Ok(len) = u32::try_from(payload.len()) else { return false };
    if payload.len() > RECORD_BYTES_MAX {
        return false;
    }
    out.extend(len.to_le_bytes());
    out.extend(crc32c::crc32c(payload).to_le_bytes());
    out.extend(payload);
    true
}

/// What a head says: the payload's length and its checksum.
fn read_head(head: &[u8; HEAD_BYTES]) -> Option<(usize, u32)> {
    let (len, crc) = head.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    let crc = u32::from_le_bytes(*crc.first_chunk::<4>()?);
    (len <= RECORD_BYTES_MAX).then_some((len, crc))
}

/// Calls `each` with the payload's offset and bytes, for every whole frame from the start, until
/// `each` returns false. Returns the length of the whole frames that were read.
pub(super) fn for_each(
    path: &Path,
    mut each: impl FnMut(u64, &[u8]) -> bool,
) -> Result<u64, UsageError> {
    let failed = |cause| UsageError::new(format!("reading {}", path.display()), cause);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut whole: u64 = 0;
    let mut head = [0_u8; HEAD_BYTES];
    let mut payload = Vec::new();
    while fill(&mut file, &mut head).map_err(failed)? {
        let Some((len, crc)) = read_head(&head) else { break };
        payload.resize(len, 0);
        let read = fill(&mut file, &mut payload).map_err(failed)?;
        if !read || crc32c::crc32c(&payload) != crc {
            break;
        }
        let offset = whole.saturating_add(widen(HEAD_BYTES));
        whole = offset.saturating_add(widen(len));
        if !each(offset, &payload) {
            break;
        }
    }
    Ok(whole)
}

/// Fills the buffer; false if the file ends before.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Reads one payload back and checks it: a flipped bit would read as another number.
pub(super) fn read_at(path: &Path, offset: u64, len: u32) -> Result<Vec<u8>, UsageError> {
    let failed = |cause| UsageError::new(format!("reading {}", path.display()), cause);
    let mut head = [0; HEAD_BYTES];
    let mut payload = vec![0; usize::try_from(len).unwrap_or(0)];
    let file = File::open(path).map_err(failed)?;
    file.read_exact_at(&mut head, offset.saturating_sub(widen(HEAD_BYTES))).map_err(failed)?;
    file.read_exact_at(&mut payload, offset).map_err(failed)?;
    if read_head(&head) != Some((payload.len(), crc32c::crc32c(&payload))) {
        return Err(failed(std::io::ErrorKind::InvalidData.into()));
    }
    Ok(payload)
}

/// A segment that is being appended to.
#[derive(Debug)]
pub(super) struct Tail {
    file: File,
    len: u64,
}

// === impl Tail ===

impl Tail {
    /// Opens a segment and cuts it off after `len` bytes of whole frames.
    pub(super) fn open(path: &Path, len: u64) -> Result<Self, UsageError> {
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = opened
            .and_then(|file| file.set_len(len).map(|()| file))
            .map_err(|cause| UsageError::new(format!("opening {}", path.display()), cause))?;
        Ok(Self { file, len })
    }

    /// Any file, such as one that is always full.
    #[cfg(test)]
    pub(super) fn of(file: File) -> Self {
        Self { file, len: 0 }
    }

    /// Bytes of whole frames.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends whole frames; after a failure none of them is there.
    pub(super) fn append(&mut self, frames: &[u8]) -> std::io::Result<()> {
        if let Err(cause) = self.file.write_all_at(frames, self.len) {
            // What was written of them is beyond the length and is overwritten or cut off.
            self.file.set_len(self.len)?;
            return Err(cause);
        }
        self.len = self.len.saturating_add(widen(frames.len()));
        Ok(())
    }

    /// Brings what was appended onto the disk.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

/// Lengths fit: this program runs on machines of at most 64 bits.
pub(super) fn widen(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{RECORD_BYTES_MAX, Tail, for_each, push_frame, read_at};

    fn payloads(path: &std::path::Path) -> (Vec<Vec<u8>>, u64) {
        let mut found = Vec::new();
        let whole = for_each(path, |_, payload| {
            found.push(payload.to_vec());
            true
        });
        (found, whole.unwrap())
    }

    #[test]
    fn a_segment_cut_at_any_byte_keeps_every_whole_frame_before_the_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for payload in [&b"one"[..], b"", b"three"] {
            assert!(push_frame(&mut bytes, payload));
            ends.push(bytes.len());
        }
        for cut in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let (found, whole) = payloads(&path);
            let expected = ends.iter().filter(|end| **end > 0 && **end <= cut).count();
            assert_eq!(found.len(), expected, "cut at {cut}");
            assert_eq!(usize::try_from(whole).unwrap(), ends[expected]);
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_segment_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut bytes = Vec::new();
        assert!(push_frame(&mut bytes, b"good"));
        let end = bytes.len();
        assert!(push_frame(&mut bytes, b"bad"));
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(payloads(&path), (vec![b"good".to_vec()], u64::try_from(end).unwrap()));
    }

    #[test]
    fn appending_goes_on_after_a_torn_tail_and_reads_back_by_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut bytes = Vec::new();
        assert!(push_frame(&mut bytes, b"first"));
        let whole = u64::try_from(bytes.len()).unwrap();
        bytes.extend(b"\x09\x00\x00\x00torn");
        std::fs::write(&path, &bytes).unwrap();
        let mut tail = Tail::open(&path, whole).unwrap();
        let mut frames = Vec::new();
        assert!(push_frame(&mut frames, b"second"));
        tail.append(&frames).unwrap();
        tail.sync().unwrap();
        let (found, end) = payloads(&path);
        assert_eq!(found, [b"first".to_vec(), b"second".to_vec()]);
        assert_eq!(end, tail.len());
        assert_eq!(read_at(&path, whole + 8, 6).unwrap(), b"second");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(read_at(&path, whole + 8, 6).is_err());
    }

    #[test]
    fn a_record_beyond_the_limit_is_not_framed() {
        let mut out = vec![1];
        assert!(!push_frame(&mut out, &vec![0; RECORD_BYTES_MAX + 1]));
        assert_eq!(out, [1]);
    }
}
