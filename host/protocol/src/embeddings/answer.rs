//! Vectors as OpenAI answers them: counted and passed over, since nothing in them is text.

use bytes::Bytes;

use crate::Dialect;
use crate::answer::{Answer, AnswerError};
use crate::content::Wire;
use crate::openai_chat::answer::optional_string;
use crate::openai_chat::{error, usage};
use crate::scan::{LoneSurrogate, Scanner};

/// Reads a whole body.
pub(super) fn parse(body: Bytes) -> Result<Answer, AnswerError> {
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
            // Cohere's own name for it is `meta`.
            "usage" | "meta" => {
                let stated = usage::read(&mut scanner)?.map(|usage| usage.of_prompt());
                answer.usage = stated.or(answer.usage);
            }
            "error" => answer.error = error::read(&mut scanner)?,
            "data" => {
                scanner.open_array()?;
                while scanner.next_item()? {
                    scanner.skip()?;
                    answer.choices = answer.choices.saturating_add(1);
                }
            }
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    answer.body = Wire(body);
    Ok(answer)
}
