//! Taking a policy in: its signature is judged before anything looks into it, it is checked before
//! anything is stored, and stored before it is answered.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::super::access::Principal;
use super::super::error::ApiError;
use super::super::extract::{Params, parse_json, read_body};
use super::super::multipart;
use super::super::policy_limits::longest_deadline_ms;
use super::super::signatures;
use super::super::text::{check_id, check_version};
use super::super::{AdminParts, AdminState, Admitted, PolicyBounds, PullRefused};
use super::output::{Shown, ShownCheck};
use crate::clock;
use crate::policy::signature::digest_hex;
use crate::policy::{CASES_BYTES_MAX, SelfTest};
use crate::store::{PluginCheck, PluginRecord, PluginSignature};

/// Bytes of a form beside the component: cases, a configuration, the parts' heads.
const BESIDE_MAX: usize = CASES_BYTES_MAX + (512 << 10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct UploadParams {
    /// What it is to be called; what it calls itself, if absent.
    name: Option<String>,
    /// Its version; the one it names itself, if absent.
    version: Option<String>,
    /// Its signature, as `turnpike plugin sign` writes it.
    signature: Option<String>,
    /// The SHA-256 that its bytes should have, in hex.
    digest: Option<String>,
    /// Processor time of one call of its cases; the decision's usual one, if absent.
    case_deadline_ms: Option<u32>,
}

/// In place of a component: where it is to be had.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    /// `registry/repository@sha256:…`
    oci: String,
}

/// How a component comes.
enum Kind {
    /// It is the body.
    Plain,
    /// It is a part of a form with this boundary.
    Form(String),
    /// The body says where it is.
    Elsewhere,
}

/// Bytes of a body that says where a component is.
const ELSEWHERE_BYTES_MAX: usize = 4 << 10;

/// Who sends what: everything about an upload but its bytes.
struct Upload {
    org: String,
    by: Principal,
    params: UploadParams,
    cases: Option<SelfTest>,
    /// Where it was pulled from.
    source: Option<String>,
}

/// The parts of a body.
#[derive(Default)]
struct Sent {
    component: Bytes,
    cases: Option<Bytes>,
    config: Option<Bytes>,
    source: Option<String>,
}

pub(in crate::admin) async fn upload(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Extension(by): Extension<Principal>,
    Params(params): Params<UploadParams>,
    request: Request,
) -> Result<Response, ApiError> {
    if let Some(name) = &params.name {
        check_id("name", name)?;
    }
    if let Some(version) = &params.version {
        check_version("version", version)?;
    }
    let known = org.clone();
    let longest = state.reading(move |parts| longest_deadline_ms(parts, &known)).await?;
    if params.case_deadline_ms.is_some_and(|asked| !(1..=longest).contains(&asked)) {
        let message = format!("a deadline is 1 to {longest} milliseconds");
        return Err(ApiError::invalid("case_deadline_ms", message));
    }
    let kind = kind(request.headers())?;
    // Waits its turn before the body is read: those who wait hold no memory.
    let turn = state.admissions.clone().acquire_owned().await;
    let turn = turn.map_err(|cause| ApiError::internal("waiting for admission", &cause))?;
    let most = state.parts.bounds.component_bytes;
    let Sent { component: bytes, cases, config, source } = match kind {
        Kind::Form(boundary) => {
            let whole = most.saturating_add(BESIDE_MAX);
            form(&read_body(request.into_body(), whole).await?, &boundary)?
        }
        Kind::Plain => {
            Sent { component: read_body(request.into_body(), most).await?, ..Sent::default() }
        }
        Kind::Elsewhere => pulled(&state, request).await?,
    };
    if bytes.is_empty() {
        return Err(ApiError::bad_request("empty_body", "the body is empty; send the component"));
    }
    if bytes.len() > most {
        return Err(ApiError::too_large(most));
    }
    let cases = self_test(cases, config, params.case_deadline_ms)?;
    let upload = Upload { org, by, params, cases, source };
    let (plugin, bytes) = state
        .reading(move |parts| {
            // Kept until the work is done, also when the caller has hung up.
            let _turn = turn;
            Ok((check(parts, upload, &bytes)?, bytes))
        })
        .await?;
    state.changing(move |parts| keep(parts, &plugin, &bytes)).await
}

/// A component that is fetched from where the body says.
async fn pulled(state: &AdminState, request: Request) -> Result<Sent, ApiError> {
    let body = read_body(request.into_body(), ELSEWHERE_BYTES_MAX).await?;
    let Elsewhere { oci } = parse_json(&body)?;
    let component = state.parts.registries.pull(&oci).await.map_err(|refused| match refused {
        PullRefused::Reference(message) => ApiError::invalid("oci", message),
        PullRefused::Registry(message) => ApiError::unavailable("registry_failed", message),
    })?;
    Ok(Sent { component, source: Some(oci), ..Sent::default() })
}

/// By its content type.
fn kind(headers: &HeaderMap) -> Result<Kind, ApiError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match kind {
        None | Some("application/wasm" | "application/octet-stream") => Ok(Kind::Plain),
        Some("application/json") => Ok(Kind::Elsewhere),
        Some(kind) => match multipart::boundary(kind) {
            Some(boundary) => Ok(Kind::Form(boundary.to_owned())),
            None => {
                let message = "a plugin is uploaded as \"content-type: application/wasm\", or with \
                               its cases as multipart/form-data; or it is pulled: \
                               application/json with `oci`";
                Err(ApiError::bad_request("wrong_content_type", message))
            }
        },
    }
}

/// The parts of a form, each at most once.
fn form(body: &Bytes, boundary: &str) -> Result<Sent, ApiError> {
    let (mut component, mut cases, mut config) = (None, None, None);
    for (name, bytes) in multipart::parts(body, boundary)? {
        let place = match name.as_str() {
            "component" => &mut component,
            "cases" => &mut cases,
            "config" => &mut config,
            _ => {
                let message = "the parts are component, cases and config";
                return Err(ApiError::bad_request("broken_form", message));
            }
        };
        if place.replace(bytes).is_some() {
            let message = format!("the part {name} is there twice; send it once");
            return Err(ApiError::bad_request("broken_form", message));
        }
    }
    Ok(Sent { component: component.unwrap_or_default(), cases, config, source: None })
}

/// The cases as they are asked; their configuration is for those that have none.
fn self_test(
    cases: Option<Bytes>,
    config: Option<Bytes>,
    deadline_ms: Option<u32>,
) -> Result<Option<SelfTest>, ApiError> {
    let Some(cases) = cases else { return Ok(None) };
    let text = |field: &'static str, bytes: &Bytes| {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        text.map_err(|_| ApiError::invalid(field, "it is not text in UTF-8"))
    };
    let config = config.map(|bytes| text("config", &bytes)).transpose()?;
    if let Some(config) = &config
        && let Err(why) = serde_json::from_str::<serde::de::IgnoredAny>(config)
    {
        return Err(ApiError::invalid("config", format!("it is not JSON: {why}")));
    }
    let deadline = deadline_ms.map(|ms| Duration::from_millis(u64::from(ms)));
    let test = SelfTest::parse(&text("cases", &cases)?, config, deadline);
    test.map(Some).map_err(|why| ApiError::invalid("cases", why))
}

/// What the bytes come to, or why they are not taken. The signature and the digest come first: no
/// parser sees a byte that nobody vouches for.
fn check(parts: &AdminParts, upload: Upload, bytes: &[u8]) -> Result<PluginRecord, ApiError> {
    let org = parts.store.org(&upload.org)?;
    let digest = digest_hex(bytes);
    if let Some(expected) = &upload.params.digest
        && !expected.trim_start_matches("sha256:").eq_ignore_ascii_case(&digest)
    {
        let message = format!(
            "{} bytes with sha256 {digest} arrived: other bytes than were meant; send them again",
            bytes.len()
        );
        return Err(ApiError::refused("digest_mismatch", message).at("digest"));
    }
    let signature = upload.params.signature.as_deref();
    let signature = signatures::judge(&parts.signatures, &org, &digest, signature)?;
    let admitted =
        parts.admission.admit(&upload.org, bytes, upload.cases.as_ref()).map_err(not_admitted)?;
    record_of(upload, admitted, signature, bytes.len())
}

/// Stores what was checked, and answers with it.
fn keep(parts: &AdminParts, plugin: &PluginRecord, bytes: &[u8]) -> Result<Response, ApiError> {
    check_room(parts, plugin)?;
    let digest = parts.store.files().put(bytes)?;
    if digest != plugin.digest {
        return Err(ApiError::internal("storing the plugin", &"its digest changed"));
    }
    let created = parts.store.create_plugin(plugin)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    let kept = parts.store.plugin(&plugin.org, &plugin.name, &plugin.version)?;
    let org = parts.store.org(&plugin.org)?;
    Ok((status, Json(Shown::of(parts, &org, kept))).into_response())
}

/// Whether one more component fits; one that is there already takes no room.
fn check_room(parts: &AdminParts, plugin: &PluginRecord) -> Result<(), ApiError> {
    if parts.store.plugin(&plugin.org, &plugin.name, &plugin.version).is_ok() {
        return Ok(());
    }
    let PolicyBounds { components_per_org, components: all, .. } = parts.bounds;
    let limits = parts.store.org(&plugin.org)?.policy_limits;
    let own = limits.components.unwrap_or(components_per_org);
    let there = parts.store.plugins(&plugin.org, None, own.saturating_add(1))?.items.len();
    if there >= own {
        let message = format!(
            "{:?} has {there} components, at most {own} are kept (policy-limits, or \
             policy.components_per_org); delete old ones",
            plugin.org
        );
        return Err(ApiError::conflict("too_many_plugins", message));
    }
    let there = parts.store.plugin_count()?;
    if there >= all {
        let message = format!(
            "there are {there} components in this installation, at most {all} are kept \
             (policy.components); delete old ones"
        );
        return Err(ApiError::conflict("too_many_plugins", message));
    }
    Ok(())
}

fn record_of(
    upload: Upload,
    admitted: Admitted,
    signature: Option<PluginSignature>,
    size: usize,
) -> Result<PluginRecord, ApiError> {
    let Upload { org, by, params, source, .. } = upload;
    let mut checks = admitted.checks;
    let own = format!("{}@{}", admitted.name, admitted.version);
    let name = params.name.unwrap_or(admitted.name);
    let version = params.version.unwrap_or(admitted.version);
    // Its own name and version may be anything; what it is registered under may not.
    check_id("name", &name)?;
    check_version("version", &version)?;
    if own != format!("{name}@{version}") {
        let detail = format!("the component calls itself {own}");
        checks.push(PluginCheck { name: "name".to_owned(), passed: true, detail });
    }
    Ok(PluginRecord {
        org,
        name,
        version,
        digest: admitted.digest,
        size_bytes: u64::try_from(size).unwrap_or(u64::MAX),
        interfaces: admitted.interfaces,
        checks,
        figures: Some(admitted.figures),
        uploaded_by: Some(by.0.to_string()),
        source,
        signature,
        uploaded_at_ms: clock::now_ms(),
    })
}

fn not_admitted(checks: Vec<PluginCheck>) -> ApiError {
    let failed = checks.iter().find(|check| !check.passed);
    let reason = failed.map_or_else(String::new, |check| format!(": {}", check.detail));
    let checks: Vec<ShownCheck> = checks.into_iter().map(ShownCheck::from).collect();
    let message = format!("the component was not admitted{reason}");
    ApiError::refused("not_admitted", message).with(json!({"checks": checks}))
}
