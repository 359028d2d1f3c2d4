//! How a cloud is signed in to: keys of an account, where one key in a header does not do. The
//! secrets are references, as everywhere in the configuration.

use serde::Deserialize;

use super::SecretRef;

/// `providers.NAME.aws`: each request is signed with these keys (Signature Version 4).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsCredentials {
    /// As `AWS_ACCESS_KEY_ID` has it.
    pub access_key_id: SecretRef,
    /// As `AWS_SECRET_ACCESS_KEY` has it.
    pub secret_access_key: SecretRef,
    /// Of a role's keys, which have an end: as `AWS_SESSION_TOKEN` has it. Default none.
    #[serde(default)]
    pub session_token: Option<SecretRef>,
    /// Default: the one in `base_url`.
    #[serde(default)]
    pub region: Option<String>,
}

/// `providers.NAME.google`: a service account's key file is exchanged for tokens, which are renewed
/// before they end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleCredentials {
    /// The file as Google gives it out: `file:PATH`, or the JSON in a variable.
    pub service_account: SecretRef,
    /// Where tokens are given out. Default: what the file says.
    #[serde(default)]
    pub token_url: Option<String>,
}
