//! The only file that reads time or makes time-ordered ids. Everything else is given times as
//! values, so that it can be tested with any clock. Never sleeps.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, UTC. Zero if the system clock is before 1970.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_sub(set_back_ms())
}

#[cfg(not(test))]
const fn set_back_ms() -> u64 {
    0
}

/// By how much a test has set its thread's wall clock back.
#[cfg(test)]
fn set_back_ms() -> u64 {
    SET_BACK_MS.get()
}

#[cfg(test)]
thread_local! {
    pub(crate) static SET_BACK_MS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Milliseconds that pass evenly, whatever the wall clock is set to: that of the program's start,
/// and what has passed since. For times that are compared with each other within this process:
/// rests of offers, minutes of rate limits.
pub fn steady_ms() -> u64 {
    static START: OnceLock<(u64, Stopwatch)> = OnceLock::new();
    let (began_ms, watch) = START.get_or_init(|| (now_ms(), Stopwatch::start()));
    began_ms.saturating_add(watch.millis())
}

/// When it is by the wall clock that the steady one says so.
pub fn wall_ms(at_steady_ms: u64) -> u64 {
    let (now_ms, steady_ms) = (now_ms(), steady_ms());
    let ahead_ms = now_ms.saturating_add(at_steady_ms.saturating_sub(steady_ms));
    ahead_ms.saturating_sub(steady_ms.saturating_sub(at_steady_ms))
}

/// When it is by the steady clock that the wall clock says so.
pub fn from_wall_ms(at_ms: u64) -> u64 {
    steady_ms().saturating_add(at_ms.saturating_sub(now_ms()))
}

/// A point on the monotonic clock, for measuring how long something took.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// One that was started so long ago.
    #[cfg(test)]
    pub(crate) fn started(ago: Duration) -> Self {
        Self(Self::start().0.checked_sub(ago).expect("the machine has run for longer"))
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Whole microseconds since the start, saturating.
    pub fn micros(self) -> u32 {
        u32::try_from(self.0.elapsed().as_micros()).unwrap_or(u32::MAX)
    }

    /// Whole milliseconds since the start, saturating.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A new time-ordered UUID (version 7).
///
/// Its random part comes from the thread's own generator: asking the system for ten bytes would
/// cost each request a system call.
pub fn new_id() -> uuid::Uuid {
    uuid::Builder::from_unix_timestamp_millis(now_ms(), &rand::random()).into_uuid()
}

/// The time that an HTTP header gives (`Sun, 06 Nov 1994 08:49:37 GMT`), in milliseconds since the
/// Unix epoch; `None` when it is no such date.
pub fn http_date_ms(text: &str) -> Option<u64> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    u64::try_from(date.timestamp().as_millisecond()).ok()
}

/// A time as RFC 3339 writes it (`2026-03-01T12:00:00Z`), in milliseconds since the Unix epoch;
/// `None` when it is none.
pub fn rfc3339_ms(text: &str) -> Option<u64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok()
}

/// A time as ISO 8601 writes it without separators, in UTC: `20150830T123600Z`.
pub fn basic_utc(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A time as RFC 3339 writes it, in UTC.
pub fn rfc3339(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok();
    let at = at.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// The start of an ISO date (`2026-03-01`, or `2026-03` for its first day) in UTC, in seconds since
/// the Unix epoch. Zero when it is no date.
pub fn day_start_s(date: &str) -> u64 {
    let full = if date.len() == "2026-03".len() { format!("{date}-01") } else { date.to_owned() };
    let day: Option<jiff::civil::Date> = full.parse().ok();
    let start = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    start.and_then(|start| u64::try_from(start.timestamp().as_second()).ok()).unwrap_or(0)
}

/// The day, in UTC, of a moment in milliseconds since the Unix epoch, such as `2026-09-01`.
pub fn day_of(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
}
