//! No bytes whatever make this dialect's readers panic, and what they accept they write
//! well-formed.

use bytes::Bytes;
use proptest::prelude::*;
use turnpike_protocol::translate::{self, StreamTranslator};
use turnpike_protocol::{Answer, Call, Chunk, Dialect, Outgoing, Quirks, error_body};

use crate::anthropic_kit::{
    AGENT, FEATURES, HERE, SEARCH, SEARCH_WHOLE, TOOLS, TOOLS_WHOLE, frames, naming, out,
};

const SEEDS: [&str; 6] = [AGENT, FEATURES, SEARCH, SEARCH_WHOLE, TOOLS, TOOLS_WHOLE];

/// Everything that reads bytes, and everything that writes after it has read.
fn read_all(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let quirks = Quirks::default();
    let bounded = Outgoing { output_limit: Some(5_000), ..out("m", &quirks) };
    if let Ok(mut call) = Call::parse(HERE, body.clone()) {
        call.replace_text(0, "\"\n".to_owned());
        assert!(Call::parse(HERE, call.encode(&bounded)).is_ok());
        if let Some(stripped) = call.encode_without_thinking(&bounded) {
            assert!(Call::parse(HERE, stripped).is_ok());
        }
        if let Ok(sent) = translate::request(&call, HERE, &bounded) {
            assert!(Call::parse(HERE, sent.body).is_ok());
        }
        let _chat = translate::request(&call, Dialect::OpenAiChat, &bounded);
    }
    if let Ok(mut answer) = Answer::parse(HERE, body.clone()) {
        assert_eq!(answer.encode(), body);
        answer.replace_text(0, "\"\n".to_owned());
        assert!(Answer::parse(HERE, answer.encode()).is_ok());
    }
    if let Ok(answer) = translate::answer(HERE, HERE, &body, &naming()) {
        assert!(Answer::parse(HERE, answer.body).is_ok());
    }
    error_body::parse(HERE, &body);
    let mut translator = StreamTranslator::new(HERE, HERE, naming());
    let mut out = Vec::new();
    for frame in frames(bytes, bytes.len().max(1)) {
        let mut chunk = Chunk::parse(HERE, &frame.data).ok();
        if let Some(chunk) = chunk.as_mut() {
            chunk.replace_delta(0, "\"\n".to_owned());
            assert_eq!(frames(&chunk.encode(), 7).len(), 1);
        }
        if translator.push(&[frame], &mut out).is_err() {
            break;
        }
    }
    translator.finish(&mut out);
    assert!(out.iter().all(|frame| Chunk::parse(HERE, &frame.data).is_ok()));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_bodies_never_panic(
        seed in 0..SEEDS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }
}
