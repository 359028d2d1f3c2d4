//! Each configured provider as the pipeline needs it: where to connect, which path, which
//! credential. Read once at start.

use anyhow::{Context as _, bail};
use turnpike_protocol::LimitField;

use crate::config;
use crate::secret::Secret;
use crate::upstream::{Endpoint, Scheme};

/// Providers whose models insist on `max_completion_tokens`.
const NEW_LIMIT_FIELD: [&str; 2] = ["openai", "azure"];

/// One upstream.
#[derive(Debug)]
pub struct Provider {
    pub endpoint: Endpoint,
    /// Of `POST …/chat/completions`.
    pub chat_path: String,
    /// The whole `authorization` header.
    pub authorization: Option<Secret>,
    /// How it wants to be told the bound on answer tokens.
    pub limit_field: LimitField,
}

impl Provider {
    pub(super) fn new(name: &str, config: &config::Provider) -> anyhow::Result<Self> {
        let field = format!("providers.{name}");
        let (endpoint, base_path) =
            parse_url(&config.base_url).with_context(|| format!("{field}.base_url"))?;
        let authorization = match &config.api_key {
            Some(reference) => {
                let key = reference.resolve(&format!("{field}.api_key"))?;
                Some(Secret::new(format!("Bearer {}", key.reveal())))
            }
            None => None,
        };
        let catalog = config.catalog.as_deref().unwrap_or(name);
        let limit_field = if NEW_LIMIT_FIELD.contains(&catalog) {
            LimitField::MaxCompletionTokens
        } else {
            LimitField::MaxTokens
        };
        let chat_path = format!("{base_path}/chat/completions");
        Ok(Self { endpoint, chat_path, authorization, limit_field })
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
    let path = path.strip_suffix("/chat/completions").unwrap_or(path);
    Ok((endpoint, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_tolerant_of_slashes_and_whole_endpoints() {
        for url in ["https://a.b/v1", "https://a.b/v1/", "https://a.b/v1/chat/completions"] {
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
}
