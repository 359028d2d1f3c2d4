//! What is sent and what must come back: the request of each case, and the check that its answer
//! arrived whole. Bodies are fixed, so that slices compare.

use anyhow::{Result, bail, ensure};

/// Events with text in a stream.
pub(crate) const EVENTS: usize = 100;

/// Pause between the events of a paced stream.
pub(crate) const PACE_MS: u64 = 5;

/// Words of the fixed answer: about 600 bytes of JSON around it.
const ANSWER: &str = "The gate opens when the toll is paid, and the toll is what the road costs.";

/// Marks a request whose answer the upstream spreads over time.
const PACED_MARK: &str = "[one at a time]";

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
        let stream = if self.streams() {
            r#""stream":true,"stream_options":{"include_usage":true},"#
        } else {
            ""
        };
        let before = format!(
            r#"{{"model":"{model}",{stream}"max_tokens":256,"messages":[{{"role":"system","content":"You are a careful assistant."}},{{"role":"user","content":"{mark}"#
        );
        let after = r#""}]}"#;
        let room = length.saturating_sub(before.len()).saturating_sub(after.len());
        format!("{before}{}{after}", prose(room))
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
            let text: serde_json::Value = serde_json::from_slice(body)?;
            let content = text.pointer("/choices/0/message/content");
            ensure!(content.and_then(|c| c.as_str()) == Some(ANSWER), "another answer: {text}");
            ensure!(text.pointer("/usage/total_tokens").is_some(), "the answer has no usage");
        }
        Ok(())
    }
}

/// Text of so many bytes as a JSON string holds it, with an escape in each line.
fn prose(length: usize) -> String {
    let line = "A traveller asks what the road costs, who keeps it, and where it leads.\\n";
    let mut text = line.repeat(length / line.len());
    let missing = length.saturating_sub(text.len());
    text.push_str(&".".repeat(missing));
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
    let body = format!(
        r#"{{"id":"chatcmpl-bench0000000000000000000000","object":"chat.completion","created":1767225600,"model":"gpt-5.4-mini-2026-03-17","choices":[{{"index":0,"message":{{"role":"assistant","content":"{ANSWER}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":220,"completion_tokens":18,"total_tokens":238,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_bench"}}"#
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// The upstream's stream, in the pieces that a paced one sends apart. Each event is an HTTP chunk
/// of its own, as providers send them.
pub(crate) fn stream() -> Vec<Vec<u8>> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_bench\r\n\
                cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    let event = |rest: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-bench0000000000000000000000\",\
             \"object\":\"chat.completion.chunk\",\"created\":1767225600,\
             \"model\":\"gpt-5.4-mini-2026-03-17\",\"service_tier\":\"default\",\
             \"system_fingerprint\":\"fp_bench\",{rest}}}\n\n"
        )
    };
    let choice = |delta: &str, finish: &str| {
        event(&format!(
            r#""choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null"#
        ))
    };
    let role = choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null");
    let mut pieces = vec![[head.as_bytes(), &chunk(&role)].concat()];
    for number in 0..EVENTS {
        let delta = format!(r#"{{"content":"word-{number} "}}"#);
        pieces.push(chunk(&choice(&delta, "null")));
    }
    pieces.push(chunk(&choice("{}", r#""stop""#)));
    let usage = r#""choices":[],"usage":{"prompt_tokens":220,"completion_tokens":200,"total_tokens":420,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#;
    pieces.push(chunk(&event(usage)));
    pieces.push([chunk("data: [DONE]\n\n").as_slice(), b"0\r\n\r\n"].concat());
    pieces
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
