//! How a binding is shown: what is in force, what was, and what its policies did. Money as decimal
//! text, times as RFC 3339; never content.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnpike_ledger::PicoUsd;

use super::super::error::ApiError;
use super::super::text::{rfc3339, rfc3339_opt};
use super::super::{AdminParts, Observed};
use super::Place;
use crate::policy::{Ability, Compared, FailureKind};
use crate::store::{BindingRecord, Hook, InstanceLife, LinkRecord, Mode, Scope};

/// Where the owner leaves it to the host how long instances live.
pub(super) const AUTOMATIC: &str = "automatic";

#[derive(Serialize)]
pub(super) struct Shown {
    hook: &'static str,
    scope: String,
    /// `name@version`; none for the built-in.
    plugin: Option<String>,
    builtin: bool,
    digest: Option<String>,
    mode: &'static str,
    percent: u8,
    config: Option<Box<RawValue>>,
    /// All of them, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plugins: Vec<ShownLink>,
    instances: &'static str,
    on_failure: &'static str,
    deadline_ms: u32,
    revision: Option<u64>,
    restores: Option<u64>,
    bound_at: Option<String>,
}

#[derive(Serialize)]
struct ShownLink {
    plugin: String,
    digest: String,
    config: Option<Box<RawValue>>,
}

fn raw(config: Option<&String>) -> Option<Box<RawValue>> {
    config.and_then(|text| RawValue::from_string(text.clone()).ok())
}

fn name(link: &LinkRecord) -> String {
    format!("{}@{}", link.plugin, link.version)
}

// === impl Shown ===

impl Shown {
    pub(super) fn of(binding: &BindingRecord) -> Self {
        let link = |link: &LinkRecord| ShownLink {
            plugin: name(link),
            digest: link.digest.clone(),
            config: raw(link.config.as_ref()),
        };
        let several = !binding.then.is_empty();
        Self {
            hook: binding.hook.label(),
            scope: binding.scope.label(),
            plugin: Some(name(&binding.first)),
            builtin: false,
            digest: Some(binding.first.digest.clone()),
            mode: binding.mode.label(),
            percent: binding.percent,
            config: raw(binding.first.config.as_ref()),
            plugins: if several { binding.links().map(link).collect() } else { Vec::new() },
            instances: binding.instances.map_or(AUTOMATIC, InstanceLife::label),
            on_failure: binding.on_failure.label(),
            deadline_ms: binding.deadline_ms,
            revision: Some(binding.revision),
            restores: binding.restores,
            bound_at: rfc3339_opt(Some(binding.bound_at_ms)),
        }
    }

    fn builtin(hook: Hook) -> Self {
        Self {
            hook: hook.label(),
            scope: Scope::Organization.label(),
            plugin: None,
            builtin: true,
            digest: None,
            mode: Mode::Active.label(),
            percent: 100,
            config: None,
            plugins: Vec::new(),
            instances: InstanceLife::Fresh.label(),
            on_failure: hook.default_on_failure().label(),
            deadline_ms: hook.default_deadline_ms(),
            revision: None,
            restores: None,
            bound_at: None,
        }
    }
}

/// What stands at a place, in one object: the active binding's fields, and the others beside it.
pub(super) fn short(place: &Place, bound: &[BindingRecord]) -> Value {
    let find = |mode: Mode| {
        let here = |one: &&BindingRecord| {
            one.hook == place.hook && one.scope == place.scope && one.mode == mode
        };
        bound.iter().find(here).map(Shown::of)
    };
    let active = match (find(Mode::Active), &place.scope) {
        (Some(active), _) => json!(active),
        (None, Scope::Organization) => json!(Shown::builtin(place.hook)),
        // A wider scope decides.
        (None, scope) => json!({
            "hook": place.hook.label(), "scope": scope.label(), "plugin": null, "builtin": false,
            "mode": Mode::Active.label(), "revision": null,
        }),
    };
    let mut shown = active;
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("canary".to_owned(), json!(find(Mode::Canary)));
        fields.insert("shadow".to_owned(), json!(find(Mode::Shadow)));
    }
    shown
}

/// The same with statistics and history.
pub(super) fn long(
    parts: &AdminParts,
    place: &Place,
    bound: &[BindingRecord],
) -> Result<Value, ApiError> {
    let mut shown = short(place, bound);
    let mut history = Vec::new();
    for mode in Mode::ALL {
        history.extend(parts.store.binding_history(&place.org, place.hook, &place.scope, mode)?);
    }
    history.sort_by_key(|one| std::cmp::Reverse(one.revision));
    let statistics_of = |value: Option<&Value>| {
        let revision = value?.get("revision")?.as_u64()?;
        let observed = parts.bindings.observed(&place.org, revision);
        (!observed.is_empty()).then(|| statistics(&observed))
    };
    let own = statistics_of(Some(&shown));
    for mode in [Mode::Canary, Mode::Shadow] {
        let of_mode = statistics_of(shown.get(mode.label()));
        let fields = shown.get_mut(mode.label()).and_then(Value::as_object_mut);
        if let Some(fields) = fields {
            fields.insert("statistics".to_owned(), json!(of_mode));
        }
    }
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("statistics".to_owned(), json!(own));
        let history: Vec<Shown> = history.iter().map(Shown::of).collect();
        fields.insert("history".to_owned(), json!(history));
    }
    Ok(shown)
}

/// Of the first policy; those that follow it in a chain are in `then`.
fn statistics(observed: &[Observed]) -> Value {
    let mut shown = Value::Null;
    let mut then = Vec::new();
    for (at, one) in observed.iter().enumerate() {
        match at {
            0 => shown = of_one(one),
            _ => then.push(of_one(one)),
        }
    }
    if let (Some(fields), false) = (shown.as_object_mut(), then.is_empty()) {
        fields.insert("then".to_owned(), json!(then));
    }
    shown
}

fn of_one(observed: &Observed) -> Value {
    let Observed { tally, suspension, stand_in, lacks, idle_instances } = observed;
    let life = idle_instances.map_or(InstanceLife::Fresh, |_| InstanceLife::Warm);
    let decides = stand_in.as_ref().map(|it| json!({"plugin": it.label, "revision": it.revision}));
    // To abstain is an answer: the default decides, and nothing has failed.
    let abstained = FailureKind::Abstained.label();
    let (answers, failures): (Vec<_>, Vec<_>) =
        tally.failures.iter().partition(|(kind, _)| *kind == abstained);
    let failures: serde_json::Map<String, Value> =
        failures.into_iter().map(|(kind, count)| ((*kind).to_owned(), json!(count))).collect();
    let abstained: u64 = answers.into_iter().map(|(_, count)| count).sum();
    json!({
        "calls": tally.calls,
        "failures": failures,
        "abstained": abstained,
        "fallbacks": tally.fallbacks,
        "p50_us": tally.p50_us,
        "p99_us": tally.p99_us,
        "instances": json!({"life": life.label(), "idle": idle_instances.unwrap_or(0)}),
        "suspended": suspension.as_ref().map(|why| json!({
            "until": rfc3339(why.until_ms),
            "because": why.because,
            "decides": decides,
        })),
        "ungranted": lacks.iter().map(Ability::label).collect::<Vec<_>>(),
        "compared": (tally.compared != Compared::default()).then(|| compared(&tally.compared)),
    })
}

/// What the tried one costs more, as decimal text; with a minus what it costs less.
pub(in crate::admin) fn difference(current_pico: u128, tried_pico: u128) -> String {
    let usd = |pico: u128| PicoUsd(pico).to_string();
    match tried_pico.checked_sub(current_pico) {
        Some(more) => usd(more),
        None => format!("-{}", usd(current_pico.saturating_sub(tried_pico))),
    }
}

fn compared(compared: &Compared) -> Value {
    let calls = compared.calls;
    // For a person to look at; the exact counts stand beside it.
    let share = |part: u64| {
        let permille = part.saturating_mul(1_000).checked_div(calls)?;
        u32::try_from(permille).ok().map(|permille| f64::from(permille) / 1_000.0)
    };
    let mean = u32::try_from(calls).ok().filter(|calls| *calls > 0);
    let mean = mean.map(|calls| compared.score_difference / f64::from(calls));
    let usd = |pico: u128| PicoUsd(pico).to_string();
    let (current, tried) = (compared.current_pico, compared.tried_pico);
    let difference = difference(current, tried);
    let examples: Vec<Value> = compared
        .examples
        .iter()
        .rev()
        .map(|one| {
            json!({"request": one.request, "at": rfc3339(one.at_ms), "current": one.current,
                "tried": one.tried})
        })
        .collect();
    json!({
        "calls": calls,
        "agreed": compared.agreed,
        "agreement": share(compared.agreed),
        "failed": compared.failed,
        "left_out": compared.left_out,
        "score_difference": mean,
        "cost_current_usd": usd(current),
        "cost_tried_usd": usd(tried),
        "cost_difference_usd": difference,
        "examples": examples,
    })
}
