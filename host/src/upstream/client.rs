//! Opens connections: looks a name up, tries its addresses in turn, and sets up TLS where the
//! endpoint asks for it. The only file of this room that names rustls. Never sends a request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Stream};
use super::{Endpoint, ErrorKind, Phase, Scheme, TransportError};
use crate::clock::Stopwatch;

/// A name's addresses beyond these are not tried: the connect timeout is shared between them.
const ADDRESSES_MAX: usize = 8;

/// Whether an endpoint may be reached at an address that its name was resolved to.
pub type Reachable = Arc<dyn Fn(&Endpoint, IpAddr) -> bool + Send + Sync>;

/// Makes connections.
pub(super) struct Dialer {
    /// TLS with the system's roots, or why there is none.
    tls: Result<TlsConnector, String>,
    /// None where the operator wrote every endpoint.
    reachable: Option<Reachable>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("tls", &self.tls.is_ok()).finish()
    }
}

// === impl Dialer ===

impl Dialer {
    /// Loads the system's roots.
    pub(super) fn new() -> Self {
        Self { tls: system_tls(), reachable: None }
    }

    /// The same, with addresses that are not connected to.
    pub(super) fn guarded(reachable: Reachable) -> Self {
        Self { reachable: Some(reachable), ..Self::new() }
    }

    /// Opens a connection within `limit`, look-up and TLS included.
    pub(super) async fn connect(
        &self,
        to: &Endpoint,
        limit: Duration,
    ) -> Result<Connection, TransportError> {
        let watch = Stopwatch::start();
        let Ok(opened) = timeout(limit, self.open(to, limit, watch)).await else {
            return Err(too_slow(to, limit));
        };
        opened.map(|stream| Connection::new(to.clone(), stream))
    }

    async fn open(
        &self,
        to: &Endpoint,
        limit: Duration,
        watch: Stopwatch,
    ) -> Result<Stream, TransportError> {
        let tcp = self.open_tcp(to, limit, watch).await?;
        if to.scheme == Scheme::Http {
            return Ok(Stream::Plain(tcp));
        }
        let fail = |cause: String| {
            let detail = format!("no TLS session with {to}: {cause}");
            TransportError::new(ErrorKind::Tls, detail)
        };
        let connector = self.tls.as_ref().map_err(|cause| fail(cause.clone()))?;
        let name = ServerName::try_from(to.bare_host().to_owned())
            .map_err(|_| fail("its host is neither a name nor an address".into()))?;
        let session = connector.connect(name, tcp).await.map_err(|cause| {
            fail(format!("{cause}; check the address and the trusted certificates"))
        })?;
        Ok(Stream::Tls(Box::new(session)))
    }

    /// Tries the addresses in turn; each gets its share of the time that is left, so that one which
    /// swallows packets does not eat the chance of the next.
    async fn open_tcp(
        &self,
        to: &Endpoint,
        limit: Duration,
        watch: Stopwatch,
    ) -> Result<TcpStream, TransportError> {
        let fail = |cause: String| {
            let detail =
                format!("no connection to {to}: {cause}; check that it is up and reachable");
            TransportError::new(ErrorKind::Connect, detail)
        };
        let found = lookup_host((to.bare_host(), to.port)).await;
        let found = found.map_err(|cause| fail(format!("its name was not found ({cause})")))?;
        let may_be = |address: &SocketAddr| {
            self.reachable.as_ref().is_none_or(|reachable| reachable(to, address.ip()))
        };
        let (addresses, others): (Vec<SocketAddr>, Vec<SocketAddr>) =
            found.take(ADDRESSES_MAX).partition(may_be);
        if addresses.is_empty() && !others.is_empty() {
            let detail = format!("{to} is not on the public internet, and nothing else is asked");
            return Err(TransportError::new(ErrorKind::Request, detail));
        }
        let mut last = fail("its name has no address".into());
        let mut untried = u32::try_from(addresses.len()).unwrap_or(1);
        for address in addresses {
            let share = limit.saturating_sub(watch.elapsed()) / untried.max(1);
            untried = untried.saturating_sub(1);
            last = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    // Without it a request of two segments waits 40 ms for an acknowledgement.
                    tcp.set_nodelay(true).map_err(|cause| fail(cause.to_string()))?;
                    return Ok(tcp);
                }
                Ok(Err(cause)) => fail(format!("{address} refused it ({cause})")),
                Err(_) => too_slow(to, limit),
            };
        }
        Err(last)
    }
}

/// A connector that trusts what the system trusts and speaks HTTP/1.1 only.
fn system_tls() -> Result<TlsConnector, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("this machine has no trusted certificates; install its CA bundle or set \
                    SSL_CERT_FILE"
            .into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| format!("this build has no usable TLS version ({cause})"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn too_slow(to: &Endpoint, limit: Duration) -> TransportError {
    let millis = limit.as_millis();
    let detail = format!("{to} did not take the connection within {millis} ms; is it reachable?");
    TransportError::new(ErrorKind::Timeout(Phase::Connect), detail)
}
