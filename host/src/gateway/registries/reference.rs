//! What a component in a registry is called, and the small grammar around it. Pure.

/// Bytes of a repository's name: what registries take.
const REPOSITORY_BYTES_MAX: usize = 255;

/// `registry/repository@sha256:…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Host, and port where it is not the usual one; in lower case.
    pub(super) registry: String,
    pub(super) repository: String,
    /// Of the manifest, 64 hex digits.
    pub(super) digest: String,
}

impl Reference {
    /// The error says what is missing.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let usage = "a component is named as registry/repository@sha256:…";
        let Some((place, digest)) = text.split_once('@') else {
            let why = "name the digest of its manifest: what a tag means can change";
            return Err(format!("{usage}; {why}"));
        };
        let digest = digest.strip_prefix("sha256:").filter(|hex| is_sha256(hex));
        let Some(digest) = digest else {
            return Err(format!("{usage}, with 64 hexadecimal digits"));
        };
        let Some((registry, repository)) = place.split_once('/') else {
            return Err(format!("{usage}; it names no registry"));
        };
        let is_host = registry == "localhost" || registry.contains(['.', ':']);
        if !is_host || registry.bytes().any(|byte| !is_of_host(byte)) {
            return Err(format!("{usage}; {registry:?} is no registry"));
        }
        if repository.contains(':') {
            return Err(format!("{usage}; leave the tag out, the digest says it all"));
        }
        let is_part = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            part.bytes().next().is_some_and(plain)
                && part.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
        };
        if repository.len() > REPOSITORY_BYTES_MAX || !repository.split('/').all(is_part) {
            return Err(format!("{usage}; {repository:?} is no repository"));
        }
        Ok(Self {
            registry: registry.to_ascii_lowercase(),
            repository: repository.to_owned(),
            digest: digest.to_owned(),
        })
    }
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)
}

/// Whether it is a SHA-256 in lower-case hex.
pub(super) fn is_sha256(hex: &str) -> bool {
    hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The value of a parameter of a challenge: `realm="https://…",service="…"`.
pub(super) fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = parameters.trim_start();
    while let Some((key, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_once(',').unwrap_or((value, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.trim_start_matches([',', ' ']);
    }
    None
}

/// As part of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_named_by_its_digest() {
        let digest = "0123456789abcdef".repeat(4);
        let read = |text: &str| Reference::parse(text);
        let it = read(&format!("GHCR.io/acme/my-policy@sha256:{digest}")).unwrap();
        assert_eq!(
            (&*it.registry, &*it.repository, &it.digest),
            ("ghcr.io", "acme/my-policy", &digest)
        );
        assert!(read(&format!("oci://127.0.0.1:5000/p@sha256:{digest}")).is_ok());
        for (wrong, words) in [
            ("ghcr.io/acme/p:1.0".to_owned(), "tag"),
            (format!("ghcr.io/acme/p:1.0@sha256:{digest}"), "tag"),
            ("ghcr.io/acme/p@sha256:abc".to_owned(), "64"),
            (format!("ghcr.io/acme/p@sha512:{digest}"), "64"),
            (format!("acme/p@sha256:{digest}"), "no registry"),
            (format!("ghcr.io/../p@sha256:{digest}"), "no repository"),
            (format!("ghcr.io/A b@sha256:{digest}"), "no repository"),
            (format!("gh\r\ncr.io/p@sha256:{digest}"), "no registry"),
        ] {
            let why = read(&wrong).unwrap_err();
            assert!(why.contains(words), "{wrong}: {why}");
        }
    }

    #[test]
    fn a_challenge_is_read() {
        let text = r#"realm="https://auth.example/token?a=b",service="registry.example",scope=x"#;
        assert_eq!(parameter(text, "realm"), Some("https://auth.example/token?a=b"));
        assert_eq!(parameter(text, "Service"), Some("registry.example"));
        assert_eq!(parameter(text, "scope"), Some("x"));
        assert_eq!(parameter(text, "error"), None);
        assert_eq!(encoded("a b/c"), "a%20b%2Fc");
    }
}
