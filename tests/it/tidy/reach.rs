//! Which Rust files no `mod` reaches: they compile nowhere, so nobody knows whether they work.

use std::collections::HashSet;

use super::source::Source;

/// Paths of files that are neither a crate's root nor declared by a file that is reached.
pub(super) fn unreached(files: &[Source]) -> Vec<String> {
    let mut reached: HashSet<String> = HashSet::new();
    let mut next: Vec<(String, bool)> = roots(files).into_iter().map(|root| (root, true)).collect();
    while let Some((path, is_root)) = next.pop() {
        let Some(file) = files.iter().find(|file| file.path == path) else { continue };
        if !reached.insert(path.clone()) {
            continue;
        }
        let folder = folder_of_children(&path, is_root);
        for name in declared(&file.text) {
            next.push((format!("{folder}/{name}.rs"), false));
            next.push((format!("{folder}/{name}/mod.rs"), true));
        }
    }
    let lost = files.iter().filter(|file| file.is_rust() && !reached.contains(&file.path));
    lost.map(|file| file.path.clone()).collect()
}

/// The files that cargo compiles by itself.
fn roots(files: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for manifest in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let folder = manifest.path.strip_suffix("Cargo.toml").unwrap_or("");
        for usual in ["src/lib.rs", "src/main.rs", "build.rs"] {
            out.push(format!("{folder}{usual}"));
        }
        let paths = manifest.text.lines().filter_map(|line| line.trim().strip_prefix("path = \""));
        for path in paths.filter_map(|rest| rest.split('"').next()) {
            out.push(format!("{folder}{path}"));
        }
        for file in files.iter().filter(|file| file.is_rust()) {
            let Some(rest) = file.path.strip_prefix(folder) else { continue };
            let parts: Vec<&str> = rest.split('/').collect();
            let alone = matches!(parts[..], ["tests" | "examples" | "benches", _]);
            let main = matches!(parts[..], ["tests" | "examples" | "benches", _, "main.rs"]);
            if (alone && !folder.is_empty()) || main {
                out.push(file.path.clone());
            }
        }
    }
    out
}

fn folder_of_children(path: &str, is_root: bool) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if is_root || name == "mod.rs" {
        return folder.to_owned();
    }
    path.strip_suffix(".rs").unwrap_or(path).to_owned()
}

/// Names in `mod x;` lines, whatever their visibility.
fn declared(text: &str) -> Vec<&str> {
    let name = |line| {
        let (visible, name) = str::trim(line).split_once("mod ")?;
        let plain = visible.is_empty() || visible.starts_with("pub");
        name.strip_suffix(';').filter(|_| plain).map(str::trim)
    };
    text.lines().filter_map(name).collect()
}

#[test]
fn a_file_that_nothing_declares_is_found() {
    let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let files = [
        file("a/Cargo.toml", "[lib]\npath = \"lib.rs\"\n"),
        file("a/lib.rs", "pub(crate) mod one;\nmod gone {}\n"),
        file("a/one.rs", "mod two;"),
        file("a/one/two.rs", ""),
        file("a/one/three.rs", ""),
    ];
    assert_eq!(unreached(&files), ["a/one/three.rs"]);
}
