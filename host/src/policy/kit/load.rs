//! The requests that a bench puts: of fixed sizes, the same on every run and every machine. Knows
//! nothing of time.

use std::sync::Arc;

use turnpike_protocol::{Call, Dialect};

use crate::policy::facts::{AttrValue, Conversation, Offers, RequestFacts};
use crate::policy::verdict::{BillCall, Figures, Quantity};

/// Offers to score.
pub(super) const OFFERS: usize = 50;
/// Bytes of a short request's text, and of a long conversation's.
pub(super) const SHORT: usize = 2_000;
pub(super) const LONG: usize = 115_000;
/// Bytes of one message of a conversation.
const MESSAGE: usize = 2_000;
/// What people write, without anything that a redactor looks for.
const WORDS: &str = "Please refactor this function so that it reads the file only once, keep the \
                     tests as they are, and explain in two sentences what has changed. ";

/// Clean text of so many bytes.
pub(super) fn text(bytes: usize) -> String {
    WORDS.chars().cycle().take(bytes).collect()
}

/// The messages of a conversation of so many bytes, each another one, none with a digit.
pub(super) fn messages(bytes: usize) -> Vec<String> {
    let words = |at| WORDS.chars().cycle().skip(at).take(MESSAGE).collect();
    (0..bytes.div_ceil(MESSAGE)).map(words).collect()
}

/// A message that no round before had.
pub(super) fn fresh_message(round: usize) -> String {
    let number = round.to_string();
    let mark = number.bytes().map(|digit| char::from(digit.wrapping_add(b'a' - b'0')));
    mark.chain(WORDS.chars().cycle()).take(MESSAGE).collect()
}

/// A conversation of so many bytes of text, in messages that take turns.
pub(super) fn facts(bytes: usize) -> Option<RequestFacts> {
    let messages: Vec<_> = (0..bytes.div_ceil(MESSAGE))
        .map(|at| {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            serde_json::json!({"role": role, "content": text(MESSAGE)})
        })
        .collect();
    let body = serde_json::json!({"model": "auto", "messages": messages}).to_string();
    let call = Arc::new(Call::parse(Dialect::OpenAiChat, body.into_bytes().into()).ok()?);
    Some(RequestFacts {
        id: "bench".to_owned(),
        protocol: "openai-chat",
        model: "auto".to_owned(),
        streaming: false,
        input_tokens: call.input_tokens_upper(),
        output_limit: call.output_limit,
        call: call as Arc<dyn Conversation>,
        attrs: Vec::new(),
    })
}

/// Rising columns, so that every row differs.
pub(super) fn figures() -> Figures {
    let rows = || (1..=OFFERS).map(|row| f64::from(u32::try_from(row).unwrap_or(u32::MAX)));
    let column = |scale: f64| rows().map(|row| scale * row).collect::<Vec<_>>();
    Figures {
        quality: column(0.019),
        cost_usd: column(0.0003),
        cost_worst_usd: column(0.002),
        first_token_ms: column(13.0),
        first_token_p95_ms: column(40.0),
        tokens_per_second: column(3.0),
        availability: column(0.019),
        in_flight: column(1.0),
        marks: vec![0; OFFERS],
        expected_pico: Vec::new(),
    }
}

/// Offers with a name and nothing else.
struct Named(Vec<String>);

impl Offers for Named {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn id(&self, row: usize) -> Option<&str> {
        self.0.get(row).map(String::as_str)
    }

    fn attr(&self, _row: usize, _name: &str) -> Option<AttrValue> {
        None
    }
}

pub(super) fn offers() -> Arc<dyn Offers> {
    Arc::new(Named((0..OFFERS).map(|row| format!("lab/model-{row}@provider")).collect()))
}

/// What a settled call used.
pub(super) fn bill() -> BillCall {
    let quantity =
        |item: &str, count| Quantity { item: item.to_owned(), count, unit_price_pico: 2_500_000 };
    BillCall {
        task: "code".to_owned(),
        offer: "lab/model@provider".to_owned(),
        quantities: vec![
            quantity("input", 812),
            quantity("cache-read", 64),
            quantity("output", 95),
        ],
        settled: true,
        attrs: Vec::new(),
    }
}
