//! The contract, the SDKs and the templates as they are embedded, and the way to unpack them: an
//! author needs this program and the language's toolchain, and no copy of the repository.

use std::path::Path;

use anyhow::bail;

use super::write;

/// Paths from the repository's root, with the files' texts.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/authors.rs"));

/// The files below `prefix`, by their paths below it.
pub(super) fn files(prefix: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().filter_map(move |(path, text)| {
        let rest = path.strip_prefix(prefix)?;
        // A file by its whole path, or what is in a folder.
        let below = rest.strip_prefix('/').or(rest.is_empty().then_some(""))?;
        Some((below, *text))
    })
}

/// The text of one file.
pub(super) fn file(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == path).map(|(_, text)| *text)
}

/// Writes the files below `prefix` into a folder, those that differ: what builds go by is the
/// files' times.
pub(super) fn unpack(prefix: &str, into: &Path) -> anyhow::Result<()> {
    let mut any = false;
    for (path, text) in files(prefix) {
        any = true;
        write_changed(&into.join(path), text)?;
    }
    if !any {
        bail!("{prefix} is not embedded in this program");
    }
    Ok(())
}

/// Writes a file unless it has that text already.
pub(super) fn write_changed(path: &Path, text: &str) -> anyhow::Result<()> {
    match std::fs::read_to_string(path) {
        Ok(now) if now == text => Ok(()),
        _ => write(path, text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_an_author_needs_is_embedded() {
        for prefix in
            ["wit/policy@0.1.0", "sdk/rust", "sdk/js", "sdk/python", "sdk/c", "sdk/templates/rust"]
        {
            assert!(files(prefix).count() > 0, "{prefix}");
        }
        assert!(file("plugins/toolchain.sh").is_some() && file("plugins/Cargo.lock").is_some());
        assert!(files("sdk/rust").all(|(path, _)| !path.starts_with('/')));
    }

    #[test]
    fn what_is_unchanged_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        unpack("wit/policy@0.1.0", folder.path()).unwrap();
        let file = folder.path().join("types.wit");
        let old = std::time::SystemTime::UNIX_EPOCH;
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        unpack("wit/policy@0.1.0", folder.path()).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), old);
    }
}
