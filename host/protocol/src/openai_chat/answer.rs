//! A whole chat completion. Token texts inside `logprobs` are not listed: they repeat the content
//! in pieces too small to judge, so they are dropped where the content is changed.

use bytes::Bytes;

use crate::Dialect;
use crate::answer::{Answer, AnswerError};
use crate::call::{Role, Text};
use crate::content::{Content, Wire};
use crate::scan::{Fault, Kind, Literal, LoneSurrogate, Scanner};

use super::spoken::Heard;
use super::{error, usage};

/// The reason of an answer that a filter has ended.
pub(crate) const DECLINED: &str = "content_filter";

/// Reads a whole body.
pub(crate) fn parse(body: Bytes) -> Result<Answer, AnswerError> {
    let text = std::str::from_utf8(&body)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut answer = Answer {
        dialect: Dialect::OpenAiChat,
        model: None,
        usage: None,
        service_tier: None,
        texts: Vec::new(),
        choices: 0,
        tool_called: false,
        declined: false,
        error: None,
        media: false,
        logprobs: Vec::new(),
        body: Wire(Bytes::new()),
    };
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "model" => answer.model = optional_string(&mut scanner)?,
            "service_tier" => answer.service_tier = optional_string(&mut scanner)?,
            "usage" => answer.usage = usage::read(&mut scanner)?,
            "error" => answer.error = error::read(&mut scanner)?,
            "choices" => choices(&mut answer, &mut scanner, &body)?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    answer.body = Wire(body);
    Ok(answer)
}

fn choices(answer: &mut Answer, scanner: &mut Scanner<'_>, body: &Bytes) -> Result<(), Fault> {
    if scanner.null()? {
        return Ok(());
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        let mut heard = Heard::default();
        let mut index = answer.choices;
        let mut logprobs = None;
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match key.as_ref() {
                "message" => heard.read(scanner)?,
                "logprobs" => logprobs = Some(scanner.skip()?),
                "finish_reason" => {
                    answer.declined |= optional_string(scanner)?.as_deref() == Some(DECLINED);
                }
                "index" if scanner.kind()? == Kind::Number => {
                    let number = scanner.whole_number()?.and_then(|n| u32::try_from(n).ok());
                    index = number.unwrap_or(index);
                }
                _ => {
                    scanner.skip()?;
                }
            }
        }
        answer.choices = answer.choices.saturating_add(1);
        answer.logprobs.extend(logprobs.map(|span| (index, span)));
        answer.tool_called |= heard.tool_started;
        answer.media |= heard.media;
        answer.texts.extend(heard.texts.into_iter().map(|spoken| Text {
            channel: spoken.field.channel(),
            role: Role::Assistant,
            message: Some(index),
            content: content_of(scanner, body, &spoken.literal),
            span: spoken.literal.span,
            edited: false,
            json: false,
        }));
    }
    Ok(())
}

/// The text of a literal: a slice of `body` where it has no escapes.
pub(crate) fn content_of(scanner: &Scanner<'_>, body: &Bytes, literal: &Literal) -> Content {
    if literal.escaped {
        return Content::from_string(scanner.decode(literal).into_owned());
    }
    Content::slice(body.slice(literal.inner()))
}

/// A string, or `None` for a value of any other kind.
pub(crate) fn optional_string(scanner: &mut Scanner<'_>) -> Result<Option<String>, Fault> {
    if scanner.kind()? == Kind::String {
        return Ok(Some(scanner.string()?.into_owned()));
    }
    scanner.skip().map(|_| None)
}
