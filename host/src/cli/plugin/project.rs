//! A policy's project: a folder with a `policy.toml`, which says what is built and how. Where its
//! files are. Builds nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::read_text;
use crate::hook::Hook;

/// The file that makes a folder a project.
pub(super) const MANIFEST: &str = "policy.toml";
/// Where what the build makes goes: bindings, the SDK's sources, intermediate files.
const WORK: &str = ".turnpike";
/// Interfaces that a policy may ask for beside those that are always there.
const EXTRA_IMPORTS: [&str; 6] = ["counters", "state", "clock", "random", "catalog", "fetch"];

/// A language that there is an SDK for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Lang {
    Rust,
    Js,
    Python,
    C,
}

impl Lang {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
            Self::C => "c",
        }
    }
}

/// What `policy.toml` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// The component's file name, without its ending.
    pub(super) name: String,
    pub(super) lang: Lang,
    /// Of `classify`, `route`, `redact` and `bill`; what Rust exports is said by its macro.
    pub(super) decisions: Vec<String>,
    /// Whether a router also says why.
    #[serde(default)]
    pub(super) reasons: bool,
    /// Of `counters`, `state`, `clock`, `random`, `catalog` and `fetch`: each must be granted by
    /// the operator.
    #[serde(default)]
    pub(super) imports: Vec<String>,
    #[serde(default)]
    pub(super) test: Budget,
}

/// What a call and an instance may take in `turnpike plugin test`, and, where it is more than
/// usual, a call also in `bench` and as it is bound.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    pub(super) deadline_ms: Option<u64>,
    pub(super) memory_mib: Option<usize>,
}

/// A project's folder.
#[derive(Debug, Clone)]
pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
}

impl Project {
    /// The project in this folder; `None` when `path` is a file.
    pub(super) fn at(path: &Path) -> anyhow::Result<Option<Self>> {
        if path.is_file() {
            return Ok(None);
        }
        let file = path.join(MANIFEST);
        if !file.is_file() {
            bail!(
                "{} is no component and has no {MANIFEST}; `turnpike plugin new` makes a project",
                path.display()
            );
        }
        // Absolute, because tools run in other folders.
        let folder = path.canonicalize().with_context(|| format!("{}", path.display()))?;
        let manifest: Manifest = toml::from_str(&read_text(&file)?)
            .with_context(|| format!("{} is not right", file.display()))?;
        let project = Self { folder, manifest };
        project.check().with_context(|| format!("{} is not right", file.display()))?;
        Ok(Some(project))
    }

    /// The project in this folder, which must be one.
    pub(super) fn required(path: &Path) -> anyhow::Result<Self> {
        Self::at(path)?.with_context(|| format!("{} is a file, not a project", path.display()))
    }

    fn check(&self) -> anyhow::Result<()> {
        let Manifest { name, decisions, reasons, imports, .. } = &self.manifest;
        check_name(name)?;
        if decisions.is_empty() {
            bail!("`decisions` is empty; it is one or more of classify, route, redact and bill");
        }
        for decision in decisions {
            if Hook::from_label(decision).is_none() {
                bail!("{decision:?} is no decision; they are classify, route, redact and bill");
            }
        }
        if *reasons && !decisions.iter().any(|decision| decision == "route") {
            bail!("`reasons` are of a policy that decides `route`");
        }
        for import in imports {
            if !EXTRA_IMPORTS.contains(&import.as_str()) {
                bail!("{import:?} is no import; they are {}", EXTRA_IMPORTS.join(", "));
            }
        }
        Ok(())
    }

    /// What the build makes.
    pub(super) fn component(&self) -> PathBuf {
        self.folder.join("dist").join(format!("{}.wasm", self.manifest.name))
    }

    /// Where intermediate files go; it can be deleted at any time.
    pub(super) fn work(&self) -> PathBuf {
        self.folder.join(WORK)
    }

    pub(super) fn cases(&self) -> PathBuf {
        self.folder.join("cases.jsonl")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    /// Milliseconds that a call of this decision needs as the project says, where that is more than
    /// the usual deadline. A shorter one is what its tests ask of it, and no reason to cut it off
    /// where others are not.
    pub(super) fn deadline_ms(&self, hook: Hook) -> Option<u64> {
        let usual = u64::try_from(hook.default_deadline().as_millis()).unwrap_or(u64::MAX);
        self.manifest.test.deadline_ms.filter(|own| *own > usual)
    }

    /// Text of the WIT world that this project's component is of.
    pub(super) fn world(&self) -> String {
        let Manifest { decisions, reasons, imports, .. } = &self.manifest;
        let mut out = String::from("package local:guest;\n\nworld guest {\n");
        let mut line = |kind: &str, interface: &str| {
            out.push_str(&format!("  {kind} turnpike:policy/{interface}@0.1.0;\n"));
        };
        line("import", "log");
        line("import", "request");
        if decisions.iter().any(|decision| decision == "route") {
            line("import", "candidates");
        }
        imports.iter().for_each(|import| line("import", import));
        line("export", "plugin");
        decisions.iter().for_each(|decision| line("export", decision));
        if *reasons {
            line("export", "route-reasons");
        }
        out.push_str("}\n");
        out
    }
}

/// A policy's name: it becomes a file's, a crate's and a label.
pub(super) fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if name.len() > 64 || !first || !name.bytes().all(plain) {
        bail!("{name:?} is no name: 1 to 64 of a-z, 0-9 and -, the first a letter");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str) -> anyhow::Result<Project> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), text).unwrap();
        Project::required(folder.path())
    }

    #[test]
    fn a_world_has_what_the_manifest_says_and_nothing_else() {
        let made = project("name = \"a\"\nlang = \"js\"\ndecisions = [\"classify\"]\n").unwrap();
        let world = made.world();
        assert!(world.contains("export turnpike:policy/classify@0.1.0;"), "{world}");
        assert!(!world.contains("candidates") && !world.contains("state"), "{world}");
        let more = "name = \"a\"\nlang = \"c\"\ndecisions = [\"route\"]\nreasons = true\n\
                    imports = [\"state\"]\n";
        let world = project(more).unwrap().world();
        for wanted in ["import turnpike:policy/candidates", "policy/state", "route-reasons"] {
            assert!(world.contains(wanted), "{wanted}: {world}");
        }
    }

    #[test]
    fn a_project_that_needs_longer_than_usual_gets_it_and_none_gets_less() {
        let of = |ms: u64| {
            let test = format!("[test]\ndeadline_ms = {ms}\n");
            let text = format!("name = \"a\"\nlang = \"python\"\ndecisions = [\"bill\"]\n{test}");
            project(&text).unwrap()
        };
        assert_eq!(of(50).deadline_ms(Hook::Redact), Some(50));
        assert_eq!(of(5).deadline_ms(Hook::Bill), None, "the usual is 20");
        assert_eq!(
            [Hook::Route, Hook::Bill].map(|hook| of(15).deadline_ms(hook)),
            [Some(15), None]
        );
        let silent = project("name = \"a\"\nlang = \"c\"\ndecisions = [\"bill\"]").unwrap();
        assert_eq!(silent.deadline_ms(Hook::Bill), None);
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_said() {
        for (text, words) in [
            ("name = \"A\"\nlang = \"c\"\ndecisions = [\"bill\"]", "is no name"),
            ("name = \"a\"\nlang = \"c\"\ndecisions = []", "is empty"),
            ("name = \"a\"\nlang = \"c\"\ndecisions = [\"price\"]", "no decision"),
            ("name = \"a\"\nlang = \"go\"\ndecisions = [\"bill\"]", "unknown variant"),
            ("name = \"a\"\nlang = \"c\"\ndecisions = [\"bill\"]\nwasi = true", "unknown field"),
            ("name = \"a\"\nlang = \"c\"\ndecisions = [\"bill\"]\nreasons = true", "`reasons`"),
            ("name = \"a\"\nlang = \"c\"\ndecisions = [\"bill\"]\nimports = [\"fs\"]", "no import"),
        ] {
            let error = format!("{:#}", project(text).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }
}
