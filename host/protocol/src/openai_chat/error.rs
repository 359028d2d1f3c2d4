//! Errors of the OpenAI dialect: an object `error` with message, type, param and code, all four
//! always there, because clients read them without looking.

use bytes::Bytes;

use crate::chunk::StreamError;
use crate::content::Content;
use crate::error_body::ErrorFacts;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};
use crate::splice::write_literal;

use super::answer::optional_string;

/// The whole error object.
pub(crate) fn body(facts: &ErrorFacts<'_>) -> Vec<u8> {
    let mut out = b"{\"error\":{\"message\":".to_vec();
    write_literal(&mut out, facts.message);
    out.extend_from_slice(b",\"type\":");
    write_literal(&mut out, facts.kind);
    for (name, value) in [("param", facts.param), ("code", facts.code)] {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        match value {
            Some(value) => write_literal(&mut out, value),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"}}");
    out
}

/// Reads a whole body for its error.
pub(crate) fn parse(body: &Bytes) -> Option<StreamError> {
    let text = std::str::from_utf8(body).ok()?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut found = None;
    scanner.open_object().ok()?;
    while let Some(key) = scanner.next_key().ok()? {
        if key == "error" {
            found = read(&mut scanner).ok()?;
        } else {
            scanner.skip().ok()?;
        }
    }
    found
}

/// Reads the value of `error`: an object, a bare string, or nothing that counts as an error.
pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Option<StreamError>, Fault> {
    let mut error =
        StreamError { message: Content::from_string(String::new()), kind: None, code: None };
    match scanner.kind()? {
        Kind::String => error.message = Content::from_string(scanner.string()?.into_owned()),
        Kind::Object => {
            scanner.open_object()?;
            while let Some(key) = scanner.next_key()? {
                match key.as_ref() {
                    "message" => {
                        let message = optional_string(scanner)?.unwrap_or_default();
                        error.message = Content::from_string(message);
                    }
                    "type" => error.kind = optional_string(scanner)?,
                    "code" => error.code = code(scanner)?,
                    _ => {
                        scanner.skip()?;
                    }
                }
            }
        }
        Kind::Bool => return Ok(scanner.boolean()?.then_some(error)),
        Kind::Null => return scanner.skip().map(|_| None),
        Kind::Number | Kind::Array => {
            scanner.skip()?;
        }
    }
    Ok(Some(error))
}

fn code(scanner: &mut Scanner<'_>) -> Result<Option<String>, Fault> {
    if scanner.kind()? != Kind::Number {
        return optional_string(scanner);
    }
    let span = scanner.skip()?;
    Ok(Some(scanner.raw(span).to_owned()))
}
