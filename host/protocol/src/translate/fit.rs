//! What a request becomes on its way to a provider of another dialect, whichever that is: the bound
//! on the answer within the model's own, and forms that only Anthropic has in ones that all have.
//! Never touches a request that stays in its dialect.

use serde_json::{Value, json};

use crate::call::Outgoing;
use crate::neutral::{Losses, Media, MediaKind, MediaSource, Part, Request, Tool, ToolKind, Words};

/// Makes the JSON Schema of a tool's input.
type Schema = fn() -> Value;

/// Tools that Anthropic knows by name and the caller runs: the start of their type, what they do,
/// and what they are called with.
const RUN_BY_CALLERS: [(&str, &str, Schema); 3] = [
    ("bash_", "Run a command in a bash session that persists.", bash),
    ("text_editor_", "View, create and edit files.", editor),
    ("memory_", "Keep notes in files below /memories.", memory),
];

/// Fits the caller's bound on the answer to what the model can write at most.
pub(super) fn to_model(request: &mut Request, out: &Outgoing<'_>, losses: &mut Losses) {
    let Some(most) = out.model_limit else { return };
    if out.output_limit.is_none() && request.output_limit.is_some_and(|asked| asked > most) {
        losses.approximated("max_tokens", "fitted to the longest answer of the model");
        request.output_limit = Some(most);
    }
}

/// Only the Responses dialect says how the thinking that is shown is to be put. `auto` asks for
/// what there is.
pub(super) fn shown_thinking(request: &Request, losses: &mut Losses) {
    let asked = request.reasoning.as_ref().and_then(|reasoning| reasoning.summary.as_deref());
    if asked.is_some_and(|summary| summary == "concise" || summary == "detailed") {
        losses.approximated("reasoning.summary", "the thinking comes as the provider shows it");
    }
}

/// Puts what only Anthropic's dialect has a form for into forms that all dialects have.
pub(super) fn from_anthropic(request: &mut Request, losses: &mut Losses) {
    // It asks for the prompt to be cached and for nothing else.
    if request.output_limit == Some(0) {
        losses.unsupported("max_tokens", "only providers of Anthropic's dialect take 0");
    }
    for turn in &mut request.turns {
        in_words(&mut turn.parts, losses);
    }
    for (index, tool) in request.tools.iter_mut().enumerate() {
        if let Some(function) = run_by_caller(tool) {
            let what = "a tool that the provider knows by name becomes a function";
            losses.approximated(format!("tools[{index}]"), what);
            *tool = function;
        }
    }
}

fn in_words(parts: &mut Vec<Part>, losses: &mut Losses) {
    let mut out = Vec::with_capacity(parts.len());
    for mut part in std::mem::take(parts) {
        if let Part::ToolResult { parts, .. } = &mut part {
            in_words(parts, losses);
        }
        match &part {
            Part::Own(own) => match source(&own.value.0) {
                Some(documents) => {
                    losses.approximated(own.at.as_str(), "a source is sent as plain text");
                    out.extend(documents);
                }
                None => out.push(part),
            },
            _ => out.push(part),
        }
    }
    *parts = out;
}

/// A document of blocks or a search result as a plain document; `None` for anything else, and for
/// one with something in it besides text.
fn source(block: &Value) -> Option<Vec<Part>> {
    let text = |name: &str| block.get(name).and_then(Value::as_str);
    let (content, name) = match text("type")? {
        "document" => (block.get("source")?.get("content")?, text("title").map(str::to_owned)),
        "search_result" => {
            let named = [text("title"), text("source")].into_iter().flatten();
            (block.get("content")?, Some(named.collect::<Vec<_>>().join("\n")))
        }
        _ => return None,
    };
    let mut whole = Vec::new();
    for block in content.as_array()? {
        let is_text = block.get("type").and_then(Value::as_str) == Some("text");
        whole.push(block.get("text").and_then(Value::as_str).filter(|_| is_text)?);
    }
    let media = Media {
        kind: MediaKind::Document,
        source: MediaSource::Text(whole.join("\n\n").into()),
        detail: None,
        name: name.filter(|name| !name.is_empty()).map(Words::from),
        context: text("context").map(Words::from),
        citations: false,
        cache: None,
    };
    Some(vec![Part::Media(media)])
}

fn run_by_caller(tool: &Tool) -> Option<Tool> {
    let kind = tool.schema.as_ref().filter(|_| tool.kind == ToolKind::BuiltIn)?;
    let kind = kind.0.get("type").and_then(Value::as_str)?;
    let (_, about, schema) =
        RUN_BY_CALLERS.into_iter().find(|(start, ..)| kind.starts_with(start))?;
    Some(Tool {
        kind: ToolKind::Function,
        name: tool.name.clone(),
        description: Some(about.into()),
        schema: Some(schema().into()),
        strict: None,
        cache: None,
    })
}

fn bash() -> Value {
    json!({
        "type": "object",
        "properties": {
            "command": {"type": "string", "description": "The command to run."},
            "restart": {"type": "boolean", "description": "Start the session anew."},
        },
    })
}

fn editor() -> Value {
    edits(&["view", "create", "str_replace", "insert"], &[])
}

fn memory() -> Value {
    edits(
        &["view", "create", "str_replace", "insert", "delete", "rename"],
        &["old_path", "new_path"],
    )
}

fn edits(commands: &[&str], more: &[&str]) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": {
            "command": {"type": "string", "enum": commands},
            "path": {"type": "string"},
            "view_range": {
                "type": "array",
                "items": {"type": "integer"},
                "description": "First and last line to view, counted from 1; -1 is the end.",
            },
            "file_text": {"type": "string", "description": "All of a file to create."},
            "old_str": {"type": "string", "description": "The text to replace; unique."},
            "new_str": {"type": "string", "description": "The text in its place."},
            "insert_line": {"type": "integer", "description": "The line to insert after."},
            "insert_text": {"type": "string"},
        },
        "required": ["command"],
    });
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    if let Some(properties) = properties {
        for name in more {
            properties.insert((*name).to_owned(), json!({"type": "string"}));
        }
    }
    schema
}
