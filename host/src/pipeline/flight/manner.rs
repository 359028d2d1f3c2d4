//! How a caller is spoken to, and what of its headers and its query counts. Never reads a
//! credential and never passes one on.

use http::HeaderMap;
use turnpike_protocol::Dialect;

/// How the caller is spoken to, and what of its headers counts.
#[derive(Debug)]
pub(in crate::pipeline) struct Manner {
    /// The dialect of answers and errors.
    pub dialect: Dialect,
    /// A stream is sent as one JSON array.
    pub array: bool,
    /// Refuse what a translation would lose.
    pub strict: bool,
    /// Headers that a provider of the caller's own dialect gets as they came.
    pub forwarded: Vec<(&'static str, String)>,
    /// The query, for the same: `beta=true`.
    pub query: Option<String>,
}

/// Headers of Anthropic's API that belong to its body: the version it is written in, and the
/// betas that its members need; and the workspace whose files it names.
const FORWARDED: [&str; 3] = ["anthropic-version", "anthropic-beta", "anthropic-workspace-id"];
/// Bytes of a header that is passed on; Claude Code's list of betas has a few hundred.
const FORWARDED_BYTES_MAX: usize = 4096;
/// Bytes of a query that is passed on.
const QUERY_BYTES_MAX: usize = 128;

// === impl Manner ===

impl Manner {
    /// The same with what the URL says behind its path.
    pub(in crate::pipeline) fn with_query(self, query: Option<&str>) -> Self {
        let anthropic = self.dialect == Dialect::AnthropicMessages;
        let query = query.filter(|_| anthropic).and_then(passable);
        Self { query, ..self }
    }

    /// The betas of Anthropic's that the caller names.
    pub(in crate::pipeline) fn betas(&self) -> Option<&str> {
        let named = self.forwarded.iter().find(|(name, _)| *name == "anthropic-beta");
        named.map(|(_, betas)| betas.as_str())
    }

    /// What the headers of a request in `dialect` say of it.
    pub(in crate::pipeline) fn of(dialect: Dialect, array: bool, headers: &HeaderMap) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let strict = header("x-turnpike-strict").is_some_and(asks);
        let forwarded = match dialect {
            Dialect::AnthropicMessages => FORWARDED
                .into_iter()
                .filter_map(|name| Some((name, joined(headers, name)?)))
                .collect(),
            _ => Vec::new(),
        };
        Self { dialect, array, strict, forwarded, query: None }
    }
}

/// Whether the value of a switch turns it on. Anything else would be a wish that is passed over.
fn asks(value: &str) -> bool {
    let value = value.trim();
    ["1", "true", "yes", "on"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// The pairs of a query that are the provider's business: never the caller's key.
fn passable(query: &str) -> Option<String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("key="));
    let kept = encoded(&pairs.collect::<Vec<_>>().join("&"));
    (!kept.is_empty() && kept.len() <= QUERY_BYTES_MAX).then_some(kept)
}

/// A query as it may stand in a request's first line.
fn encoded(query: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(query.len());
    for byte in query.bytes() {
        if byte.is_ascii_graphic() {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            write!(out, "%{byte:02X}").ok();
        }
    }
    out
}

/// All values of a header in one, in order; none that is too long.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<&str> =
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    let joined = values.join(",");
    (!joined.is_empty() && joined.len() <= FORWARDED_BYTES_MAX).then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_word_for_yes_is_strict() {
        let strict = |word: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-turnpike-strict", word.parse().unwrap());
            Manner::of(Dialect::OpenAiChat, false, &headers).strict
        };
        assert!(["1", "true", "True", " yes "].into_iter().all(strict));
        assert!(!["0", "false", "no", ""].into_iter().any(strict));
    }

    #[test]
    fn what_belongs_to_an_anthropic_body_is_handed_on_as_http_allows() {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-workspace-id", "wrkspc_1".parse().unwrap());
        headers.append("anthropic-beta", "one".parse().unwrap());
        headers.append("anthropic-beta", "two".parse().unwrap());
        let manner = Manner::of(Dialect::AnthropicMessages, false, &headers);
        let manner = manner.with_query(Some("beta=true&key=secret&name=zoë"));
        let forwarded = [("anthropic-beta", "one,two"), ("anthropic-workspace-id", "wrkspc_1")]
            .map(|(name, value)| (name, value.to_owned()));
        assert_eq!(manner.forwarded, forwarded);
        assert_eq!(manner.query.as_deref(), Some("beta=true&name=zo%C3%AB"));
        let chat = Manner::of(Dialect::OpenAiChat, false, &headers).with_query(Some("beta=true"));
        assert!(chat.forwarded.is_empty() && chat.query.is_none());
    }
}
