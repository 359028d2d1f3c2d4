//! What a policy may ask of the network: whom, how often and how long. The asking itself is done by
//! whoever is behind [`Web`], which also refuses addresses that are nobody's business. Opens no
//! connection and keeps no answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use http::Uri;

use crate::clock::Stopwatch;
use crate::tasks;

/// Fetches of one request, of all its policies together: each is a wait for its caller.
const FETCHES_MAX: u32 = 4;
/// How long one fetch may take, all of it.
const FETCH_MS_MAX: u32 = 2_000;
/// How long the fetches of a request may take together.
const WAIT_MS_MAX: u32 = 4_000;
/// Bytes of an address.
const URL_BYTES_MAX: usize = 2_048;
/// Bytes of a body that is sent.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Bytes of an answer's body.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Bytes of a host's name, as the name system has it.
const HOST_BYTES_MAX: usize = 253;
/// The port of `https` where an address names none.
const HTTPS_PORT: u16 = 443;

/// One request to the outside. `Debug` shows where to and never what.
pub struct WebRequest {
    /// Whether over TLS.
    pub https: bool,
    /// A name or an address, in lower case; an IPv6 address in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub path: String,
    /// Content type and body of a POST; none of a GET.
    pub post: Option<(String, Vec<u8>)>,
    /// How long all of it may take.
    pub within: Duration,
}

impl fmt::Debug for WebRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRequest")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// What came back: at most [`ANSWER_BYTES_MAX`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct WebAnswer {
    /// As the server sent it; a redirect is an answer like any other.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for WebAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// An answer that is on its way; the error is words for the policy's author.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<WebAnswer, String>> + Send + 'a>>;

/// Who asks the network on policies' behalf. Follows no redirect, and refuses addresses of the
/// machine itself and of private networks after it has resolved the name.
pub trait Web: Send + Sync {
    /// Sends one request and reads its answer.
    fn ask(&self, request: WebRequest) -> Asked<'_>;
}

/// What one request's policies may still ask.
#[derive(Debug)]
pub(in crate::policy) struct Fetches {
    left: AtomicU32,
    wait_ms_left: AtomicU32,
    micros: AtomicU64,
}

impl Default for Fetches {
    fn default() -> Self {
        Self {
            left: AtomicU32::new(FETCHES_MAX),
            wait_ms_left: AtomicU32::new(WAIT_MS_MAX),
            micros: AtomicU64::new(0),
        }
    }
}

/// What one plugin of one organization asked since the process began.
#[derive(Debug, Default)]
pub(super) struct Tally {
    fetches: AtomicU64,
    failures: AtomicU64,
    micros: AtomicU64,
    bytes: AtomicU64,
}

/// The same, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The organization.
    pub org: String,
    /// The plugin's name.
    pub plugin: String,
    /// Requests that were sent.
    pub fetches: u64,
    /// Those without an answer.
    pub failures: u64,
    /// Microseconds of waiting.
    pub micros: u64,
    /// Bytes of bodies, both ways.
    pub bytes: u64,
}

/// A host that an organization's policies may ask: a name, or `*.` and the end of one, with a port
/// where it is not that of `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    name: String,
    /// Whether names that end in a dot and `name` are meant, and not `name` itself.
    below: bool,
    port: u16,
}

// === impl HostRule ===

impl HostRule {
    /// Reads `api.example.com`, `*.example.com`, `10.0.0.1:9000` or `[::1]:9000`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name, port.parse().ok().filter(|port| *port != 0)?)
            }
            Some(_) | None => (text, HTTPS_PORT),
        };
        let (name, below) = match name.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (name, false),
        };
        // A whole top-level domain is nobody's.
        let fits = is_host(name) && (!below || name.contains('.') && !name.starts_with('['));
        fits.then(|| Self { name: name.to_ascii_lowercase(), below, port })
    }

    /// Whether it means this host and port.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let named = match self.below {
            true => host
                .strip_suffix(&*self.name)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            false => host == self.name,
        };
        named && port == self.port
    }
}

fn is_host(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(bare) = bare {
        return bare.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    name.len() <= HOST_BYTES_MAX && name.split('.').all(label)
}

// === impl WebRequest ===

impl WebRequest {
    /// From an address as a policy writes it; the error says what is wrong with it.
    pub(in crate::policy) fn read(
        url: &str,
        post: Option<(String, Vec<u8>)>,
    ) -> Result<Self, String> {
        if url.len() > URL_BYTES_MAX {
            return Err(format!("an address has at most {URL_BYTES_MAX} bytes"));
        }
        if let Some((kind, body)) = &post {
            if body.len() > BODY_BYTES_MAX {
                return Err(format!("a body has at most {BODY_BYTES_MAX} bytes"));
            }
            if kind.is_empty() || kind.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
                return Err("the content type is not plain text".to_owned());
            }
        }
        let uri: Uri = url.parse().map_err(|error| format!("it is not an address: {error}"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("an address begins with https://".to_owned()),
        };
        let authority = uri.authority().ok_or("the address names no host")?;
        if authority.as_str().contains('@') {
            return Err("an address holds no credentials".to_owned());
        }
        let host = authority.host().to_ascii_lowercase();
        if !is_host(&host) {
            return Err("the address names no host".to_owned());
        }
        let usual = if https { HTTPS_PORT } else { 80 };
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str().len() == authority.host().len() => usual,
            None => return Err("the address has no such port".to_owned()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { https, host, port, path, post, within: Duration::ZERO })
    }
}

// === impl Fetches ===

impl Fetches {
    /// The longest that a request's policies wait in all.
    pub(in crate::policy) const WAIT_MAX: Duration = Duration::from_millis(WAIT_MS_MAX as u64);

    /// Counts one and says how long it may take; the error says which bound is met.
    fn begin(&self) -> Result<Duration, String> {
        let less = |left: u32| left.checked_sub(1);
        if self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_err() {
            return Err(format!("a request may have {FETCHES_MAX} fetches"));
        }
        // All that it may take is taken, and what it did not need comes back.
        let less = |left: u32| (left > 0).then(|| left.saturating_sub(FETCH_MS_MAX));
        match self.wait_ms_left.fetch_update(Ordering::AcqRel, Ordering::Acquire, less) {
            Ok(left) => Ok(Duration::from_millis(left.min(FETCH_MS_MAX).into())),
            Err(_) => Err(format!("the fetches of a request may take {WAIT_MS_MAX} ms in all")),
        }
    }

    /// How many there were, and microseconds of waiting.
    pub(in crate::policy) fn made(&self) -> (u64, u64) {
        let left = self.left.load(Ordering::Acquire);
        (FETCHES_MAX.saturating_sub(left).into(), self.micros.load(Ordering::Acquire))
    }

    /// Of so many milliseconds so much was not needed.
    fn not_needed(&self, unused: Duration) {
        let millis = u32::try_from(unused.as_millis()).unwrap_or(0);
        self.wait_ms_left.fetch_add(millis, Ordering::AcqRel);
    }
}

// === impl Tally ===

impl Tally {
    /// Asks, within what is left to the request, and counts what it cost.
    pub(super) async fn ask(
        &self,
        web: &dyn Web,
        mut request: WebRequest,
        fetches: &Fetches,
    ) -> Result<WebAnswer, String> {
        request.within = fetches.begin()?;
        let sent = request.post.as_ref().map_or(0, |(_, body)| body.len());
        let within = request.within;
        let watch = Stopwatch::start();
        let answer = tasks::within(within, web.ask(request)).await;
        let micros = watch.micros();
        if answer.is_some() {
            fetches.not_needed(within.saturating_sub(watch.elapsed()));
        }
        let answer = answer
            .unwrap_or_else(|| Err(format!("no answer came within {} ms", within.as_millis())));
        fetches.micros.fetch_add(micros.into(), Ordering::AcqRel);
        self.fetches.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros.into(), Ordering::Relaxed);
        let got = answer.as_ref().map_or(0, |answer| answer.body.len());
        let bytes = u64::try_from(sent.saturating_add(got)).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if answer.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// What is to be shown, if there is anything.
    pub(super) fn shown(&self, org: &str, plugin: &str) -> Option<Fetched> {
        let fetches = self.fetches.load(Ordering::Relaxed);
        (fetches > 0).then(|| Fetched {
            org: org.to_owned(),
            plugin: plugin.to_owned(),
            fetches,
            failures: self.failures.load(Ordering::Relaxed),
            micros: self.micros.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(rule: &str, host: &str, port: u16) -> bool {
        HostRule::parse(rule).unwrap().covers(host, port)
    }

    #[test]
    fn a_rule_means_a_host_and_a_port_and_no_other() {
        assert!(covers("API.example.com", "api.example.com", 443));
        assert!(!covers("api.example.com", "api.example.com", 8443));
        assert!(covers("api.example.com:8443", "api.example.com", 8443));
        assert!(!covers("example.com", "api.example.com", 443));
        assert!(covers("*.example.com", "a.b.example.com", 443));
        for other in ["example.com", "evilexample.com", ".example.com", "example.com.evil.org"] {
            assert!(!covers("*.example.com", other, 443), "{other}");
        }
        assert!(covers("[::1]:9000", "[::1]", 9000));
        let wrong = ["", "*", "*.com", "a b", "a/b", "a:0", "a:70000", "http://a", "::1", "a..b"];
        for wrong in wrong {
            assert!(HostRule::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_read_as_the_client_will_understand_it() {
        let read = |url: &str| WebRequest::read(url, None);
        let it = read("https://API.example.com/a?b=c#d").unwrap();
        assert_eq!(
            (&*it.host, it.port, &*it.path, it.https),
            ("api.example.com", 443, "/a?b=c", true)
        );
        let it = read("http://127.0.0.1:90").unwrap();
        assert_eq!((&*it.host, it.port, &*it.path, it.https), ("127.0.0.1", 90, "/", false));
        for wrong in [
            "https://a@b.example/",
            "ftp://a.example",
            "/path",
            "https://",
            "https://a.example:x/",
            "https://a.example:99999/",
            "https://ex ample.com/",
            "https://a.example/\r\nx: y",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let long = "x".repeat(URL_BYTES_MAX);
        assert!(read(&format!("https://a.example/{long}")).is_err());
        let post = |kind: &str, bytes: usize| {
            WebRequest::read("https://a.example", Some((kind.to_owned(), vec![0; bytes]))).is_ok()
        };
        assert!(post("application/json", BODY_BYTES_MAX));
        assert!(!post("application/json", BODY_BYTES_MAX + 1) && !post("a\r\nb: c", 1));
    }

    #[test]
    fn a_request_has_so_many_fetches_and_so_much_time() {
        let fetches = Fetches::default();
        assert_eq!(fetches.begin(), Ok(Duration::from_millis(2_000)));
        fetches.not_needed(Duration::from_millis(500));
        assert_eq!(fetches.begin(), Ok(Duration::from_millis(2_000)));
        assert_eq!(fetches.begin(), Ok(Duration::from_millis(500)));
        assert!(fetches.begin().unwrap_err().contains("4000 ms"));
        assert!(fetches.begin().unwrap_err().contains("4 fetches"));
    }

    struct Never;

    impl Web for Never {
        fn ask(&self, _request: WebRequest) -> Asked<'_> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn who_never_answers_uses_up_what_there_is_to_wait() {
        let (tally, fetches) = (Tally::default(), Fetches::default());
        fetches.wait_ms_left.store(20, Ordering::Relaxed);
        let ask =
            || tally.ask(&Never, WebRequest::read("https://a.example", None).unwrap(), &fetches);
        assert!(ask().await.unwrap_err().contains("within 20 ms"));
        assert!(ask().await.unwrap_err().contains("in all"));
        let shown = tally.shown("a", "p").unwrap();
        assert_eq!((shown.fetches, shown.failures), (1, 1), "the second was not sent");
    }
}
