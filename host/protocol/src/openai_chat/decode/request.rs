//! A chat completion request as every dialect means it. Members without effect on the answer, such
//! as `store`, end here; members of this dialect alone are kept as such. Never fills in a default.

use serde_json::{Number, Value};

use crate::Dialect;
use crate::neutral::{Own, Request};
use crate::request_error::RequestError;
use crate::scan::Fault;

use super::super::tree::Object;
use super::message::Thread;
use super::setting::{self, ThinkingWish};
use super::tool;

/// Without effect on the answer: whether and how the provider keeps logs and caches, and what the
/// gateway asks for in any case.
const WITHOUT_EFFECT: &[&str] =
    &["store", "stream_options", "prompt_cache_retention", "cache_control"];

/// Reads a whole body.
pub(crate) fn request(body: &[u8]) -> Result<Request, RequestError> {
    let tree: Object = serde_json::from_slice(body).map_err(|error| {
        let at = error.column().saturating_sub(1);
        RequestError::from(Fault { at, what: "expected one JSON object" })
    })?;
    let mut request = Request::of(Dialect::OpenAiChat);
    let mut wish = ThinkingWish::default();
    for (key, value) in tree {
        if value.is_null() || WITHOUT_EFFECT.contains(&key.as_str()) {
            continue;
        }
        let Some(value) = sampling(&mut request, &key, value)? else { continue };
        let Some(value) = hint(&mut request, &key, value)? else { continue };
        let Some(value) = wish.member(&key, value) else { continue };
        control(&mut request, &key, value)?;
    }
    request.reasoning = wish.reasoning();
    Ok(request)
}

fn control(request: &mut Request, key: &str, value: Value) -> Result<(), RequestError> {
    match key {
        "model" => request.model = text(key, &value)?,
        "messages" => Thread::read(value, request)?,
        "stream" => request.stream = flag(key, &value)?,
        "max_tokens" | "max_completion_tokens" => {
            request.output_limit = request.output_limit.max(Some(whole(key, &value)?));
        }
        "n" => request.choices = Some(whole(key, &value)?).filter(|count| *count != 1),
        "tools" | "functions" => tool::read_all(key, value, &mut request.tools)?,
        "tool_choice" | "function_call" => request.tool_choice = tool::choice(key, &value)?,
        "parallel_tool_calls" => request.parallel_tools = Some(flag(key, &value)?),
        "response_format" => request.format = setting::format(value)?,
        "logprobs" => {
            if flag(key, &value)? {
                request.logprobs = request.logprobs.or(Some(0));
            }
        }
        "top_logprobs" => request.logprobs = request.logprobs.max(Some(whole(key, &value)?)),
        "modalities" if setting::text_alone(&value) => {}
        _ => request.own.push(Own { at: key.to_owned(), value: value.into() }),
    }
    Ok(())
}

/// Takes a number that steers the choice of tokens; gives back a value of any other key.
fn sampling(request: &mut Request, key: &str, value: Value) -> Result<Option<Value>, RequestError> {
    let sampling = &mut request.sampling;
    let slot = match key {
        "temperature" => &mut sampling.temperature,
        "top_p" => &mut sampling.top_p,
        "top_k" => &mut sampling.top_k,
        "frequency_penalty" => &mut sampling.frequency_penalty,
        "presence_penalty" => &mut sampling.presence_penalty,
        "seed" => &mut sampling.seed,
        "stop" => {
            sampling.stop = setting::stops(value)?;
            return Ok(None);
        }
        "logit_bias" => {
            let empty = value.as_object().is_some_and(Object::is_empty);
            sampling.logit_bias = (!empty).then(|| value.into());
            return Ok(None);
        }
        _ => return Ok(Some(value)),
    };
    *slot = Some(numeric(key, value)?);
    Ok(None)
}

/// Takes a string that helps the provider; gives back a value of any other key.
fn hint(request: &mut Request, key: &str, value: Value) -> Result<Option<Value>, RequestError> {
    let slot = match key {
        // The newer name for the same thing; whoever sends both means the newer.
        "safety_identifier" => &mut request.user,
        "user" => {
            if request.user.is_none() {
                request.user = Some(text(key, &value)?);
            }
            return Ok(None);
        }
        "prompt_cache_key" => &mut request.cache_key,
        "service_tier" => &mut request.service_tier,
        "verbosity" => &mut request.verbosity,
        "metadata" => {
            request.metadata = Some(value.into());
            return Ok(None);
        }
        _ => return Ok(Some(value)),
    };
    *slot = Some(text(key, &value)?);
    Ok(None)
}

fn text(key: &str, value: &Value) -> Result<String, RequestError> {
    value.as_str().map(str::to_owned).ok_or_else(|| RequestError::invalid(key, "a string"))
}

fn flag(key: &str, value: &Value) -> Result<bool, RequestError> {
    value.as_bool().ok_or_else(|| RequestError::invalid(key, "true or false"))
}

fn whole(key: &str, value: &Value) -> Result<u32, RequestError> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| RequestError::invalid(key, "a whole number"))
}

fn numeric(key: &str, value: Value) -> Result<Number, RequestError> {
    match value {
        Value::Number(number) => Ok(number),
        _ => Err(RequestError::invalid(key, "a number")),
    }
}
