//! The operator's token for the admin API, compared in constant time.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use crate::secret::Secret;

/// The installation's operator token.
#[derive(Debug, Clone)]
pub struct OperatorToken(Secret);

// === impl OperatorToken ===

impl OperatorToken {
    /// Takes the token over; an empty one is refused, because it would let everyone in.
    pub fn new(token: Secret) -> Option<Self> {
        if token.is_empty() { None } else { Some(Self(token)) }
    }

    /// Whether the headers carry exactly one `Authorization: Bearer` with this token.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else { return false };
        let Some((scheme, token)) = value.to_str().ok().and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer")
            && token.trim().as_bytes().ct_eq(self.0.reveal().as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::AUTHORIZATION;

    use super::OperatorToken;
    use crate::secret::Secret;

    #[test]
    fn only_the_whole_token_once_is_admitted() {
        assert!(OperatorToken::new(Secret::new(String::new())).is_none());
        let token = OperatorToken::new(Secret::new("op-secret".into())).unwrap();
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            headers
        };
        assert!(token.admits(&with(&["Bearer op-secret"])));
        assert!(token.admits(&with(&["bearer op-secret"])));
        for values in [
            &[][..],
            &["op-secret"],
            &["Bearer op-secre"],
            &["Bearer op-secret2"],
            &["Bearer "],
            &["Basic op-secret"],
            &["Bearer op-secret", "Bearer x"],
        ] {
            assert!(!token.admits(&with(values)), "{values:?}");
        }
    }
}
