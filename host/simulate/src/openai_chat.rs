//! OpenAI Chat Completions on the wire: requests read as strictly as OpenAI reads them, answers
//! with every field of the real API. Knows nothing of sockets, pace or failures.

use std::borrow::Cow;

use serde_json::Value;

use crate::answer::Ask;
use crate::frame::Frame;
use crate::http::Request;
use crate::speech::{Answered, ErrorBody, Incoming, Speech, Stamp};

mod body;
mod error;
mod messages;
mod request;
mod rules;
mod stream;
mod tools;

pub(crate) use body::{models, one_model};
pub(crate) use error::{admit, error, for_status, invalid, unknown_model, unknown_path};
pub(crate) use rules::{check_schema, is_reasoning_model, media_type};

/// `POST /chat/completions`.
#[derive(Debug)]
pub(crate) struct Chat;

impl Speech for Chat {
    fn model<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, ErrorBody> {
        request::model(&request.body)
    }

    fn unknown_model(&self, model: &str) -> ErrorBody {
        unknown_model(model)
    }

    fn read(&self, incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
        request::read(&incoming.request.body, incoming.model)
    }

    fn whole(&self, answered: &Answered<'_>) -> Value {
        body::whole(answered)
    }

    fn frames(&self, answered: &Answered<'_>) -> Vec<Frame> {
        stream::frames(answered)
    }

    fn failed(&self, status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
        for_status(status, model, echo)
    }

    fn error_frame(&self, _stamp: &Stamp<'_>, kind: &str, message: &str) -> Frame {
        stream::error_frame(kind, message)
    }

    fn server_error(&self) -> (&'static str, &'static str) {
        ("server_error", "The server had an error while processing your request.")
    }

    fn malformed(&self, stamp: &Stamp<'_>) -> Frame {
        stream::malformed_frame(stamp)
    }
}
