//! The body of `countTokens`: contents, or a whole request in a member of its own. Only unwraps;
//! what is inside is read as any request.

use bytes::Bytes;

use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};

/// The request whose tokens are to be counted. Anything that is not a wrapped request is handed
/// back as it is.
pub fn counted_request(body: Bytes) -> Bytes {
    let inner = std::str::from_utf8(&body).ok().and_then(|text| wrapped(text).ok().flatten());
    match inner {
        Some(span) => body.slice(span),
        None => body,
    }
}

fn wrapped(text: &str) -> Result<Option<std::ops::Range<usize>>, Fault> {
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut inner = None;
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        let whole = matches!(&*key, "generateContentRequest" | "generate_content_request");
        let object = scanner.kind()? == Kind::Object;
        // Beside contents it would be another question; twice, no question at all.
        if key == "contents" || (whole && inner.is_some()) {
            return Ok(None);
        }
        let span = scanner.skip()?;
        if whole && object {
            inner = Some(span);
        }
    }
    scanner.end()?;
    Ok(inner)
}
