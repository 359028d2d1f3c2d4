//! What must be granted: who gets it, what it does, and that it ends with the grant.

use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

/// Counts its calls in the state, under its name, for an hour; the count is its `context-tokens`.
const COUNTS: &str = r#"(call $increment (i32.const 0) (i32.const 5) (i32.const 1)
        (i32.const 3600) (i32.const 2048))
    (if (i32.load8_u (i32.const 2048)) (then (unreachable)))
    (i32.store (i32.const 1064) (i32.trunc_f64_u (f64.load (i32.const 2056))))"#;
const INCREMENT: &str = r#"(import "turnpike:policy/state@0.1.0" "increment"
    (func $increment (param i32 i32 i32 i32 i32)))"#;

/// A classifier of task `guest` with these imports; what it does comes before the answer.
fn importing(imports: &str, does: &str) -> Vec<u8> {
    let body = format!("{does} {}", answer(&[(8, 0), (12, 5)]));
    let function = format!(r#"(func (export "{CLASSIFY}") (result i32) {body})"#);
    wrap("classifier", &module(imports, &function, 1), None)
}

fn at_home(engine: &PolicyEngine, bytes: &[u8], org: &str, plugin: &str) -> Arc<BindingSet> {
    let policy = engine.admit_granted(bytes, Abilities::all()).unwrap();
    let deadline = Hook::Classify.default_deadline();
    let binding = Binding::new(policy, None, OnFailure::Builtin, deadline, 7)
        .at(|| engine.home_of(org, plugin));
    Arc::new(BindingSet::defaults(builtins(engine)).with(Hook::Classify, Arc::new(binding)))
}

/// The `context-tokens` of a fresh request, or how the policy failed.
async fn asked(engine: &Arc<PolicyEngine>, bound: &Arc<BindingSet>) -> Result<u32, PolicyFailure> {
    let verdict = session(engine, bound).classify().await;
    let tokens = verdict.value.unwrap().context_tokens;
    verdict.failure.map_or(Ok(tokens), Err)
}

#[test]
fn each_import_is_refused_until_it_is_granted() {
    let engine = engine();
    let functions = [
        (Ability::Counters, "add", "(param i32 i32 f64)"),
        (Ability::State, "get", "(param i32 i32 i32)"),
        (Ability::Clock, "now-ms", "(result f64)"),
        (Ability::Random, "bytes", "(param i32 i32)"),
        (Ability::Catalog, "count", "(result i32)"),
        (Ability::Fetch, "get", "(param i32 i32 i32)"),
    ];
    // WASI is no interface of the contract and has tests of its own.
    let own = Ability::ALL.into_iter().filter(|ability| *ability != Ability::Wasi);
    assert!(own.eq(functions.map(|(ability, ..)| ability)));
    for (ability, function, types) in functions {
        let label = ability.label();
        let import = format!("turnpike:policy/{label}@0.1.0");
        let imports = format!(r#"(import "{import}" "{function}" (func {types}))"#);
        let bytes = importing(&imports, "");
        let others = Abilities::all().without([ability].into_iter().collect());
        for granted in [Abilities::default(), others] {
            let refused = engine.admit_granted(&bytes, granted).unwrap_err().to_string();
            assert!(refused.contains(&import) && refused.contains("not granted"), "{refused}");
            assert!(refused.contains("policy-grants"), "who can grant it: {refused}");
        }
        let policy = engine.admit_granted(&bytes, [ability].into_iter().collect()).unwrap();
        assert_eq!(policy.abilities.iter().collect::<Vec<_>>(), [ability]);
    }
    assert!(engine.admit(&classifier("0.5")).unwrap().abilities.is_empty());
}

#[tokio::test]
async fn state_lives_from_request_to_request_and_is_shared_with_nobody() {
    let engine = engine();
    let bytes = importing(INCREMENT, COUNTS);
    for org in ["a", "b"] {
        engine.grant(org, Abilities::all());
    }
    let mine = at_home(&engine, &bytes, "a", "one");
    assert_eq!(asked(&engine, &mine).await, Ok(1));
    assert_eq!(asked(&engine, &mine).await, Ok(2));
    // A new version of the plugin goes on where the old one was.
    assert_eq!(asked(&engine, &at_home(&engine, &bytes, "a", "one")).await, Ok(3));
    for (org, plugin) in [("a", "two"), ("b", "one")] {
        let stranger = at_home(&engine, &bytes, org, plugin);
        assert_eq!(asked(&engine, &stranger).await, Ok(1), "{org} {plugin}");
    }
}

#[test]
fn who_imports_nothing_has_no_home() {
    let engine = engine();
    let policy = engine.admit(&classifier("0.5")).unwrap();
    let deadline = Hook::Classify.default_deadline();
    let binding = Binding::new(policy, None, OnFailure::Builtin, deadline, 1)
        .at(|| panic!("nothing is looked up for it"));
    assert!(binding.lacks().is_empty());
}

#[tokio::test]
async fn a_withdrawn_grant_ends_the_policy_and_what_it_kept() {
    let engine = engine();
    let bytes = importing(INCREMENT, COUNTS);
    let bound = at_home(&engine, &bytes, "a", "one");
    let binding = Arc::clone(&bound.classify);
    for round in 0..3 {
        let failure = asked(&engine, &bound).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Ungranted, "{failure}");
        assert!(failure.detail.contains("state") && failure.detail.contains("policy-grants"));
        assert!(!binding.lacks().is_empty());
        engine.grant("a", [Ability::State].into_iter().collect());
        assert_eq!(asked(&engine, &bound).await, Ok(1), "round {round}: nothing was kept");
        engine.grant("a", [Ability::Clock].into_iter().collect());
    }
    // It is nobody's fault: the policy is not suspended for it.
    for _ in 0..10 {
        let failure = asked(&engine, &bound).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Ungranted);
    }
    assert_eq!(binding.suspension(crate::clock::now_ms()), None);
}

#[tokio::test]
async fn time_is_coarse_and_chance_is_bounded() {
    let engine = engine();
    engine.grant("a", Abilities::all());
    let imports = r#"
        (import "turnpike:policy/clock@0.1.0" "now-ms" (func $now (result f64)))
        (import "turnpike:policy/random@0.1.0" "bytes" (func $bytes (param i32 i32)))"#;
    let clock = "(i32.store (i32.const 1064) (i32.wrap_i64 (i64.add
        (i64.rem_u (i64.trunc_f64_u (call $now)) (i64.const 1000))
        (i64.extend_i32_u (f64.gt (call $now) (f64.const 1.7e12))))))";
    let random = "(call $bytes (i32.const 1000000) (i32.const 2048))
        (i32.store (i32.const 1064) (i32.load (i32.const 2052)))";
    for (does, expected) in [(clock, 1), (random, 1_024)] {
        let bound = at_home(&engine, &importing(imports, does), "a", "p");
        assert_eq!(asked(&engine, &bound).await, Ok(expected));
    }
}

#[tokio::test]
async fn what_a_policy_counts_is_shown_under_its_name() {
    let engine = engine();
    engine.grant("a", Abilities::all());
    let imports =
        r#"(import "turnpike:policy/counters@0.1.0" "add" (func $add (param i32 i32 f64)))"#;
    let does = "(call $add (i32.const 0) (i32.const 5) (f64.const 1.5))";
    let bound = at_home(&engine, &importing(imports, does), "a", "mine");
    for _ in 0..2 {
        asked(&engine, &bound).await.unwrap();
    }
    let counted = engine.counted();
    let [one] = &*counted else { panic!("{counted:?}") };
    assert_eq!((&*one.org, &*one.plugin, &*one.name, one.sum), ("a", "mine", "guest", 3.0));
    engine.forget("a");
    assert!(engine.counted().is_empty());
}

#[tokio::test]
async fn the_catalogue_is_there_to_look_things_up() {
    let engine = engine();
    engine.grant("a", Abilities::all());
    let imports = r#"(import "turnpike:policy/catalog@0.1.0" "count" (func $count (result i32)))"#;
    let does = "(i32.store (i32.const 1064) (call $count))";
    let bound = at_home(&engine, &importing(imports, does), "a", "p");
    assert_eq!(asked(&engine, &bound).await, Ok(0));
    engine.set_catalog(offers(9).1);
    assert_eq!(asked(&engine, &bound).await, Ok(9));
}

/// An author's trial begins where its case says, each time.
#[tokio::test]
async fn a_trial_has_everything_and_begins_anew() {
    let engine = engine();
    let bytes = importing(INCREMENT, COUNTS);
    let policy = engine.admit_granted(&bytes, Abilities::all()).unwrap();
    let mut trial = Trial::new(&engine, &policy, None, Hook::Classify, None, facts());
    let state = vec![("guest".to_owned(), b"41".to_vec())];
    let begin = Beginnings { now_ms: 5_000, state, answers: Vec::new() };
    for _ in 0..2 {
        trial.begin(&begin);
        assert_eq!(trial.classify().await.map(|it| it.context_tokens), Ok(42));
    }
    assert_eq!(trial.classify().await.map(|it| it.context_tokens), Ok(43));
}
