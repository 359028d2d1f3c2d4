//! Comma-separated values as RFC 4180 has them. A text that a spreadsheet would take for a formula
//! is written with an apostrophe in front, because names come from whoever made a key or a tag.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use super::saved;
use crate::admin::text::rfc3339;
use crate::usage::{Dimension, UsageReport};

/// Lines of values.
#[derive(Debug, Default)]
pub(super) struct Csv(String);

// === impl Csv ===

impl Csv {
    /// Adds a line.
    pub(super) fn line<S: AsRef<str>>(&mut self, values: impl IntoIterator<Item = S>) {
        for (place, value) in values.into_iter().enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            self.value(value.as_ref());
        }
        self.0.push_str("\r\n");
    }

    fn value(&mut self, value: &str) {
        let number = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        let formula = !number && value.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let quoted = formula || value.contains(['"', ',', '\n', '\r']);
        if !quoted {
            return self.0.push_str(value);
        }
        self.0.push('"');
        if formula {
            self.0.push('\'');
        }
        self.0.push_str(&value.replace('"', "\"\""));
        self.0.push('"');
    }
}

/// The answer with a file of that name.
pub(super) fn response(name: &str, csv: Csv) -> Response {
    let mut response = csv.0.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// The groups of a report with their figures.
pub(super) fn groups(by: &[Dimension], report: &UsageReport) -> Csv {
    let mut csv = Csv::default();
    let by_time = report.groups.iter().any(|group| group.bucket_ms.is_some());
    let first = by_time.then(|| "bucket".to_owned());
    let figures = [
        "requests",
        "succeeded",
        "streamed",
        "attempts",
        "input_tokens",
        "output_tokens",
        "cost_usd",
        "list_usd",
        "strongest_usd",
        "saved_usd",
    ];
    let named = first.into_iter().chain(by.iter().map(Dimension::label));
    csv.line(named.chain(figures.map(str::to_owned)));
    for group in &report.groups {
        let totals = &group.totals;
        let known = totals.routed > 0;
        let values = group.values.iter().map(|value| value.as_deref().unwrap_or("").to_owned());
        let figures = [
            totals.requests.to_string(),
            totals.succeeded.to_string(),
            totals.streamed.to_string(),
            totals.attempts.to_string(),
            totals.usage.input_tokens().to_string(),
            totals.usage.output_tokens().to_string(),
            totals.cost_usd.to_string(),
            totals.list_usd.to_string(),
            if known { totals.baseline_usd.to_string() } else { String::new() },
            saved(totals).unwrap_or_default(),
        ];
        let first = group.bucket_ms.filter(|_| by_time).map(rfc3339);
        csv.line(first.into_iter().chain(values).chain(figures));
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be_and_no_formula_is_left_one() {
        let mut csv = Csv::default();
        csv.line(["plain", "a,b", "say \"x\"", "-1.5", "=1+1", "@x", "two\nlines", ""]);
        let expected = "plain,\"a,b\",\"say \"\"x\"\"\",-1.5,\"'=1+1\",\"'@x\",\"two\nlines\",\r\n";
        assert_eq!(csv.0, expected);
    }
}
