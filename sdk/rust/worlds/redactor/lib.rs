//! What wit-bindgen makes of the exports of the world `redactor`; the imports are those of the
//! world `policy`. Nothing is written by hand.
#![cfg(target_arch = "wasm32")]
#![allow(unsafe_code, reason = "generated code lifts and lowers through raw memory")]
#![allow(warnings, clippy::all, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../../../wit/policy@0.1.0",
    world: "redactor",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "turnpike_redactor_world",
    with: {
        "turnpike:policy/types@0.1.0": turnpike_policy_world::turnpike::policy::types,
        "turnpike:policy/log@0.1.0": turnpike_policy_world::turnpike::policy::log,
        "turnpike:policy/request@0.1.0": turnpike_policy_world::turnpike::policy::request,
        "turnpike:policy/counters@0.1.0": turnpike_policy_world::turnpike::policy::counters,
        "turnpike:policy/state@0.1.0": turnpike_policy_world::turnpike::policy::state,
        "turnpike:policy/clock@0.1.0": turnpike_policy_world::turnpike::policy::clock,
        "turnpike:policy/random@0.1.0": turnpike_policy_world::turnpike::policy::random,
        "turnpike:policy/catalog@0.1.0": turnpike_policy_world::turnpike::policy::catalog,
        "turnpike:policy/fetch@0.1.0": turnpike_policy_world::turnpike::policy::fetch,
    },
});
