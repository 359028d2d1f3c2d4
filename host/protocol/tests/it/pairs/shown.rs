//! How goldens show what goes over the wire: JSON that breaks only where a line would be long, in
//! the order it was written; one line for each event. Never changes what is shown.

use bytes::Bytes;
use serde_json::Value;

/// Columns of a line before its value is broken up.
const COLUMNS: usize = 110;

/// A body.
pub(crate) fn json(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap();
    let mut out = String::new();
    lay(&value, 0, &mut out);
    out.push('\n');
    out
}

/// One event of a stream: its name, if it has one, and its data.
pub(crate) fn frame(raw: &Bytes) -> String {
    let text = std::str::from_utf8(raw).unwrap();
    let body = text.strip_suffix("\n\n").unwrap_or_else(|| panic!("no blank line: {text}"));
    let mut lines = body.lines();
    let shown = match (lines.next(), lines.next(), lines.next()) {
        (Some(comment), None, None) if comment.starts_with(':') => Some(comment.to_owned()),
        (Some(data), None, None) => data.strip_prefix("data: ").map(str::to_owned),
        (Some(event), Some(data), None) => {
            let (event, data) = (event.strip_prefix("event: "), data.strip_prefix("data: "));
            event.zip(data).map(|(event, data)| named(event, data))
        }
        _ => None,
    };
    shown.unwrap_or_else(|| panic!("not written as events are: {text}")) + "\n"
}

/// The name is not said twice: payloads repeat it as their first member.
fn named(event: &str, data: &str) -> String {
    match data.strip_prefix(&format!("{{\"type\":\"{event}\"")) {
        Some(rest) => format!("{event} {}", rest.trim_start_matches(',')),
        None => format!("event {event} {data}"),
    }
}

fn lay(value: &Value, indent: usize, out: &mut String) {
    let line = value.to_string();
    let short = line.len() + indent <= COLUMNS;
    match value {
        Value::Object(members) if !(short || members.is_empty()) => {
            out.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                open(at, indent, out);
                out.push_str(&format!("{}: ", Value::from(name.as_str())));
                lay(member, indent + 1, out);
            }
            out.push('}');
        }
        Value::Array(items) if !(short || items.is_empty()) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                open(at, indent, out);
                lay(item, indent + 1, out);
            }
            out.push(']');
        }
        _ => out.push_str(&line),
    }
}

fn open(at: usize, indent: usize, out: &mut String) {
    out.push_str(if at == 0 { "\n" } else { ",\n" });
    out.push_str(&" ".repeat(indent + 1));
}
