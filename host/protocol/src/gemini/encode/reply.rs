//! A whole answer, and the pieces that it shares with a streamed one. Never invents an id: this
//! dialect does without.

use serde_json::{Map, Value, json};

use crate::error_body::ErrorFacts;
use crate::gemini::{error, finish, signature, tree, usage};
use crate::neutral::{Block, Choice, Finish, Losses, Reply, Signature, ToolKind};
use crate::translate::Naming;

/// Members of a candidate that stand beside its content.
const BESIDE: [&str; 3] = ["citationMetadata", "groundingMetadata", "urlContextMetadata"];
/// Parts that only Google's own answers have.
const PARTS: [&str; 5] =
    ["executableCode", "codeExecutionResult", "toolCall", "toolResponse", "fileData"];

/// Writes a whole answer.
pub(crate) fn reply(reply: &Reply, naming: &Naming, losses: &mut Losses) -> Vec<u8> {
    if let Some(failure) = &reply.error {
        return error::body(&facts(failure));
    }
    let candidates = reply.choices.iter().enumerate();
    let candidates: Vec<Value> =
        candidates.map(|(index, choice)| candidate(index, choice, losses)).collect();
    let mut root = json!({"candidates": candidates});
    if let Some(members) = root.as_object_mut() {
        let tier = reply.service_tier.as_deref();
        let used = reply.usage.as_ref().map(|used| usage::write(used, tier));
        members.extend(used.map(|used| ("usageMetadata".to_owned(), used)));
        let model = reply.model.as_deref().unwrap_or(&naming.model);
        members.insert("modelVersion".to_owned(), json!(model));
        let id = reply.id.as_deref().unwrap_or(&naming.id);
        members.insert("responseId".to_owned(), json!(id));
    }
    tree::bytes(&root)
}

/// What an error of the provider says to a caller of this dialect.
pub(super) fn facts(failure: &crate::StreamError) -> ErrorFacts<'_> {
    ErrorFacts {
        message: failure.message.expose(),
        kind: failure.kind.as_deref().unwrap_or("server_error"),
        param: None,
        code: None,
        status: error::status_of(failure),
        request_id: None,
    }
}

fn candidate(index: usize, choice: &Choice, losses: &mut Losses) -> Value {
    let mut parts = Vec::new();
    let mut beside = Map::new();
    for block in &choice.blocks {
        write_block(block, &mut parts, &mut beside, losses);
    }
    let reason = choice.finish.unwrap_or(Finish::Stop);
    let mut out = Map::new();
    out.insert("content".to_owned(), json!({"parts": parts, "role": "model"}));
    out.insert("finishReason".to_owned(), json!(finish::write(reason)));
    out.insert("index".to_owned(), json!(index));
    if choice.stop_sequence.is_some() {
        losses.dropped("stop_sequence", "not told which one was met");
    }
    if let Some(value) = &choice.logprobs {
        out.insert("logprobsResult".to_owned(), logprobs(&value.0));
    }
    out.extend(beside);
    Value::Object(out)
}

fn write_block(
    block: &Block,
    parts: &mut Vec<Value>,
    beside: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    match block {
        Block::Text { text, citations } => {
            if !text.0.is_empty() {
                parts.push(json!({"text": text.0}));
            }
            for citation in citations {
                cite(&citation.0, beside, losses);
            }
        }
        Block::Refusal(text) => parts.push(json!({"text": text.0})),
        Block::Thinking { text, signature } => parts.push(thought(&text.0, signature.as_ref())),
        Block::SealedThinking(signature) => parts.push(sealed(signature)),
        Block::ToolCall { id, name, input, kind, signature } => {
            parts.push(call(id.as_deref(), name, (&input.0, *kind), signature.as_ref()));
        }
        Block::Media { media_type, base64 } => {
            parts.push(json!({"inlineData": {"mimeType": media_type, "data": base64.0}}));
        }
        Block::Own(value) => parts.extend(own(&value.0, beside, losses)),
    }
}

/// A part of thinking.
pub(super) fn thought(text: &str, proof: Option<&Signature>) -> Value {
    match proof {
        Some(proof) => json!({"text": text, "thought": true,
            "thoughtSignature": signature::write(proof)}),
        None => json!({"text": text, "thought": true}),
    }
}

/// A part of a signature and nothing else. Google's own belongs to a text.
pub(super) fn sealed(proof: &Signature) -> Value {
    let written = signature::write(proof);
    match proof.issuer {
        crate::neutral::Issuer::Gemini => json!({"text": "", "thoughtSignature": written}),
        _ => json!({"text": "", "thought": true, "thoughtSignature": written}),
    }
}

/// A part of a function's call, whose arguments are an object.
pub(super) fn call(
    id: Option<&str>,
    name: &str,
    (input, kind): (&str, ToolKind),
    proof: Option<&Signature>,
) -> Value {
    let parsed = serde_json::from_str(input).ok().filter(Value::is_object);
    let args = match kind {
        ToolKind::Custom => None,
        // No input at all is a call without arguments.
        _ if input.trim().is_empty() => Some(json!({})),
        _ => parsed,
    };
    let mut call = Map::new();
    call.extend(id.map(|id| ("id".to_owned(), json!(id))));
    call.insert("name".to_owned(), json!(name));
    call.insert("args".to_owned(), args.unwrap_or_else(|| json!({"input": input})));
    match proof {
        Some(proof) => {
            json!({"functionCall": call, "thoughtSignature": signature::write(proof)})
        }
        None => json!({"functionCall": call}),
    }
}

/// A block of Google's own: a part, or what stands beside the content.
pub(super) fn own(
    value: &Value,
    beside: &mut Map<String, Value>,
    losses: &mut Losses,
) -> Option<Value> {
    let first = value.as_object().and_then(|members| members.keys().next());
    match first.map(String::as_str) {
        Some(name) if PARTS.contains(&name) => return Some(value.clone()),
        Some(name) if BESIDE.contains(&name) => cite(value, beside, losses),
        _ => losses.dropped("content", "a block that only the provider's dialect has"),
    }
    None
}

/// A citation of Google's own goes beside the content as it came; of another's the page does, if it
/// names one.
pub(super) fn cite(citation: &Value, beside: &mut Map<String, Value>, losses: &mut Losses) {
    let members = citation.as_object().filter(|members| {
        !members.is_empty() && members.keys().all(|name| BESIDE.contains(&name.as_str()))
    });
    match members {
        Some(members) => {
            beside.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        None => match page(citation) {
            Some((Some(own), _)) if own.is_null() => {}
            Some((Some(own), _)) => {
                beside.insert("groundingMetadata".to_owned(), own);
            }
            Some((None, page)) => {
                losses.approximated("citations", "the cited place in the text is left out");
                let grounding = beside.entry("groundingMetadata").or_insert_with(|| json!({}));
                let chunks = grounding
                    .as_object_mut()
                    .map(|members| members.entry("groundingChunks").or_insert_with(|| json!([])));
                if let Some(chunks) = chunks.and_then(Value::as_array_mut) {
                    chunks.push(json!({"web": page}));
                }
            }
            None => losses.dropped("citations", "citations of another shape"),
        },
    }
}

/// The page that a citation names, and all that Google said of it where it was Google.
fn page(citation: &Value) -> Option<(Option<Value>, Value)> {
    let inner = citation.get("url_citation").unwrap_or(citation);
    let uri = inner.get("url").or_else(|| inner.get("uri")).filter(|uri| uri.is_string())?;
    let title = inner.get("title").filter(|title| title.is_string());
    let own = inner.get("grounding").cloned();
    Some((own, json!({"uri": uri, "title": title.unwrap_or(uri)})))
}

/// Probabilities, from the shape of OpenAI chat.
pub(super) fn logprobs(value: &Value) -> Value {
    let content = value.get("content").and_then(Value::as_array);
    let content = content.map(Vec::as_slice).unwrap_or_default();
    let chosen: Vec<Value> = content.iter().map(probability).collect();
    let top = content.iter().map(|token| {
        let others = token.get("top_logprobs").and_then(Value::as_array);
        let others: Vec<Value> = others.into_iter().flatten().map(probability).collect();
        json!({"candidates": others})
    });
    let top: Vec<Value> = top.collect();
    json!({"topCandidates": top, "chosenCandidates": chosen})
}

fn probability(token: &Value) -> Value {
    json!({"token": token.get("token"), "logProbability": token.get("logprob")})
}
