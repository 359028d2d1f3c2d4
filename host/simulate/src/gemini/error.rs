//! Error bodies in Google's words and shape: a code, a text and the name of the status.

use serde_json::{Value, json};

use crate::http::Request;
use crate::speech::ErrorBody;

/// Names of statuses, with the HTTP status of each.
const WORDS: [(u16, &str); 12] = [
    (400, "INVALID_ARGUMENT"),
    (401, "UNAUTHENTICATED"),
    (403, "PERMISSION_DENIED"),
    (404, "NOT_FOUND"),
    (408, "DEADLINE_EXCEEDED"),
    (409, "ABORTED"),
    (429, "RESOURCE_EXHAUSTED"),
    (499, "CANCELLED"),
    (500, "INTERNAL"),
    (501, "UNIMPLEMENTED"),
    (503, "UNAVAILABLE"),
    (504, "DEADLINE_EXCEEDED"),
];

fn body(status: u16, message: &str, details: &Value) -> Value {
    let word = WORDS.iter().find(|(known, _)| *known == status).map_or("UNKNOWN", |(_, word)| word);
    let mut error = json!({ "code": status, "message": message, "status": word });
    if let (false, Some(members)) = (details.is_null(), error.as_object_mut()) {
        members.insert("details".to_owned(), details.clone());
    }
    json!({ "error": error })
}

fn error(status: u16, message: &str) -> ErrorBody {
    ErrorBody { status, body: body(status, message, &Value::Null) }
}

/// 400 for a request at fault.
pub(super) fn invalid(message: &str) -> ErrorBody {
    error(400, message)
}

/// 400 for a member that there is not, or not so; `at` is where, empty for the outermost.
pub(super) fn unknown_name(name: &str, at: &str, why: &str) -> ErrorBody {
    let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
    payload(&format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: {why}"), at)
}

/// 400 for a value of another type than the member's.
pub(super) fn invalid_value(at: &str, kind: &str, value: &Value) -> ErrorBody {
    payload(&format!("Invalid value at '{at}' ({kind}), {value}"), at)
}

fn payload(message: &str, at: &str) -> ErrorBody {
    let mut violation = json!({ "description": message });
    if let (false, Some(members)) = (at.is_empty(), violation.as_object_mut()) {
        members.insert("field".to_owned(), json!(at));
    }
    let kind = "type.googleapis.com/google.rpc.BadRequest";
    let details = json!([{ "@type": kind, "fieldViolations": [violation] }]);
    ErrorBody { status: 400, body: body(400, message, &details) }
}

/// Refuses a key that is not `wanted`.
pub(crate) fn admit(request: &Request, wanted: Option<&str>) -> Result<(), ErrorBody> {
    let Some(wanted) = wanted else { return Ok(()) };
    match request.header("x-goog-api-key").or_else(|| request.query("key")) {
        Some(key) if key == wanted => Ok(()),
        Some(_) => {
            let details = json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID", "domain": "googleapis.com",
                "metadata": { "service": "generativelanguage.googleapis.com" } }]);
            let text = "API key not valid. Please pass a valid API key.";
            Err(ErrorBody { status: 400, body: body(400, text, &details) })
        }
        None => Err(error(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API.",
        )),
    }
}

/// Refuses a token that is not `wanted`, as Google's cloud takes them.
pub(crate) fn admit_bearer(request: &Request, wanted: Option<&str>) -> Result<(), ErrorBody> {
    match wanted {
        Some(wanted) if request.bearer() != Some(wanted) => Err(error(
            401,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
             cookie or other valid authentication credential.",
        )),
        _ => Ok(()),
    }
}

/// 404 for a model that the provider does not have.
pub(crate) fn unknown_model(model: &str) -> ErrorBody {
    error(
        404,
        &format!(
            "models/{model} is not found for API version v1beta, or is not supported for \
             generateContent. Call ListModels to see the list of available models and their \
             supported methods."
        ),
    )
}

/// 404 for a path that the provider does not have.
pub(crate) fn unknown_path(path: &str) -> ErrorBody {
    error(404, &format!("The requested URL {path} was not found on this server."))
}

/// The body for a status by its name.
pub(super) fn of_word(word: &str, message: &str) -> Value {
    let status = WORDS.iter().find(|(_, known)| *known == word).map_or(500, |(status, _)| *status);
    let mut body = body(status, message, &Value::Null);
    if let Some(name) = body.pointer_mut("/error/status") {
        *name = json!(word);
    }
    body
}

/// The error that a script asked for; `echo` is text of the caller that the message repeats.
pub(super) fn for_status(status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
    let message = match status {
        401 => "Request had invalid authentication credentials.",
        403 => "Permission denied on resource project.",
        404 => "Requested entity was not found.",
        429 => "Resource has been exhausted (e.g. check quota).",
        500 => "An internal error has occurred. Please retry or report in Troubleshooting.",
        503 | 529 => "The model is overloaded. Please try again later.",
        408 | 504 => "Deadline expired before operation could complete.",
        502 => "Bad gateway.",
        _ => "Request contains an invalid argument.",
    };
    let text = echo.map_or_else(
        || message.to_owned(),
        |text| format!("{message} (model {model}, input: {text})"),
    );
    error(status, &text)
}
