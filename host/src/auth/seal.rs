//! Secrets that have to be used again, such as a webhook's, as they are stored: encrypted under a
//! key that is derived from the pepper, so that a stolen database is of no use without that file.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::TryRng;
use rand::rngs::SysRng;

use super::pepper::Pepper;
use crate::secret::Secret;

/// What the key is for: another purpose has another key.
const PURPOSE: &str = "turnpike sealed secrets, version 1";

// === impl Pepper: sealing ===

impl Pepper {
    fn sealing_key(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.hash(PURPOSE)).ok().map(LessSafeKey::new)
    }

    /// A secret as it may be stored; none where the system gives no random numbers.
    pub fn seal(&self, secret: &Secret) -> Option<String> {
        let mut nonce = [0_u8; NONCE_LEN];
        SysRng.try_fill_bytes(&mut nonce).ok()?;
        let mut bytes = secret.reveal().as_bytes().to_vec();
        let with = Nonce::assume_unique_for_key(nonce);
        self.sealing_key()?.seal_in_place_append_tag(with, Aad::empty(), &mut bytes).ok()?;
        Some(STANDARD.encode([nonce.as_slice(), &bytes].concat()))
    }

    /// The secret again; none where it was changed, or sealed under another pepper.
    pub fn unseal(&self, sealed: &str) -> Option<Secret> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = rest.to_vec();
        let plain = self.sealing_key()?.open_in_place(nonce, Aad::empty(), &mut rest).ok()?;
        String::from_utf8(plain.to_vec()).ok().map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_again_under_the_same_pepper_only() {
        let (one, other) = (Pepper::from_bytes(&[1; 32]), Pepper::from_bytes(&[2; 32]));
        let secret = Secret::new("whsec-canary".to_owned());
        let sealed = one.seal(&secret).unwrap();
        assert!(!sealed.contains("canary"));
        assert_eq!(one.unseal(&sealed), Some(secret.clone()));
        assert_ne!(one.seal(&secret), Some(sealed.clone()), "no two look alike");
        assert_eq!(other.unseal(&sealed), None);
        assert_eq!(one.unseal(sealed.get(1..).unwrap()), None);
        assert_eq!(one.unseal("short"), None);
    }
}
