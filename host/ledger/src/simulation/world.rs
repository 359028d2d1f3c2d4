//! One run of the simulation: random operations on a ledger, a model of what they should have
//! done, and the proofs that both agree.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use super::disk::{Fault, SimDisk};
use super::model::Model;
use super::view::SimView;
use crate::check::check_window;
use crate::ledger::writer::Writer;
use crate::{
    Adjust, BudgetWindow, CaptureNote, Direction, Ending, Entry, Event, Ledger, LedgerError,
    Options, Period, PicoUsd, Posted, Reserve, ReserveError, SettleError, TopUp, TransferId,
    export_storage,
};

const ORGS: [&str; 3] = ["acme", "globex", "initech"];
const BUDGETS: [&str; 4] = ["org", "team", "key", "never-set"];

pub(super) struct World {
    rng: StdRng,
    disk: SimDisk,
    view: SimView,
    settled_window: u64,
    /// `None` only while it is being opened.
    open: Option<(Ledger, Writer)>,
    model: Model,
    /// The last entry that a caller was told is safe.
    promised: Arc<Mutex<u64>>,
    used: Vec<TransferId>,
    top_ups: Vec<(TransferId, PicoUsd)>,
    now_ms: u64,
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
            now_ms: 1,
        };
        world.reopen();
        world
    }

    fn ledger(&self) -> &Ledger {
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
                let faults = [Fault::Crash, Fault::Full, Fault::Sync];
                let fault = *faults.choose(&mut self.rng).unwrap();
                self.disk.plan(self.rng.random_range(0..8), fault);
            }
            95 => self.crash(),
            96..=97 => self.kill(),
            98 => self.view.fail(self.rng.random_bool(0.5)),
            _ => self.close(),
        }
        self.follow();
    }

    // === operations ===

    fn top_up(&mut self) {
        let repeat = self.rng.random_bool(0.3);
        let (id, before) = match self.top_ups.choose(&mut self.rng) {
            Some((id, amount)) if repeat => (*id, Some(*amount)),
            _ => (self.rng.random::<[u8; 16]>().into(), None),
        };
        let changed = self.rng.random_bool(0.3);
        let amount = before.filter(|_| !changed).unwrap_or_else(|| self.amount(5_000));
        let (org, channel) = (ORGS[usize::from(id.0[0]) % 3], "manual");
        let (reference, at_ms) = ("by hand", self.now_ms);
        let top_up = TopUp { id, org, amount, channel, reference, at_ms };
        let result = self.ledger().top_up(&top_up);
        let known = self.model.entries.iter().find(|entry| entry.transfer() == Some(id));
        match (known.map(|entry| (entry.seq, &entry.event)), result) {
            (_, Err(LedgerError::NotDurable(_))) => {}
            (None, Ok(Posted::New { .. })) => self.top_ups.push((id, amount)),
            (
                Some((seq, Event::TopUp { amount: before, .. })),
                Ok(Posted::Exists { seq: again }),
            ) => {
                assert_eq!((seq, *before), (again, amount));
            }
            (Some((_, Event::TopUp { amount: before, .. })), Err(LedgerError::IdReused(_))) => {
                assert_ne!(*before, amount);
            }
            (known, result) => panic!("{known:?} {result:?}"),
        }
    }

    fn adjust(&mut self) {
        let org = ORGS.choose(&mut self.rng).unwrap();
        let up = self.rng.random_bool(0.5);
        let direction = if up { Direction::Credit } else { Direction::Debit };
        let (id, amount) = (self.rng.random::<[u8; 16]>().into(), self.amount(300));
        let adjust = Adjust { id, org, direction, amount, reference: "oops", at_ms: self.now_ms };
        let enough = up || amount <= self.model.available(org);
        match self.ledger().adjust(&adjust) {
            Err(LedgerError::NotDurable(_)) => {}
            result => assert_eq!(result.is_ok(), enough, "{result:?}"),
        }
    }

    fn set_budget(&mut self) {
        let id = *BUDGETS[..3].choose(&mut self.rng).unwrap();
        let limit = self.rng.random_bool(0.8).then(|| self.amount(3_000));
        match self.ledger().set_budget(id, limit, Period::Day, self.now_ms) {
            Ok(_) | Err(LedgerError::NotDurable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn reserve(&mut self) {
        let repeat = self.rng.random_bool(0.1);
        let id = match self.used.choose(&mut self.rng) {
            Some(id) if repeat => *id,
            _ => self.rng.random::<[u8; 16]>().into(),
        };
        let org = *ORGS.choose(&mut self.rng).unwrap();
        let window = self.now_ms / 400 + self.rng.random_range(0..2);
        let count = self.rng.random_range(0..BUDGETS.len());
        let never_set = self.rng.random_bool(0.05);
        let budgets = BUDGETS[..count].iter().chain(never_set.then_some(&BUDGETS[3]));
        let budgets: Vec<(&str, u64)> = budgets.map(|id| (*id, window)).collect();
        let amount = self.amount(800);
        let expires_at_ms = self.now_ms + self.rng.random_range(0..2_000);
        let at_ms = self.now_ms;
        let request = Reserve { id, org, budgets: &budgets, amount, at_ms, expires_at_ms };
        let fits = self.model.fits(org, &budgets, amount);
        let affordable = self.ledger().affordable(org, &budgets);
        let result = self.ledger().reserve(&request);
        let open = self.model.sums.holds.contains_key(&id);
        match &result {
            Err(ReserveError::NotDurable(_)) => {}
            Ok(hold) if hold.new => {
                assert!(fits && !open, "{request:?}");
                let ended = self.model.endings.get(&id);
                assert!(ended.is_none_or(|ended| self.forgotten(ended.0)), "{id} used again");
                assert!(amount <= affordable);
                self.used.push(id);
                self.promise(hold.seq);
            }
            Ok(hold) => assert!(open && !hold.new),
            Err(ReserveError::AlreadyUsed(_)) => {
                assert!(open || self.model.endings.contains_key(&id));
            }
            Err(ReserveError::WindowClosed { .. }) => assert!(window < self.now_ms / 400 + 2),
            Err(error) => assert!(!fits, "{request:?} {error}"),
        }
    }

    fn extend(&mut self) {
        let Some(id) = self.used.choose(&mut self.rng).copied() else { return };
        let held = self.model.sums.holds.get(&id).cloned();
        let extra = self.amount(300);
        let total = held.as_ref().map_or(extra, |held| held.0.checked_add(extra).unwrap());
        let expires_at_ms = self.now_ms + self.rng.random_range(0..2_000);
        let result = self.ledger().extend_to(id, total, expires_at_ms, self.now_ms);
        match (held, result) {
            (_, Err(ReserveError::NotDurable(_))) => {}
            (None, Err(ReserveError::Unknown(_))) => {}
            (Some(held), result) => {
                let budgets: Vec<_> = held.1.iter().map(|at| (&*at.budget, at.window)).collect();
                let entry = self.model.entries.iter().rev();
                let entry = entry.clone().find(|e| e.label() == "hold" && e.transfer() == Some(id));
                let org = entry.and_then(|entry| entry.org()).unwrap();
                let fits = self.model.fits(org, &budgets, extra);
                assert_eq!(result.is_ok(), fits, "{result:?}");
            }
            (None, result) => panic!("{result:?}"),
        }
    }

    fn settle(&mut self) {
        let Some(id) = self.used.choose(&mut self.rng).copied() else { return };
        let held = self.model.sums.holds.get(&id).map(|held| held.0);
        let before = self.model.endings.get(&id).copied();
        let absorbed = if self.rng.random_bool(0.2) { self.amount(20) } else { PicoUsd::ZERO };
        let note = *[CaptureNote::Complete, CaptureNote::Partial].choose(&mut self.rng).unwrap();
        let actual = match held {
            Some(held) => PicoUsd(self.rng.random_range(0..=held.0 + held.0 / 20)),
            None => self.amount(100),
        };
        let again = self.rng.random_bool(0.7);
        let ending = match before {
            Some((_, before)) if again => before,
            _ if self.rng.random_bool(0.7) => Ending::Captured { actual, absorbed, note },
            _ => Ending::Released { absorbed },
        };
        let result = match ending {
            Ending::Captured { actual, absorbed, note } => {
                self.ledger().capture(id, actual, note, absorbed, self.now_ms)
            }
            Ending::Released { absorbed } => self.ledger().release(id, absorbed, self.now_ms),
            Ending::Expired => return,
        };
        match (held, before, result) {
            (_, _, Err(SettleError::NotDurable(_))) => {}
            (Some(held), _, Ok(settled)) => {
                assert!(settled.new && settled.ending == ending);
                assert!(!matches!(ending, Ending::Captured { actual, .. } if actual > held));
                self.promise(settled.seq);
            }
            (Some(held), _, Err(SettleError::OverCapture { actual, .. })) => assert!(actual > held),
            (None, Some((seq, before)), Ok(settled)) => {
                assert_eq!((settled.seq, settled.ending, settled.new), (seq, before, false));
                assert_eq!(ending, before);
            }
            (None, Some((_, before)), Err(SettleError::AlreadySettled { ending: told, .. })) => {
                assert!(before == told && before != ending);
            }
            (None, Some((seq, _)), Err(SettleError::Unknown(_))) => assert!(self.forgotten(seq)),
            (None, None, Err(SettleError::Unknown(_))) => {}
            (held, before, result) => panic!("{held:?} {before:?} {result:?}"),
        }
    }

    fn expire(&mut self) {
        match self.ledger().expire_due(self.now_ms) {
            Err(LedgerError::NotDurable(_)) => {}
            result => {
                let expired = result.unwrap();
                assert!(expired.iter().all(|id| self.model.sums.holds.contains_key(id)));
            }
        }
    }

    fn amount(&mut self, up_to: u128) -> PicoUsd {
        PicoUsd(self.rng.random_range(1..=up_to))
    }

    fn forgotten(&self, seq: u64) -> bool {
        let last = u64::try_from(self.model.entries.len()).unwrap();
        seq + self.settled_window <= last + 1
    }

    /// Sometimes asks to be told when the entry is safe.
    fn promise(&mut self, seq: u64) {
        if self.rng.random_bool(0.3) {
            let promised = Arc::clone(&self.promised);
            let told = move |safe: bool| {
                let mut last = promised.lock();
                *last = if safe { seq.max(*last) } else { *last };
            };
            self.ledger().on_durable(seq, Box::new(told));
        }
    }

    // === the disk ===

    fn commit(&mut self) {
        self.work(Writer::commit);
    }

    /// The writer's part: a write that is not synced, or a sync.
    fn work(&mut self, round: fn(&mut Writer) -> Result<(), Arc<str>>) {
        self.follow();
        let (ledger, writer) = self.open.as_mut().unwrap();
        if round(writer).is_err() {
            let org = ORGS[0];
            let id = TransferId([9; 16]);
            let amount = PicoUsd::ZERO;
            let request = Reserve { id, org, budgets: &[], amount, at_ms: 0, expires_at_ms: 0 };
            let refused = ledger.reserve(&request);
            assert!(matches!(refused, Err(ReserveError::NotDurable(_))), "{refused:?}");
            assert!(writer.commit().is_err(), "a failed journal took more");
            self.crash();
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
        let state = self.ledger().shared.state.lock();
        let written = state.book.applied_seq - u64::try_from(state.queue.len()).unwrap();
        let healthy = state.failed.is_none();
        drop(state);
        self.open = None;
        if self.disk.is_down() {
            self.disk.reboot();
        }
        let boots = self.disk.boots();
        self.reopen();
        if healthy && self.disk.boots() == boots {
            let found = u64::try_from(self.model.entries.len()).unwrap();
            assert_eq!(found, written, "what a killed process has written");
        }
    }

    fn close(&mut self) {
        self.commit();
        self.kill();
    }

    fn reopen(&mut self) {
        if self.rng.random_bool(0.1) {
            let faults = [Fault::Crash, Fault::Full, Fault::Sync];
            let fault = *faults.choose(&mut self.rng).unwrap();
            self.disk.plan(self.rng.random_range(0..6), fault);
        }
        let view = self.view.current();
        let opened = loop {
            let options = Options {
                storage: Some(Arc::new(self.disk.clone())),
                segment_bytes: 3_000,
                settled_window_entries: self.settled_window,
                view_sink: Some(Box::new(self.view.clone())),
                ..Options::at("")
            };
            match Ledger::assemble(options, view.as_ref()) {
                Ok(opened) => break opened,
                Err(LedgerError::Io { .. }) if self.disk.is_down() => self.disk.reboot(),
                Err(error) => {
                    panic!("the ledger did not open again: {error}\n{}", self.disk.describe())
                }
            }
        };
        self.open = Some(opened);
        self.open.as_mut().unwrap().1.start();
        self.compare_entries();
    }

    /// No promised entry is missing, none is there twice, and none that was never decided.
    fn compare_entries(&mut self) {
        let mut found = Vec::new();
        while export_storage(&self.disk, |entry| found.push(entry)).is_err() {
            // A planned fault hit the reading.
            found.clear();
            self.crash_while_reading();
        }
        let promised = usize::try_from(*self.promised.lock()).unwrap();
        assert!(found.len() >= promised, "entries up to {promised} were safe, {}", found.len());
        assert!(found.len() <= self.model.entries.len());
        assert_eq!(found[..], self.model.entries[..found.len()]);
        self.model = Model::default();
        found.into_iter().for_each(|entry| self.model.add(entry));
        *self.promised.lock() = u64::try_from(self.model.entries.len()).unwrap();
    }

    fn crash_while_reading(&mut self) {
        assert!(self.disk.is_down());
        self.open = None;
        self.disk.reboot();
        self.reopen();
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
                self.crash_while_reading();
                self.prove_files();
            }
        }
    }

    /// Pitfall 52: once every hold has ended, nothing is left held anywhere.
    pub(super) fn settle_all(&mut self) {
        self.disk.calm();
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
}
