//! Several credentials of one provider: they share the load, and stand in for each other.

use anyhow::{Context, Result};
use reqwest::Method;
use turnpike_simulate::{Script, Simulator};
use turnpike_tests::{ORG, Setup, Stage, chat, instant_script};

/// One provider with a key that it does not take, and one that it does.
fn configured(script: &Script, simulator: &Simulator) -> Result<String> {
    let name = &script.providers.first().context("a provider")?.name;
    let url = simulator.url(name)?;
    Ok(format!(
        "[providers.{name}]\nbase_url = \"{url}\"\ndialect = \"openai-chat\"\n\
         models = [\"gpt-5.4-mini\"]\n\
         [[providers.{name}.credentials]]\napi_key = \"revoked\"\nweight = 1000\n\
         [[providers.{name}.credentials]]\napi_key = \"sim-key\"\n"
    ))
}

#[tokio::test]
async fn a_credential_that_is_refused_is_left_alone_and_another_answers() -> Result<()> {
    let stage = Stage::open_with(Setup {
        script: instant_script(),
        providers: configured,
        ..Setup::default()
    })
    .await?;
    let body = chat("openai/gpt-5.4-mini", "hello");
    let answer = stage.caller.chat(&body).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    let attempts = explanation["attempts"].as_array().context("attempts")?;
    let outcomes: Vec<&str> =
        attempts.iter().filter_map(|attempt| attempt["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["credential", "answered"], "{explanation:#}");
    let answer = stage.caller.chat(&body).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-attempts"), "1", "the refused one rests");
    let offers = stage.operate(Method::GET, "/offers", None).await?.expect_status(200)?;
    let live = &offers.body["items"][0]["live"];
    assert_eq!(live["state"], "open_for_requests", "{live:#}");
    assert_eq!(live["credentials"][0]["state"], "resting", "{live:#}");
    assert_eq!(live["credentials"][1]["state"], "open_for_requests", "{live:#}");
    Ok(())
}
