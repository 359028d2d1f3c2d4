//! How the API writes times, and which identifiers and names it takes.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::error::ApiError;

/// The longest identifier: fits into file names, URLs and the ledger's account names.
const ID_BYTES_MAX: usize = 63;

/// The longest name for people.
const NAME_CHARS_MAX: usize = 200;

/// Milliseconds since the Unix epoch as RFC 3339 in UTC.
pub(super) fn rfc3339(at_ms: u64) -> String {
    crate::clock::rfc3339(at_ms)
}

/// The same, if there is a time.
pub(super) fn rfc3339_opt(at_ms: Option<u64>) -> Option<String> {
    at_ms.map(rfc3339)
}

/// Reads RFC 3339, or a date, which is its midnight UTC; milliseconds since the Unix epoch.
pub(super) fn parse_time(field: &'static str, text: &str) -> Result<u64, ApiError> {
    parse_time_in(field, text, &TimeZone::UTC)
}

/// The same; a date is when that day begins in the zone.
pub(super) fn parse_time_in(
    field: &'static str,
    text: &str,
    zone: &TimeZone,
) -> Result<u64, ApiError> {
    let stamp = text.parse::<Timestamp>().ok().or_else(|| {
        // One with a time and without an offset would be read as well, and its time lost.
        let date: Date = text.parse().ok().filter(|_| !text.contains(['T', 't', ' ']))?;
        Some(date.to_zoned(zone.clone()).ok()?.timestamp())
    });
    stamp.and_then(|stamp| u64::try_from(stamp.as_millisecond()).ok()).ok_or_else(|| {
        ApiError::invalid(field, "a time is written like 2026-11-22T10:00:00Z or 2026-11-22")
    })
}

/// Whether a time that was read is a day, which is one in some zone.
pub(super) fn is_date(text: &str) -> bool {
    text.parse::<Timestamp>().is_err()
}

/// Refuses what can't be an identifier.
pub(super) fn check_id(field: &'static str, id: &str) -> Result<(), ApiError> {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = id.len() <= ID_BYTES_MAX
        && id.bytes().next().is_some_and(lower)
        && id.bytes().all(|byte| lower(byte) || matches!(byte, b'-' | b'_' | b'.'));
    if valid {
        return Ok(());
    }
    let message = format!(
        "an identifier has 1 to {ID_BYTES_MAX} of a-z, 0-9, \"-\", \"_\" and \".\", and starts \
         with a letter or digit"
    );
    Err(ApiError::invalid(field, message))
}

/// Refuses what can't be a version.
pub(super) fn check_version(field: &'static str, version: &str) -> Result<(), ApiError> {
    let valid = version.len() <= ID_BYTES_MAX
        && version.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && version
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'));
    if valid {
        return Ok(());
    }
    let message =
        format!("a version is written like 1.2.0, with at most {ID_BYTES_MAX} characters");
    Err(ApiError::invalid(field, message))
}

/// Refuses an empty name, one that is too long, and control characters.
pub(super) fn check_name(field: &'static str, name: &str) -> Result<(), ApiError> {
    let valid = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if valid {
        return Ok(());
    }
    let message = format!("a name has 1 to {NAME_CHARS_MAX} printable characters");
    Err(ApiError::invalid(field, message))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::{check_id, check_name, check_version, parse_time, parse_time_in, rfc3339};

    #[test]
    fn times_round_trip_and_dates_are_midnight() {
        assert_eq!(rfc3339(1_795_341_600_000), "2026-11-22T10:00:00Z");
        assert_eq!(parse_time("from", "2026-11-22T12:00:00+02:00"), Ok(1_795_341_600_000));
        assert_eq!(parse_time("from", "2026-11-22"), Ok(1_795_305_600_000));
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(parse_time_in("from", "2026-11-22", &berlin), Ok(1_795_302_000_000));
        assert!(parse_time("from", "yesterday").is_err());
        assert!(parse_time("from", "2026-11-22T10:00:00").is_err(), "where would that be?");
        assert!(parse_time("from", "1960-01-01").is_err());
    }

    #[test]
    fn identifiers_can_name_files_accounts_and_path_segments() {
        for good in ["acme", "a", "0-9_x.y", &"a".repeat(63)] {
            assert!(check_id("id", good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".", "..", "A", "a/b", "a b", "ä", "a\0b", "a@b", &"a".repeat(64)] {
            assert!(check_id("id", bad).is_err(), "{bad}");
        }
        assert!(check_version("version", "1.2.0-rc.1+5").is_ok());
        assert!(check_version("version", "1@2").is_err() && check_version("v", "").is_err());
        assert!(check_name("name", "Acme – Ö").is_ok());
        assert!(check_name("name", " ").is_err() && check_name("name", "a\nb").is_err());
    }
}
