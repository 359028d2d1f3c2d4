//! Google Gemini on the wire: requests read as strictly as Google reads them, candidates and
//! chunks with every field of the real API. Knows nothing of sockets, pace or failures.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::answer::Ask;
use crate::frame::{Frame, Framing, Kind};
use crate::http::Request;
use crate::server::Visit;
use crate::speech::{Answered, ErrorBody, Incoming, Speech, Stamp};

mod body;
mod contents;
mod declarations;
mod embed;
mod error;
mod fields;
mod models;
mod request;

pub(crate) use embed::answer as embed;
pub(crate) use error::{admit, admit_bearer, unknown_model, unknown_path};
pub(crate) use models::{models, one_model};

/// `:generateContent` and `:streamGenerateContent`.
#[derive(Debug)]
pub(crate) struct Generate {
    stream: bool,
    /// Elements of an array instead of events.
    array: bool,
}

/// The ways to ask for an answer: whole, as events, as an array.
pub(crate) static WHOLE: Generate = Generate { stream: false, array: false };
pub(crate) static EVENTS: Generate = Generate { stream: true, array: false };
pub(crate) static ARRAY: Generate = Generate { stream: true, array: true };

impl Speech for Generate {
    fn model<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, ErrorBody> {
        Ok(Cow::Borrowed(model_of(request.path())))
    }

    fn unknown_model(&self, model: &str) -> ErrorBody {
        unknown_model(model)
    }

    fn read(&self, incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
        let mut ask = request::read(incoming)?;
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
        let body = error::of_word(kind, message);
        Frame { kind: Kind::Finish, event: None, data: body.to_string(), tokens: 0 }
    }

    fn server_error(&self) -> (&'static str, &'static str) {
        ("INTERNAL", "An internal error has occurred. Please retry or report in Troubleshooting.")
    }

    fn malformed(&self, _stamp: &Stamp<'_>) -> Frame {
        let data = r#"{"candidates":[{"content":{"parts":[{"te"#.to_owned();
        Frame { kind: Kind::Content, event: None, data, tokens: 0 }
    }

    fn framing(&self) -> Framing {
        Framing { crlf: true, array: self.array, ..Framing::EVENTS }
    }
}

/// The model that a path names: between `models/` and the colon.
fn model_of(path: &str) -> &str {
    let (_, rest) = path.rsplit_once("/models/").unwrap_or(("", path));
    rest.split(':').next().unwrap_or(rest)
}

/// `:countTokens`: its body.
pub(crate) fn count(visit: &Visit<'_>) -> Result<Value, ErrorBody> {
    let name = model_of(visit.request.path());
    let model = visit.provider.model(name).ok_or_else(|| unknown_model(name))?;
    let live = model.live();
    let ask = request::read_to_count(visit.incoming(&live))?;
    let details = json!([{ "modality": "TEXT", "tokenCount": ask.prompt_tokens }]);
    Ok(json!({ "totalTokens": ask.prompt_tokens, "promptTokensDetails": details }))
}
