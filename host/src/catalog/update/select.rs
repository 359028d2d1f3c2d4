//! Which of the source's entries the catalogue keeps, and in which dialects they are served.

use crate::catalog::Kind;
use crate::catalog::update::source::Model;

/// Providers that the catalogue has, by the source's names.
pub(super) const PROVIDERS: [&str; 23] = [
    "alibaba",
    "amazon-bedrock",
    "anthropic",
    "azure",
    "cerebras",
    "cohere",
    "deepseek",
    "fireworks-ai",
    "google",
    "google-vertex",
    "groq",
    "llama",
    "minimax",
    "mistral",
    "moonshotai",
    "nvidia",
    "openai",
    "openrouter",
    "perplexity",
    "togetherai",
    "xai",
    "zai",
    "zhipuai",
];

/// Parts of names of models that neither chat nor embed: speech, filters, rankers, simulators.
const OTHER_WORK: [&str; 34] = [
    "whisper",
    "tts",
    "asr",
    "ocr",
    "rerank",
    "guard",
    "content-safety",
    "realtime",
    "livetranslate",
    "voicechat",
    "orpheus",
    "esm2",
    "esmfold",
    "bevformer",
    "sparsedrive",
    "streampetr",
    "cosmos",
    "gliner",
    "usdcode",
    "usdvalidate",
    "studiovoice",
    "active-speaker",
    "magpie",
    "synthetic-video",
    "paligemma",
    "translate",
    "qwen-mt",
    "lyria",
    "flux",
    "relace",
    "morph",
    "turbo-instruct",
    "image",
    "model-router",
];

/// OpenAI models that only its Responses API serves.
const RESPONSES_ONLY: [&str; 4] = ["-pro", "codex", "deep-research", "o1-pro"];

/// What the entry is for, or `None` if the catalogue doesn't keep it.
pub(super) fn kind(provider: &str, wire: &str, fact: &Model) -> Option<Kind> {
    let name = wire.to_ascii_lowercase();
    let writes = fact.modalities.output.iter().any(|label| label == "text");
    let reads = fact.modalities.input.iter().any(|label| label == "text");
    if !writes || !reads || OTHER_WORK.iter().any(|word| name.contains(word)) {
        return None;
    }
    // Openrouter's own routers and moving aliases have no price or ability of their own.
    if provider == "openrouter" && (name.starts_with('~') || name.starts_with("openrouter/")) {
        return None;
    }
    if provider == "openrouter" && name == "switchpoint/router" {
        return None;
    }
    let family = fact.family.as_deref().unwrap_or_default();
    let embeds = ["embed", "bge-"].iter().any(|word| name.contains(word) || family.contains(word));
    Some(if embeds { Kind::Embedding } else { Kind::Chat })
}

/// Dialects in which the provider serves the entry. `npm` is the client package that the source
/// names for the provider; an entry may have its own.
pub(super) fn dialects(provider: &str, wire: &str, npm: &str, fact: &Model) -> Vec<&'static str> {
    let own = fact.provider.as_ref();
    let npm = own.and_then(|own| own.npm.as_deref()).unwrap_or(npm);
    if own.and_then(|own| own.shape.as_deref()) == Some("responses") {
        return vec!["openai-responses"];
    }
    match npm {
        "@ai-sdk/openai" | "@ai-sdk/azure" => openai(wire),
        "@ai-sdk/anthropic" if provider == "anthropic" => vec!["anthropic-messages", "openai-chat"],
        "@ai-sdk/anthropic" if provider == "minimax" => vec!["anthropic-messages", "openai-chat"],
        "@ai-sdk/anthropic" | "@ai-sdk/google-vertex/anthropic" => vec!["anthropic-messages"],
        "@ai-sdk/google" | "@ai-sdk/google-vertex" => vec!["gemini", "openai-chat"],
        "@ai-sdk/amazon-bedrock" => vec!["bedrock-converse"],
        _ => vec!["openai-chat"],
    }
}

fn openai(wire: &str) -> Vec<&'static str> {
    if RESPONSES_ONLY.iter().any(|part| wire.contains(part)) {
        vec!["openai-responses"]
    } else {
        vec!["openai-chat", "openai-responses"]
    }
}
