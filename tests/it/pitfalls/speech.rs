//! The four dialects as a caller speaks them: the same question in each, and what is read from the
//! answers, whole and streamed. Reads as clients do, with code of its own.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use turnpike_simulate::Dialect;
use turnpike_tests::{Answered, Caller};

/// One question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) model: &'a str,
    pub(crate) text: &'a str,
    pub(crate) limit: u32,
    pub(crate) stream: bool,
}

/// The answer to it.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) dialect: Dialect,
    pub(crate) stream: bool,
    pub(crate) answered: Answered,
}

impl<'a> Ask<'a> {
    /// A short question of `dialect`, answered in one piece.
    pub(crate) fn of(dialect: Dialect, model: &'a str, text: &'a str) -> Self {
        Self { dialect, model, text, limit: 512, stream: false }
    }

    pub(crate) fn streamed(self, stream: bool) -> Self {
        Self { stream, ..self }
    }

    pub(crate) fn path(&self) -> String {
        match (self.dialect, self.stream) {
            (Dialect::OpenAiResponses, _) => "/v1/responses".to_owned(),
            (Dialect::AnthropicMessages, _) => "/v1/messages".to_owned(),
            (Dialect::Gemini, true) => {
                format!("/v1beta/models/{}:streamGenerateContent?alt=sse", self.model)
            }
            (Dialect::Gemini, false) => format!("/v1beta/models/{}:generateContent", self.model),
            _ => "/v1/chat/completions".to_owned(),
        }
    }

    pub(crate) fn body(&self) -> Value {
        let Self { model, text, limit, stream, .. } = *self;
        let message = json!([{ "role": "user", "content": text }]);
        match self.dialect {
            Dialect::OpenAiResponses => json!({
                "model": model, "input": message, "max_output_tokens": limit, "stream": stream,
            }),
            Dialect::AnthropicMessages => json!({
                "model": model, "messages": message, "max_tokens": limit, "stream": stream,
            }),
            Dialect::Gemini => json!({
                "contents": [{ "role": "user", "parts": [{ "text": text }] }],
                "generationConfig": { "maxOutputTokens": limit },
            }),
            _ => json!({
                "model": model, "messages": message, "max_tokens": limit, "stream": stream,
            }),
        }
    }

    pub(crate) async fn say(&self, caller: &Caller) -> Result<Said> {
        self.say_with(caller, &[]).await
    }

    pub(crate) async fn say_with(&self, caller: &Caller, headers: &[(&str, &str)]) -> Result<Said> {
        let answered = caller.post(&self.path(), &self.body(), headers).await?;
        Ok(Said { dialect: self.dialect, stream: self.stream, answered })
    }
}

impl Said {
    /// The same, if it is an answer.
    pub(crate) fn expect_answer(self) -> Result<Self> {
        if self.answered.status != 200 {
            bail!("{:?}: {}: {}", self.dialect, self.answered.status, self.answered.text);
        }
        Ok(self)
    }

    pub(crate) fn id(&self) -> &str {
        self.answered.request_id()
    }

    /// The payloads of a stream, or the one body.
    pub(crate) fn payloads(&self) -> Vec<Value> {
        match self.stream && self.answered.status == 200 {
            true => payloads(&self.answered.text),
            false => vec![self.answered.body.clone()],
        }
    }

    /// What the model said.
    pub(crate) fn text(&self) -> String {
        self.payloads().iter().map(|payload| text_of(self.dialect, payload, self.stream)).collect()
    }

    /// Why the answer ended, in the dialect's own word.
    pub(crate) fn finish(&self) -> Option<String> {
        let pointers = [
            "/choices/0/finish_reason",
            "/response/incomplete_details/reason",
            "/incomplete_details/reason",
            "/delta/stop_reason",
            "/stop_reason",
            "/candidates/0/finishReason",
            "/response/status",
        ];
        let found = |payload: &Value| {
            let word = pointers.iter().find_map(|pointer| payload.pointer(pointer)?.as_str());
            word.map(str::to_owned)
        };
        self.payloads().iter().rev().find_map(found)
    }

    /// Type and words of the error, after a look at every member that the dialect's clients read.
    pub(crate) fn error(&self) -> Result<(String, String)> {
        let payloads = self.payloads();
        let payload = payloads.last().context("an error")?;
        let streamed = self.stream && self.answered.status == 200;
        let wrong = || format!("no error of {:?}: {}", self.dialect, self.answered.text);
        let text = |pointer: &str| {
            let text = payload.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned).with_context(wrong)
        };
        match self.dialect {
            Dialect::AnthropicMessages => {
                if text("/type")? != "error" {
                    bail!(wrong());
                }
                Ok((text("/error/type")?, text("/error/message")?))
            }
            Dialect::Gemini => {
                if !streamed && payload["error"]["code"] != json!(self.answered.status) {
                    bail!(wrong());
                }
                Ok((text("/error/status")?, text("/error/message")?))
            }
            Dialect::OpenAiResponses if streamed => {
                if text("/type")? != "response.failed" {
                    bail!(wrong());
                }
                Ok((text("/response/error/code")?, text("/response/error/message")?))
            }
            _ => {
                for member in ["/error/param", "/error/code"] {
                    payload.pointer(member).with_context(wrong)?;
                }
                Ok((text("/error/type")?, text("/error/message")?))
            }
        }
    }
}

/// The parsed payloads of a stream's bytes; what is cut off at its end is left out.
pub(crate) fn payloads(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect()
}

/// The text that one payload adds.
pub(crate) fn text_of(dialect: Dialect, payload: &Value, stream: bool) -> String {
    let one = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str).unwrap_or("");
    let all = |list: &str, within: &str| -> String {
        let items = payload.pointer(list).and_then(Value::as_array);
        let items = items.into_iter().flatten();
        items.filter_map(|item| item.pointer(within)?.as_str()).collect()
    };
    match (dialect, stream) {
        (Dialect::OpenAiResponses, true) if one("/type") == "response.output_text.delta" => {
            one("/delta").to_owned()
        }
        (Dialect::OpenAiResponses, true) => String::new(),
        (Dialect::OpenAiResponses, false) => all("/output", "/content/0/text"),
        (Dialect::AnthropicMessages, true) => one("/delta/text").to_owned(),
        (Dialect::AnthropicMessages, false) => all("/content", "/text"),
        (Dialect::Gemini, _) => all("/candidates/0/content/parts", "/text"),
        (_, true) => one("/choices/0/delta/content").to_owned(),
        (_, false) => one("/choices/0/message/content").to_owned(),
    }
}

/// Reads a stream until so many bytes of text have come, and gives back what was read.
pub(crate) async fn read_to(
    response: &mut reqwest::Response,
    dialect: Dialect,
    bytes: usize,
) -> Result<String> {
    let mut read = String::new();
    loop {
        let text: String =
            payloads(&read).iter().map(|payload| text_of(dialect, payload, true)).collect();
        if text.len() >= bytes {
            return Ok(text);
        }
        let piece = response.chunk().await?.with_context(|| format!("it ended: {read}"))?;
        // The simulated answers of these tests are ASCII, so no character is ever split.
        read.push_str(std::str::from_utf8(&piece)?);
    }
}
