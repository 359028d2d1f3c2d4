//! What the journal says: immutable entries, and the double-entry postings each one stands for.
//! Holds no state and decides nothing: an entry is made only after it was found to be right.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::money::PicoUsd;

/// The caller's name for a transfer: 16 bytes, normally those of a UUID. A repeat of the same
/// transfer under the same id is recognised and books nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub [u8; 16]);

/// How often a budget starts again. The caller works out the windows, because only it knows the
/// organization's time zone; the ledger keeps the period to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// Never; its one window is 0.
    Total,
    /// Every hour.
    Hour,
    /// Every day.
    Day,
    /// Every week.
    Week,
    /// Every month.
    Month,
}

/// Why this price was taken; see the settlement rulebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureNote {
    /// A complete answer with the provider's own usage.
    Complete,
    /// A complete answer whose usage the gateway counted, because the provider sent none.
    Estimated,
    /// The caller left after content had been delivered.
    Partial,
    /// The upstream died after content and the operator bills what was delivered.
    FailedPartial,
    /// Answered from a cache.
    Cached,
}

/// Which way an operator's correction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the organization's credit.
    Credit,
    /// From the organization's credit.
    Debit,
}

/// One budget in one of its windows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetWindow {
    /// The budget's id.
    pub budget: Arc<str>,
    /// The caller's number for the window, growing with time; 0 for [`Period::Total`].
    pub window: u64,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the journal, from 1, without gaps.
    pub seq: u64,
    /// The caller's time, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// What an entry records. The order of the variants is part of the journal's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Money came in.
    TopUp {
        /// The caller's id; idempotent for ever.
        id: TransferId,
        /// Whose credit.
        org: Arc<str>,
        /// How much.
        amount: PicoUsd,
        /// Through which channel, such as `manual` or `stripe`.
        channel: Arc<str>,
        /// The channel's own reference, such as an event id or an operator's words.
        reference: Arc<str>,
    },
    /// An operator corrected a balance.
    Adjust {
        /// The caller's id; idempotent for ever.
        id: TransferId,
        /// Whose credit.
        org: Arc<str>,
        /// Which way.
        direction: Direction,
        /// How much.
        amount: PicoUsd,
        /// What it refers to, such as a request, a ticket or an invoice.
        reference: Arc<str>,
        /// Why, in the operator's words.
        reason: Arc<str>,
    },
    /// A budget was made or changed.
    SetBudget {
        /// The budget's id.
        budget: Arc<str>,
        /// The most that may be spent and held in a window; `None` counts without a limit.
        limit: Option<PicoUsd>,
        /// How often it starts again.
        period: Period,
    },
    /// The worst case of a request was set aside.
    Hold {
        /// The caller's id, by which it is extended and settled.
        id: TransferId,
        /// Whose credit.
        org: Arc<str>,
        /// How much.
        amount: PicoUsd,
        /// When it may be expired.
        expires_at_ms: u64,
        /// The budgets it counts on.
        budgets: Arc<[BudgetWindow]>,
    },
    /// A hold grew.
    Extend {
        /// The hold.
        hold: TransferId,
        /// Whose credit.
        org: Arc<str>,
        /// By how much.
        extra: PicoUsd,
        /// When it may be expired now.
        expires_at_ms: u64,
    },
    /// A hold ended in a charge.
    Capture {
        /// The hold.
        hold: TransferId,
        /// Whose credit.
        org: Arc<str>,
        /// What the caller pays.
        actual: PicoUsd,
        /// What went back to the credit.
        returned: PicoUsd,
        /// What the platform paid for this request and does not charge.
        absorbed: PicoUsd,
        /// Why this price.
        note: CaptureNote,
    },
    /// A hold ended without a charge.
    Release {
        /// The hold.
        hold: TransferId,
        /// Whose credit.
        org: Arc<str>,
        /// What went back to the credit: all of it.
        returned: PicoUsd,
        /// What the platform paid for this request and does not charge.
        absorbed: PicoUsd,
    },
    /// Nobody settled a hold in time: it went back, and the operator should look why.
    Expire {
        /// The hold.
        hold: TransferId,
        /// Whose credit.
        org: Arc<str>,
        /// What went back to the credit: all of it.
        returned: PicoUsd,
    },
    /// A hold counts on fewer budgets from now on: which of the model's budgets it concerns is
    /// known only once a model has answered. What it held on the others is free again there.
    Narrow {
        /// The hold.
        hold: TransferId,
        /// Whose credit.
        org: Arc<str>,
        /// The budgets that it still counts on.
        budgets: Arc<[BudgetWindow]>,
    },
}

/// An account of the double-entry book. Prints as `credit:<org>`, `held:<org>`, `revenue`,
/// `absorbed`, `topup:<channel>` or `adjustment`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// An organization's prepaid money that is free to spend. Never below zero.
    Credit(Arc<str>),
    /// An organization's money set aside for requests under way. Never below zero.
    Held(Arc<str>),
    /// What callers paid, less what was absorbed.
    Revenue,
    /// What the platform paid for calls that nobody is charged for. Its money comes from revenue.
    Absorbed,
    /// Where money of a channel comes from; at or below zero.
    TopUp(Arc<str>),
    /// The other side of operators' corrections.
    Adjustment,
}

/// One movement between two accounts. An entry's postings always move money, never make it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Posting {
    /// The account that gets less.
    pub from: Account,
    /// The account that gets more.
    pub to: Account,
    /// How much.
    pub amount: PicoUsd,
}

// === impl Entry ===

impl Entry {
    /// The movements this entry stands for; none for a budget's settings, and none where a hold
    /// counts on fewer budgets.
    pub fn postings(&self) -> Vec<Posting> {
        let moved = |from, to, amount| Posting { from, to, amount };
        let credit = |org: &Arc<str>| Account::Credit(Arc::clone(org));
        let held = |org: &Arc<str>| Account::Held(Arc::clone(org));
        let absorb = |amount| moved(Account::Revenue, Account::Absorbed, amount);
        let mut postings = match &self.event {
            Event::TopUp { org, amount, channel, .. } => {
                vec![moved(Account::TopUp(Arc::clone(channel)), credit(org), *amount)]
            }
            Event::Adjust { org, direction: Direction::Credit, amount, .. } => {
                vec![moved(Account::Adjustment, credit(org), *amount)]
            }
            Event::Adjust { org, direction: Direction::Debit, amount, .. } => {
                vec![moved(credit(org), Account::Adjustment, *amount)]
            }
            Event::SetBudget { .. } | Event::Narrow { .. } => Vec::new(),
            Event::Hold { org, amount, .. } | Event::Extend { org, extra: amount, .. } => {
                vec![moved(credit(org), held(org), *amount)]
            }
            Event::Capture { org, actual, returned, absorbed, .. } => vec![
                moved(held(org), Account::Revenue, *actual),
                moved(held(org), credit(org), *returned),
                absorb(*absorbed),
            ],
            Event::Release { org, returned, absorbed, .. } => {
                vec![moved(held(org), credit(org), *returned), absorb(*absorbed)]
            }
            Event::Expire { org, returned, .. } => vec![moved(held(org), credit(org), *returned)],
        };
        postings.retain(|posting| !posting.amount.is_zero());
        postings
    }

    /// The transfer or hold that the entry is about; `None` for a budget's settings.
    pub fn transfer(&self) -> Option<TransferId> {
        match &self.event {
            Event::TopUp { id, .. } | Event::Adjust { id, .. } | Event::Hold { id, .. } => {
                Some(*id)
            }
            Event::Extend { hold, .. }
            | Event::Capture { hold, .. }
            | Event::Release { hold, .. }
            | Event::Expire { hold, .. }
            | Event::Narrow { hold, .. } => Some(*hold),
            Event::SetBudget { .. } => None,
        }
    }

    /// The organization whose money moved; `None` for a budget's settings.
    pub fn org(&self) -> Option<&Arc<str>> {
        match &self.event {
            Event::TopUp { org, .. }
            | Event::Adjust { org, .. }
            | Event::Hold { org, .. }
            | Event::Extend { org, .. }
            | Event::Capture { org, .. }
            | Event::Release { org, .. }
            | Event::Expire { org, .. }
            | Event::Narrow { org, .. } => Some(org),
            Event::SetBudget { .. } => None,
        }
    }

    /// Whether it moved this organization's money.
    pub fn is_of(&self, org: &str) -> bool {
        self.org().is_some_and(|of| **of == *org)
    }

    /// The kind of entry: `top-up`, `adjust`, `set-budget`, `hold`, `extend`, `capture`,
    /// `release`, `expire` or `narrow`.
    pub fn label(&self) -> &'static str {
        match &self.event {
            Event::TopUp { .. } => "top-up",
            Event::Adjust { .. } => "adjust",
            Event::SetBudget { .. } => "set-budget",
            Event::Hold { .. } => "hold",
            Event::Extend { .. } => "extend",
            Event::Capture { .. } => "capture",
            Event::Release { .. } => "release",
            Event::Expire { .. } => "expire",
            Event::Narrow { .. } => "narrow",
        }
    }
}

// === impl TransferId ===

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TransferId {
    /// Reads the hyphenated or bare hexadecimal form of a UUID.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let mut digits = text.bytes().filter(|byte| *byte != b'-');
        for byte in &mut bytes {
            let high = hex_digit(digits.next()?)?;
            let low = hex_digit(digits.next()?)?;
            *byte = (high << 4) | low;
        }
        digits.next().is_none().then_some(Self(bytes))
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl Serialize for TransferId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for TransferId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
            Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a transfer id"))
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self)
        }
    }
}

impl From<[u8; 16]> for TransferId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

// === impl Account ===

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credit(org) => write!(f, "credit:{org}"),
            Self::Held(org) => write!(f, "held:{org}"),
            Self::Revenue => f.write_str("revenue"),
            Self::Absorbed => f.write_str("absorbed"),
            Self::TopUp(channel) => write!(f, "topup:{channel}"),
            Self::Adjustment => f.write_str("adjustment"),
        }
    }
}
