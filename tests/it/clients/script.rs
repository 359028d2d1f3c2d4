//! The providers that the clients meet, one of each family, with the same models each: named
//! after what they do, as `tests/clients/python/cases.py` says.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};
use turnpike_simulate::{
    AnswerScript, Dialect, ModelScript, ProviderScript, Script, Simulator, Step, ToolCalls,
    WriteFile,
};

/// The providers by the names that callers use for them, with what they speak.
pub(super) const PROVIDERS: [(&str, Dialect); 3] = [
    ("openai", Dialect::OpenAiChat),
    ("anthropic", Dialect::AnthropicMessages),
    ("google", Dialect::Gemini),
];
/// The models of each.
const MODELS: [&str; 6] = ["echo", "agent", "pair", "edit", "form", "slow"];
/// The simulators' key.
pub(super) const PROVIDER_KEY: &str = "sim-key";

/// What Codex runs at once.
pub(super) const PAIR_OF_CODEX: (&str, &str) = ("cat one.txt", "cat two.txt");
/// Minutes of speech: nobody hears it to the end.
const SLOW_TOKENS: u64 = 20_000;
const SLOW_TOKENS_PER_SECOND: u64 = 50;

/// What the providers play.
pub(super) fn script() -> Script {
    let provider = |(name, dialect): (&str, Dialect)| ProviderScript {
        name: name.to_owned(),
        prefix: format!("/{name}"),
        api_key: Some(PROVIDER_KEY.to_owned()),
        dialect,
        models: MODELS.iter().map(|id| model(id)).collect(),
        failures: Vec::new(),
    };
    Script { seed: 11, providers: PROVIDERS.into_iter().map(provider).collect() }
}

/// One provider that speaks everything: for the clients without a gateway between.
pub(super) fn direct_script() -> Script {
    let mut script = script();
    script.providers.truncate(1);
    for provider in &mut script.providers {
        provider.dialect = Dialect::Any;
    }
    script
}

/// What each provider's models are called: `{"openai": {"echo": "openai/echo", …}, …}`.
pub(super) fn names(prefixed: bool) -> Value {
    let named = |provider: &str| -> Value {
        let name = |model: &str| match prefixed {
            true => json!(format!("{provider}/{model}")),
            false => json!(model),
        };
        let all = MODELS.iter().map(|model| ((*model).to_owned(), name(model)));
        all.chain([("unknown".to_owned(), name("no-such-model"))]).collect()
    };
    PROVIDERS.iter().map(|(provider, _)| ((*provider).to_owned(), named(provider))).collect()
}

/// The gateway's configuration for these providers: each model is an offer of its own, able to do
/// everything, at a price.
pub(super) fn configuration(script: &Script, simulator: &Simulator) -> Result<String> {
    let mut out = String::new();
    for provider in &script.providers {
        let (name, url) = (&provider.name, simulator.url(&provider.name)?);
        let dialect = serde_json::to_value(provider.dialect)?;
        let version = if provider.dialect == Dialect::Gemini { "v1beta" } else { "v1" };
        write!(
            out,
            "[providers.{name}]\nbase_url = \"{url}/{version}\"\napi_key = \"{PROVIDER_KEY}\"\n\
             dialect = {dialect}\n\n"
        )?;
        for model in &provider.models {
            write!(
                out,
                "[[providers.{name}.offers]]\nid = \"{name}/{id}\"\nupstream_model = \"{id}\"\n\
                 usd_per_million = {{ input = \"1\", output = \"2\", cache-read = \"0.1\" }}\n\
                 context_tokens = 1000000\ninput = [\"text\", \"image\", \"pdf\"]\ntools = true\n\
                 structured_output = true\nreasoning = true\ndialects = [{dialect}]\n\n",
                id = model.id
            )?;
        }
    }
    Ok(out)
}

fn model(id: &str) -> ModelScript {
    let mut model = ModelScript::instant(id, answer(id));
    model.tool_calls = ToolCalls::Never;
    if id == "slow" {
        model.tokens_per_second = SLOW_TOKENS_PER_SECOND;
    }
    model
}

fn answer(id: &str) -> AnswerScript {
    let agent = |steps, text: &str| AnswerScript::Agent { steps, text: text.to_owned() };
    match id {
        "agent" => {
            let find = step("find_city", json!({ "name": "{prompt}" }));
            agent(vec![find, step("get_weather", json!({ "city": "{result}" }))], "done: {result}")
        }
        "pair" => agent(pair(), "both: {result}"),
        "edit" => agent(edit(), "The file is edited."),
        "form" => {
            let filled = json!({ "city": "Paris", "degrees": 18, "windy": true });
            // Its text is the form too, for a provider that is asked for it in words.
            let text = filled.to_string();
            agent(vec![step("StructuredOutput", filled)], &text)
        }
        "slow" => AnswerScript::Lorem { tokens: SLOW_TOKENS },
        _ => AnswerScript::Echo {},
    }
}

fn step(tool: &str, arguments: Value) -> Step {
    Step { tool: Some(tool.to_owned()), arguments: Some(arguments), ..Step::default() }
}

/// Two calls at once: of the SDKs' tools, or of a program's own. Those not offered are left out.
fn pair() -> Vec<Step> {
    let both = |first: Step, second: Step| [Step { with_next: true, ..first }, second];
    let run = |command: &str| step("exec_command", json!({ "cmd": command }));
    let read = |path: &str| step("Read", json!({ "file_path": path }));
    let sdk = both(
        step("find_city", json!({ "name": "{prompt}" })),
        step("get_weather", json!({ "city": "{prompt}" })),
    );
    let claude = both(read("one.txt"), read("two.txt"));
    let codex = both(run(PAIR_OF_CODEX.0), run(PAIR_OF_CODEX.1));
    [sdk, claude, codex].into_iter().flatten().collect()
}

/// Writes a file, then changes it with a second tool.
fn edit() -> Vec<Step> {
    let file = WriteFile { path: "notes.txt".to_owned(), text: "one\ntwo\n".to_owned() };
    vec![
        Step { write: Some(file), ..Step::default() },
        step(
            "Edit",
            json!({ "file_path": "notes.txt", "old_string": "two", "new_string": "three" }),
        ),
        step("exec_command", json!({ "cmd": "sed -i s/two/three/ notes.txt" })),
    ]
}
