//! The tools of other languages: where they are looked for, how they are installed at pinned
//! versions into the user's cache, and how one is run. Nothing is installed unasked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::super::super::say;

/// Lines at the end of a failed tool's output that are shown.
const LINES_SHOWN: usize = 40;

/// Stands in a folder whose installation came to its end.
const COMPLETE: &str = ".complete";

/// The user's folder for a tool in this version; shared by all projects.
pub(super) fn cache(tool: &str) -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
        .context("there is neither XDG_CACHE_HOME nor HOME to keep tools in")?;
    Ok(cache.join("turnpike/toolchains").join(tool))
}

/// A program on the search path.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A tool that has a folder of its own: there and whole, or brought there by `install`, or an error
/// that says how to get it.
pub(super) fn installed(
    folder: &Path,
    found: &Path,
    install: Option<&[&str]>,
    hint: &str,
) -> anyhow::Result<PathBuf> {
    let tool = folder.join(found);
    let whole = folder.join(COMPLETE);
    if whole.exists() && tool.exists() {
        return Ok(tool);
    }
    let Some(command) = install else { bail!("{hint}") };
    std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    // Who comes second waits and finds everything there.
    let lock = std::fs::File::create(folder.with_extension("lock"))?;
    lock.lock().context("the cache can't be locked")?;
    if whole.exists() && tool.exists() {
        return Ok(tool);
    }
    say(&format!("installing into {}", folder.display()))?;
    let (name, arguments) = command.split_first().context("a command has a name")?;
    let path = program(name).with_context(|| format!("{name} is not there; {hint}"))?;
    run(Command::new(path).args(arguments).current_dir(folder), name).context(hint.to_owned())?;
    if !tool.exists() {
        bail!("{name} installed no {}; {hint}", tool.display());
    }
    std::fs::File::create(whole)?;
    Ok(tool)
}

/// Runs a tool to its end; its output is shown only where it fails.
pub(super) fn run(command: &mut Command, name: &str) -> anyhow::Result<()> {
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .with_context(|| format!("{name} can't be run"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let end = lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default();
    bail!("{name} failed ({}):\n{}", output.status, end.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_whole_or_asked_for_and_never_installed_unasked() {
        let outer = tempfile::tempdir().unwrap();
        let (folder, found) = (outer.path().join("tool@1"), Path::new("bin/tool"));
        let asked = installed(&folder, found, None, "get it so");
        assert_eq!(asked.unwrap_err().to_string(), "get it so");
        let half = ["sh", "-c", "mkdir bin && touch bin/tool && exit 1"];
        assert!(installed(&folder, found, Some(&half), "get it so").is_err());
        assert!(installed(&folder, found, None, "get it so").is_err(), "half of it is not it");
        let all = ["sh", "-c", "touch bin/tool"];
        assert_eq!(installed(&folder, found, Some(&all), "").unwrap(), folder.join(found));
        assert!(installed(&folder, found, None, "").is_ok());
    }
}
