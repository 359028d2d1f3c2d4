//! A policy as the API shows it: what it is, what was checked, and where it comes from.

use serde::Serialize;

use super::super::AdminParts;
use super::super::signatures;
use super::super::text::rfc3339;
use crate::store::{Organization, PluginCheck, PluginFigures, PluginRecord};

#[derive(Serialize)]
pub(super) struct ShownCheck {
    name: String,
    passed: bool,
    detail: String,
}

impl From<PluginCheck> for ShownCheck {
    fn from(check: PluginCheck) -> Self {
        Self { name: check.name, passed: check.passed, detail: check.detail }
    }
}

#[derive(Serialize)]
pub(super) struct Shown {
    name: String,
    version: String,
    digest: String,
    size_bytes: u64,
    interfaces: Vec<String>,
    checks: Vec<ShownCheck>,
    figures: Option<ShownFigures>,
    uploaded_at: String,
    provenance: ShownProvenance,
}

/// Where a component comes from, beside `uploaded_at`.
#[derive(Serialize)]
struct ShownProvenance {
    uploaded_by: Option<String>,
    /// Where it was pulled from; none if it was sent.
    source: Option<String>,
    signature: Option<ShownSignature>,
}

#[derive(Serialize)]
struct ShownSignature {
    key: String,
    key_name: String,
    trusted_by: String,
    verified_at: String,
    /// Whether the key is on a list now.
    trusted: bool,
    signature: String,
}

/// Microseconds and bytes at admission.
#[derive(Serialize)]
struct ShownFigures {
    start_us: u32,
    fresh_us: u32,
    warm_us: u32,
    memory_bytes: u64,
}

impl From<PluginFigures> for ShownFigures {
    fn from(figures: PluginFigures) -> Self {
        let PluginFigures { start_us, fresh_us, warm_us, memory_bytes } = figures;
        Self { start_us, fresh_us, warm_us, memory_bytes }
    }
}

impl Shown {
    /// As it is shown now: whether its signature is trusted depends on the lists of keys.
    pub(super) fn of(parts: &AdminParts, org: &Organization, plugin: PluginRecord) -> Self {
        let trusted = signatures::is_trusted(&parts.signatures, org, &plugin);
        let signature = plugin.signature.map(|it| ShownSignature {
            key: it.key,
            key_name: it.key_name,
            trusted_by: it.trusted_by,
            verified_at: rfc3339(it.verified_at_ms),
            trusted,
            signature: it.text,
        });
        Self {
            name: plugin.name,
            version: plugin.version,
            digest: plugin.digest,
            size_bytes: plugin.size_bytes,
            interfaces: plugin.interfaces,
            checks: plugin.checks.into_iter().map(ShownCheck::from).collect(),
            figures: plugin.figures.map(ShownFigures::from),
            uploaded_at: rfc3339(plugin.uploaded_at_ms),
            provenance: ShownProvenance {
                uploaded_by: plugin.uploaded_by,
                source: plugin.source,
                signature,
            },
        }
    }
}
