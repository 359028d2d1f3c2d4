//! A neutral request as a body for a provider of this dialect, or for a cloud that takes such
//! bodies under another address. Never sends an empty text, and always a bound on the answer.

use serde_json::{Map, Number, Value, json};

use crate::Dialect;
use crate::call::Outgoing;
use crate::neutral::{Format, Losses, Own, Part, Request};
use crate::quirks::{Envelope, Structured};

use super::content::Blocks;
use super::messages::{lacks_thinking, messages};
use super::thinking::{Bounds, Plan};
use super::{schema, tools};

/// Members that only this dialect has and that are passed on as they are.
const OWN: &[&str] =
    &["context_management", "mcp_servers", "container", "betas", "cache_control", "inference_geo"];
/// Bytes of `metadata.user_id`.
const USER_BYTES_MAX: usize = 256;
/// Instruction in place of a mode for JSON of any shape.
const JSON_ONLY: &str = "Answer with one JSON object and nothing else: no prose, no code fence.";

/// Writes a whole body.
pub(crate) fn request(request: &Request, out: &Outgoing<'_>, losses: &mut Losses) -> Vec<u8> {
    let mut body = Map::new();
    envelope(&mut body, request, out);
    let messages = messages(request, losses);
    let bounds = Bounds {
        asked: out.output_limit.or(request.output_limit),
        model: out.model_limit,
        adaptive: out.quirks.adaptive_thinking,
        lacks_thinking: lacks_thinking(&messages),
    };
    let plan = Plan::new(request, &bounds, losses);
    body.insert("max_tokens".to_owned(), Value::from(plan.max_tokens));
    let system = system(request, out, losses);
    if !system.is_empty() {
        body.insert("system".to_owned(), Value::Array(system));
    }
    body.insert("messages".to_owned(), Value::Array(messages));
    offer_tools(&mut body, request, losses);
    if out.quirks.structured != Structured::Schema {
        loosen(&mut body, losses);
    }
    if let Some(thinking) = &plan.thinking {
        body.insert("thinking".to_owned(), thinking.clone());
    }
    let formats = out.quirks.structured == Structured::Schema;
    output_config(&mut body, request, &plan, formats, losses);
    sampling(&mut body, request, plan.thinks(), losses);
    about(&mut body, request, losses);
    own(&mut body, request, losses);
    for name in &out.quirks.refused {
        // A temperature or top_p of 1 is what such a model does anyway.
        let usual = |value: &Value| value.as_f64() == Some(1.0);
        if body.remove(name).is_some_and(|value| !usual(&value)) {
            losses.dropped(name.as_str(), "the provider refuses it");
        }
    }
    Value::Object(body).to_string().into_bytes()
}

fn envelope(body: &mut Map<String, Value>, request: &Request, out: &Outgoing<'_>) {
    let (version, streams) = match out.quirks.envelope {
        Envelope::Plain => {
            body.insert("model".to_owned(), Value::from(out.model));
            (None, true)
        }
        Envelope::Vertex => (Some(crate::anthropic::request::VERTEX_VERSION), true),
        Envelope::Bedrock => (Some(crate::anthropic::request::BEDROCK_VERSION), false),
    };
    if let Some(version) = version {
        body.insert("anthropic_version".to_owned(), Value::from(version));
    }
    if request.stream && streams {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
}

fn system(request: &Request, out: &Outgoing<'_>, losses: &mut Losses) -> Vec<Value> {
    let mut blocks = Blocks::of(request);
    let mut system = Vec::new();
    for part in &request.system {
        match part {
            Part::Text { .. } | Part::Refusal(_) | Part::Own(_) => {
                blocks.push(part, losses, &mut system);
            }
            _ => losses.dropped("system", "instructions can only be text"),
        }
    }
    if matches!(request.format, Some(Format::Json)) {
        losses.approximated("response_format", "an instruction asks for JSON");
        system.push(json!({ "type": "text", "text": JSON_ONLY }));
    }
    if let Some(Format::Schema { schema, .. }) = &request.format
        && out.quirks.structured != Structured::Schema
    {
        losses.approximated("response_format", "an instruction asks for the schema");
        let text = format!("{JSON_ONLY} It must match this JSON schema: {}", schema.0);
        system.push(json!({ "type": "text", "text": text }));
    }
    system
}

fn offer_tools(body: &mut Map<String, Value>, request: &Request, losses: &mut Losses) {
    let mut tools = tools::tools(request, losses);
    let mut choice = tools::choice(request);
    if tools.is_empty() {
        tools = tools::stand_ins(request);
        choice = Some(json!({ "type": "none" }));
    }
    if tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), Value::Array(tools));
    if let Some(choice) = choice {
        body.insert("tool_choice".to_owned(), choice);
    }
}

/// Tools whose inputs need not match their schema: older models know no `strict`.
fn loosen(body: &mut Map<String, Value>, losses: &mut Losses) {
    let tools = body.get_mut("tools").and_then(Value::as_array_mut);
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        if tool.as_object_mut().is_some_and(|tool| tool.remove("strict").is_some()) {
            let what = "the model takes a schema of a tool as advice";
            losses.approximated(format!("tools[{index}].strict"), what);
        }
    }
}

fn output_config(
    body: &mut Map<String, Value>,
    request: &Request,
    plan: &Plan,
    formats: bool,
    losses: &mut Losses,
) {
    let mut config = Map::new();
    if let Some(effort) = plan.effort {
        config.insert("effort".to_owned(), Value::from(effort));
    }
    if let Some(Format::Schema { schema, .. }) = request.format.as_ref().filter(|_| formats) {
        let schema = schema::of_answer(schema.0.clone(), losses);
        config.insert("format".to_owned(), json!({ "type": "json_schema", "schema": schema }));
    }
    let native = request.is_of(Dialect::AnthropicMessages);
    for Own { at, value } in request.own.iter().filter(|_| native) {
        if let Some(name) = at.strip_prefix("output_config.") {
            config.entry(name).or_insert_with(|| value.0.clone());
        }
    }
    if !config.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(config));
    }
}

/// Numbers that steer the choice of tokens. A model that thinks takes hardly any of them.
fn sampling(body: &mut Map<String, Value>, request: &Request, thinks: bool, losses: &mut Losses) {
    let sampling = &request.sampling;
    let with_thinking = "the provider does not take it while the model thinks";
    let one = |number: &Number| number.as_f64().is_some_and(|number| (number - 1.0).abs() < 1e-9);
    let mut temperature = sampling.temperature.clone().filter(|number| !(thinks && one(number)));
    if temperature.is_some() && thinks {
        losses.dropped("temperature", with_thinking);
        temperature = None;
    }
    if temperature.as_ref().and_then(Number::as_f64).is_some_and(|number| number > 1.0) {
        losses.approximated("temperature", "the provider's highest is 1");
        temperature = Some(Number::from(1));
    }
    let mut top_p = sampling.top_p.clone();
    // A top_p of 1 is none; beside a temperature newer models refuse any.
    if temperature.is_some() && top_p.take().is_some_and(|number| !one(&number)) {
        losses.dropped("top_p", "the provider takes it only without a temperature");
    }
    if thinks && top_p.as_ref().and_then(Number::as_f64).is_some_and(|number| number < 0.95) {
        losses.dropped("top_p", with_thinking);
        top_p = None;
    }
    let mut top_k = sampling.top_k.clone();
    if thinks && top_k.take().is_some() {
        losses.dropped("top_k", with_thinking);
    }
    for (name, number) in [("temperature", temperature), ("top_p", top_p), ("top_k", top_k)] {
        if let Some(number) = number {
            body.insert(name.to_owned(), Value::Number(number));
        }
    }
    let (stop, blank): (Vec<&str>, Vec<&str>) = (sampling.stop.iter())
        .map(|words| words.0.as_str())
        .partition(|words| !words.trim().is_empty());
    if !blank.is_empty() {
        losses.dropped("stop", "the provider takes no stop sequence of white space alone");
    }
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(stop));
    }
    let absent = [
        ("frequency_penalty", sampling.frequency_penalty.as_ref()),
        ("presence_penalty", sampling.presence_penalty.as_ref()),
        ("seed", sampling.seed.as_ref()),
    ];
    let nothing = |number: &Number| number.as_f64() == Some(0.0);
    for (name, number) in absent {
        if number.is_some_and(|number| name == "seed" || !nothing(number)) {
            losses.dropped(name, "the provider has no such setting");
        }
    }
    if sampling.logit_bias.as_ref().is_some_and(|bias| bias.0 != json!({})) {
        losses.dropped("logit_bias", "the provider has no such setting");
    }
}

/// Who asks, how it is served, and what of the answer's form cannot be had.
fn about(body: &mut Map<String, Value>, request: &Request, losses: &mut Losses) {
    // A longer name would be refused; the answer does not depend on it.
    if let Some(user) = request.user.as_ref().filter(|user| user.len() <= USER_BYTES_MAX) {
        body.insert("metadata".to_owned(), json!({ "user_id": user }));
    }
    match request.service_tier.as_deref() {
        None => {}
        Some("auto") => {
            body.insert("service_tier".to_owned(), Value::from("auto"));
        }
        Some("default" | "standard" | "standard_only") => {
            body.insert("service_tier".to_owned(), Value::from("standard_only"));
        }
        Some(_) => losses.dropped("service_tier", "the provider has no such tier"),
    }
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.unsupported("n", "the provider gives one answer");
    }
    if request.logprobs.is_some() {
        losses.unsupported("logprobs", "the provider tells no probabilities");
    }
    if request.verbosity.as_deref().is_some_and(|verbosity| verbosity != "medium") {
        losses.dropped("verbosity", "the provider has no such setting");
    }
}

fn own(body: &mut Map<String, Value>, request: &Request, losses: &mut Losses) {
    let native = request.is_of(Dialect::AnthropicMessages);
    for own in &request.own {
        let Own { at, value } = own;
        let name = at.as_str();
        let elsewhere = name.starts_with("output_config.") || tools::is_own_path(name);
        if native && OWN.contains(&name) {
            body.insert(at.clone(), value.0.clone());
        } else if !(native && elsewhere) {
            own.lost(losses, "only the caller's dialect has it");
        }
    }
}
