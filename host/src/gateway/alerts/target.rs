//! Where webhooks may be sent: to public addresses over TLS, and to the hosts that the operator
//! names. An organization's webhook must not become a way into the operator's network, so what
//! counts is the address that is connected to, not the name that was written.

use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;

use crate::config::Alerts;
use crate::upstream::{Endpoint, Scheme, is_public};

/// Bytes of an address: longer ones are no addresses that anybody wrote.
const URL_BYTES_MAX: usize = 2_048;

/// What the operator allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Targets {
    hosts: Arc<[String]>,
    loopback: bool,
}

/// A webhook's address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    /// With its query.
    pub(crate) path: String,
}

// === impl Targets ===

impl Targets {
    pub(crate) fn of(config: &Alerts) -> Self {
        let hosts = config.webhook_hosts.iter().map(|host| host.to_ascii_lowercase());
        Self { hosts: hosts.collect(), loopback: config.webhook_loopback }
    }

    /// Takes an address apart; the error says why it may not be sent to.
    pub(crate) fn parse(&self, url: &str) -> Result<Target, String> {
        let uri: Uri = match url.len() <= URL_BYTES_MAX {
            true => {
                url.parse().map_err(|_| "it is no URL; it must begin with https://".to_owned())?
            }
            false => return Err(format!("it is longer than {URL_BYTES_MAX} bytes")),
        };
        let host = uri.host().ok_or("it names no host")?.to_ascii_lowercase();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("it has a user or password in it; the signature shows who sends".into());
        }
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err("it must begin with https://".into()),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let literal: Option<IpAddr> = bare.parse().ok();
        if literal.is_some_and(|address| !self.admits(bare, address)) {
            return Err("its address is not a public one; the operator allows others with \
                        alerts.webhook_hosts or alerts.webhook_loopback"
                .into());
        }
        let here = self.loopback
            && (bare == "localhost" || literal.is_some_and(|address| address.is_loopback()));
        if scheme == Scheme::Http && !self.named(bare) && !here {
            return Err("it must begin with https://, unless the operator names its host in \
                        alerts.webhook_hosts"
                .into());
        }
        let port = uri.port_u16().unwrap_or(match scheme {
            Scheme::Https => 443,
            Scheme::Http => 80,
        });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Target { endpoint: Endpoint { scheme, host: host.into(), port }, path })
    }

    /// Whether a connection for this host may be made to this address.
    pub(crate) fn admits(&self, host: &str, address: IpAddr) -> bool {
        self.named(host) || (self.loopback && address.is_loopback()) || is_public(address)
    }

    fn named(&self, host: &str) -> bool {
        self.hosts.iter().any(|named| match named.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix),
            None => host == named,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(hosts: &[&str], loopback: bool) -> Targets {
        let webhook_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Targets::of(&Alerts { webhook_hosts, webhook_loopback: loopback })
    }

    #[test]
    fn addresses_that_may_not_be_sent_to_are_refused_with_a_reason() {
        let plain = targets(&[], false);
        for (url, why) in [
            ("hooks.example.com/x", "https"),
            ("ftp://example.com/", "https"),
            ("http://example.com/", "https"),
            ("https://user:pw@example.com/", "user"),
            ("https://127.0.0.1/", "public"),
            ("https://[::1]:9/", "public"),
            ("https://169.254.169.254/latest", "public"),
            ("not a url", "URL"),
        ] {
            let error = plain.parse(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
        let target = plain.parse("https://Hooks.example.com/x?y=1").unwrap();
        assert_eq!((&*target.endpoint.host, target.endpoint.port), ("hooks.example.com", 443));
        assert_eq!(target.path, "/x?y=1");
    }

    #[test]
    fn the_operator_may_allow_more() {
        let named = targets(&["10.0.0.7", "*.corp.example"], false);
        assert!(named.parse("http://10.0.0.7:9000/x").is_ok());
        assert!(named.parse("http://a.corp.example/x").is_ok());
        assert!(named.parse("http://127.0.0.1/").is_err());
        assert!(named.admits("a.corp.example", "10.1.1.1".parse().unwrap()));
        // A name that is not listed is not helped by where it leads.
        assert!(!named.admits("evil.example", "10.0.0.7".parse().unwrap()));
        let here = targets(&[], true);
        assert!(here.parse("http://127.0.0.1:9/").is_ok() && here.parse("http://[::1]:9/").is_ok());
        assert!(here.parse("http://localhost:9/").is_ok());
        assert!(here.parse("http://10.0.0.7/").is_err());
        assert!(!here.admits("localhost", "10.0.0.7".parse().unwrap()));
    }
}
