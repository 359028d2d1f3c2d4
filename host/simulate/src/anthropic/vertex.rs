//! Anthropic's messages as Google Vertex takes them: the model and whether to stream are in the
//! path, the version in the body, and only betas that Vertex knows may be named.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::error::invalid;
use super::{Messages, request};
use crate::answer::Ask;
use crate::frame::Frame;
use crate::http::Request;
use crate::speech::{Answered, ErrorBody, Incoming, Speech, Stamp};

/// The one version.
const VERSION: &str = "vertex-2023-10-16";
/// Betas that it knows; another one is refused.
const BETAS: [&str; 3] = [
    "interleaved-thinking-2025-05-14",
    "context-management-2025-06-27",
    "fine-grained-tool-streaming-2025-05-14",
];

/// `…/publishers/anthropic/models/{model}:rawPredict` and `:streamRawPredict`.
#[derive(Debug)]
pub(crate) struct RawPredict {
    stream: bool,
}

/// The ways to ask for an answer.
pub(crate) static WHOLE: RawPredict = RawPredict { stream: false };
pub(crate) static STREAM: RawPredict = RawPredict { stream: true };

fn model_of(path: &str) -> &str {
    let (_, rest) = path.rsplit_once("/models/").unwrap_or(("", path));
    rest.split(':').next().unwrap_or(rest)
}

impl Speech for RawPredict {
    fn model<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, ErrorBody> {
        Ok(Cow::Borrowed(model_of(request.path())))
    }

    fn unknown_model(&self, model: &str) -> ErrorBody {
        Messages.unknown_model(model)
    }

    fn read(&self, incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
        let original = incoming.request;
        let mut body: Value = serde_json::from_slice(&original.body)
            .map_err(|error| invalid(&format!("The request body is not valid JSON: {error}")))?;
        let Some(members) = body.as_object_mut() else { return Err(invalid("expected an object")) };
        if members.contains_key("model") {
            return Err(invalid("model: Extra inputs are not permitted"));
        }
        if members.shift_remove("anthropic_version") != Some(Value::from(VERSION)) {
            return Err(invalid("anthropic_version: Field required"));
        }
        let betas = original.header("anthropic-beta").unwrap_or("");
        let mut betas = betas.split(',').map(str::trim).filter(|beta| !beta.is_empty());
        if let Some(beta) = betas.find(|beta| !BETAS.contains(beta)) {
            let text = format!("Unexpected value(s) `{beta}` for the `anthropic-beta` header.");
            return Err(invalid(&text));
        }
        members.insert("model".to_owned(), model_of(original.path()).into());
        let plain = Request {
            method: original.method.clone(),
            target: original.target.clone(),
            headers: original.headers.clone(),
            body: Bytes::from(body.to_string()),
            after: original.after,
            head: original.head.clone(),
        };
        let incoming = Incoming { request: &plain, ..incoming };
        let mut ask = request::read(incoming, request::Purpose::Answer)?;
        ask.stream = self.stream;
        Ok(ask)
    }

    fn whole(&self, answered: &Answered<'_>) -> Value {
        Messages.whole(answered)
    }

    fn frames(&self, answered: &Answered<'_>) -> Vec<Frame> {
        Messages.frames(answered)
    }

    fn failed(&self, status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
        Messages.failed(status, model, echo)
    }

    fn error_frame(&self, stamp: &Stamp<'_>, kind: &str, message: &str) -> Frame {
        Messages.error_frame(stamp, kind, message)
    }

    fn server_error(&self) -> (&'static str, &'static str) {
        Messages.server_error()
    }

    fn malformed(&self, stamp: &Stamp<'_>) -> Frame {
        Messages.malformed(stamp)
    }

    fn ping(&self) -> Option<Frame> {
        Messages.ping()
    }
}
