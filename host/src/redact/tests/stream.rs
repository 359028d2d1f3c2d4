//! Streams. The law: however a text is cut into deltas and however the deltas come, the caller
//! reads what redacting the whole text would give.

use std::slice::from_ref;

use proptest::prelude::*;
use turnpike_protocol::sse::{DONE, Frame, Framer};
use turnpike_protocol::{Chunk, Slot};

use super::super::{StreamOptions, StreamRedactor};
use super::*;

mod last;
mod parts;

const SCANNED: StreamOptions =
    StreamOptions { dialect: Dialect::OpenAiChat, scan_output: true, include_usage: true };

/// Which member of a delta carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Content,
    Reasoning,
    Arguments,
}

fn event(payload: &Value) -> Vec<u8> {
    format!("data: {payload}\n\n").into_bytes()
}

fn chunk(choices: &Value) -> Vec<u8> {
    event(&json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": choices}))
}

fn delta(choice: u32, member: Member, text: &str) -> Vec<u8> {
    let delta = match member {
        Member::Content => json!({"content": text}),
        Member::Reasoning => json!({"reasoning_content": text}),
        Member::Arguments => {
            json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
        }
    };
    chunk(&json!([{"index": choice, "delta": delta, "finish_reason": null}]))
}

fn finish(choice: u32) -> Vec<u8> {
    chunk(&json!([{"index": choice, "delta": {}, "finish_reason": "stop"}]))
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut out = Vec::new();
    let mut framer = Framer::new(1 << 20);
    framer.push(Bytes::copy_from_slice(bytes), &mut out).unwrap();
    framer.finish(&mut out);
    out
}

/// Sends the batches through, and the end; returns what went out and the redactor.
fn relay(
    scan: &mut Words,
    redactor: &mut StreamRedactor,
    batches: &[Vec<u8>],
) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    for batch in batches {
        out.extend_from_slice(&now(redactor.push(scan, &frames(batch)))?);
    }
    out.extend_from_slice(&now(redactor.finish(scan))?);
    Ok(out)
}

/// The texts that a caller reads, by slot, in order of appearance.
fn read(bytes: &[u8]) -> Vec<(Slot, String)> {
    let mut texts: Vec<(Slot, String)> = Vec::new();
    for frame in frames(bytes) {
        if Chunk::done_marker(&frame.data) {
            continue;
        }
        for delta in Chunk::parse(Dialect::OpenAiChat, &frame.data).unwrap().deltas {
            let text = delta.content.expose();
            match texts.iter_mut().find(|(slot, _)| *slot == delta.slot()) {
                Some((_, known)) => known.push_str(text),
                None => texts.push((delta.slot(), text.to_owned())),
            }
        }
    }
    texts
}

/// What redacting the whole text gives.
fn expected(scan: &mut Words, pseudonyms: &mut Pseudonyms, member: Member, text: &str) -> String {
    let channel = match member {
        Member::Content => Channel::Text,
        Member::Reasoning => Channel::Reasoning,
        Member::Arguments => Channel::ToolArguments,
    };
    let place = Place { direction: Direction::Output, channel, role: Role::Assistant };
    let subject = Subject::of(place, text, Lexer::for_place(&place, pseudonyms));
    let findings = now(scan.scan(&place, &subject.reading.text, true)).unwrap();
    let new = subject.redacted(&findings, pseudonyms, &mut Summary::default()).unwrap();
    new.unwrap_or_else(|| text.to_owned())
}

fn known() -> (Words, Pseudonyms) {
    let mut scan = pseudonymizing();
    let pseudonyms = pseudonyms_for(&mut scan, &format!("me@x.org you@x.org {AWKWARD}"));
    (scan, pseudonyms)
}

/// Cuts `text` before the characters that `cuts` counts.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let mut out = vec![String::new()];
    for (at, letter) in text.chars().enumerate() {
        if cuts.contains(&at) {
            out.push(String::new());
        }
        out.last_mut().unwrap().push(letter);
    }
    out
}

/// Checks the law for one way of cutting, with the deltas in batches of `per_batch`.
fn check(member: Member, text: &str, cuts: &[usize], per_batch: usize) {
    let (mut scan, mut pseudonyms) = known();
    let wanted = expected(&mut scan, &mut pseudonyms, member, text);
    let mut stream: Vec<Vec<u8>> =
        pieces(text, cuts).iter().map(|piece| delta(0, member, piece)).collect();
    stream.extend([finish(0), DONE.to_vec()]);
    let batches: Vec<Vec<u8>> = stream.chunks(per_batch).map(|batch| batch.concat()).collect();
    let mut redactor = StreamRedactor::new(SCANNED, pseudonyms);
    let out = relay(&mut scan, &mut redactor, &batches).unwrap();
    let texts = read(&out);
    let got = texts.first().map(|(_, text)| text.as_str()).unwrap_or_default();
    assert_eq!(got, wanted, "{text:?} cut at {cuts:?}, {per_batch} a batch");
    assert_eq!(redactor.facts().delivered_bytes, wanted.len() as u64);
    assert!(redactor.facts().finished() && redactor.facts().done);
    if member == Member::Arguments {
        serde_json::from_str::<Value>(got).unwrap();
    }
}

const PROSE: &str = "<EMAIL_1> wrote ü@ to a@b.org, «x y» <EMAIL_ <<KEY_1>> TOKEN-42 c@d.e";
const ARGUMENTS: &str = concat!(
    r#"{"to":"a\nb@x.org","é":["\u003cKEY_1\u003e\ud83d\ude00","q\u0040r.st","#,
    r#""<EMAIL_2>\\<KEY_1>"],"t":"TOKEN-42"}"#
);

/// Pitfall 68: what is split over chunks must not pass.
#[test]
fn the_law_holds_for_every_cut() {
    for (member, text) in
        [(Member::Content, PROSE), (Member::Reasoning, PROSE), (Member::Arguments, ARGUMENTS)]
    {
        let length = text.chars().count();
        for cut in 0..length {
            for per_batch in [1, 2, 100] {
                check(member, text, &[cut], per_batch);
            }
            check(member, text, &[cut, cut + 1, cut + 3], 1);
        }
        let all: Vec<usize> = (0..length).collect();
        for per_batch in [1, 3, 7, 1000] {
            check(member, text, &all, per_batch);
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("<EMAIL_1>"),
        Just("<KEY_1>"),
        Just("<EMAIL_9>"),
        Just("me@x.org"),
        Just("q@r.st"),
        Just("«k»"),
        Just("«"),
        Just("TOKEN-42"),
        Just("TOKEN"),
        Just(" "),
        Just("<"),
        Just("é"),
        Just("\\"),
        Just("\""),
        Just("\n"),
        Just("EMAIL_1>"),
        Just("@"),
        Just("plain"),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn the_law_holds_for_any_text(
        text in any_text(),
        cuts in prop::collection::vec(0_usize..80, 0..10),
        per_batch in 1_usize..6,
    ) {
        check(Member::Content, &text, &cuts, per_batch);
        let arguments = json!({"k": text, "n": [text.len(), text]}).to_string();
        check(Member::Arguments, &arguments, &cuts, per_batch);
    }

    /// Choices come side by side, the parts of one choice one after another.
    #[test]
    fn choices_and_channels_do_not_mix(
        texts in prop::collection::vec(any_text(), 4),
        order in prop::collection::vec(0_u32..2, 0..60),
        per_batch in 1_usize..6,
    ) {
        let (mut scan, mut pseudonyms) = known();
        let lanes = [
            (0, Member::Reasoning),
            (1, Member::Content),
            (0, Member::Content),
            (1, Member::Arguments),
        ];
        let mut letters: Vec<_> = texts.iter().map(|text| text.chars()).collect();
        let mut stream = Vec::new();
        for choice in order {
            let open = |lane: &usize| {
                lanes[*lane].0 == choice && !letters[*lane].as_str().is_empty()
            };
            let Some(lane) = (0..4).find(open) else { continue };
            let piece: String = letters[lane].by_ref().take(2).collect();
            stream.push(delta(choice, lanes[lane].1, &piece));
        }
        for (lane, rest) in letters.iter().enumerate() {
            stream.push(delta(lanes[lane].0, lanes[lane].1, rest.as_str()));
        }
        stream.extend([finish(1), finish(0)]);
        let wanted: Vec<String> = texts.iter().zip(lanes)
            .map(|(text, lane)| expected(&mut scan, &mut pseudonyms, lane.1, text))
            .collect();
        let batches: Vec<Vec<u8>> = stream.chunks(per_batch).map(|batch| batch.concat()).collect();
        let mut redactor = StreamRedactor::new(SCANNED, pseudonyms);
        let out = relay(&mut scan, &mut redactor, &batches).unwrap();
        let got = read(&out);
        for (lane, wanted) in lanes.iter().zip(&wanted).filter(|(_, wanted)| !wanted.is_empty()) {
            let channel = match lane.1 {
                Member::Content => Channel::Text,
                Member::Reasoning => Channel::Reasoning,
                Member::Arguments => Channel::ToolArguments,
            };
            let same = |slot: &Slot| slot.choice == lane.0 && slot.channel == channel;
            let text = got.iter().find(|(slot, _)| same(slot)).map(|(_, text)| text);
            prop_assert_eq!(text, Some(wanted));
        }
        for choice in [0, 1] {
            let said = channels(&out, choice);
            prop_assert!(said.len() <= 2, "each part in one piece: {:?}", said);
        }
    }
}

/// The channels that a caller reads in one choice, in order, each run told once.
fn channels(bytes: &[u8], choice: u32) -> Vec<Channel> {
    let mut said = Vec::new();
    for frame in frames(bytes).iter().filter(|frame| !Chunk::done_marker(&frame.data)) {
        let chunk = Chunk::parse(Dialect::OpenAiChat, &frame.data).unwrap();
        let own = chunk.deltas.iter().filter(|delta| delta.choice == choice);
        said.extend(own.map(|delta| delta.channel));
    }
    said.dedup();
    said
}

#[test]
fn frames_pass_verbatim_when_nothing_is_found() {
    let odd = br#"data:{ "choices" : [{"delta":{"content":"caf\u00e9 ok "},"x":1}]}"#;
    let odd = [odd.as_slice(), b"\r\n\r\n"].concat();
    let stream = [b": keep-alive\n\n".as_slice(), &odd, &finish(0), DONE].concat();
    let (mut scan, pseudonyms) = known();
    for pseudonyms in [pseudonyms, Pseudonyms::new()] {
        for scan_output in [true, false] {
            let options = StreamOptions { scan_output, ..SCANNED };
            let mut redactor =
                StreamRedactor::new(options, pseudonyms_clone(&mut scan, &pseudonyms));
            let out = relay(&mut scan, &mut redactor, from_ref(&stream)).unwrap();
            assert_eq!(out, stream);
            assert!(redactor.facts().finished() && redactor.facts().content_seen);
            assert_eq!(redactor.facts().delivered_bytes, "café ok ".len() as u64);
        }
    }
}

/// The same pseudonyms again, or none.
fn pseudonyms_clone(scan: &mut Words, of: &Pseudonyms) -> Pseudonyms {
    if of.is_empty() { Pseudonyms::new() } else { pseudonyms_for(scan, "me@x.org") }
}

#[test]
fn nothing_is_held_when_nothing_may_begin() {
    let (mut scan, pseudonyms) = known();
    let mut redactor = StreamRedactor::new(SCANNED, pseudonyms);
    let first = delta(0, Member::Content, "done. ");
    let out = now(redactor.push(&mut scan, &frames(&first))).unwrap();
    assert_eq!(out, first);
    let second = delta(0, Member::Content, "maybe <EMA");
    let out = now(redactor.push(&mut scan, &frames(&second))).unwrap();
    assert_eq!(read(&out)[0].1, "maybe ");
}

#[test]
fn each_text_of_a_batch_is_scanned_once() {
    let mut scan = Words::default();
    let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
    let batch: Vec<u8> =
        (0..100).flat_map(|number| delta(number % 2, Member::Content, "ab ")).collect();
    let out = now(redactor.push(&mut scan, &frames(&batch))).unwrap();
    assert_eq!(out, batch);
    assert_eq!(scan.scanned.len(), 2);
    assert!(scan.scanned.iter().all(|(_, text, last)| text.len() == 150 && !last));
}

#[test]
fn what_is_held_leaves_before_the_end_of_its_choice() {
    let stream = [
        delta(0, Member::Content, "to a@b.org"),
        delta(1, Member::Content, "to c@d.org"),
        finish(0),
        DONE.to_vec(),
    ];
    let mut scan = Words::default();
    let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
    let out = String::from_utf8(relay(&mut scan, &mut redactor, &stream).unwrap()).unwrap();
    let positions: Vec<usize> =
        ["[EMAIL]", "\"stop\"", "[DONE]"].iter().map(|part| out.find(part).unwrap()).collect();
    assert!(positions.is_sorted(), "{out}");
    let second = out.rfind("[EMAIL]").unwrap();
    assert!(positions[1] < second && second < positions[2], "{out}");
    assert_eq!(redactor.facts().open_choices(), [1]);
    assert!(out.ends_with("data: [DONE]\n\n"), "nothing follows the end mark");
    assert!(out.contains("\"id\":\"c\""));
}

#[test]
fn a_stream_that_just_ends_loses_nothing() {
    let mut scan = Words::default();
    let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
    let stream = [delta(0, Member::Content, "to a@b.org or wor")];
    let out = relay(&mut scan, &mut redactor, &stream).unwrap();
    assert_eq!(read(&out)[0].1, "to [EMAIL] or wor");
    assert!(!redactor.facts().finished());
}

#[test]
fn a_block_in_mid_stream_refuses_the_rest() {
    for cuts in [vec![], vec![8], vec![5, 9, 12]] {
        let mut scan = Words::default();
        let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
        let stream: Vec<_> = pieces("some FORBIDDEN word ", &cuts)
            .iter()
            .map(|piece| delta(0, Member::Content, piece))
            .collect();
        let refused = relay(&mut scan, &mut redactor, &stream).unwrap_err();
        assert_eq!(refused, Refusal::Blocked { reason: "that word".into() });
    }
}

#[test]
fn what_cannot_be_read_passes_only_if_nobody_wants_to_check_it() {
    let broken = b"data: {\"choices\":\n\n".to_vec();
    let mut scan = Words::default();
    let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
    let refused = relay(&mut scan, &mut redactor, from_ref(&broken));
    assert!(matches!(refused, Err(Refusal::Unreadable)), "the provider's fault");
    let options = StreamOptions { scan_output: false, ..SCANNED };
    let mut redactor = StreamRedactor::new(options, Pseudonyms::new());
    assert_eq!(relay(&mut scan, &mut redactor, from_ref(&broken)).unwrap(), broken);
    assert_eq!(redactor.facts().unreadable, 1);
}

/// Pitfall 33: usage is always asked for, and handed on only to callers that asked.
#[test]
fn the_usage_chunk_reaches_only_those_who_asked() {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    let usage = event(&json!({"id": "c", "choices": [], "usage": usage, "service_tier": "flex"}));
    let stream = [delta(0, Member::Content, "hi "), finish(0), usage, DONE.to_vec()].concat();
    let (mut scan, _) = known();
    for (scan_output, include_usage) in [(true, true), (true, false), (false, true), (false, false)]
    {
        let options = StreamOptions { scan_output, include_usage, ..SCANNED };
        let mut redactor = StreamRedactor::new(options, Pseudonyms::new());
        let out = relay(&mut scan, &mut redactor, from_ref(&stream)).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.contains("prompt_tokens"), include_usage);
        assert!(out.ends_with("data: [DONE]\n\n"));
        let facts = redactor.facts();
        assert_eq!(facts.usage.unwrap().input_uncached, 3);
        assert_eq!(facts.service_tier.as_deref(), Some("flex"));
        assert_eq!(facts.model.as_deref(), Some("m"));
    }
}

/// Pitfall 44: the text of an error is not an answer.
#[test]
fn an_error_event_is_a_fact_and_not_content() {
    let error = event(&json!({"error": {"message": "overloaded", "type": "server_error"}}));
    for scan_output in [true, false] {
        let options = StreamOptions { scan_output, ..SCANNED };
        let mut redactor = StreamRedactor::new(options, Pseudonyms::new());
        let out = relay(&mut Words::default(), &mut redactor, from_ref(&error)).unwrap();
        assert_eq!(out, error);
        let facts = redactor.facts();
        assert_eq!(facts.error.as_ref().unwrap().kind.as_deref(), Some("server_error"));
        assert!(!facts.content_seen);
        assert_eq!(facts.delivered_bytes, 0);
    }
}

#[test]
fn no_more_is_held_than_the_bound() {
    let greedy = Findings { hold: u32::MAX, ..Findings::default() };
    let mut redactor = StreamRedactor::new(SCANNED, Pseudonyms::new());
    let mut sent = 0;
    for _ in 0..10 {
        let batch = delta(0, Member::Content, &"é".repeat(1000));
        let out = now(redactor.push(&mut Fixed(Ok(greedy.clone())), &frames(&batch))).unwrap();
        sent += read(&out).iter().map(|(_, text)| text.len()).sum::<usize>();
    }
    assert_eq!(sent, 20_000 - HOLD_BYTES_MAX);
}

#[test]
fn the_room_runs_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let (mut scan, mut pseudonyms) = known();
    let mut call = call(&json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}));
    is_send(&redact_call(&mut scan, &mut call, &mut pseudonyms));
    let mut answer = answer(&json!({"role": "assistant", "content": "x"}));
    is_send(&redact_answer(&mut scan, &mut answer, &mut pseudonyms, true));
    let mut redactor = StreamRedactor::new(SCANNED, pseudonyms);
    is_send(&redactor.push(&mut scan, &[]));
    is_send(&redactor.finish(&mut scan));
}

/// A delta with the probabilities of its tokens.
fn likely(text: &str) -> Vec<u8> {
    let logprobs = json!({"content": [{"token": text, "bytes": text.as_bytes()}]});
    chunk(&json!([{"index": 0, "delta": {"content": text}, "logprobs": logprobs,
        "finish_reason": null}]))
}

#[test]
fn probabilities_of_tokens_do_not_go_on_with_what_was_held_masked_or_restored() {
    let (mut scan, pseudonyms) = known();
    let mut redactor = StreamRedactor::new(SCANNED, pseudonyms);
    let pieces = ["clean ", "mail <EMA", "IL_1> now ", "then ", "q@r.st "];
    let mut batches: Vec<Vec<u8>> = pieces.iter().map(|piece| likely(piece)).collect();
    batches.extend([finish(0), DONE.to_vec()]);
    let out = relay(&mut scan, &mut redactor, &batches).unwrap();
    let text = String::from_utf8(out.clone()).unwrap();
    assert!(text.contains(r#""token":"clean ""#), "nothing was changed yet: {text}");
    for told in ["\"token\":\"mail", "IL_1", "\"token\":\"then", "q@r.st"] {
        assert!(!text.contains(told), "{told} in {text}");
    }
    assert!(text.contains(r#""logprobs":null"#), "{text}");
    let events = frames(&out);
    let events = events.iter().filter(|frame| !Chunk::done_marker(&frame.data));
    events.for_each(|frame| drop(serde_json::from_slice::<Value>(&frame.data).unwrap()));
}
