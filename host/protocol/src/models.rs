//! The list of models in the shape of whoever asks. Never knows where the models come from.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Whose list it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"object":"list","data":[…]}`.
    OpenAi,
    /// `{"data":[{"type":"model",…}],"has_more":false}`.
    Anthropic,
    /// `{"models":[{"name":"models/…"}]}`.
    Gemini,
    /// `{"models":[{"slug":…}]}`, what Codex builds its picker from.
    Codex,
}

/// The price of one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// 10⁻¹² USD.
    pub pico_usd: u128,
}

/// One model as a caller sees it. Zero limits and absent prices are unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelEntry {
    /// The name to ask for.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// Release, in seconds since 1970; 0 when unknown.
    pub created_s: u64,
    /// Who made it.
    pub owned_by: String,
    /// Prompt and answer together.
    pub context_tokens: u32,
    /// Longest answer.
    pub output_tokens: u32,
    /// It can call tools.
    pub tools: bool,
    /// It can read images.
    pub images: bool,
    /// It can think.
    pub reasoning: bool,
    /// It gives vectors, and no answers.
    pub embedding: bool,
    /// Of a prompt's token.
    pub input_price: Option<Price>,
    /// Of an answer's token.
    pub output_price: Option<Price>,
    /// Of a prompt's token read from cache.
    pub cache_read_price: Option<Price>,
}

/// Context assumed of a model whose own is not known, where a client insists on a number.
const CONTEXT_UNKNOWN: u32 = 128_000;
/// The same of the longest answer.
const OUTPUT_UNKNOWN: u32 = 16_384;

/// The body of a list.
pub fn encode(shape: Shape, models: &[ModelEntry]) -> Bytes {
    let each = |one: fn(&ModelEntry) -> Value| Value::from_iter(models.iter().map(one));
    body(&match shape {
        Shape::OpenAi => json!({"object": "list", "data": each(openai)}),
        Shape::Anthropic => json!({
            "data": each(anthropic),
            "has_more": false,
            "first_id": models.first().map(|model| &model.id),
            "last_id": models.last().map(|model| &model.id),
        }),
        Shape::Gemini => return encode_page(models, None),
        Shape::Codex => json!({"models": each(codex)}),
    })
}

/// A page of Google's list, with the token by which its clients ask for the next.
pub fn encode_page(models: &[ModelEntry], next: Option<&str>) -> Bytes {
    let mut page = json!({"models": Value::from_iter(models.iter().map(gemini))});
    if let (Some(page), Some(next)) = (page.as_object_mut(), next) {
        page.insert("nextPageToken".to_owned(), json!(next));
    }
    body(&page)
}

/// The body of one model.
pub fn encode_one(shape: Shape, model: &ModelEntry) -> Bytes {
    body(&match shape {
        Shape::OpenAi => openai(model),
        Shape::Anthropic => anthropic(model),
        Shape::Gemini => gemini(model),
        Shape::Codex => codex(model),
    })
}

/// The priced catalogue as LiteLLM's clients read it: `GET /v1/model/info`.
pub fn encode_info(models: &[ModelEntry]) -> Bytes {
    body(&json!({"data": Value::from_iter(models.iter().map(info))}))
}

fn body(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn openai(model: &ModelEntry) -> Value {
    json!({
        "id": model.id,
        "object": "model",
        "created": model.created_s,
        "owned_by": model.owned_by,
    })
}

fn anthropic(model: &ModelEntry) -> Value {
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": rfc3339(model.created_s),
    })
}

fn gemini(model: &ModelEntry) -> Value {
    // Vectors are asked for in OpenAI's dialect alone.
    let methods: &[&str] = if model.embedding { &[] } else { &["generateContent", "countTokens"] };
    json!({
        "name": format!("models/{}", model.id),
        "displayName": model.display_name,
        "inputTokenLimit": known(model.context_tokens, CONTEXT_UNKNOWN),
        "outputTokenLimit": known(model.output_tokens, OUTPUT_UNKNOWN),
        "supportedGenerationMethods": methods,
    })
}

/// Codex refuses a list in which a member is missing, so all that it reads is there.
fn codex(model: &ModelEntry) -> Value {
    let level =
        |effort: &str, description: &str| json!({"effort": effort, "description": description});
    let levels = if model.reasoning {
        vec![
            level("low", "Fast answers with little thinking"),
            level("medium", "Balances speed and depth"),
            level("high", "Thinks longest"),
        ]
    } else {
        Vec::new()
    };
    json!({
        "slug": model.id,
        "display_name": model.display_name,
        "description": model.owned_by,
        "default_reasoning_level": model.reasoning.then_some("medium"),
        "supported_reasoning_levels": levels,
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": true,
        "priority": 0,
        "upgrade": null,
        "base_instructions": "",
        "supports_reasoning_summaries": model.reasoning,
        "support_verbosity": false,
        "default_verbosity": null,
        "apply_patch_tool_type": "function",
        "truncation_policy": {"mode": "bytes", "limit": 10_000},
        "supports_parallel_tool_calls": model.tools,
        "context_window": known(model.context_tokens, CONTEXT_UNKNOWN),
        "auto_compact_token_limit": null,
        "effective_context_window_percent": 95,
        "input_modalities": if model.images { json!(["text", "image"]) } else { json!(["text"]) },
        "experimental_supported_tools": [],
    })
}

fn info(model: &ModelEntry) -> Value {
    let mut facts = Map::new();
    facts.insert("key".into(), json!(model.id));
    facts.insert("mode".into(), json!(if model.embedding { "embedding" } else { "chat" }));
    facts.insert("litellm_provider".into(), json!(model.owned_by));
    let limit = |tokens: u32| (tokens > 0).then_some(tokens);
    facts.insert("max_tokens".into(), json!(limit(model.output_tokens)));
    facts.insert("max_input_tokens".into(), json!(limit(model.context_tokens)));
    facts.insert("max_output_tokens".into(), json!(limit(model.output_tokens)));
    let prices = [
        ("input_cost_per_token", model.input_price),
        ("output_cost_per_token", model.output_price),
        ("cache_read_input_token_cost", model.cache_read_price),
    ];
    for (name, price) in prices {
        facts.insert(name.into(), price.map_or(Value::Null, dollars));
    }
    facts.insert("supports_function_calling".into(), json!(model.tools));
    facts.insert("supports_vision".into(), json!(model.images));
    facts.insert("supports_reasoning".into(), json!(model.reasoning));
    facts.insert("supports_prompt_caching".into(), json!(model.cache_read_price.is_some()));
    json!({
        "model_name": model.id,
        "litellm_params": {"model": model.id},
        "model_info": facts,
    })
}

/// Dollars as a JSON number, exactly: digits of an integer, never a float.
fn dollars(price: Price) -> Value {
    const PICO: u128 = 1_000_000_000_000;
    let text = format!("{}.{:012}", price.pico_usd / PICO, price.pico_usd % PICO);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn known(tokens: u32, otherwise: u32) -> u32 {
    if tokens == 0 { otherwise } else { tokens }
}

/// Seconds since 1970 as a date of RFC 3339, by the calendar of the proleptic Gregorian rule
/// (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn rfc3339(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> ModelEntry {
        let price = |pico_usd| Some(Price { pico_usd });
        ModelEntry {
            id: id.into(),
            display_name: "A model".into(),
            created_s: 951_782_400,
            owned_by: "a\"b".into(),
            input_price: price(37_500),
            output_price: price(15_000_000),
            ..ModelEntry::default()
        }
    }

    fn tree(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn the_list_has_the_shape_that_openai_clients_read() {
        let body = encode(Shape::OpenAi, &[entry("auto")]);
        let expected = concat!(
            r#"{"object":"list","data":["#,
            r#"{"id":"auto","object":"model","created":951782400,"owned_by":"a\"b"}]}"#
        );
        assert_eq!(body, expected.as_bytes());
        assert_eq!(&encode(Shape::OpenAi, &[])[..], br#"{"object":"list","data":[]}"#);
    }

    #[test]
    fn pitfall_30_codex_gets_models_and_not_data() {
        let body = tree(&encode(Shape::Codex, &[entry("auto")]));
        assert_eq!(body["models"][0]["slug"], "auto");
        assert!(body["models"][0]["supported_reasoning_levels"].is_array());
        assert!(body.get("data").is_none());
    }

    #[test]
    fn anthropic_and_gemini_lists_have_their_own_members() {
        let body = tree(&encode(Shape::Anthropic, &[entry("a/b"), entry("c/d")]));
        assert_eq!(body["data"][0]["created_at"], "2000-02-29T00:00:00Z");
        assert_eq!((&body["first_id"], &body["last_id"]), (&json!("a/b"), &json!("c/d")));
        let body = tree(&encode(Shape::Gemini, &[entry("a/b")]));
        assert_eq!(body["models"][0]["name"], "models/a/b");
        let methods = |model: &Value| model["supportedGenerationMethods"].clone();
        assert_eq!(methods(&body["models"][0]), json!(["generateContent", "countTokens"]));
        let vectors = ModelEntry { embedding: true, ..entry("c/d") };
        let body = tree(&encode_page(std::slice::from_ref(&vectors), Some("7")));
        assert_eq!(methods(&body["models"][0]), json!([]));
        assert_eq!(body["nextPageToken"], "7");
        assert!(tree(&encode_page(&[], None)).get("nextPageToken").is_none());
        let info = tree(&encode_info(&[vectors, entry("a/b")]));
        let mode = |at: usize| info["data"][at]["model_info"]["mode"].clone();
        assert_eq!([mode(0), mode(1)], [json!("embedding"), json!("chat")]);
    }

    #[test]
    fn prices_are_exact_numbers_and_unknown_ones_null() {
        let text = encode_info(&[entry("a/b")]);
        let body = tree(&text);
        let facts = &body["data"][0]["model_info"];
        assert_eq!(facts["input_cost_per_token"].as_f64(), Some(3.75e-8));
        assert_eq!(facts["cache_read_input_token_cost"], Value::Null);
    }
}
