use std::fs;

use super::super::{Change, MemoryState, State, StoreError, Table};
use super::{COMPACT_BYTES_MIN, ChangesFile, FILE_NAME, Reconciled, tells_of_org};

fn put(key: &str, value: &str) -> Vec<Change> {
    vec![Change::put(Table::Keys, key, value)]
}

fn value(state: &dyn State, key: &str) -> Option<String> {
    let value = state.get(Table::Keys, key.as_bytes()).unwrap();
    value.map(|value| String::from_utf8(value).unwrap())
}

#[test]
fn tables_that_lost_everything_are_filled_again() {
    let dir = tempfile::tempdir().unwrap();
    let state = MemoryState::default();
    let (mut file, clean) = ChangesFile::open(dir.path(), &state).unwrap();
    assert_eq!(clean, Reconciled::default());
    file.commit(&state, put("a", "1")).unwrap();
    file.commit(&state, put("b", "{\"x\": [1, 2]}")).unwrap();
    file.commit(&state, vec![Change::delete(Table::Keys, "a")]).unwrap();
    drop(file);
    let empty = MemoryState::default();
    let (_, reconciled) = ChangesFile::open(dir.path(), &empty).unwrap();
    assert!(reconciled.tables_rebuilt);
    assert_eq!(value(&empty, "a"), None);
    assert_eq!(value(&empty, "b").as_deref(), Some("{\"x\": [1, 2]}"));
    let (_, again) = ChangesFile::open(dir.path(), &empty).unwrap();
    assert_eq!(again, Reconciled::default(), "an untouched pair needs no repair");
}

#[test]
fn tables_that_fell_behind_are_brought_up_and_lose_what_was_never_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let state = MemoryState::default();
    let (mut file, _) = ChangesFile::open(dir.path(), &state).unwrap();
    file.commit(&state, put("a", "1")).unwrap();
    file.commit(&state, put("a", "2")).unwrap();
    // As after a power loss: the tables are one change behind and hold a stray row.
    state.put(Table::Keys, b"a", b"1").unwrap();
    state.put(Table::Keys, b"stray", b"0").unwrap();
    state.put(Table::Meta, b"admin-seq", b"1").unwrap();
    let (_, reconciled) = ChangesFile::open(dir.path(), &state).unwrap();
    assert!(reconciled.tables_rebuilt);
    assert_eq!(value(&state, "a").as_deref(), Some("2"));
    assert_eq!(value(&state, "stray"), None);
}

#[test]
fn an_organization_that_was_ever_there_is_known_without_the_tables() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!tells_of_org(dir.path(), "acme").unwrap(), "no file yet");
    let state = MemoryState::default();
    let (mut file, _) = ChangesFile::open(dir.path(), &state).unwrap();
    file.commit(&state, put("key", "1")).unwrap();
    file.commit(&state, vec![Change::put(Table::Organizations, "acme", "{}")]).unwrap();
    // The file is open, as beside a gateway that runs.
    let told = ["acme", "key", "acm", ""].map(|org| tells_of_org(dir.path(), org).unwrap());
    assert_eq!(told, [true, false, false, false]);
    file.commit(&state, vec![Change::delete(Table::Organizations, "acme")]).unwrap();
    assert!(tells_of_org(dir.path(), "acme").unwrap(), "it may have entries");
}

#[test]
fn a_file_cut_at_any_byte_keeps_every_change_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let state = MemoryState::default();
    let (mut file, _) = ChangesFile::open(dir.path(), &state).unwrap();
    let mut ends = vec![0];
    for round in 1..=3 {
        file.commit(&state, put("k", &round.to_string())).unwrap();
        ends.push(fs::metadata(&path).unwrap().len());
    }
    drop(file);
    let bytes = fs::read(&path).unwrap();
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let empty = MemoryState::default();
        let (_, reconciled) = ChangesFile::open(dir.path(), &empty).unwrap();
        let whole = ends.iter().filter(|end| **end > 0 && **end <= cut as u64).count();
        let expected = (whole > 0).then(|| whole.to_string());
        assert_eq!(value(&empty, "k"), expected, "cut at {cut}");
        assert_eq!(reconciled.torn_bytes, cut as u64 - ends[whole]);
    }
}

#[test]
fn a_lost_file_is_written_anew_from_the_tables() {
    let dir = tempfile::tempdir().unwrap();
    let state = MemoryState::default();
    let (mut file, _) = ChangesFile::open(dir.path(), &state).unwrap();
    file.commit(&state, put("a", "1")).unwrap();
    drop(file);
    fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
    let (mut file, reconciled) = ChangesFile::open(dir.path(), &state).unwrap();
    assert!(reconciled.file_rewritten && !reconciled.tables_rebuilt);
    file.commit(&state, put("b", "2")).unwrap();
    drop(file);
    let empty = MemoryState::default();
    ChangesFile::open(dir.path(), &empty).unwrap();
    assert_eq!((value(&empty, "a"), value(&empty, "b")), (Some("1".into()), Some("2".into())));
}

#[test]
fn a_long_file_is_shortened_at_start_and_still_tells_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let state = MemoryState::default();
    let (mut file, _) = ChangesFile::open(dir.path(), &state).unwrap();
    let long = format!("\"{}\"", "x".repeat(200_000));
    for _ in 0..8 {
        file.commit(&state, put("k", &long)).unwrap();
    }
    file.commit(&state, put("k", "\"last\"")).unwrap();
    drop(file);
    assert!(fs::metadata(&path).unwrap().len() > COMPACT_BYTES_MIN);
    drop(ChangesFile::open(dir.path(), &state).unwrap());
    assert!(fs::metadata(&path).unwrap().len() < 1_000);
    let empty = MemoryState::default();
    ChangesFile::open(dir.path(), &empty).unwrap();
    assert_eq!(value(&empty, "k").as_deref(), Some("\"last\""));
}

/// Tables that refuse every change.
#[derive(Debug, Default)]
struct Full(MemoryState);

impl State for Full {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<super::super::Row>, StoreError> {
        self.0.scan(table, prefix, after, limit)
    }
    fn apply(&self, _: &[Change]) -> Result<(), StoreError> {
        Err(StoreError::io("writing rows", "no space left on device"))
    }
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn a_change_that_the_tables_refuse_is_taken_back_out_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let state = Full::default();
    let (mut file, _) = ChangesFile::open(dir.path(), &state).unwrap();
    let refused = file.commit(&state, put("a", "1")).unwrap_err().to_string();
    assert!(refused.contains("no space left"), "{refused}");
    drop(file);
    let empty = MemoryState::default();
    ChangesFile::open(dir.path(), &empty).unwrap();
    assert_eq!(value(&empty, "a"), None, "a refused change must not come back");
}
