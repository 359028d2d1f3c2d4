//! Policies on trial and in chains: what is compared, what is left out, what stays untouched; and
//! that switching between versions leaves nothing behind.

use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

const PLACE: Place<'static> = Place { direction: "input", channel: "text", role: "user" };

/// A binding of an organization named `acme`.
fn binding(engine: &PolicyEngine, hook: Hook, bytes: &[u8], revision: u64) -> Arc<Binding> {
    let policy = engine.admit(bytes).unwrap();
    let on_failure = hook.default_on_failure();
    let binding = Binding::new(policy, None, on_failure, hook.default_deadline(), revision);
    Arc::new(binding.of_share(engine.quota_of("acme")))
}

/// The built-ins, with `shadow` asked beside.
fn beside(engine: &PolicyEngine, hook: Hook, shadow: &Arc<Binding>) -> BindingSet {
    let mut set = BindingSet::defaults(builtins(engine));
    let (binding, tried) = (Arc::clone(shadow), Arc::clone(shadow));
    set.beside.push(Beside { hook, binding, tried, percent: 100 });
    set
}

/// Lets the comparer run until so many calls were compared or failed.
async fn until_compared(engine: &PolicyEngine, tried: &Binding, calls: u64, work: impl Future) {
    let comparer = engine.comparer().unwrap();
    let done = async {
        Box::pin(work).await;
        while tried.tally().compared.calls + tried.tally().compared.failed < calls {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = comparer.run() => panic!("the engine is still there"),
        () = done => {}
    }
}

/// A classifier that names its task with these five letters.
fn named(task: &str) -> Vec<u8> {
    assert_eq!(task.len(), 5);
    let bytes = task.bytes().enumerate();
    let store = |(at, byte)| format!("(i32.store8 (i32.const {}) (i32.const {byte}))", 256 + at);
    let text: String = bytes.map(store).collect();
    classifier_that(&format!("{text} {}", answer(&[(8, 256), (12, 5)])))
}

#[tokio::test]
async fn a_shadow_is_compared_and_never_decides() {
    let engine = engine();
    let shadow = binding(&engine, Hook::Classify, &named("other"), 7);
    let set = Arc::new(beside(&engine, Hook::Classify, &shadow));
    until_compared(&engine, &shadow, 3, async {
        for _ in 0..3 {
            let mut session = session(&engine, &set);
            let verdict = session.classify().await;
            assert_eq!(verdict.value.map(|it| it.task).as_deref(), Some("guest"));
            assert_eq!(session.trace().len(), 1, "the shadow is not in the request's trace");
        }
    })
    .await;
    let compared = shadow.tally().compared;
    assert_eq!((compared.calls, compared.agreed), (3, 0));
    let example = compared.examples.back().unwrap();
    assert_eq!(example.current, "guest, difficulty 0.50");
    assert_eq!(example.tried, "other, difficulty 0.00");
    assert!((compared.score_difference - 1.5).abs() < 1e-9);
    assert_eq!(shadow.tally().calls, 3);
    assert_eq!(engine.live_instances(), 0);
}

#[tokio::test]
async fn a_failing_shadow_is_nobodys_failure_but_its_own() {
    let engine = engine();
    let shadow = binding(&engine, Hook::Classify, &classifier_that("(unreachable)"), 7);
    let set = Arc::new(beside(&engine, Hook::Classify, &shadow));
    until_compared(&engine, &shadow, 7, async {
        for _ in 0..7 {
            let mut session = session(&engine, &set);
            assert!(session.classify().await.failure.is_none());
        }
    })
    .await;
    let tally = shadow.tally();
    assert_eq!((tally.compared.calls, tally.compared.failed), (0, 7));
    assert_eq!(tally.failures.first(), Some(&("trap", 5)), "then its breaker keeps it away");
    let suspension = shadow.suspension(crate::clock::now_ms()).unwrap();
    assert!(suspension.because.starts_with("trap: "), "{suspension:?}");
}

/// Nobody compares, so what waits stays; what does not fit is counted and costs no memory.
#[tokio::test]
async fn what_can_not_wait_is_left_out_and_counted() {
    let engine = engine();
    let shadow = binding(&engine, Hook::Redact, &redactor(&[]), 7);
    let set = Arc::new(beside(&engine, Hook::Redact, &shadow));
    session(&engine, &set).scan(PLACE, "text", true).await.unwrap();
    assert_eq!(shadow.tally().compared.left_out, 0, "without a comparer there is nothing to do");
    let comparer = engine.comparer().unwrap();
    for _ in 0..40 {
        session(&engine, &set).scan(PLACE, "text", true).await.unwrap();
    }
    assert_eq!(shadow.tally().compared.left_out, 24, "16 of one organization wait");
    let long = "x".repeat(300 << 10);
    session(&engine, &set).scan(PLACE, &long, true).await.unwrap();
    session(&engine, &set).scan(PLACE, "a piece", false).await.unwrap();
    assert_eq!(shadow.tally().compared.left_out, 25, "pieces of a stream are not compared");
    drop(comparer);
    assert_eq!(shadow.tally().compared.calls, 0);
}

#[tokio::test]
async fn a_bill_is_compared_to_the_pico_dollar() {
    let engine = engine();
    // One line: item `guest`, count 2, unit price and amount "0".
    let line = "(i32.store8 (i32.const 48) (i32.const 48))
        (i32.store (i32.const 256) (i32.const 0)) (i32.store (i32.const 260) (i32.const 5))
        (i32.store (i32.const 264) (i32.const 2))
        (i32.store (i32.const 268) (i32.const 48)) (i32.store (i32.const 272) (i32.const 1))
        (i32.store (i32.const 276) (i32.const 48)) (i32.store (i32.const 280) (i32.const 1))
        (i32.store (i32.const 284) (i32.const 0)) (i32.store (i32.const 288) (i32.const 0))";
    let body = format!("{line} {}", answer(&[(4, 256), (8, 1)]));
    let shadow = binding(&engine, Hook::Bill, &guest("biller", PRICE, NINE, &body), 7);
    let set = Arc::new(beside(&engine, Hook::Bill, &shadow));
    until_compared(&engine, &shadow, 1, async {
        let mut session = session(&engine, &set);
        for settled in [false, true] {
            let call = BillCall {
                task: "chat".to_owned(),
                offer: "lab/model@provider".to_owned(),
                quantities: Vec::new(),
                settled,
                attrs: Vec::new(),
            };
            assert!(session.price(&call).await.failure.is_none());
        }
    })
    .await;
    let compared = shadow.tally().compared;
    assert_eq!((compared.calls, compared.agreed), (1, 0), "the worst case is not compared");
    assert_eq!((compared.current_pico, compared.tried_pico), (0, 0));
    assert_eq!(compared.examples[0].tried, "0 USD in 1 lines");
}

#[tokio::test]
async fn scanners_of_a_chain_add_up_and_any_of_them_can_close() {
    let engine = engine();
    let hold = |bytes| binding(&engine, Hook::Redact, &redactor(&[(12, bytes)]), 1);
    let chain = |then: Vec<Arc<Binding>>| {
        let policy = engine.admit(&redactor(&[(12, 1)])).unwrap();
        let deadline = Hook::Redact.default_deadline();
        let first = Binding::new(policy, None, OnFailure::Closed, deadline, 1).followed_by(then);
        Arc::new(BindingSet::defaults(builtins(&engine)).with(Hook::Redact, Arc::new(first)))
    };
    let both = chain(vec![hold(3)]);
    let mut session_of_two = session(&engine, &both);
    let found = session_of_two.scan(PLACE, "abcdef", false).await.unwrap();
    assert_eq!(found.hold, 3, "who holds back more is heeded");
    assert_eq!(session_of_two.trace().len(), 2, "each is in the trace");
    let trap = guest("redactor", SCAN, NINE, "(unreachable)");
    let broken = chain(vec![binding(&engine, Hook::Redact, &trap, 1), hold(0)]);
    let failure = session(&engine, &broken).scan(PLACE, "abcdef", false).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Trap);
}

#[tokio::test]
async fn a_noisy_organization_takes_no_other_ones_instances() {
    let limits =
        PolicyLimits { instances_max: 16, org_instances_max: 4, ..PolicyLimits::default() };
    let engine = PolicyEngine::new(&limits).unwrap();
    let of = |org: &str| {
        let policy = engine.admit(&classifier("0.25")).unwrap();
        let deadline = Hook::Classify.default_deadline();
        let own = Binding::new(policy, None, OnFailure::Builtin, deadline, 1);
        let own = Arc::new(own.of_share(engine.quota_of(org)));
        Arc::new(BindingSet::defaults(builtins(&engine)).with(Hook::Classify, own))
    };
    let (noisy, quiet) = (of("noisy"), of("quiet"));
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut session = session(&engine, &noisy);
        assert!(session.classify().await.failure.is_none());
        held.push(session);
    }
    let fifth = session(&engine, &noisy).classify().await;
    assert_eq!(fifth.failure.map(|it| it.kind), Some(FailureKind::Saturated));
    assert_eq!(fifth.value.map(|it| it.difficulty), Some(0.5), "the built-in has its own room");
    assert!(session(&engine, &quiet).classify().await.failure.is_none());
    // A changed binding is no second share.
    let again = of("noisy");
    let changed = session(&engine, &again).classify().await;
    assert_eq!(changed.failure.map(|it| it.kind), Some(FailureKind::Saturated));
    for session in &mut held {
        session.rest();
    }
    assert!(session(&engine, &again).classify().await.failure.is_none());
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

/// Envoy leaked memory at each reload. Here an old version goes when its last call ends.
#[tokio::test]
async fn pitfall_75_ten_thousand_switches_leave_nothing_behind() {
    let engine = engine();
    let stands_behind = builtins(&engine);
    let versions = [engine.admit(&named("first")), engine.admit(&named("other"))];
    let versions = versions.map(Result::unwrap);
    let current = arc_swap::ArcSwap::from_pointee(BindingSet::defaults(stands_behind.clone()));
    let mut under_way: Option<Session> = None;
    let switch = |revision: u64| {
        let policy = Arc::clone(&versions[usize::try_from(revision % 2).unwrap()]);
        let deadline = Hook::Classify.default_deadline();
        let own = Binding::new(policy, None, OnFailure::Closed, deadline, revision);
        let own = Arc::new(own.of_share(engine.quota_of("acme")));
        let weak = Arc::downgrade(&own);
        current
            .store(Arc::new(BindingSet::defaults(stands_behind.clone()).with(Hook::Classify, own)));
        weak
    };
    let mut before = None;
    let mut old = switch(0);
    for revision in 1..=10_000 {
        if revision == 1_000 {
            before = Some(resident());
        }
        // A request under way keeps what it began with, over the switch.
        let mut begun = session(&engine, &current.load_full());
        let next = switch(revision);
        let task = begun.classify().await.value.unwrap().task;
        assert_eq!(task, ["first", "other"][usize::try_from((revision - 1) % 2).unwrap()]);
        under_way.replace(begun);
        assert!(old.upgrade().is_some(), "its last call has not ended");
        under_way.take();
        assert!(old.upgrade().is_none(), "nothing keeps it any longer");
        old = next;
    }
    let grown = resident().saturating_sub(before.unwrap());
    assert!(grown < 8 << 20, "{grown} bytes more after 9,000 switches");
    assert_eq!(engine.live_instances(), 0);
    drop(current);
    let left: Vec<usize> = versions.iter().map(Arc::strong_count).collect();
    assert_eq!(left, [1, 1]);
}

/// Hundreds of admissions, each compiled anew: code and instances of the old ones are freed.
#[test]
fn pitfall_75_hundreds_of_uploads_leave_nothing_behind() {
    let engine = engine();
    let upload = |number: usize| {
        let task = format!("t{number:04}");
        let policy = engine.admit(&named(&task)).unwrap();
        assert_eq!(Arc::strong_count(&policy), 1);
    };
    (0..100).for_each(upload);
    let before = resident();
    (100..400).for_each(upload);
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more after 300 uploads");
}

/// The prompt, put where the next call would find it: there is no next call in that memory.
#[tokio::test]
async fn what_a_policy_keeps_of_a_prompt_is_gone_with_the_request() {
    let engine = engine();
    // Answers with the length that it remembers, then remembers this one's.
    let at = 1024 + 40;
    let body = format!(
        "(i32.store (i32.const {at}) (i32.load (i32.const 2048)))
         (i32.store (i32.const 2048) (i32.const 4711)) {}",
        answer(&[(8, 0), (12, 5)])
    );
    let policy = engine.admit(&classifier_that(&body)).unwrap();
    let deadline = Hook::Classify.default_deadline();
    let of = |org: &str| {
        let own = Binding::new(Arc::clone(&policy), None, OnFailure::Closed, deadline, 1);
        let own = Arc::new(own.of_share(engine.quota_of(org)));
        Arc::new(BindingSet::defaults(builtins(&engine)).with(Hook::Classify, own))
    };
    let (acme, beta) = (of("acme"), of("beta"));
    for set in [&acme, &acme, &beta, &acme] {
        let mut session = session(&engine, set);
        let first = session.classify().await.value.unwrap();
        assert_eq!(first.context_tokens, 0, "nothing of another request");
        let second = session.classify().await.value.unwrap();
        assert_eq!(second.context_tokens, 4711, "its own request's it may remember");
    }
}
