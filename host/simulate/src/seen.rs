//! What reached a provider, kept so that a test can compare bytes. Credentials that are not the
//! script's own are replaced by a hash before anything is kept: a trial may use real ones.

use bytes::Bytes;
use serde::Serialize;

use crate::encode::{digest, hex};
use crate::http::Request;

/// Headers whose values are credentials.
const CREDENTIALS: [&str; 6] =
    ["authorization", "x-api-key", "x-goog-api-key", "api-key", "proxy-authorization", "cookie"];

/// How a request ended, as the provider saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Still under way.
    Pending,
    /// Answered in full.
    Answered,
    /// Refused with this status: a bad key, a bad body, an unknown model.
    Refused(u16),
    /// Failed as the script said; the failure's label.
    Failed(&'static str),
    /// The caller went away before the end.
    Cancelled,
}

/// A request that reached a provider.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Rises with each request of the simulator.
    pub serial: u64,
    /// The provider's name.
    pub provider: String,
    /// The model asked for; empty when the body could not be read.
    pub model: String,
    /// The verb.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Request line and header lines as received, names in the case they came in, but for
    /// credentials.
    pub head: Bytes,
    /// Names of the headers (and `?key=`) that carried credentials.
    pub credentials: Vec<String>,
    /// As received.
    pub body: Bytes,
    /// How it ended, at the time of asking.
    pub outcome: Outcome,
}

impl Seen {
    /// A request as it is kept; `key` is the script's own, which is no secret.
    pub(crate) fn of(request: &Request, key: Option<&str>) -> Self {
        let safe = |value: &str| key.is_some_and(|key| bare(value) == key);
        let is_credential = |name: &str| CREDENTIALS.contains(&name.to_ascii_lowercase().as_str());
        let mut credentials = Vec::new();
        let mut headers = request.headers.clone();
        for (name, value) in headers.iter_mut().filter(|(name, _)| is_credential(name)) {
            credentials.push(name.clone());
            if !safe(value) {
                *value = hidden(value);
            }
        }
        let path = match request.query("key") {
            Some(value) => {
                credentials.push("?key=".to_owned());
                if safe(value) {
                    request.target.clone()
                } else {
                    request.target.replace(value, &hidden(value))
                }
            }
            None => request.target.clone(),
        };
        let text = String::from_utf8_lossy(&request.head);
        let line = |line: &str| match line.split_once(':') {
            Some((name, value)) if is_credential(name) && !safe(value.trim()) => {
                format!("{name}: {}\r\n", hidden(value.trim()))
            }
            _ => line.to_owned(),
        };
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().unwrap_or("").replace(&request.target, &path);
        let head = lines.fold(first, |head, next| head + &line(next));
        Self {
            serial: 0,
            provider: String::new(),
            model: String::new(),
            method: request.method.clone(),
            path,
            headers,
            head: Bytes::from(head),
            credentials,
            body: request.body.clone(),
            outcome: Outcome::Pending,
        }
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The names of the headers, in the order and case that they came in.
    pub fn header_names(&self) -> Vec<String> {
        let head = String::from_utf8_lossy(&self.head);
        let names = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        names.map(|(name, _)| name.to_owned()).collect()
    }
}

/// A credential without the scheme before it.
fn bare(value: &str) -> &str {
    value.strip_prefix("Bearer ").unwrap_or(value)
}

/// A credential's stand-in: the same for the same credential.
fn hidden(value: &str) -> String {
    let hash = hex(&digest(&[bare(value).as_bytes()]));
    format!("sha256:{}", hash.get(..16).unwrap_or(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::After;

    #[test]
    fn foreign_credentials_are_hidden_everywhere_and_the_scripts_own_are_not() {
        let head = "POST /m?key=real HTTP/1.1\r\nX-Api-Key: real\r\nAccept: */*\r\n\r\n";
        let request = Request {
            method: "POST".to_owned(),
            target: "/m?key=real".to_owned(),
            headers: vec![("x-api-key".to_owned(), "real".to_owned())],
            body: Bytes::new(),
            after: After::KeepOpen,
            head: Bytes::from_static(head.as_bytes()),
        };
        let seen = Seen::of(&request, Some("sim-key"));
        assert!(!format!("{seen:?}").contains("real"), "{seen:?}");
        assert_eq!(seen.credentials, ["x-api-key", "?key="]);
        assert_eq!(seen.header_names(), ["X-Api-Key", "Accept"]);
        assert_eq!(Seen::of(&request, Some("real")).header("x-api-key"), Some("real"));
    }
}
