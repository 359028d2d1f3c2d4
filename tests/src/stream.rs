//! Reads a streamed answer event by event, as the official clients do, and keeps what they would
//! have made of it.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A streamed answer, read as it comes.
#[derive(Debug)]
pub struct Streamed {
    response: reqwest::Response,
    inbox: String,
    tail: Vec<u8>,
    /// HTTP status.
    pub status: u16,
    /// `x-request-id`.
    pub request_id: String,
    /// Parsed chunks so far.
    pub chunks: Vec<Value>,
    /// `data: [DONE]` has come.
    pub done: bool,
    /// The connection broke before its proper end.
    pub broken: bool,
}

impl Streamed {
    pub(crate) fn new(response: reqwest::Response, request_id: String) -> Self {
        Self {
            status: response.status().as_u16(),
            response,
            request_id,
            inbox: String::new(),
            tail: Vec::new(),
            chunks: Vec::new(),
            done: false,
            broken: false,
        }
    }

    /// Reads to the end, or to the break.
    pub async fn read(&mut self) -> Result<()> {
        while self.step().await? {}
        Ok(())
    }

    /// Reads until some text has come; false when the stream ended without any.
    pub async fn read_to_text(&mut self) -> Result<bool> {
        while self.text().is_empty() {
            if !self.step().await? {
                return Ok(!self.text().is_empty());
            }
        }
        Ok(true)
    }

    /// The text of choice 0.
    pub fn text(&self) -> String {
        self.strings("/choices/0/delta/content")
    }

    /// The arguments of the first tool call of choice 0.
    pub fn arguments(&self) -> String {
        self.strings("/choices/0/delta/tool_calls/0/function/arguments")
    }

    /// The last `finish_reason`.
    pub fn finish_reason(&self) -> Option<&str> {
        self.chunks
            .iter()
            .rev()
            .find_map(|chunk| chunk.pointer("/choices/0/finish_reason")?.as_str())
    }

    /// The error event, if one came.
    pub fn error(&self) -> Option<&Value> {
        self.chunks.iter().find_map(|chunk| chunk.get("error").filter(|error| !error.is_null()))
    }

    /// The usage, if it came.
    pub fn usage(&self) -> Option<&Value> {
        self.chunks.iter().find_map(|chunk| chunk.get("usage").filter(|usage| !usage.is_null()))
    }

    /// Every finish is there and the end was proper: what a client calls a complete answer.
    pub fn complete(&self) -> bool {
        self.done && !self.broken && self.error().is_none() && self.finish_reason().is_some()
    }

    fn strings(&self, pointer: &str) -> String {
        let texts = self.chunks.iter().filter_map(|chunk| chunk.pointer(pointer));
        texts.filter_map(Value::as_str).collect()
    }

    /// Reads once more; false at the end.
    async fn step(&mut self) -> Result<bool> {
        match self.response.chunk().await {
            Ok(Some(bytes)) => self.tail.extend_from_slice(&bytes),
            Ok(None) => {
                if !self.tail.is_empty() || !self.inbox.is_empty() {
                    bail!("the stream ends inside an event: {:?}", self.inbox);
                }
                return Ok(false);
            }
            Err(_) => {
                self.broken = true;
                return Ok(false);
            }
        }
        self.take_text()?;
        while let Some((event, rest)) = self.inbox.split_once("\n\n") {
            // A comment is a sign of life.
            if event.starts_with(':') {
                self.inbox = rest.to_owned();
                continue;
            }
            let data = event.strip_prefix("data: ").with_context(|| format!("event {event:?}"))?;
            if data == "[DONE]" {
                self.done = true;
            } else {
                let chunk = serde_json::from_str(data);
                self.chunks.push(chunk.with_context(|| format!("data {data:?} is not JSON"))?);
            }
            self.inbox = rest.to_owned();
        }
        Ok(true)
    }

    /// Moves whole characters from the bytes to the text.
    fn take_text(&mut self) -> Result<()> {
        let valid = match std::str::from_utf8(&self.tail) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => bail!("the stream is not UTF-8"),
        };
        let rest = self.tail.split_off(valid);
        self.inbox.push_str(std::str::from_utf8(&self.tail)?);
        self.tail = rest;
        Ok(())
    }
}
