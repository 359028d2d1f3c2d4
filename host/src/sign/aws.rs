//! AWS Signature Version 4, for requests without a query. Never decides what is signed: whatever is
//! in the list of headers is, and `host` and the date always.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::clock;
use crate::secret::Secret;

use super::hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What ends the scope of every signature of this version.
const TERMINATOR: &str = "aws4_request";

/// The keys of an account, or of a role that was assumed.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// Public: it names the key.
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// Of a role's keys, which have an end.
    pub session_token: Option<Secret>,
    pub region: String,
    /// As AWS calls it: `bedrock`.
    pub service: &'static str,
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct AwsRequest<'a> {
    pub method: &'a str,
    /// As the `host` header has it, with a port that is not the usual one.
    pub host: &'a str,
    /// As it goes onto the wire, percent-encoded once, without a query.
    pub path: &'a str,
    /// More headers to sign, names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

// === impl AwsKeys ===

impl AwsKeys {
    /// The headers that sign a request at this time: `authorization`, `x-amz-date`, and for a
    /// role's keys `x-amz-security-token`.
    pub fn sign(&self, request: &AwsRequest<'_>, at_ms: u64) -> Vec<(&'static str, Secret)> {
        let date = clock::basic_utc(at_ms);
        let day = date.get(..8).unwrap_or_default();
        let token = self.session_token.as_ref().map(Secret::reveal);
        let mut headers = request.headers.to_vec();
        headers.push(("host", request.host));
        headers.push(("x-amz-date", &date));
        headers.extend(token.map(|token| ("x-amz-security-token", token)));
        headers.sort_unstable();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = canonical(request, &headers, &names);
        let scope = format!("{day}/{}/{}/{TERMINATOR}", self.region, self.service);
        let digest = hex(&Sha256::digest(canonical.as_bytes()));
        let statement = format!("{ALGORITHM}\n{date}\n{scope}\n{digest}");
        let signature = hex(&keyed(&self.key(day), &statement));
        let id = &self.access_key_id;
        let credential = format!(
            "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        let mut out = vec![("authorization", Secret::new(credential))];
        out.extend(token.map(|token| ("x-amz-security-token", Secret::new(token.to_owned()))));
        out.push(("x-amz-date", Secret::new(date)));
        out
    }

    /// The key of one day, region and service.
    fn key(&self, day: &str) -> [u8; 32] {
        let secret = format!("AWS4{}", self.secret_access_key.reveal());
        let secret = zeroize::Zeroizing::new(secret);
        let day = keyed(secret.as_bytes(), day);
        let region = keyed(&day, &self.region);
        keyed(&keyed(&region, self.service), TERMINATOR)
    }
}

/// The form in which both sides write a request down.
fn canonical(request: &AwsRequest<'_>, headers: &[(&str, &str)], names: &str) -> String {
    let mut out = format!("{}\n{}\n\n", request.method, encoded_again(request.path));
    for (name, value) in headers {
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        for part in [name, ":", words.join(" ").as_str(), "\n"] {
            out.push_str(part);
        }
    }
    out.push('\n');
    out.push_str(names);
    out.push('\n');
    out.push_str(&hex(&Sha256::digest(request.body)));
    out
}

/// A path as it is signed: what the wire has, percent-encoded once more.
fn encoded_again(path: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            write!(out, "%{byte:02X}").ok();
        }
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

fn keyed(key: &[u8], message: &str) -> [u8; 32] {
    // A key of any length is taken.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return [0; 32] };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 August 2015, 12:36:00 UTC.
    const AT_MS: u64 = 1_440_938_160_000;

    fn keys(service: &'static str, token: Option<&str>) -> AwsKeys {
        AwsKeys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: token.map(|token| Secret::new(token.to_owned())),
            region: "us-east-1".to_owned(),
            service,
        }
    }

    fn signature(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let request = AwsRequest { method, host: "example.amazonaws.com", path, headers, body };
        let signed = keys("service", None).sign(&request, AT_MS);
        let (_, credential) = &signed[0];
        credential.reveal().rsplit_once('=').unwrap().1.to_owned()
    }

    /// Of the examples that AWS publishes with the specification of the signature.
    #[test]
    fn the_published_vectors_hold() {
        assert_eq!(
            signature("GET", "/", &[], b""),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            signature("POST", "/", &[], b""),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(
            signature("POST", "/", &form, b"Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }

    #[test]
    fn the_published_key_is_derived() {
        let key = keys("iam", None).key("20150830");
        let expected = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(hex(&key), expected);
    }

    #[test]
    fn the_headers_name_what_is_signed_and_hold_the_roles_token() {
        let request = AwsRequest {
            method: "POST",
            host: "h",
            path: "/model/a%3A0/converse",
            headers: &[("content-type", "application/json")],
            body: b"{}",
        };
        let signed = keys("bedrock", Some("a-token")).sign(&request, AT_MS);
        let value = |wanted: &str| {
            let found = signed.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.reveal().to_owned()).unwrap()
        };
        let authorization = value("authorization");
        let start = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/\
                     aws4_request, SignedHeaders=content-type;host;x-amz-date;\
                     x-amz-security-token, Signature=";
        assert!(authorization.starts_with(start), "{authorization}");
        assert_eq!(
            (value("x-amz-date"), value("x-amz-security-token")),
            ("20150830T123600Z".to_owned(), "a-token".to_owned())
        );
        assert_eq!(encoded_again("/model/a%3A0/converse"), "/model/a%253A0/converse");
        assert!(!format!("{signed:?}").contains("Signature="));
    }
}
