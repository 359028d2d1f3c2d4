//! The `tools` of a request and the schema of its answer: names, descriptions and the readable
//! parts of schemas. Never judges a schema.

use crate::call::{TOOLS_MAX, Tool};
use crate::draft::{Draft, Mark};
use crate::labels::{is_function, is_name, is_version};
use crate::names::Names;
use crate::openai_chat::tools::schema;
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};

const TOOL: &[&str] =
    &["type", "name", "description", "input_schema", "input_examples", "cache_control", "model"];
const FORMAT: &[&str] = &["type", "schema"];
/// Beginnings of the types of tools that Anthropic runs by itself.
const RUN_BY_PROVIDER: [&str; 4] = ["web_search", "web_fetch", "code_execution", "mcp_toolset"];

/// Reads an array of tools, the caller's own and those built into a provider.
pub(super) fn read_all(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    if scanner.null()? {
        return Ok(());
    }
    if scanner.kind()? != Kind::Array {
        return Err(RequestError::invalid("tools", "an array of tools"));
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        if draft.tools.len() >= TOOLS_MAX {
            return Err(RequestError::too_many("tools", TOOLS_MAX));
        }
        if scanner.kind()? != Kind::Object {
            return Err(RequestError::invalid("tools", "an array of objects"));
        }
        let tool = read(draft, scanner)?;
        draft.tools.push(tool);
        draft.needs.tools = true;
    }
    Ok(())
}

fn read(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<Tool, RequestError> {
    let mut tool =
        Tool { name: String::new(), description: None, custom: false, description_text: None };
    let mut kind = String::new();
    let mut names = Names::new(TOOL);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        match (name, scanner.kind()?) {
            // A model that the provider would ask in the course of the answer, past the key's
            // models, the price and the hold.
            ("model", _) => {
                let at = format!("tools[{}].model", draft.tools.len());
                let expected = "the tool without it: the gateway chooses and prices the model";
                return Err(RequestError::invalid(at, expected));
            }
            ("type", Kind::String) => {
                kind = draft.label(scanner, Mark::DOCUMENT, is_version)?.into_owned();
            }
            ("name", Kind::String) => {
                tool.name = draft.label(scanner, Mark::DOCUMENT, is_function)?.into_owned();
            }
            // Values rather than schemas: every string in them is a text.
            ("input_examples", _) => draft.walk(scanner, Mark::DOCUMENT, &[])?,
            ("cache_control", Kind::Object) => draft.structure(scanner, Mark::DOCUMENT, &[])?,
            ("description", Kind::String) => {
                let index = draft.texts.len();
                draft.walk(scanner, Mark::DOCUMENT, &[])?;
                if let Some(text) = draft.texts.get(index) {
                    tool.description = Some(text.content.clone());
                    tool.description_text = Some(index);
                }
            }
            _ => schema(draft, scanner)?,
        }
    }
    draft.needs.web_search |= kind.starts_with("web_search");
    // It is charged by the time that its container runs. Pages are fetched for nothing.
    draft.needs.hosted_tools |= kind.starts_with("code_execution");
    let run_there = RUN_BY_PROVIDER.iter().any(|start| kind.starts_with(start));
    draft.needs.caller_tools |= !run_there;
    if tool.name.is_empty() {
        tool.name = kind;
    }
    Ok(tool)
}

/// Reads what the answer's text must be: `{"type": "json_schema", "schema": …}` or `null`.
pub(super) fn format(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    if scanner.kind()? != Kind::Object {
        return draft.walk(scanner, Mark::DOCUMENT, &[]);
    }
    let mut names = Names::new(FORMAT);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        match (name, scanner.kind()?) {
            ("type", Kind::String) => {
                let kind = draft.label(scanner, Mark::DOCUMENT, is_name)?;
                draft.needs.schema |= kind == "json_schema";
                draft.needs.structured_output |= kind == "json_schema";
            }
            _ => schema(draft, scanner)?,
        }
    }
    Ok(())
}
