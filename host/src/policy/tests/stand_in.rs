//! A suspended policy's place is taken by the revision before it, and by `on_failure` where that
//! fails too.

use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

/// Failures after which a policy is suspended.
const FAILURES: u32 = 5;

fn binding(engine: &PolicyEngine, bytes: &[u8], revision: u64) -> Binding {
    let policy = engine.admit(bytes).unwrap();
    let hook = Hook::Classify;
    Binding::new(policy, None, hook.default_on_failure(), hook.default_deadline(), revision)
}

/// A policy that traps, with `earlier` in reserve.
fn failing(engine: &PolicyEngine, earlier: &[u8]) -> Arc<Binding> {
    let earlier = Arc::new(binding(engine, earlier, 1));
    Arc::new(binding(engine, &classifier_that("unreachable"), 2).behind(Some(earlier)))
}

/// Each in a session of its own: the difficulty, and the revision that decided.
async fn decided(
    engine: &Arc<PolicyEngine>,
    bound: &Arc<Binding>,
) -> (Option<f64>, u64, Option<FailureKind>) {
    let set = BindingSet::defaults(builtins(engine)).with(Hook::Classify, Arc::clone(bound));
    let verdict = session(engine, &Arc::new(set)).classify().await;
    let kind = verdict.failure.map(|failure| failure.kind);
    (verdict.value.map(|it| it.difficulty), verdict.decided_by.revision, kind)
}

/// The same of a call that met the suspension: on a busy machine its pause may be over before it is
/// asked, and then the pause is twice as long.
async fn suspended(engine: &Arc<PolicyEngine>, bound: &Arc<Binding>) -> (Option<f64>, u64) {
    loop {
        let (difficulty, revision, failure) = decided(engine, bound).await;
        if failure == Some(FailureKind::Suspended) {
            return (difficulty, revision);
        }
    }
}

#[tokio::test]
async fn the_revision_before_decides_while_a_policy_is_suspended() {
    let engine = engine();
    let bound = failing(&engine, &classifier("0.25"));
    for _ in 0..FAILURES {
        assert_eq!(bound.stand_in(crate::clock::now_ms()), None);
        assert_eq!(decided(&engine, &bound).await, (Some(0.5), 0, Some(FailureKind::Trap)));
    }
    assert_eq!(suspended(&engine, &bound).await, (Some(0.25), 1));
    let stand_in = bound.stand_in(crate::clock::now_ms()).unwrap();
    assert_eq!(stand_in.revision, 1);
    assert!(bound.tally().fallbacks > u64::from(FAILURES));
}

#[tokio::test]
async fn where_that_fails_too_the_built_in_decides() {
    let engine = engine();
    let bound = failing(&engine, &classifier_that("unreachable"));
    for _ in 0..FAILURES {
        decided(&engine, &bound).await;
    }
    for _ in 0..FAILURES {
        assert_eq!(suspended(&engine, &bound).await, (Some(0.5), 0));
    }
    assert_eq!(bound.stand_in(crate::clock::now_ms()), None, "it is suspended as well");
}
