//! The `export_*!` macros: one line that makes a component of a policy type. Outside of wasm32
//! they expand to nothing, so that the same crate builds and tests natively.

/// The component of a type that implements [`crate::Plugin`] and [`crate::Classify`].
#[macro_export]
macro_rules! export_classifier {
    ($policy:ty) => {
        $crate::__export_world!($policy, classifier, [classify]);
    };
}

/// The component of a type that implements [`crate::Plugin`] and [`crate::Route`].
#[macro_export]
macro_rules! export_router {
    ($policy:ty) => {
        $crate::__export_world!($policy, router, [route]);
    };
}

/// The component of a type that implements [`crate::Plugin`] and [`crate::Redact`].
#[macro_export]
macro_rules! export_redactor {
    ($policy:ty) => {
        $crate::__export_world!($policy, redactor, [redact]);
    };
}

/// The component of a type that implements [`crate::Plugin`] and [`crate::Bill`].
#[macro_export]
macro_rules! export_biller {
    ($policy:ty) => {
        $crate::__export_world!($policy, biller, [bill]);
    };
}

/// The component of a type that implements [`crate::Plugin`] and all four decisions.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        $crate::__export_world!($policy, policy, [classify, route, redact, bill]);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_world {
    ($policy:ty, $world:ident, [$($decision:ident),+]) => {
        #[cfg(target_arch = "wasm32")]
        mod turnpike_component {
            #![allow(unsafe_code, reason = "a component's entry points are raw by nature")]
            use super::*;

            struct Component;

            std::thread_local! {
                static POLICY: $crate::glue::Slot<$policy> =
                    const { std::cell::RefCell::new(None) };
            }

            $crate::__export_plugin!($policy, $world);
            $($crate::__export_decision!($decision, $policy, $world);)+
            $crate::glue::$world::export_component!(Component with_types_in $crate::glue::$world);
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_decision {
    (classify, $policy:ty, $world:ident) => {
        $crate::__export_classify!($policy, $world);
    };
    (route, $policy:ty, $world:ident) => {
        $crate::__export_route!($policy, $world);
    };
    (redact, $policy:ty, $world:ident) => {
        $crate::__export_redact!($policy, $world);
    };
    (bill, $policy:ty, $world:ident) => {
        $crate::__export_bill!($policy, $world);
    };
}
