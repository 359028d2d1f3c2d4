//! What wit-bindgen makes of the world `policy`: all four decisions, and every import. A crate of
//! its own because a crate can publish the export macros of one world only. Nothing is written by
//! hand.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "generated code lifts and lowers through raw memory")]
#![allow(warnings, clippy::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../../../wit/policy@0.1.0",
    world: "policy",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "turnpike_policy_world",
    generate_all,
});
