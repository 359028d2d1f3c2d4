//! The component of `classify-default`; the decision itself is in that crate.

#[cfg(target_arch = "wasm32")]
use classify_default::ClassifyDefault;

turnpike_policy_sdk::export_classifier!(ClassifyDefault);
