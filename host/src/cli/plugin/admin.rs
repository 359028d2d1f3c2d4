//! The admin API as `push` and `watch` call it. Never shows the token, and never sends it to
//! another place than the one that was given.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::Value;

use crate::secret::Secret;
use crate::upstream::{Endpoint, PoolLimits, RequestHead, Scheme, Timeouts, Upstream};

/// Of an admin answer: the checks of an upload, a binding.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// An upload is compiled before it is answered: half a minute for Python, after those before it.
const ANSWER_MAX: Duration = Duration::from_secs(300);

/// Which gateway, whose organization.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Target {
    /// The gateway's admin address
    #[arg(long, env = "TURNPIKE_ADMIN_URL", default_value = "http://127.0.0.1:8081")]
    url: String,
    /// The organization; required
    #[arg(long, env = "TURNPIKE_ORG")]
    org: Option<String>,
    /// A token that may change the organization's policies; required, best in the environment
    #[arg(long, env = "TURNPIKE_ADMIN_TOKEN", hide_env_values = true, value_parser = secret)]
    token: Option<Secret>,
}

impl Target {
    /// Whether there is what has no default: told before anything is built.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.org()?;
        self.token()?;
        Ok(())
    }

    pub(super) fn org(&self) -> anyhow::Result<&str> {
        self.org.as_deref().context("there is no organization: set TURNPIKE_ORG, or give --org")
    }

    fn token(&self) -> anyhow::Result<&Secret> {
        self.token.as_ref().context(
            "there is no token: set TURNPIKE_ADMIN_TOKEN to one that may change the \
             organization's policies, or give --token",
        )
    }
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// A connection to the admin API.
pub(super) struct Admin {
    client: Upstream,
    endpoint: Endpoint,
    authorization: Secret,
}

/// A status and what came with it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// What the API says went wrong, check by check where there are checks.
    pub(super) fn why(&self) -> String {
        let text = |pointer: &str| self.body.pointer(pointer).and_then(Value::as_str);
        let Some(message) = text("/error/message") else {
            return format!("it answered {}", self.status);
        };
        match text("/error/field") {
            Some(field) => format!("{message} ({field})"),
            None => message.to_owned(),
        }
    }
}

impl Admin {
    pub(super) fn new(target: &Target) -> anyhow::Result<Self> {
        Ok(Self {
            client: Upstream::new(PoolLimits::default()),
            endpoint: endpoint(&target.url)?,
            authorization: Secret::new(format!("Bearer {}", target.token()?.reveal())),
        })
    }

    /// A call below `/admin/v1`.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let path = format!("/admin/v1{path}");
        let headers = [("authorization", self.authorization.reveal()), ("content-type", kind)];
        let head = RequestHead { method, path: &path, headers: &headers };
        let timeouts = Timeouts { connect: CONNECT_MAX, first_byte: ANSWER_MAX, idle: ANSWER_MAX };
        let mut answer = self
            .client
            .send(&self.endpoint, &head, body, &timeouts)
            .await
            .with_context(|| format!("no answer from {}; is --url right?", self.endpoint))?;
        let text = answer.body.collect(ANSWER_BYTES_MAX).await?;
        let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
        Ok(Answer { status: answer.status.as_u16(), body })
    }
}

/// `http://HOST[:PORT]` or `https://…`, and nothing behind it.
fn endpoint(url: &str) -> anyhow::Result<Endpoint> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => bail!("{url:?} does not begin with http:// or https://"),
    };
    let host = uri.host().with_context(|| format!("{url:?} has no host"))?;
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        bail!("{url:?} has more than an address; /admin/v1 is added to it");
    }
    let usual = if scheme == Scheme::Http { 80 } else { 443 };
    Ok(Endpoint { scheme, host: host.into(), port: uri.port_u16().unwrap_or(usual) })
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        let at = endpoint("http://127.0.0.1:8081").unwrap();
        assert_eq!((&*at.host, at.port), ("127.0.0.1", 8081));
        assert_eq!(endpoint("https://gateway.example/").unwrap().port, 443);
        for bad in ["127.0.0.1:8081", "ftp://a", "http://a/admin/v1", "http://a/?x=1", ""] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
