//! One short life of a ledger, with every kind of fault at every single operation of its storage,
//! and another at every operation of the recovery from it. Whoever repeats everything afterwards
//! ends with the same balances as if nothing had happened.

use std::sync::Arc;

use super::disk::{Fault, SimDisk};
use super::view::SimView;
use crate::ledger::writer::Writer;
use crate::{
    Adjust, CaptureNote, CheckReport, Direction, Ledger, LedgerError, Options, Period, PicoUsd,
    Reserve, ReserveError, SettleError, TopUp, TransferId, check_storage, export_storage,
};

/// What survives a crash is left to chance: each fault is tried with as many seeds.
const SEEDS: u64 = 3;
/// Operations of a recovery that can fail, and some more.
const RECOVERY_STEPS: u32 = 14;

#[derive(Debug, Clone, Copy)]
enum Act {
    SetBudget(&'static str, u64),
    TopUp(u8, u64),
    Adjust(u8, Direction, u64),
    Reserve(u8, u64, u64),
    Extend(u8, u64),
    Capture(u8, u64, u64),
    Release(u8),
    Expire(u64),
    /// The writer's turn.
    Write,
    Commit,
    /// An orderly stop and a start from the view.
    Restart,
}

const LIFE: [Act; 36] = [
    Act::SetBudget("org", 50),
    Act::SetBudget("key", 9),
    Act::TopUp(1, 20),
    Act::Commit,
    Act::Reserve(10, 5, 1_000),
    Act::Write,
    Act::Extend(10, 7),
    Act::Write,
    Act::Capture(10, 6, 0),
    Act::Reserve(11, 3, 1_000),
    Act::Commit,
    Act::Release(11),
    Act::Adjust(2, Direction::Credit, 4),
    Act::Adjust(3, Direction::Debit, 1),
    Act::Commit,
    Act::Reserve(12, 2, 50),
    Act::Write,
    Act::Expire(60),
    Act::Restart,
    Act::TopUp(4, 3),
    Act::Reserve(13, 1, 1_000),
    Act::Commit,
    Act::Reserve(14, 1, 1_000),
    Act::Reserve(15, 0, 1_000),
    Act::Write,
    Act::Capture(14, 1, 2),
    Act::Capture(15, 0, 0),
    Act::Commit,
    Act::SetBudget("key", 12),
    Act::Extend(13, 2),
    Act::Write,
    Act::Release(13),
    Act::Commit,
    Act::Reserve(16, 3, 1_000),
    Act::Capture(16, 2, 0),
    Act::Commit,
];

/// Why a life does not go on.
#[derive(Debug, PartialEq, Eq)]
enum Stopped {
    Full,
    Failed,
}

struct Installation {
    disk: SimDisk,
    view: SimView,
    /// Entries that somebody was told are safe.
    promised: u64,
}

fn id(number: u8) -> TransferId {
    TransferId([number; 16])
}

fn act(ledger: &Ledger, act: Act) -> Result<(), Stopped> {
    let usd = PicoUsd::from_usd;
    let (org, at_ms) = ("acme", 5);
    let posted = match act {
        Act::SetBudget(budget, limit) => {
            ledger.set_budget(budget, Some(usd(limit)), Period::Total, at_ms).map(drop)
        }
        Act::TopUp(number, amount) => {
            let (id, amount, channel, reference) = (id(number), usd(amount), "manual", "r");
            ledger.top_up(&TopUp { id, org, amount, channel, reference, at_ms }).map(drop)
        }
        Act::Adjust(number, direction, amount) => {
            let (id, amount, reference, reason) = (id(number), usd(amount), "t", "a mistake");
            let adjust = Adjust { id, org, direction, amount, reference, reason, at_ms };
            ledger.adjust(&adjust).map(drop)
        }
        Act::Expire(now_ms) => ledger.expire_due(now_ms).map(drop),
        Act::Reserve(number, amount, expires_at_ms) => {
            let budgets = [("org", 0), ("key", 0)];
            let (id, amount) = (id(number), usd(amount));
            let hold = Reserve { id, org, budgets: &budgets, amount, at_ms, expires_at_ms };
            return match ledger.reserve(&hold) {
                Ok(_) | Err(ReserveError::AlreadyUsed(_)) => Ok(()),
                Err(ReserveError::DiskFull(_)) => Err(Stopped::Full),
                Err(ReserveError::NotDurable(_)) => Err(Stopped::Failed),
                Err(error) => panic!("{error}"),
            };
        }
        Act::Extend(number, total) => {
            return match ledger.extend_to(id(number), usd(total), 1_000, at_ms) {
                Ok(_) | Err(ReserveError::Unknown(_)) => Ok(()),
                Err(ReserveError::NotDurable(_)) => Err(Stopped::Failed),
                Err(error) => panic!("{error}"),
            };
        }
        Act::Capture(number, amount, absorbed) => {
            let note = CaptureNote::Complete;
            let settled = ledger.capture(id(number), usd(amount), note, usd(absorbed), at_ms);
            return settled_or_stopped(settled.map(drop));
        }
        Act::Release(number) => {
            let settled = ledger.release(id(number), PicoUsd::ZERO, at_ms);
            return settled_or_stopped(settled.map(drop));
        }
        Act::Write | Act::Commit | Act::Restart => Ok(()),
    };
    match posted {
        Ok(()) => Ok(()),
        Err(LedgerError::DiskFull(_)) => Err(Stopped::Full),
        Err(LedgerError::NotDurable(_)) => Err(Stopped::Failed),
        Err(error) => panic!("{error}"),
    }
}

fn settled_or_stopped(settled: Result<(), SettleError>) -> Result<(), Stopped> {
    match settled {
        Ok(()) => Ok(()),
        Err(SettleError::NotDurable(_)) => Err(Stopped::Failed),
        Err(error) => panic!("{error}"),
    }
}

// === impl Installation ===

impl Installation {
    fn new(seed: u64) -> Self {
        Self { disk: SimDisk::new(seed), view: SimView::default(), promised: 0 }
    }

    fn open(&self) -> Result<(Ledger, Writer), LedgerError> {
        let options = Options {
            storage: Some(Arc::new(self.disk.clone())),
            segment_bytes: 500,
            view_sink: Some(Box::new(self.view.clone())),
            ..Options::at("")
        };
        let (ledger, mut writer) = Ledger::assemble(options, self.view.current().as_ref())?;
        writer.start();
        Ok((ledger, writer))
    }

    /// The whole life; stops where the journal does.
    fn live(&mut self) -> Result<(), Stopped> {
        let (mut ledger, mut writer) = self.open_with_space()?;
        for step in LIFE {
            while let Err(stopped) = act(&ledger, step) {
                if stopped == Stopped::Failed {
                    return Err(stopped);
                }
                self.disk.free();
                self.turn(&ledger, &mut writer, Writer::commit)?;
            }
            match step {
                Act::Write => self.turn(&ledger, &mut writer, Writer::write)?,
                Act::Commit => self.turn(&ledger, &mut writer, Writer::commit)?,
                Act::Restart => {
                    self.write_out(&ledger, &mut writer)?;
                    drop((ledger, writer));
                    (ledger, writer) = self.open_with_space()?;
                }
                _ => {}
            }
        }
        self.write_out(&ledger, &mut writer)
    }

    /// A start that finds no space is tried again when there is some.
    fn open_with_space(&self) -> Result<(Ledger, Writer), Stopped> {
        loop {
            match self.open() {
                Ok(opened) => return Ok(opened),
                Err(_) if self.disk.is_full() => {
                    self.disk.free();
                    self.disk.next_process();
                }
                Err(_) => return Err(Stopped::Failed),
            }
        }
    }

    /// All of it, however often there is no space.
    fn write_out(&mut self, ledger: &Ledger, writer: &mut Writer) -> Result<(), Stopped> {
        self.turn(ledger, writer, Writer::commit)?;
        while ledger.health().durable_seq < ledger.health().last_seq {
            self.disk.free();
            self.turn(ledger, writer, Writer::commit)?;
        }
        Ok(())
    }

    fn turn(
        &mut self,
        ledger: &Ledger,
        writer: &mut Writer,
        turn: fn(&mut Writer) -> Result<(), Arc<str>>,
    ) -> Result<(), Stopped> {
        let done = turn(writer).map_err(|_| Stopped::Failed);
        self.promised = ledger.health().durable_seq;
        done
    }

    /// What happens after a failure: another process, and another boot where the machine stopped
    /// or `boots`.
    fn come_back(&self, boots: bool) {
        if boots || self.disk.is_down() { self.disk.reboot() } else { self.disk.next_process() }
    }

    /// Opens until it does, mending what goes wrong; nothing that was promised is missing.
    fn recover(&self, boots: bool) {
        let opened = loop {
            match self.open() {
                Ok(opened) => break opened,
                Err(LedgerError::Io { .. }) => {
                    self.disk.free();
                    self.come_back(boots);
                }
                Err(error) => panic!("{error}\n{}", self.disk.describe()),
            }
        };
        self.disk.calm();
        assert!(opened.0.health().last_seq >= self.promised, "a safe entry is missing");
        let report = check_storage(&self.disk, self.view.current().as_ref()).unwrap();
        assert!(report.is_sound(), "{report}");
    }

    fn proof(&self) -> CheckReport {
        self.disk.calm();
        let report = check_storage(&self.disk, self.view.current().as_ref()).unwrap();
        assert!(report.is_sound(), "{report}");
        assert!(report.open_holds.is_empty());
        report
    }
}

/// A life without faults: how many operations it takes, and what it comes to.
fn undisturbed() -> (u64, CheckReport) {
    let mut installation = Installation::new(0);
    installation.live().unwrap();
    let steps = installation.disk.steps();
    let mut entries = 0;
    export_storage(&installation.disk, |_| entries += 1).unwrap();
    assert_eq!(entries, installation.promised);
    (steps, installation.proof())
}

/// One life with a fault, a recovery with another, and everything once more.
fn disturbed(fault: (u32, Fault), again: (u32, Fault), seed: u64) -> CheckReport {
    let mut installation = Installation::new(seed);
    installation.disk.plan(fault.0, fault.1);
    let boots = seed % 2 == 1;
    if installation.live().is_err() {
        installation.come_back(boots);
        installation.disk.plan(again.0, again.1);
        installation.recover(boots);
        installation.disk.next_process();
        installation.live().unwrap();
    }
    installation.proof()
}

fn at_every_step(fault: Fault) {
    let (steps, expected) = undisturbed();
    let steps = u32::try_from(steps).unwrap();
    assert!(steps > 50, "{steps}");
    for step in 0..steps {
        for seed in 0..SEEDS {
            for again in [Fault::Crash, Fault::Sync] {
                for recovery_step in 0..RECOVERY_STEPS {
                    let report = disturbed((step, fault), (recovery_step, again), seed);
                    assert_eq!(
                        (&report.accounts, report.budgets),
                        (&expected.accounts, expected.budgets),
                        "{fault:?} at {step}, then {again:?} at {recovery_step}, seed {seed}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_crash_at_every_step() {
    at_every_step(Fault::Crash);
}

#[test]
fn a_failed_write_at_every_step() {
    at_every_step(Fault::Write);
}

#[test]
fn a_failed_sync_at_every_step() {
    at_every_step(Fault::Sync);
}

/// It is never the end of a life: there is space again, and it goes on.
#[test]
fn a_full_disk_at_every_step() {
    let (steps, expected) = undisturbed();
    for step in 0..u32::try_from(steps).unwrap() {
        for seed in 0..SEEDS {
            let mut installation = Installation::new(seed);
            installation.disk.plan(step, Fault::Full);
            assert_eq!(installation.live(), Ok(()), "full at {step}, seed {seed}");
            assert_eq!(installation.proof().accounts, expected.accounts, "full at {step}");
        }
    }
}
