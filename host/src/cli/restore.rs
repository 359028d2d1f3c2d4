//! `turnpike restore`: makes a data folder from a backup, after everything in it was found as it
//! was when the backup was made. Never touches a folder that holds anything, and leaves none half
//! made under the name that a gateway would start from.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::backup::manifest::{self, Manifest, sync_dir};
use super::say;
use crate::gateway::JOURNAL_DIR;
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The backup's folder
    backup: PathBuf,
    /// The data folder to make: one that doesn't exist or is empty
    #[arg(long, default_value = "turnpike-data")]
    data: PathBuf,
}

pub(super) fn run(args: &RestoreArgs) -> anyhow::Result<()> {
    let RestoreArgs { backup, data } = args;
    refuse_used(data)?;
    let manifest = Manifest::verified(backup)?;
    let report = turnpike_ledger::check(&backup.join(JOURNAL_DIR), None)?;
    if !report.is_sound() || report.entries != manifest.journal_entries {
        bail!("the backup's journal does not add up; use another backup\n{report}");
    }
    copy_all(backup, data, &manifest)?;
    // Makes the database from the records: what can't be read shows here and not at the start.
    let opened = Store::open(data)?;
    let store = &opened.store;
    let plugins = store.all_plugins()?;
    for plugin in &plugins {
        if let Err(cause) = store.files().get(&plugin.digest) {
            say(&format!("MISSING    {}@{}: {cause}", plugin.name, plugin.version))?;
        }
    }
    let made_at = crate::clock::basic_utc(manifest.made_at_ms);
    say(&format!("restored   {}", data.display()))?;
    say(&format!("from       a backup of {made_at}, made by version {}", manifest.turnpike))?;
    say(&format!("journal    {} entries, sound", report.entries))?;
    say(&format!(
        "holds      {} open: requests that were under way; they expire and nobody is charged",
        report.open_holds.len()
    ))?;
    say(&format!(
        "records    {} organizations, {} keys, {} plugins, {} bindings",
        store.all_orgs()?.len(),
        store.all_keys()?.len(),
        plugins.len(),
        store.all_bindings()?.len()
    ))?;
    say(&format!("files      {}, {} bytes", manifest.files.len(), manifest.bytes()))
}

fn refuse_used(data: &Path) -> anyhow::Result<()> {
    let used = match fs::read_dir(data) {
        Ok(mut files) => files.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).context(format!("can't read {}", data.display())),
    };
    if used {
        bail!(
            "{} is not empty; move it away first, or give another folder with --data",
            data.display()
        );
    }
    Ok(())
}

/// Copies into a folder beside it, which gets its name when it is complete.
fn copy_all(backup: &Path, data: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let name = data.file_name().context("--data needs the name of a folder")?;
    let mut beside = name.to_owned();
    beside.push(".restoring");
    let beside = data.with_file_name(beside);
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&beside);
    made.with_context(|| format!("can't make {}", beside.display()))?;
    refuse_used(&beside)?;
    let mut folders = vec![beside.clone()];
    for file in &manifest.files {
        let target = beside.join(&file.path);
        let folder = target.parent().unwrap_or(&beside).to_path_buf();
        if !folders.contains(&folder) {
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            folders.push(folder);
        }
        let copied = manifest::copy(backup, &beside, &file.path)?;
        if copied != *file {
            bail!("{} changed while it was copied; start again", file.path);
        }
    }
    folders.iter().try_for_each(|folder| sync_dir(folder))?;
    if data.exists() {
        fs::remove_dir(data).with_context(|| format!("replacing the empty {}", data.display()))?;
    }
    fs::rename(&beside, data).with_context(|| format!("naming it {}", data.display()))?;
    match data.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_dir(parent),
        None => sync_dir(Path::new(".")),
    }
}
