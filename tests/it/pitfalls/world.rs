//! Providers for these tests: two of each dialect, which serve one model between them, at a price.

use std::fmt::Write as _;

use anyhow::Result;
use turnpike_simulate::{
    AnswerScript, Dialect, Failure, ModelScript, ProviderScript, Rule, Script, Simulator,
};
use turnpike_tests::{Setup, Stage};

/// The four dialects by the names of the providers that speak them: `chat` and `chat-spare` serve
/// `sim/chat`.
pub(crate) const SPOKEN: [(&str, Dialect); 4] = [
    ("chat", Dialect::OpenAiChat),
    ("responses", Dialect::OpenAiResponses),
    ("messages", Dialect::AnthropicMessages),
    ("gemini", Dialect::Gemini),
];
/// The second provider of each.
const SPARE: &str = "-spare";
/// The one model's name at every provider.
const MODEL: &str = "echo";
/// The longest answer, by the gateway's configuration.
pub(crate) const OUTPUT_TOKENS: u64 = 4_096;
/// Prices of a token in pico-USD: of the prompt, of the prompt when cached, of the answer.
pub(crate) const INPUT_PICO: u128 = 1_000_000;
pub(crate) const OUTPUT_PICO: u128 = 2_000_000;

/// The two providers of one dialect.
pub(crate) fn pair(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{name}{SPARE}")]
}

fn script() -> Script {
    let pairs = SPOKEN.into_iter().flat_map(|(name, dialect)| pair(name).map(|one| (one, dialect)));
    let provider = |(name, dialect): (String, Dialect)| ProviderScript {
        prefix: format!("/{name}"),
        name,
        api_key: Some("sim-key".to_owned()),
        dialect,
        models: vec![ModelScript::instant(MODEL, AnswerScript::Echo {})],
        failures: Vec::new(),
    };
    Script { seed: 3, providers: pairs.map(provider).collect() }
}

fn equal(script: &Script, simulator: &Simulator) -> Result<String> {
    configuration(script, simulator, 1)
}

fn dearer(script: &Script, simulator: &Simulator) -> Result<String> {
    configuration(script, simulator, 10)
}

/// `times`: how much more than the first of a pair its spare costs.
fn configuration(script: &Script, simulator: &Simulator, times: u32) -> Result<String> {
    let mut out = String::new();
    for provider in &script.providers {
        let (name, url) = (&provider.name, simulator.url(&provider.name)?);
        let (id, dialect) = (name.trim_end_matches(SPARE), serde_json::to_value(provider.dialect)?);
        let times = if name.ends_with(SPARE) { times } else { 1 };
        let version = if provider.dialect == Dialect::Gemini { "v1beta" } else { "v1" };
        write!(
            out,
            "[providers.{name}]\nbase_url = \"{url}/{version}\"\napi_key = \"sim-key\"\n\
             dialect = {dialect}\n\n[[providers.{name}.offers]]\nid = \"sim/{id}\"\n\
             upstream_model = \"{MODEL}\"\ncontext_tokens = 200000\n\
             output_tokens = {OUTPUT_TOKENS}\ntools = true\nstructured_output = true\n\
             usd_per_million = {{ input = \"{times}\", output = \"{}\", \
             cache-read = \"0.{times}\" }}\n\n",
            times * 2
        )?;
    }
    Ok(out)
}

/// The usual installation with these providers.
pub(crate) fn setup() -> Setup {
    Setup { script: script(), providers: equal, ..Setup::default() }
}

/// The same with spares that cost ten times as much, and so are asked last.
pub(crate) fn dear_spares() -> Setup {
    Setup { script: script(), providers: dearer, ..Setup::default() }
}

pub(crate) async fn open() -> Result<Stage> {
    Stage::open_with(setup()).await
}

/// Both providers of a dialect fail so from now on; none heals them.
pub(crate) fn fail_pair(stage: &Stage, name: &str, failure: Option<&Failure>) -> Result<()> {
    let rules: Vec<Rule> = failure.into_iter().cloned().map(Rule::always).collect();
    for provider in pair(name) {
        stage.simulator.fail(&provider, &rules)?;
    }
    Ok(())
}

/// Every provider fails so from now on; none heals them.
pub(crate) fn fail_all(stage: &Stage, failure: Option<&Failure>) -> Result<()> {
    SPOKEN.iter().try_for_each(|(name, _)| fail_pair(stage, name, failure))
}

/// Changes the model of every provider.
pub(crate) fn change_all(stage: &Stage, change: impl Fn(&mut ModelScript)) -> Result<()> {
    for (name, _) in SPOKEN {
        for provider in pair(name) {
            stage.simulator.change(&provider, MODEL, &change)?;
        }
    }
    Ok(())
}
