//! OpenAI Responses on the wire: input items read as strictly as OpenAI reads them, the response
//! object with every field, and the whole life of each output item as events. Knows nothing of
//! sockets, pace or failures.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::answer::Ask;
use crate::frame::{Frame, Framing, Kind};
use crate::http::Request;
use crate::memory::{Memory, Stored};
use crate::openai_chat;
use crate::server::Visit;
use crate::speech::{Answered, ErrorBody, Incoming, Peek, Speech, Stamp};

mod body;
mod input;
mod items;
mod request;
mod stream;
mod tools;

use openai_chat::invalid;

/// `POST /responses`.
#[derive(Debug)]
pub(crate) struct Responses;

impl Speech for Responses {
    fn model<'r>(&self, request: &'r Request) -> Result<Cow<'r, str>, ErrorBody> {
        Peek::at(&request.body).map(|peek| peek.model).map_err(|error| {
            if error.is_data() {
                return missing("model");
            }
            let text = format!("We could not parse the JSON body of your request. ({error})");
            invalid(&text, None, None)
        })
    }

    fn unknown_model(&self, model: &str) -> ErrorBody {
        let text = format!("The requested model '{model}' does not exist.");
        openai_chat::error(
            400,
            &text,
            "invalid_request_error",
            Some("model"),
            Some("model_not_found"),
        )
    }

    fn read(&self, incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
        request::read(incoming)
    }

    fn whole(&self, answered: &Answered<'_>) -> Value {
        body::whole(answered)
    }

    fn frames(&self, answered: &Answered<'_>) -> Vec<Frame> {
        stream::frames(answered)
    }

    fn failed(&self, status: u16, model: &str, echo: Option<&str>) -> ErrorBody {
        openai_chat::for_status(status, model, echo)
    }

    fn error_frame(&self, stamp: &Stamp<'_>, kind: &str, message: &str) -> Frame {
        stream::failed_frame(stamp, kind, message)
    }

    fn server_error(&self) -> (&'static str, &'static str) {
        ("server_error", "An error occurred while processing your request.")
    }

    fn malformed(&self, _stamp: &Stamp<'_>) -> Frame {
        let event = Some("response.output_text.delta");
        let data = r#"{"type":"response.output_text.delta","item_id":"msg_0","del"#.to_owned();
        Frame { kind: Kind::Content, event, data, tokens: 0 }
    }

    fn framing(&self) -> Framing {
        Framing { numbered: true, ..Framing::EVENTS }
    }

    fn remember(&self, answered: &Answered<'_>, memory: &Memory) {
        let request = &answered.ask.request;
        if request.get("store") == Some(&Value::Bool(false)) {
            return;
        }
        let body = body::whole(answered);
        let output = body.get("output").and_then(Value::as_array).cloned().unwrap_or_default();
        for item in &output {
            if let Some(id) = item.get("id").and_then(Value::as_str) {
                let stored = Stored { body: item.clone(), history: Vec::new() };
                memory.store(id.to_owned(), stored);
            }
        }
        let before = request.get("input").and_then(Value::as_array).cloned().unwrap_or_default();
        let history = [before, output].concat();
        memory.store(body::id(answered.stamp), Stored { body, history });
    }
}

/// 400 for a member that must be there.
fn missing(name: &str) -> ErrorBody {
    let text = format!("Missing required parameter: '{name}'.");
    invalid(&text, Some(name), Some("missing_required_parameter"))
}

/// `POST /responses/input_tokens`: its body.
pub(crate) fn count(visit: &Visit<'_>) -> Result<Value, ErrorBody> {
    let name = Responses.model(visit.request)?;
    let model = visit.provider.model(&name).ok_or_else(|| Responses.unknown_model(&name))?;
    let live = model.live();
    let ask = request::read(visit.incoming(&live))?;
    Ok(json!({ "object": "response.input_tokens", "input_tokens": ask.prompt_tokens }))
}

/// `GET` or `DELETE /responses/{id}`: its body.
pub(crate) fn stored(visit: &Visit<'_>, id: &str) -> Result<Value, ErrorBody> {
    let memory = &visit.provider.memory;
    let found = memory.stored(id).filter(|_| id.starts_with("resp_"));
    let Some(found) = found else {
        let text = format!("Response with id '{id}' not found.");
        return Err(openai_chat::error(404, &text, "invalid_request_error", None, None));
    };
    if visit.request.method == "DELETE" {
        memory.forget_stored(id);
        return Ok(json!({ "id": id, "object": "response", "deleted": true }));
    }
    Ok(found.body)
}
