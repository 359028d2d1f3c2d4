//! The component of `redact-default`; the decision itself is in that crate.

#[cfg(target_arch = "wasm32")]
use redact_default::RedactDefault;

turnpike_policy_sdk::export_redactor!(RedactDefault);
