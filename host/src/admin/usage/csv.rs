//! Comma-separated values as RFC 4180 has them. A text that a spreadsheet would take for a formula
//! is written with an apostrophe in front, because names come from whoever made a key or a tag.

use std::collections::HashMap;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use turnpike_protocol::Usage;

use super::{key_of, saved};
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

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.0
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
pub(super) fn groups(
    by: &[Dimension],
    report: &UsageReport,
    keys: &HashMap<String, String>,
) -> Csv {
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
    let by_key = by.contains(&Dimension::Key).then(|| "key_name".to_owned());
    let named = first.into_iter().chain(by.iter().map(Dimension::label)).chain(by_key);
    let counts = buckets(&Usage::default()).map(|(name, _)| name);
    csv.line(named.chain(figures.into_iter().chain(counts).map(str::to_owned)));
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
        let name = key_of(by, group).map(|id| id.and_then(|id| keys.get(id)).cloned());
        let named = values.chain(name.map(Option::unwrap_or_default));
        let counts = buckets(&totals.usage).map(|(_, count)| count.to_string());
        csv.line(first.into_iter().chain(named).chain(figures).chain(counts));
    }
    csv
}

/// What a bill is made of: buckets that do not overlap, each at a price of its own. The sums of
/// input and of output before them are of these.
fn buckets(usage: &Usage) -> [(&'static str, u64); 18] {
    [
        ("input_uncached", usage.input_uncached),
        ("cache_read", usage.cache_read),
        ("cache_write_5m", usage.cache_write_5m),
        ("cache_write_1h", usage.cache_write_1h),
        ("input_audio", usage.input_audio),
        ("input_image", usage.input_image),
        ("input_video", usage.input_video),
        ("cache_read_audio", usage.cache_read_audio),
        ("cache_read_image", usage.cache_read_image),
        ("cache_read_video", usage.cache_read_video),
        ("output_text", usage.output_text),
        ("output_reasoning", usage.output_reasoning),
        ("output_audio", usage.output_audio),
        ("output_image", usage.output_image),
        ("output_video", usage.output_video),
        ("citations", usage.citations),
        ("searches", usage.searches),
        ("hosted_calls", usage.hosted_calls),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be_and_no_formula_is_left_one() {
        let mut csv = Csv::default();
        csv.line(["plain", "a,b", "say \"x\"", "-1.5", "=1+1", "@x", "two\nlines", ""]);
        let expected = "plain,\"a,b\",\"say \"\"x\"\"\",-1.5,\"'=1+1\",\"'@x\",\"two\nlines\",\r\n";
        assert_eq!(csv.text(), expected);
    }
}
