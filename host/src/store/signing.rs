//! Whose signatures an organization trusts, and whose was found on a policy. Plain values, written
//! as they are; this room verifies nothing, and a secret key never comes here.

use serde::{Deserialize, Serialize};

/// What an organization asks of signatures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Signing {
    /// Whether its policies must be signed.
    #[serde(default)]
    pub required: bool,
    /// Whom it trusts, beside those whom the installation trusts; oldest first.
    #[serde(default)]
    pub keys: Vec<SigningKey>,
}

impl Signing {
    /// Whether there is nothing to write down.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A public key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// The key's id: 16 hex digits.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The public key as text.
    pub public_key: String,
    /// Who added it.
    pub added_by: String,
    /// Milliseconds since the Unix epoch.
    pub added_at_ms: u64,
}

/// A signature that was verified when its policy was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginSignature {
    /// The signature as text, so that it can be verified again.
    pub text: String,
    /// The id of the key that made it.
    pub key: String,
    /// What the key was called then.
    pub key_name: String,
    /// Who trusted the key then: `installation` or `organization`.
    pub trusted_by: String,
    /// Milliseconds since the Unix epoch.
    pub verified_at_ms: u64,
}
