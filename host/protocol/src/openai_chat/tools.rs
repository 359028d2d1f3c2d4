//! The `tools` and the older `functions` of a request: names, descriptions and the readable parts
//! of their schemas. Never judges a schema.

use std::borrow::Cow;

use crate::call::{TOOLS_MAX, Tool};
use crate::draft::{Draft, Mark};
use crate::labels::{is_function, is_name, is_reference, is_version};
use crate::names::Names;
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};

/// Tools other than searches that OpenAI runs by itself and charges for by the piece.
pub(crate) const HOSTED_TOOLS: [&str; 3] = ["file_search", "code_interpreter", "image_generation"];
/// What else providers of these dialects run by themselves: servers that the caller names, and
/// Moonshot's functions.
const RUN_BY_PROVIDERS: [&str; 2] = ["mcp", "builtin_function"];

const TOOL: &[&str] =
    &["type", "function", "custom", "name", "description", "parameters", "strict"];
const RESPONSE_FORMAT: &[&str] = &["type", "json_schema"];

/// Reads an array of tools, nested (`{"type", "function": {…}}`) or flat.
pub(crate) fn read_all(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    param: &'static str,
) -> Result<(), RequestError> {
    if scanner.null()? {
        return Ok(());
    }
    if scanner.kind()? != Kind::Array {
        return Err(RequestError::invalid(param, "an array of tools"));
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        if draft.tools.len() >= TOOLS_MAX {
            return Err(RequestError::too_many(param, TOOLS_MAX));
        }
        if scanner.kind()? != Kind::Object {
            return Err(RequestError::invalid(param, "an array of objects"));
        }
        let mut tool =
            Tool { name: String::new(), description: None, custom: false, description_text: None };
        let mut kind = Cow::Borrowed("");
        read(draft, scanner, &mut tool, &mut kind)?;
        tool.custom = kind == "custom";
        let built_in = kind == "builtin_function" && tool.name == "$web_search";
        let searches = built_in || kind.starts_with("web_search");
        let hosted = HOSTED_TOOLS.contains(&kind.as_ref());
        draft.needs.web_search |= searches;
        draft.needs.hosted_tools |= hosted;
        let run_there = searches || hosted || RUN_BY_PROVIDERS.contains(&kind.as_ref());
        draft.needs.caller_tools |= !run_there;
        if tool.name.is_empty() {
            tool.name = kind.into_owned();
        }
        draft.tools.push(tool);
        draft.needs.tools = true;
    }
    Ok(())
}

fn read<'a>(
    draft: &mut Draft,
    scanner: &mut Scanner<'a>,
    tool: &mut Tool,
    kind: &mut Cow<'a, str>,
) -> Result<(), RequestError> {
    let mut names = Names::new(TOOL);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        let value = scanner.kind()?;
        match (name, value) {
            ("type", Kind::String) => *kind = draft.label(scanner, Mark::DOCUMENT, is_version)?,
            ("name", Kind::String) => {
                tool.name = draft.label(scanner, Mark::DOCUMENT, is_function)?.into_owned();
            }
            ("function" | "custom", Kind::Object) => {
                read(draft, scanner, tool, &mut Cow::default())?
            }
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
    Ok(())
}

/// Files the readable strings of a schema, or of any value around one, and the names of properties
/// where they are more than names. A property that is replaced is replaced alike in `required`, in
/// `$ref` and wherever else it is named; a pseudonym is restored in the arguments of a call.
///
/// The names of functions are left alone: providers accept only letters, digits, `_` and `-` in
/// them, so nothing that could stand in their place would reach a model.
pub(crate) fn schema(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
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
    while let Some(literal) = scanner.next_literal_key()? {
        let key = scanner.decode(&literal);
        draft.key(scanner, literal, Mark::DOCUMENT)?;
        match key.as_ref() {
            // Values rather than schemas: every string in them is a text.
            "default" | "const" | "enum" | "example" | "examples" => {
                draft.walk(scanner, Mark::DOCUMENT, &[])?;
            }
            // Structure, mostly names; an object under such a key is a property.
            "type" | "format" | "required" | "$ref" | "$schema" | "$id" | "syntax"
            | "propertyOrdering" | "property_ordering"
                if scanner.kind()? != Kind::Object =>
            {
                draft.labels(scanner, Mark::DOCUMENT, is_reference)?;
            }
            _ => schema(draft, scanner)?,
        }
    }
    Ok(())
}

/// Reads `response_format`: whether JSON is asked for, and the readable parts of its schema.
pub(super) fn response_format(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
) -> Result<(), RequestError> {
    if scanner.null()? {
        return Ok(());
    }
    if scanner.kind()? != Kind::Object {
        return Err(RequestError::invalid("response_format", "an object with a type"));
    }
    let mut names = Names::new(RESPONSE_FORMAT);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        let value = scanner.kind()?;
        if (name, value) == ("type", Kind::String) {
            let kind = draft.label(scanner, Mark::DOCUMENT, is_name)?;
            draft.needs.schema = kind == "json_schema";
            draft.needs.structured_output = draft.needs.schema || kind == "json_object";
        } else {
            schema(draft, scanner)?;
        }
    }
    Ok(())
}
