//! The tools on offer and how they may be chosen. Never judges a schema.

use serde_json::{Map, Value, json};

use crate::Dialect;
use crate::gemini::schema::is_openapi;
use crate::neutral::{Losses, Request, Tool, ToolChoice, ToolKind};

/// The list of tools, and the rule for choosing among them.
pub(super) fn write(request: &Request, losses: &mut Losses) -> (Vec<Value>, Option<Value>) {
    let (mut functions, mut tools) = (Vec::new(), Vec::new());
    for (index, tool) in request.tools.iter().enumerate() {
        let at = format!("tools[{index}]");
        match tool.kind {
            ToolKind::Function => functions.push(function(tool, &at, losses)),
            ToolKind::Custom => {
                losses.approximated(at, "offered as a function of one string");
                functions.push(custom(tool));
            }
            ToolKind::BuiltIn => match own(tool).filter(|_| request.is_of(Dialect::Gemini)) {
                Some(own) => tools.push(own),
                None => losses.note(request.without(tool), at, "a tool that another provider runs"),
            },
        }
    }
    if request.parallel_tools == Some(false) && !functions.is_empty() {
        losses.dropped("parallel_tool_calls", "several calls may come at once");
    }
    let choice = request.tool_choice.as_ref().filter(|_| !functions.is_empty()).map(rule);
    if !functions.is_empty() {
        tools.insert(0, json!({"functionDeclarations": functions}));
    }
    (tools, choice)
}

fn function(tool: &Tool, at: &str, losses: &mut Losses) -> Value {
    if tool.strict == Some(true) {
        losses.dropped(format!("{at}.strict"), "the schema is a request and not a promise");
    }
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(tool.name));
    if let Some(description) = &tool.description {
        out.insert("description".to_owned(), json!(description.0));
    }
    if let Some(schema) = &tool.schema {
        let name = if is_openapi(&schema.0) { "parameters" } else { "parametersJsonSchema" };
        out.insert(name.to_owned(), schema.0.clone());
    }
    Value::Object(out)
}

/// A tool of free text as a function. The grammar, if it has one, is told in words.
fn custom(tool: &Tool) -> Value {
    let told = tool.description.as_ref().map(|told| told.0.as_str()).unwrap_or_default();
    let format = tool.schema.as_ref().map(|format| &format.0);
    let definition = format.and_then(|format| {
        let grammar = format.get("grammar").unwrap_or(format);
        let syntax = grammar.get("syntax").and_then(Value::as_str).unwrap_or("given");
        let definition = grammar.get("definition").and_then(Value::as_str)?;
        Some(format!("\n\nThe input must match this {syntax} grammar:\n{definition}"))
    });
    let description = format!("{told}{}", definition.unwrap_or_default());
    let schema = json!({"type": "object", "properties": {"input": {"type": "string"}},
        "required": ["input"]});
    json!({"name": tool.name, "description": description, "parametersJsonSchema": schema})
}

/// A tool that Google runs: an object with its name as the one member.
fn own(tool: &Tool) -> Option<Value> {
    let schema = &tool.schema.as_ref()?.0;
    let members = schema.as_object()?;
    let ours = members.len() == 1 && members.contains_key(&tool.name) && tool.name != "type";
    ours.then(|| schema.clone())
}

fn rule(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        ToolChoice::Among { names, required: true } => {
            json!({"mode": "ANY", "allowedFunctionNames": names})
        }
        // The one mode that takes a list of functions and leaves the model the choice to answer.
        ToolChoice::Among { names, required: false } => {
            json!({"mode": "VALIDATED", "allowedFunctionNames": names})
        }
    }
}
