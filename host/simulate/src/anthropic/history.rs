//! Rules over the whole conversation: who speaks, which tool result answers which call, where
//! thinking must stand and whose signature it has.

use serde_json::Value;

use super::error::{NEWEST, invalid};
use crate::seal::{Verdict, check as check_seal, is_ours};
use crate::speech::{ErrorBody, Incoming};

/// Checks the conversation as a whole.
pub(super) fn check(
    messages: &[Value],
    body: &Value,
    incoming: &Incoming<'_>,
) -> Result<(), ErrorBody> {
    let newest = incoming.request.header("anthropic-version") == Some(NEWEST);
    for (index, message) in messages.iter().enumerate() {
        check_shape(index, message, index + 1 == messages.len())?;
        if newest {
            check_newest(index, message)?;
        }
    }
    check_tools(messages)?;
    check_thinking(messages, body)?;
    check_signatures(messages, incoming.issuer)?;
    let model = body.get("model").and_then(Value::as_str).unwrap_or("");
    check_ending(messages, model)
}

fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or("")
}

fn blocks(message: &Value) -> &[Value] {
    message.get("content").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn kind(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or("")
}

fn ids<'a>(blocks: &'a [Value], of: &str, member: &str) -> Vec<&'a str> {
    let wanted = blocks.iter().filter(|block| kind(block) == of);
    wanted.filter_map(|block| block.get(member)?.as_str()).collect()
}

fn check_shape(index: usize, message: &Value, last: bool) -> Result<(), ErrorBody> {
    let at = format!("messages.{index}");
    let Some(members) = message.as_object() else {
        return Err(invalid(&format!("{at}: Input should be a valid dictionary")));
    };
    if let Some(name) = members.keys().find(|name| *name != "role" && *name != "content") {
        return Err(invalid(&format!("{at}.{name}: Extra inputs are not permitted")));
    }
    match role(message) {
        "user" | "assistant" => {}
        // Instructions may come later, but not instead of the first ones.
        "system" if index > 0 => {}
        "" => return Err(invalid(&format!("{at}.role: Field required"))),
        "system" => {
            return Err(invalid(
                "messages: Unexpected role \"system\". The Messages API accepts a top-level \
                 `system` parameter, not \"system\" as an input message role.",
            ));
        }
        other => {
            return Err(invalid(&format!(
                "messages: Unexpected role \"{other}\". Allowed roles are \"user\" or \
                 \"assistant\"."
            )));
        }
    }
    if index == 0 && role(message) != "user" {
        return Err(invalid("messages: first message must use the \"user\" role"));
    }
    let empty = match message.get("content") {
        None => return Err(invalid(&format!("{at}.content: Field required"))),
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(blocks)) => blocks.is_empty(),
        Some(_) => {
            return Err(invalid(&format!("{at}.content: Input should be a valid list")));
        }
    };
    if empty && !(last && role(message) == "assistant") {
        let text = if role(message) == "user" {
            format!("{at}: user messages must have non-empty content")
        } else {
            format!(
                "{at}: all messages must have non-empty content except for the optional final \
                 assistant message"
            )
        };
        return Err(invalid(&text));
    }
    Ok(())
}

/// What the newest version of the API takes no more.
fn check_newest(index: usize, message: &Value) -> Result<(), ErrorBody> {
    for (nth, block) in blocks(message).iter().enumerate() {
        let at = format!("messages.{index}.content.{nth}");
        if role(message) == "assistant" && kind(block) == "document" {
            return Err(invalid(&format!(
                "{at}: `document` blocks are not permitted in assistant messages"
            )));
        }
        let cited = block.get("citations").and_then(Value::as_array);
        if role(message) == "user" && kind(block) == "text" && cited.is_some_and(|c| !c.is_empty())
        {
            return Err(invalid(&format!("{at}.text.citations: Extra inputs are not permitted")));
        }
    }
    Ok(())
}

/// Every call is answered at the beginning of the very next message, and nothing else is.
fn check_tools(messages: &[Value]) -> Result<(), ErrorBody> {
    let mut seen: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let blocks = blocks(message);
        let results = ids(blocks, "tool_result", "tool_use_id");
        let leading = blocks.iter().take_while(|block| kind(block) == "tool_result").count();
        let answered = results.get(..leading.min(results.len())).unwrap_or(&[]);
        let missing: Vec<&str> = open.iter().copied().filter(|id| !answered.contains(id)).collect();
        if role(message) == "user" || !open.is_empty() {
            for (nth, id) in results.iter().enumerate() {
                if !open.contains(id) {
                    return Err(unexpected(index, blocks, id));
                }
                if results.iter().take(nth).any(|earlier| earlier == id) {
                    return Err(invalid(&format!(
                        "messages.{index}.content.{nth}: each tool_use must have a single result. \
                         Found multiple `tool_result` blocks with id: {id}"
                    )));
                }
            }
        }
        if !missing.is_empty() {
            return Err(unanswered(index - 1, &missing));
        }
        open = ids(blocks, "tool_use", "id");
        for id in &open {
            if seen.contains(id) {
                let text = format!("messages.{index}: `tool_use` ids must be unique");
                return Err(invalid(&text));
            }
            seen.push(id);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(unanswered(messages.len() - 1, &open)) }
}

fn unanswered(index: usize, ids: &[&str]) -> ErrorBody {
    let ids = ids.join(", ");
    invalid(&format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {ids}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message."
    ))
}

fn unexpected(index: usize, blocks: &[Value], id: &str) -> ErrorBody {
    let at = blocks.iter().position(|block| block.get("tool_use_id") == Some(&Value::from(id)));
    let nth = at.unwrap_or(0);
    invalid(&format!(
        "messages.{index}.content.{nth}: unexpected `tool_use_id` found in `tool_result` blocks: \
         {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous \
         message."
    ))
}

/// With thinking, an unfinished tool turn begins with thinking.
fn check_thinking(messages: &[Value], body: &Value) -> Result<(), ErrorBody> {
    if body.pointer("/thinking/type").and_then(Value::as_str) != Some("enabled") {
        return Ok(());
    }
    let mut first = None;
    for (index, message) in messages.iter().enumerate().rev() {
        let results = blocks(message).iter().any(|block| kind(block) == "tool_result");
        match role(message) {
            "assistant" if index + 1 < messages.len() => first = Some((index, message)),
            "user" if results => {}
            _ => break,
        }
    }
    let Some((index, message)) = first else { return Ok(()) };
    let found = blocks(message).first().map_or("text", kind);
    if found == "thinking" || found == "redacted_thinking" {
        return Ok(());
    }
    Err(invalid(&format!(
        "messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found \
         `{found}`. When `thinking` is enabled, a final `assistant` message must start with a \
         thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We \
         recommend you include thinking blocks from previous turns. To avoid this requirement, \
         disable `thinking`. Please consult our documentation at \
         https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
    )))
}

fn check_signatures(messages: &[Value], issuer: &str) -> Result<(), ErrorBody> {
    let latest = messages.iter().rposition(|message| role(message) == "assistant");
    for (index, message) in messages.iter().enumerate() {
        for (nth, block) in blocks(message).iter().enumerate() {
            let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or("");
            let at = format!("messages.{index}.content.{nth}");
            let verdict = match kind(block) {
                "thinking" => check_seal(issuer, text("signature"), text("thinking")),
                "redacted_thinking" if is_ours(issuer, text("data")) => Verdict::Good,
                "redacted_thinking" => {
                    return Err(invalid(&format!(
                        "{at}: Invalid `data` in `redacted_thinking` block"
                    )));
                }
                _ => continue,
            };
            match verdict {
                Verdict::Foreign => {
                    return Err(invalid(&format!("{at}: Invalid `signature` in `thinking` block")));
                }
                Verdict::Changed if Some(index) == latest => {
                    return Err(invalid(&format!(
                        "{at}: `thinking` or `redacted_thinking` blocks in the latest assistant \
                         message cannot be modified. These blocks must remain as they were in the \
                         original response."
                    )));
                }
                Verdict::Changed | Verdict::Good => {}
            }
        }
    }
    Ok(())
}

fn check_ending(messages: &[Value], model: &str) -> Result<(), ErrorBody> {
    let Some(last) = messages.last().filter(|last| role(last) == "assistant") else {
        return Ok(());
    };
    if !takes_prefill(model) {
        return Err(invalid(
            "This model does not support assistant message prefill. The conversation must end \
             with a user message.",
        ));
    }
    let text = match last.get("content") {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(Value::Array(blocks)) => {
            blocks.last().and_then(|block| block.get("text")).and_then(Value::as_str)
        }
        _ => None,
    };
    if text.is_some_and(|text| text.ends_with(char::is_whitespace)) {
        return Err(invalid(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    Ok(())
}

/// Whether a model goes on from the beginning of an answer, by its name: not from 4.6 on.
fn takes_prefill(model: &str) -> bool {
    if !model.starts_with("claude-") {
        return true;
    }
    // Dates stand in names too; a version is short.
    let short = |part: &&str| part.len() <= 2 && part.chars().all(|c| c.is_ascii_digit());
    let mut version = model.split('-').filter(short).filter_map(|part| part.parse::<u8>().ok());
    let (major, minor) = (version.next().unwrap_or(0), version.next().unwrap_or(0));
    (major, minor) < (4, 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefill_by_name() {
        assert!(takes_prefill("claude-sonnet-4-5-20250929") && takes_prefill("m"));
        assert!(takes_prefill("claude-3-7-sonnet-20250219") && takes_prefill("claude-opus-4-1"));
        assert!(!takes_prefill("claude-opus-4-6") && !takes_prefill("claude-sonnet-5"));
    }
}
