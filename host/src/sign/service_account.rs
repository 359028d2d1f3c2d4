//! A service account of Google: its key, and the statement it signs to be given a token. Never asks
//! for the token itself.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use turnpike_protocol::base64;

use crate::secret::Secret;

/// All that the account may do at Google's cloud; what it may is decided there.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The longest life that a statement may have.
const LIFE_S: u64 = 3_600;

/// Why a service account's file can't be used. Holds nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error(
        "it is no key file of a service account ({0}); download one as JSON from the project's \
         service accounts"
    )]
    NotAnAccount(String),
    #[error("its private_key is no RSA key in PKCS#8; create a new key for the service account")]
    NotAKey,
    #[error("signing failed; create a new key for the service account")]
    Failed,
}

/// The members of the file that are used.
#[derive(Deserialize)]
struct File {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
    #[serde(default)]
    token_uri: Option<String>,
}

/// See the head of this file.
pub struct ServiceAccount {
    email: String,
    key: RsaKeyPair,
    key_id: Option<String>,
    token_uri: Option<String>,
}

// === impl ServiceAccount ===

impl ServiceAccount {
    /// Reads the account's JSON file.
    ///
    /// # Errors
    /// [`SignError`], with what is wrong and nothing of the key.
    pub fn parse(json: &Secret) -> Result<Self, SignError> {
        let file: File = serde_json::from_str(json.reveal()).map_err(|error| {
            // The error's own words may quote the file.
            let place = format!("line {}, column {}", error.line(), error.column());
            SignError::NotAnAccount(place)
        })?;
        let pem = zeroize::Zeroizing::new(file.private_key);
        let lines = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        let body = zeroize::Zeroizing::new(lines.collect::<String>());
        let der = base64::decode(&body).ok_or(SignError::NotAKey)?;
        let key = RsaKeyPair::from_pkcs8(&der).map_err(|_| SignError::NotAKey)?;
        let (key_id, token_uri) = (file.private_key_id, file.token_uri);
        Ok(Self { email: file.client_email, key, key_id, token_uri })
    }

    /// Where the file says that tokens are given out.
    pub fn token_uri(&self) -> Option<&str> {
        self.token_uri.as_deref()
    }

    /// The statement (a JWT) that `audience` exchanges for a token, valid for an hour.
    ///
    /// # Errors
    /// [`SignError::Failed`].
    pub fn statement(&self, audience: &str, now_s: u64) -> Result<Secret, SignError> {
        let mut head = serde_json::json!({"alg": "RS256", "typ": "JWT"});
        if let (Some(id), Some(members)) = (&self.key_id, head.as_object_mut()) {
            members.insert("kid".to_owned(), id.as_str().into());
        }
        let claims = serde_json::json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": audience,
            "iat": now_s,
            "exp": now_s.saturating_add(LIFE_S),
        });
        let [head, claims] = [head, claims].map(|part| for_urls(part.to_string().as_bytes()));
        let signed = format!("{head}.{claims}");
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
            .map_err(|_| SignError::Failed)?;
        Ok(Secret::new(format!("{signed}.{}", for_urls(&signature))))
    }
}

impl std::fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

/// Base64 in the alphabet for URLs, without padding.
fn for_urls(bytes: &[u8]) -> String {
    base64::encode(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn account() -> (ServiceAccount, Vec<u8>) {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = key.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            base64::encode(der.as_ref())
        );
        let file = serde_json::json!({"type": "service_account", "client_email": "a@b.c",
            "private_key_id": "k1", "private_key": pem, "token_uri": "https://t/token"});
        let account = ServiceAccount::parse(&Secret::new(file.to_string())).unwrap();
        (account, key.public_key().as_ref().to_vec())
    }

    #[test]
    fn a_statement_says_who_for_what_and_how_long_and_its_signature_holds() {
        let (account, public) = account();
        assert_eq!(account.token_uri(), Some("https://t/token"));
        let statement = account.statement("https://t/token", 1_000).unwrap();
        let (signed, signature) = statement.reveal().rsplit_once('.').unwrap();
        let signature = base64::decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        public.verify(signed.as_bytes(), &signature).unwrap();
        let read = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&base64::decode(part).unwrap()).unwrap()
        };
        let (head, claims) = signed.split_once('.').unwrap();
        assert_eq!(read(head), serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
        assert_eq!(
            read(claims),
            serde_json::json!({"iss": "a@b.c", "scope": SCOPE, "aud": "https://t/token",
                "iat": 1_000, "exp": 4_600})
        );
    }

    #[test]
    fn a_wrong_file_is_refused_without_a_word_of_it() {
        let refused = |text: &str| {
            let error = ServiceAccount::parse(&Secret::new(text.to_owned())).unwrap_err();
            let said = error.to_string();
            assert!(!said.contains("canary"), "{said}");
            error
        };
        assert!(matches!(refused("canary"), SignError::NotAnAccount(_)));
        assert!(matches!(refused("{\"client_email\":\"canary\"}"), SignError::NotAnAccount(_)));
        let bad = r#"{"client_email":"a","private_key":"-----BEGIN X-----\nY2FuYXJ5\n"}"#;
        assert_eq!(refused(bad), SignError::NotAKey);
        let (account, _) = account();
        assert_eq!(format!("{account:?}"), "ServiceAccount { email: \"a@b.c\", .. }");
    }
}
