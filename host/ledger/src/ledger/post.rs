//! Money in, corrections, and the settings of budgets. Never touches a hold.

use std::sync::Arc;

use crate::book::Book;
use crate::entry::{Direction, Event, Period, TransferId};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::ledger::shared::State;
use crate::money::PicoUsd;

/// The most that one transfer moves: 10¹⁵ USD. No sum of transfers can then overflow.
pub(crate) const AMOUNT_MAX: PicoUsd = PicoUsd::from_usd(1_000_000_000_000_000);

/// Bytes of an organization's, a channel's or a budget's name: a UUID with a prefix fits.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// Bytes of a reference: a processor's event id or an operator's sentence.
const REFERENCE_BYTES_MAX: usize = 512;

/// Organizations: each is about 200 bytes of memory.
const ORGS_MAX: usize = 1_000_000;

/// Budgets: a few per organization, project and key; each is about 400 bytes of memory.
const BUDGETS_MAX: usize = 4_000_000;

/// Channels: they are kinds of payment, not payers.
const CHANNELS_MAX: usize = 256;

/// Money that came in.
#[derive(Debug, Clone, Copy)]
pub struct TopUp<'a> {
    /// The caller's id; a repeat books nothing, for ever.
    pub id: TransferId,
    /// Whose credit; made if it is new.
    pub org: &'a str,
    /// How much; more than nothing.
    pub amount: PicoUsd,
    /// Through which channel, such as `manual` or `stripe`.
    pub channel: &'a str,
    /// The channel's own reference, or an operator's words.
    pub reference: &'a str,
    /// Now, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// An operator's correction.
#[derive(Debug, Clone, Copy)]
pub struct Adjust<'a> {
    /// The caller's id; a repeat books nothing, for ever.
    pub id: TransferId,
    /// Whose credit; made if it is new.
    pub org: &'a str,
    /// Which way.
    pub direction: Direction,
    /// How much; more than nothing.
    pub amount: PicoUsd,
    /// What it refers to, such as a request, a ticket or an invoice; may be empty.
    pub reference: &'a str,
    /// Why, in the operator's words.
    pub reason: &'a str,
    /// Now, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// The entry of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// Booked now.
    New {
        /// The entry.
        seq: u64,
    },
    /// The same was booked before.
    Exists {
        /// The entry of that time.
        seq: u64,
    },
}

// === impl Posted ===

impl Posted {
    /// The entry, whenever it was booked.
    pub fn seq(self) -> u64 {
        match self {
            Self::New { seq } | Self::Exists { seq } => seq,
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// Books money that came in.
    ///
    /// # Errors
    /// `IdReused`, `NotDurable`, `DiskFull`, `Overloaded` or `Invalid`.
    pub fn top_up(&self, top_up: &TopUp<'_>) -> Result<Posted, LedgerError> {
        let TopUp { id, org, amount, channel, reference, at_ms } = *top_up;
        check_money(amount)?;
        check_name(org)?;
        check_name(channel)?;
        check_reference(reference)?;
        self.post_once(id, org, at_ms, |book| {
            if !book.channels.contains_key(channel) && book.channels.len() >= CHANNELS_MAX {
                return Err(LedgerError::Invalid("there are 256 channels already"));
            }
            let (channel, reference) = (Arc::from(channel), Arc::from(reference));
            Ok(Event::TopUp { id, org: book.org_name(org), amount, channel, reference })
        })
    }

    /// Corrects a balance. A debit takes at most what is available.
    ///
    /// # Errors
    /// `IdReused`, `Insufficient`, `NotDurable`, `DiskFull`, `Overloaded` or `Invalid`.
    pub fn adjust(&self, adjust: &Adjust<'_>) -> Result<Posted, LedgerError> {
        let Adjust { id, org, direction, amount, reference, reason, at_ms } = *adjust;
        check_money(amount)?;
        check_name(org)?;
        check_reference(reference)?;
        check_reference(reason)?;
        self.post_once(id, org, at_ms, |book| {
            let (org, reference, reason) =
                (book.org_name(org), Arc::from(reference), Arc::from(reason));
            Ok(Event::Adjust { id, org, direction, amount, reference, reason })
        })
    }

    /// Makes or changes a budget. A lower limit stops further holds and takes none back.
    ///
    /// # Errors
    /// `NotDurable`, `DiskFull`, `Overloaded` or `Invalid`.
    pub fn set_budget(
        &self,
        id: &str,
        limit: Option<PicoUsd>,
        period: Period,
        at_ms: u64,
    ) -> Result<Posted, LedgerError> {
        check_name(id)?;
        let state = self.shared.state.lock();
        ready(&state)?;
        let budgets = &state.book.budgets.by_id;
        match budgets.get(id) {
            Some(budget) if budget.limit == limit && budget.period == period => {
                return Ok(Posted::Exists { seq: state.book.applied_seq });
            }
            None if budgets.len() >= BUDGETS_MAX => {
                return Err(LedgerError::Invalid("there are 4 000 000 budgets already"));
            }
            _ => {}
        }
        let event = Event::SetBudget { budget: state.book.budget_name(id), limit, period };
        let seq = self.shared.post(state, at_ms, event).map_err(LedgerError::NotDurable)?;
        Ok(Posted::New { seq })
    }

    fn post_once(
        &self,
        id: TransferId,
        org: &str,
        at_ms: u64,
        event: impl FnOnce(&Book) -> Result<Event, LedgerError>,
    ) -> Result<Posted, LedgerError> {
        let state = self.shared.state.lock();
        ready(&state)?;
        let event = event(&state.book)?;
        if let Some(before) = state.book.posted.get(&id) {
            if before.event == event {
                return Ok(Posted::Exists { seq: before.seq });
            }
            return Err(LedgerError::IdReused(id));
        }
        match (&event, state.book.orgs.get(org)) {
            (Event::Adjust { direction: Direction::Debit, amount, .. }, found) => {
                let available = found.map_or(PicoUsd::ZERO, |org| org.credit);
                if *amount > available {
                    return Err(LedgerError::Insufficient { available });
                }
            }
            (_, None) if state.book.orgs.len() >= ORGS_MAX => {
                return Err(LedgerError::Invalid("there are 1 000 000 organizations already"));
            }
            _ => {}
        }
        let seq = self.shared.post(state, at_ms, event).map_err(LedgerError::NotDurable)?;
        Ok(Posted::New { seq })
    }
}

// === impl Book ===

impl Book {
    /// The organization's name, shared if it is known.
    pub(crate) fn org_name(&self, org: &str) -> Arc<str> {
        self.orgs.get_key_value(org).map_or_else(|| Arc::from(org), |(name, _)| Arc::clone(name))
    }

    /// The budget's name, shared if it is known.
    pub(crate) fn budget_name(&self, id: &str) -> Arc<str> {
        let known = self.budgets.by_id.get_key_value(id);
        known.map_or_else(|| Arc::from(id), |(name, _)| Arc::clone(name))
    }
}

fn ready(state: &State) -> Result<(), LedgerError> {
    state.accepting().map_err(LedgerError::NotDurable)?;
    state.has_space().map_err(LedgerError::DiskFull)?;
    if state.behind() { Err(LedgerError::Overloaded) } else { Ok(()) }
}

fn check_money(amount: PicoUsd) -> Result<(), LedgerError> {
    match amount {
        PicoUsd::ZERO => Err(LedgerError::Invalid("the amount is nothing")),
        amount if amount > AMOUNT_MAX => {
            Err(LedgerError::Invalid("the amount is over 10^15 USD; split it"))
        }
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), LedgerError> {
    match name.len() {
        0 => Err(LedgerError::Invalid("a name is empty")),
        1..=NAME_BYTES_MAX => Ok(()),
        _ => Err(LedgerError::Invalid("a name is over 128 bytes")),
    }
}

fn check_reference(reference: &str) -> Result<(), LedgerError> {
    if reference.len() > REFERENCE_BYTES_MAX {
        return Err(LedgerError::Invalid("a reference or a reason is over 512 bytes"));
    }
    Ok(())
}
