//! The upstream room: a pooled HTTP/1.1 client of our own, which hands on all that a socket holds
//! as one piece, so that a burst of stream events costs one write and not a hundred.
//!
//! It asks for no compression and undoes that of providers who compress all the same. It never
//! retries what a provider may have begun to answer, never follows redirects, never adds or
//! forwards credentials by itself, and knows nothing of JSON.

mod body;
mod chunked;
mod client;
mod connection;
mod decompress;
mod pool;
mod public;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::clock::Stopwatch;
pub use body::{BodyReader, Read};
use client::Dialer;
pub use client::Reachable;
use connection::Connection;
use decompress::Decompressor;
use pool::Pool;
pub use pool::PoolLimits;
pub use public::is_public;

/// How soon a connection shows that it was closed while it was idle: within a way there and back. A
/// provider that hangs up later has had the request, and may have worked on it.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// Whether the bytes are encrypted on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP: for providers on the same machine or network.
    Http,
    /// TLS with the system's trusted roots.
    Https,
}

/// Where to connect. Cheap to clone; equal endpoints share idle connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// A name or an address; an IPv6 address with or without brackets.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
}

/// What is written in front of the body.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// `POST`, `GET` …
    pub method: &'a str,
    /// The path with its query, beginning with a slash.
    pub path: &'a str,
    /// Sent as given. `host`, `content-length`, `transfer-encoding` and `connection` belong to
    /// the client and are refused here; so is a credential that is given twice.
    pub headers: &'a [(&'a str, &'a str)],
}

/// How long each phase may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS together, over all addresses of the host.
    pub connect: Duration,
    /// From the first byte written to the end of the answer's head.
    pub first_byte: Duration,
    /// The longest silence between two reads of the body.
    pub idle: Duration,
}

/// The answer's head, and the reader of its body.
#[derive(Debug)]
pub struct Response {
    /// Never 1xx: interim answers are skipped.
    pub status: StatusCode,
    /// As the provider sent them, but for what its compression made of them.
    pub headers: HeaderMap,
    /// Read it to its end and the connection is used again; drop it and it is closed.
    pub body: BodyReader,
}

/// Which phase took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Name look-up, TCP, TLS.
    Connect,
    /// Sending the request and waiting for the answer's head.
    FirstByte,
    /// Between two reads of the body.
    Idle,
}

/// What kind of failure it was, for whoever decides about a fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself cannot be put on the wire; another provider will not help.
    Request,
    /// No TCP connection.
    Connect,
    /// No trusted TLS session.
    Tls,
    /// A phase took longer than allowed.
    Timeout(Phase),
    /// The provider hung up before the answer was complete.
    Closed,
    /// The provider broke HTTP/1.1.
    Protocol,
    /// The answer is longer than the caller of `collect` allowed.
    TooLarge,
}

/// A failed exchange. The text never holds a header or a body.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct TransportError {
    /// What a caller branches on.
    pub kind: ErrorKind,
    /// What happened, where, and what to do next.
    pub detail: String,
}

/// The client. Clones share the pool; every clone may be used on any runtime, and a connection
/// stays with the runtime that opened it.
#[derive(Debug, Clone)]
pub struct Upstream {
    dialer: Arc<Dialer>,
    pool: Arc<Pool>,
}

/// Why an exchange on one connection failed, and whether the provider had begun to answer.
struct Failure {
    error: TransportError,
    received: bool,
}

// === impl Endpoint ===

impl Endpoint {
    /// As the `host` header has it: with the port where it is not the usual one.
    pub fn authority(&self) -> String {
        wire::authority(self)
    }

    /// `host` without its IPv6 brackets, for the resolver and for TLS.
    pub(crate) fn bare_host(&self) -> &str {
        let host = self.host.as_ref();
        host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

// === impl TransportError ===

impl TransportError {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

// === impl Failure ===

impl Failure {
    /// The same failure, if something had come back before it.
    fn after_some(self, received: bool) -> Self {
        Self { received: self.received || received, ..self }
    }
}

// === impl Upstream ===

impl Upstream {
    /// Loads the system's trusted roots once (blocking, milliseconds) and starts with an empty
    /// pool. A machine without roots is not an error until something is sent over `https`.
    pub fn new(limits: PoolLimits) -> Self {
        Self { dialer: Arc::new(Dialer::new()), pool: Arc::new(Pool::new(limits)) }
    }

    /// The same, but it connects only to addresses that `reachable` lets it: asked after a name is
    /// resolved, about the very address that is connected to.
    pub fn guarded(limits: PoolLimits, reachable: Reachable) -> Self {
        let dialer = Arc::new(Dialer::guarded(reachable));
        Self { dialer, pool: Arc::new(Pool::new(limits)) }
    }

    /// Sends one request and waits for the answer's head.
    ///
    /// A request that finds its pooled connection hung up at once and before a single byte came
    /// back is sent once more on a fresh one; every other failure is the caller's to judge.
    ///
    /// # Errors
    /// Typed by [`ErrorKind`]; nothing of the answer's body has been handed out by then.
    pub async fn send(
        &self,
        to: &Endpoint,
        head: &RequestHead<'_>,
        body: Bytes,
        timeouts: &Timeouts,
    ) -> Result<Response, TransportError> {
        let written = wire::encode_head(to, head, body.len())?;
        let bodiless = head.method == "HEAD";
        if let Some(pooled) = self.pool.take(to) {
            let began = Stopwatch::start();
            let first = self.exchange(pooled, written.clone(), body.clone(), timeouts, bodiless);
            match first.await {
                Ok(response) => return Ok(response),
                Err(Failure { error, received: false })
                    if error.kind == ErrorKind::Closed && began.elapsed() < STALE_WITHIN =>
                {
                    tracing::debug!(endpoint = %to, "a pooled connection was stale, opening one");
                }
                Err(failure) => return Err(failure.error),
            }
        }
        let fresh = self.dialer.connect(to, timeouts.connect).await?;
        let answer = self.exchange(fresh, written, body, timeouts, bodiless).await;
        answer.map_err(|failure| failure.error)
    }

    /// Closes the connections that have been idle for too long, for all endpoints. Cheap; meant
    /// to be called every few seconds, because a pool that nobody asks cannot notice time.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    /// How many idle connections are kept, for the metrics.
    pub fn idle_connections(&self) -> usize {
        self.pool.len()
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        head: Bytes,
        body: Bytes,
        timeouts: &Timeouts,
        bodiless: bool,
    ) -> Result<Response, Failure> {
        let work = connection.exchange(head, body);
        let Ok(answered) = tokio::time::timeout(timeouts.first_byte, work).await else {
            let millis = timeouts.first_byte.as_millis();
            let to = connection.endpoint();
            let detail = format!("{to} sent no answer within {millis} ms; it may be overloaded");
            let error = TransportError::new(ErrorKind::Timeout(Phase::FirstByte), detail);
            return Err(Failure { error, received: !connection.buffer.is_empty() });
        };
        let head = answered?;
        let framing = wire::framing(&head, bodiless)
            .map_err(|error| Failure { error: error.at(connection.endpoint()), received: true })?;
        let reusable = head.keep_alive && framing.has_known_end();
        let pool = reusable.then(|| Arc::clone(&self.pool));
        let mut headers = head.headers;
        let decompressor = Decompressor::of(&headers);
        if decompressor.is_some() {
            // Of the body as it is read here they would be untrue.
            headers.remove(http::header::CONTENT_ENCODING);
            headers.remove(http::header::CONTENT_LENGTH);
        }
        let body = BodyReader::new(connection, framing, pool, timeouts.idle);
        let body = body.through(decompressor);
        Ok(Response { status: head.status, headers, body })
    }
}
