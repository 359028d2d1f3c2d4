//! How the gateway shows a provider who it is: a key in a header, a signature over each request, or
//! a token that is renewed. Read from the configuration once; never shown.

use anyhow::{Context as _, bail};

use crate::clock;
use crate::config;
use crate::secret::Secret;
use crate::sign::{AwsKeys, AwsRequest, ServiceAccount};
use crate::tasks::Tasks;
use crate::upstream::{Endpoint, Upstream};

use super::families::AuthStyle;
use super::google::{GoogleTokens, TokenError};
use super::providers::parse_url;

/// Where Google gives out tokens, unless an account's file names another place.
const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// What Amazon calls the service in signatures.
const AWS_SERVICE: &str = "bedrock";

/// See the head of this file.
#[derive(Debug)]
pub(super) enum Credential {
    Nothing,
    /// The header that signs in, and its whole value.
    Header(&'static str, Secret),
    Aws(AwsKeys),
    Google(GoogleTokens),
}

/// A request that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned<'a> {
    pub path: &'a str,
    pub body: &'a [u8],
}

// === impl Credential ===

impl Credential {
    /// All credentials of `providers.NAME`, each with how often it is taken: its own, then those
    /// that it has beside.
    pub(super) fn all(
        field: &str,
        config: &config::Provider,
        auth: AuthStyle,
        endpoint: &Endpoint,
    ) -> anyhow::Result<Vec<(u32, Self)>> {
        let own = config.api_key.is_some() || config.aws.is_some() || config.google.is_some();
        let mut all = Vec::with_capacity(config.credentials.len().saturating_add(1));
        if own || config.credentials.is_empty() {
            all.push((1, Self::of(field, config, auth, endpoint)?));
        }
        for (at, key) in config.credentials.iter().enumerate() {
            let secret = key.api_key.resolve(&format!("{field}.credentials.{at}.api_key"))?;
            all.push((key.weight, Self::header(auth, &secret)));
        }
        Ok(all)
    }

    /// The credential of `providers.NAME`, with the fields' own errors.
    pub(super) fn of(
        field: &str,
        config: &config::Provider,
        auth: AuthStyle,
        endpoint: &Endpoint,
    ) -> anyhow::Result<Self> {
        let given = [config.api_key.is_some(), config.aws.is_some(), config.google.is_some()];
        if given.into_iter().filter(|given| *given).count() > 1 {
            bail!("{field} has more than one of api_key, aws and google; keep one");
        }
        if let Some(aws) = &config.aws {
            return aws_keys(field, aws, endpoint).map(Self::Aws);
        }
        if let Some(google) = &config.google {
            return google_tokens(field, google).map(Self::Google);
        }
        let Some(reference) = &config.api_key else {
            return match auth {
                AuthStyle::Aws => bail!("{field} needs api_key (of Bedrock) or aws"),
                AuthStyle::Google => bail!("{field} needs google, or a token as its api_key"),
                _ => Ok(Self::Nothing),
            };
        };
        let key = reference.resolve(&format!("{field}.api_key"))?;
        Ok(Self::header(auth, &key))
    }

    /// A key in the header that the provider looks for it in.
    fn header(auth: AuthStyle, key: &Secret) -> Self {
        let bare = || Secret::new(key.reveal().to_owned());
        let (name, value) = match auth {
            AuthStyle::Bearer | AuthStyle::Aws | AuthStyle::Google => {
                ("authorization", Secret::new(format!("Bearer {}", key.reveal())))
            }
            AuthStyle::XApiKey => ("x-api-key", bare()),
            AuthStyle::XGoogApiKey => ("x-goog-api-key", bare()),
            AuthStyle::ApiKey => ("api-key", bare()),
        };
        Self::Header(name, value)
    }

    /// The headers that sign a request in. Waits only where a token has to be fetched first.
    pub(super) async fn headers(
        &self,
        endpoint: &Endpoint,
        request: &Unsigned<'_>,
        upstream: &Upstream,
        tasks: &Tasks,
    ) -> Result<Vec<(&'static str, Secret)>, TokenError> {
        Ok(match self {
            Self::Nothing => Vec::new(),
            Self::Header(name, value) => vec![(*name, value.clone())],
            Self::Aws(keys) => {
                let host = endpoint.authority();
                let signed = AwsRequest {
                    method: "POST",
                    host: &host,
                    path: request.path,
                    headers: &[("content-type", "application/json")],
                    body: request.body,
                };
                keys.sign(&signed, clock::now_ms())
            }
            Self::Google(tokens) => {
                vec![("authorization", tokens.bearer(upstream, tasks).await?)]
            }
        })
    }

    /// The provider refused it.
    pub(super) fn refused(&self) {
        if let Self::Google(tokens) = self {
            tokens.forget();
        }
    }
}

fn aws_keys(
    field: &str,
    aws: &config::AwsCredentials,
    endpoint: &Endpoint,
) -> anyhow::Result<AwsKeys> {
    let secret = |name: &str, reference: &config::SecretRef| {
        reference.resolve(&format!("{field}.aws.{name}"))
    };
    let Some(region) = aws.region.as_deref().or_else(|| region_of(&endpoint.host)) else {
        bail!("{field}.aws.region is missing, and base_url does not name one");
    };
    let token = aws.session_token.as_ref();
    Ok(AwsKeys {
        access_key_id: secret("access_key_id", &aws.access_key_id)?.reveal().to_owned(),
        secret_access_key: secret("secret_access_key", &aws.secret_access_key)?,
        session_token: token.map(|token| secret("session_token", token)).transpose()?,
        region: region.to_owned(),
        service: AWS_SERVICE,
    })
}

/// `eu-central-1` of `bedrock-runtime.eu-central-1.amazonaws.com`.
fn region_of(host: &str) -> Option<&str> {
    let mut labels = host.split('.');
    labels.find(|label| label.starts_with("bedrock-runtime"))?;
    labels.next().filter(|label| label.contains('-'))
}

fn google_tokens(field: &str, google: &config::GoogleCredentials) -> anyhow::Result<GoogleTokens> {
    let at = format!("{field}.google.service_account");
    let account = ServiceAccount::parse(&google.service_account.resolve(&at)?);
    let account = account.with_context(|| at)?;
    let url = google.token_url.as_deref().or_else(|| account.token_uri());
    let url = url.unwrap_or(GOOGLE_TOKEN_URL).to_owned();
    let parsed = parse_url(&url);
    let (endpoint, path) = parsed.with_context(|| format!("{field}.google.token_url"))?;
    let path = if path.is_empty() { "/".to_owned() } else { path };
    Ok(GoogleTokens::new(account, url, endpoint, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_in_amazons_addresses() {
        let of = region_of;
        assert_eq!(of("bedrock-runtime.eu-central-1.amazonaws.com"), Some("eu-central-1"));
        assert_eq!(of("bedrock-runtime-fips.us-east-1.amazonaws.com"), Some("us-east-1"));
        let private = "vpce-0a.bedrock-runtime.us-west-2.vpce.amazonaws.com";
        assert_eq!(of(private), Some("us-west-2"));
        assert_eq!((of("127.0.0.1"), of("bedrock-runtime.internal")), (None, None));
    }
}
