//! What the admin API answers when something can't be done:
//! `{"error":{"code","message","field"}}`. The text says what, why and what to do next. Causes
//! inside the program are logged once, here, and not told.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use turnpike_ledger::LedgerError;

use crate::auth::PatternError;
use crate::store::StoreError;
use crate::usage::UsageError;

/// An answer that isn't the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError(Box<Inner>);

/// Boxed, because a result is moved through every call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    /// Further members of the error object.
    details: Option<serde_json::Value>,
}

// === impl ApiError ===

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { status, code, message: message.into(), field: None, details: None }))
    }

    /// 400: the request can't be understood.
    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 401: no valid operator token.
    pub(super) fn unauthorized() -> Self {
        let message = "this API needs the operator token; send \"Authorization: Bearer <token>\" \
                       with the value of TURNPIKE_ADMIN_TOKEN";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 404: no such thing.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 405: not with this method, but with those.
    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        let message = format!("this address does not take that method; use {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// 409: it contradicts what is there.
    pub(super) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 412: it was changed since the caller looked.
    pub(super) fn changed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "changed", message)
    }

    /// 413: too long.
    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes; send a smaller one");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// 422: understood, but a field's value can't be used.
    pub(super) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", message).at(field)
    }

    /// 422: understood, but refused for a reason with a name of its own.
    pub(super) fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 500: something inside failed, which is logged.
    pub(super) fn internal(what: &str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(what, %cause, "an admin request failed inside");
        let message = format!("{what} failed inside the gateway; see its log for the cause");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// 503: it can't be done now.
    pub(super) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// Status, code, message and field, for an answer of another API.
    pub fn told(&self) -> (StatusCode, &'static str, &str, Option<&str>) {
        let Inner { status, code, message, field, .. } = &*self.0;
        (*status, *code, message, field.as_deref())
    }

    /// The same error, naming the field that is at fault.
    pub(super) fn at(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// The same error with one more member.
    pub(super) fn with(mut self, details: serde_json::Value) -> Self {
        self.0.details = Some(details);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Inner { status, code, message, field, details } = *self.0;
        let mut error = json!({"code": code, "message": message, "field": field});
        if let (Some(error), Some(serde_json::Value::Object(more))) =
            (error.as_object_mut(), details)
        {
            error.extend(more);
        }
        (status, Json(json!({"error": error}))).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound(_) | StoreError::Closed(_) => Self::not_found(message),
            StoreError::Exists(_) | StoreError::Deleted(_) => Self::conflict("exists", message),
            StoreError::InUse(_) => Self::conflict("in_use", message),
            StoreError::TooLarge { .. } => Self::refused("too_large", message),
            StoreError::Io { .. } | StoreError::Unreadable { .. } => {
                Self::internal("the store", &message)
            }
        }
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        let message = error.to_string();
        match error {
            LedgerError::IdReused(_) => Self::conflict("id_reused", message),
            LedgerError::Insufficient { .. } => Self::conflict("insufficient_credit", message),
            LedgerError::Invalid(_) => Self::refused("invalid", message),
            LedgerError::Overloaded => Self::unavailable("overloaded", message),
            LedgerError::DiskFull(_) => Self::unavailable("disk_full", message),
            LedgerError::NotDurable(_) => Self::unavailable("ledger_failed", message),
            LedgerError::Io { .. }
            | LedgerError::InUse
            | LedgerError::Corrupt { .. }
            | LedgerError::ViewAhead { .. }
            | LedgerError::ViewMismatch(_) => Self::internal("the ledger", &message),
        }
    }
}

impl From<UsageError> for ApiError {
    fn from(error: UsageError) -> Self {
        Self::internal("the usage log", &error)
    }
}

impl From<PatternError> for ApiError {
    fn from(error: PatternError) -> Self {
        Self::invalid("models", error.to_string())
    }
}
