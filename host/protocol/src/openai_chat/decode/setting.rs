//! Settings of a request that come in several shapes: stop sequences, the format of the answer, and
//! the many ways in which compatible servers are asked to think. Never judges a schema.

use serde_json::Value;

use crate::neutral::{Effort, Format, Reasoning, Words};
use crate::request_error::RequestError;

use super::super::tree::{self, Object};

/// `stop`: one string or several.
pub(super) fn stops(value: Value) -> Result<Vec<Words>, RequestError> {
    let refused = || RequestError::invalid("stop", "a string or an array of strings");
    let values = match value {
        Value::String(one) => return Ok(vec![Words::from(one)]),
        Value::Array(values) => values,
        _ => return Err(refused()),
    };
    let stop = |value| match value {
        Value::String(one) => Ok(Words::from(one)),
        _ => Err(refused()),
    };
    values.into_iter().map(stop).collect()
}

/// `response_format`.
pub(super) fn format(value: Value) -> Result<Option<Format>, RequestError> {
    let Value::Object(format) = value else {
        return Err(RequestError::invalid("response_format", "an object with a type"));
    };
    match tree::string(&format, "type") {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Json)),
        Some("json_schema") => {
            let inner = tree::object(&format, "json_schema").ok_or_else(|| {
                RequestError::missing("response_format.json_schema", "an object with a schema")
            })?;
            let schema = inner.get("schema").cloned();
            Ok(Some(Format::Schema {
                name: tree::string(inner, "name").unwrap_or("answer").to_owned(),
                description: tree::string(inner, "description").map(Words::from),
                schema: schema.unwrap_or_else(|| Value::Object(Object::new())).into(),
                strict: inner.get("strict").and_then(Value::as_bool),
            }))
        }
        _ => {
            let expected = "text, json_object or json_schema";
            Err(RequestError::invalid("response_format.type", expected))
        }
    }
}

/// Whether `modalities` asks for nothing but text.
pub(super) fn text_alone(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(|item| item == "text"))
}

/// How much thinking a request asks for, in whichever members.
#[derive(Debug, Default)]
pub(super) struct ThinkingWish {
    effort: Option<Effort>,
    budget: Option<u32>,
    /// Thinking is switched on or off without a measure.
    on: Option<bool>,
    adaptive: bool,
    summary: Option<String>,
}

// === impl ThinkingWish ===

impl ThinkingWish {
    /// Takes a member that is about thinking; gives any other back.
    pub(super) fn member(&mut self, key: &str, value: Value) -> Option<Value> {
        match (key, &value) {
            ("reasoning_effort", Value::String(word)) => self.word(word),
            ("reasoning", Value::Object(wish)) => self.object(wish),
            ("thinking", Value::Object(wish)) => self.typed(wish),
            ("enable_thinking", Value::Bool(on)) => self.on = Some(*on),
            ("thinking_budget", Value::Number(number)) => {
                self.budget = number.as_u64().and_then(|tokens| u32::try_from(tokens).ok());
            }
            ("chat_template_kwargs", Value::Object(arguments)) if arguments.len() == 1 => {
                let on = ["enable_thinking", "thinking"].into_iter().find_map(|k| arguments.get(k));
                let Some(on) = on.and_then(Value::as_bool) else { return Some(value) };
                self.on = Some(on);
            }
            _ => return Some(value),
        }
        None
    }

    fn word(&mut self, word: &str) {
        match Effort::parse(word) {
            Some(effort) => self.effort = Some(effort),
            // `default` and the like: on, without a measure.
            None => self.on = Some(true),
        }
    }

    /// OpenRouter's form.
    fn object(&mut self, wish: &Object) {
        if let Some(word) = tree::string(wish, "effort") {
            self.word(word);
        }
        self.budget = tree::number(wish, "max_tokens").or(self.budget);
        self.on = wish.get("enabled").and_then(Value::as_bool).or(self.on);
        self.summary = tree::string(wish, "summary").map(str::to_owned);
    }

    /// Anthropic's form, which DeepSeek, Zhipu and Moonshot took over in part.
    fn typed(&mut self, wish: &Object) {
        match tree::string(wish, "type") {
            Some("disabled") => self.on = Some(false),
            Some("adaptive" | "auto") => self.adaptive = true,
            _ => self.on = Some(true),
        }
        self.budget = tree::number(wish, "budget_tokens").or(self.budget);
    }

    /// What all members together ask for.
    pub(super) fn reasoning(self) -> Option<Reasoning> {
        let Self { effort, mut budget, on, mut adaptive, summary } = self;
        match on {
            Some(false) if effort.is_none() => budget = Some(0),
            Some(true) if effort.is_none() && budget.is_none() => adaptive = true,
            _ => {}
        }
        let asked = effort.is_some() || budget.is_some() || adaptive || summary.is_some();
        asked.then_some(Reasoning { effort, budget, adaptive, summary })
    }
}
