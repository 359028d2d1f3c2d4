//! Names of tools that are longer than the provider's dialect takes: written as the beginning of
//! the name and a digest of it, and back. Never touches a name that fits.

use std::borrow::Cow;

use crate::Dialect;
use crate::call::TOOL_NAME_BYTES;
use crate::neutral::{Part, Request, ToolChoice};
use crate::openai_chat::encode::fitted;

/// Bytes of a tool's name in the one dialect that takes more.
const ANTHROPIC_NAME_BYTES: usize = 128;
/// Bytes of a digest, and the bar in front of it.
const DIGEST_BYTES: usize = 17;

fn longest(to: Dialect) -> usize {
    match to {
        Dialect::AnthropicMessages => ANTHROPIC_NAME_BYTES,
        _ => TOOL_NAME_BYTES,
    }
}

fn fit(name: &str, longest: usize) -> Cow<'_, str> {
    let kept = name.floor_char_boundary(longest.saturating_sub(DIGEST_BYTES));
    let head = format!("{}_", name.get(..kept).unwrap_or_default());
    fitted(name, longest, &head)
}

/// Fits every name of a tool in a request, wherever it stands, so that equal ones stay equal.
pub(super) fn fit_all(request: &mut Request, to: Dialect) {
    let longest = longest(to);
    let fit = |name: &mut String| {
        if name.len() > longest {
            *name = fit(name, longest).into_owned();
        }
    };
    request.tools.iter_mut().for_each(|tool| fit(&mut tool.name));
    match &mut request.tool_choice {
        Some(ToolChoice::Named(name)) => fit(name),
        Some(ToolChoice::Among { names, .. }) => names.iter_mut().for_each(fit),
        _ => {}
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match part {
            Part::ToolCall { name, .. } | Part::ToolResult { name: Some(name), .. } => fit(name),
            _ => {}
        }
    }
}

/// The caller's own name of a tool, where a provider of `from` knows it by a shorter one.
pub(super) fn restore(name: &mut String, long_tools: &[String], from: Dialect) {
    let longest = longest(from);
    let own = long_tools.iter().find(|own| own.len() > longest && fit(own, longest) == *name);
    if let Some(own) = own {
        name.clone_from(own);
    }
}
