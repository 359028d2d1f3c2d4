//! Undoes a provider's compression piece by piece, although none was asked for: some compress all
//! the same. Bounded: a piece of output has a bound however much its input stands for, and what is
//! not read yet stays compressed. Never compresses.

use std::io::Write as _;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Bytes of a piece of output, but for what the last step of it brings.
const PIECE_BYTES: usize = 64 << 10;

/// The body is not what its coding says, or ends inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// One body's decoder.
pub(super) struct Decompressor {
    coding: Coding,
    /// Compressed bytes that are not read yet.
    input: Bytes,
    ended: bool,
}

enum Coding {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Brotli(Box<Brotli>),
}

struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    /// The compressed text is at its end.
    done: bool,
    /// Output was left behind for want of room.
    more: bool,
}

// === impl Decompressor ===

impl Decompressor {
    /// A decoder for a body with these headers; `None` where none is needed, or none is known.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let coding = headers.get(CONTENT_ENCODING)?.to_str().ok()?.trim();
        let coding = if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip")
        {
            Coding::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
        } else if coding.eq_ignore_ascii_case("br") {
            let alloc = StandardAlloc::default;
            let state = BrotliState::new(alloc(), alloc(), alloc());
            Coding::Brotli(Box::new(Brotli { state, done: false, more: false }))
        } else {
            return None;
        };
        Some(Self { coding, input: Bytes::new(), ended: false })
    }

    /// Takes compressed bytes over. Only when [`Decompressor::pull`] had nothing left.
    pub(super) fn feed(&mut self, input: Bytes) {
        self.input = input;
    }

    /// Whether everything that was fed has been read.
    pub(super) fn is_drained(&self) -> bool {
        let more = matches!(&self.coding, Coding::Brotli(brotli) if brotli.more);
        self.input.is_empty() && !more
    }

    /// The next piece of output; empty when more input is needed.
    pub(super) fn pull(&mut self) -> Result<Bytes, Damaged> {
        if self.is_drained() {
            return Ok(Bytes::new());
        }
        match &mut self.coding {
            Coding::Gzip(decoder) => gunzip(decoder, &mut self.input),
            Coding::Brotli(brotli) => brotli.pull(&mut self.input),
        }
    }

    /// The body has ended: what is left of its output.
    pub(super) fn finish(&mut self) -> Result<Bytes, Damaged> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(Bytes::new());
        }
        match &mut self.coding {
            Coding::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| Damaged)?;
                Ok(Bytes::from(std::mem::take(decoder.get_mut())))
            }
            Coding::Brotli(brotli) if brotli.done => Ok(Bytes::new()),
            Coding::Brotli(_) => Err(Damaged),
        }
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decompressor({} bytes unread)", self.input.len())
    }
}

/// Steps of the decoder, each with the bounded buffer that it has, until a piece is full.
fn gunzip(decoder: &mut MultiGzDecoder<Vec<u8>>, input: &mut Bytes) -> Result<Bytes, Damaged> {
    while !input.is_empty() && decoder.get_ref().len() < PIECE_BYTES {
        let read = decoder.write(input).map_err(|_| Damaged)?;
        if read == 0 {
            return Err(Damaged);
        }
        input.advance(read);
    }
    if input.is_empty() {
        // An event must not wait in the decoder for the one that follows.
        decoder.flush().map_err(|_| Damaged)?;
    }
    Ok(Bytes::from(std::mem::take(decoder.get_mut())))
}

// === impl Brotli ===

impl Brotli {
    fn pull(&mut self, input: &mut Bytes) -> Result<Bytes, Damaged> {
        if self.done {
            // Nothing may follow the end.
            return Err(Damaged);
        }
        let mut out = vec![0; PIECE_BYTES];
        let (mut available, mut read) = (input.len(), 0);
        let (mut room, mut written, mut total) = (out.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut available,
            &mut read,
            input,
            &mut room,
            &mut written,
            &mut out,
            &mut total,
            &mut self.state,
        );
        input.advance(read.min(input.len()));
        out.truncate(written);
        match result {
            BrotliResult::ResultSuccess => {
                (self.done, self.more) = (true, false);
            }
            BrotliResult::NeedsMoreInput => self.more = false,
            BrotliResult::NeedsMoreOutput => self.more = true,
            BrotliResult::ResultFailure => return Err(Damaged),
        }
        Ok(Bytes::from(out))
    }
}

#[cfg(test)]
mod tests;
