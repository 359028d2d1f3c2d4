//! `GET /v1beta/models` and `GET /v1beta/models/{id}` in Google's shape.

use serde_json::{Value, json};

use crate::script::{ModelScript, ProviderScript};

/// Limits told where the script has none.
const INPUT_TOKENS: u64 = 1_048_576;
const OUTPUT_TOKENS: u64 = 65_536;

/// The list.
pub(crate) fn models(provider: &ProviderScript) -> Value {
    json!({ "models": provider.models.iter().map(model).collect::<Vec<_>>() })
}

/// One model.
pub(crate) fn one_model(provider: &ProviderScript, id: &str) -> Option<Value> {
    provider.models.iter().find(|model| model.id == id).map(model)
}

fn model(model: &ModelScript) -> Value {
    json!({
        "name": format!("models/{}", model.id),
        "version": "001",
        "displayName": model.id,
        "description": "A simulated model.",
        "inputTokenLimit": model.context_tokens.unwrap_or(INPUT_TOKENS),
        "outputTokenLimit": model.output_tokens.unwrap_or(OUTPUT_TOKENS),
        "supportedGenerationMethods": ["generateContent", "countTokens", "createCachedContent"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": model.reasoning_tokens > 0 || model.reasoning_text.is_some(),
    })
}
