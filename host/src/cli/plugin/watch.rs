//! `turnpike plugin watch`: builds, tests and pushes to shadow whenever a file of the project is
//! saved. It looks at the files' times; a failure is told and waited out, never pushed.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use super::super::say;
use super::admin::{Admin, Target};
use super::project::Project;
use super::push::{self, Binding};
use super::superseded;
use super::{read, runtime};
use crate::clock::Stopwatch;
use crate::policy::signature::digest_hex;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A change is taken up once nothing has changed for so long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(300);
/// But after this long at the latest: something may be writing all the time.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// Files and folders looked at; a project that has more keeps something big beside its sources.
const ENTRIES_MAX: usize = 5_000;
/// Files that are no part of a component: cases, configurations, prose.
const NO_SOURCES: [&str; 3] = ["cases.jsonl", "config.json", ".md"];
/// Folders that hold what tools make.
const SKIPPED: [&str; 6] = ["dist", "target", "node_modules", "__pycache__", ".git", ".turnpike"];

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WatchArgs {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    binding: Binding,
    /// Do it once, without waiting for a change
    #[arg(long)]
    once: bool,
}

pub(super) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    args.target.check()?;
    loop {
        let seen = newest(&args.folder, Files::All)?;
        let outcome = round(args);
        if args.once {
            return outcome;
        }
        if let Err(error) = &outcome {
            say(&format!("not pushed: {error:#}"))?;
        }
        say("waiting for a change")?;
        settled(&args.folder, seen)?;
    }
}

/// Builds, tests, pushes.
fn round(args: &WatchArgs) -> anyhow::Result<()> {
    let project = Project::required(&args.folder)?;
    let file = super::build::fresh(&project, false)?;
    if project.cases().is_file() {
        super::test::whole(&args.folder)?;
    }
    let mut binding = args.binding.clone();
    if binding.bind.is_empty() {
        binding.bind.clone_from(&project.manifest.decisions);
        "shadow".clone_into(&mut binding.mode);
    }
    runtime()?.block_on(async {
        let admin = Admin::new(&args.target)?;
        let org = args.target.org()?;
        // Every save is a version of its own; what did not change is the same one.
        let digest = digest_hex(&read(&file)?);
        let examined = push::Examined::of(&project);
        let version = format!("{}{}", superseded::DEV, digest.get(..12).unwrap_or_default());
        let pushed = push::upload(&admin, org, &file, Some(&version), &examined).await?;
        push::bind(&admin, org, &pushed, &binding, Some(&project)).await?;
        superseded::remove(&admin, org, &pushed, &binding).await
    })
}

/// Waits for a change after `seen`, and then until the files are quiet.
fn settled(folder: &Path, seen: SystemTime) -> anyhow::Result<()> {
    let mut last = seen;
    while last <= seen {
        sleep(LOOK_EVERY);
        last = newest(folder, Files::All)?;
    }
    let begun = Stopwatch::start();
    let mut quiet = Stopwatch::start();
    while quiet.elapsed() < QUIET && begun.elapsed() < QUIET_MAX {
        sleep(LOOK_EVERY);
        let now = newest(folder, Files::All)?;
        if now > last {
            last = now;
            quiet = Stopwatch::start();
        }
    }
    Ok(())
}

/// Which files count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    All,
    /// What a component is built from.
    Sources,
}

/// When one of these files of the project was saved last.
pub(super) fn newest(folder: &Path, files: Files) -> anyhow::Result<SystemTime> {
    let mut latest = SystemTime::UNIX_EPOCH;
    let (mut folders, mut entries) = (vec![folder.to_path_buf()], 0_usize);
    while let Some(folder) = folders.pop() {
        let list = std::fs::read_dir(&folder)
            .with_context(|| format!("can't read {}", folder.display()))?;
        for entry in list {
            let entry = entry?;
            let name = entry.file_name();
            entries += 1;
            if entries > ENTRIES_MAX {
                anyhow::bail!(
                    "{} has more than {ENTRIES_MAX} files; keep what is not source in `target`",
                    folder.display()
                );
            }
            // Editors' own files come and go; links may lead anywhere.
            let hidden = name.to_string_lossy().starts_with('.');
            let skipped = SKIPPED.iter().any(|skipped| name == *skipped);
            let Ok(found) = entry.metadata() else { continue };
            if hidden || skipped || found.is_symlink() {
                continue;
            }
            if found.is_dir() {
                folders.push(entry.path());
            }
            let source = !NO_SOURCES.iter().any(|ending| name.to_string_lossy().ends_with(ending));
            if found.is_file() && (source || files == Files::All) {
                latest = latest.max(found.modified()?);
            }
        }
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::{Files, newest};

    #[test]
    fn a_saved_source_is_seen_and_what_tools_make_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("policy.js"), "1").unwrap();
        let newest = |files| newest(folder.path(), files).unwrap();
        let first = newest(Files::All);
        std::fs::create_dir_all(at("dist")).unwrap();
        let later = first + std::time::Duration::from_secs(5);
        let touch = |name: &str| {
            let file = std::fs::File::create(at(name)).unwrap();
            file.set_modified(later).unwrap();
        };
        touch("dist/policy.wasm");
        touch(".policy.js.swp");
        assert_eq!(newest(Files::All), first);
        touch("cases.jsonl");
        assert_eq!((newest(Files::All), newest(Files::Sources)), (later, first));
    }
}
