//! Proofs of thinking. A provider accepts only its own, so each carries who issued it; in a foreign
//! dialect's history it travels with that name in front, and comes back to its issuer alone.

use super::Words;

/// In front of a signature that lives in a foreign dialect: `tp1.<issuer>.<data>`.
const TAG: &str = "tp1.";

/// Who can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// Anthropic, also behind Bedrock and Vertex: one form.
    Anthropic,
    OpenAi,
    Gemini,
    /// Some OpenAI-compatible provider's own.
    Other,
}

/// An opaque proof and its issuer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signature {
    pub(crate) issuer: Issuer,
    pub(crate) data: Words,
}

// === impl Issuer ===

impl Issuer {
    fn label(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Other => "other",
        }
    }

    fn parse(label: &str) -> Option<Self> {
        [Self::Anthropic, Self::OpenAi, Self::Gemini, Self::Other]
            .into_iter()
            .find(|issuer| issuer.label() == label)
    }
}

// === impl Signature ===

impl Signature {
    pub(crate) fn new(issuer: Issuer, data: impl Into<Words>) -> Self {
        Self { issuer, data: data.into() }
    }

    /// Reads what stands in a dialect whose own issuer is `native`: a tagged one is whose the tag
    /// says, any other is the native issuer's.
    pub(crate) fn read(native: Issuer, text: &str) -> Self {
        let tagged = text.strip_prefix(TAG).and_then(|rest| rest.split_once('.'));
        let known = tagged.and_then(|(label, data)| Some((Issuer::parse(label)?, data)));
        match known {
            Some((issuer, data)) => Self::new(issuer, data),
            None => Self::new(native, text),
        }
    }

    /// As it is written into a dialect whose own issuer is `native`: bare when it is theirs, tagged
    /// when it is not.
    pub(crate) fn write(&self, native: Issuer) -> String {
        if self.issuer == native {
            return self.data.0.clone();
        }
        format!("{TAG}{}.{}", self.issuer.label(), self.data.0)
    }

    /// The bare signature, if `issuer` made it: all that a provider may be sent.
    pub(crate) fn for_issuer(&self, issuer: Issuer) -> Option<&str> {
        (self.issuer == issuer).then_some(self.data.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_signature_comes_back_as_its_issuers() {
        let gemini = Signature::new(Issuer::Gemini, "ab.c=");
        let travelling = gemini.write(Issuer::Anthropic);
        assert_eq!(travelling, "tp1.gemini.ab.c=");
        let back = Signature::read(Issuer::Anthropic, &travelling);
        assert_eq!(back, gemini);
        assert_eq!(back.for_issuer(Issuer::Gemini), Some("ab.c="));
        assert_eq!(back.for_issuer(Issuer::Anthropic), None);
    }

    #[test]
    fn a_native_signature_is_bare() {
        let own = Signature::read(Issuer::Anthropic, "EqMB");
        assert_eq!(own.issuer, Issuer::Anthropic);
        assert_eq!(own.write(Issuer::Anthropic), "EqMB");
        let odd = Signature::read(Issuer::OpenAi, "tp1.nobody.x");
        assert_eq!((odd.issuer, odd.data.0.as_str()), (Issuer::OpenAi, "tp1.nobody.x"));
    }
}
