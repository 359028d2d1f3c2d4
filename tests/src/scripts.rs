//! The providers of the tests: three with real names and models, all answering at once, all
//! echoing. A test changes what it needs through the simulator's handle.

use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Script};

/// Providers of the test script, with the models that each has.
pub const PROVIDERS: [(&str, &[&str]); 3] = [
    ("openai", &["gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano"]),
    ("deepseek", &["deepseek-v4-pro"]),
    ("mistral", &["mistral-large-latest"]),
];

/// Tokens of the prompt that the test providers report as cached, in percent: a bill must tell
/// them from the others.
const CACHED_PERCENT: u8 = 25;

/// Every provider, every model, no latency, echo.
pub fn instant_script() -> Script {
    let provider = |(name, models): &(&str, &[&str])| ProviderScript {
        name: (*name).to_owned(),
        prefix: format!("/{name}/v1"),
        api_key: Some("sim-key".to_owned()),
        dialect: Dialect::OpenAiChat,
        models: models.iter().map(|model| instant_model(name, model)).collect(),
        failures: Vec::new(),
    };
    Script { seed: 7, providers: PROVIDERS.iter().map(provider).collect() }
}

fn instant_model(provider: &str, id: &str) -> ModelScript {
    let mut model = ModelScript::instant(id, AnswerScript::Echo {});
    // Mistral's price list has no price for cached tokens, so none may be reported.
    model.cached_percent = if provider == "mistral" { 0 } else { CACHED_PERCENT };
    model
}
