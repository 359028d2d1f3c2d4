//! Why a policy did not decide. Details are the host's words: a guest's own words may carry text
//! of the request, so they go to the binding's in-memory log and nowhere else.

use std::fmt;

use wasmtime::{PoolConcurrencyLimitError, Trap};

use super::abilities::Abilities;
use super::binding::Hook;
use super::limiter::MemoryRefused;

/// What went wrong, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The guest trapped: unreachable code, a bad memory access, its stack.
    Trap,
    /// The guest did not finish in time.
    Deadline,
    /// The guest asked for more memory or table space than it may have.
    Memory,
    /// The answer breaks the contract.
    Nonsense,
    /// The policy says that the policy is at fault.
    Internal,
    /// The policy says that the request or the configuration is at fault.
    Invalid,
    /// The policy leaves the decision to the built-in. Normal.
    Abstained,
    /// No instance was free.
    Saturated,
    /// The policy failed too often lately and is not asked for a while.
    Suspended,
    /// The policy imports what its organization is not granted, or not any more.
    Ungranted,
    /// It charged more than was held for the request.
    OverHold,
}

impl FailureKind {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::Nonsense,
        Self::Internal,
        Self::Invalid,
        Self::Abstained,
        Self::Saturated,
        Self::Suspended,
        Self::Ungranted,
        Self::OverHold,
    ];

    /// The place in [`Self::ALL`].
    pub(super) fn index(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default()
    }

    /// The name in the explanation and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Nonsense => "nonsense",
            Self::Internal => "internal",
            Self::Invalid => "invalid",
            Self::Abstained => "abstained",
            Self::Saturated => "saturated",
            Self::Suspended => "suspended",
            Self::Ungranted => "ungranted",
            Self::OverHold => "over-hold",
        }
    }

    /// Whether the policy itself is to blame, so that its breaker counts it.
    pub(super) fn blames_policy(self) -> bool {
        matches!(self, Self::Trap | Self::Deadline | Self::Memory | Self::Nonsense | Self::Internal)
    }
}

/// A policy that did not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFailure {
    /// Which decision.
    pub hook: Hook,
    /// The policy's name.
    pub policy: std::sync::Arc<str>,
    /// What went wrong.
    pub kind: FailureKind,
    /// The host's words; holds nothing that the guest said.
    pub detail: String,
}

impl PolicyFailure {
    /// True for an abstention, which is a choice and not a failure.
    pub fn is_normal(&self) -> bool {
        self.kind == FailureKind::Abstained
    }
}

impl fmt::Display for PolicyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "policy {} failed to {} ({}): {}",
            self.policy,
            self.hook.label(),
            self.kind.label(),
            self.detail
        )
    }
}

impl std::error::Error for PolicyFailure {}

/// A failure before it is known whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FailureKind,
    pub(super) detail: String,
}

impl Fault {
    pub(super) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// It imports what must be granted and is not.
    pub(super) fn ungranted(lacks: Abilities) -> Self {
        let detail = format!(
            "it imports {}, which its organization is not granted; the operator grants it with PUT \
             /admin/v1/orgs/{{org}}/policy-grants",
            lacks.names()
        );
        Self::new(FailureKind::Ungranted, detail)
    }

    /// It is not asked for so many milliseconds.
    pub(super) fn suspended(ms: u64) -> Self {
        let detail = format!("it failed too often and is asked again in {ms} ms");
        Self::new(FailureKind::Suspended, detail)
    }
}

/// A call that took too long.
#[derive(Debug)]
pub(super) enum Overdue {
    /// Its own processor time: raised inside the guest by the epoch callback.
    Ticks,
    /// By the clock on the wall.
    Wall,
}

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ticks => "the call used up its processor time",
            Self::Wall => "the call got no answer in time, the machine is busy",
        })
    }
}

impl std::error::Error for Overdue {}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        if let Some(refused) = error.downcast_ref::<MemoryRefused>() {
            return Self::new(FailureKind::Memory, refused.to_string());
        }
        if let Some(overdue) = error.downcast_ref::<Overdue>() {
            return Self::new(FailureKind::Deadline, overdue.to_string());
        }
        if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
            return Self::new(FailureKind::Saturated, full.to_string());
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return Self::new(FailureKind::Trap, trap.to_string());
        }
        // What is left comes from lifting the answer: a pointer out of bounds, bad UTF-8, an
        // unknown variant, more data than a guest may return.
        Self::new(FailureKind::Nonsense, error.root_cause().to_string())
    }
}
