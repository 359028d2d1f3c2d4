//! The deny-all WASI profile: refused until it is granted, and then without anything in it.

use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

/// Parts of WASI as a guest sees them.
const WASI: &str = r#"
package test:extra;

world extra {
    include turnpike:policy/classifier@0.1.0;
    import wasi:cli/environment@0.2.3;
    import wasi:clocks/wall-clock@0.2.3;
    import wasi:filesystem/preopens@0.2.3;
    import wasi:random/random@0.2.3;
}

package wasi:cli@0.2.3 {
    interface environment {
        get-environment: func() -> list<tuple<string, string>>;
        get-arguments: func() -> list<string>;
    }
}

package wasi:clocks@0.2.3 {
    interface wall-clock {
        record datetime { seconds: u64, nanoseconds: u32 }
        now: func() -> datetime;
    }
}

package wasi:filesystem@0.2.3 {
    interface types { resource descriptor; }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}

package wasi:random@0.2.3 {
    interface random { get-random-u64: func() -> u64; }
}
"#;
const IMPORTS: &str = r#"
    (import "wasi:cli/environment@0.2.3" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/environment@0.2.3" "get-arguments" (func $arguments (param i32)))
    (import "wasi:clocks/wall-clock@0.2.3" "now" (func $now (param i32)))
    (import "wasi:filesystem/preopens@0.2.3" "get-directories" (func $folders (param i32)))
    (import "wasi:random/random@0.2.3" "get-random-u64" (func $random (result i64)))"#;
/// Variables, arguments, folders and nanoseconds, added up, are its `context-tokens`; a clock that
/// stands still and chance that is none are a trap.
const LOOKS: &str = r#"
    (call $environment (i32.const 2048))
    (call $arguments (i32.const 2056))
    (call $folders (i32.const 2064))
    (call $now (i32.const 2080))
    (if (i64.lt_u (i64.load (i32.const 2080)) (i64.const 1700000000)) (then (unreachable)))
    (if (i64.eq (call $random) (call $random)) (then (unreachable)))
    (i32.store (i32.const 1064) (i32.add
        (i32.add (i32.load (i32.const 2052)) (i32.load (i32.const 2060)))
        (i32.add (i32.load (i32.const 2068)) (i32.load (i32.const 2088)))))"#;

fn looking() -> Vec<u8> {
    let body = format!("{LOOKS} {}", answer(&[(8, 0), (12, 5)]));
    let function = format!(r#"(func (export "{CLASSIFY}") (result i32) {body})"#);
    wrap("extra", &module(IMPORTS, &function, 1), Some(WASI))
}

#[test]
fn wasi_is_refused_with_what_to_build_differently_until_it_is_granted() {
    let engine = engine();
    let bytes = looking();
    let others = Abilities::all().without([Ability::Wasi].into_iter().collect());
    let refused = engine.admit_granted(&bytes, others).unwrap_err().to_string();
    for words in ["wasi:", "--stub-wasi", "policy-grants"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let policy = engine.admit_granted(&bytes, [Ability::Wasi].into_iter().collect()).unwrap();
    assert_eq!(policy.abilities.iter().collect::<Vec<_>>(), [Ability::Wasi]);
}

#[tokio::test]
async fn there_is_nothing_in_it_but_a_coarse_clock_and_chance() {
    let engine = engine();
    engine.grant("a", Abilities::all());
    let policy = engine.admit_granted(&looking(), Abilities::all()).unwrap();
    let deadline = Hook::Classify.default_deadline();
    let binding =
        Binding::new(policy, None, OnFailure::Builtin, deadline, 7).at(|| engine.home_of("a", "p"));
    let set = BindingSet::defaults(builtins(&engine)).with(Hook::Classify, Arc::new(binding));
    let set = Arc::new(set);
    let verdict = session(&engine, &set).classify().await;
    assert_eq!(verdict.failure, None);
    assert_eq!(verdict.value.unwrap().context_tokens, 0);
    engine.grant("a", Abilities::default());
    let verdict = session(&engine, &set).classify().await;
    assert_eq!(verdict.failure.map(|failure| failure.kind), Some(FailureKind::Ungranted));
}

#[test]
fn http_and_other_versions_are_granted_to_nobody() {
    for (name, served) in [
        ("wasi:clocks/monotonic-clock@0.2.9", true),
        ("wasi:sockets/tcp@0.2.0", true),
        ("wasi:http/outgoing-handler@0.2.10", false),
        ("wasi:clocks/monotonic-clock@0.3.0", false),
        ("wasi:keyvalue/store@0.2.0", false),
    ] {
        assert_eq!(crate::policy::wasi::serves(name), served, "{name}");
    }
}
