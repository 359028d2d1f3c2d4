//! Rate limits: how many requests and tokens within a minute, and how many requests at a time, a
//! key, user, project, team or organization may have. In memory, each limit under a lock of its
//! own; what has no limits is not looked at. Never decides about money, and never waits.
//!
//! Times are those of a clock that is never set: by one that is set back, what a key has used would
//! be of the future, and it could be refused for as long, or let in uncounted.
//!
//! A minute is a sliding one, in steps of two seconds and rounded up: within any sixty seconds no
//! more is let in than the limit says. Tokens are taken by an estimate when a request is let in and
//! corrected when it has ended.
//!
//! Questions beside requests (counts of tokens, dry runs, feedback) have the same limits and are
//! counted apart, without tokens: an agent that counts before every turn keeps all its requests.

mod admission;
mod registry;
mod window;

use std::sync::Arc;

use parking_lot::Mutex;

use window::Minute;

pub use admission::{Admission, Gauge, Refused, Standing, What, admit, admit_question};
pub use registry::Registry;

/// How much; none is without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests within a minute.
    pub requests: Option<u32>,
    /// Tokens within a minute.
    pub tokens: Option<u32>,
    /// Requests at the same time.
    pub running: Option<u32>,
}

/// The limits of one scope, with what has been used of them. A change of the limits makes another
/// of these over the same use.
#[derive(Debug)]
pub struct Meter {
    scope: Arc<str>,
    limits: Limits,
    used: Arc<Mutex<Used>>,
    /// The same of questions beside requests.
    questions: Arc<Mutex<Used>>,
}

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Requests,
    Questions,
}

impl Meter {
    /// Whose limits they are, in the words of the API.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// How much.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn lane(&self, lane: Lane) -> &Mutex<Used> {
        match lane {
            Lane::Requests => &self.used,
            Lane::Questions => &self.questions,
        }
    }
}

/// What a scope has used.
#[derive(Debug, Default)]
struct Used {
    minute: Minute,
    running: u32,
}
