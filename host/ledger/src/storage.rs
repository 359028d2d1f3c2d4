//! Where the journal's files are: a flat folder of files that only grow. Behind a trait, so that
//! the simulation can tear writes, lose unsynced ones, fail a sync and crash at any step.
//! Never interprets a byte.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The name of the file whose lock says that the ledger is in use.
const LOCK_NAME: &str = "ledger.lock";

/// A folder of files.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Takes the ledger for this process, until the result is dropped; `None` when another has it.
    ///
    /// # Errors
    /// What the operating system says.
    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>>;

    /// The names of all files.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The whole content of a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file that must not exist. Its name is safe only after [`Storage::sync_names`].
    ///
    /// # Errors
    /// What the operating system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn SegmentFile>>;

    /// Opens a file to append to it, after cutting it to `len` bytes. The cut is safe only after
    /// [`SegmentFile::sync`].
    ///
    /// # Errors
    /// What the operating system says.
    fn append_to(&self, name: &str, len: u64) -> io::Result<Box<dyn SegmentFile>>;

    /// Writes the same bytes that reading shows at this place once more, and makes them safe on
    /// disk: the system may believe that the disk has them when it has not.
    ///
    /// # Errors
    /// What the operating system says.
    fn rewrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Removes a file. Safe only after [`Storage::sync_names`].
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes files made and removed so far safe on disk.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file that is open for appending.
pub trait SegmentFile: Send {
    /// Writes all bytes at the end. After an error any part of them may be there.
    ///
    /// # Errors
    /// What the operating system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to `len` bytes: takes back a part of a write that found no space. Safe only
    /// after [`SegmentFile::sync`].
    ///
    /// # Errors
    /// What the operating system says.
    fn cut(&mut self, len: u64) -> io::Result<()>;

    /// Makes everything that was appended safe on disk.
    ///
    /// # Errors
    /// What the operating system says. What was appended since the last sync may be lost even if a
    /// later sync succeeds, so it must not be retried.
    fn sync(&mut self) -> io::Result<()>;
}

/// Real files in one folder.
#[derive(Debug, Clone)]
pub struct FileStorage {
    dir: PathBuf,
}

// === impl FileStorage ===

impl FileStorage {
    /// The files of `dir`, which is made if it doesn't exist.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn make(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self::existing(dir))
    }

    /// The files of `dir`, which has to exist by the time it is used. Writes nothing by itself.
    pub fn existing(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }
}

impl Storage for FileStorage {
    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let path = self.dir.join(LOCK_NAME);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in std::fs::read_dir(&self.dir)? {
            if let Ok(name) = file?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.dir.join(name))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().create_new(true).append(true).open(self.dir.join(name))?;
        Ok(Box::new(file))
    }

    fn append_to(&self, name: &str, len: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().append(true).open(self.dir.join(name))?;
        if file.metadata()?.len() != len {
            file.set_len(len)?;
        }
        Ok(Box::new(file))
    }

    fn rewrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // Not for appending: that would write at the end, whatever the place.
        let file = OpenOptions::new().write(true).open(self.dir.join(name))?;
        file.write_all_at(bytes, offset)?;
        file.sync_data()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.dir.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

impl SegmentFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
