//! The component of `bill-default`; the decision itself is in that crate.

#[cfg(target_arch = "wasm32")]
use bill_default::BillDefault;

turnpike_policy_sdk::export_biller!(BillDefault);
