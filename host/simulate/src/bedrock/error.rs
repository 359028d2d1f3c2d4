//! Errors in Bedrock's shape: a message, with the class in a header.

use serde_json::json;

use crate::http::Request;
use crate::speech::ErrorBody;

/// Classes with the status of each.
const CLASSES: [(u16, &str); 9] = [
    (400, "ValidationException"),
    (403, "AccessDeniedException"),
    (404, "ResourceNotFoundException"),
    (408, "ModelTimeoutException"),
    (424, "ModelErrorException"),
    (429, "ThrottlingException"),
    (500, "InternalServerException"),
    (503, "ServiceUnavailableException"),
    (529, "ServiceUnavailableException"),
];
/// Names of exceptions in streams.
const EXCEPTIONS: [&str; 5] = [
    "throttlingException",
    "validationException",
    "modelStreamErrorException",
    "serviceUnavailableException",
    "internalServerException",
];

/// `x-amzn-errortype` of a status.
pub(crate) fn class_of(status: u16) -> &'static str {
    let known = CLASSES.iter().find(|(known, _)| *known == status);
    known.map_or("InternalServerException", |(_, class)| class)
}

/// The exception of this name; another word is the server's own error.
pub(super) fn exception(kind: &str) -> &'static str {
    let known = EXCEPTIONS.iter().find(|name| **name == kind);
    known.copied().unwrap_or("internalServerException")
}

fn error(status: u16, message: &str) -> ErrorBody {
    ErrorBody { status, body: json!({ "message": message }) }
}

/// 400 for a request at fault.
pub(super) fn invalid(message: &str) -> ErrorBody {
    error(400, message)
}

/// Refuses who shows neither the key as a bearer nor a signature by the key of that name. The
/// signature's value is not computed again.
pub(crate) fn admit(request: &Request, wanted: Option<&str>) -> Result<(), ErrorBody> {
    let Some(wanted) = wanted else { return Ok(()) };
    let given = request.header("authorization").unwrap_or("");
    if given.strip_prefix("Bearer ") == Some(wanted) {
        return Ok(());
    }
    let Some(rest) = given.strip_prefix("AWS4-HMAC-SHA256 Credential=") else {
        return Err(error(403, "Missing Authentication Token"));
    };
    let mut names = vec!["host", "x-amz-date"];
    names.extend(request.header("x-amz-security-token").map(|_| "x-amz-security-token"));
    let signed = names.iter().all(|name| rest.contains(name));
    let scoped = rest.starts_with(&format!("{wanted}/")) && rest.contains("/bedrock/aws4_request,");
    let signature = rest.rsplit_once("Signature=").map_or("", |(_, signature)| signature);
    let dated = request.header("x-amz-date").is_some_and(|date| date.len() == 16);
    if signed && scoped && dated && signature.len() == 64 {
        return Ok(());
    }
    let text = "The request signature we calculated does not match the signature you provided.";
    Err(error(403, text))
}

/// 404 for a model that the provider does not have.
pub(crate) fn unknown_model(model: &str) -> ErrorBody {
    error(
        404,
        &format!("Could not resolve the foundation model from the model identifier: {model}"),
    )
}

/// 404 for a path that the provider does not have.
pub(crate) fn unknown_path(path: &str) -> ErrorBody {
    error(404, &format!("Unable to determine service/operation name to be authorized: {path}"))
}

/// The error that a script asked for; `echo` is text of the caller that the message repeats.
pub(super) fn for_status(status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
    let message = match status {
        403 => "You don't have access to the model with the specified model ID.",
        408 => "Model has timed out in processing the request. Try your request again.",
        424 => "The model returned an error. Try your request again.",
        429 => "Too many requests, please wait before trying again.",
        503 | 529 => "Bedrock is unable to process your request.",
        400..=499 => "The provided request is not valid.",
        _ => {
            "The system encountered an unexpected error during processing. Try your request again."
        }
    };
    let text = echo.map_or_else(
        || message.to_owned(),
        |text| format!("{message} (model {model}, input: {text})"),
    );
    error(status, &text)
}
