//! `usage` of Converse in disjoint buckets: what is read from the cache and written to it stands
//! beside the input, as at Anthropic. Never adds two reports.

use serde_json::Value;

use crate::Usage;

/// Reads the object; `None` when it counts nothing.
pub(crate) fn read(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64);
    if count("inputTokens").is_none() && count("outputTokens").is_none() {
        return None;
    }
    let written = count("cacheWriteInputTokens").unwrap_or(0);
    let details = usage.get("cacheDetails").and_then(Value::as_array);
    let long = details
        .into_iter()
        .flatten()
        .filter(|detail| detail.get("ttl").and_then(Value::as_str) == Some("1h"));
    let long = long.filter_map(|detail| detail.get("inputTokens").and_then(Value::as_u64));
    let long = long.fold(0, u64::saturating_add).min(written);
    Some(Usage {
        input_uncached: count("inputTokens").unwrap_or(0),
        cache_read: count("cacheReadInputTokens").unwrap_or(0),
        cache_write_5m: written - long,
        cache_write_1h: long,
        output_text: count("outputTokens").unwrap_or(0),
        requests: 1,
        ..Usage::default()
    })
}
