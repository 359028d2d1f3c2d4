//! `turnpike plugin new`: a project of a language, with a policy that works and its cases. The
//! files are the templates in `sdk/templates`, with the project's name put in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::super::say;
use super::project::{Lang, Project, check_name};
use super::{build, sdk, write};

/// What stands for the name in the templates, and for the name as an identifier.
const NAME: &str = "policy-name";
const IDENTIFIER: &str = "policy_name";
/// A template is a file of its own kind to every tool that looks at the repository, but for those
/// whose names mean something where they lie.
const RENAMED: [(&str, &str); 4] = [
    ("gitignore", ".gitignore"),
    ("Cargo.toml.in", "Cargo.toml"),
    ("lib.rs.in", "lib.rs"),
    ("cargo-config", ".cargo/config.toml"),
];

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct NewArgs {
    /// Its name: of the folder and of the policy
    name: String,
    /// The language
    #[arg(long, value_enum)]
    lang: Lang,
    /// Where the folder goes
    #[arg(long, default_value = ".")]
    into: PathBuf,
}

pub(super) fn run(args: &NewArgs) -> anyhow::Result<()> {
    check_name(&args.name)?;
    let folder = args.into.join(&args.name);
    if folder.exists() {
        bail!("{} is there already; choose another name or --into", folder.display());
    }
    make(args.lang, &args.name, &folder)?;
    let project = Project::required(&folder)?;
    build::prepare(&project)?;
    let at = folder.display();
    say(&format!(
        "{at} is a {} policy for {}; next:\n\n  turnpike plugin build {at} --install\n  \
         turnpike plugin test {at}\n  turnpike plugin push {at} --bind {} --org ORGANIZATION",
        args.lang.label(),
        project.manifest.decisions.join(", "),
        project.manifest.decisions.join(",")
    ))
}

fn make(lang: Lang, name: &str, folder: &Path) -> anyhow::Result<()> {
    let prefix = format!("sdk/templates/{}", lang.label());
    for (path, text) in sdk::files(&prefix) {
        let text = text.replace(NAME, name).replace(IDENTIFIER, &name.replace('-', "_"));
        let path = RENAMED.iter().fold(path.to_owned(), |path, (from, to)| {
            match path.strip_suffix(from) {
                Some(rest) if rest.is_empty() || rest.ends_with('/') => format!("{rest}{to}"),
                _ => path,
            }
        });
        write(&folder.join(path), text.as_bytes())?;
    }
    if lang == Lang::Rust {
        let lock = sdk::file("plugins/Cargo.lock").context("the lock file is embedded")?;
        write(&folder.join("Cargo.lock"), lock.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_makes_a_project_that_is_one() {
        for lang in [Lang::Rust, Lang::Js, Lang::Python, Lang::C] {
            let outer = tempfile::tempdir().unwrap();
            let folder = outer.path().join("my-first");
            make(lang, "my-first", &folder).unwrap();
            let project = Project::required(&folder).unwrap();
            assert_eq!(project.manifest.name, "my-first");
            assert_eq!(project.manifest.lang, lang);
            assert!(project.cases().is_file(), "{lang:?} has cases");
            assert!(folder.join(".gitignore").is_file(), "{lang:?}");
            assert_eq!(folder.join("Cargo.toml").is_file(), lang == Lang::Rust);
        }
    }
}
