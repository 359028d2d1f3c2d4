//! What a caller may say about a binding, checked as far as it can be without loading a policy.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::error::ApiError;
use super::super::policy_limits::longest_deadline_ms;
use super::super::{AdminParts, Admitted};
use super::Place;
use super::output::AUTOMATIC;
use crate::clock;
use crate::json::Object;
use crate::store::{BindingRecord, Hook, InstanceLife, LinkRecord, Mode, OnFailure, PluginRecord};

/// Policies of a chain: each scans every text.
const CHAIN_MAX: usize = 4;
/// Bindings of one organization: a request looks at four scopes, but each is kept in memory.
const BINDINGS_MAX: usize = 400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    /// `name@version`; the name alone for a built-in.
    plugin: Option<String>,
    config: Option<Box<RawValue>>,
    /// Several, for redact, in place of `plugin` and `config`.
    plugins: Option<Vec<Object<PutLink>>>,
    pub(super) scope: Option<String>,
    mode: Option<String>,
    percent: Option<u8>,
    instances: Option<String>,
    on_failure: Option<String>,
    deadline_ms: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutLink {
    plugin: String,
    config: Option<Box<RawValue>>,
}

/// Which revision to bring back; the one before the present one, if absent.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Rollback {
    pub(super) revision: Option<u64>,
}

/// The mode of that name.
pub(super) fn mode(label: &str) -> Result<Mode, ApiError> {
    Mode::from_label(label).ok_or_else(|| {
        ApiError::invalid("mode", "the mode is \"active\", \"canary\" or \"shadow\"")
    })
}

/// The binding, and the names and versions among its policies that were uploaded.
pub(super) fn read(
    parts: &AdminParts,
    place: &Place,
    input: Put,
) -> Result<(BindingRecord, Vec<(String, String)>), ApiError> {
    let mode = input.mode.as_deref().map_or(Ok(Mode::Active), mode)?;
    let percent = percent(mode, input.percent)?;
    let asked = asked(place.hook, input.plugin, input.config, input.plugins)?;
    let mut uploaded = Vec::new();
    let mut links = Vec::with_capacity(asked.len());
    for (field, PutLink { plugin, config }) in asked {
        let named = named_plugin(parts, &place.org, place.hook, &plugin, &field)?;
        if named.uploaded {
            uploaded.push((named.link.plugin.clone(), named.link.version.clone()));
        }
        let config = config.map(|config| config.get().to_owned());
        links.push(LinkRecord { config, ..named.link });
    }
    let longest = longest_deadline_ms(parts, &place.org)?;
    let usual = || place.hook.default_deadline_ms().min(longest);
    let deadline_ms = input.deadline_ms.unwrap_or_else(usual);
    if !(1..=longest).contains(&deadline_ms) {
        let message = format!("a deadline is 1 to {longest} milliseconds");
        return Err(ApiError::invalid("deadline_ms", message));
    }
    if parts.store.bindings(&place.org)?.len() >= BINDINGS_MAX {
        let message = format!("there are {BINDINGS_MAX} bindings; delete those of old scopes");
        return Err(ApiError::conflict("too_many_bindings", message));
    }
    let mut links = links.into_iter();
    let Some(first) = links.next() else {
        return Err(ApiError::invalid("plugins", "name at least one"));
    };
    let binding = BindingRecord {
        org: place.org.clone(),
        hook: place.hook,
        scope: place.scope.clone(),
        mode,
        percent,
        first,
        then: links.collect(),
        instances: read_life(input.instances.as_deref())?,
        on_failure: read_on_failure(place.hook, input.on_failure.as_deref())?,
        deadline_ms,
        revision: parts.store.next_revision()?,
        restores: None,
        bound_at_ms: clock::now_ms(),
    };
    Ok((binding, uploaded))
}

/// The policies that are named, each with the field that names it.
fn asked(
    hook: Hook,
    plugin: Option<String>,
    config: Option<Box<RawValue>>,
    plugins: Option<Vec<Object<PutLink>>>,
) -> Result<Vec<(String, PutLink)>, ApiError> {
    match (plugin, plugins) {
        (Some(plugin), None) => Ok(vec![("plugin".to_owned(), PutLink { plugin, config })]),
        (None, Some(plugins)) => {
            let many = plugins.len();
            if config.is_some() {
                let message = "with plugins each has a config of its own; leave this out";
                return Err(ApiError::invalid("config", message));
            }
            if !(1..=CHAIN_MAX).contains(&many) {
                let message = format!("name 1 to {CHAIN_MAX} plugins");
                return Err(ApiError::invalid("plugins", message));
            }
            if many > 1 && hook != Hook::Redact {
                let message = format!("only redact takes several, {} takes one", hook.label());
                return Err(ApiError::invalid("plugins", message));
            }
            let named = plugins.into_iter().enumerate();
            let named = named.map(|(at, Object(link))| (format!("plugins.{at}.plugin"), link));
            Ok(named.collect())
        }
        (Some(_), Some(_)) => {
            Err(ApiError::invalid("plugins", "give either plugin or plugins, not both"))
        }
        (None, None) => {
            Err(ApiError::invalid("plugin", "plugin: it is missing; give name@version"))
        }
    }
}

/// What an earlier revision needs and the organization still has.
pub(super) fn still_there(
    parts: &AdminParts,
    earlier: &BindingRecord,
) -> Result<Vec<(String, String)>, ApiError> {
    let mut uploaded = Vec::new();
    for link in earlier.links() {
        let name = format!("{}@{}", link.plugin, link.version);
        match parts.store.plugin(&earlier.org, &link.plugin, &link.version) {
            Ok(plugin) if plugin.digest == link.digest => {
                uploaded.push((plugin.name, plugin.version));
            }
            _ if parts.admission.builtin(&link.plugin).is_some() => {}
            Ok(_) => {
                let message = format!("{name} has other content by now than it had then");
                return Err(ApiError::conflict("plugin_changed", message));
            }
            Err(_) => {
                let message = format!(
                    "revision {} needs {name}, which was deleted; upload it again",
                    earlier.revision
                );
                return Err(ApiError::conflict("plugin_deleted", message));
            }
        }
    }
    Ok(uploaded)
}

struct Named {
    link: LinkRecord,
    /// False for a built-in.
    uploaded: bool,
}

/// An uploaded plugin by name and version, or a built-in by its name alone. An upload of the same
/// name and version goes before the built-in.
fn named_plugin(
    parts: &AdminParts,
    org: &str,
    hook: Hook,
    named: &str,
    field: &str,
) -> Result<Named, ApiError> {
    let (name, version) = match named.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (named, None),
    };
    let stored = version.and_then(|version| parts.store.plugin(org, name, version).ok());
    let builtin = || {
        let own = parts.admission.builtin(name);
        own.filter(|own| version.is_none_or(|version| version == own.version))
    };
    let uploaded = stored.is_some();
    let (plugin, version, digest, interfaces) = match (stored, version) {
        (Some(PluginRecord { name, version, digest, interfaces, .. }), _) => {
            (name, version, digest, interfaces)
        }
        (None, version) => match builtin() {
            Some(Admitted { name, version, digest, interfaces, .. }) => {
                (name, version, digest, interfaces)
            }
            None => {
                let message = if version.is_some() {
                    format!(
                        "{named} is neither uploaded nor built in; upload it first, or look at \
                         GET plugins"
                    )
                } else {
                    "an uploaded plugin is named with its version, like my-router@1.2.0".to_owned()
                };
                return Err(ApiError::invalid(field, message));
            }
        },
    };
    if !interfaces.iter().any(|interface| interface == hook.label()) {
        let message =
            format!("{named} can't decide {}; it serves: {}", hook.label(), interfaces.join(", "));
        return Err(ApiError::invalid(field, message));
    }
    Ok(Named { link: LinkRecord { plugin, version, digest, config: None }, uploaded })
}

fn read_life(label: Option<&str>) -> Result<Option<InstanceLife>, ApiError> {
    let label = label.filter(|label| *label != AUTOMATIC);
    label
        .map(|label| {
            InstanceLife::from_label(label).ok_or_else(|| {
                let message = "instances is \"fresh\", \"warm\" or \"automatic\"";
                ApiError::invalid("instances", message)
            })
        })
        .transpose()
}

fn percent(mode: Mode, percent: Option<u8>) -> Result<u8, ApiError> {
    match (mode, percent) {
        (Mode::Active, None) | (Mode::Shadow, None) => Ok(100),
        (Mode::Canary | Mode::Shadow, Some(percent @ 1..=100)) => Ok(percent),
        (Mode::Canary, None) => Err(ApiError::invalid(
            "percent",
            "say of how many sessions in a hundred the canary decides",
        )),
        (Mode::Active, Some(_)) => Err(ApiError::invalid(
            "percent",
            "percent belongs to mode \"canary\" or \"shadow\"; leave it out",
        )),
        (_, Some(_)) => Err(ApiError::invalid("percent", "percent is 1 to 100")),
    }
}

fn read_on_failure(hook: Hook, label: Option<&str>) -> Result<OnFailure, ApiError> {
    let Some(label) = label else { return Ok(hook.default_on_failure()) };
    match OnFailure::from_label(label) {
        // Without a task, a score or a price a request goes on all the same: there is nothing that
        // could pass unseen, and nothing that would close.
        Some(OnFailure::Open | OnFailure::Closed) if hook != Hook::Redact => {
            let message = format!(
                "{label:?} is for redact only; use \"builtin\": the built-in policy decides"
            );
            Err(ApiError::invalid("on_failure", message))
        }
        Some(choice) => Ok(choice),
        None => Err(ApiError::invalid(
            "on_failure",
            "on_failure is \"builtin\", or for redact also \"open\" or \"closed\"",
        )),
    }
}
