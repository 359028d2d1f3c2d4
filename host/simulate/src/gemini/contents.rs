//! The contents of a request: roles, parts, calls followed by responses, thought signatures; and
//! what an answer depends on.

use serde_json::Value;

use super::error::{invalid, invalid_value};
use super::fields::{field, list, only, text};
use crate::answer::{Ask, Media};
use crate::script::ModelScript;
use crate::seal::is_ours;
use crate::speech::{ErrorBody, Incoming};
use crate::tally::Tally;
use crate::tokens;

/// Tokens of an image or a document's page.
const TOKENS_PER_IMAGE: u64 = 258;
/// Members of a part that say something.
const DATA: [&str; 7] = [
    "text",
    "inlineData",
    "functionCall",
    "functionResponse",
    "fileData",
    "executableCode",
    "codeExecutionResult",
];
/// Members of a part beside these.
const BESIDE: [&str; 5] =
    ["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"];
/// Signatures that Google documents for calls that it did not make itself.
const SKIPS: [&str; 2] =
    ["context_engineering_is_the_way_to_go", "skip_thought_signature_validator"];

/// Whether a model refuses calls that come back without their signature.
pub(super) fn needs_signatures(model: &ModelScript) -> bool {
    model.thought_signatures.unwrap_or_else(|| model.id.starts_with("gemini-3"))
}

/// Reads all contents, in order.
pub(super) fn read(
    contents: &[Value],
    incoming: &Incoming<'_>,
    ask: &mut Ask,
    tally: &mut Tally,
) -> Result<(), ErrorBody> {
    if contents.is_empty() {
        return Err(invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    for (index, content) in contents.iter().enumerate() {
        only(content, &["role", "parts"], &format!("contents[{index}]"))?;
        let parts = list(content, "parts");
        if parts.is_empty() {
            return Err(invalid(&format!(
                "* GenerateContentRequest.contents[{index}].parts: contents.parts must not be \
                 empty."
            )));
        }
        if !["", "user", "model", "function"].contains(&role(content)) {
            return Err(invalid("Please use a valid role: user, model."));
        }
        let mut weight = 0;
        for (nth, part) in parts.iter().enumerate() {
            // The last event of a stream has such a text, and clients send back what they got.
            let echoed = role(content) == "model" && text(part, "text") == Some("");
            if !echoed {
                check_part(part, &format!("contents[{index}].parts[{nth}]"))?;
            }
            weight += read_part(part, ask);
        }
        let said: Vec<&str> = parts.iter().filter_map(|part| text(part, "text")).collect();
        if role(content) == "model" {
            ask.tool_result = None;
        } else if !said.is_empty() {
            (ask.last_user_text, ask.tool_result) = (said.concat(), None);
        }
        tally.part(content, weight);
    }
    check_turns(contents)?;
    check_signatures(contents, incoming)
}

fn role(content: &Value) -> &str {
    text(content, "role").unwrap_or("")
}

fn check_part(part: &Value, at: &str) -> Result<(), ErrorBody> {
    only(part, &[DATA.as_slice(), &BESIDE].concat(), at)?;
    let signed = text(part, "thoughtSignature").is_some();
    let empty = |name: &str| name == "text" && text(part, name) == Some("") && !signed;
    let given = DATA.iter().filter(|name| field(part, name).is_some() && !empty(name)).count();
    if given != 1 && !(given == 0 && signed) {
        return Err(invalid(&format!(
            "* GenerateContentRequest.{at}.data: required oneof field 'data' must have one \
             initialized field"
        )));
    }
    let object = "type.googleapis.com/google.protobuf.Struct";
    if let Some(call) = field(part, "functionCall") {
        if let Some(args) = field(call, "args").filter(|args| !args.is_object()) {
            return Err(invalid_value(&format!("{at}.function_call.args"), object, args));
        }
        check_name(call, &format!("{at}.function_call"))?;
    }
    if let Some(response) = field(part, "functionResponse") {
        match field(response, "response") {
            Some(value) if value.is_object() => {}
            other => {
                let value = other.unwrap_or(&Value::Null);
                return Err(invalid_value(
                    &format!("{at}.function_response.response"),
                    object,
                    value,
                ));
            }
        }
        check_name(response, &format!("{at}.function_response"))?;
    }
    if let Some(data) = field(part, "inlineData") {
        only(data, &["mimeType", "data", "displayName"], &format!("{at}.inline_data"))?;
        let bytes = text(data, "data").and_then(crate::encode::from_base64);
        if bytes.is_none() {
            let value = field(data, "data").unwrap_or(&Value::Null);
            return Err(invalid_value(&format!("{at}.inline_data.data"), "TYPE_BYTES", value));
        }
        if text(data, "mimeType").is_none_or(|kind| !kind.contains('/')) {
            return Err(invalid("Unsupported MIME type: "));
        }
    }
    Ok(())
}

fn check_name(named: &Value, at: &str) -> Result<(), ErrorBody> {
    if text(named, "name").is_some_and(|name| !name.is_empty()) {
        return Ok(());
    }
    Err(invalid(&format!("* GenerateContentRequest.{at}.name: Name cannot be empty.")))
}

/// Notes what an answer depends on; the part's tokens.
fn read_part(part: &Value, ask: &mut Ask) -> u64 {
    if let Some(call) = field(part, "functionCall") {
        ask.calls_made += 1;
        return field(call, "args").map_or(0, |args| tokens::count(&args.to_string()));
    }
    if let Some(response) = field(part, "functionResponse") {
        let value = field(response, "response").cloned().unwrap_or(Value::Null);
        let plain =
            ["result", "output", "content"].iter().find_map(|name| value.get(name)?.as_str());
        let said = plain.map_or_else(|| value.to_string(), str::to_owned);
        let weight = tokens::count(&said);
        ask.tool_result = Some(said);
        return weight;
    }
    if let Some(data) = field(part, "inlineData").or_else(|| field(part, "fileData")) {
        let media_type = text(data, "mimeType").unwrap_or("url").to_owned();
        let kind = match media_type.split('/').next() {
            Some("image") => "image",
            Some("audio") => "audio",
            _ => "document",
        };
        ask.media.push(Media { kind, media_type });
        return TOKENS_PER_IMAGE;
    }
    text(part, "text").map_or(0, tokens::count)
}

fn parts_with<'a>(content: &'a Value, name: &str) -> Vec<&'a Value> {
    list(content, "parts").iter().filter_map(|part| field(part, name)).collect()
}

/// A call follows a user's turn or responses; as many responses follow a call's turn at once.
fn check_turns(contents: &[Value]) -> Result<(), ErrorBody> {
    let mut before: Option<&Value> = None;
    for content in contents {
        let (calls, answers) =
            (parts_with(content, "functionCall"), parts_with(content, "functionResponse"));
        let open = before.map_or(0, |before| parts_with(before, "functionCall").len());
        if !calls.is_empty() && before.is_none_or(|before| role(before) == "model") {
            return Err(invalid(
                "Please ensure that function call turn comes immediately after a user turn or \
                 after a function response turn.",
            ));
        }
        if !answers.is_empty() && open == 0 {
            return Err(invalid(
                "Please ensure that function response turn comes immediately after a function \
                 call turn.",
            ));
        }
        if open != answers.len() {
            return Err(unequal());
        }
        before = Some(content);
    }
    let last = contents.last();
    if last.is_some_and(|last| !parts_with(last, "functionCall").is_empty()) {
        return Err(unequal());
    }
    if last.is_some_and(|last| role(last) == "model") && contents.len() == 1 {
        return Err(invalid(
            "Please ensure that single turn requests end with a user role or the role field is \
             empty.",
        ));
    }
    Ok(())
}

fn unequal() -> ErrorBody {
    invalid(
        "Please ensure that the number of function response parts is equal to the number of \
         function call parts of the function call turn.",
    )
}

/// Signatures that come back are this provider's; in the current turn none is missing.
fn check_signatures(contents: &[Value], incoming: &Incoming<'_>) -> Result<(), ErrorBody> {
    let speaks = |content: &Value| {
        role(content) != "model" && parts_with(content, "functionResponse").is_empty()
    };
    let turn = contents.iter().rposition(speaks).unwrap_or(0);
    for (index, content) in contents.iter().enumerate() {
        let mut first = true;
        for part in list(content, "parts") {
            let signature = text(part, "thoughtSignature");
            let good = |sealed: &str| SKIPS.contains(&sealed) || is_ours(incoming.issuer, sealed);
            if signature.is_some_and(|sealed| !good(sealed)) {
                return Err(invalid("Corrupted thought signature."));
            }
            let Some(call) = field(part, "functionCall") else { continue };
            if first && index > turn && signature.is_none() && needs_signatures(incoming.model) {
                let (name, position) = (text(call, "name").unwrap_or(""), index + 1);
                return Err(invalid(&format!(
                    "Function call is missing a thought_signature in functionCall parts. This is \
                     required for tools to work correctly, and missing thought_signature may lead \
                     to degraded model performance. Additional data, function call \
                     `default_api:{name}` , position {position}. Please refer to \
                     https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
                )));
            }
            first = false;
        }
    }
    Ok(())
}
