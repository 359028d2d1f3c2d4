//! The source obeys its own rules: sizes, layering, words, and that every file is used.

mod layers;
mod reach;
mod source;

use source::{Source, sources};

/// Lines of a file, tests included: what a reader holds in the head.
const LINES_MAX: usize = 500;
/// Columns of a line.
const COLUMNS_MAX: usize = 100;

/// Words that say "not done". Written in halves, so that this file passes itself.
const UNFINISHED: [&str; 8] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("for ", "now"),
    concat!("unimple", "mented!"),
    concat!("//! To ", "come"),
    concat!("not yet ", "implemented"),
];
/// Endings of type names that say nothing.
const EMPTY_NAMES: [&str; 4] =
    [concat!("Mana", "ger"), concat!("Hel", "per"), concat!("Ut", "il"), concat!("Ut", "ils")];

/// Collects findings over all files and fails with all of them at once.
fn assert_none(rule: &str, find: impl Fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(find).collect();
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn files_have_at_most_500_lines() {
    assert_none("split these files by what they are for", |file| {
        let lines = file.text.lines().count();
        if lines > LINES_MAX && file.is_code() {
            return vec![format!("{}: {lines} lines", file.path)];
        }
        Vec::new()
    });
}

#[test]
fn lines_have_at_most_100_columns() {
    assert_none("break these lines", |file| {
        let long = |line: &str| file.is_code() && line.chars().count() > COLUMNS_MAX;
        let lines = file.text.lines().enumerate().filter(|(_, line)| long(line));
        lines.map(|(index, _)| format!("{}:{}", file.path, index + 1)).collect()
    });
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none("finish it or leave it out", |file| {
        let unfinished = |line: &str| UNFINISHED.iter().find(|word| line.contains(**word));
        let lines = file.text.lines().enumerate();
        let found = lines.filter_map(|(index, line)| Some((index, unfinished(line)?)));
        found.map(|(index, word)| format!("{}:{}: {word}", file.path, index + 1)).collect()
    });
}

#[test]
fn types_are_named_after_what_they_are() {
    assert_none("name these types after what they are", |file| {
        let named = |line: &str| {
            let line =
                line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let rest = ["struct ", "enum ", "trait "].iter().find_map(|k| line.strip_prefix(k))?;
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
            EMPTY_NAMES.iter().any(|ending| name.ends_with(ending)).then_some(name)
        };
        let found = file.text.lines().filter(|_| file.is_rust()).filter_map(named);
        found.map(|name| format!("{}: {name}", file.path)).collect()
    });
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    assert_none("begin these files with //! and what the room is for", |file| {
        // What a room's own tests are for is said by the room.
        let says = file.text.trim_start().starts_with("//!") || file.path.ends_with("/tests.rs");
        if file.is_rust() && !says { vec![file.path.clone()] } else { Vec::new() }
    });
}

#[test]
fn rooms_import_only_what_they_may() {
    assert_none("pass a value instead, or let pipeline.rs bring them together", layers::forbidden);
}

#[test]
fn some_crates_and_calls_have_one_place() {
    assert_none("use the room that owns it", layers::out_of_place);
}

/// The one file of the host that may hold unsafe code, with the argument why it is sound. Guests
/// run in a sandbox and have an allocator of their own.
const UNSAFE: &str = "host/precompiled/src/lib.rs";

#[test]
fn unsafe_code_stands_in_one_place() {
    let word = concat!("uns", "afe");
    let forms = [format!("{word} {{"), format!("{word} fn"), format!("{word} impl")];
    assert_none("find a safe way", |file| {
        let named = |line: &str| {
            let code = line.split("//").next().unwrap_or("");
            forms.iter().any(|form| code.contains(form.as_str()))
        };
        let lines = file.text.lines().enumerate().filter(|(_, line)| named(line));
        let found: Vec<String> =
            lines.map(|(index, _)| format!("{}:{}", file.path, index + 1)).collect();
        match file.is_rust() && file.path.starts_with("host/") && file.path != UNSAFE {
            true => found,
            false if file.path == UNSAFE && found.len() != 1 => vec![format!("{found:?}")],
            false => Vec::new(),
        }
    });
}

#[test]
fn every_rust_file_is_reached_from_a_mod() {
    let files = sources();
    let lost = reach::unreached(&files);
    assert!(lost.is_empty(), "declare these files or delete them:\n  {}", lost.join("\n  "));
}
