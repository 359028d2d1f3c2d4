//! Each configured provider as the pipeline needs it: where to connect, which path, which
//! dialects, which names. Read once at start.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, bail};
use turnpike_protocol::quirks::Envelope;
use turnpike_protocol::{Call, Dialect, LimitField, Quirks, embeddings};

use crate::catalog::Offer;
use crate::config;
use crate::route::Reach;
use crate::secret::Secret;
use crate::tasks::Tasks;
use crate::upstream::{Endpoint, Scheme, Upstream};

use super::credential::{Credential, Unsigned};
use super::families::{AuthStyle, Families, Family, Layout};
use super::google::TokenError;

/// What Anthropic's API calls its only version.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// One upstream.
#[derive(Debug)]
pub struct Provider {
    pub endpoint: Endpoint,
    /// The base URL's path, without a slash at its end.
    base_path: String,
    layout: Layout,
    /// Each with how often it is taken.
    credentials: Vec<(u32, Credential)>,
    /// Requests on their way to one of its models at a time; 0 for any number.
    concurrency: u32,
    /// Of the paths by deployment.
    api_version: Option<String>,
    /// Names that the operator chose, by those of the catalogue.
    deployments: BTreeMap<String, String>,
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

/// How the events of a stream are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Events,
    /// Amazon's binary messages.
    Messages,
    /// The same, with an event of Anthropic's in each.
    Wrapped,
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
            let near = match families.near(name).as_slice() {
                [] => String::new(),
                near => format!("; did you mean {}?", near.join(", ")),
            };
            bail!(
                "{field}.base_url is missing, and {name:?} is no provider with a known \
                 address{near}"
            );
        };
        let (endpoint, base_path) = parse_url(url).with_context(|| format!("{field}.base_url"))?;
        let dialects = dialects(&field, config, &family)?;
        let auth = auth_style(config, &family, &dialects);
        let credentials = Credential::all(&field, config, auth, &endpoint)?;
        let (mut layout, limit_field) = (family.layout, family.limit_field());
        if layout == Layout::Standard && dialects.contains(&Dialect::BedrockConverse) {
            layout = Layout::Bedrock;
        }
        if config.api_version.is_some() {
            if layout != Layout::Standard {
                bail!("{field}.api_version belongs to Azure's paths by deployment alone");
            }
            layout = Layout::Deployments;
        }
        for dialect in &dialects {
            fits(layout, *dialect).with_context(|| format!("{field}.dialect"))?;
        }
        Ok(Self {
            endpoint,
            base_path,
            layout,
            credentials,
            concurrency: config.concurrency,
            api_version: config.api_version.clone(),
            deployments: config.deployments.clone(),
            dialects,
            limit_field,
            quirks: HashMap::new(),
            plain: family.quirks(""),
        })
    }

    /// Looks up once what each offer's model is like, so that no request has to.
    pub(super) fn learn<'a>(&mut self, family: &Family, offers: impl Iterator<Item = &'a Offer>) {
        for offer in offers {
            let mut quirks = family.quirks(&offer.upstream_model);
            quirks.envelope = match self.layout {
                Layout::Vertex => Envelope::Vertex,
                Layout::Bedrock => Envelope::Bedrock,
                Layout::Standard | Layout::Gemini | Layout::Deployments => Envelope::Plain,
            };
            self.quirks.insert((*offer.upstream_model).into(), quirks);
        }
    }

    /// The dialect in which to ask an offer: the caller's own where the provider has it, else the
    /// provider's best. `None` where it has none for what is asked.
    pub fn dialect(&self, offer: &Offer, call: &Call) -> Option<Dialect> {
        // The catalogue has left of the offer's dialects those that are spoken here.
        let spoken = offer.dialects.iter().filter_map(|label| Dialect::parse(label));
        let mut best = None;
        for dialect in spoken {
            let asked = if call.embeds() { embeddings::dialect(dialect) } else { Some(dialect) };
            if asked == Some(call.dialect) {
                return asked;
            }
            best = best.or(asked);
        }
        best
    }

    /// In which it is spoken to, the best first.
    pub(super) fn dialects(&self) -> &[Dialect] {
        &self.dialects
    }

    /// How this model differs from its dialect.
    pub fn quirks(&self, model: &str) -> &Quirks {
        self.quirks.get(model).unwrap_or(&self.plain)
    }

    /// What an offer's model is called there.
    pub fn model<'a>(&'a self, offer: &'a Offer) -> &'a str {
        let chosen = self.deployments.get(&*offer.upstream_model);
        let chosen = chosen.or_else(|| self.deployments.get(&*offer.model));
        chosen.map_or(&offer.upstream_model, String::as_str)
    }

    /// In which dialect an error of a provider is written that was asked in `asked`: a cloud has
    /// words of its own, unless the model behind it speaks.
    pub fn words(&self, asked: Dialect, error: &[u8]) -> Dialect {
        if asked != Dialect::AnthropicMessages {
            return asked;
        }
        match self.layout {
            Layout::Bedrock => Dialect::BedrockConverse,
            // Anthropic's errors say that they are some.
            Layout::Vertex if memchr::memmem::find(error, b"\"type\"").is_none() => Dialect::Gemini,
            _ => asked,
        }
    }

    /// How its streams are cut.
    pub fn framing(&self, dialect: Dialect) -> Framing {
        match (self.layout, dialect) {
            (_, Dialect::BedrockConverse) => Framing::Messages,
            (Layout::Bedrock, Dialect::AnthropicMessages) => Framing::Wrapped,
            _ => Framing::Events,
        }
    }

    /// Whether it counts the tokens of a request in this dialect.
    pub fn counts(&self, dialect: Dialect) -> bool {
        match self.layout {
            Layout::Standard => true,
            Layout::Gemini | Layout::Vertex => dialect == Dialect::Gemini,
            Layout::Bedrock | Layout::Deployments => false,
        }
    }

    /// Whether it takes the caller's query and headers: a provider's own API does, a cloud has
    /// other ways to say the same.
    pub fn is_first_party(&self) -> bool {
        matches!(self.layout, Layout::Standard | Layout::Gemini)
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
                let verb = match operation {
                    Operation::Embed => "predict",
                    operation => gemini_operation(operation),
                };
                format!("{base}/publishers/google/models/{}:{verb}", segment(model))
            }
            (Layout::Bedrock, dialect) => {
                let verb = match (dialect, stream) {
                    (Dialect::AnthropicMessages, true) => "invoke-with-response-stream",
                    (Dialect::AnthropicMessages, false) => "invoke",
                    (_, true) => "converse-stream",
                    (_, false) => "converse",
                };
                format!("{base}/model/{}/{verb}", strict_segment(model))
            }
            (Layout::Deployments, dialect) => {
                let version = self.api_version.as_deref().unwrap_or_default();
                let place = match dialect {
                    // Responses were never asked by deployment.
                    Dialect::OpenAiResponses => String::new(),
                    _ => format!("/deployments/{}", segment(model)),
                };
                let path = standard_path(dialect, operation);
                format!("{base}{place}{path}?api-version={}", segment(version))
            }
            (_, dialect) => [base, standard_path(dialect, operation)].concat(),
        }
    }

    /// Headers that the dialect needs.
    pub fn headers(&self, dialect: Dialect) -> Vec<(&'static str, &'static str)> {
        if dialect == Dialect::AnthropicMessages && self.layout == Layout::Standard {
            return vec![("anthropic-version", ANTHROPIC_VERSION)];
        }
        Vec::new()
    }

    /// How many credentials it has.
    pub fn credentials(&self) -> usize {
        self.credentials.len()
    }

    /// How each of its offers is reached.
    pub fn reach(&self) -> Reach {
        let weights = self.credentials.iter().map(|(weight, _)| *weight).collect();
        Reach { weights, concurrency: self.concurrency }
    }

    /// Headers that sign a request in by one of its credentials. Waits only where a token has to be
    /// fetched first.
    ///
    /// # Errors
    /// [`TokenError`] when there is no token to be had.
    pub async fn credential(
        &self,
        which: usize,
        request: &Unsigned<'_>,
        upstream: &Upstream,
        tasks: &Tasks,
    ) -> Result<Vec<(&'static str, Secret)>, TokenError> {
        match self.credentials.get(which) {
            Some((_, one)) => one.headers(&self.endpoint, request, upstream, tasks).await,
            None => Ok(Vec::new()),
        }
    }

    /// The provider did not take the credential.
    pub fn credential_refused(&self, which: usize) {
        if let Some((_, one)) = self.credentials.get(which) {
            one.refused();
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spoken: Vec<&str> = self.dialects.iter().map(|dialect| dialect.label()).collect();
        write!(f, "{}{} ({})", self.endpoint, self.base_path, spoken.join(", "))
    }
}

/// Whether a provider with these paths has one for the dialect. What isn't said here has the paths
/// of the dialect's inventor.
fn fits(layout: Layout, dialect: Dialect) -> anyhow::Result<()> {
    let fits = match layout {
        Layout::Bedrock => {
            matches!(dialect, Dialect::BedrockConverse | Dialect::AnthropicMessages)
        }
        Layout::Deployments => matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiResponses),
        Layout::Standard | Layout::Gemini | Layout::Vertex => dialect != Dialect::BedrockConverse,
    };
    if !fits {
        bail!("{} is not spoken at the addresses that this provider has", dialect.label());
    }
    Ok(())
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
        Operation::Embed => "batchEmbedContents",
    }
}

/// A model's name as one segment of a path: what could end the segment is percent-encoded.
fn segment(model: &str) -> String {
    escaped(model, b"-._~@:")
}

/// The same as Amazon's own clients write it, whose form is what is signed.
fn strict_segment(model: &str) -> String {
    escaped(model, b"-._~")
}

fn escaped(model: &str, plain: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(model.len());
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
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

/// Scheme, host, port and the path without a trailing slash.
pub(super) fn parse_url(url: &str) -> anyhow::Result<(Endpoint, String)> {
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
        assert_eq!(strict_segment("anthropic.claude-v2:0"), "anthropic.claude-v2%3A0");
    }

    fn configured(settings: &str) -> anyhow::Result<Provider> {
        let text = format!(
            "[data]\ndir = \"d\"\n[admin]\ntoken = \"t\"\n[providers.mine]\napi_key = \"k\"\n\
             {settings}\n"
        );
        let config = config::Config::parse("turnpike.toml", &text, std::iter::empty())?;
        Provider::new("mine", config.providers.get("mine").unwrap(), &Families::embedded()?)
    }

    #[test]
    fn the_paths_of_an_unknown_provider_are_those_of_its_dialect() {
        let path = |dialect: &str, operation| {
            let base = "base_url = \"http://127.0.0.1:9/v1\"";
            let mine = configured(&format!("{base}\ndialect = \"{dialect}\"")).unwrap();
            mine.path(Dialect::parse(dialect).unwrap(), "m", operation)
        };
        let stream = Operation::Answer { stream: true };
        assert_eq!(path("gemini", stream), "/v1/models/m:streamGenerateContent?alt=sse");
        assert_eq!(path("gemini", Operation::CountTokens), "/v1/models/m:countTokens");
        assert_eq!(path("openai-chat", stream), "/v1/chat/completions");
        assert_eq!(path("openai-responses", stream), "/v1/responses");
        assert_eq!(path("anthropic-messages", stream), "/v1/messages");
        assert_eq!(path("bedrock-converse", stream), "/v1/model/m/converse-stream");
    }

    #[test]
    fn a_dialect_without_paths_at_its_provider_is_refused() {
        let azure = "base_url = \"http://127.0.0.1:9/openai\"\napi_version = \"2024-10-21\"";
        assert!(configured(azure).is_ok());
        assert!(configured(&format!("{azure}\ndialect = \"gemini\"")).is_err());
        let bedrock = "catalog = \"amazon-bedrock\"\nbase_url = \"http://127.0.0.1:9\"";
        assert!(configured(&format!("{bedrock}\ndialect = \"openai-chat\"")).is_err());
    }
}
