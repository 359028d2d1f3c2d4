//! Which scans are remembered, and for whom.

use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

const PLACE: Place<'static> = Place { direction: "input", channel: "text", role: "user" };
const TEXT: &str = "an ordinary text, said again with every turn";

/// Actions of a span, as the contract numbers them.
const NOTE: i64 = 0;
const MASK: i64 = 1;

/// Findings of one span: the first two bytes, of kind `guest`.
fn span(action: i64) -> [(u32, i64); 7] {
    [(4, 2048), (8, 1), (1024, 0), (1028, 2), (1032, 0), (1036, 5), (1040, action)]
}

/// A session for a request with this key.
fn asking(engine: &Arc<PolicyEngine>, bindings: &Arc<BindingSet>, key: &str) -> Session {
    let mut session = session(engine, bindings);
    session.remember_clean_texts(&Arc::from(key));
    session
}

/// Asks about the text, and scans it where it is not known; whether it was known.
async fn known(engine: &Arc<PolicyEngine>, bindings: &Arc<BindingSet>, key: &str) -> bool {
    let mut session = asking(engine, bindings, key);
    let known = session.is_known_clean(PLACE, false, TEXT);
    if !known {
        session.scan(PLACE, TEXT, true).await.unwrap();
    }
    known
}

fn scanner(engine: &PolicyEngine, bytes: &[u8]) -> Arc<BindingSet> {
    bound(engine, Hook::Redact, bytes, OnFailure::Builtin)
}

#[tokio::test]
async fn a_clean_text_is_scanned_once_for_each_key_binding_and_place() {
    let engine = engine();
    let set = scanner(&engine, &redactor(&[]));
    assert!(!known(&engine, &set, "one").await);
    assert!(known(&engine, &set, "one").await);
    assert!(!known(&engine, &set, "two").await, "another key");
    let same_policy = scanner(&engine, &redactor(&[]));
    assert!(!known(&engine, &same_policy, "one").await, "another revision");

    let mut session = asking(&engine, &set, "one");
    for (place, json, text) in [
        (Place { role: "assistant", ..PLACE }, false, TEXT),
        (Place { channel: "tool-result", ..PLACE }, false, TEXT),
        (PLACE, true, TEXT),
        (PLACE, false, "another text"),
    ] {
        assert!(!session.is_known_clean(place, json, text), "{place:?} {json} {text}");
    }
    assert!(session.is_known_clean(PLACE, false, TEXT));
    let record = session.trace().first().unwrap();
    assert_eq!((record.hook, record.calls), (Hook::Redact, 0), "who decided is told all the same");
    let mut forgetful = super::guests::session(&engine, &set);
    assert!(!forgetful.is_known_clean(PLACE, false, TEXT), "where nobody asked for it");
}

#[tokio::test]
async fn a_scan_of_another_text_is_not_taken_for_it() {
    let engine = engine();
    let set = scanner(&engine, &redactor(&[]));
    let mut session = asking(&engine, &set, "one");
    assert!(!session.is_known_clean(PLACE, false, TEXT));
    session.scan(PLACE, TEXT, false).await.unwrap();
    assert!(!session.is_known_clean(PLACE, false, TEXT), "a window of a stream is no whole text");
    assert!(!session.is_known_clean(PLACE, false, "another text"));
    session.scan(PLACE, "another text", true).await.unwrap();
    assert!(!session.is_known_clean(PLACE, false, TEXT));
}

#[tokio::test]
async fn what_is_counted_or_replaced_is_scanned_every_time() {
    let engine = engine();
    for action in [NOTE, MASK] {
        let set = scanner(&engine, &redactor(&span(action)));
        assert!(!known(&engine, &set, "one").await);
        assert!(!known(&engine, &set, "one").await, "{action}");
    }
    // A data class, and nothing else.
    let set = scanner(&engine, &redactor(&[(16, 0), (20, 5)]));
    assert!(!known(&engine, &set, "one").await);
    assert!(!known(&engine, &set, "one").await);
}

#[tokio::test]
async fn a_failed_scan_is_not_remembered_though_the_built_in_stood_in() {
    let engine = engine();
    let set = scanner(&engine, &guest("redactor", SCAN, NINE, "(unreachable)"));
    assert!(!known(&engine, &set, "one").await);
    assert!(!known(&engine, &set, "one").await);
}

/// What it answers may depend on more than the text.
#[tokio::test]
async fn a_policy_that_looks_at_the_request_is_asked_every_time() {
    let engine = engine();
    let imports =
        r#"(import "turnpike:policy/request@0.1.0" "streaming" (func $ask (result i32)))"#;
    let scan = |body: &str| {
        let body = format!("{body} {}", answer(&[]));
        let function = format!(r#"(func (export "{SCAN}") {NINE} (result i32) {body})"#);
        wrap("redactor", &module(imports, &function, 1), None)
    };
    let looks = scanner(&engine, &scan("(drop (call $ask))"));
    assert!(!known(&engine, &looks, "one").await);
    assert!(!known(&engine, &looks, "one").await);
    let does_not = scanner(&engine, &scan(""));
    assert!(!known(&engine, &does_not, "one").await);
    assert!(known(&engine, &does_not, "one").await, "that it could is no matter");
}

#[tokio::test]
async fn a_chain_is_remembered_only_if_every_link_is_clean() {
    let engine = engine();
    let bind = |bytes: &[u8]| {
        let policy = engine.admit(bytes).unwrap();
        let deadline = Hook::Redact.default_deadline();
        Binding::new(policy, None, OnFailure::Builtin, deadline, 7)
    };
    for (second, remembered) in [(redactor(&[]), true), (redactor(&span(NOTE)), false)] {
        let head = bind(&redactor(&[])).followed_by(vec![Arc::new(bind(&second))]);
        let set = BindingSet::defaults(builtins(&engine)).with(Hook::Redact, Arc::new(head));
        let set = Arc::new(set);
        assert!(!known(&engine, &set, "one").await);
        assert_eq!(known(&engine, &set, "one").await, remembered);
    }
}
