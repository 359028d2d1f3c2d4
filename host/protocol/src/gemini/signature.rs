//! `thoughtSignature`, which is base64 here: clients decode it and encode it anew, in the URL-safe
//! alphabet or the other. A foreign signature is therefore wrapped once more. Never opens Google's
//! own.

use crate::base64;
use crate::neutral::{Issuer, Signature};

/// What Gemini 3 accepts in place of a signature for a call that another model made.
pub(super) const DUMMY: &str = "skip_thought_signature_validator";

/// Every foreign signature begins with this, being base64 of the tag's first letters.
const WRAPPED: &str = "dHAx";

/// Reads a signature of a caller's history or of the provider.
pub(super) fn read(text: &str) -> Signature {
    let unwrapped = text.strip_prefix(WRAPPED).and_then(|_| base64::decode(text));
    match unwrapped.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(tagged) => {
            let foreign = Signature::read(Issuer::Gemini, &tagged);
            if foreign.issuer == Issuer::Gemini {
                Signature::new(Issuer::Gemini, text)
            } else {
                foreign
            }
        }
        None => Signature::new(Issuer::Gemini, text),
    }
}

/// Writes one into an answer for the caller.
pub(super) fn write(signature: &Signature) -> String {
    match signature.for_issuer(Issuer::Gemini) {
        Some(own) => own.to_owned(),
        None => base64::encode(signature.write(Issuer::Gemini).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_15_a_foreign_signature_is_base64_and_comes_back_as_its_issuers() {
        let foreign = Signature::new(Issuer::Anthropic, "EqMB/+a=");
        let written = write(&foreign);
        assert!(base64::decode(&written).is_some());
        assert_eq!(read(&written), foreign);
        let url_safe = written.replace('+', "-").replace('/', "_");
        assert_eq!(read(&url_safe), foreign);
    }

    #[test]
    fn pitfall_16_googles_own_signature_is_not_touched() {
        for own in ["CuQBAdHtim8=", "dHAxno base64", "dHAxLm5vYm9keS54"] {
            let read = read(own);
            assert_eq!(read, Signature::new(Issuer::Gemini, own));
            assert_eq!(write(&read), own);
        }
    }
}
