//! A secret is a type that cannot be printed: provider credentials, the operator token, the pepper.
//! `reveal` is called only where a secret goes onto the wire or into a hash.

use zeroize::Zeroizing;

/// A string that `Debug` and `Display` never show, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the string over.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The secret itself. Never log, store or format the result.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_never_shows_the_secret() {
        let shown = format!("{:?}", Secret::new("sk-canary".into()));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
