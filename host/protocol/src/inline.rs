//! Media that stand in a body as base64: told apart from readable text, so that none can travel as
//! an image. Never decodes any.

use crate::call::Channel;
use crate::draft::{Draft, Mark};
use crate::request_error::RequestError;
use crate::scan::{Kind, Literal, Scanner};

/// An address: inline base64 is counted, anything else is a text.
pub(crate) fn address(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
) -> Result<usize, RequestError> {
    if scanner.kind()? != Kind::String {
        draft.walk(scanner, mark, &[])?;
        return Ok(0);
    }
    let literal = scanner.literal()?;
    if is_data_url(scanner, &literal) {
        let bytes = literal.span.len();
        draft.media.spans.push(literal.span);
        return Ok(bytes);
    }
    let decoded = literal.escaped.then(|| scanner.decode(&literal).into_owned());
    draft.push((literal, decoded), mark)?;
    Ok(0)
}

/// Base64 without a head is counted, anything else is a text.
pub(crate) fn bare(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
) -> Result<usize, RequestError> {
    if scanner.kind()? != Kind::String {
        draft.walk(scanner, mark, &[])?;
        return Ok(0);
    }
    let literal = scanner.literal()?;
    if is_base64(scanner.raw(literal.inner())) {
        let bytes = literal.span.len();
        draft.media.spans.push(literal.span);
        return Ok(bytes);
    }
    let decoded = literal.escaped.then(|| scanner.decode(&literal).into_owned());
    draft.push((literal, decoded), mark)?;
    Ok(0)
}

/// A string that only its provider can read, such as a signature or sealed thinking: counted. One
/// that people can read is a text.
pub(crate) fn sealed(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
) -> Result<Literal, RequestError> {
    let literal = scanner.literal()?;
    // The dots are those of the tag in front of a foreign signature.
    if scanner.raw(literal.inner()).split('.').all(is_base64) {
        draft.media.sealed_bytes = draft.media.sealed_bytes.saturating_add(literal.span.len());
        draft.media.spans.push(literal.span.clone());
        return Ok(literal);
    }
    let decoded = literal.escaped.then(|| scanner.decode(&literal).into_owned());
    draft.push((literal.clone(), decoded), mark.on(Channel::Document))?;
    Ok(literal)
}

/// `data:<media type>;base64,…` with nothing but the base64 alphabet behind the comma, so that no
/// readable text can travel as an image.
pub(crate) fn is_data_url(scanner: &Scanner<'_>, literal: &Literal) -> bool {
    let raw = scanner.raw(literal.inner());
    let Some((head, data)) = raw.strip_prefix("data:").and_then(|rest| rest.split_once(',')) else {
        return false;
    };
    head.len() <= 128 && head.ends_with(";base64") && is_base64(data)
}

/// Whether a literal, as it stands in the body without its quotes, has nothing but the letters of
/// base64 or of its form for addresses; an escaped slash counts.
pub(crate) fn is_base64(raw: &str) -> bool {
    raw.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\')
    })
}
