//! The pairs of one dialect with itself: what callers ask and providers answer passes byte for
//! byte, however a stream is cut. Never translates.

use bytes::Bytes;
use turnpike_protocol::sse::Frame;
use turnpike_protocol::{Answer, Chunk, Dialect, LimitField, Outgoing, Quirks};

use super::{callers, cases, parsed, wire};

#[test]
fn requests_and_answers_of_one_dialect_pass_as_they_came() {
    let quirks = Quirks::default();
    for dialect in callers() {
        for (case, body) in cases("asked", dialect) {
            // What carries the name of another issuer goes to no provider of this dialect.
            if body.contains("\"tp1.") && dialect == Dialect::AnthropicMessages {
                continue;
            }
            let call = parsed(dialect, &case, &body);
            let (model, limit_field) = (&call.model, LimitField::MaxCompletionTokens);
            let out = Outgoing {
                model,
                output_limit: None,
                model_limit: None,
                limit_field,
                quirks: &quirks,
            };
            let sent = call.encode(&out);
            // The usage of a stream of OpenAI chat is asked for in any case; here the caller does.
            let legacy = body.contains("\"max_tokens\"") && dialect == Dialect::OpenAiChat;
            let body = match legacy {
                true => body.replace("\"max_tokens\"", "\"max_completion_tokens\""),
                false => body,
            };
            assert_eq!(sent, body.trim_end(), "{} {case}", dialect.label());
        }
        for (case, body) in cases("answered", dialect) {
            if case.ends_with(" stream") || case.parse::<u16>().is_ok() {
                continue;
            }
            let body = Bytes::from(body.trim_end().to_owned());
            let answer = Answer::parse(dialect, body.clone()).unwrap();
            assert_eq!(answer.encode(), body, "{} {case}", dialect.label());
        }
    }
}

#[test]
fn streams_of_one_dialect_pass_as_they_came_cut_at_every_byte() {
    for dialect in Dialect::ALL {
        for (case, body) in cases("answered", dialect) {
            if !case.ends_with(" stream") {
                continue;
            }
            let bytes = wire::bytes(dialect, &body);
            let whole = frames(dialect, &[&bytes]);
            let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.raw.to_vec()).collect();
            assert!(raw == bytes, "{} {case}", dialect.label());
            for at in 1..bytes.len() {
                let (head, tail) = bytes.split_at(at);
                let cut = frames(dialect, &[head, tail]);
                // A line feed behind a carriage return may belong to the frame before or after.
                let said = |frames: &[Frame]| frames.iter().map(|f| f.data.clone()).collect();
                let (said, expected): (Vec<_>, Vec<_>) = (said(&cut), said(&whole));
                assert!(said == expected, "{case}: cut at {at}");
            }
            if !dialect.callers_speak() {
                continue;
            }
            for frame in whole.iter().filter(|frame| !Chunk::done_marker(&frame.data)) {
                let encoded = Chunk::parse(dialect, &frame.data).unwrap().encode();
                let raw = String::from_utf8(frame.raw.to_vec()).unwrap().replace('\r', "");
                assert_eq!(encoded, raw, "{} {case}", dialect.label());
            }
        }
    }
}

fn frames(dialect: Dialect, pieces: &[&[u8]]) -> Vec<Frame> {
    wire::framed(dialect, pieces).concat()
}
