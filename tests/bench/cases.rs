//! What is sent and what must come back: the request of each case, and the check that its answer
//! arrived whole. Bodies are fixed but for the name of their turn, so that slices compare.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// Events with text in a stream.
pub(crate) const EVENTS: usize = 100;

/// Pause between the events of a paced stream.
pub(crate) const PACE_MS: u64 = 5;

/// Words of the fixed answer: about 600 bytes of JSON around it.
const ANSWER: &str = "The gate opens when the toll is paid, and the toll is what the road costs.";

/// What the upstream calls itself and its answers.
const MODEL: &str = "gpt-5.4-mini-2026-03-17";
const ID: &str = "chatcmpl-bench0000000000000000000000";

/// Marks a request whose answer the upstream spreads over time.
const PACED_MARK: &str = "[one at a time]";

/// The name of a request's turn, as it is before the first is sent.
const FIRST_TURN: &str = "aaaaaaaaaaaaaaaa";
/// Turns that were named so far.
static TURN: AtomicU64 = AtomicU64::new(0);

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// A prompt of 1 KB, an answer of 600 bytes.
    Chat,
    /// A prompt of 128 KiB, the same answer.
    Prompt,
    /// 100 events that the upstream sends in one write.
    Burst,
    /// The same events, one at a time.
    Paced,
    /// As `Chat`, over a single connection: the added latency.
    Alone,
}

// === impl Case ===

impl Case {
    pub(crate) const ALL: [Self; 5] =
        [Self::Chat, Self::Prompt, Self::Burst, Self::Paced, Self::Alone];

    pub(crate) fn parse(label: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|case| case.label() == label);
        let labels = Self::ALL.map(Self::label).join(", ");
        found.ok_or_else(|| anyhow::anyhow!("no case {label:?}; there are {labels}"))
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Prompt => "prompt",
            Self::Burst => "burst",
            Self::Paced => "paced",
            Self::Alone => "alone",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Chat => "1 KB chat",
            Self::Prompt => "128 KiB prompt",
            Self::Burst => "burst of 100 events",
            Self::Paced => "paced stream of 100 events",
            Self::Alone => "1 KB chat, one connection",
        }
    }

    pub(crate) fn streams(self) -> bool {
        matches!(self, Self::Burst | Self::Paced)
    }

    /// Connections of the closed loop.
    pub(crate) fn connections(self, given: usize) -> usize {
        match self {
            Self::Alone => 1,
            // A paced stream is nearly idle: more of them, to measure work and not waiting.
            Self::Paced => given.saturating_mul(4),
            _ => given,
        }
    }

    /// The whole request, head and body.
    pub(crate) fn request(self, host: &str, key: &str, model: &str) -> Vec<u8> {
        let body = self.body(model);
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\naccept: application/json\r\n\
             user-agent: turnpike-bench\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }

    fn body(self, model: &str) -> String {
        let length: usize = if self == Self::Prompt { 128 * 1024 } else { 1024 };
        let mark = if self == Self::Paced { PACED_MARK } else { "" };
        let written = |text: &str| {
            let mut body = json!({"model": model, "max_tokens": 256, "messages": [
                {"role": "system", "content": "You are a careful assistant."},
                {"role": "user", "content": format!("{mark}{FIRST_TURN}{text}")},
            ]});
            if let Some(fields) = body.as_object_mut().filter(|_| self.streams()) {
                fields.insert("stream".to_owned(), json!(true));
                fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
            }
            body.to_string()
        };
        written(&prose(length.saturating_sub(written("").len())))
    }

    /// Proves that an answer is the upstream's, whole.
    pub(crate) fn check(self, status: u16, body: &[u8]) -> Result<()> {
        if status != 200 {
            let text = String::from_utf8_lossy(body);
            bail!("status {status} instead of 200: {}", text.chars().take(500).collect::<String>());
        }
        if self.streams() {
            let body = std::str::from_utf8(body)?;
            let events = body.matches(r#""content":"word-"#).count();
            ensure!(events == EVENTS, "{events} events with text instead of {EVENTS}");
            ensure!(body.contains(r#""finish_reason":"stop""#), "the stream has no finish");
            ensure!(body.contains(r#""total_tokens""#), "the stream has no usage");
            ensure!(body.ends_with("data: [DONE]\n\n"), "the stream does not end with [DONE]");
        } else {
            let text: Value = serde_json::from_slice(body)?;
            let content = text.pointer("/choices/0/message/content");
            ensure!(content.and_then(|c| c.as_str()) == Some(ANSWER), "another answer: {text}");
            ensure!(text.pointer("/usage/total_tokens").is_some(), "the answer has no usage");
        }
        Ok(())
    }
}

/// A request of which every sending says something new, so that nothing that is remembered of the
/// one before makes it cheaper.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    request: Vec<u8>,
    /// Where the turn's name stands.
    at: usize,
}

impl Turns {
    pub(crate) fn of(request: Vec<u8>) -> Result<Self> {
        let mut windows = request.windows(FIRST_TURN.len());
        let at = windows.position(|window| window == FIRST_TURN.as_bytes());
        Ok(Self { at: at.context("the request has no name of its turn")?, request })
    }

    /// The request with a name of its turn that no other has.
    pub(crate) fn next(&mut self) -> &[u8] {
        let mut turn = TURN.fetch_add(1, Ordering::Relaxed);
        for letter in self.request.iter_mut().skip(self.at).take(FIRST_TURN.len()) {
            // Four bits each, as letters: digits would be looked at by the redactor.
            *letter = b'a'.wrapping_add(u8::try_from(turn % 16).unwrap_or_default());
            turn /= 16;
        }
        &self.request
    }
}

/// Text that takes so many bytes in a JSON string, with an escape in each line.
fn prose(length: usize) -> String {
    let line = "A traveller asks what the road costs, who keeps it, and where it leads.\n";
    // The line's end takes two bytes as JSON writes it.
    let written = line.len().saturating_add(1);
    let mut text = line.repeat(length / written);
    text.push_str(&".".repeat(length % written));
    text
}

/// Whether the upstream is asked for a stream, and if so whether for a paced one.
pub(crate) fn asked_stream(body: &[u8]) -> Option<bool> {
    let body = String::from_utf8_lossy(body);
    let stream = body.contains(r#""stream":true"#) || body.contains(r#""stream": true"#);
    stream.then(|| body.contains(PACED_MARK))
}

/// The upstream's whole answer to a call that doesn't stream.
pub(crate) fn answer() -> Vec<u8> {
    let message = json!({"role": "assistant", "content": ANSWER, "refusal": null});
    let body = json!({
        "id": ID,
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": usage(18),
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    });
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

fn usage(completion: u32) -> Value {
    let prompt = 220;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": completion.saturating_add(prompt),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

/// The upstream's stream, in the pieces that a paced one sends apart. Each event is an HTTP chunk
/// of its own, as providers send them.
pub(crate) fn stream() -> Vec<Vec<u8>> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_bench\r\n\
                cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    let role = json!({"role": "assistant", "content": "", "refusal": null});
    let mut pieces = vec![[head.as_bytes(), &event(&choice(&role, None), &Value::Null)].concat()];
    for number in 0..EVENTS {
        let delta = json!({"content": format!("word-{number} ")});
        pieces.push(event(&choice(&delta, None), &Value::Null));
    }
    pieces.push(event(&choice(&json!({}), Some("stop")), &Value::Null));
    pieces.push(event(&json!([]), &usage(200)));
    pieces.push([chunk("data: [DONE]\n\n").as_slice(), b"0\r\n\r\n"].concat());
    pieces
}

fn choice(delta: &Value, finish: Option<&str>) -> Value {
    json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}])
}

fn event(choices: &Value, usage: &Value) -> Vec<u8> {
    let body = json!({
        "id": ID,
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
        "choices": choices,
        "usage": usage,
    });
    chunk(&format!("data: {body}\n\n"))
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_promised_size_and_are_json() {
        for (case, length) in [(Case::Chat, 1024), (Case::Prompt, 128 * 1024), (Case::Burst, 1024)]
        {
            let body = case.body("auto");
            assert_eq!(body.len(), length, "{}", case.title());
            assert!(serde_json::from_str::<Value>(&body).is_ok());
            assert_eq!(asked_stream(body.as_bytes()), case.streams().then_some(false));
        }
        assert_eq!(asked_stream(Case::Paced.body("auto").as_bytes()), Some(true));
    }

    #[test]
    fn no_two_requests_are_alike() {
        let request = Case::Prompt.request("host", "key", "auto");
        let (mut turns, length) = (Turns::of(request.clone()).unwrap(), request.len());
        let (first, second) = (turns.next().to_vec(), turns.next().to_vec());
        assert_ne!(first, second);
        assert_eq!((first.len(), second.len()), (length, length));
    }

    #[test]
    fn an_answer_that_is_cut_or_failed_is_refused() {
        let whole = answer();
        let text = String::from_utf8(whole).unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        Case::Chat.check(200, body.as_bytes()).unwrap();
        assert!(Case::Chat.check(500, body.as_bytes()).is_err());
        assert!(Case::Chat.check(200, &body.as_bytes()[..body.len() - 1]).is_err());
        assert!(Case::Chat.check(200, body.replace("toll", "tool").as_bytes()).is_err());
        assert!(Case::Burst.check(200, body.as_bytes()).is_err());
    }

    #[test]
    fn a_stream_without_its_end_or_an_event_is_refused() {
        let text = String::from_utf8(stream().concat()).unwrap();
        let body: String = text.split("\r\n").filter(|part| part.starts_with("data: ")).collect();
        Case::Burst.check(200, body.as_bytes()).unwrap();
        let without = |part: &str| body.replacen(part, "", 1);
        for part in ["data: [DONE]\n\n", r#""content":"word-7 ""#, r#""finish_reason":"stop""#] {
            assert!(Case::Burst.check(200, without(part).as_bytes()).is_err(), "{part}");
        }
    }
}
