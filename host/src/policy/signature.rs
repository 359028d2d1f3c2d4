//! Signatures of components: Ed25519 over the digest by which a component is known. Makes keys and
//! signatures for the command line and verifies them for whoever takes a component in. Never reads
//! a file, and never shows a secret key but where it is made.
//!
//! All of it is text. A public key is `ed25519:` and 32 bytes in base64url without padding; a
//! secret key is `ed25519-secret:` and the 32 bytes of its seed; a signature is `ed25519:`, the
//! key's id, `:` and 64 bytes. A key's id is the first 16 hex digits of the SHA-256 of its 32
//! bytes. What is signed is [`CONTEXT`] followed by the component's SHA-256 in lowercase hex, so
//! that a signature made for anything else says nothing about a component.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What stands before the digest in a signed message.
pub const CONTEXT: &str = "turnpike policy v1 sha256:";
const PUBLIC: &str = "ed25519:";
const SECRET: &str = "ed25519-secret:";
/// Bytes of a public key and of a seed.
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// Hex digits of a key's id: enough to tell an operator's keys apart; it proves nothing.
const ID_DIGITS: usize = 16;

/// Why a signature or a key is no good, in words for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureError {
    /// It is not written as this module writes it; what was expected.
    Form(&'static str),
    /// None of the trusted keys has that id.
    UnknownKey(String),
    /// The key is trusted, but it did not sign this component.
    Wrong(String),
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(expected) => write!(f, "expected {expected}"),
            Self::UnknownKey(id) => write!(
                f,
                "it is signed with key {id}, which is not among the trusted ones; add that public \
                 key, or sign with one that is trusted"
            ),
            Self::Wrong(id) => write!(
                f,
                "the signature of key {id} is not one of these bytes: sign the component again \
                 after its last change"
            ),
        }
    }
}

impl std::error::Error for SignatureError {}

/// A public key: who may be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Reads `ed25519:…`.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let expected = SignatureError::Form("a public key: `ed25519:` and 43 of A-Z, a-z, 0-9, -_");
        let bytes = text.trim().strip_prefix(PUBLIC).and_then(decode::<KEY_BYTES>);
        bytes.map(Self).ok_or(expected)
    }

    /// The key's id: 16 hex digits.
    pub fn id(&self) -> String {
        let mut id = hex(&Sha256::digest(self.0));
        id.truncate(ID_DIGITS);
        id
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", BASE64.encode(self.0))
    }
}

/// A secret key. Neither `Debug` nor `Display`: [`Self::reveal`] is for the file that keeps it.
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    /// A new key; fails when the system has no randomness.
    pub fn generate() -> Result<Self, SignatureError> {
        let mut seed = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(seed.as_mut_slice())
            .map_err(|_| SignatureError::Form("randomness of the system, which gave none"))?;
        Ok(Self(seed))
    }

    /// Reads `ed25519-secret:…`.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let expected = SignatureError::Form("a secret key, as `turnpike plugin keygen` writes it");
        let seed = text.trim().strip_prefix(SECRET).and_then(decode::<KEY_BYTES>);
        seed.map(|seed| Self(Zeroizing::new(seed))).ok_or(expected)
    }

    /// The text for the file that keeps it.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{SECRET}{}", BASE64.encode(self.0.as_slice())))
    }

    /// The key by which others verify.
    pub fn public(&self) -> Result<PublicKey, SignatureError> {
        let mut bytes = [0; KEY_BYTES];
        let pair = self.pair()?;
        let public = pair.public_key().as_ref();
        if public.len() != bytes.len() {
            return Err(SignatureError::Form("a public key of 32 bytes"));
        }
        bytes.copy_from_slice(public);
        Ok(PublicKey(bytes))
    }

    /// The signature of a component.
    pub fn sign(&self, component: &[u8]) -> Result<String, SignatureError> {
        let id = self.public()?.id();
        let signature = self.pair()?.sign(message(component).as_bytes());
        Ok(format!("{PUBLIC}{id}:{}", BASE64.encode(signature.as_ref())))
    }

    fn pair(&self) -> Result<Ed25519KeyPair, SignatureError> {
        Ed25519KeyPair::from_seed_unchecked(self.0.as_slice())
            .map_err(|_| SignatureError::Form("a seed of 32 bytes"))
    }
}

/// Whether one of the `trusted` keys signed these bytes; which one. Look at nothing of a component
/// before this has said yes, where signatures are required.
pub fn verify<'a>(
    component: &[u8],
    signature: &str,
    trusted: &'a [PublicKey],
) -> Result<&'a PublicKey, SignatureError> {
    let expected =
        SignatureError::Form("a signature: `ed25519:`, the key's id, `:` and 86 of base64url");
    let parts = signature.trim().strip_prefix(PUBLIC).and_then(|rest| rest.split_once(':'));
    let (id, bytes) = parts.ok_or_else(|| expected.clone())?;
    let plain = id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = decode::<SIGNATURE_BYTES>(bytes).filter(|_| plain).ok_or(expected)?;
    let key = trusted.iter().find(|key| key.id() == id);
    let key = key.ok_or_else(|| SignatureError::UnknownKey(id.to_owned()))?;
    UnparsedPublicKey::new(&ED25519, key.0)
        .verify(message(component).as_bytes(), &bytes)
        .map_err(|_| SignatureError::Wrong(id.to_owned()))?;
    Ok(key)
}

/// SHA-256 of a component in lowercase hex: its identity.
pub fn digest_hex(component: &[u8]) -> String {
    hex(&Sha256::digest(component))
}

fn message(component: &[u8]) -> String {
    format!("{CONTEXT}{}", digest_hex(component))
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flipped(text: &str) -> String {
        let (head, tail) = text.split_at(text.len() - 2);
        let (changed, last) = tail.split_at(1);
        let other = if changed == "A" { "B" } else { "A" };
        format!("{head}{other}{last}")
    }

    #[test]
    fn a_signature_holds_for_its_key_and_its_bytes_only() {
        let (ours, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let trusted = [other.public().unwrap(), ours.public().unwrap()];
        let signature = ours.sign(b"component").unwrap();
        assert_eq!(verify(b"component", &signature, &trusted), Ok(&trusted[1]));
        let wrong = Err(SignatureError::Wrong(trusted[1].id()));
        assert_eq!(verify(b"Component", &signature, &trusted), wrong);
        assert_eq!(verify(b"component", &flipped(&signature), &trusted), wrong);
        let unknown = Err(SignatureError::UnknownKey(trusted[1].id()));
        assert_eq!(verify(b"component", &signature, &trusted[..1]), unknown);
        for bad in [
            "",
            "ed25519:",
            "ed25519:abc:def",
            signature.trim_start_matches('e'),
            &format!("{signature}A"),
        ] {
            let refused = verify(b"component", bad, &trusted);
            assert!(matches!(refused, Err(SignatureError::Form(_))), "{bad}: {refused:?}");
        }
    }

    /// A signature that claims another trusted key's id is checked against that key.
    #[test]
    fn a_borrowed_id_does_not_help() {
        let (ours, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let trusted = [ours.public().unwrap()];
        let forged = other.sign(b"component").unwrap();
        let forged = forged.replace(&other.public().unwrap().id(), &trusted[0].id());
        let wrong = Err(SignatureError::Wrong(trusted[0].id()));
        assert_eq!(verify(b"component", &forged, &trusted), wrong);
    }

    #[test]
    fn keys_are_written_and_read_back_and_the_secret_one_is_not_printed() {
        let key = SecretKey::generate().unwrap();
        let again = SecretKey::parse(&format!("{}\n", *key.reveal())).unwrap();
        let public = key.public().unwrap();
        assert_eq!(again.public().unwrap(), public);
        assert_eq!(PublicKey::parse(&public.to_string()), Ok(public.clone()));
        assert!(!format!("{key:?}").contains(key.reveal().trim_start_matches(SECRET)));
        assert!(SecretKey::parse(&public.to_string()).is_err());
        assert!(PublicKey::parse(&key.reveal()).is_err());
    }
}
