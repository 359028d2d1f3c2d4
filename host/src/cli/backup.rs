//! `turnpike backup`: copies what can't be made again out of a data folder, also while a gateway
//! runs on it. It reads files that are only appended to, in an order in which each one knows what
//! the ones before it name. Never writes into the data folder and never takes its lock.

pub(super) mod manifest;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::say;
use crate::auth::PEPPER_FILE;
use crate::gateway::{JOURNAL_DIR, USAGE_DIR};
use crate::store::{CHANGES_FILE, PLUGINS_DIR, RATINGS_FILE, whole_changes};
use manifest::{Manifest, copy_file, sync_dir, write_file};

/// What a data folder holds besides: made again at the next start, or of no use to it.
/// The last is the demo's: it makes another where there is none.
const MADE_AGAIN: [&str; 5] = ["compiled", "listen.json", "lock", "db", "admin-token"];

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// Where to put it: a folder that doesn't exist or is empty
    dir: PathBuf,
    /// The gateway's data folder
    #[arg(long, default_value = "turnpike-data")]
    data: PathBuf,
}

pub(super) fn run(args: &BackupArgs) -> anyhow::Result<()> {
    let BackupArgs { dir, data } = args;
    let journal = data.join(JOURNAL_DIR);
    if !journal.is_dir() {
        let journal = journal.display();
        bail!("there is no journal at {journal}; give the gateway's data folder with --data");
    }
    make_empty(dir)?;
    let mut manifest = Manifest::begin(crate::clock::now_ms());
    // Whatever an explanation tells of money is in the journal that is copied after it; whatever
    // the journal and a binding name is in the records that are copied after them.
    copy_folder(data, dir, USAGE_DIR, &mut manifest)?;
    fs::create_dir(dir.join(JOURNAL_DIR)).context("making the journal's copy")?;
    let copied = turnpike_ledger::copy_journal(&journal, &dir.join(JOURNAL_DIR))?;
    manifest.journal_entries = copied.last_seq;
    manifest.add_folder(dir, JOURNAL_DIR)?;
    copy_folder(data, dir, PLUGINS_DIR, &mut manifest)?;
    write_file(dir, CHANGES_FILE, &whole_changes(data)?, &mut manifest)?;
    // Those that were uploaded meanwhile: the records may name them.
    copy_folder(data, dir, PLUGINS_DIR, &mut manifest)?;
    for file in [PEPPER_FILE, RATINGS_FILE] {
        if data.join(file).exists() {
            copy_file(data, dir, file, &mut manifest)?;
        }
    }
    let report = turnpike_ledger::check(&dir.join(JOURNAL_DIR), None)?;
    if !report.is_sound() {
        bail!(
            "the copied journal does not add up; run: turnpike ledger check --data DATA\n{report}"
        );
    }
    manifest.finish(dir)?;
    tell(dir, &manifest, &left_out(data)?)
}

/// Makes the folder, for its owner only: it holds the pepper and the hashes of keys.
fn make_empty(dir: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("can't make {}", dir.display()))?;
    let mut files = fs::read_dir(dir).with_context(|| format!("can't read {}", dir.display()))?;
    if files.next().is_some() {
        bail!("{} is not empty; give a new folder, so that no backup is lost", dir.display());
    }
    Ok(())
}

/// Copies the files of a folder that are not in the backup yet. One that is removed meanwhile is
/// not needed any more.
fn copy_folder(data: &Path, dir: &Path, name: &str, manifest: &mut Manifest) -> anyhow::Result<()> {
    let target = dir.join(name);
    fs::create_dir_all(&target).with_context(|| format!("can't make {}", target.display()))?;
    let Ok(files) = fs::read_dir(data.join(name)) else { return Ok(()) };
    for file in files {
        let file = file.with_context(|| format!("can't list {name}"))?.file_name();
        let Some(file) = file.to_str().filter(|file| !file.ends_with(".part")) else { continue };
        let path = format!("{name}/{file}");
        if manifest.has(&path) {
            continue;
        }
        match copy_file(data, dir, &path, manifest) {
            Err(error) if is_gone(&error) => {}
            copied => copied?,
        }
    }
    sync_dir(&target)
}

fn is_gone(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::NotFound)
}

/// What is in the data folder and neither copied nor made again.
fn left_out(data: &Path) -> anyhow::Result<Vec<String>> {
    let copied = [USAGE_DIR, JOURNAL_DIR, PLUGINS_DIR, CHANGES_FILE, PEPPER_FILE, RATINGS_FILE];
    let mut names = Vec::new();
    for file in fs::read_dir(data).with_context(|| format!("can't list {}", data.display()))? {
        let name = file?.file_name().to_string_lossy().into_owned();
        let made_again = MADE_AGAIN.contains(&name.as_str())
            || name.starts_with("db.")
            || name.starts_with("journal.")
            || name.ends_with(".new");
        if !made_again && !copied.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn tell(dir: &Path, manifest: &Manifest, left_out: &[String]) -> anyhow::Result<()> {
    say(&format!("backup     {}", dir.display()))?;
    say(&format!("journal    {} entries, sound", manifest.journal_entries))?;
    say(&format!("files      {}, {} bytes", manifest.files.len(), manifest.bytes()))?;
    if !left_out.is_empty() {
        say(&format!("LEFT OUT   {}: this version does not know it", left_out.join(", ")))?;
    }
    say("It holds the pepper and the hashes of keys: keep it like a secret. The configuration \
         file and what its env: and file: values name are not in it.")
}
