//! Anthropic Messages on the wire: requests read as strictly as Anthropic reads them, answers and
//! events with every field of the real API. Knows nothing of sockets, pace or failures.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::answer::Ask;
use crate::frame::Frame;
use crate::http::Request;
use crate::server::Visit;
use crate::speech::{Answered, ErrorBody, Incoming, Speech, Stamp};

mod blocks;
mod body;
mod error;
mod history;
mod models;
mod request;
mod stream;
mod tools;
mod vertex;

pub(crate) use error::{admit, unknown_model, unknown_path};
pub(crate) use models::{models, one_model};
pub(crate) use vertex::{STREAM, WHOLE};

/// `anthropic-organization-id` of every answer.
pub(crate) const ORGANIZATION: &str = "5e1f0c1a-0000-4000-8000-51a0a7e0d000";

/// `POST /v1/messages`.
#[derive(Debug)]
pub(crate) struct Messages;

impl Speech for Messages {
    fn model<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, ErrorBody> {
        request::model(&request.body)
    }

    fn unknown_model(&self, model: &str) -> ErrorBody {
        unknown_model(model)
    }

    fn read(&self, incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
        request::read(incoming, request::Purpose::Answer)
    }

    fn whole(&self, answered: &Answered<'_>) -> Value {
        body::whole(answered)
    }

    fn frames(&self, answered: &Answered<'_>) -> Vec<Frame> {
        stream::frames(answered)
    }

    fn failed(&self, status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
        error::for_status(status, model, echo)
    }

    fn error_frame(&self, _stamp: &Stamp<'_>, kind: &str, message: &str) -> Frame {
        stream::event("error", &error::body(kind, message))
    }

    fn server_error(&self) -> (&'static str, &'static str) {
        ("api_error", "Internal server error")
    }

    fn malformed(&self, _stamp: &Stamp<'_>) -> Frame {
        stream::malformed_frame()
    }

    fn ping(&self) -> Option<Frame> {
        Some(stream::event("ping", &json!({ "type": "ping" })))
    }
}

/// `POST /v1/messages/count_tokens`: its body.
pub(crate) fn count(visit: &Visit<'_>) -> Result<Value, ErrorBody> {
    let name = request::model(&visit.request.body)?;
    let model = visit.provider.model(&name).ok_or_else(|| unknown_model(&name))?;
    let live = model.live();
    let ask = request::read(visit.incoming(&live), request::Purpose::Count)?;
    Ok(json!({ "input_tokens": ask.prompt_tokens }))
}
