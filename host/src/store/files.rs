//! Plugin binaries as content-addressed files: `plugins/<sha256>.wasm`. A file is complete and on
//! the disk before any record names it; what is read back is checked against its name. Only
//! portable components are kept here, never compiled code.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::StoreError;
use super::sled_state::sync_dir;

/// The folder of plugin binaries.
#[derive(Debug, Clone)]
pub struct PluginFiles {
    dir: PathBuf,
}

// === impl PluginFiles ===

impl PluginFiles {
    /// Opens the folder, creating it.
    pub fn open(dir: PathBuf) -> Result<Self, StoreError> {
        fs::create_dir_all(&dir).map_err(|cause| {
            StoreError::io(format!("creating the plugin folder {}", dir.display()), cause)
        })?;
        Ok(Self { dir })
    }

    /// Stores the bytes; returns their SHA-256 in lower-case hex, which is the identity. Storing
    /// the same bytes again is no error and writes nothing.
    pub fn put(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let digest = digest_of(bytes);
        let path = self.path(&digest);
        // A file that is there but damaged is written again.
        if self.get(&digest).is_ok() {
            return Ok(digest);
        }
        let failed = |cause: std::io::Error| {
            StoreError::io(format!("writing the plugin file {}", path.display()), cause)
        };
        let unfinished = self.dir.join(format!("{digest}.{}.part", crate::clock::new_id()));
        let mut file = fs::File::create(&unfinished).map_err(failed)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(cause) = written.and_then(|()| fs::rename(&unfinished, &path)) {
            remove_quietly(&unfinished);
            return Err(failed(cause));
        }
        sync_dir(&self.dir)?;
        Ok(digest)
    }

    /// The bytes of a digest, checked against it.
    pub fn get(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|cause| {
            StoreError::io(format!("reading the plugin file {}", path.display()), cause)
        })?;
        if digest_of(&bytes) != digest {
            return Err(StoreError::io(
                format!("reading the plugin file {}", path.display()),
                "its content does not match its name; upload the plugin again",
            ));
        }
        Ok(bytes)
    }

    /// Removes the file of a digest that no record names any more.
    pub fn remove(&self, digest: &str) {
        remove_quietly(&self.path(digest));
    }

    /// Removes what an interrupted upload left behind.
    pub fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            if entry.path().extension().is_some_and(|ext| ext == "part") {
                remove_quietly(&entry.path());
            }
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}.wasm"))
    }
}

/// A file that stays behind costs space and nothing else.
fn remove_quietly(path: &Path) {
    if let Err(cause) = fs::remove_file(path)
        && cause.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %cause, "can't remove a plugin file");
    }
}

/// SHA-256 in lower-case hex.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string can't fail.
        write!(hex, "{byte:02x}").ok();
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::PluginFiles;

    #[test]
    fn the_name_is_the_sha256_and_the_same_bytes_are_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = PluginFiles::open(dir.path().join("plugins")).unwrap();
        let digest = files.put(b"abc").unwrap();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(files.put(b"abc").unwrap(), digest);
        assert_eq!(files.get(&digest).unwrap(), b"abc");
        assert_eq!(std::fs::read_dir(dir.path().join("plugins")).unwrap().count(), 1);
    }

    #[test]
    fn damaged_bytes_are_refused_and_written_again_by_an_upload() {
        let dir = tempfile::tempdir().unwrap();
        let files = PluginFiles::open(dir.path().to_path_buf()).unwrap();
        let digest = files.put(b"abc").unwrap();
        std::fs::write(dir.path().join(format!("{digest}.wasm")), b"abd").unwrap();
        let refused = files.get(&digest).unwrap_err().to_string();
        assert!(refused.contains("upload the plugin again"), "{refused}");
        files.put(b"abc").unwrap();
        assert_eq!(files.get(&digest).unwrap(), b"abc");
    }

    #[test]
    fn an_interrupted_upload_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let files = PluginFiles::open(dir.path().to_path_buf()).unwrap();
        std::fs::write(dir.path().join("x.part"), b"half").unwrap();
        files.sweep();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
