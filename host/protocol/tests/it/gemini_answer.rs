//! Gemini answers, whole and streamed: what is read of them, and that they pass on untouched.

use bytes::Bytes;
use turnpike_protocol::{Answer, Channel, Chunk, ChunkHead, Delta, Dialect, JsonArray, Usage, sse};

const REPLY: &str = include_str!("../golden/gemini/reply.json");
const STREAM: &str = include_str!("../golden/gemini/stream.sse");
const GROUNDED: &str = include_str!("../golden/gemini/grounded.sse");
const BLOCKED: &str = include_str!("../golden/gemini/blocked.json");

fn answer(body: &'static str) -> Answer {
    Answer::parse(Dialect::Gemini, Bytes::from_static(body.as_bytes())).unwrap()
}

fn chunk(data: &str) -> Chunk {
    Chunk::parse(Dialect::Gemini, &Bytes::copy_from_slice(data.as_bytes())).unwrap()
}

fn frames(stream: &'static str, split: usize) -> Vec<sse::Frame> {
    let (mut framer, mut frames) = (sse::Framer::new(1 << 20), Vec::new());
    let bytes = Bytes::from_static(stream.as_bytes());
    framer.push(bytes.slice(..split), &mut frames).unwrap();
    framer.push(bytes.slice(split..), &mut frames).unwrap();
    framer.finish(&mut frames);
    frames
}

fn shown(chunk: &Chunk) -> String {
    let delta = |delta: &Delta| {
        let whole = if delta.whole { " whole" } else { "" };
        let (channel, text) = (delta.channel.label(), delta.content.expose());
        format!("{channel} {}{whole} {text:?}\n", delta.tool)
    };
    let deltas: String = chunk.deltas.iter().map(delta).collect();
    let Chunk { finished, closed, tool_started, .. } = chunk;
    format!("{deltas}closed {closed:?} finished {finished:?} tool {tool_started}\n")
}

fn chunks(stream: &'static str) -> Vec<Chunk> {
    let read = |frame: &sse::Frame| Chunk::parse(Dialect::Gemini, &frame.data).unwrap();
    frames(stream, 0).iter().map(read).collect()
}

#[test]
fn the_view_of_an_answer_holds_texts_usage_and_what_was_served() {
    let answer = answer(REPLY);
    let texts: Vec<_> = (answer.texts.iter())
        .map(|text| format!("{} {:?}", text.channel.label(), text.content.expose()))
        .collect();
    insta::assert_snapshot!(texts.join("\n"), @r##"
    reasoning "**Looking**\n\nI need two numbers."
    text "I will look "
    text "both up."
    tool-arguments "jane"
    "##);
    assert!(answer.tool_called && answer.has_content() && answer.error.is_none());
    assert_eq!((answer.model.as_deref(), answer.choices), (Some("gemini-3-pro-preview"), 1));
    let usage = Usage {
        input_uncached: 200,
        cache_read: 1000,
        output_text: 31,
        output_reasoning: 100,
        requests: 1,
        ..Usage::default()
    };
    assert_eq!(answer.usage, Some(usage));
}

#[test]
fn untouched_bytes_are_the_providers_own() {
    let body = Bytes::from_static(REPLY.as_bytes());
    let mut answer = Answer::parse(Dialect::Gemini, body.clone()).unwrap();
    assert_eq!(answer.encode().as_ptr(), body.as_ptr());
    answer.replace_text(1, "I \"look\" ".to_owned());
    assert_eq!(answer.encode(), REPLY.replace("I will look ", r#"I \"look\" "#).as_bytes());
}

#[test]
fn a_blocked_prompt_is_an_answer_without_content() {
    let answer = answer(BLOCKED);
    assert!(!answer.has_content() && answer.error.is_none());
    assert_eq!((answer.choices, answer.usage.unwrap().input_uncached), (1, 8));
    let chunk = chunk(BLOCKED);
    assert!(chunk.has_content() && !chunk.usage_only);
    assert_eq!(chunk.finished, [0]);
}

#[test]
fn pitfall_44_an_error_under_status_200_is_not_an_answer() {
    let body = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    let answer = answer(body);
    let error = answer.error.as_ref().unwrap();
    assert_eq!(error.kind.as_deref(), Some("overloaded_error"));
    assert!(!answer.has_content());
    let chunk = chunk(body);
    assert!(chunk.error.is_some() && !chunk.has_content() && !chunk.is_lifecycle());
}

#[test]
fn the_view_of_a_stream_keeps_texts_apart_and_ends_without_a_mark() {
    let chunks = chunks(STREAM);
    let lines: String = chunks.iter().map(shown).collect();
    insta::assert_snapshot!(lines, @r##"
    reasoning 1 "**Looking**\n\n"
    closed [(0, 0)] finished [] tool false
    reasoning 1 "I need two numbers."
    closed [(0, 0)] finished [] tool false
    text 0 "I will look "
    closed [(0, 1)] finished [] tool false
    text 0 "both up."
    tool-arguments 2 "jane"
    closed [(0, 0), (0, 1), (0, 2)] finished [] tool true
    closed [(0, 0), (0, 1)] finished [0] tool true
    "##);
    assert!(chunks.iter().all(|chunk| !chunk.done && chunk.has_content()));
    assert_eq!(chunks[4].usage.unwrap().output_reasoning, 100);
    assert_eq!(chunks[0].model().as_deref(), Some("gemini-3-pro-preview"));
}

#[test]
fn pitfall_68_quotations_beside_the_text_are_in_view_too() {
    let chunks = chunks(GROUNDED);
    insta::assert_snapshot!(shown(&chunks[1]), @r##"
    text 0 "0100."
    text 2 whole "who won"
    text 3 whole "https://example.com/a"
    text 4 whole "example.com"
    text 5 whole "Spain won 555-0100."
    closed [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)] finished [0] tool false
    "##);
    assert_eq!(chunks[2].service_tier().as_deref(), Some("priority"));
}

#[test]
fn pitfall_36_a_stream_split_at_every_byte_reads_the_same() {
    for stream in [STREAM, GROUNDED] {
        let whole = frames(stream, 0);
        for split in 0..stream.len() {
            let same = |(a, b): (&sse::Frame, &sse::Frame)| a.data == b.data;
            let again = frames(stream, split);
            assert!(again.len() == whole.len() && again.iter().zip(&whole).all(same), "{split}");
        }
        for frame in whole {
            let chunk = Chunk::parse(Dialect::Gemini, &frame.data).unwrap();
            let encoded = chunk.encode();
            assert_eq!(
                encoded.strip_prefix(b"data: ").unwrap().strip_suffix(b"\n\n").unwrap(),
                &frame.data[..]
            );
        }
    }
}

#[test]
fn pitfall_68_a_replaced_delta_changes_that_string_only() {
    let data = r#"{"candidates":[{"content":{"parts":[{"text":"my \u006eumber"}]}}],"y":[ 1.0]}"#;
    let mut read = chunk(data);
    read.replace_delta(0, "<PHONE_1>".to_owned());
    let expected = data.replace(r"my \u006eumber", "<PHONE_1>");
    assert_eq!(read.encode(), format!("data: {expected}\n\n").as_bytes());
    // A frame for a tail reads back into the slot it is for.
    let thought = r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]},"index":1}],
        "responseId":"r\"1","modelVersion":"m"}"#;
    let read = chunk(thought);
    let slot = read.deltas[0].slot();
    let head: ChunkHead = read.head();
    let made = head.delta_frame(slot, "tail \"é\"\n");
    let again = chunk(std::str::from_utf8(made.strip_prefix(b"data: ").unwrap()).unwrap());
    assert_eq!(again.deltas[0].slot(), slot);
    assert_eq!(again.deltas[0].content.expose(), "tail \"é\"\n");
    assert_eq!((slot.choice, slot.channel), (1, Channel::Reasoning));
    assert_eq!(again.model().as_deref(), Some("m"));
}

#[test]
fn chunks_without_content_only_keep_the_stream_up() {
    let empty = r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"index":0}]}"#;
    assert!(chunk(empty).is_lifecycle());
    assert!(chunk("{}").is_lifecycle());
    let used = chunk(r#"{"usageMetadata":{"promptTokenCount":3}}"#);
    assert!(used.usage_only && !used.has_content());
}

#[test]
fn a_stream_without_events_is_one_list() {
    let mut array = JsonArray::new();
    let frames = frames(GROUNDED, 0);
    let mut written: Vec<u8> = Vec::new();
    for frame in &frames {
        written.extend_from_slice(&array.push(frame));
    }
    written.extend_from_slice(&array.push(&sse::Frame { data: Bytes::new(), ..frames[0].clone() }));
    written.extend_from_slice(&array.finish());
    let list: Vec<serde_json::Value> = serde_json::from_slice(&written).unwrap();
    assert_eq!(list.len(), 3);
    assert_eq!(&JsonArray::new().finish()[..], b"[]");
}
