//! `/orgs/{org}/policy-grants`: what the organization's policies may import beside the request and
//! their log. Nothing by default. A change is in force for the next request; policies whose import
//! is withdrawn stay bound and fail, until it is granted again.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;
use super::extract::JsonBody;
use crate::policy::{Abilities, Ability, HostRule};
use crate::store::Organization;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    /// All that is granted from now on.
    imports: Vec<String>,
    /// The hosts that may be asked, with `fetch`.
    #[serde(default)]
    fetch_hosts: Vec<String>,
}

/// Hosts of one organization: each is compared with each address that is asked.
const HOSTS_MAX: usize = 64;

fn shown(org: &Organization) -> Value {
    let grantable: Vec<&str> = Ability::ALL.into_iter().map(Ability::label).collect();
    json!({
        "imports": org.policy_imports,
        "fetch_hosts": org.fetch_hosts,
        "grantable": grantable,
    })
}

/// The abilities of these names; the error names the one that there is not.
fn read(names: &[String]) -> Result<Abilities, ApiError> {
    let mut granted = Abilities::default();
    for (at, name) in names.iter().enumerate() {
        let Some(ability) = Ability::from_label(name) else {
            let known = Abilities::all().names();
            let message = format!("{name:?} can't be granted; what can: {known}");
            return Err(ApiError::invalid(format!("imports.{at}"), message));
        };
        granted.insert(ability);
    }
    Ok(granted)
}

/// The hosts that may be asked; the error names the one that is none.
fn hosts(names: &[String], granted: Abilities) -> Result<Vec<HostRule>, ApiError> {
    let asks = granted.has(Ability::Fetch);
    if names.is_empty() == asks || names.len() > HOSTS_MAX {
        let message = format!(
            "with \"fetch\" among the imports name 1 to {HOSTS_MAX} hosts that may be asked, \
             without it none"
        );
        return Err(ApiError::invalid("fetch_hosts", message));
    }
    let rule = |(at, name): (usize, &String)| {
        HostRule::parse(name).ok_or_else(|| {
            let message = format!(
                "{name:?} is no host; like api.example.com, *.example.com or \
                 api.example.com:8443, and never a whole top-level domain"
            );
            ApiError::invalid(format!("fetch_hosts.{at}"), message)
        })
    };
    names.iter().enumerate().map(rule).collect()
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state.reading(move |parts| Ok(Json(shown(&parts.store.org(&org)?)).into_response())).await
}

pub(super) async fn put(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    JsonBody(input): JsonBody<Put>,
) -> Result<Response, ApiError> {
    let granted = read(&input.imports)?;
    let rules = hosts(&input.fetch_hosts, granted)?;
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            // In one order and each once, however they were sent.
            org.policy_imports = granted.iter().map(|one| one.label().to_owned()).collect();
            org.fetch_hosts = input.fetch_hosts;
            parts.store.update_org(&org)?;
            parts.bindings.hosts_named(&org.id, rules);
            parts.bindings.granted(&org.id, Some(granted));
            Ok(Json(shown(&org)).into_response())
        })
        .await
}
