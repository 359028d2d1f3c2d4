//! The offline proof: reads the whole journal and works everything out twice, once with the book
//! that the live ledger uses and once by adding up the postings, and compares. Never writes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::book::{Book, signed};
use crate::entry::{Account, BudgetWindow, Entry, Event, TransferId};
use crate::error::LedgerError;
use crate::journal::read::{Walked, walk};
use crate::money::PicoUsd;
use crate::settled::{SETTLED_WINDOW_ENTRIES, SettledWindow};
use crate::storage::{FileStorage, Storage};
use crate::view::{HoldRow, ViewSnapshot};

/// Problems that are listed; one fault often causes many.
const PROBLEMS_MAX: usize = 100;

/// What a check has found. Displays as a report.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// Files of the journal.
    pub segments: u64,
    /// Their size.
    pub bytes: u64,
    /// Entries, which is also the last one's number.
    pub entries: u64,
    /// The end of the newest file that was not finished, as a crash leaves it; no problem.
    pub torn_tail: Option<String>,
    /// Every account with its balance in signed pico-dollars.
    pub accounts: BTreeMap<Account, i128>,
    /// Holds that are open.
    pub open_holds: Vec<HoldRow>,
    /// Holds that nobody settled in time: requests to look into.
    pub expired_holds: u64,
    /// Budgets that were proven.
    pub budgets: u64,
    /// Windows of budgets that were proven.
    pub budget_windows: u64,
    /// What is wrong, at most 100; empty when the journal is proven.
    pub problems: Vec<String>,
}

/// The second way to work everything out: sums over entries, without the book.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) accounts: BTreeMap<Account, i128>,
    /// Spent and held.
    pub(crate) counters: HashMap<BudgetWindow, (PicoUsd, PicoUsd)>,
    pub(crate) holds: HashMap<TransferId, (PicoUsd, Arc<[BudgetWindow]>)>,
}

/// A check under way.
struct Check<'a> {
    report: CheckReport,
    book: Book,
    settled: SettledWindow,
    sums: Sums,
    view: Option<&'a ViewSnapshot>,
}

/// Proves the journal in `dir`, and the view against it if there is one. Works while the ledger is
/// open, on what is in the files.
///
/// # Errors
/// Only when the files can't be read; whatever is wrong in them is in the report.
pub fn check(dir: &Path, view: Option<&ViewSnapshot>) -> Result<CheckReport, LedgerError> {
    check_storage(&FileStorage::existing(dir), view)
}

/// As [`check`], of any storage.
///
/// # Errors
/// Only when the files can't be read; whatever is wrong in them is in the report.
pub fn check_storage(
    storage: &dyn Storage,
    view: Option<&ViewSnapshot>,
) -> Result<CheckReport, LedgerError> {
    check_window(storage, view, SETTLED_WINDOW_ENTRIES)
}

/// As [`check_storage`], of a ledger that remembers endings for `settled_window` entries.
pub(crate) fn check_window(
    storage: &dyn Storage,
    view: Option<&ViewSnapshot>,
    settled_window: u64,
) -> Result<CheckReport, LedgerError> {
    let mut check = Check {
        report: CheckReport::default(),
        book: Book::default(),
        settled: SettledWindow::new(settled_window),
        sums: Sums::default(),
        view,
    };
    let walked = walk(storage, 1, |step| {
        check.entry(&step.entry);
        check.compare_view(step.entry.seq, step.hash);
        if check.report.problems.len() < PROBLEMS_MAX {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    match walked {
        Ok(walked) => check.files(walked),
        Err(corrupt @ LedgerError::Corrupt { .. }) => check.problem(corrupt.to_string()),
        Err(error) => return Err(error),
    }
    check.finish();
    Ok(check.report)
}

// === impl Check ===

impl Check<'_> {
    fn problem(&mut self, problem: String) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(problem);
        }
    }

    fn files(&mut self, walked: Walked) {
        self.report.segments = walked.segments;
        self.report.bytes = walked.bytes;
        self.report.torn_tail = walked.torn.map(|(name, offset, why, left)| {
            format!("{left} bytes at byte {offset} of {name}: {why}")
        });
    }

    fn entry(&mut self, entry: &Entry) {
        let seq = entry.seq;
        self.report.entries = seq;
        if let Some(why) = self.overshoot(entry) {
            self.problem(format!("entry {seq} should have been refused: {why}"));
        }
        if let Event::Expire { .. } = &entry.event {
            self.report.expired_holds = self.report.expired_holds.saturating_add(1);
        }
        if let Err(why) = self.book.apply(entry) {
            self.problem(format!("entry {seq}: {why}"));
        }
        self.settled.note(entry);
        if let Err(why) = self.sums.add(entry) {
            self.problem(format!("entry {seq}: {why}"));
        }
    }

    /// Why the live ledger would have refused this entry.
    fn overshoot(&self, entry: &Entry) -> Option<String> {
        match &entry.event {
            Event::Hold { id, org, amount, budgets, .. } => {
                if self.settled.get(id).is_some() {
                    return Some(format!("hold {id} had already ended"));
                }
                let budgets = budgets.iter().map(|at| (&*at.budget, at.window));
                self.book.fits(org, budgets, *amount).err().map(|why| why.to_string())
            }
            Event::Extend { hold, org, extra, .. } => {
                let open = self.book.holds.get(hold)?;
                let budgets = open.budgets.iter().map(|at| (&*at.budget, at.window));
                self.book.fits(org, budgets, *extra).err().map(|why| why.to_string())
            }
            _ => None,
        }
    }

    fn compare_view(&mut self, seq: u64, hash: [u8; 16]) {
        let Some(view) = self.view.filter(|view| view.applied_seq == seq) else { return };
        if view.applied_hash != hash {
            self.problem(format!("the view's entry {seq} is another one in the journal"));
        }
        let proven = self.book.snapshot(hash);
        let differ = |what: &str| format!("at entry {seq} the view's {what} are not the journal's");
        let mut counters = view.counters.clone();
        counters.retain(|row| {
            let budget = self.book.budgets.by_id.get(&row.budget);
            budget.is_none_or(|budget| row.window >= budget.closed_below)
        });
        for (what, same) in [
            ("platform accounts", proven.platform == view.platform),
            ("organizations", same_rows(&proven.orgs, &view.orgs, |row| row.org.clone())),
            ("channels", same_rows(&proven.channels, &view.channels, |row| row.channel.clone())),
            ("budgets", same_rows(&proven.budgets, &view.budgets, |row| row.budget.clone())),
            (
                "budget counters",
                same_rows(&proven.counters, &counters, |row| (row.budget.clone(), row.window)),
            ),
            ("open holds", same_rows(&proven.holds, &view.holds, |row| row.id)),
            ("top-ups", same_rows(&proven.posted, &view.posted, |row| row.seq)),
        ] {
            if !same {
                self.problem(differ(what));
            }
        }
    }

    fn finish(&mut self) {
        match self.book.accounts() {
            Ok(accounts) => self.compare_accounts(accounts),
            Err(why) => self.problem(why.to_string()),
        }
        self.compare_counters();
        let missing = self.view.filter(|view| view.applied_seq > self.report.entries);
        if let Some(view) = missing {
            let (view, journal) = (view.applied_seq, self.report.entries);
            self.problem(LedgerError::ViewAhead { view, journal }.to_string());
        }
        let due = self.book.due.iter();
        self.report.open_holds = due.filter_map(|(_, id)| self.book.hold_row(id)).collect();
    }

    fn compare_accounts(&mut self, accounts: BTreeMap<Account, i128>) {
        let mut sums = std::mem::take(&mut self.sums.accounts);
        let mut total = Some(0_i128);
        for (account, balance) in &accounts {
            let sum = sums.remove(account).unwrap_or_default();
            if sum != *balance {
                self.problem(format!("{account} has {balance}, but its entries add up to {sum}"));
            }
            total = total.and_then(|total| total.checked_add(*balance));
        }
        for (account, sum) in sums {
            if sum != 0 {
                self.problem(format!("{account} is unknown, but its entries add up to {sum}"));
            }
        }
        if total != Some(0) {
            self.problem(format!("all accounts together have {total:?} instead of 0"));
        }
        self.report.accounts = accounts;
    }

    fn compare_counters(&mut self) {
        let mut problems = Vec::new();
        let mut windows: u64 = 0;
        for (id, budget) in &self.book.budgets.by_id {
            for counter in &budget.windows {
                let at = BudgetWindow { budget: Arc::clone(id), window: counter.window };
                let (spent, held) = self.sums.counters.get(&at).copied().unwrap_or_default();
                if (spent, held) != (counter.spent, counter.held) {
                    problems.push(format!(
                        "budget {id} window {} counts {} spent and {} held, but its entries add \
                         up to {spent} and {held}",
                        counter.window, counter.spent, counter.held
                    ));
                }
                windows = windows.saturating_add(1);
            }
        }
        self.report.budgets = u64::try_from(self.book.budgets.by_id.len()).unwrap_or(u64::MAX);
        self.report.budget_windows = windows;
        problems.into_iter().for_each(|problem| self.problem(problem));
    }
}

fn same_rows<R: PartialEq + Clone, K: Ord>(a: &[R], b: &[R], key: impl Fn(&R) -> K) -> bool {
    let sorted = |rows: &[R]| {
        let mut rows = rows.to_vec();
        rows.sort_by_key(&key);
        rows
    };
    sorted(a) == sorted(b)
}

// === impl Sums ===

impl Sums {
    pub(crate) fn add(&mut self, entry: &Entry) -> Result<(), String> {
        for posting in entry.postings() {
            let amount = signed(posting.amount).map_err(|why| why.to_string())?;
            let from = self.accounts.entry(posting.from).or_default();
            *from = from.checked_sub(amount).ok_or("an account overflows")?;
            let to = self.accounts.entry(posting.to).or_default();
            *to = to.checked_add(amount).ok_or("an account overflows")?;
        }
        match &entry.event {
            Event::Hold { id, amount, budgets, .. } => {
                self.holds.insert(*id, (*amount, Arc::clone(budgets)));
                self.count(budgets, |_, held| held.checked_add(*amount))
            }
            Event::Extend { hold, extra, .. } => {
                let open = self.holds.get_mut(hold).ok_or("no such open hold")?;
                open.0 = open.0.checked_add(*extra).ok_or("a hold overflows")?;
                let budgets = Arc::clone(&open.1);
                self.count(&budgets, |_, held| held.checked_add(*extra))
            }
            Event::Capture { hold, actual, .. } => self.end(hold, *actual),
            Event::Release { hold, .. } | Event::Expire { hold, .. } => {
                self.end(hold, PicoUsd::ZERO)
            }
            Event::Narrow { hold, budgets, .. } => {
                let open = self.holds.get_mut(hold).ok_or("no such open hold")?;
                let (amount, before) = (open.0, std::mem::replace(&mut open.1, budgets.clone()));
                let mut dropped = before.to_vec();
                dropped.retain(|at| !budgets.contains(at));
                self.count(&dropped, |_, held| held.checked_sub(amount))
            }
            Event::TopUp { .. } | Event::Adjust { .. } | Event::SetBudget { .. } => Ok(()),
        }
    }

    fn end(&mut self, hold: &TransferId, actual: PicoUsd) -> Result<(), String> {
        let (amount, budgets) = self.holds.remove(hold).ok_or("no such open hold")?;
        self.count(&budgets, |spent, held| {
            *spent = spent.checked_add(actual)?;
            held.checked_sub(amount)
        })
    }

    fn count(
        &mut self,
        budgets: &[BudgetWindow],
        change: impl Fn(&mut PicoUsd, PicoUsd) -> Option<PicoUsd>,
    ) -> Result<(), String> {
        for at in budgets {
            let (spent, held) = self.counters.entry(at.clone()).or_default();
            *held = change(spent, *held).ok_or("a budget's counter overflows")?;
        }
        Ok(())
    }
}

// === impl CheckReport ===

impl CheckReport {
    /// Whether everything was proven.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "journal    {} entries, {} files, {} bytes",
            self.entries, self.segments, self.bytes
        )?;
        if let Some(torn) = &self.torn_tail {
            writeln!(f, "tail       {torn}; not part of the ledger, cut off at the next start")?;
        }
        writeln!(f, "accounts   {}", self.accounts.len())?;
        writeln!(f, "budgets    {} in {} windows", self.budgets, self.budget_windows)?;
        writeln!(f, "holds      {} open, {} expired", self.open_holds.len(), self.expired_holds)?;
        for account in [Account::Revenue, Account::Absorbed, Account::Adjustment] {
            let pico = self.accounts.get(&account).copied().unwrap_or_default();
            let sign = if pico < 0 { "-" } else { "" };
            let name = account.to_string();
            writeln!(f, "{name:<11}{sign}{} USD", PicoUsd(pico.unsigned_abs()))?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM    {problem}")?;
        }
        write!(f, "verdict    {}", if self.is_sound() { "sound" } else { "NOT sound" })
    }
}
