//! The table of endings in `docs/money.md` and the tests here are the same list: each row names
//! its tests, and each row of tests is named there.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use turnpike_tests::repository;

use super::ROWS;

/// Where the table begins.
const TITLE: &str = "## How a request can end";
/// What a row says that has no tests: that it can't happen yet, or that another test has it.
const WITHOUT: &str = "–";

/// The last cells of the table's rows.
fn cells() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(repository().join("docs/money.md"))?;
    let (_, section) = text.split_once(TITLE).context("the section of endings")?;
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cell = row.trim_end_matches('|').rsplit_once('|').context("a row of cells")?.1;
        Ok(cell.trim().to_owned())
    })
    .collect()
}

/// The words in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_ending_of_the_document_has_its_tests_and_the_other_way_round() -> Result<()> {
    let cells = cells()?;
    assert!(cells.len() > 10, "the table was found: {cells:?}");
    let mut named = BTreeSet::new();
    for cell in &cells {
        if cell.starts_with(WITHOUT) {
            assert!(cell.len() > WITHOUT.len() + 10, "no tests and no reason: {cell:?}");
            continue;
        }
        let names: Vec<&str> = quoted(cell).collect();
        assert!(!names.is_empty(), "no tests and no reason: {cell:?}");
        named.extend(names);
    }
    let tested: BTreeSet<&str> = ROWS.iter().copied().collect();
    let untested: Vec<_> = named.difference(&tested).collect();
    let unnamed: Vec<_> = tested.difference(&named).collect();
    assert!(untested.is_empty(), "rows of docs/money.md without tests: {untested:?}");
    assert!(unnamed.is_empty(), "tests that no row of docs/money.md names: {unnamed:?}");
    Ok(())
}
