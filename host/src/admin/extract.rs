//! Reading requests: JSON bodies and query strings, with bounds, and with errors that name the
//! field. An unknown field is an error: one that is accepted and not saved does harm.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use bytes::Bytes;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::error::ApiError;

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

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut reader).map_err(|cause| {
        let path = cause.path().to_string();
        let cause = cause.into_inner();
        if cause.is_data() {
            let message = format!("the field can't be used: {cause}");
            match named_field(&cause.to_string()) {
                Some(field) => ApiError::invalid(field, message),
                None => ApiError::invalid(path, message),
            }
        } else {
            ApiError::bad_request("malformed_json", format!("the body is not JSON: {cause}"))
        }
    })?;
    reader.end().map_err(|cause| {
        ApiError::bad_request("malformed_json", format!("the body goes on after its JSON: {cause}"))
    })?;
    Ok(parsed)
}

/// The field that serde's messages about unknown and missing fields name.
fn named_field(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("missing field `"))?;
    rest.split_once('`').map(|(field, _)| field.to_owned())
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
        let Query(params) = Query::try_from_uri(uri).map_err(|cause| {
            let cause = cause.body_text();
            let reason = cause.rsplit_once(": ").map_or(cause.as_str(), |(_, reason)| reason);
            let message = format!("the query string can't be used: {cause}");
            let error = ApiError::bad_request("bad_query", message);
            match named_field(reason) {
                Some(field) => error.at(field),
                None => error,
            }
        })?;
        Ok(Self(params))
    }
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

/// For a field of a PATCH: absent keeps, null clears, a value sets.
pub(super) fn maybe<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
