//! The built-in policies, compiled once for all tests of one build: each stage has a data folder of
//! its own, and compiling them anew would be most of what a short test does. What is kept is what
//! the gateway itself wrote, with the key by which it knows its own.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use crate::binary::{gateway_binary, target_folder};

/// Where a data folder has them.
const FOLDER: &str = "compiled";
/// As the gateway makes its folders.
const MODE: u32 = 0o700;

/// Puts what an earlier stage has compiled into a data folder; nothing where there is none.
pub(crate) fn lay_in(data: &Path) -> Result<()> {
    let kept = kept()?;
    if !kept.is_dir() {
        return Ok(());
    }
    let folder = data.join(FOLDER);
    DirBuilder::new().mode(MODE).recursive(true).create(&folder)?;
    copy(&kept, &folder).context("what was compiled before can't be laid in")
}

/// Keeps what a gateway has compiled at its start for the stages to come. The first one does it.
pub(crate) fn keep(data: &Path) -> Result<()> {
    let kept = kept()?;
    let compiled = data.join(FOLDER);
    if kept.is_dir() || !compiled.is_dir() {
        return Ok(());
    }
    let parent = kept.parent().context("a folder of folders")?;
    fs::create_dir_all(parent)?;
    // Whole before it is there; who comes second leaves it.
    let making = tempfile::tempdir_in(parent)?;
    copy(&compiled, making.path())?;
    let made = making.keep();
    if fs::rename(&made, &kept).is_err() {
        fs::remove_dir_all(&made)?;
    }
    Ok(())
}

/// One folder for each build of the gateway.
fn kept() -> Result<PathBuf> {
    let built = fs::metadata(gateway_binary()?)?;
    let at = built.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("{}-{}", at.as_nanos(), built.len());
    Ok(target_folder()?.join("compiled-policies").join(name))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
