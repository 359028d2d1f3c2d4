//! The chunked transfer coding, decoded in place and incrementally: whatever a read brought is
//! taken at once, and the data of all its chunks ends up side by side. Strict: no bare line feeds,
//! no numbers beyond what a length can be, nothing without a bound. Never allocates.

use super::wire::Malformed;

/// A chunk's line may have this many bytes: sixteen digits and an extension nobody needs.
const LINE_BYTES_MAX: usize = 1024;
/// The trailers may have this many bytes together: they are dropped anyway.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// Hexadecimal digits of a size: 60 bits, so that no sum of lengths overflows.
const SIZE_DIGITS_MAX: u8 = 15;

/// Where the decoder stands between two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the digits of a size; so many seen.
    Size(u8),
    /// After the size, in white space or an extension.
    Extension,
    /// After the carriage return of a chunk's line.
    SizeEnd,
    /// In a chunk; `left` bytes are to come.
    Data,
    /// The carriage return behind a chunk.
    DataReturn,
    /// The line feed behind a chunk.
    DataEnd,
    /// At the first byte of a trailer line, or of the empty line that ends all.
    TrailerStart,
    /// Inside a trailer line.
    Trailer,
    /// After the carriage return of a trailer line.
    TrailerEnd,
    /// After the carriage return of the last, empty line.
    LastEnd,
    /// Past the end.
    Done,
}

/// The decoder's state between two reads.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    /// The size being read, then the bytes of data still to come.
    left: u64,
    /// Bytes of the line, or of the trailers, so far.
    line: usize,
}

/// What one call made of the buffer: the data lies in `start..end`, and `consumed` bytes of the
/// buffer, which include it, are done with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) consumed: usize,
    pub(super) done: bool,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { at: At::Size(0), left: 0, line: 0 }
    }
}

// === impl Chunked ===

impl Chunked {
    /// Takes in all of `buffer`, or all up to the end of the body. The data of the first chunk
    /// stays where it is, and that of the next ones is moved up to it.
    pub(super) fn decode(&mut self, buffer: &mut [u8]) -> Result<Decoded, Malformed> {
        let (mut start, mut end, mut read) = (0, 0, 0);
        while self.at != At::Done {
            if self.at == At::Data {
                let present = buffer.len().saturating_sub(read);
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(present);
                if take == 0 {
                    break;
                }
                if start == end {
                    (start, end) = (read, read);
                }
                if end != read {
                    buffer.copy_within(read..read + take, end);
                }
                end += take;
                read += take;
                self.left = self.left.saturating_sub(take as u64);
                if self.left == 0 {
                    self.at = At::DataReturn;
                }
                continue;
            }
            let Some(byte) = buffer.get(read).copied() else { break };
            read += 1;
            self.step(byte)?;
        }
        Ok(Decoded { start, end, consumed: read, done: self.at == At::Done })
    }

    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        self.at = match (self.at, byte) {
            (At::Size(digits), _) => return self.size(digits, byte),
            (At::Extension, b'\r') => At::SizeEnd,
            (At::Extension, b'\n') => return Err(Malformed("a chunk's line ends without CR")),
            (At::Extension, _) => {
                self.line += 1;
                if self.line > LINE_BYTES_MAX {
                    return Err(Malformed("a chunk's line has more than 1024 bytes"));
                }
                At::Extension
            }
            (At::SizeEnd, b'\n') if self.left == 0 => {
                self.line = 0;
                At::TrailerStart
            }
            (At::SizeEnd, b'\n') => At::Data,
            (At::DataReturn, b'\r') => At::DataEnd,
            (At::DataEnd, b'\n') => {
                self.line = 0;
                At::Size(0)
            }
            (At::DataReturn | At::DataEnd, _) => {
                return Err(Malformed("a chunk is longer than its size"));
            }
            (At::TrailerStart, b'\r') => At::LastEnd,
            (At::Trailer, b'\r') => At::TrailerEnd,
            (At::TrailerEnd, b'\n') => At::TrailerStart,
            (At::LastEnd, b'\n') => At::Done,
            (At::TrailerStart | At::Trailer, other) if other != b'\n' => {
                self.line += 1;
                if self.line > TRAILER_BYTES_MAX {
                    return Err(Malformed("the trailers have more than 16384 bytes"));
                }
                At::Trailer
            }
            _ => return Err(Malformed("a line of the chunked body does not end with CR LF")),
        };
        Ok(())
    }

    fn size(&mut self, digits: u8, byte: u8) -> Result<(), Malformed> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits == 0 {
                self.left = 0;
            }
            if digits >= SIZE_DIGITS_MAX {
                return Err(Malformed("a chunk's size has more than 15 digits"));
            }
            self.left = (self.left << 4) | u64::from(digit);
            self.at = At::Size(digits + 1);
            return Ok(());
        }
        self.at = match byte {
            b'\r' if digits > 0 => At::SizeEnd,
            b';' | b' ' | b'\t' if digits > 0 => At::Extension,
            _ => return Err(Malformed("a chunk's size is not a hexadecimal number")),
        };
        Ok(())
    }
}
