//! What the hooks are shown, what their answers must look like, and who decides on failure.

use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

const PLACE: Place<'static> = Place { direction: "input", channel: "text", role: "user" };

async fn scan(bytes: &[u8], on_failure: OnFailure) -> Result<Findings, PolicyFailure> {
    let engine = engine();
    let bindings = bound(&engine, Hook::Redact, bytes, on_failure);
    session(&engine, &bindings).scan(PLACE, "über", false).await
}

/// One span, stored at 2048: start, length, kind `guest`, action mask.
fn spans(list: &[(u32, u32)]) -> Vec<u8> {
    let mut body = String::new();
    for (at, (start, length)) in list.iter().enumerate() {
        let at = 2048 + 28 * at;
        for (offset, value) in [(0, *start), (4, *length), (8, 0), (12, 5), (16, 1)] {
            let at = at + offset;
            body.push_str(&format!("(i32.store (i32.const {at}) (i32.const {value})) "));
        }
    }
    let count = i64::try_from(list.len()).unwrap();
    guest("redactor", SCAN, NINE, &(body + &answer(&[(4, 2048), (8, count)])))
}

#[tokio::test]
async fn spans_must_be_ordered_apart_and_at_characters() {
    let good = scan(&spans(&[(0, 2), (2, 1)]), OnFailure::Closed).await.unwrap();
    let read: Vec<_> = good.spans.iter().map(|span| (span.start, span.length)).collect();
    assert_eq!(read, [(0, 2), (2, 1)]);
    assert!(good.spans.iter().all(|it| it.kind == "guest" && it.action == Action::Mask));
    let bad: [&[(u32, u32)]; 5] =
        [&[(2, 1), (0, 2)], &[(0, 3), (2, 1)], &[(1, 1)], &[(0, 99)], &[(2, 0)]];
    for list in bad {
        let failure = scan(&spans(list), OnFailure::Closed).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Nonsense, "{list:?}: {failure}");
    }
}

#[tokio::test]
async fn held_bytes_are_bounded_and_whole() {
    assert_eq!(scan(&redactor(&[(12, 2)]), OnFailure::Closed).await.map(|it| it.hold), Ok(2));
    for hold in [4, 6, 5000] {
        let failure = scan(&redactor(&[(12, hold)]), OnFailure::Closed).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Nonsense, "{hold}: {failure}");
    }
    let engine = engine();
    let bindings = bound(&engine, Hook::Redact, &redactor(&[(12, 2)]), OnFailure::Closed);
    let last = session(&engine, &bindings).scan(PLACE, "über", true).await;
    assert_eq!(last.unwrap_err().kind, FailureKind::Nonsense);
}

#[tokio::test]
async fn a_failed_scan_closes_opens_or_falls_back_as_bound() {
    let trap = guest("redactor", SCAN, NINE, "(unreachable)");
    assert_eq!(scan(&trap, OnFailure::Closed).await.unwrap_err().kind, FailureKind::Trap);
    assert_eq!(scan(&trap, OnFailure::Open).await, Ok(Findings::default()));
    assert_eq!(scan(&trap, OnFailure::Builtin).await, Ok(Findings::default()));
}

#[tokio::test]
async fn abstaining_is_not_failing() {
    let engine = engine();
    let abstains = classifier_that(&answer(&[(0, 1)]));
    let bindings = bound(&engine, Hook::Classify, &abstains, OnFailure::Closed);
    for _ in 0..20 {
        let verdict = session(&engine, &bindings).classify().await;
        assert_eq!(verdict.value.map(|it| it.difficulty), Some(0.5));
        assert!(verdict.failure.is_some_and(|failure| failure.is_normal()));
    }
}

#[tokio::test]
async fn what_a_guest_says_stays_in_its_log() {
    let engine = engine();
    // Internal, in the words at 0.
    let bytes = classifier_that(&answer(&[(0, 1), (8, 2), (12, 0), (16, 5)]));
    let bindings = bound(&engine, Hook::Classify, &bytes, OnFailure::Builtin);
    let failure = session(&engine, &bindings).classify().await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Internal);
    assert!(!failure.to_string().contains(": guest"), "{failure}");
    let said: Vec<_> =
        bindings.classify.log.lines().iter().map(|l| l.expose().to_owned()).collect();
    assert_eq!(said, ["guest"]);
}

/// A guest that answers the length of the text it could read of the first message.
fn reader(export: &str, params: &str, world: &str, rest: &str) -> Vec<u8> {
    let imports = r#"(import "turnpike:policy/request@0.1.0" "message-text"
        (func $text (param i32 i32 i32 i32)))"#;
    let function = format!(
        r#"(func (export "{export}") {params} (result i32)
            (call $text (i32.const 0) (i32.const 0) (i32.const 9999) (i32.const 3000)) {rest})"#
    );
    wrap(world, &module(imports, &function, 1), None)
}

#[tokio::test]
async fn only_hooks_that_may_read_get_text() {
    let engine = engine();
    let store = "(i32.store (i32.const 1064) (i32.load (i32.const 3004)))";
    let bytes =
        reader(CLASSIFY, "", "classifier", &format!("{store} {}", answer(&[(8, 0), (12, 5)])));
    let bindings = bound(&engine, Hook::Classify, &bytes, OnFailure::Closed);
    let said = facts().call.part(0, 0).map(str::len).and_then(|len| u32::try_from(len).ok());
    let verdict = session(&engine, &bindings).classify().await;
    assert_eq!(verdict.value.map(|it| it.context_tokens), said);

    let store = "(f64.store (i32.const 256) (f64.convert_i32_u (i32.load (i32.const 3004))))";
    let body = format!("{store} {}", answer(&[(4, 256), (8, 1)]));
    let bytes = reader(SCORE, "(param i32)", "router", &body);
    let bindings = bound(&engine, Hook::Route, &bytes, OnFailure::Closed);
    let (figures, candidates) = offers(1);
    let mut session = session(&engine, &bindings);
    let verdict = session.score(&task(), &figures, &Objective::default(), candidates).await;
    assert_eq!(verdict.value, Some(vec![Some(0.0)]));
}

#[tokio::test]
async fn scores_are_one_per_row_and_exclusions_are_told() {
    let engine = engine();
    let rows =
        "(f64.store (i32.const 256) (f64.const 0.75)) (f64.store (i32.const 264) (f64.const nan))
        (f64.store (i32.const 272) (f64.const -1))";
    let body = format!("{rows} {}", answer(&[(4, 256), (8, 3)]));
    let bytes = guest("router", SCORE, "(param i32)", &body);
    let bindings = bound(&engine, Hook::Route, &bytes, OnFailure::Closed);
    for (count, expected) in [(3, Some(vec![Some(0.75), None, None])), (4, None)] {
        let (figures, candidates) = offers(count);
        let mut session = session(&engine, &bindings);
        let verdict = session.score(&task(), &figures, &Objective::default(), candidates).await;
        assert_eq!(verdict.value, expected);
        assert_eq!(session.reasons(&[0]).await, None, "the component gives no reasons");
    }
}

/// One line of 3 units at 1.0 dollars, with this amount in memory.
fn biller(amount: &str) -> Vec<u8> {
    let length = i64::try_from(amount.len()).unwrap();
    let fields = [(0, 0), (4, 5), (8, 3), (12, 8), (16, 3), (20, 4000), (24, length)];
    let mut body = String::new();
    for (at, byte) in amount.bytes().enumerate() {
        body.push_str(&format!("(i32.store8 (i32.const {}) (i32.const {byte})) ", 4000 + at));
    }
    for (offset, value) in fields {
        body.push_str(&format!("(i32.store (i32.const {}) (i32.const {value})) ", 2048 + offset));
    }
    guest("biller", PRICE, NINE, &(body + &answer(&[(4, 2048), (8, 1)])))
}

#[tokio::test]
async fn amounts_are_exact_or_refused() {
    let call = BillCall {
        task: "chat".to_owned(),
        offer: "lab/model@provider".to_owned(),
        quantities: vec![Quantity {
            item: "input".to_owned(),
            count: 3,
            unit_price_pico: 37_500_000,
        }],
        settled: true,
        attrs: Vec::new(),
    };
    let engine = engine();
    for (amount, good) in [("3", true), ("3.000", true), ("3.000000000001", false), ("-3", false)] {
        let bindings = bound(&engine, Hook::Bill, &biller(amount), OnFailure::Closed);
        let verdict = session(&engine, &bindings).price(&call).await;
        let pico = verdict.value.map(|lines| lines.iter().map(|line| line.amount_pico).sum());
        assert_eq!(pico, good.then_some(3_000_000_000_000_u128), "{amount}");
    }
}

#[tokio::test]
async fn a_configuration_is_given_once_and_may_be_refused() {
    let engine = engine();
    let policy = engine.admit(&classifier("0.25")).unwrap();
    assert_eq!(engine.check_config(&policy, "{}"), Ok(()));
    assert!(engine.check_config(&policy, "{\"unknown\": 1}").is_err());
    for (config, kind) in [("{}", None), ("{\"unknown\": 1}", Some(FailureKind::Internal))] {
        let deadline = Hook::Classify.default_deadline();
        let policy = Arc::clone(&policy);
        let binding =
            Binding::new(policy, Some(config.to_owned()), OnFailure::Builtin, deadline, 2);
        let set = BindingSet::defaults(builtins(&engine)).with(Hook::Classify, Arc::new(binding));
        let verdict = session(&engine, &Arc::new(set)).classify().await;
        assert_eq!(verdict.failure.map(|failure| failure.kind), kind);
    }
}
