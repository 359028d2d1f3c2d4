//! Who gets in, and what those who do not are told.

use proptest::prelude::*;

use super::guests::*;
use crate::policy::*;

fn refusal(bytes: &[u8]) -> String {
    let error = engine().admit(bytes).unwrap_err();
    assert!(error.checks.last().is_some_and(|check| !check.passed));
    error.to_string()
}

#[test]
fn a_good_component_is_taken_in_with_its_checks() {
    let bytes = classifier("0.5");
    let policy = engine().admit(&bytes).unwrap();
    assert_eq!((&*policy.name, &*policy.version), ("guest", "1.0"));
    assert_eq!(policy.hooks.labels(), ["classify"]);
    assert_eq!(policy.digest.len(), 64);
    assert!(policy.checks.iter().all(|check| check.passed));
    assert!(policy.figures.memory_bytes > 0);
    assert!(policy.figures.fresh_us >= policy.figures.start_us);
}

#[test]
fn what_is_no_component_is_named() {
    assert!(refusal(b"(component)").contains("not WebAssembly"));
    assert!(refusal(b"").contains("not WebAssembly"));
    assert!(refusal(b"\0asm\x01\0\0\0").contains("core module"));
    assert!(refusal(b"\x7fELF\x02\x01\x01\0").contains("compiled code"));
    assert!(refusal(b"\0asm\x0d\0\x01\0").contains("exports none of"));
}

#[test]
fn too_large_is_refused_before_anything_is_read() {
    let limits = PolicyLimits { component_bytes_max: 100, ..PolicyLimits::default() };
    let engine = PolicyEngine::new(&limits).unwrap();
    let error = engine.admit(&classifier("0.5")).unwrap_err();
    assert_eq!(error.checks.iter().map(|check| check.name).collect::<Vec<_>>(), ["size"]);
}

#[test]
fn wasi_is_refused_and_the_build_flag_named() {
    let extra = "package test:extra;
        package wasi:cli@0.2.9 { interface environment { count: func() -> u32; } }
        world extra { include turnpike:policy/classifier@0.1.0; 
            import wasi:cli/environment@0.2.9; }";
    let imports = r#"(import "wasi:cli/environment@0.2.9" "count" (func $count (result i32)))"#;
    let function = format!(r#"(func (export "{CLASSIFY}") (result i32) (call $count))"#);
    let refused = refusal(&wrap("extra", &module(imports, &function, 1), Some(extra)));
    assert!(refused.contains("wasi:cli/environment@0.2.9"), "{refused}");
    assert!(refused.contains("--stub-wasi"), "{refused}");
}

#[test]
fn an_ability_that_is_not_granted_is_named() {
    let imports = r#"(import "turnpike:policy/clock@0.1.0" "now-ms" (func $now (result f64)))"#;
    let function =
        format!(r#"(func (export "{CLASSIFY}") (result i32) (drop (call $now)) (i32.const 0))"#);
    let refused = refusal(&wrap("classifier", &module(imports, &function, 1), None));
    assert!(refused.contains("turnpike:policy/clock@0.1.0"), "{refused}");
    assert!(refused.contains("is not granted") && refused.contains("policy-grants"), "{refused}");
}

#[test]
fn another_version_of_the_interface_is_refused_with_ours() {
    let extra = "package test:extra;
        package turnpike:policy@0.2.0 { interface classify { classify: func() -> u32; } }
        world extra { export turnpike:policy/classify@0.2.0; }";
    let function =
        r#"(func (export "turnpike:policy/classify@0.2.0#classify") (result i32) (i32.const 0))"#;
    let refused = refusal(&wrap("extra", &module("", function, 1), Some(extra)));
    assert!(refused.contains("@0.2.0") && refused.contains("0.1.x"), "{refused}");
}

#[test]
fn a_guest_that_never_finishes_starting_is_refused() {
    let function = format!(
        r#"(func $start (loop (br 0))) (start $start)
           (func (export "{CLASSIFY}") (result i32) (i32.const 0))"#
    );
    let refused = refusal(&wrap("classifier", &module("", &function, 1), None));
    assert!(refused.contains("`start`") && refused.contains("processor time"), "{refused}");
}

#[test]
fn a_guest_that_needs_too_much_memory_is_refused() {
    let function = format!(r#"(func (export "{CLASSIFY}") (result i32) (i32.const 0))"#);
    let refused = refusal(&wrap("classifier", &module("", &function, 2000), None));
    assert!(refused.contains("memory"), "{refused}");
}

#[test]
fn bad_bytes_never_panic() {
    let engine = engine();
    let good = classifier("0.5");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
    let places = prop::collection::vec((8..good.len(), any::<u8>()), 1..4);
    runner
        .run(&places, |edits| {
            let mut bytes = good.clone();
            for (at, byte) in edits {
                bytes[at] = byte;
            }
            drop(engine.admit(&bytes));
            Ok(())
        })
        .unwrap();
    for end in 0..good.len() {
        drop(engine.admit(&good[..end]));
    }
}

/// Loading and unloading again and again leaves nothing behind that would run out.
#[test]
fn policies_come_and_go() {
    let engine = engine();
    let bytes = classifier("0.5");
    for _ in 0..100 {
        assert!(engine.admit(&bytes).is_ok());
    }
    assert_eq!(engine.live_instances(), 0);
}

#[test]
fn a_mismatch_names_package_version_and_function() {
    // The right interface, with a function of other types; and with a function of another name.
    let package = |function: &str| {
        format!(
            "package test:extra;
            package turnpike:policy@0.1.1 {{
                interface plugin {{
                    record manifest {{
                        name: string, version: string, summary: string, config-schema: string,
                    }}
                    describe: func() -> manifest;
                    configure: func(config: string) -> result<_, string>;
                }}
                interface classify {{ {function}: func() -> u32; }}
            }}
            world extra {{
                export turnpike:policy/plugin@0.1.1; export turnpike:policy/classify@0.1.1;
            }}"
        )
    };
    let refused = |function: &str| {
        let body = format!(
            r#"(func (export "turnpike:policy/classify@0.1.1#{function}") (result i32)
                (i32.const 0))"#
        );
        let text = module("", &body, 1).replace("plugin@0.1.0", "plugin@0.1.1");
        refusal(&wrap("extra", &text, Some(&package(function))))
    };
    for (function, check) in [("classify", "`start`"), ("guess", "`link`")] {
        let refused = refused(function);
        assert!(refused.contains(check), "{refused}");
        assert!(refused.contains("`classify`"), "the function: {refused}");
        assert!(refused.contains("turnpike:policy/classify@0.1."), "{refused}");
    }
}

#[test]
fn what_was_compiled_is_loaded_and_what_was_changed_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("compiled");
    let engine = || {
        let limits = PolicyLimits { instances_max: 8, ..PolicyLimits::default() };
        let folder = Some((folder.clone(), 1 << 30));
        PolicyEngine::compiling(&limits, Compiling { folder, ..Compiling::default() }).unwrap()
    };
    let how = |engine: &PolicyEngine| {
        let policy = engine.admit(&classifier("0.5")).unwrap();
        let compile = policy.checks.iter().find(|check| check.name == "compile").unwrap();
        compile.detail.contains("compiled before")
    };
    assert!(!how(&engine()), "the first time");
    assert!(how(&engine()), "after a restart");
    let code = |ending: &str| {
        let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|own| own == ending)).collect::<Vec<_>>()
    };
    let [file] = &*code("cwasm") else { panic!("one file") };
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, &bytes).unwrap();
    assert!(!how(&engine()), "a flipped byte is never loaded");
    assert!(how(&engine()), "and was written anew");
}
