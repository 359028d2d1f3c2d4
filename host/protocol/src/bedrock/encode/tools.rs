//! The tools on offer and how they may be chosen. Never judges a schema.

use serde_json::{Map, Value, json};

use crate::neutral::{Losses, Request, Tool, ToolChoice, ToolKind};

use super::cache_point;

/// `toolConfig`, and whether a call must be made.
pub(super) struct Tools {
    pub(super) config: Value,
    pub(super) forced: bool,
}

/// Writes the tools; `None` when there are none. `marks`: the model knows points of caching,
/// `strict`: it keeps to a tool's schema when told to.
pub(super) fn write(
    request: &Request,
    (marks, strict): (bool, bool),
    losses: &mut Losses,
) -> Option<Tools> {
    let used = request.called_tools();
    if request.tool_choice == Some(ToolChoice::None) {
        if used.is_empty() {
            return None;
        }
        losses.dropped("tool_choice", "calls cannot be forbidden after earlier ones");
    }
    let mut tools = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        let at = format!("tools[{index}]");
        if let Some(ToolChoice::Among { names, .. }) = &request.tool_choice
            && !names.contains(&tool.name)
        {
            continue;
        }
        match tool.kind {
            ToolKind::BuiltIn => {
                losses.note(request.without(tool), at, "a tool that another provider runs");
            }
            ToolKind::Function | ToolKind::Custom => {
                if tool.strict == Some(true) && !strict {
                    let what = "the model takes a schema of a tool as advice";
                    losses.approximated(format!("{at}.strict"), what);
                }
                if tool.kind == ToolKind::Custom {
                    losses.approximated(at, "offered as a function of one string");
                }
                tools.push(spec(tool, strict));
                let mark = tool.cache.as_ref().filter(|_| marks);
                tools.extend(mark.map(cache_point));
            }
        }
    }
    if tools.is_empty() && !used.is_empty() {
        // A history of calls is refused without the tools that were called.
        losses.approximated("tools", "those of earlier calls are offered again");
        let schema = json!({"json": {"type": "object"}});
        let again = |name: &&str| json!({"toolSpec": {"name": name, "inputSchema": schema}});
        tools = used.iter().map(again).collect();
    }
    if tools.is_empty() {
        return None;
    }
    if request.parallel_tools == Some(false) {
        losses.dropped("parallel_tool_calls", "several calls may come at once");
    }
    let choice = rule(request.tool_choice.as_ref(), losses);
    let forced = choice.as_ref().is_some_and(|choice| choice.get("auto").is_none());
    let mut config = Map::new();
    config.insert("tools".to_owned(), Value::Array(tools));
    config.extend(choice.map(|choice| ("toolChoice".to_owned(), choice)));
    Some(Tools { config: Value::Object(config), forced })
}

fn spec(tool: &Tool, strict: bool) -> Value {
    let mut spec = Map::new();
    spec.insert("name".to_owned(), json!(tool.name));
    let told = tool.description.as_ref().map(|told| told.0.as_str());
    // An empty description is refused.
    if let Some(told) = told.filter(|told| !told.is_empty()) {
        spec.insert("description".to_owned(), json!(told));
    }
    let schema = match (tool.kind, &tool.schema) {
        (ToolKind::Custom, _) => json!({"type": "object",
            "properties": {"input": {"type": "string"}}, "required": ["input"]}),
        (_, Some(schema)) => schema.0.clone(),
        (_, None) => json!({"type": "object", "properties": {}}),
    };
    spec.insert("inputSchema".to_owned(), json!({"json": schema}));
    if strict && tool.strict == Some(true) {
        spec.insert("strict".to_owned(), json!(true));
    }
    json!({"toolSpec": spec})
}

fn rule(choice: Option<&ToolChoice>, losses: &mut Losses) -> Option<Value> {
    Some(match choice? {
        ToolChoice::None => return None,
        ToolChoice::Auto => json!({"auto": {}}),
        ToolChoice::Required => json!({"any": {}}),
        ToolChoice::Named(name) => json!({"tool": {"name": name}}),
        ToolChoice::Among { required, .. } => {
            losses.approximated("tool_choice", "the other tools are left out of the list");
            if *required { json!({"any": {}}) } else { json!({"auto": {}}) }
        }
    })
}
