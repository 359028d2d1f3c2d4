//! No input makes a parser panic: random bytes, and real bodies with bytes changed or cut off.

use bytes::Bytes;
use proptest::prelude::*;
use turnpike_protocol::translate::{Naming, StreamTranslator};
use turnpike_protocol::{
    Answer, Call, Chunk, Dialect, Outgoing, Usage, error_body, sse, translate,
};

use crate::support;

const SEEDS: [&str; 3] = [
    include_str!("../golden/openai-chat/agent.json"),
    r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"a\u00e9",
        "tool_calls":[{"index":1,"function":{"name":"f","arguments":"{}"}}]},
        "delta":{"content":"b","reasoning":"c","tool_calls":[{"index":4,"id":"t",
        "function":{"arguments":"\""}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,
        "completion_tokens":2,"prompt_tokens_details":{"cached_tokens":9}},
        "error":{"message":"x","code":1}}"#,
    "data: {\"a\":1}\r\n\r\n: c\n\ndata: b\ndata: c\n\n",
];

/// Everything that reads bytes, and everything that writes after it has read.
fn read_all(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let out = Outgoing { output_limit: Some(1), ..support::outgoing("m") };
    if let Ok(mut call) = Call::parse(Dialect::OpenAiChat, body.clone()) {
        call.replace_text(0, "\"\n".to_owned());
        assert!(Call::parse(Dialect::OpenAiChat, call.encode(&out)).is_ok());
        assert!(call.input_tokens_upper() > 0);
        if let Ok(done) = translate::request(&call, Dialect::OpenAiChat, &out) {
            serde_json::from_slice::<serde_json::Value>(&done.body).unwrap();
        }
    }
    translate_answers(&body);
    if let Ok(mut answer) = Answer::parse(Dialect::OpenAiChat, body.clone()) {
        assert_eq!(answer.encode(), body);
        answer.replace_text(0, "\"\n".to_owned());
        assert!(Answer::parse(Dialect::OpenAiChat, answer.encode()).is_ok());
    }
    if let Ok(mut chunk) = Chunk::parse(Dialect::OpenAiChat, &body) {
        chunk.replace_delta(0, "\"\n".to_owned());
        let slot = chunk.deltas.first().map(turnpike_protocol::Delta::slot);
        let tail = slot.map(|slot| chunk.head().delta_frame(slot, "x"));
        for event in std::iter::once(chunk.encode()).chain(tail) {
            let mut frames = Vec::new();
            sse::Framer::new(1 << 20).push(event, &mut frames).unwrap();
            assert_eq!(frames.len(), 1);
            assert!(Chunk::parse(Dialect::OpenAiChat, &frames[0].data).is_ok());
        }
    }
    let mut frames = Vec::new();
    let mut framer = sse::Framer::new(64);
    if framer.push(body.clone(), &mut frames).is_ok() {
        framer.finish(&mut frames);
    }
    error_body::parse(Dialect::OpenAiChat, &body);
    if let Ok(text) = std::str::from_utf8(bytes) {
        Usage::from_openai_chat(text);
    }
}

/// The codec of answers, whole and streamed.
fn translate_answers(body: &Bytes) {
    let naming = Naming {
        id: "r".to_owned(),
        created_s: 1,
        model: "m".to_owned(),
        include_usage: true,
        input_tokens: 1,
        custom_tools: vec!["f".to_owned()],
    };
    let chat = Dialect::OpenAiChat;
    if let Ok(done) = translate::answer(chat, chat, body, &naming) {
        serde_json::from_slice::<serde_json::Value>(&done.body).unwrap();
    }
    let mut translator = StreamTranslator::new(chat, chat, naming);
    let (mut frames, mut out) = (Vec::new(), Vec::new());
    let line: Vec<u8> = body.iter().filter(|byte| !b"\r\n".contains(byte)).copied().collect();
    let event = Bytes::from([b"data: ", line.as_slice(), b"\n\n"].concat());
    for bytes in [event.clone(), event, body.clone(), Bytes::from_static(sse::DONE)] {
        let mut framer = sse::Framer::new(1 << 20);
        framer.push(bytes, &mut frames).unwrap();
        framer.finish(&mut frames);
    }
    if translator.push(&frames, &mut out).is_ok() {
        translator.finish(&mut out);
    }
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
