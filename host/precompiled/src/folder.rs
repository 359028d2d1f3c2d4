//! The folder of compiled code: only this process's owner can read it, and a file is believed only
//! with the right keyed hash over its name and its bytes. What can't be believed is compiled again.
//! Bounded in bytes: what was not used for the longest time goes first.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use rand::TryRng;
use rand::rngs::SysRng;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Compiled;

/// The file of the key.
const KEY_FILE: &str = "key";
/// Bytes of the key, all random.
const KEY_BYTES: usize = 32;
/// The block of SHA-256, to which HMAC pads its key.
const HMAC_BLOCK_BYTES: usize = 64;
/// Bytes of the keyed hash in front of the code.
const TAG_BYTES: usize = 32;
/// The ending of a file of code.
const ENDING: &str = "cwasm";
/// The ending of a file that is being written.
const UNFINISHED: &str = "part";

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder of compiled policies {path} can't be used: {cause}")]
pub struct FolderError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub cause: String,
}

/// See the head of this file. Clones share nothing but the files.
#[derive(Clone)]
pub struct Folder {
    path: PathBuf,
    key: Hmac<Sha256>,
    bytes_max: u64,
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Folder {
    /// Opens the folder, or makes it (mode 700) with a new key (mode 600). A key that is missing,
    /// damaged or readable by others is replaced: what was hashed with it is compiled again.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, FolderError> {
        let failed = |cause: &dyn std::fmt::Display| FolderError {
            path: path.to_path_buf(),
            cause: cause.to_string(),
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|cause| failed(&cause))?;
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(path, private).map_err(|cause| failed(&cause))?;
        let file = path.join(KEY_FILE);
        let key = match read_key(&file) {
            Some(key) => key,
            None => make_key(&file).map_err(|cause| failed(&cause))?,
        };
        let folder = Self { path: path.to_path_buf(), key, bytes_max };
        folder.sweep();
        Ok(folder)
    }

    /// The code that was kept under this name, if nobody changed it since.
    pub fn take(&self, name: &str) -> Option<Compiled> {
        let path = self.file(name)?;
        let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        let mut tag = [0_u8; TAG_BYTES];
        let mut code = Vec::new();
        file.read_exact(&mut tag).ok()?;
        file.read_to_end(&mut code).ok()?;
        self.hash(name, &code).verify_slice(&tag).ok()?;
        // So that it is not among the oldest; should that fail, it is thrown out a little early.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        futimens(&file, &Timestamps { last_access: now, last_modification: now }).ok();
        Some(Compiled(code))
    }

    /// Keeps code under a name of letters, digits and `-`. Other code of that name goes, and the
    /// oldest where the folder gets too large. An error costs a compilation later, nothing else.
    pub fn keep(&self, name: &str, compiled: &Compiled) -> io::Result<()> {
        let Some(path) = self.file(name) else {
            return Err(io::Error::other("not a name for compiled code"));
        };
        let unfinished = path.with_extension(UNFINISHED);
        let tag = self.hash(name, &compiled.0).finalize().into_bytes();
        let written = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| {
                file.write_all(&tag)?;
                file.write_all(&compiled.0)
            })
            // No sync: after a power cut a torn file has the wrong hash.
            .and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            fs::remove_file(&unfinished).ok();
        }
        self.evict(&path);
        written
    }

    fn hash(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut hash = self.key.clone();
        hash.update(name.as_bytes());
        // Ends the name, which has no such byte.
        hash.update(&[0]);
        hash.update(code);
        hash
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let fits = !name.is_empty() && name.len() <= 128 && name.bytes().all(plain);
        fits.then(|| self.path.join(format!("{name}.{ENDING}")))
    }

    /// Files with that ending, oldest first.
    fn files(&self, ending: &str) -> Vec<(PathBuf, u64)> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        let mut found: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|own| own == ending))
            .filter_map(|entry| {
                let about = entry.metadata().ok()?;
                Some((about.modified().ok()?, entry.path(), about.len()))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, path, bytes)| (path, bytes)).collect()
    }

    /// Throws the oldest out until the rest fits; never the one that was just written.
    fn evict(&self, newest: &Path) {
        let files = self.files(ENDING);
        let mut bytes = files.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
        for (path, size) in files {
            if bytes <= self.bytes_max {
                return;
            }
            if path != newest && fs::remove_file(&path).is_ok() {
                bytes = bytes.saturating_sub(size);
            }
        }
    }

    /// Removes what an end in the middle of writing left behind.
    fn sweep(&self) {
        for (path, _) in self.files(UNFINISHED) {
            fs::remove_file(path).ok();
        }
    }
}

fn key_of(bytes: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    // HMAC pads a short key with zeros to its block; done here, it can't fail.
    let mut block = Zeroizing::new([0_u8; HMAC_BLOCK_BYTES]);
    for (place, byte) in block.iter_mut().zip(bytes) {
        *place = *byte;
    }
    <Hmac<Sha256> as KeyInit>::new(&(*block).into())
}

fn read_key(path: &Path) -> Option<Hmac<Sha256>> {
    let mut file = File::open(path).ok()?;
    if file.metadata().ok()?.permissions().mode() & 0o077 != 0 {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES));
    file.read_to_end(&mut bytes).ok()?;
    let exact: &[u8; KEY_BYTES] = bytes.as_slice().try_into().ok()?;
    Some(key_of(exact))
}

fn make_key(path: &Path) -> io::Result<Hmac<Sha256>> {
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(io::Error::other)?;
    let unfinished = path.with_extension(UNFINISHED);
    fs::remove_file(&unfinished).or_else(|cause| match cause.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(cause),
    })?;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes.as_slice()).and_then(|()| file.sync_all())?;
    fs::rename(&unfinished, path)?;
    Ok(key_of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Engine;
    use wasmtime::component::Component;

    fn compiled() -> (Engine, Compiled) {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, &wat::parse_str("(component)").unwrap());
        let compiled = Compiled::of(&component.unwrap()).unwrap();
        (engine, compiled)
    }

    #[test]
    fn code_comes_back_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("compiled");
        let (engine, compiled) = compiled();
        Folder::open(&path, 1 << 20).unwrap().keep("a-1", &compiled).unwrap();
        let again = Folder::open(&path, 1 << 20).unwrap();
        assert!(again.take("a-1").unwrap().load(&engine).is_ok());
        assert!(again.take("a-2").is_none());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!([mode(&path.join("key")), mode(&path.join("a-1.cwasm"))], [0o600, 0o600]);
    }

    #[test]
    fn a_flipped_byte_another_name_and_another_key_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), 1 << 20).unwrap();
        let (_, compiled) = compiled();
        folder.keep("a", &compiled).unwrap();
        let file = dir.path().join("a.cwasm");
        let good = fs::read(&file).unwrap();
        for at in (0..good.len()).step_by(97) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file, bad).unwrap();
            assert!(folder.take("a").is_none(), "byte {at}");
        }
        fs::write(dir.path().join("b.cwasm"), &good).unwrap();
        assert!(folder.take("b").is_none(), "another name");
        fs::write(&file, &good[..good.len() - 1]).unwrap();
        assert!(folder.take("a").is_none(), "cut short");
        fs::write(&file, &good).unwrap();
        assert!(folder.take("a").is_some());
        fs::remove_file(dir.path().join("key")).unwrap();
        assert!(Folder::open(dir.path(), 1 << 20).unwrap().take("a").is_none(), "another key");
    }

    #[test]
    fn a_key_that_others_can_read_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), 1 << 20).unwrap();
        let (_, compiled) = compiled();
        folder.keep("a", &compiled).unwrap();
        let key = dir.path().join("key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Folder::open(dir.path(), 1 << 20).unwrap().take("a").is_none());
    }

    #[test]
    fn the_oldest_goes_when_the_folder_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let (_, compiled) = compiled();
        let room = u64::try_from(compiled.size() * 2 + 3 * TAG_BYTES).unwrap();
        let folder = Folder::open(dir.path(), room).unwrap();
        let pause = || std::thread::sleep(std::time::Duration::from_millis(15));
        for name in ["a", "b"] {
            folder.keep(name, &compiled).unwrap();
            pause();
        }
        assert!(folder.take("a").is_some(), "used, so not the oldest any more");
        pause();
        folder.keep("c", &compiled).unwrap();
        assert!(folder.take("b").is_none());
        assert!(folder.take("a").is_some() && folder.take("c").is_some());
    }

    #[test]
    fn a_name_is_no_path() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), 1 << 20).unwrap();
        let (_, compiled) = compiled();
        for name in ["", "../a", "a/b", "a.b"] {
            assert!(folder.keep(name, &compiled).is_err(), "{name}");
        }
    }
}
