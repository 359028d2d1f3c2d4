//! The dependency rules of the architecture, as tables. Reads `crate::room` and names of crates in
//! the text; that finds every import, since rooms are only reached by such paths.

use super::source::Source;

/// Types that every room shares; they are no rooms.
const SHARED: [&str; 6] = ["clock", "secret", "hook", "json", "tasks", "error"];

/// Places that bring rooms together: the order of a request, and the program around it.
const CONDUCTORS: [&str; 7] = ["pipeline", "gateway", "server", "cli", "lib", "main", "config"];

/// Which room may import which others.
const ALLOWED: [(&str, &[&str]); 4] = [
    ("route", &["catalog"]),
    ("budget", &["catalog"]),
    ("auth", &["limits", "store"]),
    (
        "admin",
        &["auth", "budget", "catalog", "limits", "policy", "route", "store", "usage", "telemetry"],
    ),
];

/// Text that may stand only in files whose path begins with one of these.
const PLACES: [(&str, &[&str]); 12] = [
    ("wasmtime", &["host/src/policy"]),
    ("sled", &["host/src/store"]),
    ("sqlx", &["host/src/store"]),
    ("redis::", &["host/src/store"]),
    ("rustls", &["host/src/server", "host/src/upstream"]),
    ("SystemTime::now", &["host/src/clock.rs", "host/simulate/src/clock.rs"]),
    ("Instant::now", &["host/src/clock.rs", "host/simulate/src/delivery.rs"]),
    ("process::exit", &["host/src/main.rs"]),
    // The admin listener is waited for by its handle.
    ("tokio::spawn", &["host/src/tasks.rs", "host/src/gateway/running.rs"]),
    ("Uuid::now_v7", &["host/src/clock.rs"]),
    ("mod.rs", &["-"]),
    ("env::set_var", &["-"]),
];

/// Crates that the pure crates may not name.
const ASYNC: [&str; 5] = ["tokio", "hyper", "wasmtime", "axum", "reqwest"];

/// Imports of a room that it may not have.
pub(super) fn forbidden(file: &Source) -> Vec<String> {
    let mut out = pure(file);
    let Some(room) = room_of(&file.path) else { return out };
    if CONDUCTORS.contains(&room) || SHARED.contains(&room) {
        return out;
    }
    let allowed =
        ALLOWED.iter().find(|(name, _)| *name == room).map_or(&[] as &[&str], |(_, to)| to);
    for (line, other) in crate_paths(&file.text) {
        let known = other == room || SHARED.contains(&other) || allowed.contains(&other);
        if !known {
            out.push(format!("{}:{line}: {room} imports {other}", file.path));
        }
    }
    out
}

/// `protocol` and `ledger` know no runtime and nothing of the host.
fn pure(file: &Source) -> Vec<String> {
    let pure = ["host/protocol/src", "host/ledger/src"];
    if !file.is_rust() || !pure.iter().any(|folder| file.path.starts_with(folder)) {
        return Vec::new();
    }
    let names = |line: &str| {
        let code = line.split("//").next().unwrap_or("");
        let named = |name: &&&str| code.contains(&format!("{name}::"));
        ASYNC.iter().find(named).copied()
    };
    let lines = file.text.lines().enumerate();
    let found = lines.filter_map(|(index, line)| Some((index, names(line)?)));
    found.map(|(index, name)| format!("{}:{}: {name}", file.path, index + 1)).collect()
}

/// Text that stands where it may not.
pub(super) fn out_of_place(file: &Source) -> Vec<String> {
    let product = ["host/src", "host/simulate/src", "host/protocol/src", "host/ledger/src"];
    if !file.is_rust() || !product.iter().any(|folder| file.path.starts_with(folder)) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for (text, places) in PLACES {
            let path_like = code.contains("::") || code.contains("use ");
            let misplaced = !places.iter().any(|place| file.path.starts_with(place));
            if path_like && names(code, text) && misplaced {
                out.push(format!("{}:{}: {text}", file.path, index + 1));
            }
        }
    }
    out
}

/// Whether `code` has `text` as words of its own: `tokio_rustls` is not `rustls`.
fn names(code: &str, text: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(text).any(|(at, found)| {
        let (before, rest) = code.split_at(at);
        let before = before.chars().next_back();
        let after = rest.chars().nth(found.len());
        let in_path = text.ends_with("::") || after == Some(':') || text.contains("::");
        !before.is_some_and(word) && !after.is_some_and(word) && in_path
    })
}

/// `host/src/redact/stream.rs` is in the room `redact`.
fn room_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("host/src/")?.strip_suffix(".rs")?;
    rest.split('/').next()
}

/// The first segment of each `crate::…` path, with its line; `use crate::{a, b}` gives both.
fn crate_paths(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let code = text.split("//").next().unwrap_or("");
        let mut parts = code.split("crate::");
        let mut before = parts.next().unwrap_or("");
        for rest in parts {
            let word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            before = rest;
            if !word {
                out.extend(first_segments(rest).into_iter().map(|name| (line, name)));
            }
        }
    }
    out
}

/// `a::B` gives `a`, `{a::B, c}` gives both; types of the crate's root are no rooms.
fn first_segments(path: &str) -> Vec<&str> {
    let names: Vec<&str> = match path.strip_prefix('{') {
        Some(list) => list.split(',').collect(),
        None => vec![path],
    };
    let segment = |name: &'_ str| name.trim().find(|c: char| !c.is_alphanumeric() && c != '_');
    let first = names.into_iter().map(|name| {
        let name = name.trim();
        segment(name).map_or(name, |end| name.split_at(end).0)
    });
    first.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())).collect()
}

#[test]
fn imports_are_found_in_every_form() {
    let text =
        "use crate::store::Store;\nuse crate::{clock, auth::Caller};\nlet x = crate::usage::f();";
    assert_eq!(crate_paths(text), [(1, "store"), (2, "clock"), (2, "auth"), (3, "usage")]);
    let file = |path: &str| Source { path: path.to_owned(), text: text.to_owned() };
    assert_eq!(forbidden(&file("host/src/redact/x.rs")).len(), 3);
    assert_eq!(forbidden(&file("host/src/pipeline.rs")).len(), 0);
    let runtime = Source {
        path: "host/src/auth.rs".to_owned(),
        text: "use wasmtime::Engine;\nuse tokio_rustls::x;\n// wasmtime::note".to_owned(),
    };
    assert_eq!(out_of_place(&runtime).len(), 1);
}
