//! The pepper: an installation's secret under which keys are hashed, so that a stolen database is
//! of no use without this file as well. HMAC-SHA256 is enough, and fast enough for every request,
//! because keys are 256 random bits; a slow hash helps only where secrets can be guessed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The file's name in the data folder.
pub const FILE_NAME: &str = "pepper";

/// Bytes in the file, all random.
const PEPPER_BYTES: usize = 32;

/// The block of SHA-256, to which HMAC pads its key.
const HMAC_BLOCK_BYTES: usize = 64;

/// A key as it is stored and looked up.
pub type KeyHash = [u8; 32];

/// The hash function with the pepper already worked in.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

/// Why there is no pepper.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    /// The file can't be read or made.
    #[error("the pepper file {path} can't be used: {cause}")]
    Io {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The file is not what this program wrote.
    #[error(
        "the pepper file {path} is {found} bytes long instead of {PEPPER_BYTES}; restore it from \
         a backup: without it no existing key can work"
    )]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// Its length.
        found: usize,
    },
    /// It is gone, and keys were hashed with it.
    #[error(
        "the pepper file {path} is missing, and {keys} keys were made with it; restore it from a \
         backup: with a new one none of them would work"
    )]
    Lost {
        /// Where it should be.
        path: PathBuf,
        /// How many keys need it.
        keys: usize,
    },
    /// Others on this machine could read it.
    #[error("the pepper file {path} is readable by others; run: chmod 600 {path}")]
    Exposed {
        /// Where it is.
        path: PathBuf,
    },
}

// === impl Pepper ===

impl Pepper {
    /// Reads the file in the data folder. Where there is none and no stored key needs it, makes
    /// one (mode 600, fsynced).
    pub fn open(data_dir: &Path, keys_stored: usize) -> Result<Self, PepperError> {
        let path = data_dir.join(FILE_NAME);
        match File::open(&path) {
            Ok(file) => Self::read(file, &path),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => match keys_stored {
                0 => Self::create(&path),
                keys => Err(PepperError::Lost { path, keys }),
            },
            Err(cause) => Err(PepperError::Io { path, cause: cause.to_string() }),
        }
    }

    /// A pepper of these bytes.
    pub fn from_bytes(bytes: &[u8; PEPPER_BYTES]) -> Self {
        // HMAC pads a short key with zeros to its block; done here, it can't fail.
        let mut block = Zeroizing::new([0_u8; HMAC_BLOCK_BYTES]);
        for (place, byte) in block.iter_mut().zip(bytes) {
            *place = *byte;
        }
        Self(<Hmac<Sha256> as KeyInit>::new(&(*block).into()))
    }

    /// The keyed hash of a key's clear text.
    pub fn hash(&self, key: &str) -> KeyHash {
        // Cloning the prepared state saves hashing the pepper again for every request.
        let mut mac = self.0.clone();
        mac.update(key.as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn read(mut file: File, path: &Path) -> Result<Self, PepperError> {
        let failed = |cause: std::io::Error| PepperError::Io {
            path: path.to_path_buf(),
            cause: cause.to_string(),
        };
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(PepperError::Exposed { path: path.to_path_buf() });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(PEPPER_BYTES));
        file.read_to_end(&mut bytes).map_err(failed)?;
        let exact: Result<&[u8; PEPPER_BYTES], _> = bytes.as_slice().try_into();
        match exact {
            Ok(exact) => Ok(Self::from_bytes(exact)),
            Err(_) => Err(PepperError::Damaged { path: path.to_path_buf(), found: bytes.len() }),
        }
    }

    fn create(path: &Path) -> Result<Self, PepperError> {
        let failed = |cause: &dyn std::fmt::Display| PepperError::Io {
            path: path.to_path_buf(),
            cause: cause.to_string(),
        };
        let mut bytes = Zeroizing::new([0_u8; PEPPER_BYTES]);
        SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|cause| failed(&cause))?;
        // Complete before it has its name, so that a crash leaves no half pepper behind.
        let beside = path.with_extension("new");
        let written = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(bytes.as_slice()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&beside, path))
            .and_then(|()| match path.parent() {
                Some(dir) => File::open(dir)?.sync_all(),
                None => Ok(()),
            });
        written.map_err(|cause| failed(&cause))?;
        Ok(Self::from_bytes(&bytes))
    }
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{Pepper, PepperError};

    #[test]
    fn the_same_file_hashes_alike_after_a_restart_and_another_pepper_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pepper::open(dir.path(), 0).unwrap().hash("tp-x");
        assert_eq!(Pepper::open(dir.path(), 0).unwrap().hash("tp-x"), first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Pepper::open(other.path(), 0).unwrap().hash("tp-x"), first);
        let mode = std::fs::metadata(dir.path().join("pepper")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_cut_short_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Pepper::open(dir.path(), 0).unwrap();
        let path = dir.path().join("pepper");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Pepper::open(dir.path(), 0), Err(PepperError::Exposed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(Pepper::open(dir.path(), 0), Err(PepperError::Damaged { found: 5, .. })));
    }

    #[test]
    fn a_lost_pepper_is_not_replaced_while_keys_need_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Pepper::open(dir.path(), 2), Err(PepperError::Lost { keys: 2, .. })));
        assert!(!dir.path().join("pepper").exists());
        Pepper::open(dir.path(), 0).unwrap();
        assert!(Pepper::open(dir.path(), 2).is_ok());
    }

    #[test]
    fn the_hash_is_hmac_sha256() {
        // Computed with an independent implementation: key 32 × 0x0b, text "Hi There".
        let hash = Pepper::from_bytes(&[0x0b; 32]).hash("Hi There");
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7");
    }
}
