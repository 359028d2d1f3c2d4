//! Error bodies in Anthropic's words and shape. The request's id is added when they are sent.

use serde_json::{Value, json};

use crate::http::Request;
use crate::speech::ErrorBody;

/// Versions of the API that exist.
const VERSIONS: [&str; 3] = [NEWEST, "2023-06-01", "2023-01-01"];
/// The version that takes less: no sampling, no documents of the model's, no citations of users'.
pub(super) const NEWEST: &str = "2026-10-21";

/// The body of an error, as a response and as an event.
pub(super) fn body(kind: &str, message: &str) -> Value {
    json!({ "type": "error", "error": { "type": kind, "message": message } })
}

fn error(status: u16, kind: &str, message: &str) -> ErrorBody {
    ErrorBody { status, body: body(kind, message) }
}

/// 400 for a request at fault.
pub(super) fn invalid(message: &str) -> ErrorBody {
    error(400, "invalid_request_error", message)
}

/// Refuses a key that is not `wanted`, and a request without the API's version.
pub(crate) fn admit(request: &Request, wanted: Option<&str>) -> Result<(), ErrorBody> {
    let (key, bearer) = (request.header("x-api-key"), request.bearer());
    let refuse = |message| Err(error(401, "authentication_error", message));
    match (wanted, key, bearer) {
        (None, ..) => {}
        (Some(_), None, None) => return refuse("x-api-key header is required"),
        (Some(wanted), Some(key), _) if key != wanted => return refuse("invalid x-api-key"),
        (Some(wanted), None, Some(bearer)) if bearer != wanted => {
            return refuse("Invalid bearer token");
        }
        (Some(_), ..) => {}
    }
    match request.header("anthropic-version") {
        None => Err(invalid("anthropic-version: header is required")),
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        Some(version) => {
            Err(invalid(&format!("anthropic-version: \"{version}\" is not a valid version")))
        }
    }
}

/// 404 for a model that the provider does not have.
pub(crate) fn unknown_model(model: &str) -> ErrorBody {
    error(404, "not_found_error", &format!("model: {model}"))
}

/// 404 for a path that the provider does not have.
pub(crate) fn unknown_path(_path: &str) -> ErrorBody {
    error(404, "not_found_error", "Not Found")
}

/// The error that a script asked for; `echo` is text of the caller that the message repeats.
pub(super) fn for_status(status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
    let (kind, message) = match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low to access the Anthropic API."),
        403 => (
            "permission_error",
            "Your API key does not have permission to use the specified resource.",
        ),
        404 => ("not_found_error", "The requested resource could not be found."),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => (
            "rate_limit_error",
            "This request would exceed your organization's rate limit. Please try again later.",
        ),
        408 | 504 => ("timeout_error", "The request timed out."),
        529 | 503 => ("overloaded_error", "Overloaded"),
        500..=599 => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "The request was refused."),
    };
    let text = echo.map_or_else(
        || message.to_owned(),
        |text| format!("{message} (model {model}, input: {text})"),
    );
    error(status, kind, &text)
}
