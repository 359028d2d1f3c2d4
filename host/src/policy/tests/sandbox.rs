//! What a bad guest can't do: hold the machine, eat the memory, harm the next call, or be believed.

use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

const ENDLESS: &str = "(loop (br 0)) (unreachable)";
const GREEDY: &str = "(loop (drop (memory.grow (i32.const 16))) (br 0)) (unreachable)";

/// Classifies with `bytes`; the built-in (difficulty one half) must decide, for this reason.
async fn builtin_decides(engine: &Arc<PolicyEngine>, bytes: &[u8], kind: FailureKind) -> String {
    let bindings = bound(engine, Hook::Classify, bytes, OnFailure::Builtin);
    let mut session = session(engine, &bindings);
    let verdict = session.classify().await;
    assert_eq!(verdict.value.map(|it| it.difficulty), Some(0.5));
    assert_eq!(verdict.decided_by.digest, bindings.builtins.classify.policy.digest);
    let failure = verdict.failure.unwrap();
    assert_eq!(failure.kind, kind, "{failure}");
    assert_eq!(session.trace().len(), 2, "the failed call and the built-in's");
    failure.detail
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline() {
    builtin_decides(&engine(), &classifier_that(ENDLESS), FailureKind::Deadline).await;
}

#[tokio::test]
async fn unbounded_memory_ends_at_the_limit() {
    let detail = builtin_decides(&engine(), &classifier_that(GREEDY), FailureKind::Memory).await;
    assert!(detail.contains("67108864 are allowed"), "{detail}");
}

#[tokio::test]
async fn a_trap_is_a_failure_like_any_other() {
    builtin_decides(&engine(), &classifier_that("(unreachable)"), FailureKind::Trap).await;
}

#[tokio::test]
async fn deep_recursion_ends() {
    let function = format!(
        r#"(func $deep (param i32) (result i32)
               (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))
           (func (export "{CLASSIFY}") (result i32) (call $deep (i32.const 1)))"#
    );
    let bytes = wrap("classifier", &module("", &function, 1), None);
    builtin_decides(&engine(), &bytes, FailureKind::Trap).await;
}

#[tokio::test]
async fn nonsense_is_not_believed() {
    let engine = engine();
    for difficulty in ["nan", "inf", "-0.1", "1.5"] {
        builtin_decides(&engine, &classifier(difficulty), FailureKind::Nonsense).await;
    }
    // An empty task, an unknown case, a list beyond the memory, a string that is not UTF-8.
    let bad =
        [answer(&[]), answer(&[(0, 9)]), answer(&[(8, 0), (12, 5), (32, 16), (36, 99_999_999)])];
    for body in bad {
        builtin_decides(&engine, &classifier_that(&body), FailureKind::Nonsense).await;
    }
    let body = format!("(i32.store8 (i32.const 0) (i32.const 255)) {}", answer(&[(8, 0), (12, 5)]));
    builtin_decides(&engine, &classifier_that(&body), FailureKind::Nonsense).await;
}

#[tokio::test]
async fn an_answer_of_two_megabytes_is_not_copied() {
    let body = answer(&[(8, 4096), (12, 2_000_000)]);
    let detail = builtin_decides(&engine(), &classifier_that(&body), FailureKind::Nonsense).await;
    assert!(!detail.contains("label"), "refused while copying, not after: {detail}");
}

/// Two workers, three guests that never end: the fourth session still gets its answer while they
/// are running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_guests_do_not_stop_the_others() {
    let engine = engine();
    let policy = engine.admit(&classifier_that(ENDLESS)).unwrap();
    let deadline = std::time::Duration::from_secs(1);
    let endless = Arc::new(Binding::new(policy, None, OnFailure::Closed, deadline, 1));
    let good = Arc::new(BindingSet::defaults(builtins(&engine)));
    let bad = Arc::new((*good).clone().with(Hook::Classify, endless));
    let tasks = crate::tasks::Tasks::default();
    for _ in 0..3 {
        let mut session = session(&engine, &bad);
        tasks.spawn("endless", async move {
            assert!(session.classify().await.value.is_none());
        });
    }
    while engine.live_instances() < 3 {
        tokio::task::yield_now().await;
    }
    for _ in 0..5 {
        assert!(session(&engine, &good).classify().await.value.is_some());
    }
    assert_eq!(tasks.running(), 3, "the endless ones are still at it");
    tasks.idle().await;
}

/// A counter in the guest's memory: it must begin anew with each request, and go on within one.
#[tokio::test]
async fn no_memory_survives_a_request() {
    let engine = engine();
    let at = 1024 + 40;
    let count = format!(
        "(i32.store (i32.const 2048) (i32.add (i32.load (i32.const 2048)) (i32.const 1)))
         (i32.store (i32.const {at}) (i32.load (i32.const 2048))) {}",
        answer(&[(8, 0), (12, 5)])
    );
    let bytes = classifier_that(&count);
    let bindings = bound(&engine, Hook::Classify, &bytes, OnFailure::Closed);
    for _ in 0..300 {
        let mut session = session(&engine, &bindings);
        for call in 1..=2 {
            let verdict = session.classify().await;
            assert_eq!(verdict.value.map(|it| it.context_tokens), Some(call));
        }
        assert_eq!(
            session.trace().first().map(|record| (record.calls, record.fresh)),
            Some((2, 1))
        );
    }
    assert_eq!(engine.live_instances(), 0);
}

/// Traps on every second call of an instance's life, so each trap must be followed by a fresh one.
#[tokio::test]
async fn a_trapped_instance_is_never_entered_again() {
    let engine = engine();
    let body = format!(
        "(if (i32.load (i32.const 2048)) (then (unreachable)))
         (i32.store (i32.const 2048) (i32.const 1)) {}",
        answer(&[(8, 0), (12, 5)])
    );
    let bindings = bound(&engine, Hook::Classify, &classifier_that(&body), OnFailure::Closed);
    let mut session = session(&engine, &bindings);
    for _ in 0..3 {
        assert!(session.classify().await.value.is_some());
        let failure = session.classify().await.failure.unwrap();
        assert_eq!(failure.kind, FailureKind::Trap, "{failure}");
    }
}

#[tokio::test]
async fn a_request_given_up_in_the_middle_leaves_nothing_behind() {
    let engine = engine();
    let policy = engine.admit(&classifier_that(ENDLESS)).unwrap();
    let deadline = std::time::Duration::from_secs(5);
    let endless = Arc::new(Binding::new(policy, None, OnFailure::Closed, deadline, 1));
    let set = BindingSet::defaults(builtins(&engine)).with(Hook::Classify, endless);
    let mut session = session(&engine, &Arc::new(set));
    let given_up =
        tokio::time::timeout(std::time::Duration::from_millis(20), session.classify()).await;
    assert!(given_up.is_err());
    assert_eq!(engine.live_instances(), 0);
}

#[tokio::test]
async fn a_full_pool_refuses_tenants_and_keeps_room_for_built_ins() {
    let engine = engine();
    let bytes = classifier("0.25");
    let bindings = bound(&engine, Hook::Classify, &bytes, OnFailure::Builtin);
    let mut held = Vec::new();
    for _ in 0..6 {
        let mut session = session(&engine, &bindings);
        assert_eq!(session.classify().await.value.map(|it| it.difficulty), Some(0.25));
        held.push(session);
    }
    let mut seventh = session(&engine, &bindings);
    let verdict = seventh.classify().await;
    assert_eq!(verdict.failure.map(|it| it.kind), Some(FailureKind::Saturated));
    assert_eq!(verdict.value.map(|it| it.difficulty), Some(0.5));
    // A request that waits gives its instance back when they are scarce.
    for session in &mut held {
        session.rest();
    }
    assert_eq!(engine.live_instances(), 4, "down to half of the pool");
    let mut again = session(&engine, &bindings);
    assert_eq!(again.classify().await.value.map(|it| it.difficulty), Some(0.25));
}

#[tokio::test]
async fn a_scan_waits_a_moment_for_an_instance_and_no_longer() {
    const PLACE: Place<'static> = Place { direction: "output", channel: "text", role: "assistant" };
    let engine = engine();
    let bindings = bound(&engine, Hook::Redact, &redactor(&[(12, 2)]), OnFailure::Closed);
    let mut held = Vec::new();
    for _ in 0..6 {
        let mut session = session(&engine, &bindings);
        session.scan(PLACE, "über", false).await.unwrap();
        held.push(session);
    }
    // A piece of a stream whose instance was given back finds the pool full.
    let mut late = session(&engine, &bindings);
    let scanned = late.scan(PLACE, "über", false);
    let freed = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(held.pop());
    };
    let (scanned, ()) = tokio::join!(scanned, freed);
    assert!(scanned.is_ok(), "{scanned:?}");
    held.push(late);
    let mut never = session(&engine, &bindings);
    let failure = never.scan(PLACE, "über", false).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Saturated);
}

#[tokio::test]
async fn a_policy_that_keeps_failing_is_skipped_for_a_while() {
    let engine = engine();
    let bytes = classifier_that("(unreachable)");
    let bindings = bound(&engine, Hook::Classify, &bytes, OnFailure::Builtin);
    let mut kinds = Vec::new();
    for _ in 0..7 {
        let verdict = session(&engine, &bindings).classify().await;
        assert!(verdict.value.is_some());
        kinds.extend(verdict.failure.map(|failure| failure.kind));
    }
    assert_eq!(kinds.first(), Some(&FailureKind::Trap));
    assert_eq!(kinds.last(), Some(&FailureKind::Suspended));
}
