//! Instances that are kept between requests: only where a binding has it so, one call at a time,
//! never another's, and without anything of the request before but what the guest itself kept.

use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

/// Adds one to a global at each call; the count is its `context-tokens`.
const COUNTS: &str = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 1064) (global.get $calls))";
/// Traps at the third call of one instance.
const TIRES: &str = "(if (i32.eq (global.get $calls) (i32.const 3)) (then (unreachable)))";

/// A classifier that counts its instance's calls, and then does this.
fn counting(does: &str) -> Vec<u8> {
    let body = format!("{COUNTS} {does} {}", answer(&[(8, 0), (12, 5)]));
    let functions = format!(
        r#"(global $calls (mut i32) (i32.const 0))
           (func (export "{CLASSIFY}") (result i32) {body})"#
    );
    wrap("classifier", &module("", &functions, 1), None)
}

fn binding(engine: &PolicyEngine, bytes: &[u8], org: &str) -> Binding {
    let policy = engine.admit(bytes).unwrap();
    let deadline = Hook::Classify.default_deadline();
    Binding::new(policy, None, OnFailure::Builtin, deadline, 7).of_share(engine.quota_of(org))
}

fn warm(engine: &PolicyEngine, bytes: &[u8], org: &str) -> Arc<BindingSet> {
    set(engine, binding(engine, bytes, org).kept_warm(engine))
}

fn set(engine: &PolicyEngine, binding: Binding) -> Arc<BindingSet> {
    Arc::new(BindingSet::defaults(builtins(engine)).with(Hook::Classify, Arc::new(binding)))
}

/// Each in a request of its own: which call of its instance it was; none where the policy failed.
async fn calls(engine: &Arc<PolicyEngine>, bound: &Arc<BindingSet>, requests: usize) -> Vec<u32> {
    let mut seen = Vec::with_capacity(requests);
    for _ in 0..requests {
        let verdict = session(engine, bound).classify().await;
        let own = verdict.failure.is_none().then_some(verdict.value).flatten();
        seen.push(own.map_or(0, |it| it.context_tokens));
    }
    seen
}

#[tokio::test]
async fn memory_survives_a_request_only_where_a_binding_has_it_so() {
    let engine = engine();
    let bytes = counting("");
    let fresh = set(&engine, binding(&engine, &bytes, "a"));
    assert_eq!(calls(&engine, &fresh, 3).await, [1, 1, 1]);
    assert_eq!(fresh.classify.idle_instances(), None);
    let (mine, other) = (warm(&engine, &bytes, "a"), warm(&engine, &bytes, "b"));
    assert_eq!(calls(&engine, &mine, 3).await, [1, 2, 3]);
    assert_eq!(mine.classify.idle_instances(), Some(1));
    // Neither another organization nor another revision of the binding gets it.
    assert_eq!(calls(&engine, &other, 2).await, [1, 2]);
    assert_eq!(calls(&engine, &warm(&engine, &bytes, "a"), 1).await, [1]);
    assert_eq!(
        (calls(&engine, &fresh, 1).await, calls(&engine, &mine, 1).await),
        (vec![1], vec![4])
    );
    drop((mine, other));
    assert_eq!((engine.idle_instances(), engine.live_instances()), (0, 0), "gone with the binding");
}

#[tokio::test]
async fn an_instance_that_failed_is_not_entered_again() {
    let engine = engine();
    let bound = warm(&engine, &counting(TIRES), "a");
    assert_eq!(calls(&engine, &bound, 6).await, [1, 2, 0, 1, 2, 0]);
}

#[tokio::test]
async fn an_instance_is_let_go_after_a_while() {
    let engine = engine();
    let bound = warm(&engine, &counting(""), "a");
    let seen = calls(&engine, &bound, 3_100).await;
    let lives: Vec<u32> = seen.windows(2).filter(|two| two[1] == 1).map(|two| two[0]).collect();
    assert!((2..=6).contains(&lives.len()), "{lives:?}");
    assert!(lives.iter().all(|calls| (500..=1_500).contains(calls)), "{lives:?}");
    engine.sweep();
    assert_eq!(engine.idle_instances(), 1, "it was used just now");
    engine.shelves.sweep(crate::clock::now_ms() + 60_000);
    assert_eq!((engine.idle_instances(), engine.live_instances()), (0, 0));
    assert_eq!(calls(&engine, &bound, 2).await, [1, 2]);
}

/// Pitfall J: what waits for its next call holds nothing of the last one.
#[tokio::test]
async fn a_waiting_instance_keeps_no_request_alive() {
    let engine = engine();
    let bound = warm(&engine, &counting(""), "a");
    let call: Arc<dyn Conversation> = Arc::new(Said(vec!["a secret"]));
    let gone = Arc::downgrade(&call);
    let facts = RequestFacts { call, ..facts() };
    Session::new(Arc::clone(&engine), Arc::clone(&bound), facts).classify().await;
    assert_eq!(bound.classify.idle_instances(), Some(1));
    assert!(gone.upgrade().is_none(), "the conversation is still held");
}

#[tokio::test]
async fn one_call_at_a_time_and_no_more_than_there_is_room_for() {
    // Of eight instances two may wait, and of an organization's three one.
    let limits = PolicyLimits { instances_max: 8, org_instances_max: 3, ..PolicyLimits::default() };
    let engine = PolicyEngine::new(&limits).unwrap();
    let bytes = counting("");
    let bound = warm(&engine, &bytes, "a");
    let asked = || {
        let mut session = session(&engine, &bound);
        async move { session.classify().await.value.map(|it| it.context_tokens) }
    };
    let all = futures_util::future::join_all([asked(), asked(), asked()]).await;
    assert!(all.iter().all(Option::is_some), "{all:?}");
    assert_eq!(bound.classify.idle_instances(), Some(1));
    let others: Vec<_> = ["b", "c", "d"].map(|org| warm(&engine, &bytes, org)).into();
    for other in &others {
        calls(&engine, other, 1).await;
    }
    assert_eq!((engine.idle_instances(), engine.live_instances()), (2, 2));
    // Who finds none waiting has a fresh one all the same.
    assert_eq!(calls(&engine, &others[2], 2).await, [1, 1]);
}

#[tokio::test]
async fn other_limits_and_a_withdrawn_grant_end_what_waits() {
    let engine = engine();
    let bound = warm(&engine, &counting(""), "a");
    assert_eq!(calls(&engine, &bound, 2).await, [1, 2]);
    let memory_bytes = Some(1 << 20);
    engine.limit("a", &OrgLimits { memory_bytes, ..OrgLimits::default() });
    assert_eq!(calls(&engine, &bound, 2).await, [1, 2], "started under the new limit");

    let imports = r#"(import "turnpike:policy/clock@0.1.0" "now-ms" (func $now (result f64)))"#;
    let body = format!("{COUNTS} (drop (call $now)) {}", answer(&[(8, 0), (12, 5)]));
    let functions = format!(
        r#"(global $calls (mut i32) (i32.const 0))
           (func (export "{CLASSIFY}") (result i32) {body})"#
    );
    let bytes = wrap("classifier", &module(imports, &functions, 1), None);
    engine.grant("b", Abilities::all());
    let policy = engine.admit_granted(&bytes, Abilities::all()).unwrap();
    let deadline = Hook::Classify.default_deadline();
    let binding = Binding::new(policy, None, OnFailure::Builtin, deadline, 7)
        .at(|| engine.home_of("b", "p"))
        .kept_warm(&engine);
    let bound = set(&engine, binding);
    assert_eq!(calls(&engine, &bound, 2).await, [1, 2]);
    engine.grant("b", Abilities::default());
    assert_eq!(calls(&engine, &bound, 1).await, [0]);
    assert_eq!(bound.classify.idle_instances(), Some(0));
    engine.grant("b", Abilities::all());
    assert_eq!(calls(&engine, &bound, 1).await, [1]);
}

#[tokio::test]
async fn an_organizations_limits_bound_its_policies_and_no_others() {
    let engine = engine();
    let grows =
        counting("(if (i32.lt_s (memory.grow (i32.const 64)) (i32.const 0)) (then (unreachable)))");
    let (mine, other) =
        (set(&engine, binding(&engine, &grows, "a")), set(&engine, binding(&engine, &grows, "b")));
    let failure = async |bound: &Arc<BindingSet>| {
        session(&engine, bound).classify().await.failure.map(|failure| failure.kind)
    };
    assert_eq!(failure(&mine).await, None);
    let limits = OrgLimits { memory_bytes: Some(1 << 20), ..OrgLimits::default() };
    engine.limit("a", &limits);
    assert_eq!(failure(&mine).await, Some(FailureKind::Memory));
    assert_eq!(failure(&other).await, None);

    // A binding that was made when more was allowed is held to what is allowed now.
    let policy = engine.admit(&classifier_that("(loop $on (br $on)) (unreachable)")).unwrap();
    let slow =
        Binding::new(policy, None, OnFailure::Builtin, std::time::Duration::from_secs(60), 1)
            .of_share(engine.quota_of("a"));
    let deadline = Some(std::time::Duration::from_millis(5));
    engine.limit("a", &OrgLimits { deadline, ..OrgLimits::default() });
    assert_eq!(failure(&set(&engine, slow)).await, Some(FailureKind::Deadline));
}
