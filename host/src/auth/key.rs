//! The text of an API key: `tp-` and 43 characters of base64url, which are 256 random bits. Made
//! once, shown once; never stored and never printed.

use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What every key starts with, so that scanners for leaked secrets can find them.
pub const KEY_PREFIX: &str = "tp-";

/// How many characters of a key a list shows: the prefix and four more, which leave 232 bits.
pub const SHOWN_CHARS: usize = 7;

/// Random bytes in a key.
const KEY_BYTES: usize = 32;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A new key, in clear text for the one time it is shown.
#[derive(Debug)]
pub struct KeyText(Secret);

// === impl KeyText ===

impl KeyText {
    /// A new key from the operating system's random numbers; the error says why there are none.
    pub fn generate() -> Result<Self, String> {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|cause| {
            format!("the system gives no random numbers ({cause}); a key can't be made safely")
        })?;
        Ok(Self(Secret::new(format!("{KEY_PREFIX}{}", base64url(bytes.as_slice())))))
    }

    /// The clear text, for the answer that shows it once.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// The first characters, for recognising the key in a list.
    pub fn shown_prefix(&self) -> String {
        self.0.reveal().chars().take(SHOWN_CHARS).collect()
    }
}

/// base64url without padding.
fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut word = 0_u32;
        for place in 0..3 {
            word = (word << 8) | u32::from(group.get(place).copied().unwrap_or(0));
        }
        for place in 0..=group.len() {
            let six = (word >> (18 - 6 * place)) & 63;
            let symbol = usize::try_from(six).ok().and_then(|six| ALPHABET.get(six));
            text.extend(symbol.map(|symbol| char::from(*symbol)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{KEY_PREFIX, KeyText, base64url};

    #[test]
    fn base64url_matches_the_rfc() {
        // RFC 4648, section 10, without padding; and the two symbols that differ from base64.
        for (plain, coded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v")] {
            assert_eq!(base64url(plain.as_bytes()), coded);
        }
        assert_eq!(base64url(b"foobar"), "Zm9vYmFy");
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn a_key_has_the_documented_shape_and_no_two_are_alike() {
        let key = KeyText::generate().unwrap();
        let text = key.reveal();
        let random = text.strip_prefix(KEY_PREFIX).unwrap();
        assert_eq!(random.len(), 43);
        assert!(random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_ne!(text, KeyText::generate().unwrap().reveal());
        assert!(text.starts_with(&key.shown_prefix()));
        assert!(!format!("{key:?}").contains(random), "a key must not be printable");
    }
}
