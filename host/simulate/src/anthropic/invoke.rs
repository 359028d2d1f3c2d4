//! Anthropic's messages as Amazon Bedrock takes them: the model and whether to stream are in the
//! path, the version and the betas in the body, and each event comes as base64 in a binary message.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::error::invalid;
use super::vertex::plain;
use super::{Messages, request};
use crate::answer::Ask;
use crate::bedrock;
use crate::encode::base64;
use crate::frame::{Frame, Framing};
use crate::http::Request;
use crate::speech::{Answered, ErrorBody, Incoming, Speech, Stamp};

/// The one version.
const VERSION: &str = "bedrock-2023-05-31";
/// Betas that it knows; another one is refused.
const BETAS: [&str; 2] = ["interleaved-thinking-2025-05-14", "context-management-2025-06-27"];

/// `POST /model/{id}/invoke` and `…/invoke-with-response-stream`.
#[derive(Debug)]
pub(crate) struct Invoke {
    stream: bool,
}

/// The ways to ask for an answer.
pub(crate) static INVOKE: Invoke = Invoke { stream: false };
pub(crate) static INVOKE_STREAM: Invoke = Invoke { stream: true };

/// Anthropic's words in Bedrock's shape.
fn wrapped(ErrorBody { status, body }: &ErrorBody) -> ErrorBody {
    let message = body.pointer("/error/message").cloned().unwrap_or_default();
    ErrorBody { status: *status, body: json!({ "message": message }) }
}

fn read(incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
    let original = incoming.request;
    let mut body: Value = serde_json::from_slice(&original.body)
        .map_err(|error| invalid(&format!("The request body is not valid JSON: {error}")))?;
    let Some(members) = body.as_object_mut() else { return Err(invalid("expected an object")) };
    for name in ["model", "stream"] {
        if members.contains_key(name) {
            return Err(invalid(&format!("{name}: Extra inputs are not permitted")));
        }
    }
    if members.shift_remove("anthropic_version") != Some(Value::from(VERSION)) {
        return Err(invalid("anthropic_version: Field required"));
    }
    let betas = members.shift_remove("anthropic_beta").unwrap_or_default();
    let betas: Vec<&str> =
        betas.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if betas.iter().any(|beta| !BETAS.contains(beta)) {
        return Err(invalid("invalid beta flag"));
    }
    members.insert("model".to_owned(), bedrock::model_of(original.path()).into());
    let mut plain = plain(original, &body);
    plain.headers.push(("anthropic-beta".to_owned(), betas.join(",")));
    request::read(Incoming { request: &plain, ..incoming }, request::Purpose::Answer)
}

impl Speech for Invoke {
    fn model<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, ErrorBody> {
        Ok(bedrock::model_of(request.path()))
    }

    fn unknown_model(&self, model: &str) -> ErrorBody {
        bedrock::unknown_model(model)
    }

    fn read(&self, incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
        let mut ask = read(incoming).map_err(|error| wrapped(&error))?;
        ask.stream = self.stream;
        Ok(ask)
    }

    fn whole(&self, answered: &Answered<'_>) -> Value {
        Messages.whole(answered)
    }

    fn frames(&self, answered: &Answered<'_>) -> Vec<Frame> {
        let events = Messages.frames(answered).into_iter();
        let chunk = |frame: Frame| {
            let data = json!({ "bytes": base64(frame.data.as_bytes()) }).to_string();
            Frame { event: Some("chunk"), data, ..frame }
        };
        events.map(chunk).collect()
    }

    fn failed(&self, status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
        bedrock::WHOLE.failed(status, model, echo)
    }

    fn error_frame(&self, stamp: &Stamp<'_>, kind: &str, message: &str) -> Frame {
        bedrock::WHOLE.error_frame(stamp, kind, message)
    }

    fn server_error(&self) -> (&'static str, &'static str) {
        bedrock::WHOLE.server_error()
    }

    fn malformed(&self, stamp: &Stamp<'_>) -> Frame {
        bedrock::WHOLE.malformed(stamp)
    }

    fn framing(&self) -> Framing {
        bedrock::WHOLE.framing()
    }
}
