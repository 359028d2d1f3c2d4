//! The files of the repository that are its own work: not built, not fetched, not ignored.

use std::path::Path;

use turnpike_tests::repository;

/// Folders that hold what tools make or what git keeps.
const SKIPPED: [&str; 8] =
    [".git", "target", "node_modules", "dist", ".venv", "__pycache__", "demo-data", ".turnpike"];
/// Endings of text files that rules look at.
const CODE: [&str; 9] = ["rs", "wit", "wat", "py", "sh", "js", "ts", "tsx", "css"];
/// Endings of files in which only words are looked at.
const PROSE: [&str; 4] = ["toml", "md", "yml", "yaml"];

/// One file.
pub(super) struct Source {
    /// From the repository's root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn ending(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, ending)| ending)
    }

    pub(super) fn is_rust(&self) -> bool {
        self.ending() == "rs"
    }

    pub(super) fn is_code(&self) -> bool {
        CODE.contains(&self.ending())
    }
}

/// All of them, sorted by path.
pub(super) fn sources() -> Vec<Source> {
    let root = repository();
    let mut out = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            if path.is_dir() {
                if !SKIPPED.contains(&name) {
                    folders.push(path);
                }
                continue;
            }
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
            if CODE.contains(&ending) || PROSE.contains(&ending) || name == "Makefile" {
                out.push(read(&root, &path));
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(out.len() > 20, "the source was not found at {}", root.display());
    out
}

fn read(root: &Path, path: &Path) -> Source {
    let relative = path.strip_prefix(root).expect("below the root");
    let text = std::fs::read_to_string(path).expect("UTF-8 text");
    Source { path: relative.to_string_lossy().replace('\\', "/"), text }
}
