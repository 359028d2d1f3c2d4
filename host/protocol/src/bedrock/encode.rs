//! From the neutral model to a Converse request. The model and whether to stream are in the URL.
//! Says what it could not carry; never drops in silence.

mod config;
mod messages;
mod tools;

use serde_json::{Map, Value, json};

use crate::call::Outgoing;
use crate::neutral::{CacheMark, Losses, Request};
use crate::quirks::Structured;

use messages::Messages;

/// Writes a request.
pub(crate) fn request(request: &Request, out: &Outgoing<'_>, losses: &mut Losses) -> Vec<u8> {
    let mut root = Map::new();
    let marks = !out.quirks.refused.iter().any(|member| member == "cachePoint");
    let strict = out.quirks.structured == Structured::Schema;
    let mut messages = Messages::new(marks, losses);
    let mut system = messages.system(request);
    messages.write_turns(request);
    let written = messages.finish();
    let limit = out.output_limit.or(request.output_limit).or(out.model_limit);
    let tools = tools::write(request, (marks, strict), losses);
    let forced = tools.as_ref().is_some_and(|tools| tools.forced);
    let mut extra = Map::new();
    let thinks = config::thinking(request, out, (limit, forced), &mut extra, losses);
    let mut inference = config::inference(request, (limit, thinks), &mut extra, losses);
    config::refused(out.quirks, &mut inference, &mut extra, losses);
    config::betas(request, out.quirks, &mut extra, losses);
    let format = config::format(request, out.quirks, &mut system, losses);
    root.insert("messages".to_owned(), Value::Array(written));
    let mut set = |name: &str, value: Option<Value>| {
        root.extend(value.map(|value| (name.to_owned(), value)));
    };
    set("system", (!system.is_empty()).then_some(Value::Array(system)));
    set("inferenceConfig", (!inference.is_empty()).then_some(Value::Object(inference)));
    set("toolConfig", tools.map(|tools| tools.config));
    set("outputConfig", format);
    set("additionalModelRequestFields", (!extra.is_empty()).then_some(Value::Object(extra)));
    set("serviceTier", config::service_tier(request, losses));
    serde_json::to_vec(&Value::Object(root)).unwrap_or_default()
}

/// The point up to which the prompt may be cached.
fn cache_point(mark: &CacheMark) -> Value {
    match mark.ttl.as_deref() {
        Some(ttl) => json!({"cachePoint": {"type": "default", "ttl": ttl}}),
        None => json!({"cachePoint": {"type": "default"}}),
    }
}
