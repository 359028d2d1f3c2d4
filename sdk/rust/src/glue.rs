//! Between the generated bindings and the plain traits: converts values, keeps the one policy of
//! the instance, and logs a panic before it traps. Decides nothing. Used by the `export_*!`
//! macros; not an interface of its own.

use std::cell::RefCell;
use std::sync::Once;
use std::thread::LocalKey;

pub use turnpike_biller_world as biller;
pub use turnpike_classifier_world as classifier;
pub use turnpike_policy_world as policy;
pub use turnpike_redactor_world as redactor;
pub use turnpike_router_world as router;

use crate::Plugin;
use crate::ambient::log;
use crate::types::{Classification, Level, Refusal, Value};
use policy::turnpike::policy::types as wire;

/// The policy of this instance, made on first use.
pub type Slot<P> = RefCell<Option<P>>;

static PANIC_HOOK: Once = Once::new();

/// Runs `work` on the instance's policy. The host never enters an instance twice at a time.
pub fn enter<P: Plugin, R>(slot: &'static LocalKey<Slot<P>>, work: impl FnOnce(&mut P) -> R) -> R {
    log_panics();
    slot.with(|slot| work(slot.borrow_mut().get_or_insert_with(P::default)))
}

/// A panic ends in a trap, which says nothing; the line in the log says where it was.
pub fn log_panics() {
    PANIC_HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| log(Level::Error, &info.to_string())));
    });
}

/// To the wire.
#[must_use]
pub fn refusal(refusal: Refusal) -> wire::Refusal {
    match refusal {
        Refusal::Abstain => wire::Refusal::Abstain,
        Refusal::Invalid(why) => wire::Refusal::Invalid(why),
        Refusal::Internal(why) => wire::Refusal::Internal(why),
    }
}

/// To the wire.
#[must_use]
pub fn attrs_out(attrs: Vec<(String, Value)>) -> Vec<(String, wire::Value)> {
    let value = |value| match value {
        Value::Text(text) => wire::Value::Text(text),
        Value::Number(number) => wire::Value::Number(number),
        Value::Flag(flag) => wire::Value::Flag(flag),
    };
    attrs.into_iter().map(|(name, it)| (name, value(it))).collect()
}

/// From the wire.
#[must_use]
pub fn attrs_in(attrs: Vec<(String, wire::Value)>) -> Vec<(String, Value)> {
    let value = |value| match value {
        wire::Value::Text(text) => Value::Text(text),
        wire::Value::Number(number) => Value::Number(number),
        wire::Value::Flag(flag) => Value::Flag(flag),
    };
    attrs.into_iter().map(|(name, it)| (name, value(it))).collect()
}

/// To the wire.
#[must_use]
pub fn classification_out(it: Classification) -> wire::Classification {
    wire::Classification {
        task: it.task,
        difficulty: it.difficulty,
        confidence: it.confidence,
        needs: it.needs,
        context_tokens: it.context_tokens,
        attrs: attrs_out(it.attrs),
    }
}

/// From the wire.
#[must_use]
pub fn classification_in(it: wire::Classification) -> Classification {
    Classification {
        task: it.task,
        difficulty: it.difficulty,
        confidence: it.confidence,
        needs: it.needs,
        context_tokens: it.context_tokens,
        attrs: attrs_in(it.attrs),
    }
}

/// Implements the world's `plugin` export.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_plugin {
    ($policy:ty, $world:ident) => {
        impl $crate::glue::$world::exports::turnpike::policy::plugin::Guest for Component {
            fn describe() -> $crate::glue::$world::exports::turnpike::policy::plugin::Manifest {
                $crate::glue::log_panics();
                let it = <$policy as $crate::Plugin>::manifest();
                $crate::glue::$world::exports::turnpike::policy::plugin::Manifest {
                    name: it.name,
                    version: it.version,
                    summary: it.summary,
                    config_schema: it.config_schema,
                }
            }

            fn configure(config: String) -> Result<(), String> {
                $crate::glue::enter(&POLICY, |it| $crate::Plugin::configure(it, &config))
            }
        }
    };
}

/// Implements the world's `classify` export.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_classify {
    ($policy:ty, $world:ident) => {
        const _: () = {
            use $crate::glue::$world::exports::turnpike::policy::classify as wire;
            impl wire::Guest for Component {
                fn classify() -> Result<wire::Classification, wire::Refusal> {
                    $crate::glue::enter(&POLICY, |it| {
                        <$policy as $crate::Classify>::classify(it, &$crate::Ambient)
                            .map($crate::glue::classification_out)
                            .map_err($crate::glue::refusal)
                    })
                }
            }
        };
    };
}

/// Implements the world's `route` and `route-reasons` exports.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_route {
    ($policy:ty, $world:ident) => {
        const _: () = {
            use $crate::glue::$world::exports::turnpike::policy::{route as wire, route_reasons};
            impl wire::Guest for Component {
                fn score(
                    task: wire::Classification,
                    figures: wire::Figures,
                    objective: wire::Objective,
                ) -> Result<Vec<f64>, wire::Refusal> {
                    let task = $crate::glue::classification_in(task);
                    let figures = $crate::Figures {
                        quality: figures.quality,
                        cost_usd: figures.cost_usd,
                        cost_worst_usd: figures.cost_worst_usd,
                        first_token_ms: figures.first_token_ms,
                        first_token_p95_ms: figures.first_token_p95_ms,
                        tokens_per_second: figures.tokens_per_second,
                        availability: figures.availability,
                        in_flight: figures.in_flight,
                        marks: figures.marks,
                    };
                    let objective = $crate::Objective {
                        profile: objective.profile,
                        quality_floor: objective.quality_floor,
                        cost_ceiling_usd: objective.cost_ceiling_usd,
                        first_token_ceiling_ms: objective.first_token_ceiling_ms,
                    };
                    $crate::glue::enter(&POLICY, |it| {
                        $crate::Route::score(it, &task, &figures, &objective, &$crate::Ambient)
                            .map_err($crate::glue::refusal)
                    })
                }
            }
            impl route_reasons::Guest for Component {
                fn reason(index: u32) -> String {
                    $crate::glue::enter(&POLICY, |it| <$policy as $crate::Route>::reason(it, index))
                }
            }
        };
    };
}

/// Implements the world's `redact` export.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_redact {
    ($policy:ty, $world:ident) => {
        const _: () = {
            use $crate::glue::$world::exports::turnpike::policy::redact as wire;
            fn span(span: $crate::Span) -> wire::Span {
                wire::Span {
                    start: span.start,
                    length: span.length,
                    kind: span.kind,
                    action: match span.action {
                        $crate::Action::Note => wire::Action::Note,
                        $crate::Action::Mask => wire::Action::Mask,
                        $crate::Action::Pseudonymize => wire::Action::Pseudonymize,
                        $crate::Action::Replace(text) => wire::Action::Replace(text),
                        $crate::Action::Block(why) => wire::Action::Block(why),
                    },
                }
            }
            impl wire::Guest for Component {
                fn scan(
                    place: wire::Place,
                    text: String,
                    last: bool,
                ) -> Result<wire::Findings, wire::Refusal> {
                    let place = $crate::Place {
                        direction: place.direction,
                        channel: place.channel,
                        role: place.role,
                    };
                    $crate::glue::enter(&POLICY, |it| {
                        <$policy as $crate::Redact>::scan(it, &place, &text, last)
                            .map(|found| wire::Findings {
                                spans: found.spans.into_iter().map(span).collect(),
                                hold: found.hold,
                                data_class: found.data_class,
                            })
                            .map_err($crate::glue::refusal)
                    })
                }
            }
        };
    };
}

/// Implements the world's `bill` export.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_bill {
    ($policy:ty, $world:ident) => {
        const _: () = {
            use $crate::glue::$world::exports::turnpike::policy::bill as wire;
            fn quantity(it: wire::Quantity) -> $crate::Quantity {
                $crate::Quantity { item: it.item, count: it.count, unit_price: it.unit_price }
            }
            fn line(it: $crate::Line) -> wire::Line {
                wire::Line {
                    item: it.item,
                    count: it.count,
                    unit_price: it.unit_price,
                    amount: it.amount,
                    note: it.note,
                }
            }
            impl wire::Guest for Component {
                fn price(call: wire::Call) -> Result<Vec<wire::Line>, wire::Refusal> {
                    let call = $crate::BillCall {
                        task: call.task,
                        offer: call.offer,
                        quantities: call.quantities.into_iter().map(quantity).collect(),
                        settled: call.settled,
                        attrs: $crate::glue::attrs_in(call.attrs),
                    };
                    $crate::glue::enter(&POLICY, |it| {
                        <$policy as $crate::Bill>::price(it, &call)
                            .map(|lines| lines.into_iter().map(line).collect())
                            .map_err($crate::glue::refusal)
                    })
                }
            }
        };
    };
}
