//! Tables in memory: for tests and trials. Keeps nothing over a restart.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::RwLock;

use super::StoreError;
use super::state::{Change, Row, State, Table, check_sizes};

/// One table's rows by key.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Tables in memory.
#[derive(Debug, Default)]
pub struct MemoryState {
    tables: RwLock<BTreeMap<Table, Rows>>,
}

// === impl MemoryState ===

impl State for MemoryState {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables.read().get(&table).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let tables = self.tables.read();
        let Some(rows) = tables.get(&table) else { return Ok(Vec::new()) };
        Ok(rows
            .range::<[u8], _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        check_sizes(changes)?;
        let mut tables = self.tables.write();
        for change in changes {
            let rows = tables.entry(change.table).or_default();
            match &change.value {
                Some(value) => drop(rows.insert(change.key.clone(), value.clone())),
                None => drop(rows.remove(&change.key)),
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
