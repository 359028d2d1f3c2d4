//! A request in chat completions, the way one provider wants it. What its quirks refuse is left out
//! at the end, in one place, and told as a loss where the answer depends on it.

use serde_json::{Value, json};

use crate::Dialect;
use crate::call::{LimitField, Outgoing};
use crate::neutral::{Format, Losses, Own, Request};
use crate::quirks::{Quirks, Structured, ThinkingWish};

use super::super::refusal;
use super::super::tree::Object;
use super::history::History;
use super::{chosen, setting, tool};

/// Stop sequences that this dialect takes.
const STOPS_MAX: usize = 4;
/// OpenAI refuses longer names of users and caches. Agents put whole objects there.
pub(crate) const HINT_MAX: usize = 64;
/// Members of this dialect alone that mean the same to a provider who speaks it.
const OWN: &[&str] = &["modalities", "audio", "prediction", "web_search_options"];

/// Writes a whole body.
pub(crate) fn request(request: &Request, out: &Outgoing<'_>, losses: &mut Losses) -> Vec<u8> {
    let quirks = out.quirks;
    let mut body = Object::new();
    body.insert("model".to_owned(), out.model.into());
    body.insert("messages".to_owned(), messages(request, quirks, losses));
    stream(request, quirks, &mut body);
    if let Some(limit) = out.output_limit.or(request.output_limit) {
        let name = match out.limit_field {
            LimitField::MaxTokens => "max_tokens",
            LimitField::MaxCompletionTokens => "max_completion_tokens",
        };
        body.insert(name.to_owned(), limit.into());
    }
    tool::write(request, quirks, &mut body, losses);
    setting::format(request.format.as_ref(), quirks, &mut body);
    setting::reasoning(request.reasoning.as_ref(), quirks, &mut body, losses);
    sampling(request, &mut body, losses);
    hints(request, &mut body, losses);
    own(request, &mut body, losses);
    refused(quirks, &mut body, losses);
    Value::Object(body).to_string().into_bytes()
}

fn messages(request: &Request, quirks: &Quirks, losses: &mut Losses) -> Value {
    let mut history = History::new(quirks);
    let wish = setting::format_in_words(request, quirks, losses);
    history.system(&request.system, wish.as_deref(), losses);
    for turn in &request.turns {
        history.turn(turn, losses);
    }
    if let Some(at) = request.begun_answer() {
        let what = "providers of this dialect answer anew rather than go on from it";
        losses.approximated(at, what);
    }
    history.finish()
}

fn stream(request: &Request, quirks: &Quirks, body: &mut Object) {
    if !request.stream {
        return;
    }
    body.insert("stream".to_owned(), true.into());
    if !quirks.no_stream_options {
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
}

fn sampling(request: &Request, body: &mut Object, losses: &mut Losses) {
    let sampling = &request.sampling;
    let numbers = [
        ("temperature", &sampling.temperature),
        ("top_p", &sampling.top_p),
        ("frequency_penalty", &sampling.frequency_penalty),
        ("presence_penalty", &sampling.presence_penalty),
        ("seed", &sampling.seed),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            body.insert(name.to_owned(), Value::Number(number.clone()));
        }
    }
    if sampling.top_k.is_some() {
        losses.dropped("top_k", "this dialect has no such bound");
    }
    let stops: Vec<&str> = sampling.stop.iter().map(|stop| stop.0.as_str()).collect();
    if stops.len() > STOPS_MAX {
        losses.dropped("stop", "only the first four stop sequences are sent");
    }
    if !stops.is_empty() {
        let first: Vec<&str> = stops.into_iter().take(STOPS_MAX).collect();
        body.insert("stop".to_owned(), first.into());
    }
    if let Some(bias) = &sampling.logit_bias {
        body.insert("logit_bias".to_owned(), bias.0.clone());
    }
    if let Some(choices) = request.choices.filter(|choices| *choices > 1) {
        body.insert("n".to_owned(), choices.into());
    }
    if let Some(beside) = request.logprobs {
        body.insert("logprobs".to_owned(), true.into());
        if beside > 0 {
            body.insert("top_logprobs".to_owned(), beside.into());
        }
    }
}

/// Hints to the provider. `metadata` is not among them: OpenAI takes it only together with `store`,
/// and no answer depends on it.
fn hints(request: &Request, body: &mut Object, losses: &mut Losses) {
    let hints = [
        ("user", &request.user),
        ("prompt_cache_key", &request.cache_key),
        ("verbosity", &request.verbosity),
    ];
    for (name, value) in hints {
        if let Some(value) = value {
            let value = chosen::fitted(value, HINT_MAX, "id_");
            body.insert(name.to_owned(), value.into());
        }
    }
    let Some(tier) = request.service_tier.as_deref() else { return };
    match tier {
        "auto" | "default" | "flex" | "priority" | "scale" => {
            body.insert("service_tier".to_owned(), tier.into());
        }
        "standard_only" | "standard" => {
            body.insert("service_tier".to_owned(), "default".into());
        }
        _ => losses.dropped("service_tier", "this dialect has no tier of that name"),
    }
}

fn own(request: &Request, body: &mut Object, losses: &mut Losses) {
    let native = request.is_of(Dialect::OpenAiChat);
    for own in &request.own {
        let Own { at, value } = own;
        if native && OWN.contains(&at.as_str()) {
            body.insert(at.clone(), value.0.clone());
        } else {
            own.lost(losses, "only the caller's dialect knows it");
        }
    }
}

/// Leaves out what the provider would refuse.
fn refused(quirks: &Quirks, body: &mut Object, losses: &mut Losses) {
    if quirks.takes_all() {
        return;
    }
    let wish = wish(body);
    let going: Vec<String> =
        body.keys().filter(|name| refusal::goes(name, quirks, wish)).cloned().collect();
    for name in going {
        let Some(value) = body.shift_remove(&name) else { continue };
        if let Some(severity) = refusal::severity(&name, &value.to_string()) {
            losses.note(severity, name, refusal::REFUSED);
        }
    }
}

/// What the body says of thinking.
fn wish(body: &Object) -> ThinkingWish {
    let said = body.get("reasoning_effort").or(body.get("reasoning"));
    said.map_or(ThinkingWish::Unsaid, |said| {
        let effort = said.as_str().or_else(|| said.get("effort")?.as_str());
        let off = said.get("enabled").is_some_and(|on| *on == false);
        ThinkingWish::of_effort(effort.unwrap_or(if off { "none" } else { "" }))
    })
}

/// Whether a format has to be asked for in the instructions, and in which words.
pub(super) fn in_words(format: &Format, structured: Structured) -> Option<String> {
    match (format, structured) {
        (Format::Schema { schema, .. }, Structured::Object | Structured::Nothing) => Some(format!(
            "Answer with one JSON object and nothing else, without a code fence. It must follow \
             this JSON schema:\n{}",
            schema.0
        )),
        (Format::Schema { .. }, Structured::Schema) => None,
        (Format::Json, _) => {
            Some("Answer with one JSON object and nothing else, without a code fence.".to_owned())
        }
    }
}
