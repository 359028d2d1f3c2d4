//! How long a ledger takes to open: from nothing but its journal, and from a view at its end.
//! `cargo bench -p turnpike-ledger --bench start` prints it; `TURNPIKE_START_ENTRIES` says of how
//! many entries.
#![allow(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails should panic")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(missing_docs, reason = "no library")]

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use turnpike_ledger::{
    CaptureNote, Ledger, Options, Period, PicoUsd, Reserve, TopUp, TransferId, ViewDelta, ViewSink,
    ViewSnapshot, check,
};

const ENTRIES: u64 = 1_000_000;

/// Hands the first, whole view on.
struct FirstView(Option<Sender<ViewSnapshot>>);

impl ViewSink for FirstView {
    fn store(&mut self, delta: &ViewDelta) -> Result<(), String> {
        if let Some(first) = self.0.take() {
            first.send(delta.changed.clone()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn fill(dir: &Path, entries: u64) {
    let ledger = Ledger::open(Options::at(dir), None).unwrap();
    let (id, amount) = (TransferId([255; 16]), PicoUsd::from_usd(1_000_000));
    let top_up = TopUp { id, org: "acme", amount, channel: "manual", reference: "b", at_ms: 1 };
    ledger.top_up(&top_up).unwrap();
    ledger.set_budget("key", None, Period::Total, 1).unwrap();
    let budgets = [("key", 0)];
    for number in 0..u128::from(entries / 2 - 1) {
        let (id, amount) = (TransferId(number.to_be_bytes()), PicoUsd(1_000_000));
        let hold =
            Reserve { id, org: "acme", budgets: &budgets, amount, at_ms: 1, expires_at_ms: 9 };
        while ledger.reserve(&hold).is_err() {
            std::thread::yield_now();
        }
        let (note, none) = (CaptureNote::Complete, PicoUsd::ZERO);
        ledger.capture(id, PicoUsd(700_000), note, none, 2).unwrap();
    }
    ledger.close().unwrap();
}

fn main() {
    let entries = std::env::var("TURNPIKE_START_ENTRIES").ok();
    let entries = entries.map_or(ENTRIES, |text| text.parse().unwrap());
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fill(dir.path(), entries);
    let bytes: u64 =
        dir.path().read_dir().unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!("{entries} entries, {bytes} bytes, {} an entry", bytes / entries);

    let start = Instant::now();
    let (sender, view) = channel();
    let sink = FirstView(Some(sender));
    let options = Options { view_sink: Some(Box::new(sink)), ..Options::at(dir.path()) };
    let ledger = Ledger::open(options, None).unwrap();
    println!("from the journal alone  {:?}", start.elapsed());
    let view = view.recv().unwrap();
    assert_eq!(view.applied_seq, ledger.health().last_seq);
    drop(ledger);

    let start = Instant::now();
    let ledger = Ledger::open(Options::at(dir.path()), Some(&view)).unwrap();
    println!("from a view at its end  {:?}", start.elapsed());
    assert_eq!(view.applied_seq, ledger.health().last_seq);
    drop(ledger);

    let start = Instant::now();
    assert!(check(dir.path(), None).unwrap().is_sound());
    println!("proving it              {:?}", start.elapsed());
}
