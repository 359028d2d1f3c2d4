//! Control at run time over HTTP, for people who try Turnpike out: `GET /_control` tells counts,
//! `GET /_control/requests?provider=NAME` what reached a provider, `POST /_control` switches the
//! behaviour of a provider or a model. Tests in Rust use the handle instead.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Rule;
use crate::http::Request;
use crate::script::{AnswerScript, ToolCalls};
use crate::seen::Seen;
use crate::world::{Provider, World};

/// A switch; what is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    provider: String,
    /// Absent: `failures` are the provider's, everything else is set on each of its models.
    model: Option<String>,
    failures: Option<Vec<Rule>>,
    answer: Option<AnswerScript>,
    tool_calls: Option<ToolCalls>,
    first_token_ms: Option<u64>,
    tokens_per_second: Option<u64>,
    chunk_tokens: Option<u32>,
}

/// Answers a control request: status and body.
pub(crate) fn answer(world: &World, request: &Request, rest: &str) -> (u16, Value) {
    match (request.method.as_str(), rest) {
        ("GET", "" | "/") => (200, overview(world)),
        ("GET", "/requests") => (200, requests(world, request.query("provider"))),
        ("POST", "" | "/") => match serde_json::from_slice(&request.body) {
            Ok(switch) => apply(world, &switch),
            Err(error) => refuse(400, &format!("not a switch: {error}")),
        },
        _ => refuse(404, "there is GET /_control, GET /_control/requests and POST /_control"),
    }
}

fn refuse(status: u16, message: &str) -> (u16, Value) {
    (status, json!({ "error": { "message": message } }))
}

fn overview(world: &World) -> Value {
    let provider = |provider: &Provider| {
        let models: Vec<&str> = provider.models.iter().map(|model| model.id.as_str()).collect();
        let (name, prefix) = (&provider.script.name, &provider.script.prefix);
        json!({ "name": name, "prefix": prefix, "counts": provider.counts(), "models": models })
    };
    json!({ "providers": world.providers.iter().map(provider).collect::<Vec<_>>() })
}

fn requests(world: &World, provider: Option<&str>) -> Value {
    let item = |seen: &Seen| {
        let headers: Vec<Value> =
            seen.headers.iter().map(|(name, value)| json!([name, value])).collect();
        json!({ "serial": seen.serial, "provider": seen.provider, "model": seen.model,
            "method": seen.method, "path": seen.path, "outcome": seen.outcome,
            "headers": headers, "credentials": seen.credentials, "body": seen.text() })
    };
    json!({ "items": world.seen(provider).iter().map(item).collect::<Vec<_>>() })
}

fn apply(world: &World, switch: &Switch) -> (u16, Value) {
    let Some(provider) = world.provider(&switch.provider) else {
        return refuse(404, &format!("no provider is named {}", switch.provider));
    };
    if let Some(name) = &switch.model
        && provider.model(name).is_none()
    {
        return refuse(404, &format!("{} has no model {name}", switch.provider));
    }
    if let (None, Some(failures)) = (&switch.model, &switch.failures) {
        provider.set_failures(failures, world.seed);
    }
    for model in &provider.models {
        if switch.model.as_ref().is_some_and(|name| *name != model.id) {
            continue;
        }
        model.change(world.seed, |script| {
            if let (Some(_), Some(failures)) = (&switch.model, &switch.failures) {
                script.failures.clone_from(failures);
            }
            if let Some(answer) = &switch.answer {
                script.answer.clone_from(answer);
            }
            script.tool_calls = switch.tool_calls.unwrap_or(script.tool_calls);
            script.first_token_ms = switch.first_token_ms.unwrap_or(script.first_token_ms);
            script.tokens_per_second = switch.tokens_per_second.unwrap_or(script.tokens_per_second);
            script.chunk_tokens = switch.chunk_tokens.unwrap_or(script.chunk_tokens);
        });
    }
    (200, json!({ "applied": true }))
}
