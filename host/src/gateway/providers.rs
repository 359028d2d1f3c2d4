//! Each configured provider as the pipeline needs it: where to connect, which path, which
//! credential, which dialects. Read once at start.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use turnpike_protocol::quirks::Envelope;
use turnpike_protocol::{Dialect, LimitField, Quirks};

use crate::catalog::Offer;
use crate::config;
use crate::secret::Secret;
use crate::upstream::{Endpoint, Scheme};

use super::families::{AuthStyle, Families, Family, Layout};

/// What Anthropic's API calls its only version.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// One upstream.
#[derive(Debug)]
pub struct Provider {
    pub endpoint: Endpoint,
    /// The base URL's path, without a slash at its end.
    base_path: String,
    layout: Layout,
    /// The header that signs in, and its whole value.
    credential: Option<(&'static str, Secret)>,
    /// In which it is spoken to, the best first.
    dialects: Vec<Dialect>,
    /// How it wants to be told the bound on answer tokens.
    pub limit_field: LimitField,
    /// By the model's name on the wire, for every offer there is.
    quirks: HashMap<Box<str>, Quirks>,
    plain: Quirks,
}

/// What is asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Answer { stream: bool },
    CountTokens,
    Embed,
}

impl Provider {
    pub(super) fn new(
        name: &str,
        config: &config::Provider,
        families: &Families,
    ) -> anyhow::Result<Self> {
        let field = format!("providers.{name}");
        let family = families.of(config.catalog.as_deref().unwrap_or(name));
        let Some(url) = config.base_url.as_ref().or(family.base_url.as_ref()) else {
            bail!("{field}.base_url is missing, and {name:?} is no provider with a known address");
        };
        let (endpoint, base_path) = parse_url(url).with_context(|| format!("{field}.base_url"))?;
        let dialects = dialects(&field, config, &family)?;
        let auth = auth_style(config, &family, &dialects);
        let credential = match &config.api_key {
            Some(reference) => {
                Some(credential(auth, &reference.resolve(&format!("{field}.api_key"))?))
            }
            None => None,
        };
        let (layout, limit_field) = (family.layout, family.limit_field());
        let plain = family.quirks("");
        let quirks = HashMap::new();
        Ok(Self { endpoint, base_path, layout, credential, dialects, limit_field, quirks, plain })
    }

    /// Looks up once what each offer's model is like, so that no request has to.
    pub(super) fn learn<'a>(&mut self, family: &Family, offers: impl Iterator<Item = &'a Offer>) {
        for offer in offers {
            let mut quirks = family.quirks(&offer.upstream_model);
            quirks.envelope = match self.layout {
                Layout::Vertex => Envelope::Vertex,
                Layout::Bedrock => Envelope::Bedrock,
                Layout::Standard | Layout::Gemini => Envelope::Plain,
            };
            self.quirks.insert((*offer.upstream_model).into(), quirks);
        }
    }

    /// The dialect in which to ask for an offer on behalf of a caller who speaks `caller`: the
    /// caller's own where the provider has it, else the provider's best.
    pub fn dialect(&self, offer: &Offer, caller: Dialect) -> Option<Dialect> {
        // The catalogue has left of the offer's dialects those that are spoken here.
        let spoken = || offer.dialects.iter().filter_map(|label| Dialect::parse(label));
        spoken().find(|dialect| *dialect == caller).or_else(|| spoken().next())
    }

    /// In which it is spoken to, the best first.
    pub(super) fn dialects(&self) -> &[Dialect] {
        &self.dialects
    }

    /// How this model differs from its dialect.
    pub fn quirks(&self, model: &str) -> &Quirks {
        self.quirks.get(model).unwrap_or(&self.plain)
    }

    /// The path and query of a request.
    pub fn path(&self, dialect: Dialect, model: &str, operation: Operation) -> String {
        let base = &self.base_path;
        let stream = operation == Operation::Answer { stream: true };
        match (self.layout, dialect) {
            // No other server has the paths of this dialect, and no provider serves it elsewhere.
            (Layout::Gemini | Layout::Standard, Dialect::Gemini) => {
                format!("{base}/models/{}:{}", segment(model), gemini_operation(operation))
            }
            (Layout::Vertex, Dialect::AnthropicMessages) => {
                let verb = if stream { "streamRawPredict" } else { "rawPredict" };
                format!("{base}/publishers/anthropic/models/{}:{verb}", segment(model))
            }
            (Layout::Vertex, Dialect::Gemini) => {
                let verb = gemini_operation(operation);
                format!("{base}/publishers/google/models/{}:{verb}", segment(model))
            }
            (_, dialect) => format!("{base}{}", standard_path(dialect, operation)),
        }
    }

    /// Headers that the provider needs besides the body's.
    pub fn headers(&self, dialect: Dialect) -> Vec<(&'static str, &str)> {
        let mut headers = Vec::with_capacity(2);
        if let Some((name, value)) = &self.credential {
            headers.push((*name, value.reveal()));
        }
        if dialect == Dialect::AnthropicMessages && self.layout == Layout::Standard {
            headers.push(("anthropic-version", ANTHROPIC_VERSION));
        }
        headers
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spoken: Vec<&str> = self.dialects.iter().map(|dialect| dialect.label()).collect();
        write!(f, "{}{} ({})", self.endpoint, self.base_path, spoken.join(", "))
    }
}

fn standard_path(dialect: Dialect, operation: Operation) -> &'static str {
    match (operation, dialect) {
        (Operation::Embed, _) => "/embeddings",
        (Operation::CountTokens, _) => "/messages/count_tokens",
        (Operation::Answer { .. }, Dialect::OpenAiResponses) => "/responses",
        (Operation::Answer { .. }, Dialect::AnthropicMessages) => "/messages",
        (Operation::Answer { .. }, _) => "/chat/completions",
    }
}

fn gemini_operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Answer { stream: true } => "streamGenerateContent?alt=sse",
        Operation::Answer { stream: false } => "generateContent",
        Operation::CountTokens => "countTokens",
        Operation::Embed => "embedContent",
    }
}

/// A model's name as one segment of a path: what could end the segment is percent-encoded.
fn segment(model: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(model.len());
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@' | b':') {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            write!(out, "%{byte:02X}").ok();
        }
    }
    out
}

fn dialects(
    field: &str,
    config: &config::Provider,
    family: &Family,
) -> anyhow::Result<Vec<Dialect>> {
    let labels = match &config.dialect {
        Some(label) => vec![label.clone()],
        None if family.dialects.is_empty() => vec![Dialect::OpenAiChat.label().to_owned()],
        None => family.dialects.clone(),
    };
    // The table may be ahead of what this version speaks; the operator may not.
    let known: Vec<Dialect> = labels.iter().filter_map(|label| Dialect::parse(label)).collect();
    if known.is_empty() {
        let all: Vec<&str> = Dialect::ALL.iter().map(|dialect| dialect.label()).collect();
        bail!("{field}.dialect {labels:?} is not known; use one of {}", all.join(", "));
    }
    Ok(known)
}

/// A provider that is only known by the dialect it is given is signed in to as that dialect's
/// inventor wants it.
fn auth_style(config: &config::Provider, family: &Family, dialects: &[Dialect]) -> AuthStyle {
    match (&config.dialect, family.auth, dialects.first()) {
        (Some(_), AuthStyle::Bearer, Some(Dialect::AnthropicMessages)) => AuthStyle::XApiKey,
        (Some(_), AuthStyle::Bearer, Some(Dialect::Gemini)) => AuthStyle::XGoogApiKey,
        (_, auth, _) => auth,
    }
}

fn credential(auth: AuthStyle, key: &Secret) -> (&'static str, Secret) {
    let bare = || Secret::new(key.reveal().to_owned());
    match auth {
        AuthStyle::Bearer | AuthStyle::Aws | AuthStyle::Google => {
            ("authorization", Secret::new(format!("Bearer {}", key.reveal())))
        }
        AuthStyle::XApiKey => ("x-api-key", bare()),
        AuthStyle::XGoogApiKey => ("x-goog-api-key", bare()),
        AuthStyle::ApiKey => ("api-key", bare()),
    }
}

/// Scheme, host, port and the path without a trailing slash.
fn parse_url(url: &str) -> anyhow::Result<(Endpoint, String)> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => bail!("{url:?} must begin with http:// or https://"),
    };
    let Some(authority) = uri.authority() else { bail!("{url:?} has no host") };
    if authority.as_str().contains('@') || uri.query().is_some() {
        bail!("{url:?} must be a plain base URL, without credentials or a query");
    }
    let port = authority.port_u16().unwrap_or(match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    });
    let endpoint = Endpoint { scheme, host: authority.host().into(), port };
    let path = uri.path().trim_end_matches('/');
    // Users paste the whole endpoint as often as the base.
    let path = ["/chat/completions", "/responses", "/messages"]
        .iter()
        .find_map(|whole| path.strip_suffix(whole))
        .unwrap_or(path);
    Ok((endpoint, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_tolerant_of_slashes_and_whole_endpoints() {
        let urls = [
            "https://a.b/v1",
            "https://a.b/v1/",
            "https://a.b/v1/chat/completions",
            "https://a.b/v1/messages",
        ];
        for url in urls {
            let (endpoint, path) = parse_url(url).unwrap();
            assert_eq!((endpoint.port, &*endpoint.host, path.as_str()), (443, "a.b", "/v1"));
        }
        let (endpoint, path) = parse_url("http://127.0.0.1:8000").unwrap();
        assert_eq!((endpoint.port, path.as_str()), (8000, ""));
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for url in ["ftp://a", "https://u:p@a/v1", "https://a/v1?key=1", "nonsense"] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_models_name_stays_one_segment_of_the_path() {
        assert_eq!(segment("claude-sonnet-4@20250514"), "claude-sonnet-4@20250514");
        assert_eq!(segment("a/../b?c"), "a%2F..%2Fb%3Fc");
    }
}
