//! Redaction of calls and whole answers, with a scanner whose findings are easy to foresee.

#![allow(clippy::string_slice, reason = "a test may panic, and these texts are its own")]

/// The room's function takes a shared call; the tests own theirs.
async fn redact_call_where(
    scan: &mut impl Scan,
    call: &mut Call,
    pseudonyms: &mut Pseudonyms,
    wanted: impl Fn(&Text) -> bool,
) -> Result<Summary, Refusal> {
    let mut shared = std::sync::Arc::new(call.clone());
    let result = super::redact_call_where(scan, &mut shared, pseudonyms, wanted).await;
    *call = std::sync::Arc::unwrap_or_clone(shared);
    result
}

async fn redact_call(
    scan: &mut impl Scan,
    call: &mut Call,
    pseudonyms: &mut Pseudonyms,
) -> Result<Summary, Refusal> {
    redact_call_where(scan, call, pseudonyms, |_| true).await
}

mod stream;

use std::collections::HashMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::{Dialect, LimitField, Outgoing, Quirks};

use super::*;

/// Finds e-mail addresses, the word `TOKEN-42`, the word `FORBIDDEN`, and whatever stands in «».
#[derive(Default)]
pub(super) struct Words {
    /// By kind; a mask where nothing is said.
    pub(super) actions: HashMap<&'static str, Action>,
    /// Every text that was scanned.
    pub(super) scanned: Vec<(Place, String, bool)>,
}

impl Words {
    pub(super) fn with(kind: &'static str, action: Action) -> Self {
        Self { actions: HashMap::from([(kind, action)]), scanned: Vec::new() }
    }

    fn span(&self, kind: &'static str, start: usize, end: usize) -> Span {
        let action = match kind {
            "forbidden" => Action::Block("that word".into()),
            _ => self.actions.get(kind).cloned().unwrap_or(Action::Mask),
        };
        let (start, length) = (start.try_into().unwrap(), (end - start).try_into().unwrap());
        Span { start, length, kind: kind.into(), action }
    }
}

fn in_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._%+-@".contains(letter)
}

impl Scan for Words {
    async fn scan(
        &mut self,
        place: &Place,
        text: &str,
        last: bool,
    ) -> Result<Findings, ScanFailure> {
        self.scanned.push((*place, text.to_owned(), last));
        let mut spans = Vec::new();
        let mut at = 0;
        let mut open = None;
        while at < text.len() {
            let rest = &text[at..];
            if rest.starts_with('«') {
                let Some(end) = rest.find('»') else {
                    open = Some(text.len() - at);
                    break;
                };
                let end = at + end + '»'.len_utf8();
                spans.push(self.span("key", at, end));
                at = end;
                continue;
            }
            let length = rest.find(|letter| !in_word(letter)).unwrap_or(rest.len());
            let word = &rest[..length];
            match word.split_once('@') {
                Some((name, host)) if !name.is_empty() && host.contains('.') => {
                    spans.push(self.span("email", at, at + length));
                }
                _ if word == "TOKEN-42" => spans.push(self.span("token", at, at + length)),
                _ if word == "FORBIDDEN" => spans.push(self.span("forbidden", at, at + length)),
                _ => {}
            }
            at += length + rest[length..].chars().next().map_or(0, char::len_utf8);
        }
        let word = text.len() - text.trim_end_matches(in_word).len();
        let hold = if last { 0 } else { open.unwrap_or(word) };
        Ok(Findings { spans, hold: hold.try_into().unwrap(), data_class: String::new() })
    }
}

/// Says the same about every text.
pub(super) struct Fixed(pub(super) Result<Findings, ScanFailure>);

impl Scan for Fixed {
    async fn scan(&mut self, _: &Place, _: &str, _: bool) -> Result<Findings, ScanFailure> {
        self.0.clone()
    }
}

/// The value of a future that has nothing to wait for.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

pub(super) fn call(body: &Value) -> Call {
    Call::parse(Dialect::OpenAiChat, Bytes::from(body.to_string())).unwrap()
}

fn sent(call: &Call) -> Value {
    let outgoing = Outgoing {
        model: "m",
        output_limit: None,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &Quirks::default(),
    };
    serde_json::from_slice(&call.encode(&outgoing)).unwrap()
}

/// The pseudonyms of a call with these words in it.
pub(super) fn pseudonyms_for(scan: &mut Words, words: &str) -> Pseudonyms {
    let mut call = call(&json!({"model": "m", "messages": [{"role": "user", "content": words}]}));
    let mut pseudonyms = Pseudonyms::new();
    now(redact_call(scan, &mut call, &mut pseudonyms)).unwrap();
    pseudonyms
}

pub(super) fn pseudonymizing() -> Words {
    let mut scan = Words::with("email", Action::Pseudonymize);
    scan.actions.insert("key", Action::Pseudonymize);
    scan
}

fn answer(message: &Value) -> Answer {
    let body = json!({"id": "x", "choices": [{"index": 0, "message": message}]});
    Answer::parse(Dialect::OpenAiChat, Bytes::from(body.to_string())).unwrap()
}

fn message_of(answer: &Answer) -> Value {
    let body: Value = serde_json::from_slice(&answer.encode()).unwrap();
    body["choices"][0]["message"].clone()
}

/// Pitfall 69: a guardrail that skips some of the texts is none.
#[test]
fn every_text_of_a_call_is_scanned_and_masked_by_kind() {
    let mut call = call(&json!({
        "model": "m", "user": "who@ex.org",
        "messages": [
            {"role": "system", "content": "ask boss@ex.org"},
            {"role": "user", "name": "n@ex.org", "content": [{"type": "text", "text": "TOKEN-42"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
                "function": {"name": "f", "arguments": "{\"to\":\"a@ex.org\"}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "sent to b@ex.org"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "mail c@ex.org",
            "parameters": {"type": "object", "description": "d@ex.org"}}}]
    }));
    let mut pseudonyms = Pseudonyms::new();
    let mut scan = Words::default();
    let summary = now(redact_call(&mut scan, &mut call, &mut pseudonyms)).unwrap();
    let sent = sent(&call);
    assert!(!sent.to_string().contains("@ex.org"), "{sent}");
    assert_eq!(sent["messages"][0]["content"], "ask [EMAIL]");
    assert_eq!(sent["messages"][1]["content"][0]["text"], "[TOKEN]");
    let arguments = &sent["messages"][2]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(arguments, "{\"to\":\"[EMAIL]\"}");
    let emails = Count { kind: "email".into(), action: "mask", count: 7 };
    assert!(summary.counts.contains(&emails), "{summary:?}");
    assert_eq!(summary.total(), 8);
    assert!(scan.scanned.iter().all(|(place, ..)| place.direction == Direction::Input));
    assert!(pseudonyms.is_empty());
}

#[test]
fn one_original_has_one_pseudonym_and_none_that_the_caller_wrote() {
    let text = "a@x.org b@x.org a@x.org and literally <EMAIL_2>";
    let mut call = call(&json!({"model": "m", "messages": [{"role": "user", "content": text}]}));
    let mut pseudonyms = Pseudonyms::new();
    now(redact_call(&mut pseudonymizing(), &mut call, &mut pseudonyms)).unwrap();
    let expected = "<EMAIL_1> <EMAIL_3> <EMAIL_1> and literally <EMAIL_2>";
    assert_eq!(sent(&call)["messages"][0]["content"], expected);
    assert_eq!(pseudonyms.len(), 2);
    assert_eq!(format!("{pseudonyms:?}"), "Pseudonyms(2)");
}

#[test]
fn what_exceeds_the_number_of_pseudonyms_is_masked() {
    let many: Vec<String> = (0..4100).map(|number| format!("u{number}@x.org")).collect();
    let text = many.join(" ");
    let mut call = call(&json!({"model": "m", "messages": [{"role": "user", "content": text}]}));
    let mut pseudonyms = Pseudonyms::new();
    now(redact_call(&mut pseudonymizing(), &mut call, &mut pseudonyms)).unwrap();
    let sent = sent(&call).to_string();
    assert_eq!(pseudonyms.len(), 4096);
    assert_eq!(sent.matches("[EMAIL]").count(), 4);
    assert!(!sent.contains("@x.org"));
}

#[test]
fn a_block_a_failure_and_nonsense_all_refuse() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "so FORBIDDEN é"}]});
    let mut none = Pseudonyms::new();
    let refused = now(redact_call(&mut Words::default(), &mut call(&body), &mut none));
    assert_eq!(refused.unwrap_err(), Refusal::Blocked { reason: "that word".into() });
    let failure = ScanFailure::new("trap");
    let refused = now(redact_call(&mut Fixed(Err(failure.clone())), &mut call(&body), &mut none));
    assert_eq!(refused.unwrap_err(), Refusal::Failed(failure));
    let span = |start, length| Span { start, length, kind: "k".into(), action: Action::Mask };
    let nonsense = [
        vec![span(0, 0)],
        vec![span(0, 99)],
        vec![span(14, 1)],
        vec![span(15, 1)],
        vec![span(4, 2), span(2, 1)],
        vec![span(0, 3), span(2, 3)],
        vec![span(u32::MAX, u32::MAX)],
    ];
    for spans in nonsense {
        let findings = Findings { spans, ..Findings::default() };
        let refused = now(redact_call(&mut Fixed(Ok(findings)), &mut call(&body), &mut none));
        assert!(matches!(refused, Err(Refusal::Failed(_))));
    }
}

#[test]
fn texts_known_to_be_clean_are_not_scanned_again() {
    let mut call = call(&json!({"model": "m", "messages": [
        {"role": "user", "content": "old a@x.org"}, {"role": "user", "content": "new b@x.org"}]}));
    let mut scan = Words::default();
    let fresh = |text: &Text| text.message == Some(1);
    now(redact_call_where(&mut scan, &mut call, &mut Pseudonyms::new(), fresh)).unwrap();
    assert_eq!(scan.scanned.len(), 1);
    assert_eq!(sent(&call)["messages"][0]["content"], "old a@x.org");
    assert_eq!(sent(&call)["messages"][1]["content"], "new [EMAIL]");
}

#[test]
fn replacements_notes_and_classes_are_carried_out_and_counted() {
    let span = |start, action| Span { start, length: 1, kind: "k".into(), action };
    let spans = vec![span(0, Action::Replace("\"q\"".into())), span(1, Action::Note)];
    let findings = Findings { spans, hold: 0, data_class: "confidential".into() };
    let mut call = call(&json!({"model": "m", "messages": [{"role": "user", "content": "abc"}]}));
    let summary =
        now(redact_call(&mut Fixed(Ok(findings)), &mut call, &mut Pseudonyms::new())).unwrap();
    assert_eq!(sent(&call)["messages"][0]["content"], "\"q\"bc");
    assert_eq!(summary.data_classes, ["confidential"]);
    let counted: Vec<_> = summary.counts.iter().map(|count| count.action).collect();
    assert_eq!(counted, ["replace", "note"]);
    assert!(!format!("{:?}", Action::Replace("canary".into())).contains("canary"));
}

#[test]
fn a_summary_is_bounded() {
    let mut summary = Summary::default();
    for kind in 0..1000 {
        summary.count(&format!("kind-{kind}"), "mask");
    }
    assert_eq!(summary.counts.len(), COUNTS_MAX);
    assert_eq!(summary.total(), 1000);
}

#[test]
fn an_answer_is_scanned_and_then_restored() {
    let mut scan = pseudonymizing();
    let mut pseudonyms = pseudonyms_for(&mut scan, "mail me@x.org");
    let mut answer = answer(&json!({"role": "assistant",
        "content": "<EMAIL_1>, not <EMAIL_2> or other@x.org, but me@x.org"}));
    let summary = now(redact_answer(&mut scan, &mut answer, &mut pseudonyms, true)).unwrap();
    let expected = "me@x.org, not <EMAIL_2> or [EMAIL], but me@x.org";
    assert_eq!(message_of(&answer)["content"], expected);
    assert_eq!(summary.restored, 1);
}

#[test]
fn without_output_scanning_an_answer_is_only_restored() {
    let mut scan = pseudonymizing();
    let mut pseudonyms = pseudonyms_for(&mut scan, "mail me@x.org");
    let scans = scan.scanned.len();
    let mut answer = answer(&json!({"role": "assistant", "content": "a@b.org <EMAIL_1>"}));
    now(redact_answer(&mut scan, &mut answer, &mut pseudonyms, false)).unwrap();
    assert_eq!(message_of(&answer)["content"], "a@b.org me@x.org");
    assert_eq!(scan.scanned.len(), scans);
}

pub(super) const AWKWARD: &str = "«line \"one\"\n\\line two»";

/// An answer that calls a tool with `arguments`, restored; the arguments as the tool reads them.
fn restored_arguments(arguments: &str) -> Value {
    let mut scan = pseudonymizing();
    let mut pseudonyms = pseudonyms_for(&mut scan, AWKWARD);
    let mut answer = answer(&json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]}));
    now(redact_answer(&mut scan, &mut answer, &mut pseudonyms, true)).unwrap();
    let message = message_of(&answer);
    let arguments = message["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    serde_json::from_str(arguments).unwrap()
}

#[test]
fn restored_tool_arguments_are_json_however_the_model_wrote_the_brackets() {
    let ways =
        ["<KEY_1>", "\\u003cKEY_1\\u003e", "\\u003CKEY_1>", "<KEY_1\\u003E", "<\\u004bEY_1>"];
    for written in ways {
        let read = restored_arguments(&format!("{{\"k\":\"a {written}\",\"n\":1}}"));
        assert_eq!(read, json!({"k": format!("a {AWKWARD}"), "n": 1}), "{written}");
    }
    // An escaped backslash in front of `u003c` makes it plain letters.
    let read = restored_arguments("{\"k\":\"\\\\u003cKEY_1>\"}");
    assert_eq!(read, json!({"k": "\\u003cKEY_1>"}));
}

#[test]
fn what_is_found_in_tool_arguments_leaves_them_json() {
    // Escapes are resolved before the scan: the n of a line break is no part of the address.
    let read = restored_arguments("{\"k\":\"a\\nb@x.org\\n\",\"l\":\"\\u00e9TOKEN-42\"}");
    assert_eq!(read, json!({"k": "a\n[EMAIL]\n", "l": "é[TOKEN]"}));
    let cases = [
        ("{\"pin\":1234,\"b\":2}", "{\"pin\":\"[K]\",\"b\":2}", 7, 4),
        ("{\"pin\":\"1234\",\"b\":2}", "{\"[K]\":\"[K]\",\"[K]\":\"[K]\"}", 1, 18),
        ("{\"a\":[1,2]}", "{\"[K]\":[\"[K]\",\"[K]\"]}", 0, 11),
        ("{\"a\":\"b\\\"c\"}", "{\"a\":\"[K]c\"}", 6, 2),
        ("{\"a\":\"b\\\"c\"}", "{\"a\":\"b[K]\"}", 7, 3),
        ("{\"a\":\"\\ud83d\\ude00c\"}", "{\"a\":\"\\ud83d\\ude00[K]\"}", 10, 1),
    ];
    for (before, after, start, length) in cases {
        let span = Span { start, length, kind: "k".into(), action: Action::Mask };
        let findings = Findings { spans: vec![span], ..Findings::default() };
        let place = Place {
            direction: Direction::Output,
            channel: Channel::ToolArguments,
            role: Role::Assistant,
        };
        let (mut none, mut summary) = (Pseudonyms::new(), Summary::default());
        let subject = Subject::of(place, before, Lexer::for_place(&place, &none));
        let new = subject.redacted(&findings, &mut none, &mut summary).unwrap().unwrap();
        assert_eq!(new, after);
        serde_json::from_str::<Value>(&new).unwrap();
    }
}

#[test]
fn a_tool_input_that_is_not_json_is_treated_as_prose() {
    let mut scan = pseudonymizing();
    let mut pseudonyms = pseudonyms_for(&mut scan, AWKWARD);
    let mut answer = answer(&json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "1", "type": "custom", "custom": {"name": "f", "input": "say <KEY_1> a@x.org"}}]}));
    now(redact_answer(&mut scan, &mut answer, &mut pseudonyms, true)).unwrap();
    let input = &message_of(&answer)["tool_calls"][0]["custom"]["input"];
    assert_eq!(input, &format!("say {AWKWARD} [EMAIL]"));
}

#[test]
fn a_structured_answer_stays_json_when_it_is_restored() {
    let mut scan = pseudonymizing();
    let mut call = call(&json!({"model": "m", "response_format": {"type": "json_object"},
        "messages": [{"role": "user", "content": AWKWARD}]}));
    let mut pseudonyms = Pseudonyms::new();
    now(redact_call(&mut scan, &mut call, &mut pseudonyms)).unwrap();
    let content = "{\"k\":\"<KEY_1>\"}";
    let mut answer = answer(&json!({"role": "assistant", "content": content}));
    now(redact_answer(&mut scan, &mut answer, &mut pseudonyms, true)).unwrap();
    let message = message_of(&answer);
    let read: Value = serde_json::from_str(message["content"].as_str().unwrap()).unwrap();
    assert_eq!(read, json!({"k": AWKWARD}));
}

/// A name that stands in several places has the same pseudonym in all of them.
#[test]
fn what_must_match_elsewhere_is_replaced_alike() {
    let body = json!({"model": "m", "metadata": {"a@b.org": 1}, "messages": [
        {"role": "assistant", "tool_calls": [{"id": "a@b.org", "type": "function",
            "function": {"name": "find", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a@b.org", "content": "found"}],
        "tools": [{"type": "function", "function": {"name": "find", "parameters": {
            "properties": {"a@b.org": {"type": "string"}}, "required": ["a@b.org"]}}}]});
    let mut call = Call::parse(Dialect::OpenAiChat, body.to_string().into()).unwrap();
    let mut scan = Words::with("email", Action::Pseudonymize);
    now(redact_call(&mut scan, &mut call, &mut Pseudonyms::new())).unwrap();
    let out = Outgoing {
        model: "m",
        output_limit: None,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &Quirks::default(),
    };
    let sent = String::from_utf8(call.encode(&out).to_vec()).unwrap();
    let wanted = body.to_string().replace("a@b.org", "<EMAIL_1>");
    assert_eq!(sent, wanted);
}
