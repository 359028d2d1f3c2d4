//! The `tools` of a request: names, descriptions and the readable parts of their schemas. Never
//! judges a schema.

use crate::call::{TOOLS_MAX, Tool};
use crate::draft::{Draft, Mark};
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};

use super::keys::{Keys, each};
use super::tree::camel;

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
        while let Some(key) = scanner.next_key()? {
            let name = camel(&key);
            if name != "functionDeclarations" {
                if scanner.kind()? != Kind::Null {
                    add(
                        draft,
                        Tool { name, description: None, custom: false, description_text: None },
                    )?;
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
    let mut tool =
        Tool { name: String::new(), description: None, custom: false, description_text: None };
    let mut keys = Keys::new(FUNCTION);
    scanner.open_object()?;
    while let Some(name) = keys.next(scanner)? {
        match (name, scanner.kind()?) {
            ("name", Kind::String) => tool.name = scanner.string()?.into_owned(),
            ("behavior", Kind::String) => scanner.skip().map(|_| ())?,
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
    add(draft, tool)
}

/// Files the readable strings of a schema, or of any value around one. The keys of an object, and
/// so the names of properties, are never texts.
pub(super) fn schema(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    match scanner.kind()? {
        Kind::Object => scanner.open_object()?,
        Kind::Array => {
            scanner.open_array()?;
            while scanner.next_item()? {
                schema(draft, scanner)?;
            }
            return Ok(());
        }
        _ => return draft.walk(scanner, Mark::DOCUMENT, &[]),
    }
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            // Values rather than schemas: every string in them is a text.
            "default" | "const" | "enum" | "example" | "examples" => {
                draft.walk(scanner, Mark::DOCUMENT, &[])?;
            }
            // Structure, which replacing would break; an object under such a key is a property.
            "type" | "format" | "pattern" | "required" | "$ref" | "$schema" | "$id"
            | "propertyOrdering" | "property_ordering"
                if scanner.kind()? != Kind::Object =>
            {
                scanner.skip()?;
            }
            _ => schema(draft, scanner)?,
        }
    }
    Ok(())
}
