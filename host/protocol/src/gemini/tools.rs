//! The `tools` of a request: names, descriptions and the readable parts of their schemas. Never
//! judges a schema.

use crate::call::{TOOLS_MAX, Tool};
use crate::draft::{Draft, Mark};
use crate::labels::{is_function, is_name};
use crate::openai_chat::tools::schema;
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};

use super::keys::{Keys, each};
use super::tree::camel;

/// Tools by which Google searches the web.
const SEARCHES: &[&str] = &["googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"];
/// What else Google runs by itself. A computer is used by the caller.
const RUN_BY_GOOGLE: &[&str] =
    &["urlContext", "codeExecution", "googleMaps", "fileSearch", "retrieval"];
const FUNCTION: &[&str] =
    &["name", "description", "parameters", "parametersJsonSchema", "behavior"];

/// Reads the list of tools. Each holds functions, or one tool that Google runs.
pub(super) fn read_all(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    each(scanner, |scanner| {
        if scanner.kind()? != Kind::Object {
            return Err(RequestError::invalid("tools", "a list of objects"));
        }
        scanner.open_object()?;
        let mut seen = false;
        while let Some(literal) = scanner.next_literal_key()? {
            let name = camel(&scanner.decode(&literal));
            draft.key(scanner, literal, Mark::DOCUMENT)?;
            if name != "functionDeclarations" {
                if scanner.kind()? != Kind::Null {
                    let searches = SEARCHES.contains(&name.as_str());
                    draft.needs.web_search |= searches;
                    draft.needs.caller_tools |=
                        !searches && !RUN_BY_GOOGLE.contains(&name.as_str());
                    add(draft, named(name))?;
                }
                schema(draft, scanner)?;
                continue;
            }
            if std::mem::replace(&mut seen, true) {
                return Err(RequestError::duplicate("functionDeclarations", scanner.position()));
            }
            each(scanner, |scanner| function(draft, scanner))?;
        }
        Ok(())
    })
}

fn named(name: String) -> Tool {
    Tool { name, description: None, custom: false, description_text: None }
}

fn add(draft: &mut Draft, tool: Tool) -> Result<(), RequestError> {
    if draft.tools.len() >= TOOLS_MAX {
        return Err(RequestError::too_many("tools", TOOLS_MAX));
    }
    draft.tools.push(tool);
    draft.needs.tools = true;
    Ok(())
}

fn function(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    if scanner.kind()? != Kind::Object {
        let expected = "a list of objects";
        return Err(RequestError::invalid("tools.functionDeclarations", expected));
    }
    let mut tool = named(String::new());
    let mut keys = Keys::new(FUNCTION);
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, Mark::DOCUMENT)? {
        match (name, scanner.kind()?) {
            ("name", Kind::String) => {
                tool.name = draft.label(scanner, Mark::DOCUMENT, is_function)?.into_owned();
            }
            ("behavior", Kind::String) => draft.labels(scanner, Mark::DOCUMENT, is_name)?,
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
    draft.needs.caller_tools = true;
    add(draft, tool)
}
