//! A provider's stream as bytes on the wire, cut up and translated. Never knows what is in it.

use bytes::Bytes;
use turnpike_protocol::sse::{Frame, Framer};
use turnpike_protocol::translate::StreamTranslator;
use turnpike_protocol::{Dialect, Losses, Usage, eventstream};

use super::naming;

/// Bytes of one event.
const EVENT_MAX: usize = 1 << 20;

/// What a caller receives of a stream, and what is known of it besides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Streamed {
    pub(crate) frames: Vec<Bytes>,
    pub(crate) usage: Option<Usage>,
    pub(crate) service_tier: Option<String>,
    pub(crate) losses: Losses,
}

/// The bytes that a provider of this dialect sends for a case: Google ends its lines with CR LF,
/// Amazon sends messages of its own form, which the file has as `name payload`.
pub(crate) fn bytes(dialect: Dialect, text: &str) -> Bytes {
    // Files end with one line feed, events with two.
    let events = || format!("{}\n\n", text.trim_end());
    match dialect {
        Dialect::Gemini => events().replace('\n', "\r\n").into(),
        Dialect::BedrockConverse => {
            let lines = text.lines().filter_map(|line| line.split_once(' '));
            let messages = lines.map(|(name, payload)| match name.strip_prefix('!') {
                Some(name) => eventstream::exception(name, payload.as_bytes()),
                None => eventstream::event(name, payload.as_bytes()),
            });
            messages.collect::<Vec<_>>().concat().into()
        }
        _ => events().into(),
    }
}

/// The frames of a stream that arrives in these pieces.
pub(crate) fn framed(dialect: Dialect, pieces: &[&[u8]]) -> Vec<Vec<Frame>> {
    let (mut framer, mut parser) = (Framer::new(EVENT_MAX), eventstream::Parser::new(EVENT_MAX));
    let mut reads = Vec::new();
    for piece in pieces {
        let mut frames = Vec::new();
        if dialect == Dialect::BedrockConverse {
            parser.push(piece, &mut frames).unwrap();
        } else {
            framer.push(Bytes::copy_from_slice(piece), &mut frames).unwrap();
        }
        reads.push(frames);
    }
    let mut last = Vec::new();
    framer.finish(&mut last);
    reads.push(last);
    reads
}

/// The stream in the caller's dialect, read in pieces of `size` bytes.
pub(crate) fn translated(from: Dialect, to: Dialect, bytes: &Bytes, size: usize) -> Streamed {
    let pieces: Vec<&[u8]> = bytes.chunks(size.min(bytes.len())).collect();
    let mut translator = StreamTranslator::new(from, to, naming(true));
    let mut out = Vec::new();
    for read in framed(from, &pieces) {
        translator.push(&read, &mut out).unwrap();
    }
    translator.finish(&mut out);
    Streamed {
        frames: out.into_iter().map(|frame| frame.raw).collect(),
        usage: translator.facts().usage,
        service_tier: translator.facts().service_tier.clone(),
        losses: translator.losses().clone(),
    }
}
