//! Events of a streamed message and whole messages: what is read in place, and how usage adds up.

use bytes::Bytes;
use turnpike_protocol::{Answer, Chunk, Delta, Usage, UsageUpdate, error_body, sse};

use crate::anthropic_kit::{HERE, SEARCH, SEARCH_WHOLE, TOOLS, TOOLS_WHOLE, frames};

fn chunks(stream: &str, step: usize) -> Vec<Chunk> {
    let frames = frames(stream.as_bytes(), step);
    frames.iter().map(|frame| Chunk::parse(HERE, &frame.data).unwrap()).collect()
}

fn parse(data: &str) -> Chunk {
    Chunk::parse(HERE, &Bytes::copy_from_slice(data.as_bytes())).unwrap()
}

fn shown(chunks: &[Chunk]) -> Vec<String> {
    let line = |delta: &Delta| {
        let whole = if delta.whole { "!" } else { "" };
        format!("{}{whole} {} {}", delta.tool, delta.channel.label(), delta.content.expose())
    };
    chunks.iter().flat_map(|chunk| chunk.deltas.iter().map(line)).collect()
}

fn used(chunks: &[Chunk]) -> Usage {
    chunks.iter().fold(None, |usage, chunk| chunk.usage_after(usage)).unwrap()
}

const USED: Usage = Usage {
    input_uncached: 12,
    cache_read: 4_000,
    cache_write_5m: 100,
    cache_write_1h: 200,
    output_text: 89,
    output_reasoning: 0,
    input_audio: 0,
    output_audio: 0,
    input_image: 0,
    output_image: 0,
    requests: 1,
    searches: 0,
    cache_read_audio: 0,
    cache_read_image: 0,
    cache_read_video: 0,
    input_video: 0,
    output_video: 0,
    citations: 0,
    hosted_calls: 0,
};

#[test]
fn texts_of_a_stream_are_found_however_it_is_split() {
    let expected = [
        "0 reasoning Both cities",
        "0 reasoning  at once.",
        "2 text I check the cafés of ",
        "2 text Zürich 😀.",
        "3 tool-arguments {\"city\": \"Z",
        "3 tool-arguments ürich\"}",
    ];
    for step in [1, 2, 3, 7, TOOLS.len()] {
        let chunks = chunks(TOOLS, step);
        assert_eq!(shown(&chunks), expected);
        assert!(chunks.last().unwrap().done);
        let ended: Vec<&[u32]> =
            chunks.iter().map(|chunk| &chunk.finished[..]).filter(|c| !c.is_empty()).collect();
        assert_eq!(ended, [&[0][..]]);
        let closed: Vec<_> = chunks.iter().flat_map(|chunk| chunk.closed.clone()).collect();
        // The thinking is sealed by its signature, before its block stops.
        assert_eq!(closed, [(0, 0), (0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]);
        assert_eq!(chunks.iter().filter(|chunk| chunk.tool_started).count(), 2);
        assert_eq!(chunks[0].model().as_deref(), Some("claude-sonnet-4-5-20250929"));
    }
}

#[test]
fn what_the_providers_own_tools_brought_is_text_too() {
    let expected = [
        "0 tool-arguments {\"que",
        "0 tool-arguments ry\": \"water\"}",
        "1! text Facts",
        "1! text https://example.org/f",
        "2! text Water is wet.",
        "2! text https://example.org/f",
        "2! text Facts",
        "2 text Water",
        "2 text  is wet.",
    ];
    assert_eq!(shown(&chunks(SEARCH, SEARCH.len())), expected);
}

#[test]
fn events_are_written_with_their_name_and_unchanged() {
    for frame in frames(TOOLS.as_bytes(), TOOLS.len()) {
        let mut chunk = Chunk::parse(HERE, &frame.data).unwrap();
        assert_eq!(chunk.encode(), frame.raw);
        if chunk.deltas.is_empty() {
            continue;
        }
        chunk.replace_delta(0, "\"new\"\n".to_owned());
        let mut again = Vec::new();
        sse::Framer::new(1 << 20).push(chunk.encode(), &mut again).unwrap();
        assert_eq!(again[0].event, frame.event);
        let read = Chunk::parse(HERE, &again[0].data).unwrap();
        assert_eq!(read.deltas[0].content.expose(), "\"new\"\n");
        // A frame made for the slot reads back into it.
        let slot = chunk.deltas[0].slot();
        let made = chunk.head().delta_frame(slot, "tail \"é\"");
        let mut again = Vec::new();
        sse::Framer::new(1 << 20).push(made, &mut again).unwrap();
        assert_eq!(again[0].event.as_deref(), Some(&b"content_block_delta"[..]));
        let read = Chunk::parse(HERE, &again[0].data).unwrap();
        assert_eq!(read.deltas[0].slot(), slot);
        assert_eq!(read.deltas[0].content.expose(), "tail \"é\"");
    }
}

#[test]
fn pitfall_11_frames_before_any_content_can_be_held() {
    let chunks = chunks(TOOLS, TOOLS.len());
    let held = chunks.iter().take_while(|chunk| chunk.is_lifecycle()).count();
    // The start, a ping, and the start of a block that is still empty.
    assert_eq!(held, 3);
    let sealed = r#"{"type":"content_block_start","index":0,
        "content_block":{"type":"redacted_thinking","data":"Emw"}}"#;
    assert!(parse(sealed).has_content());
    let tool = r#"{"type":"content_block_start","index":0,
        "content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
    assert!(parse(tool).has_content());
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let chunk = parse(error);
    assert!(!chunk.is_lifecycle() && !chunk.has_content());
    assert_eq!(chunk.error.unwrap().kind.as_deref(), Some("overloaded_error"));
}

#[test]
fn pitfall_38_cached_tokens_are_counted_once_and_alike_in_stream_and_body() {
    let answer = |body: &str| Answer::parse(HERE, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    assert_eq!(answer(TOOLS_WHOLE).usage, Some(USED));
    assert_eq!(used(&chunks(TOOLS, TOOLS.len())), USED);
    let found = Usage { searches: 1, ..USED };
    assert_eq!(answer(SEARCH_WHOLE).usage, Some(found));
    assert_eq!(used(&chunks(SEARCH, SEARCH.len())), found);
    assert_eq!(USED.input_tokens(), 4_312);
}

#[test]
fn code_that_anthropic_runs_is_counted_and_pages_that_it_fetches_are_not() {
    let body = r#"{"content":[{"type":"text","text":"4"}],"stop_reason":"end_turn","usage":{
        "input_tokens":9,"output_tokens":2,
        "server_tool_use":{"code_execution_requests":3,"web_fetch_requests":5}}}"#;
    let answer = Answer::parse(HERE, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let usage = answer.usage.unwrap();
    assert_eq!((usage.hosted_calls, usage.searches), (3, 0));
    assert!(!answer.declined);
    let refusal = body.replace("end_turn", "refusal");
    let refused = Answer::parse(HERE, Bytes::copy_from_slice(refusal.as_bytes())).unwrap();
    assert!(refused.declined);
}

#[test]
fn pitfall_40_counts_of_a_later_event_replace_and_never_add() {
    let start = r#"{"type":"message_start","message":{"model":"m","usage":{"input_tokens":10,
        "cache_read_input_tokens":5,"output_tokens":1}}}"#;
    let delta =
        |usage: &str| parse(&format!(r#"{{"type":"message_delta","delta":{{}},"usage":{usage}}}"#));
    let chunks = [parse(start), delta(r#"{"output_tokens":20}"#), delta(r#"{"output_tokens":30}"#)];
    let usage = used(&chunks);
    assert_eq!((usage.input_uncached, usage.cache_read, usage.output_text), (10, 5, 30));
    let restated = r#"{"input_tokens":11,"cache_read_input_tokens":null,"output_tokens":30,
        "output_tokens_details":{"thinking_tokens":12}}"#;
    let usage = used(&[parse(start), delta(restated)]);
    assert_eq!((usage.input_uncached, usage.cache_read), (11, 5));
    assert_eq!((usage.output_text, usage.output_reasoning), (18, 12));
}

#[test]
fn a_total_of_written_tokens_keeps_its_known_parts() {
    let mut usage = Usage::default();
    let parts = UsageUpdate {
        cache_write: Some(300),
        cache_write_5m: Some(100),
        cache_write_1h: Some(200),
        ..UsageUpdate::default()
    };
    parts.apply(&mut usage);
    UsageUpdate { cache_write: Some(300), ..UsageUpdate::default() }.apply(&mut usage);
    assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (100, 200));
    UsageUpdate { cache_write: Some(150), ..UsageUpdate::default() }.apply(&mut usage);
    assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (0, 150));
}

#[test]
fn texts_of_a_whole_message_are_found_and_written() {
    let body = Bytes::from_static(TOOLS_WHOLE.as_bytes());
    let mut answer = Answer::parse(HERE, body.clone()).unwrap();
    let texts: Vec<String> = (answer.texts.iter())
        .map(|text| format!("{} {}", text.channel.label(), text.content.expose()))
        .collect();
    let expected = [
        "reasoning Both cities at once.",
        "text I check the cafés of Zürich 😀.",
        "tool-arguments Zürich",
    ];
    assert_eq!(texts, expected);
    assert!(answer.tool_called && answer.has_content());
    assert_eq!(answer.service_tier.as_deref(), Some("standard"));
    assert_eq!(answer.encode(), body);
    answer.replace_text(2, "\"Bern\"".to_owned());
    let sent = String::from_utf8(answer.encode().to_vec()).unwrap();
    assert_eq!(sent, TOOLS_WHOLE.replace("\"Zürich\"", "\"\\\"Bern\\\"\""));
}

#[test]
fn errors_have_the_type_that_clients_choose_the_exception_by() {
    let facts = |status, code| error_body::ErrorFacts {
        message: "no \"luck\"",
        kind: "whatever",
        param: None,
        code,
        status,
        request_id: Some("req_1"),
    };
    let cases = [
        (400, None, "invalid_request_error"),
        (401, None, "authentication_error"),
        (402, None, "billing_error"),
        (403, None, "permission_error"),
        (404, None, "not_found_error"),
        (413, None, "request_too_large"),
        (422, None, "invalid_request_error"),
        (429, None, "rate_limit_error"),
        (429, Some("budget_exceeded"), "billing_error"),
        (500, None, "api_error"),
        (502, None, "api_error"),
        (503, None, "overloaded_error"),
        (504, None, "timeout_error"),
        (529, None, "overloaded_error"),
    ];
    for (status, code, kind) in cases {
        let body = error_body::encode(HERE, &facts(status, code));
        let expected = format!(
            "{{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\
             \"message\":\"no \\\"luck\\\"\"}},\"request_id\":\"req_1\"}}"
        );
        assert_eq!(body, expected.as_bytes());
        let error = error_body::parse(HERE, &body).unwrap();
        assert_eq!((error.kind.as_deref(), error.message.expose()), (Some(kind), "no \"luck\""));
    }
    let event = error_body::stream_event(HERE, &facts(529, None));
    assert!(event.starts_with(b"event: error\ndata: {\"type\":\"error\""));
    assert!(event.ends_with(b"}\n\n"));
}
