//! Azure: the key in its own header, models by the names of deployments, in both kinds of paths.

use anyhow::Result;
use serde_json::json;
use turnpike_simulate::{Dialect, Script, Simulator};
use turnpike_tests::{Setup, Stage, chat};

use super::{post, received};

const ID: &str = "openai/gpt-5.4-mini";
const DEPLOYMENT: &str = "our-mini";

/// The paths of its v1: a model is a member of the body.
fn v1(script: &Script, simulator: &Simulator) -> Result<String> {
    configured(script, &format!("{}/v1", simulator.url("azure")?), "")
}

/// The paths by deployment, which want a version.
fn classic(script: &Script, simulator: &Simulator) -> Result<String> {
    let url = simulator.url("azure")?;
    configured(script, &url, "api_version = \"2024-10-21\"")
}

fn configured(_: &Script, url: &str, more: &str) -> Result<String> {
    Ok(format!(
        "[providers.azure]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\n{more}\n\
         models = [\"{ID}\"]\ndeployments = {{ \"gpt-5.4-mini\" = \"{DEPLOYMENT}\" }}\n"
    ))
}

async fn open(prefix: &str, providers: fn(&Script, &Simulator) -> Result<String>) -> Result<Stage> {
    let script = super::script("azure", prefix, Dialect::Any, &[DEPLOYMENT]);
    Stage::open_with(Setup { script, providers, ..Setup::default() }).await
}

async fn answers(stage: &Stage, path: &str) -> Result<()> {
    let answer = stage.caller.chat(&chat(ID, "hello")).await?.expect_status(200)?;
    assert_eq!(answer.content(), "hello");
    assert_eq!(answer.header("x-turnpike-model"), ID);
    let seen = stage.simulator.requests("azure").remove(0);
    assert_eq!(seen.path, path);
    assert_eq!(seen.header("api-key"), Some("sim-key"));
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(received(stage, "azure")?["model"], DEPLOYMENT);
    let mut stream = stage.caller.stream(&chat(ID, "one two")).await?;
    stream.read().await?;
    assert!(stream.complete());
    assert_eq!(stream.text(), "one two");
    Ok(())
}

#[tokio::test]
async fn its_v1_is_asked_as_openai_is() -> Result<()> {
    let stage = open("/openai", v1).await?;
    answers(&stage, "/openai/v1/chat/completions").await?;
    let body = json!({ "model": ID, "input": "hello", "store": false });
    let answer = post(&stage, "/v1/responses", &[], &body).await?.expect_status(200)?;
    assert_eq!(answer.body["output"][0]["content"][0]["text"], "hello");
    let seen = stage.simulator.requests("azure");
    assert_eq!(seen.last().map(|seen| seen.path.as_str()), Some("/openai/v1/responses"));
    Ok(())
}

#[tokio::test]
async fn its_older_paths_name_the_deployment_and_the_version() -> Result<()> {
    let stage = open("/openai", classic).await?;
    let path = "/openai/deployments/our-mini/chat/completions?api-version=2024-10-21";
    answers(&stage, path).await
}
