//! The network as policies reach it: over TLS to public addresses, with a pool of its own; what is
//! private or not over TLS only where the operator's configuration names host and port. Which
//! organization may ask whom was settled before. Follows no redirect, sends no credential.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::policy::{ANSWER_BYTES_MAX, Asked, Web, WebAnswer, WebRequest};
use crate::upstream::{
    Endpoint, ErrorKind, PoolLimits, RequestHead, Scheme, Timeouts, TransportError, Upstream,
    is_public,
};

/// Idle connections to one host on one thread: policies ask now and then.
const POOL: PoolLimits = PoolLimits { idle_per_endpoint: 8, idle_for: Duration::from_secs(30) };

/// See the head of this file.
#[derive(Debug)]
pub(super) struct PolicyWeb {
    upstream: Upstream,
    /// `host:port` that may be private and plain.
    private: Arc<HashSet<String>>,
}

// === impl PolicyWeb ===

impl PolicyWeb {
    /// `private`: `host:port` as the configuration has them.
    pub(super) fn new(private: &[String]) -> Self {
        let private: HashSet<String> = private.iter().map(|it| it.to_ascii_lowercase()).collect();
        let private = Arc::new(private);
        let named = Arc::clone(&private);
        let reachable = move |to: &Endpoint, address: IpAddr| {
            is_public(address) || named.contains(&place(&to.host, to.port))
        };
        Self { upstream: Upstream::guarded(POOL, Arc::new(reachable)), private }
    }

    /// Closes what has been idle for too long.
    pub(super) fn sweep(&self) {
        self.upstream.sweep();
    }

    async fn answer(&self, request: WebRequest) -> Result<WebAnswer, String> {
        let WebRequest { https, host, port, path, post, within } = request;
        if !https && !self.private.contains(&place(&host, port)) {
            return Err("only https:// is asked".to_owned());
        }
        let scheme = if https { Scheme::Https } else { Scheme::Http };
        let to = Endpoint { scheme, host: host.into(), port };
        let mut headers = vec![("user-agent", "turnpike-policy"), ("accept", "*/*")];
        let (kind, body) = post.map(|(kind, body)| (kind, Bytes::from(body))).unzip();
        headers.extend(kind.as_deref().map(|kind| ("content-type", kind)));
        let method = if body.is_some() { "POST" } else { "GET" };
        let head = RequestHead { method, path: &path, headers: &headers };
        let timeouts = Timeouts { connect: within, first_byte: within, idle: within };
        let got = self.upstream.send(&to, &head, body.unwrap_or_default(), &timeouts).await;
        let mut got = got.map_err(told)?;
        let status = got.status.as_u16();
        let body = got.body.collect(ANSWER_BYTES_MAX).await.map_err(told)?;
        Ok(WebAnswer { status, body: body.to_vec() })
    }
}

impl Web for PolicyWeb {
    fn ask(&self, request: WebRequest) -> Asked<'_> {
        Box::pin(self.answer(request))
    }
}

fn place(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

fn told(error: TransportError) -> String {
    match error.kind {
        ErrorKind::TooLarge => format!("the answer has more than {ANSWER_BYTES_MAX} bytes"),
        _ => error.detail,
    }
}
