//! What a backup says about itself: `backup.json`, written last, with the size and the SHA-256 of
//! every file. A folder without it is no backup.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The file's name in a backup.
pub(in crate::cli) const MANIFEST_FILE: &str = "backup.json";

/// The layout that this version writes and reads.
const FORMAT: u32 = 1;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Manifest {
    format: u32,
    /// The version of the program that wrote it.
    pub(in crate::cli) turnpike: String,
    /// When it was begun, in milliseconds since the Unix epoch.
    pub(in crate::cli) made_at_ms: u64,
    pub(in crate::cli) journal_entries: u64,
    pub(in crate::cli) files: Vec<BackupFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct BackupFile {
    /// Below the backup's folder, with `/`.
    pub(in crate::cli) path: String,
    pub(in crate::cli) bytes: u64,
    /// Lower-case hex.
    sha256: String,
}

// === impl Manifest ===

impl Manifest {
    pub(super) fn begin(made_at_ms: u64) -> Self {
        let turnpike = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, turnpike, made_at_ms, journal_entries: 0, files: Vec::new() }
    }

    /// Reads the manifest of a backup and compares every file with it.
    pub(in crate::cli) fn verified(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(MANIFEST_FILE);
        let bytes = fs::read(&path).with_context(|| {
            let path = path.display();
            format!("can't read {path}; without it this is no backup, or an unfinished one")
        })?;
        let manifest: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} can't be read", path.display()))?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            bail!("the backup has format {format}, this version reads {FORMAT}; use its version");
        }
        for file in &manifest.files {
            let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
            if !Path::new(&file.path).components().all(plain) {
                bail!("the backup names the file {:?}, which is none of its own", file.path);
            }
            let found = digest_of(dir, &file.path)?;
            if found != *file {
                bail!(
                    "{} is not as it was when the backup was made; use another backup",
                    dir.join(&file.path).display()
                );
            }
        }
        Ok(manifest)
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    pub(in crate::cli) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).fold(0, u64::saturating_add)
    }

    /// Takes in what is in a folder of the backup.
    pub(super) fn add_folder(&mut self, dir: &Path, name: &str) -> anyhow::Result<()> {
        for file in fs::read_dir(dir.join(name)).with_context(|| format!("can't list {name}"))? {
            let file = file?.file_name();
            self.files.push(digest_of(dir, &format!("{name}/{}", file.to_string_lossy()))?);
        }
        Ok(())
    }

    /// Writes it: from now on the folder is a backup.
    pub(super) fn finish(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        sync_dir(dir)?;
        let text = serde_json::to_vec_pretty(self)?;
        let mut file = make_file(&dir.join(MANIFEST_FILE))?;
        file.write_all(&text).and_then(|()| file.sync_all()).context("writing the manifest")?;
        sync_dir(dir)
    }
}

/// Copies a file of the same path below `from`, as long as it is now, and takes it in.
pub(super) fn copy_file(
    from: &Path,
    dir: &Path,
    path: &str,
    manifest: &mut Manifest,
) -> anyhow::Result<()> {
    manifest.files.push(copy(from, dir, path)?);
    Ok(())
}

/// Writes a file of the backup and takes it in.
pub(super) fn write_file(
    dir: &Path,
    path: &str,
    bytes: &[u8],
    manifest: &mut Manifest,
) -> anyhow::Result<()> {
    let mut file = make_file(&dir.join(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(|| writing(dir, path))?;
    manifest.files.push(digest_of(dir, path)?);
    Ok(())
}

/// Copies a file, for its owner only, and makes it safe on disk.
pub(in crate::cli) fn copy(from: &Path, to: &Path, path: &str) -> anyhow::Result<BackupFile> {
    // No words around this error: a file that is gone is told by its kind.
    let source = File::open(from.join(path))?;
    let len = source.metadata()?.len();
    let mut target = make_file(&to.join(path))?;
    let file = read_through(source.take(len), path, |piece| target.write_all(piece));
    let file = file.with_context(|| writing(to, path))?;
    target.sync_all().with_context(|| writing(to, path))?;
    Ok(file)
}

/// Makes new names in a folder survive a power cut.
pub(in crate::cli) fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("can't sync the folder {}", dir.display()))
}

fn digest_of(dir: &Path, path: &str) -> anyhow::Result<BackupFile> {
    let reading = || format!("can't read {}", dir.join(path).display());
    let source = File::open(dir.join(path)).with_context(reading)?;
    read_through(source, path, |_| Ok(())).with_context(reading)
}

fn read_through(
    mut source: impl Read,
    path: &str,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<BackupFile> {
    let mut hash = Sha256::new();
    let mut bytes: u64 = 0;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = source.read(&mut piece)?;
        let read = piece.get(..read).unwrap_or_default();
        if read.is_empty() {
            break;
        }
        hash.update(read);
        each(read)?;
        bytes = bytes.saturating_add(u64::try_from(read.len()).unwrap_or(u64::MAX));
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(BackupFile { path: path.to_owned(), bytes, sha256 })
}

fn make_file(path: &Path) -> anyhow::Result<File> {
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    made.with_context(|| format!("can't make {}", path.display()))
}

fn writing(dir: &Path, path: &str) -> String {
    format!("can't write {}", dir.join(path).display())
}
