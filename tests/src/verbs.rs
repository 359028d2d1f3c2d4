//! What a caller and an operator can do, typed just enough for tests to read well.

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::money::pico;
use crate::stream::Streamed;

/// A chat completion request with one user message.
pub fn chat(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As received.
    pub text: String,
    /// The text as JSON; null when it is none.
    pub body: Value,
}

impl Answered {
    /// A header's value; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str())
    }

    /// `x-request-id`.
    pub fn request_id(&self) -> &str {
        self.header("x-request-id")
    }

    /// The text of choice 0.
    pub fn content(&self) -> &str {
        self.body.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or("")
    }

    /// This answer, if its status is as expected; the body is in the error.
    pub fn expect_status(self, status: u16) -> Result<Self> {
        if self.status != status {
            bail!("status {} instead of {status}: {}", self.status, self.text);
        }
        Ok(self)
    }
}

/// An organization's credit in pico-USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Free to spend.
    pub available: u128,
    /// Set aside for requests under way.
    pub held: u128,
    /// Spent so far.
    pub spent: u128,
}

impl Balance {
    pub(crate) fn read(body: &Value) -> Result<Self> {
        let amount = |name: &str| {
            let text = body.get(name).and_then(Value::as_str);
            pico(text.with_context(|| format!("no {name} in {body}"))?)
        };
        Ok(Self {
            available: amount("available_usd")?,
            held: amount("held_usd")?,
            spent: amount("spent_usd")?,
        })
    }

    /// Everything that was ever topped up.
    pub fn total(&self) -> u128 {
        self.available + self.held + self.spent
    }
}

/// Someone with a key and a URL. Clones share connections.
#[derive(Debug, Clone)]
pub struct Caller {
    http: Client,
    base: String,
    key: String,
}

impl Caller {
    /// Calls `base` with `key` as its bearer token.
    pub fn new(base: &str, key: &str) -> Self {
        Self { http: Client::new(), base: base.to_owned(), key: key.to_owned() }
    }

    /// The URL that it calls.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Any call with an optional JSON body.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answered> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        answered(request).await
    }

    /// Any call with raw bytes as its body.
    pub async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> Result<Answered> {
        let request = self.request(method, path).header("content-type", content_type).body(bytes);
        answered(request).await
    }

    /// Posts a body with headers of one's own; the answer as it comes.
    pub async fn open(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<reqwest::Response> {
        let request = self.request(Method::POST, path).json(body);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.context("the gateway did not answer")
    }

    /// The same, read to its end.
    pub async fn post(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Answered> {
        read(self.open(path, body, headers).await?).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Result<Answered> {
        self.call(Method::GET, path, None).await
    }

    /// A whole chat completion.
    pub async fn chat(&self, body: &Value) -> Result<Answered> {
        self.call(Method::POST, "/v1/chat/completions", Some(body)).await
    }

    /// A streamed chat completion with its usage asked for. Check the status before reading.
    pub async fn stream(&self, body: &Value) -> Result<Streamed> {
        let mut body = body.clone();
        let fields = body.as_object_mut().context("a request is an object")?;
        fields.insert("stream".to_owned(), json!(true));
        fields.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        let request = self.request(Method::POST, "/v1/chat/completions").json(&body);
        let response = request.send().await.context("the gateway did not answer")?;
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let id = id.unwrap_or("").to_owned();
        Ok(Streamed::new(response, id))
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Result<Answered> {
    read(request.send().await.context("the gateway did not answer")?).await
}

async fn read(response: reqwest::Response) -> Result<Answered> {
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    let status = response.status().as_u16();
    let text = response.text().await.context("the answer broke off")?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answered { status, headers, text, body })
}
