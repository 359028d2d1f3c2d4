//! What an event of the usage store takes where many offers are looked at for each request: the
//! explanation of a request names them all, and must not grow with them.

use std::path::Path;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Script};
use turnpike_tests::{ORG, Setup, Stage, chat, gateway_binary};

/// What an event may take, its share of the dictionary included.
const BYTES_MAX: u64 = 250;
/// Requests whose events are measured, after as many by which what repeats is known.
const REQUESTS: usize = 240;

/// Each of another task, difficulty and length.
const PROMPTS: [&str; 6] = [
    "Say hello to Ada.",
    "Write a Rust function that sorts a vector of integers and explain its running time.",
    "Translate into German: the ship sails at dawn, and nobody knows where it is bound for.",
    "Prove that there are infinitely many primes, in two ways, and say which one is older.",
    "Summarise: the committee met on Tuesday, heard three reports, and adjourned without a vote.",
    "Classify the sentiment of this review as positive or negative: I would not buy it again.",
];

/// Every model that the catalogue has of the provider.
fn models() -> Result<Vec<String>> {
    let show = ["catalog", "show", "--provider", "openai"];
    let shown = std::process::Command::new(gateway_binary()?).args(show).output()?;
    let text = String::from_utf8(shown.stdout)?;
    let offers = text.lines().filter_map(|line| line.split_once("@openai"));
    let models = offers.filter_map(|(offer, _)| offer.strip_prefix("openai/"));
    Ok(models.map(str::to_owned).collect())
}

fn script() -> Result<Script> {
    let model = |id: &String| ModelScript::instant(id, AnswerScript::Echo {});
    let provider = ProviderScript {
        name: "openai".to_owned(),
        prefix: "/openai/v1".to_owned(),
        api_key: Some("sim-key".to_owned()),
        dialect: Dialect::OpenAiChat,
        models: models()?.iter().map(model).collect(),
        failures: Vec::new(),
    };
    Ok(Script { seed: 7, providers: vec![provider] })
}

fn stored(data: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(data.join("usage"))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

async fn ask(stage: &Stage, from: usize) -> Result<()> {
    for number in from..from + REQUESTS {
        let prompt = PROMPTS[number % PROMPTS.len()].repeat(1 + number % 7);
        let mut body = chat("auto", &prompt);
        body["max_tokens"] = json!(16 + number);
        stage.caller.chat(&body).await?.expect_status(200)?;
    }
    // A report waits until everything is written.
    stage.operate(Method::GET, &format!("/orgs/{ORG}/usage"), None).await?.expect_status(200)?;
    Ok(())
}

async fn bytes_an_event(stage: &Stage, candidates: usize) -> Result<u64> {
    ask(stage, 0).await?;
    let before = stored(&stage.data_folder())?;
    ask(stage, REQUESTS).await?;
    let grown = stored(&stage.data_folder())? - before;
    let answer = stage.caller.chat(&chat("auto", PROMPTS[1])).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    let seen = explanation["candidates"].as_array().context("candidates")?;
    assert_eq!(seen.len(), candidates);
    let scored = seen.iter().filter(|candidate| candidate["score"].is_number()).count();
    println!("{candidates} candidates, {scored} with a score: {grown} bytes of {REQUESTS} events");
    Ok(grown / u64::try_from(REQUESTS)?)
}

#[tokio::test]
async fn an_event_with_51_candidates_takes_less_than_250_bytes() -> Result<()> {
    let setup = Setup {
        script: script()?,
        providers: |_, simulator| {
            let url = simulator.url("openai")?;
            Ok(format!("[providers.openai]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\n\n"))
        },
        ..Setup::default()
    };
    let stage = Stage::open_with(setup).await?;
    let each = bytes_an_event(&stage, 51).await?;
    assert!(each < BYTES_MAX, "{each} bytes an event");
    Ok(())
}

#[tokio::test]
async fn an_event_with_17_candidates_takes_less_than_250_bytes() -> Result<()> {
    let setup = Setup {
        script: script()?,
        providers: |_, simulator| {
            let url = simulator.url("openai")?;
            let models: Vec<String> = models()?.into_iter().step_by(2).skip(1).take(17).collect();
            Ok(format!(
                "[providers.openai]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\n\
                 models = {models:?}\n\n"
            ))
        },
        ..Setup::default()
    };
    let stage = Stage::open_with(setup).await?;
    let each = bytes_an_event(&stage, 17).await?;
    assert!(each < BYTES_MAX, "{each} bytes an event");
    Ok(())
}
