//! Modules are written as bytes by hand: small enough to read, and no text parser is needed.

use super::{component_imports, componentize};

const HEADER: [u8; 8] = [0, b'a', b's', b'm', 1, 0, 0, 0];

/// A section of a core module whose sizes all fit one byte.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![id, u8::try_from(content.len()).unwrap()];
    out.extend_from_slice(content);
    out
}

fn name(text: &str) -> Vec<u8> {
    let mut out = vec![u8::try_from(text.len()).unwrap()];
    out.extend_from_slice(text.as_bytes());
    out
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [HEADER.to_vec(), sections.concat()].concat()
}

/// One imported function of type `() -> ()`.
fn importing(from: &str, function: &str) -> Vec<Vec<u8>> {
    let import = [vec![1], name(from), name(function), vec![0, 0]].concat();
    vec![section(1, &[1, 0x60, 0, 0]), section(2, &import)]
}

fn refusal(bytes: &[u8]) -> String {
    format!("{:#}", componentize(bytes).unwrap_err())
}

#[test]
fn a_module_without_a_world_is_refused() {
    assert!(refusal(&module(&[])).contains("no component-type section"));
}

#[test]
fn what_is_not_a_module_is_refused() {
    assert!(refusal(b"#!/bin/sh").contains("not a WebAssembly module"));
    let component = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
    assert!(refusal(&component).contains("component already"));
}

#[test]
fn an_import_of_wasi_is_refused_by_name_and_with_what_to_do() {
    let mut sections = vec![section(0, &name("component-type:policy"))];
    sections.extend(importing("wasi_snapshot_preview1", "fd_write"));
    let refusal = refusal(&module(&sections));
    assert!(refusal.contains("\"wasi_snapshot_preview1\" \"fd_write\""), "{refusal}");
    assert!(refusal.contains("wasm32-unknown-unknown"), "{refusal}");
}

#[test]
fn a_world_that_does_not_parse_is_refused() {
    let typed = section(0, &name("component-type:policy"));
    assert!(refusal(&module(&[typed])).contains("does not fit the world"));
}

#[test]
fn the_imports_of_a_core_module_are_not_asked_for() {
    assert!(component_imports(&module(&[])).is_err());
}

#[test]
fn c_bindings_are_a_header_a_source_and_the_worlds_type() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = super::c_bindings(&root.join("../../wit/policy@0.1.0"), "biller").unwrap();
    let names: Vec<_> = made.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["biller.c", "biller.h", "biller_component_type.o"]);
    assert!(made.iter().all(|(_, bytes)| !bytes.is_empty()));
}
