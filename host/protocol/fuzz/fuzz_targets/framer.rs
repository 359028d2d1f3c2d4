//! A stream gives the same events however it is cut.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use turnpike_protocol::sse::{Frame, Framer};

fn data(parts: impl Iterator<Item = Bytes>) -> Vec<Bytes> {
    let mut framer = Framer::new(usize::MAX);
    let mut frames: Vec<Frame> = Vec::new();
    for part in parts {
        framer.push(part, &mut frames).expect("no bound");
    }
    framer.finish(&mut frames);
    frames.into_iter().map(|frame| frame.data).collect()
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, stream) = input;
    let stream = Bytes::from(stream);
    let pieces = stream.chunks(usize::from(size).max(1)).map(Bytes::copy_from_slice);
    assert_eq!(data(std::iter::once(stream.clone())), data(pieces));
});
