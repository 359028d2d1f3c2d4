//! Error bodies in OpenAI's words and shape: all four keys, always.

use serde_json::json;

use crate::http::Request;
use crate::speech::ErrorBody;

pub(crate) fn error(
    status: u16,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> ErrorBody {
    let error = json!({ "message": message, "type": kind, "param": param, "code": code });
    ErrorBody { status, body: json!({ "error": error }) }
}

/// 400 for a request at fault.
pub(crate) fn invalid(message: &str, param: Option<&str>, code: Option<&str>) -> ErrorBody {
    error(400, message, "invalid_request_error", param, code)
}

/// Refuses a key that is not `wanted`.
pub(crate) fn admit(request: &Request, wanted: Option<&str>) -> Result<(), ErrorBody> {
    // Azure's models want theirs in a header of its own.
    let given = request.bearer().or_else(|| request.header("api-key"));
    if wanted.is_some() && wanted != given { Err(wrong_key(given)) } else { Ok(()) }
}

/// 401; repeats the key's end only, as OpenAI does.
fn wrong_key(given: Option<&str>) -> ErrorBody {
    let Some(given) = given else {
        let text = "You didn't provide an API key. You need to provide your API key in an \
            Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        return error(401, text, "invalid_request_error", None, None);
    };
    let shown: Vec<char> = given.chars().rev().take(4).collect();
    let shown: String = shown.into_iter().rev().collect();
    let text = format!("Incorrect API key provided: ****{shown}.");
    error(401, &text, "invalid_request_error", None, Some("invalid_api_key"))
}

/// 404 for a model that the provider does not have.
pub(crate) fn unknown_model(model: &str) -> ErrorBody {
    let text = format!("The model `{model}` does not exist or you do not have access to it.");
    error(404, &text, "invalid_request_error", None, Some("model_not_found"))
}

/// 404 or 405 for a path that the provider does not have.
pub(crate) fn unknown_path(method: &str, path: &str) -> ErrorBody {
    let text = format!("Invalid URL ({method} {path})");
    error(404, &text, "invalid_request_error", None, None)
}

/// The error that a script asked for; `echo` is text of the caller that the message repeats.
pub(crate) fn for_status(status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
    let (message, kind, code) = match status {
        401 => ("Incorrect API key provided.", "invalid_request_error", Some("invalid_api_key")),
        403 => ("The project does not have access to the model.", "invalid_request_error", None),
        408 => ("The request timed out.", "timeout", None),
        429 => ("Rate limit reached for requests.", "requests", Some("rate_limit_exceeded")),
        500 => ("The server had an error while processing your request.", "server_error", None),
        503 => ("The engine is currently overloaded.", "server_error", Some("overloaded")),
        529 => ("Overloaded.", "overloaded_error", Some("overloaded")),
        502 | 504 | 505..=599 => ("Bad gateway.", "server_error", None),
        _ => ("The request was refused.", "invalid_request_error", None),
    };
    let text = echo.map_or_else(
        || format!("{message} (model {model})"),
        |text| format!("{message} (model {model}, input: {text})"),
    );
    error(status, &text, kind, None, code)
}
