//! Money: prepaid credit, holds, budgets and the journal that proves them.
//!
//! The truth is an append-only journal of immutable transfers; everything else (balances,
//! counters, open holds) is worked out from it and can be thrown away. This crate is synchronous.
//! It never reads a clock (times are arguments), never uses a floating point number for an amount,
//! never speaks HTTP and never sees a prompt or an answer.
//!
//! A request is a two-phase transfer: [`Ledger::reserve`] moves the worst case from
//! `credit:<org>` to `held:<org>` and counts it on every budget, all or none;
//! [`Ledger::capture`] takes the actual price, which is at most the hold, and gives the rest back;
//! [`Ledger::release`] and [`Ledger::expire_due`] give all of it back.

#![deny(clippy::float_arithmetic, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![warn(missing_docs)]

mod book;
mod check;
mod entry;
mod error;
mod frame;
mod journal;
mod ledger;
mod money;
mod repair;
mod settled;
#[cfg(test)]
mod simulation;
mod storage;
mod view;

pub use check::{CheckReport, check, check_storage};
pub use entry::{
    Account, BudgetWindow, CaptureNote, Direction, Entry, Event, Period, Posting, TransferId,
};
pub use error::{LedgerError, ReserveError, SettleError};
pub use journal::copy::{CopiedJournal, copy_journal};
pub use journal::read::{EntriesPage, export, export_storage};
pub use ledger::options::Options;
pub use ledger::post::{Adjust, Posted, TopUp};
pub use ledger::reserve::{HoldRef, Reserve};
pub use ledger::settle::Settled;
pub use ledger::writer::{OnFailure, OnFull};
pub use ledger::{Balance, BudgetState, Health, Ledger};
pub use money::{PICO_PER_USD, ParseMoneyError, PicoUsd};
pub use repair::{RepairReport, repair};
pub use settled::Ending;
pub use storage::{FileStorage, SegmentFile, Storage};
pub use view::{
    BudgetRow, ChannelRow, CounterRow, HoldRow, OrgRow, PlatformRow, PostedRow, ViewDelta,
    ViewSink, ViewSnapshot,
};
