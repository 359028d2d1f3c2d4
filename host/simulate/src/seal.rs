//! Signatures of reasoning: opaque to callers, checked when they come back, as real providers do.
//! A signature names its issuer and its text, so that a foreign one is told from a changed text.

use crate::encode::{base64, digest, from_base64};

/// First bytes of every seal, for a reader of a dump.
const MARK: &[u8; 4] = b"\x12\xb4\x02\x0a";
const HASH_BYTES: usize = 32;

/// What a returned seal turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Issued here, over this text.
    Good,
    /// Issued here, but over another text.
    Changed,
    /// Not issued here.
    Foreign,
}

/// A seal of `issuer` over `text`.
pub(crate) fn seal(issuer: &str, text: &str) -> String {
    let about = digest(&[text.as_bytes()]);
    base64(&[MARK.as_slice(), &about, &proof(issuer, &about)].concat())
}

/// What `sealed` is to `issuer`, given with `text`.
pub(crate) fn check(issuer: &str, sealed: &str, text: &str) -> Verdict {
    let Some(bytes) = from_base64(sealed) else { return Verdict::Foreign };
    let Some(rest) = bytes.strip_prefix(MARK.as_slice()) else { return Verdict::Foreign };
    let Some((about, given)) = rest.split_at_checked(HASH_BYTES) else { return Verdict::Foreign };
    if given != proof(issuer, about).as_slice() {
        return Verdict::Foreign;
    }
    if about == digest(&[text.as_bytes()]).as_slice() { Verdict::Good } else { Verdict::Changed }
}

/// Whether `sealed` was issued here, over whatever text.
pub(crate) fn is_ours(issuer: &str, sealed: &str) -> bool {
    check(issuer, sealed, "") != Verdict::Foreign
}

fn proof(issuer: &str, about: &[u8]) -> [u8; HASH_BYTES] {
    digest(&[b"simulated reasoning", issuer.as_bytes(), about])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_changed_and_foreign() {
        let sealed = seal("anthropic", "hm");
        assert_eq!(check("anthropic", &sealed, "hm"), Verdict::Good);
        assert_eq!(check("anthropic", &sealed, "hmm"), Verdict::Changed);
        assert_eq!(check("bedrock", &sealed, "hm"), Verdict::Foreign);
        assert_eq!(check("anthropic", "c2lnbmF0dXJl", "hm"), Verdict::Foreign);
        assert!(is_ours("anthropic", &sealed) && !is_ours("anthropic", ""));
    }
}
