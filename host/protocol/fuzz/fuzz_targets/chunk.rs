//! What is written for a chunk, edited or made, is one event with a readable payload.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use turnpike_protocol::{Chunk, Dialect, sse};

fuzz_target!(|data: &[u8]| {
    let Ok(mut chunk) = Chunk::parse(Dialect::OpenAiChat, &Bytes::copy_from_slice(data)) else {
        return;
    };
    let slots: Vec<_> = chunk.deltas.iter().map(|delta| delta.slot()).collect();
    let mut events: Vec<_> =
        slots.into_iter().map(|slot| chunk.head().delta_frame(slot, "\"\n")).collect();
    for index in 0..chunk.deltas.len() {
        chunk.replace_delta(index, "\"<NAME_1>\"\n".to_owned());
    }
    events.push(chunk.encode());
    for event in events {
        let mut frames = Vec::new();
        sse::Framer::new(usize::MAX).push(event, &mut frames).expect("no bound");
        assert_eq!(frames.len(), 1);
        assert!(Chunk::parse(Dialect::OpenAiChat, &frames[0].data).is_ok());
    }
});
