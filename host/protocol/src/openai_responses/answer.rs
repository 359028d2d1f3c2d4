//! A whole response. Token texts inside `logprobs` and what the response repeats of the request are
//! not listed: the first repeat what is said in pieces too small to judge, and are dropped where it
//! is changed; the model did not say the second.

use bytes::Bytes;

use crate::Dialect;
use crate::Usage;
use crate::answer::{Answer, AnswerError};
use crate::call::{Role, Text};
use crate::chunk::StreamError;
use crate::content::{Content, Wire};
use crate::openai_chat::answer::{DECLINED, content_of, optional_string};
use crate::openai_chat::error;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};

use super::output::Heard;
use super::usage;

/// What a response object says, whole or inside an event.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) id: Option<String>,
    /// Seconds since 1970.
    pub(super) created_at: Option<u64>,
    pub(super) model: Option<String>,
    pub(super) service_tier: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) error: Option<StreamError>,
    pub(super) status: Option<String>,
    /// Why it is incomplete.
    pub(super) cut_by: Option<String>,
    /// The items of its output, in order.
    pub(super) items: Vec<Heard>,
}

/// Reads a whole body.
pub(crate) fn parse(body: Bytes) -> Result<Answer, AnswerError> {
    let text = std::str::from_utf8(&body)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let response = Response::read(&mut scanner)?;
    scanner.end()?;
    let error = response.failure();
    let declined = response.is_declined();
    // It has come to its end, or was cut off by a filter or by its length, before it said anything:
    // an answer, though an empty one.
    let ended = matches!(response.status.as_deref(), Some("completed" | "incomplete"));
    let mut answer = Answer {
        dialect: Dialect::OpenAiResponses,
        model: response.model,
        usage: response.usage,
        service_tier: response.service_tier,
        texts: Vec::new(),
        choices: u32::from(ended || !response.items.is_empty()),
        tool_called: false,
        declined,
        error,
        logprobs: Vec::new(),
        media: false,
        body: Wire(Bytes::new()),
    };
    for heard in response.items {
        answer.tool_called |= heard.called;
        answer.media |= heard.media;
        answer.logprobs.extend(heard.logprobs.into_iter().map(|span| (0, span)));
        answer.texts.extend(heard.texts.into_iter().map(|spoken| Text {
            channel: spoken.field.channel(),
            role: Role::Assistant,
            message: Some(0),
            content: content_of(&scanner, &body, &spoken.literal),
            span: spoken.literal.span,
            edited: false,
            json: false,
        }));
    }
    answer.body = Wire(body);
    Ok(answer)
}

/// The reason among the details.
fn reason(scanner: &mut Scanner<'_>) -> Result<Option<String>, Fault> {
    let mut reason = None;
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        if key == "reason" {
            reason = optional_string(scanner)?;
        } else {
            scanner.skip()?;
        }
    }
    Ok(reason)
}

// === impl Response ===

impl Response {
    /// Reads the response object that comes next.
    pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Self, Fault> {
        let mut response = Self::default();
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("id", _) => response.id = optional_string(scanner)?,
                ("created_at", Kind::Number) => response.created_at = scanner.whole_number()?,
                ("model", _) => response.model = optional_string(scanner)?,
                ("service_tier", _) => response.service_tier = optional_string(scanner)?,
                ("status", _) => response.status = optional_string(scanner)?,
                ("incomplete_details", Kind::Object) => response.cut_by = reason(scanner)?,
                ("usage", _) => response.usage = usage::read(scanner)?,
                ("error", _) => response.error = error::read(scanner)?,
                ("output", Kind::Array) => {
                    scanner.open_array()?;
                    while scanner.next_item()? {
                        let mut heard = Heard::default();
                        heard.item(scanner)?;
                        response.items.push(heard);
                    }
                }
                _ => {
                    scanner.skip()?;
                }
            }
        }
        let searches = response.items.iter().filter(|heard| heard.searched).count();
        let hosted = response.items.iter().filter(|heard| heard.hosted).count();
        usage::with_items(&mut response.usage, searches, hosted);
        Ok(response)
    }

    /// Whether a filter has ended it.
    pub(super) fn is_declined(&self) -> bool {
        self.cut_by.as_deref() == Some(DECLINED)
    }

    /// Its error, also where it only says that it failed.
    pub(super) fn failure(&self) -> Option<StreamError> {
        let failed = matches!(self.status.as_deref(), Some("failed" | "cancelled"));
        let silent = || StreamError {
            message: Content::from_string("the provider's response failed".to_owned()),
            kind: Some("server_error".to_owned()),
            code: None,
        };
        self.error.clone().or_else(|| failed.then(silent))
    }
}
