//! A whole `generateContent` answer. Token texts of `logprobsResult` are not listed: they repeat
//! the content in pieces too small to judge, so they are dropped where the content is changed.

use bytes::Bytes;

use crate::Dialect;
use crate::answer::{Answer, AnswerError};
use crate::call::{Role, Text};
use crate::content::Wire;
use crate::scan::{LoneSurrogate, Scanner};

use super::spoken::{blocked, candidates, content_of, optional_string};
use super::{error, usage};

/// Reads a whole body.
pub(crate) fn parse(body: Bytes) -> Result<Answer, AnswerError> {
    let text = std::str::from_utf8(&body)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut answer = Answer {
        dialect: Dialect::Gemini,
        model: None,
        usage: None,
        service_tier: None,
        texts: Vec::new(),
        choices: 0,
        tool_called: false,
        declined: false,
        error: None,
        logprobs: Vec::new(),
        media: false,
        body: Wire(Bytes::new()),
    };
    let (mut refused, mut searches) = (false, 0_u64);
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "modelVersion" => answer.model = optional_string(&mut scanner)?,
            "usageMetadata" => {
                let report = usage::read(&mut scanner)?;
                answer.usage = report.usage;
                answer.service_tier = report.service_tier;
            }
            "error" => answer.error = error::read(&mut scanner)?,
            "promptFeedback" => refused = blocked(&mut scanner)?,
            "candidates" => candidates(&mut scanner, |scanner, candidate| {
                let index = candidate.index.unwrap_or(answer.choices);
                answer.choices = answer.choices.saturating_add(1);
                answer.tool_called |= candidate.tool_started;
                answer.media |= candidate.media;
                answer.declined |= candidate.declined;
                searches = searches.saturating_add(candidate.searches);
                answer.logprobs.extend(candidate.logprobs.map(|span| (index, span)));
                answer.texts.extend(candidate.texts.into_iter().map(|spoken| Text {
                    channel: spoken.field.channel(),
                    role: Role::Assistant,
                    message: Some(index),
                    content: content_of(scanner, &body, &spoken.literal),
                    span: spoken.literal.span,
                    edited: false,
                    json: false,
                }));
            })?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    usage::searched(&mut answer.usage, searches);
    if refused && answer.choices == 0 {
        answer.choices = 1;
        answer.declined = true;
    }
    answer.body = Wire(body);
    Ok(answer)
}
