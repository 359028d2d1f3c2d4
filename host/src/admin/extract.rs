//! Reading requests: JSON bodies and query strings, with bounds, and with errors that name the
//! field by its whole path. An unknown field is an error: one that is accepted and not saved does
//! harm. So is null for what has no default: nothing would be done, and nobody told.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use bytes::Bytes;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::error::ApiError;
use crate::json::{self, Fault};

/// The longest JSON body: a binding's configuration is the largest thing anyone sends.
pub(super) const JSON_BODY_BYTES_MAX: usize = 256 * 1024;

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read_body(request.into_body(), JSON_BODY_BYTES_MAX).await?;
        parse_json(&bytes).map(Self)
    }
}

/// A JSON body that may be left out.
pub(super) struct OptionalJson<T>(pub(super) T);

impl<S: Send + Sync, T: Default + DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read_body(request.into_body(), JSON_BODY_BYTES_MAX).await?;
        match bytes.iter().all(u8::is_ascii_whitespace) {
            true => Ok(Self(T::default())),
            false => parse_json(&bytes).map(Self),
        }
    }
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read_body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    to_bytes(body, limit).await.map_err(|cause| {
        let cause = cause.into_inner();
        if cause.is::<http_body_util::LengthLimitError>() {
            ApiError::too_large(limit)
        } else {
            ApiError::bad_request("broken_body", "the body ended early; send it again")
        }
    })
}

/// Reads a JSON object.
pub(super) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let message = "the body is empty; send a JSON object, as with curl's -d '{…}'";
        return Err(ApiError::bad_request("empty_body", message));
    }
    json::read(bytes).map_err(refused)
}

/// Why a body is not taken.
pub(super) fn refused(fault: Fault) -> ApiError {
    let Fault { is_json, at, what } = fault;
    match at {
        Some(field) => {
            let message = format!("{field}: {what}");
            ApiError::invalid(field, message)
        }
        None if is_json => {
            ApiError::refused("invalid_field", format!("the body can't be used: {what}"))
        }
        None => ApiError::bad_request("malformed_json", format!("the body is not JSON: {what}")),
    }
}

/// A query string.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(&parts.uri)
    }
}

impl<T: DeserializeOwned> Params<T> {
    /// Those of an address.
    pub(super) fn of(uri: &http::Uri) -> Result<Self, ApiError> {
        let read = Query::try_from_uri(uri);
        let Query(params) = read.map_err(|cause| bad_query(&cause.body_text()))?;
        Ok(Self(params))
    }
}

/// What is wrong with a query string, by what the reader of them says: the parameter, where it
/// knows which, and a reason in Rust's words.
fn bad_query(said: &str) -> ApiError {
    let said = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(said);
    let (at, reason) = match said.split_once(": ") {
        Some((at, reason)) if !at.contains('`') => (Some(at), reason),
        _ => (None, said),
    };
    let (named, what) = json::words(reason);
    if let Some(name) = named {
        let message = format!("the query parameter {name}: {what}");
        return ApiError::bad_request("bad_query", message).at(name);
    }
    let Some(name) = at else {
        let message = format!("the query string can't be used: {what}");
        return ApiError::bad_request("bad_query", message);
    };
    let what = match reason {
        "provided string was not `true` or `false`" => "it is true or false",
        // All other values that are read are numbers.
        _ => "it is a whole number",
    };
    ApiError::invalid(name, format!("the query parameter {name}: {what}"))
}

/// Which page of a listing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    /// How many at most.
    pub(super) limit: Option<usize>,
    /// The `next` of the page before.
    pub(super) after: Option<String>,
}

/// Items in a page when nobody says how many.
const PAGE_ITEMS: usize = 100;

/// Items in a page at most.
const PAGE_ITEMS_MAX: usize = 500;

// === impl PageParams ===

impl PageParams {
    /// How many to return.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        page_limit(self.limit)
    }
}

/// How many to return, of what was asked for.
pub(super) fn page_limit(asked: Option<usize>) -> Result<usize, ApiError> {
    match asked {
        None => Ok(PAGE_ITEMS),
        Some(limit @ 1..=PAGE_ITEMS_MAX) => Ok(limit),
        Some(_) => Err(ApiError::invalid("limit", format!("limit is 1 to {PAGE_ITEMS_MAX}"))),
    }
}

/// What a PATCH makes of a field without a default: absent is as `before`, a value sets it. Where
/// nothing was before, as in a POST, there has to be a value.
pub(super) fn required<T>(
    field: &str,
    given: Option<Option<T>>,
    before: Option<T>,
) -> Result<T, ApiError> {
    match (given, before) {
        (Some(Some(value)), _) | (None, Some(value)) => Ok(value),
        (Some(None), Some(_)) => {
            let message = format!(
                "{field}: there is no default that null could bring back; leave it out to keep \
                 what it is"
            );
            Err(ApiError::invalid(field, message))
        }
        (Some(None) | None, None) => {
            Err(ApiError::invalid(field, format!("{field}: it is missing")))
        }
    }
}

/// The same of a field that null brings back to its default.
pub(super) fn or_default<T: Default>(given: Option<Option<T>>, before: T) -> T {
    given.map_or(before, Option::unwrap_or_default)
}

/// A value of such a field as what it means.
pub(super) fn meant<T, U>(
    given: Option<Option<T>>,
    read: impl FnOnce(T) -> Result<U, ApiError>,
) -> Result<Option<Option<U>>, ApiError> {
    given.map(|given| given.map(read).transpose()).transpose()
}

/// For a field of a PATCH: absent keeps, null clears, a value sets.
pub(super) fn maybe<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
