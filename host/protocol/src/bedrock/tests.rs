//! Bedrock against the neutral model: Converse requests, answers, streams, and Anthropic's events
//! in their wrapping.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::call::{LimitField, Outgoing};
use crate::eventstream::{self, Parser};
use crate::neutral::fold::fold;
use crate::neutral::{
    Block, CacheMark, Effort, Event, Finish, Format, Issuer, Media, MediaKind, MediaSource, Part,
    Reasoning, Reply, Request, Signature, Speaker, Tool, ToolChoice, ToolKind, Turn,
};
use crate::sse::Frame;
use crate::{Losses, Quirks, Severity, base64};

use super::{anthropic_frame, decode, encode};

const REPLY: &str = include_str!("../../tests/golden/bedrock/reply.json");
const STREAM: &str = include_str!("../../tests/golden/bedrock/stream.jsonl");

fn write_as(request: &Request, quirks: &Quirks) -> (Value, Losses) {
    let out = Outgoing {
        model: "served",
        output_limit: Some(4096),
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks,
    };
    let mut losses = Losses::default();
    let body = encode::request(&request.numbered(), &out, &mut losses);
    (serde_json::from_slice(&body).unwrap(), losses)
}

fn write(request: &Request) -> (Value, Losses) {
    write_as(request, &Quirks::default())
}

fn turn(speaker: Speaker, parts: Vec<Part>) -> Turn {
    Turn { at: String::new(), speaker, parts, name: None }
}

fn call(id: &str, signature: Option<Signature>) -> Part {
    let (id, name, kind) = (id.to_owned(), "f".to_owned(), ToolKind::Function);
    Part::ToolCall { id, name, input: "{\"x\":1}".into(), kind, signature, cache: None }
}

fn result(call_id: &str, parts: Vec<Part>, failed: bool) -> Part {
    let (call_id, kind) = (call_id.to_owned(), ToolKind::Function);
    Part::ToolResult { call_id, name: None, kind, parts, failed, cache: None }
}

fn tool(kind: ToolKind, name: &str) -> Tool {
    let schema = Some(json!({"type": "object"}).into());
    let (name, cache) = (name.to_owned(), Some(CacheMark { ttl: None }));
    Tool { kind, name, description: Some("".into()), schema, strict: Some(true), cache }
}

fn thought(issuer: Issuer) -> Part {
    let signature = Some(Signature::new(issuer, "EqMB"));
    Part::Thinking { text: "hm".into(), signature }
}

/// A conversation with a call that is being answered.
fn answered(issuer: Issuer) -> Request {
    Request {
        turns: vec![
            turn(Speaker::User, vec![Part::text("hi")]),
            turn(Speaker::Assistant, vec![thought(issuer), call("functions.f:0", None)]),
            turn(Speaker::User, vec![result("functions.f:0", vec![Part::text("1")], true)]),
        ],
        reasoning: Some(Reasoning { effort: Some(Effort::High), ..Reasoning::default() }),
        ..Request::default()
    }
}

/// The events of the golden stream, one `name payload` a line, as messages.
fn messages() -> Vec<u8> {
    let lines = STREAM.lines().filter_map(|line| line.split_once(' '));
    let all: Vec<Bytes> =
        lines.map(|(name, payload)| eventstream::event(name, payload.as_bytes())).collect();
    all.concat()
}

fn events(parts: &[&[u8]]) -> Vec<Event> {
    let (mut parser, mut frames) = (Parser::new(1 << 20), Vec::new());
    for part in parts {
        parser.push(part, &mut frames).unwrap();
    }
    let (mut stream, mut out) = (decode::Stream::default(), Vec::new());
    for frame in &frames {
        stream.push(frame, &mut out).unwrap();
    }
    stream.finish(&mut out);
    out
}

fn lines(reply: &Reply) -> Vec<String> {
    let line = |block: &Block| match block {
        Block::Text { text, .. } => format!("text {}", text.0),
        Block::Thinking { text, signature } => {
            format!("think {} {}", text.0, signature.as_ref().map_or("", |proof| &proof.data.0))
        }
        Block::SealedThinking(signature) => format!("sealed {}", signature.data.0),
        Block::ToolCall { id, name, input, .. } => format!("call {id:?} {name} {}", input.0),
        other => format!("{other:?}"),
    };
    reply.choices.iter().flat_map(|choice| &choice.blocks).map(line).collect()
}

#[test]
fn pitfall_06_the_blocks_of_a_stream_are_those_of_the_whole_answer() {
    let whole = decode::reply(REPLY.as_bytes()).unwrap();
    let bytes = messages();
    let events = events(&[&bytes]);
    assert!(matches!(events.last(), Some(Event::End)));
    let streamed = fold(events);
    let expected = [
        "think Two numbers. EqMBCg==",
        "sealed AAEC",
        "text I will look.",
        r#"call Some("tooluse_1") find {"q":"jane"}"#,
        r#"call Some("tooluse_2") now {}"#,
    ];
    assert_eq!(lines(&whole), expected);
    assert_eq!(lines(&streamed), expected);
    assert_eq!(whole.choices[0].finish, Some(Finish::ToolCalls));
    assert_eq!(streamed.choices[0].finish, whole.choices[0].finish);
    assert_eq!((streamed.usage, &streamed.service_tier), (whole.usage, &whole.service_tier));
    let usage = whole.usage.unwrap();
    assert_eq!((usage.input_uncached, usage.cache_read), (20, 1000));
    assert_eq!((usage.cache_write_5m, usage.cache_write_1h, usage.output_text), (200, 100, 50));
}

#[test]
fn pitfall_36_a_stream_split_at_every_byte_reads_the_same() {
    let bytes = messages();
    let whole = format!("{:?}", events(&[&bytes]));
    for split in 0..bytes.len() {
        assert_eq!(format!("{:?}", events(&[&bytes[..split], &bytes[split..]])), whole, "{split}");
    }
}

#[test]
fn pitfall_29_a_stream_that_breaks_off_has_no_end() {
    let begun = eventstream::event("contentBlockDelta", br#"{"delta":{"text":"a"}}"#);
    assert!(!events(&[&begun]).iter().any(|event| matches!(event, Event::End)));
    let failed = eventstream::exception("throttlingException", br#"{"message":"slow"}"#);
    let events = events(&[&begun, &failed, &begun]);
    let Some(Event::Error(error)) = events.last() else { panic!() };
    assert_eq!(error.kind.as_deref(), Some("rate_limit_error"));
    assert_eq!(error.message.expose(), "slow");
}

#[test]
fn a_request_is_what_converse_documents() {
    let mark = || Some(CacheMark { ttl: Some("1h".to_owned()) });
    let system = Part::Text { text: "be brief".into(), cache: mark(), citations: Vec::new() };
    let media = |kind, media_type: &str| {
        let media_type = media_type.to_owned();
        let source = MediaSource::Inline { media_type, base64: "AAAA".into() };
        let (detail, context, cache) = (None, None, None);
        let name = Some("cv_jane.pdf".into());
        Part::Media(Media { kind, source, detail, name, context, citations: false, cache })
    };
    let mut request = answered(Issuer::Anthropic);
    request.system = vec![system];
    request.turns.insert(
        1,
        turn(
            Speaker::User,
            vec![
                media(MediaKind::Image, "image/jpg"),
                media(MediaKind::Document, "application/pdf"),
            ],
        ),
    );
    request.tools = vec![tool(ToolKind::Function, "f")];
    request.tool_choice = Some(ToolChoice::Auto);
    request.sampling.stop = vec!["END".into()];
    let schema = json!({"type": "object"}).into();
    request.format =
        Some(Format::Schema { name: "person".to_owned(), description: None, schema, strict: None });
    let (body, losses) = write(&request);
    let expected = json!({
        "messages": [
            {"role": "user", "content": [{"text": "hi"},
                {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
                {"document": {"format": "pdf", "name": "cv jane pdf 1",
                    "source": {"bytes": "AAAA"}}},
                {"text": "."}]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "EqMB"}}},
                {"toolUse": {"toolUseId": "functions_f_0", "name": "f", "input": {"x": 1}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "functions_f_0",
                "content": [{"text": "1"}], "status": "error"}}]}],
        "system": [{"text": "be brief"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "inferenceConfig": {"maxTokens": 4096, "stopSequences": ["END"]},
        "toolConfig": {"tools": [{"toolSpec": {"name": "f",
            "inputSchema": {"json": {"type": "object"}}, "strict": true}},
            {"cachePoint": {"type": "default"}}], "toolChoice": {"auto": {}}},
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema":
            {"schema": "{\"type\":\"object\"}", "name": "person"}}}},
        "additionalModelRequestFields":
            {"thinking": {"type": "enabled", "budget_tokens": 4095}},
    });
    assert_eq!(body, expected);
    assert_eq!(losses.worst(), Some(Severity::Approximated));
    let plain = Quirks { refused: vec!["cachePoint".to_owned()], ..Quirks::default() };
    assert!(!write_as(&request, &plain).0.to_string().contains("cachePoint"));
    let adaptive = Quirks { adaptive_thinking: true, ..Quirks::default() };
    let extra = write_as(&request, &adaptive).0["additionalModelRequestFields"].clone();
    assert_eq!(
        extra,
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}})
    );
}

/// Bedrock refuses `outputConfig` and `strict` for some models: "Extra inputs are not permitted".
#[test]
fn a_model_that_takes_no_schema_is_told_in_words() {
    let schema = json!({"type": "object"}).into();
    let format =
        Some(Format::Schema { name: "person".to_owned(), description: None, schema, strict: None });
    let asked = turn(Speaker::User, vec![Part::text("who?")]);
    let tools = vec![tool(ToolKind::Function, "f")];
    let request = Request { turns: vec![asked], tools, format, ..Request::default() };
    let told = Quirks { structured: crate::quirks::Structured::Nothing, ..Quirks::default() };
    let (body, losses) = write_as(&request, &told);
    assert_eq!(body.get("outputConfig"), None);
    let spec = &body["toolConfig"]["tools"][0]["toolSpec"];
    assert_eq!((spec["name"].as_str(), spec.get("strict")), (Some("f"), None));
    let words = body["system"][0]["text"].as_str().unwrap();
    assert!(words.contains(r#"{"type":"object"}"#), "{words}");
    let shown: Vec<String> = losses.iter().map(ToString::to_string).collect();
    assert_eq!((shown.len(), losses.worst()), (2, Some(Severity::Approximated)), "{shown:?}");
    let (body, losses) = write(&request);
    assert!(body.get("outputConfig").is_some() && losses.worst().is_none(), "{body}");
}

#[test]
fn pitfall_15_foreign_thinking_is_left_out_and_the_model_does_not_think_on() {
    let (body, losses) = write(&answered(Issuer::Gemini));
    assert!(!body.to_string().contains("EqMB"));
    assert_eq!(body.get("additionalModelRequestFields"), None);
    // A history of calls is refused without tools, so those that were called are offered.
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
    let shown: Vec<String> = losses.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
}

#[test]
fn what_converse_has_not_is_said() {
    let url = MediaSource::Url { url: "https://x.example/a.png".into(), media_type: None };
    let media = Media {
        kind: MediaKind::Image,
        source: url,
        detail: None,
        name: None,
        context: None,
        citations: false,
        cache: None,
    };
    let mut request = Request {
        turns: vec![
            turn(Speaker::Assistant, vec![Part::text("hello")]),
            turn(Speaker::User, vec![Part::Media(media), Part::text(" "), Part::text("go")]),
        ],
        tools: vec![
            tool(ToolKind::BuiltIn, "web_search"),
            tool(ToolKind::Function, "f"),
            tool(ToolKind::Function, "g"),
        ],
        tool_choice: Some(ToolChoice::Among { names: vec!["f".to_owned()], required: true }),
        choices: Some(2),
        logprobs: Some(0),
        reasoning: Some(Reasoning { budget: Some(2048), ..Reasoning::default() }),
        ..Request::default()
    };
    request.sampling.temperature = Some(1.into());
    let (body, losses) = write(&request);
    assert_eq!(
        body["messages"],
        json!([
        {"role": "user", "content": [{"text": "."}]},
        {"role": "assistant", "content": [{"text": "hello"}]},
        {"role": "user", "content": [{"text": "go"}]}])
    );
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 4096, "temperature": 1}));
    let shown: String = losses.iter().map(|loss| format!("{loss}\n")).collect();
    insta::assert_snapshot!(shown, @r"
    messages[1].url=unsupported (addresses are not fetched)
    messages=approximated (a first message of the user was added)
    tool_choice=approximated (the other tools are left out of the list)
    reasoning=dropped (refused with a forced call or calls of another model)
    n=unsupported (one answer at a time)
    logprobs=unsupported (probabilities are not told)
    ");
    request.tools.remove(0);
    request.tool_choice = Some(ToolChoice::None);
    assert_eq!(write(&request).0.get("toolConfig"), None);
    let extra = &write(&request).0["additionalModelRequestFields"];
    assert_eq!(extra["thinking"]["budget_tokens"], 2048);
}

#[test]
fn anthropics_events_come_out_of_their_wrapping() {
    let event =
        br#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#;
    let chunk = json!({"bytes": base64::encode(event), "p": "abcd"}).to_string();
    let exception = br#"{"message":"slow"}"#;
    let bytes = [
        eventstream::event("chunk", chunk.as_bytes()),
        eventstream::encode(&[(":message-type", "event")], b"{}"),
        eventstream::exception("modelStreamErrorException", exception),
        eventstream::event("chunk", b"{}"),
    ]
    .concat();
    let (mut parser, mut frames) = (Parser::new(1 << 20), Vec::new());
    parser.push(&bytes, &mut frames).unwrap();
    let first = anthropic_frame(&frames[0]).unwrap().unwrap();
    assert_eq!(first, Frame::made(Some("content_block_delta"), event));
    assert!(anthropic_frame(&frames[1]).unwrap().is_none());
    let failed = anthropic_frame(&frames[2]).unwrap().unwrap();
    let expected = br#"{"type":"error","error":{"type":"api_error","message":"slow"}}"#;
    assert_eq!(failed, Frame::made(Some("error"), expected));
    assert!(anthropic_frame(&frames[3]).is_err());
}

#[test]
fn error_bodies_are_read_in_both_spellings() {
    let read = |body: &'static str| super::error::parse(&Bytes::from_static(body.as_bytes()));
    let told = read(r#"{"__type":"com.amazon#ThrottlingException","Message":"slow"}"#).unwrap();
    assert_eq!(told.kind.as_deref(), Some("rate_limit_error"));
    assert_eq!(read(r#"{"message":"no"}"#).unwrap().message.expose(), "no");
    assert!(read("<html>").is_none() && read("{}").is_none());
    let reply = decode::reply(br#"{"message":"no"}"#).unwrap();
    assert!(reply.error.is_some());
    assert!(decode::reply(b"[]").is_err());
}
