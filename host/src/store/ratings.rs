//! Ratings of answers, in a file of their own: one line of JSON each, appended and synced before it
//! is acknowledged, written anew as sums when the program starts and the file has grown. Never
//! holds what was rated; a torn last line is left out.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoreError;

/// The file's name in the data folder.
pub const FILE_NAME: &str = "ratings.jsonl";
/// Above this size the file is rewritten at start.
const REWRITE_BYTES_MIN: u64 = 1 << 20;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatingRow {
    /// An answer was rated by a key.
    Rated {
        request: Uuid,
        org: String,
        /// The key's id; empty in lines of versions that did not keep it.
        #[serde(default)]
        key: String,
        task: String,
        model: String,
        rating: f64,
        /// When, in milliseconds since the Unix epoch; 0 where it was not kept.
        #[serde(default)]
        at_ms: u64,
    },
    /// What earlier ratings of a model at a task by one key come to, as of a time. Older versions
    /// kept neither the key nor the time.
    Sum {
        org: String,
        #[serde(default)]
        key: String,
        task: String,
        model: String,
        weight: f64,
        mean: f64,
        #[serde(default)]
        at_ms: u64,
    },
    /// A request that was rated before; its rating is in a sum.
    Known { request: Uuid },
    /// Of requests up to this time, in milliseconds since the Unix epoch, it is not known any more
    /// whether they were rated.
    ForgottenUntil { at_ms: u64 },
}

/// The open file.
#[derive(Debug)]
pub struct RatingsFile {
    path: PathBuf,
    file: File,
    /// A line was written in part and could not be cut off: the next begins on a line of its own.
    torn: bool,
}

// === impl RatingsFile ===

impl RatingsFile {
    /// Opens the file of a data folder, or begins it; with what is in it.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub fn open(data_dir: &Path) -> Result<(Self, Vec<RatingRow>), StoreError> {
        let path = data_dir.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(cause) => return Err(StoreError::io("reading the ratings", cause)),
        };
        let rows = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut file = append(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            // A line that was torn must not swallow the next one.
            write(&mut file, b"\n")?;
        }
        Ok((Self { path, file, torn: false }, rows))
    }

    /// Whether it is time to write it anew.
    pub fn has_grown(&self) -> bool {
        self.file.metadata().is_ok_and(|it| it.len() > REWRITE_BYTES_MIN)
    }

    /// Appends a row; it is on the disk when this returns. Blocks.
    ///
    /// # Errors
    /// When the disk refuses; what it took of the row is cut off again.
    pub fn append(&mut self, row: &RatingRow) -> Result<(), StoreError> {
        let mut line = encode(row)?;
        line.push(b'\n');
        self.append_by(&line, write)
    }

    fn append_by(
        &mut self,
        line: &[u8],
        write: impl FnOnce(&mut File, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let whole = self.file.metadata();
        let whole = whole.map_err(|cause| StoreError::io("looking at the ratings", cause))?.len();
        let text = if self.torn { [b"\n", line].concat() } else { line.to_vec() };
        let written = write(&mut self.file, &text);
        match written {
            Ok(()) => self.torn = false,
            // Else the next rating would go on in this line, and be lost with it.
            Err(_) => self.torn |= self.file.set_len(whole).is_err(),
        }
        written
    }

    /// Replaces all rows at once. Blocks.
    ///
    /// # Errors
    /// When the disk refuses; then the file is as it was.
    pub fn rewrite(&mut self, rows: impl Iterator<Item = RatingRow>) -> Result<(), StoreError> {
        let fresh = self.path.with_extension("new");
        let mut text = Vec::new();
        for row in rows {
            text.extend(encode(&row)?);
            text.push(b'\n');
        }
        let failed = |cause| StoreError::io("rewriting the ratings", cause);
        let mut file = File::create(&fresh).map_err(failed)?;
        write(&mut file, &text)?;
        std::fs::rename(&fresh, &self.path).map_err(failed)?;
        self.file = append(&self.path)?;
        self.torn = false;
        Ok(())
    }
}

fn append(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|cause| StoreError::io("opening the ratings", cause))
}

fn write(file: &mut File, bytes: &[u8]) -> Result<(), StoreError> {
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    written.map_err(|cause| StoreError::io("writing a rating", cause))
}

fn encode(row: &RatingRow) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(row).map_err(|cause| StoreError::io("encoding a rating", cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(n: u128) -> RatingRow {
        let (org, key) = ("acme".into(), "key-1".into());
        let (task, model) = ("code".into(), "a/b".into());
        let request = Uuid::from_u128(n);
        RatingRow::Rated { request, org, key, task, model, rating: 1.0, at_ms: 5 }
    }

    #[test]
    fn rows_come_back_and_a_torn_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, rows) = RatingsFile::open(dir.path()).unwrap();
        assert!(rows.is_empty());
        file.append(&rated(1)).unwrap();
        file.append(&rated(2)).unwrap();
        drop(file);
        let path = dir.path().join(FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.get(..text.len() - 5).unwrap()).unwrap();
        let (mut file, rows) = RatingsFile::open(dir.path()).unwrap();
        assert_eq!(rows, [rated(1)]);
        file.append(&rated(3)).unwrap();
        let (mut file, rows) = RatingsFile::open(dir.path()).unwrap();
        assert_eq!(rows, [rated(1), rated(3)]);
        let half = |file: &mut File, line: &[u8]| {
            write(file, line.get(..line.len() / 2).unwrap()).unwrap();
            Err(StoreError::io(
                "writing a rating",
                std::io::Error::from(std::io::ErrorKind::StorageFull),
            ))
        };
        file.append_by(b"{\"known\":{\"requ", half).unwrap_err();
        file.append(&rated(4)).unwrap();
        let (mut file, rows) = RatingsFile::open(dir.path()).unwrap();
        assert_eq!(rows, [rated(1), rated(3), rated(4)], "a full disk loses no later one");
        let sum = RatingRow::Sum {
            org: "acme".into(),
            key: "key-1".into(),
            task: "code".into(),
            model: "a/b".into(),
            weight: 2.0,
            mean: 0.5,
            at_ms: 5,
        };
        file.rewrite([sum.clone()].into_iter()).unwrap();
        file.append(&rated(4)).unwrap();
        assert_eq!(RatingsFile::open(dir.path()).unwrap().1, [sum, rated(4)]);
    }
}
