//! Anthropic Messages: requests, whole answers, stream events, usage and errors, as a view over the
//! bytes and as a codec of the neutral model. Everything that knows this dialect's field names is
//! in this folder, and nothing else knows them.

pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod usage;

mod message;
mod thoughts;
mod tools;

/// Whether a content block or a stream's block is one that only this dialect has: what its own
/// servers did, and what its callers send along for them.
fn is_own_block(kind: &str) -> bool {
    let own = ["server_tool_use", "mcp_tool_use", "search_result", "container_upload"];
    let result = kind != "tool_result" && kind.ends_with("_tool_result");
    result || own.contains(&kind) || matches!(kind, "compaction" | "tool_reference")
}
