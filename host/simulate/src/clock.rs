//! The one file of this crate that reads the wall clock: providers stamp their answers.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, the unit of OpenAI's `created`.
#[allow(clippy::disallowed_methods, reason = "the one place of this crate that reads time")]
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
