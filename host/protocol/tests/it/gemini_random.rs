//! No input makes the Gemini codec panic: random bytes, and real bodies with bytes changed or cut
//! off, read as requests, answers and streams and written anew.

use bytes::Bytes;
use proptest::prelude::*;
use turnpike_protocol::translate::{self, Naming, StreamTranslator};
use turnpike_protocol::{
    Addressed, Answer, Call, Chunk, Dialect, LimitField, Outgoing, Quirks, error_body, sse,
};

const SEEDS: [&str; 4] = [
    include_str!("../golden/gemini/agent.json"),
    include_str!("../golden/gemini/reply.json"),
    include_str!("../golden/gemini/grounded.sse"),
    include_str!("../golden/gemini/blocked.json"),
];

fn naming() -> Naming {
    Naming {
        id: "r".to_owned(),
        created_s: 0,
        model: "m".to_owned(),
        include_usage: true,
        input_tokens: 0,
        custom_tools: Vec::new(),
    }
}

fn read_request(body: &Bytes) {
    let quirks = Quirks::default();
    let out = Outgoing {
        model: "m",
        output_limit: Some(1),
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &quirks,
    };
    let addressed = Addressed { model: Some("m"), stream: Some(true) };
    let parse = |body| Call::parse_addressed(Dialect::Gemini, body, &addressed);
    if let Ok(mut call) = parse(body.clone()) {
        call.replace_text(0, "\"\n".to_owned());
        assert!(parse(call.encode(&out)).is_ok());
        if let Ok(written) = translate::request(&call, Dialect::Gemini, &out) {
            assert!(parse(written.body).is_ok());
        }
    }
}

fn read_answer(body: &Bytes) {
    if let Ok(mut answer) = Answer::parse(Dialect::Gemini, body.clone()) {
        assert_eq!(answer.encode(), body);
        answer.replace_text(0, "\"\n".to_owned());
        assert!(Answer::parse(Dialect::Gemini, answer.encode()).is_ok());
    }
    if let Ok(answer) = translate::answer(Dialect::Gemini, Dialect::Gemini, body, &naming()) {
        assert!(Answer::parse(Dialect::Gemini, answer.body).is_ok());
    }
    error_body::parse(Dialect::Gemini, body);
    let (mut frames, mut out) = (vec![sse::Frame::made(None, body)], Vec::new());
    let mut framer = sse::Framer::new(1 << 16);
    if framer.push(body.clone(), &mut frames).is_ok() {
        framer.finish(&mut frames);
    }
    let mut translator = StreamTranslator::new(Dialect::Gemini, Dialect::Gemini, naming());
    let _ended = translator.push(&frames, &mut out);
    translator.finish(&mut out);
    for frame in frames.iter().chain(&out) {
        if let Ok(mut chunk) = Chunk::parse(Dialect::Gemini, &frame.data) {
            chunk.replace_delta(0, "\"\n".to_owned());
            let slots: Vec<_> = chunk.deltas.iter().map(|delta| delta.slot()).collect();
            let made = slots.into_iter().map(|slot| chunk.head().delta_frame(slot, "x"));
            for event in made.chain([chunk.encode()]) {
                let mut frames = Vec::new();
                sse::Framer::new(1 << 20).push(event, &mut frames).unwrap();
                assert!(Chunk::parse(Dialect::Gemini, &frames[0].data).is_ok());
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let body = Bytes::from(bytes);
        read_request(&body);
        read_answer(&body);
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
        let body = Bytes::from(bytes);
        read_request(&body);
        read_answer(&body);
    }
}
