//! A model that works in steps, and calls that a script writes out: which tool of those offered
//! is called, with which arguments. Never plays the tool: that is the caller's part.

use serde_json::{Map, Value, json};

use crate::answer::{Ask, Tool};
use crate::schema;
use crate::script::{ScriptedCall, Step, WriteFile};

/// Tools that write files, best first; a shell comes last, because it can do everything.
const WRITERS: &str = "write|*write*file*|*create*file*|apply_patch|*write*|*str_replace*|*patch*|\
    exec_command|*shell*|*bash*|*exec*|*edit*";
/// Names that a tool's parameter for a path has.
const PATHS: [&str; 7] =
    ["file_path", "path", "filePath", "absolute_path", "target_file", "filename", "file"];
/// Names that a tool's parameter for a file's text has.
const TEXTS: [&str; 7] =
    ["content", "contents", "file_text", "new_string", "new_str", "text", "code_edit"];
/// Names that a tool's parameter for a patch has.
const PATCHES: [&str; 2] = ["patch", "input"];
/// Names that a shell's parameter has.
const COMMANDS: [&str; 3] = ["command", "cmd", "script"];

/// A call before it has an id.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) custom: bool,
    /// Said before it.
    pub(crate) say: Option<String>,
}

/// The calls of the next step, and of those that go with it; none after the last.
pub(crate) fn next(steps: &[Step], ask: &Ask, fill: &dyn Fn(&str) -> String) -> Vec<Planned> {
    let possible = steps.iter().filter_map(|step| Some((plan(step, ask, fill)?, step.with_next)));
    let mut out = Vec::new();
    for (planned, with_next) in possible.skip(ask.calls_made) {
        out.push(planned);
        if !with_next || ask.single_call {
            break;
        }
    }
    out
}

/// A call that a script writes out.
pub(crate) fn scripted(call: &ScriptedCall, ask: &Ask) -> Planned {
    let custom = ask.tools.iter().any(|tool| tool.name == call.name && tool.custom);
    let arguments = match &call.arguments {
        None => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    Planned { name: call.name.clone(), arguments, custom, say: None }
}

fn plan(step: &Step, ask: &Ask, fill: &dyn Fn(&str) -> String) -> Option<Planned> {
    let patterns = step.tool.as_deref().unwrap_or(WRITERS);
    let fits = |pattern: &str| {
        let named = ask.tools.iter().filter(|tool| matches(pattern, &tool.name));
        named.filter_map(|tool| Some((tool, arguments(step, tool, fill)?))).next()
    };
    let (tool, arguments) = patterns.split('|').find_map(fits)?;
    Some(Planned {
        name: tool.name.clone(),
        arguments,
        custom: tool.custom,
        say: step.say.as_deref().map(fill),
    })
}

/// Whether a name fits a pattern with `*` for anything, in any case.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.trim().to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// `None` when the tool can't do what the step wants.
fn arguments(step: &Step, tool: &Tool, fill: &dyn Fn(&str) -> String) -> Option<String> {
    if let Some(file) = &step.write {
        let file = WriteFile { path: fill(&file.path), text: fill(&file.text) };
        return write_file(&file, tool);
    }
    Some(match &step.arguments {
        None if tool.custom => String::new(),
        None => "{}".to_owned(),
        Some(Value::String(text)) => fill(text),
        Some(value) => known(filled(value, fill), tool).to_string(),
    })
}

/// Only the members that the tool has: one step serves tools of several programs.
fn known(mut value: Value, tool: &Tool) -> Value {
    let properties = tool.parameters.get("properties").and_then(Value::as_object);
    if let (Some(properties), Some(members)) = (properties, value.as_object_mut())
        && !properties.is_empty()
    {
        members.retain(|name, _| properties.contains_key(name));
    }
    value
}

fn filled(value: &Value, fill: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text)),
        Value::Array(items) => items.iter().map(|item| filled(item, fill)).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (name.clone(), filled(value, fill))).collect(),
        ),
        other => other.clone(),
    }
}

/// Arguments that make a tool write a file: by a path and a text, by a patch, or by a command.
fn write_file(file: &WriteFile, tool: &Tool) -> Option<String> {
    if tool.custom {
        return matches("*patch*", &tool.name).then(|| patch(file));
    }
    let properties = tool.parameters.get("properties")?.as_object()?;
    let named = |names: &[&str]| {
        names.iter().find(|name| properties.contains_key(**name)).map(|name| (*name).to_owned())
    };
    if let (Some(path), Some(text)) = (named(&PATHS), named(&TEXTS)) {
        let mut out = required(tool);
        if let Some(command) = out.get_mut("command") {
            *command = json!("create");
        }
        if let Some(old) = out.get_mut("old_string") {
            *old = json!("");
        }
        out.insert(path, json!(file.path));
        out.insert(text, json!(file.text));
        return Some(Value::Object(out).to_string());
    }
    if let Some(name) = named(&PATCHES).filter(|_| matches("*patch*", &tool.name)) {
        return Some(json!({ name: patch(file) }).to_string());
    }
    let name = named(&COMMANDS)?;
    let command = command(file);
    let takes_list = properties.get(&name).and_then(|schema| schema.get("type"));
    let value = if takes_list == Some(&json!("array")) {
        json!(["bash", "-lc", command])
    } else {
        json!(command)
    };
    let mut out = required(tool);
    out.insert(name, value);
    Some(Value::Object(out).to_string())
}

/// A value for each parameter that must be there.
fn required(tool: &Tool) -> Map<String, Value> {
    let names = tool.parameters.get("required").and_then(Value::as_array).into_iter().flatten();
    let fitted = |name: &str| {
        let schema = tool.parameters.get("properties")?.get(name)?;
        Some((name.to_owned(), schema::fit(schema, "simulated")))
    };
    names.filter_map(|name| fitted(name.as_str()?)).collect()
}

fn patch(file: &WriteFile) -> String {
    let lines: String = file.text.lines().map(|line| format!("+{line}\n")).collect();
    format!("*** Begin Patch\n*** Add File: {}\n{lines}*** End Patch\n", file.path)
}

fn command(file: &WriteFile) -> String {
    let end = if file.text.ends_with('\n') { "" } else { "\n" };
    format!("cat > '{}' <<'END_OF_FILE'\n{}{end}END_OF_FILE", file.path, file.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, properties: &Value, custom: bool) -> Tool {
        let required: Vec<&String> =
            properties.as_object().map(|all| all.keys().collect()).unwrap_or_default();
        let parameters = json!({ "type": "object", "properties": properties,
            "required": required });
        Tool { name: name.to_owned(), parameters, custom }
    }

    fn write(tools: Vec<Tool>) -> Option<(String, String)> {
        let file = WriteFile { path: "a.txt".to_owned(), text: "one\ntwo\n".to_owned() };
        let step = Step { write: Some(file), ..Step::default() };
        let ask = Ask { tools, ..Ask::default() };
        let planned = next(&[step], &ask, &str::to_owned).into_iter().next()?;
        Some((planned.name, planned.arguments))
    }

    #[test]
    fn patterns_with_stars_in_any_case() {
        assert!(matches("Write", "write") && matches("*edit*", "str_replace_based_edit_tool"));
        assert!(matches("str*tool", "str_replace_tool") && !matches("write", "write_stdin"));
        assert!(!matches("a*b", "ba"));
    }

    #[test]
    fn a_file_is_written_with_whatever_tool_there_is() {
        let text = || json!({ "type": "string" });
        let claude = tool("Write", &json!({ "file_path": text(), "content": text() }), false);
        let todo = tool("TodoWrite", &json!({ "todos": { "type": "array" } }), false);
        let (name, arguments) = write(vec![todo, claude]).expect("a call");
        assert_eq!(name, "Write");
        assert_eq!(arguments, r#"{"file_path":"a.txt","content":"one\ntwo\n"}"#);
        let shell = tool("shell", &json!({ "command": { "type": "array" } }), false);
        let (_, arguments) = write(vec![shell]).expect("a call");
        assert!(arguments.contains("cat > 'a.txt' <<"), "{arguments}");
        let patch = tool("apply_patch", &json!({}), true);
        let (_, arguments) = write(vec![patch]).expect("a call");
        assert!(arguments.contains("*** Add File: a.txt\n+one\n+two\n"), "{arguments}");
        assert!(write(vec![tool("weather", &json!({ "city": text() }), false)]).is_none());
    }

    #[test]
    fn steps_follow_the_calls_made_and_go_together_where_they_say() {
        let step = |tool: &str, with_next| Step {
            tool: Some(tool.to_owned()),
            arguments: Some(json!({ "q": "{prompt}" })),
            with_next,
            ..Step::default()
        };
        let steps = [step("a", false), step("gone", false), step("a", true), step("b", false)];
        let tools = || vec![tool("a", &json!({}), false), tool("b", &json!({}), false)];
        let names = |calls_made| {
            let ask = Ask { tools: tools(), calls_made, ..Ask::default() };
            let planned = next(&steps, &ask, &|text| text.replace("{prompt}", "p"));
            assert!(planned.iter().all(|plan| plan.arguments == r#"{"q":"p"}"#));
            planned.into_iter().map(|plan| plan.name).collect::<Vec<_>>()
        };
        assert_eq!(names(0), ["a"]);
        assert_eq!(names(1), ["a", "b"]);
        assert!(names(3).is_empty());
    }
}
