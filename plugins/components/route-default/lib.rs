//! The component of `route-default`; the decision itself is in that crate.

#[cfg(target_arch = "wasm32")]
use route_default::RouteDefault;

turnpike_policy_sdk::export_router!(RouteDefault);
