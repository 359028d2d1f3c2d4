//! One run of the simulation: random operations on a ledger, a model of what they should have
//! done, and the proofs that both agree.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use super::disk::{Fault, SimDisk};
use super::model::Model;
use super::operations::ORGS;
use super::view::SimView;
use crate::check::check_window;
use crate::ledger::writer::Writer;
use crate::{
    BudgetWindow, Direction, Entry, Ledger, LedgerError, Options, PicoUsd, Reserve, ReserveError,
    TransferId, export_storage,
};

/// A segment is full after some twenty entries.
const SEGMENT_BYTES: u64 = 3_000;

pub(super) struct World {
    pub(super) rng: StdRng,
    disk: SimDisk,
    view: SimView,
    pub(super) settled_window: u64,
    /// `None` only while it is being opened.
    open: Option<(Ledger, Writer)>,
    pub(super) model: Model,
    /// The last entry that a caller was told is safe.
    pub(super) promised: Arc<Mutex<u64>>,
    pub(super) used: Vec<TransferId>,
    pub(super) top_ups: Vec<(TransferId, PicoUsd)>,
    pub(super) adjustments: Vec<(TransferId, &'static str, Direction, PicoUsd)>,
    pub(super) now_ms: u64,
}

impl World {
    pub(super) fn new(mut rng: StdRng, settled_window: u64) -> Self {
        let mut world = Self {
            disk: SimDisk::new(rng.random()),
            rng,
            view: SimView::default(),
            settled_window,
            open: None,
            model: Model::default(),
            promised: Arc::default(),
            used: Vec::new(),
            top_ups: Vec::new(),
            adjustments: Vec::new(),
            now_ms: 1,
        };
        world.reopen();
        world
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.open.as_ref().unwrap().0
    }

    pub(super) fn step(&mut self) {
        self.now_ms += self.rng.random_range(0..50);
        match self.rng.random_range(0..100) {
            0..=5 => self.top_up(),
            6..=7 => self.adjust(),
            8..=10 => self.set_budget(),
            11..=42 => self.reserve(),
            43..=50 => self.extend(),
            51..=77 => self.settle(),
            78..=79 => self.expire(),
            80..=87 => self.work(Writer::write),
            88..=92 => self.commit(),
            93..=94 => {
                let fault = *Fault::ALL.choose(&mut self.rng).unwrap();
                self.disk.plan(self.rng.random_range(0..8), fault);
            }
            95 => self.crash(),
            96 => self.kill(),
            97 => self.decay(),
            98 if self.rng.random_bool(0.5) => self.disk.free(),
            98 => self.view.fail(self.rng.random_bool(0.5)),
            _ => self.close(),
        }
        self.follow();
    }

    // === the disk ===

    fn commit(&mut self) {
        self.work(Writer::commit);
    }

    /// The writer's part: a write that is not synced, or a sync.
    fn work(&mut self, round: fn(&mut Writer) -> Result<(), Arc<str>>) {
        self.follow();
        let (ledger, writer) = self.open.as_mut().unwrap();
        let done = round(writer);
        let (id, amount) = (TransferId([9; 16]), PicoUsd::ZERO);
        let org = ORGS[0];
        let request = Reserve { id, org, budgets: &[], amount, at_ms: 0, expires_at_ms: 0 };
        if done.is_err() {
            let refused = ledger.reserve(&request);
            assert!(matches!(refused, Err(ReserveError::NotDurable(_))), "{refused:?}");
            assert!(writer.commit().is_err(), "a failed journal took more");
            // The operator starts it again, with or without the machine.
            if self.disk.is_down() || self.rng.random_bool(0.5) {
                self.crash()
            } else {
                self.kill()
            }
        } else if ledger.health().full.is_some() {
            assert!(self.disk.is_full());
            let refused = ledger.reserve(&request);
            assert!(matches!(refused, Err(ReserveError::DiskFull(_))), "{refused:?}");
        }
    }

    /// The machine goes down and comes up.
    pub(super) fn crash(&mut self) {
        self.follow();
        self.open = None;
        self.disk.reboot();
        match self.rng.random_range(0..8) {
            0 => self.view.drop_all(),
            1..=3 => self.view.lose(self.rng.random_range(0..6)),
            _ => {}
        }
        self.reopen();
    }

    /// The process dies and the machine doesn't: what was written is still there, synced or not.
    fn kill(&mut self) {
        self.follow();
        let written = self.open.as_ref().unwrap().1.written_seq();
        let healthy = self.ledger().health().failed.is_none();
        self.open = None;
        if self.disk.is_down() {
            self.disk.reboot();
            self.reopen();
            return;
        }
        self.disk.next_process();
        if self.reopen() && healthy {
            let found = u64::try_from(self.model.entries.len()).unwrap();
            assert_eq!(found, written, "what a killed process has written");
        }
    }

    fn close(&mut self) {
        self.commit();
        self.kill();
    }

    /// Bits flip on the disk. What is proven is then refused or found wanting; only the last few
    /// entries, which no later frame vouches for, may read as a torn tail.
    fn decay(&mut self) {
        self.follow();
        let disk = self.disk.copy(self.rng.random());
        let files = disk.names();
        let Some(name) = files.choose(&mut self.rng).filter(|name| disk.len(name) > 0) else {
            return;
        };
        for _ in 0..self.rng.random_range(1..4) {
            disk.damage(name, self.rng.random_range(0..disk.len(name)));
        }
        let report = check_window(&disk, None, self.settled_window).unwrap();
        let mut found = Vec::new();
        let read = export_storage(&disk, |entry| found.push(entry));
        assert_eq!(found[..], self.model.entries[..found.len()], "no entry is made up");
        let all = u64::try_from(found.len()).unwrap() >= self.ledger().health().durable_seq;
        assert!(all || !report.is_sound() || report.torn_tail.is_some(), "{report}");
        assert_eq!(report.is_sound(), read.is_ok(), "{read:?} {report}");
        let opened = Ledger::assemble(self.options(&disk), None);
        match (report.is_sound(), opened) {
            (true, Ok((ledger, _))) => {
                assert_eq!(ledger.health().last_seq, report.entries);
            }
            (false, Err(LedgerError::Corrupt { .. })) => {}
            (sound, opened) => panic!("{sound} {:?}\n{report}", opened.err()),
        }
    }

    fn options(&self, disk: &SimDisk) -> Options {
        Options {
            storage: Some(Arc::new(disk.clone())),
            segment_bytes: SEGMENT_BYTES,
            settled_window_entries: self.settled_window,
            ..Options::at("")
        }
    }

    /// False if the machine went down on the way.
    fn reopen(&mut self) -> bool {
        if self.rng.random_bool(0.1) {
            let fault = *Fault::ALL.choose(&mut self.rng).unwrap();
            self.disk.plan(self.rng.random_range(0..6), fault);
        }
        let view = self.view.current();
        let mut stayed_up = true;
        let opened = loop {
            let mut options = self.options(&self.disk);
            options.view_sink = Some(Box::new(self.view.clone()));
            match Ledger::assemble(options, view.as_ref()) {
                Ok(opened) => break opened,
                Err(LedgerError::Io { .. }) if self.disk.is_down() => {
                    self.disk.reboot();
                    stayed_up = false;
                }
                // The operator mends what the message says, and starts it again.
                Err(LedgerError::Io { .. }) => {
                    self.disk.free();
                    self.disk.next_process();
                }
                Err(error) => {
                    panic!("the ledger did not open again: {error}\n{}", self.disk.describe())
                }
            }
        };
        self.open = Some(opened);
        self.open.as_mut().unwrap().1.start();
        self.compare_entries();
        stayed_up
    }

    /// No promised entry is missing, none is there twice, and none that was never decided.
    fn compare_entries(&mut self) {
        let mut found = Vec::new();
        while export_storage(&self.disk, |entry| found.push(entry)).is_err() {
            // A planned fault hit the reading.
            found.clear();
            self.crash_if_down();
        }
        let promised = usize::try_from(*self.promised.lock()).unwrap();
        assert!(found.len() >= promised, "entries up to {promised} were safe, {}", found.len());
        assert!(found.len() <= self.model.entries.len());
        assert_eq!(found[..], self.model.entries[..found.len()]);
        self.model = Model::default();
        found.into_iter().for_each(|entry| self.model.add(entry));
        *self.promised.lock() = u64::try_from(self.model.entries.len()).unwrap();
    }

    fn crash_if_down(&mut self) {
        if self.disk.is_down() {
            self.open = None;
            self.disk.reboot();
            self.reopen();
        }
    }

    // === proofs ===

    /// The model takes the entries that were decided since.
    fn follow(&mut self) {
        let Some((ledger, _)) = &self.open else { return };
        let state = ledger.shared.state.lock();
        let known = self.model.entries.len();
        let new = state.queue.iter().filter(|entry| usize::try_from(entry.seq).unwrap() > known);
        let new: Vec<Entry> = new.cloned().collect();
        let durable = state.durable_seq;
        drop(state);
        let mut promised = self.promised.lock();
        *promised = durable.max(*promised);
        drop(promised);
        new.into_iter().for_each(|entry| self.model.add(entry));
    }

    /// Every account and counter is what its entries add up to, and all accounts add up to zero.
    pub(super) fn prove(&mut self) {
        let state = self.ledger().shared.state.lock();
        if state.failed.is_some() {
            return;
        }
        let (book, sums) = (&state.book, &self.model.sums);
        let mut accounts = book.accounts().unwrap();
        assert_eq!(accounts.values().sum::<i128>(), 0);
        accounts.retain(|_, balance| *balance != 0);
        let mut expected = sums.accounts.clone();
        expected.retain(|_, balance| *balance != 0);
        assert_eq!(accounts, expected);
        for (id, budget) in &book.budgets.by_id {
            for counter in &budget.windows {
                let at = BudgetWindow { budget: id.clone(), window: counter.window };
                let (spent, held) = sums.counters.get(&at).copied().unwrap_or_default();
                assert_eq!((counter.spent, counter.held), (spent, held), "{at:?}");
            }
        }
        let dropped_is_settled = sums.counters.iter().all(|(at, (_, held))| {
            held.is_zero() || book.budgets.by_id[&at.budget].counter(at.window).held == *held
        });
        assert!(dropped_is_settled, "a window was closed with a hold in it");
        assert_eq!(book.holds.len(), sums.holds.len());
        assert!(book.holds.iter().all(|(id, hold)| sums.holds[id].0 == hold.amount));
        assert_eq!(book.due.len(), book.holds.len());
    }

    pub(super) fn prove_files(&mut self) {
        self.commit();
        let view = self.view.current();
        match check_window(&self.disk, view.as_ref(), self.settled_window) {
            Ok(report) => {
                assert!(report.is_sound(), "{report}");
                assert_eq!(report.entries, self.ledger().health().durable_seq);
            }
            Err(_) => {
                self.crash_if_down();
                self.prove_files();
            }
        }
    }

    /// Pitfall 52: once every hold has ended, nothing is left held anywhere.
    pub(super) fn settle_all(&mut self) {
        self.disk.calm();
        self.commit();
        while !self.ledger().expire_due(u64::MAX).unwrap().is_empty() {
            self.follow();
        }
        self.commit();
        self.prove();
        let state = self.ledger().shared.state.lock();
        assert!(state.book.orgs.values().all(|org| org.held.is_zero()));
        let mut budgets = state.book.budgets.by_id.values();
        assert!(budgets.all(|budget| budget.windows.iter().all(|c| c.held.is_zero())));
    }

    /// The hash of the last frame, which is chained with all before it.
    pub(super) fn last_hash(&self) -> [u8; 16] {
        self.view.current().map(|view| view.applied_hash).unwrap_or_default()
    }
}
