//! Whether a policy's signature is one that an organization trusts: by its own list of keys or the
//! installation's. Judged before anything looks into an upload, and again before it is bound.
//! Changes nothing.

use super::AdminParts;
use super::error::ApiError;
use crate::clock;
use crate::policy::signature::{PublicKey, SignatureError, verify_digest};
use crate::store::{Organization, PluginRecord, PluginSignature};

/// What the installation asks of every organization's policies.
#[derive(Debug, Clone, Default)]
pub struct SignaturePolicy {
    /// Whether they must be signed.
    pub required: bool,
    /// Whom every organization trusts.
    pub keys: Vec<PublicKey>,
}

/// A key of either list, as provenance tells of it.
struct Trusted {
    key: PublicKey,
    name: String,
    by: &'static str,
}

/// Whether the organization's policies must be signed.
pub(super) fn required(installation: &SignaturePolicy, org: &Organization) -> bool {
    installation.required || org.signing.required
}

/// Whether a stored policy may be put into force.
pub fn may_be_bound(
    installation: &SignaturePolicy,
    org: &Organization,
    plugin: &PluginRecord,
) -> bool {
    !required(installation, org) || is_trusted(installation, org, plugin)
}

/// Verifies the signature of an upload by the upload's digest, in lowercase hex. `None` where there
/// is no signature and none is required.
pub(super) fn judge(
    installation: &SignaturePolicy,
    org: &Organization,
    digest: &str,
    signature: Option<&str>,
) -> Result<Option<PluginSignature>, ApiError> {
    let trusted = trusted(installation, org);
    let Some(text) = signature else {
        if !required(installation, org) {
            return Ok(None);
        }
        let who = if installation.required { "this installation" } else { "the organization" };
        let message = format!(
            "{who} takes signed policies only: sign it with `turnpike plugin sign FILE --key KEY` \
             and push it with the .sig beside it, or upload it with ?signature=…; {}",
            whom(&trusted, &org.id)
        );
        return Err(ApiError::refused("signature_required", message).at("signature"));
    };
    let keys: Vec<PublicKey> = trusted.iter().map(|one| one.key.clone()).collect();
    let key = verify_digest(digest, text, &keys).map_err(|why| match &why {
        SignatureError::Form(_) => {
            let message = format!("the signature can't be read: {why}; in a URL, in one piece");
            ApiError::bad_request("bad_signature", message).at("signature")
        }
        SignatureError::UnknownKey(_) => {
            let message = format!("{why}; {}", whom(&trusted, &org.id));
            ApiError::refused("signature_refused", message).at("signature")
        }
        SignatureError::Wrong(_) => {
            let message = format!("{why}; what arrived has sha256 {digest}");
            ApiError::refused("signature_refused", message).at("signature")
        }
    })?;
    Ok(trusted.iter().find(|one| one.key == *key).map(|one| PluginSignature {
        text: text.trim().to_owned(),
        key: key.id(),
        key_name: one.name.clone(),
        trusted_by: one.by.to_owned(),
        verified_at_ms: clock::now_ms(),
    }))
}

/// Whether a stored policy has a signature that is trusted now: a key may have been taken off the
/// list since the upload.
pub(super) fn is_trusted(
    installation: &SignaturePolicy,
    org: &Organization,
    plugin: &PluginRecord,
) -> bool {
    let Some(signature) = &plugin.signature else { return false };
    let keys: Vec<PublicKey> = trusted(installation, org).into_iter().map(|one| one.key).collect();
    verify_digest(&plugin.digest, &signature.text, &keys).is_ok()
}

/// Refuses to put into force what is not signed where it must be. What is in force already stays:
/// a change of the rule must not take a policy away from requests.
pub(super) fn check_bindable(
    parts: &AdminParts,
    org: &str,
    uploaded: &[(String, String)],
) -> Result<(), ApiError> {
    let org = parts.store.org(org)?;
    let installation = &parts.signatures;
    for (name, version) in uploaded {
        let plugin = parts.store.plugin(&org.id, name, version)?;
        if may_be_bound(installation, &org, &plugin) {
            continue;
        }
        let why = match &plugin.signature {
            None => "is not signed".to_owned(),
            Some(signature) => {
                format!("is signed with key {}, which is not trusted any more", signature.key)
            }
        };
        let message = format!(
            "{name}@{version} {why}, and policies of {:?} must be: sign the same bytes and upload \
             them again with ?signature=…; {}",
            org.id,
            whom(&trusted(installation, &org), &org.id)
        );
        return Err(ApiError::conflict("not_signed", message));
    }
    Ok(())
}

/// The keys of both lists; the installation's first.
fn trusted(installation: &SignaturePolicy, org: &Organization) -> Vec<Trusted> {
    let installation = installation.keys.iter().map(|key| Trusted {
        key: key.clone(),
        name: "policy.trusted_keys".to_owned(),
        by: "installation",
    });
    // What can't be read any more is trusted by nobody.
    let own = org.signing.keys.iter().filter_map(|one| {
        let key = PublicKey::parse(&one.public_key).ok()?;
        Some(Trusted { key, name: one.name.clone(), by: "organization" })
    });
    installation.chain(own).collect()
}

/// The ids of the trusted keys, in words; or how to have one.
fn whom(trusted: &[Trusted], org: &str) -> String {
    if trusted.is_empty() {
        return format!("no key is trusted yet: POST /admin/v1/orgs/{org}/signing-keys adds one");
    }
    let ids: Vec<String> = trusted.iter().map(|one| one.key.id()).collect();
    format!("trusted are the keys {}", ids.join(", "))
}
