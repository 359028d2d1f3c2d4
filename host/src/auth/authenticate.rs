//! Headers in, caller out. Clients put a key in several places, some in more than one at once
//! (an SDK's default and a setting of the user's): that is fine as long as they agree. Never logs
//! a header and never repeats one in an error.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, StatusCode};
use subtle::ConstantTimeEq;

use super::caller::Caller;
use super::directory::{Directory, Found};

/// Headers that carry a bare key, besides `Authorization: Bearer`.
static KEY_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-api-key"), HeaderName::from_static("x-goog-api-key")];

/// The longest credential that is looked at; a longer one can't be a key.
const CREDENTIAL_BYTES_MAX: usize = 512;

/// Why a request has no caller. The text is for the caller and never holds a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no credential at all.
    #[error(
        "no API key was sent; send it as \"Authorization: Bearer tp-…\", \"x-api-key: tp-…\" or \
         \"x-goog-api-key: tp-…\""
    )]
    Missing,
    /// A credential is there but has not the shape of one.
    #[error(
        "the credential is not a Turnpike key; send \"Authorization: Bearer tp-…\" with a key \
         made in this installation"
    )]
    Malformed,
    /// Two places carry different credentials.
    #[error(
        "the request carries different API keys in several headers; send one key, or the same \
         key everywhere (check the client's environment variables for an old one)"
    )]
    Conflicting,
    /// No such key.
    #[error("this API key is not known here; check it for typing errors or ask for a new one")]
    Unknown,
    /// A rotation took its place, and its grace is over.
    #[error(
        "this API key was rotated, and this secret of it no longer works; use the new one, or ask \
         the administrator of your organization for it"
    )]
    Rotated,
    /// Switched off.
    #[error("this API key is switched off; ask the administrator of your organization")]
    Disabled,
    /// Past its time.
    #[error("this API key has expired; ask the administrator of your organization for a new one")]
    Expired,
}

// === impl AuthError ===

impl AuthError {
    /// 401 for all of them: a client that gets 403 would not ask for another key.
    pub fn status(self) -> StatusCode {
        StatusCode::UNAUTHORIZED
    }

    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing_api_key",
            Self::Malformed => "malformed_api_key",
            Self::Conflicting => "conflicting_api_keys",
            Self::Unknown => "invalid_api_key",
            Self::Rotated => "rotated_api_key",
            Self::Disabled => "disabled_api_key",
            Self::Expired => "expired_api_key",
        }
    }
}

/// Finds whose key the headers, or the URL's `key` parameter, carry, at a time in milliseconds
/// since the Unix epoch.
pub fn authenticate(
    headers: &HeaderMap,
    in_url: Option<&str>,
    directory: &Directory,
    now_ms: u64,
) -> Result<Arc<Caller>, AuthError> {
    recognise(headers, in_url, directory, now_ms).map(|found| found.caller)
}

/// The same, with what is known of the secret that was sent.
pub fn recognise(
    headers: &HeaderMap,
    in_url: Option<&str>,
    directory: &Directory,
    now_ms: u64,
) -> Result<Found, AuthError> {
    let key = one_key(headers, in_url)?;
    let found = directory.find(key).ok_or(AuthError::Unknown)?;
    let Found { caller, works_until_ms } = &found;
    if works_until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
        return Err(AuthError::Rotated);
    }
    if caller.disabled {
        return Err(AuthError::Disabled);
    }
    if caller.expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= now_ms) {
        return Err(AuthError::Expired);
    }
    Ok(found)
}

/// The one key that all credentials agree on.
fn one_key<'a>(headers: &'a HeaderMap, in_url: Option<&'a str>) -> Result<&'a str, AuthError> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let text = value.to_str().map_err(|_| AuthError::Malformed)?;
        let (scheme, key) = text.split_once(' ').ok_or(AuthError::Malformed)?;
        if scheme.eq_ignore_ascii_case("bearer") { Ok(key) } else { Err(AuthError::Malformed) }
    });
    let bare = KEY_HEADERS
        .iter()
        .flat_map(|name| headers.get_all(name))
        .map(|value| value.to_str().map_err(|_| AuthError::Malformed));
    let mut found: Option<&str> = None;
    for key in bearers.chain(bare).chain(in_url.map(Ok)) {
        let key = key?.trim();
        match found {
            // In constant time: the two may be somebody else's and the attacker's guess.
            Some(first) if bool::from(first.as_bytes().ct_eq(key.as_bytes())) => {}
            Some(_) => return Err(AuthError::Conflicting),
            None => found = Some(key),
        }
    }
    match found {
        None => Err(AuthError::Missing),
        Some(key) if key.is_empty() || key.len() > CREDENTIAL_BYTES_MAX => {
            Err(AuthError::Malformed)
        }
        Some(key) => Ok(key),
    }
}

#[cfg(test)]
mod tests;
