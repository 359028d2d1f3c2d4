//! Amazon Bedrock on the wire: Converse requests read as strictly as Bedrock reads them, answers
//! and the binary messages of a stream. Knows nothing of sockets, pace or failures.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::answer::Ask;
use crate::frame::{Frame, Framing, Kind};
use crate::http::Request;
use crate::speech::{Answered, ErrorBody, Incoming, Speech, Stamp};

mod body;
mod content;
mod error;
mod request;
mod wire;

pub(crate) use error::{admit, class_of, unknown_model, unknown_path};
pub(crate) use wire::message;

/// `POST /model/{id}/converse` and `…/converse-stream`.
#[derive(Debug)]
pub(crate) struct Converse {
    stream: bool,
}

/// The ways to ask for an answer.
pub(crate) static WHOLE: Converse = Converse { stream: false };
pub(crate) static STREAM: Converse = Converse { stream: true };

impl Speech for Converse {
    fn model<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, ErrorBody> {
        Ok(model_of(request.path()))
    }

    fn unknown_model(&self, model: &str) -> ErrorBody {
        unknown_model(model)
    }

    fn read(&self, incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
        let mut ask = request::read(&incoming)?;
        ask.stream = self.stream;
        Ok(ask)
    }

    fn whole(&self, answered: &Answered<'_>) -> Value {
        body::whole(answered)
    }

    fn frames(&self, answered: &Answered<'_>) -> Vec<Frame> {
        body::frames(answered)
    }

    fn failed(&self, status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
        error::for_status(status, model, echo)
    }

    fn error_frame(&self, _stamp: &Stamp<'_>, kind: &str, message: &str) -> Frame {
        let event = error::exception(kind);
        let data = json!({ "message": message }).to_string();
        Frame { kind: Kind::Finish, event: Some(event), data, tokens: 0 }
    }

    fn server_error(&self) -> (&'static str, &'static str) {
        ("internalServerException", "An internal server error occurred. Try your request again.")
    }

    fn malformed(&self, _stamp: &Stamp<'_>) -> Frame {
        let data = r#"{"contentBlockIndex":0,"delta":{"te"#.to_owned();
        Frame { kind: Kind::Content, event: Some("contentBlockDelta"), data, tokens: 0 }
    }

    fn framing(&self) -> Framing {
        Framing { messages: true, ..Framing::EVENTS }
    }
}

/// The model that a path names: between `/model/` and the verb, which the caller has encoded.
fn model_of(path: &str) -> Cow<'_, str> {
    let (_, rest) = path.split_once("/model/").unwrap_or(("", path));
    let model = rest.rsplit_once('/').map_or(rest, |(model, _)| model);
    if model.contains('%') {
        Cow::Owned(model.replace("%3A", ":").replace("%2F", "/"))
    } else {
        Cow::Borrowed(model)
    }
}
