//! What holds for any bytes whatever, in every dialect: the readers do not panic, and what they
//! accept they write well-formed. The fuzz targets and the crate's own tests of random and damaged
//! bodies both call these.

use bytes::Bytes;
use turnpike_protocol::translate::{self, Naming, StreamTranslator};
use turnpike_protocol::{
    Addressed, Answer, Beginning, Call, Chunk, Dialect, LimitField, Outgoing, Quirks, Usage,
    error_body, eventstream, sse,
};

/// What a redactor might write in place of a text.
const MASKED: &str = "\"<NAME_1>\"\n";
/// The same where an object must stand.
const MASKED_OBJECT: &str = r#"{"text":"\"<NAME_1>\"\n"}"#;
/// Bytes of one message of Amazon's stream.
const MESSAGE_MAX: usize = 1 << 16;
const ADDRESSED: Addressed<'static> = Addressed { model: Some("m"), stream: Some(true) };

/// The dialect that a byte stands for.
pub fn dialect(byte: u8) -> Dialect {
    let all = Dialect::ALL;
    all[usize::from(byte) % all.len()]
}

/// A request that is accepted is still accepted after its texts were replaced.
pub fn call(dialect: Dialect, body: &[u8]) {
    let Ok(mut call) = parse(dialect, Bytes::copy_from_slice(body)) else { return };
    let quirks = Quirks::default();
    let out = outgoing(&quirks);
    assert!(call.input_tokens_upper() > 0);
    let sent = parse(dialect, call.encode(&out)).expect("not changed");
    assert_eq!((sent.model.as_str(), sent.output_limit), ("m", Some(5_000)));
    for index in 0..call.texts.len() {
        call.replace_text(index, MASKED.to_owned());
    }
    // A key that is masked may stand where another one of that name does; neither is acted on.
    let sent = parse(dialect, call.encode(&out)).expect("masked");
    // Where an object must stand, the mask stands in one.
    let masked = |text: &turnpike_protocol::Text| match text.is_json() {
        true => text.content.expose() == MASKED_OBJECT,
        false => text.content.expose() == MASKED,
    };
    assert!(sent.texts.iter().all(masked), "all is masked");
    assert_eq!((sent.model.as_str(), sent.output_limit), ("m", Some(5_000)));
    if let Some(body) = call.encode_without_thinking(&out) {
        assert!(parse(dialect, body).is_ok(), "without thinking");
    }
}

/// An answer passes on untouched, and stays readable after its texts were replaced.
pub fn answer(dialect: Dialect, body: &[u8]) {
    let bytes = Bytes::copy_from_slice(body);
    error_body::parse(dialect, &bytes);
    if let Ok(text) = std::str::from_utf8(body) {
        Usage::from_openai_chat(text);
    }
    let Ok(mut answer) = Answer::parse(dialect, bytes) else { return };
    assert_eq!(answer.encode(), body);
    for index in 0..answer.texts.len() {
        answer.replace_text(index, MASKED.to_owned());
    }
    assert!(Answer::parse(dialect, answer.encode()).is_ok());
}

/// What is written for a chunk, edited or made, is one event with a readable payload.
pub fn chunk(dialect: Dialect, data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    let mut beginning = Beginning::default();
    let first = Chunk::parse_next(dialect, &data, &mut beginning);
    let again = Chunk::parse_next(dialect, &data, &mut beginning);
    assert_eq!(first.as_ref().map(Chunk::encode), again.as_ref().map(Chunk::encode));
    let Ok(mut chunk) = first else { return };
    let slots: Vec<_> = chunk.deltas.iter().map(|delta| delta.slot()).collect();
    let mut events: Vec<_> =
        slots.into_iter().map(|slot| chunk.head().delta_frame(slot, "\"\n")).collect();
    // Texts that only ever come whole have no such event.
    events.retain(|event| !event.is_empty());
    for index in 0..chunk.deltas.len() {
        chunk.replace_delta(index, MASKED.to_owned());
    }
    let choices: Vec<u32> = chunk.edited_choices().collect();
    for choice in choices {
        chunk.drop_logprobs(choice);
    }
    chunk.shift_sequence(1);
    events.push(chunk.encode());
    for event in events {
        let frames = frames(event);
        assert_eq!(frames.len(), 1);
        assert!(Chunk::parse(dialect, &frames[0].data).is_ok());
    }
}

/// A stream gives the same events however it is cut.
pub fn framer(size: u8, stream: &[u8]) {
    let events = |size: usize| {
        let mut framer = sse::Framer::new(usize::MAX);
        let mut frames = Vec::new();
        for part in stream.chunks(size).map(Bytes::copy_from_slice) {
            framer.push(part, &mut frames).expect("no bound");
        }
        framer.finish(&mut frames);
        frames.into_iter().map(|frame| frame.data).collect::<Vec<_>>()
    };
    assert_eq!(events(stream.len().max(1)), events(usize::from(size).max(1)));
}

/// Amazon's binary stream gives the same messages however it is cut, and damage is an error.
pub fn binary(size: u8, stream: &[u8]) {
    let size = usize::from(size).max(1);
    let read = |bytes: &[u8], size: usize| {
        let mut parser = eventstream::Parser::new(MESSAGE_MAX);
        let mut frames = Vec::new();
        let pushed = bytes.chunks(size).try_for_each(|part| parser.push(part, &mut frames));
        (frames, pushed.is_ok() && parser.finish().is_ok())
    };
    // Arbitrary bytes fail at a checksum; whole messages with arbitrary payloads do not.
    let message = eventstream::event("contentBlockDelta", stream);
    let both = [&message[..], stream].concat();
    for bytes in [stream, &message, &both] {
        assert_eq!(read(bytes, bytes.len().max(1)), read(bytes, size));
    }
    assert!(message.len() > MESSAGE_MAX || read(&message, message.len()).1);
}

/// Whatever is written in another dialect can be read there.
pub fn translate(from: Dialect, to: Dialect, body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    translate_request(from, to, &body);
    if !to.callers_speak() {
        return;
    }
    if let Ok(written) = translate::answer(from, to, &body, &naming()) {
        assert!(Answer::parse(to, written.body).is_ok(), "answer");
    }
    translate_stream(from, to, &body);
}

fn translate_request(from: Dialect, to: Dialect, body: &Bytes) {
    let Ok(call) = parse(from, body.clone()) else { return };
    let quirks = Quirks::default();
    let Ok(written) = translate::request(&call, to, &outgoing(&quirks)) else { return };
    assert!(text_is_json(&written.body), "json");
    if !to.callers_speak() {
        return;
    }
    if let Err(error) = parse(to, written.body) {
        // A conversation of instructions alone has nothing to answer to in some dialects.
        assert_eq!(error.code, "missing_field", "{error}");
    }
}

fn translate_stream(from: Dialect, to: Dialect, body: &Bytes) {
    let mut made = frames(body.clone());
    made.push(sse::Frame::made(None, body));
    made.push(sse::Frame::made(Some("contentBlockDelta"), body));
    let mut translator = StreamTranslator::new(from, to, naming());
    let mut out = Vec::new();
    for frame in &made {
        if translator.push(std::slice::from_ref(frame), &mut out).is_err() {
            break;
        }
    }
    translator.finish(&mut out);
    for frame in out.iter().filter(|frame| frame.carries_data()) {
        if Chunk::done_marker(&frame.data) {
            continue;
        }
        assert!(Chunk::parse(to, &frame.data).is_ok(), "frame");
        assert_eq!(frames(frame.raw.clone()).len(), 1, "one event");
    }
}

/// Every property, with one body for all: for tests that have a body to damage.
pub fn everything(body: &[u8]) {
    for from in Dialect::ALL {
        call(from, body);
        answer(from, body);
        chunk(from, body);
        for frame in frames(Bytes::copy_from_slice(body)) {
            chunk(from, &frame.data);
        }
        for to in Dialect::ALL {
            translate(from, to, body);
        }
    }
    framer(7, body);
    binary(5, body);
}

fn parse(dialect: Dialect, body: Bytes) -> Result<Call, turnpike_protocol::RequestError> {
    Call::parse_addressed(dialect, body, &ADDRESSED)
}

fn frames(bytes: Bytes) -> Vec<sse::Frame> {
    let (mut framer, mut frames) = (sse::Framer::new(usize::MAX), Vec::new());
    framer.push(bytes, &mut frames).expect("no bound");
    framer.finish(&mut frames);
    frames
}

/// A reader of another dialect than the target's, which takes any object: enough to tell JSON.
fn text_is_json(body: &Bytes) -> bool {
    Answer::parse(Dialect::OpenAiChat, wrapped(body)).is_ok()
}

fn wrapped(body: &Bytes) -> Bytes {
    Bytes::from([b"{\"body\":", &body[..], b"}"].concat())
}

fn outgoing(quirks: &Quirks) -> Outgoing<'_> {
    Outgoing {
        model: "m",
        output_limit: Some(5_000),
        model_limit: None,
        limit_field: LimitField::MaxCompletionTokens,
        quirks,
    }
}

fn naming() -> Naming {
    Naming {
        id: "r".to_owned(),
        created_s: 1,
        model: "m".to_owned(),
        include_usage: true,
        input_tokens: 1,
        custom_tools: vec!["f".to_owned()],
        long_tools: Vec::new(),
    }
}
