//! How quick an offer is whose model thinks before it answers, whether or not that is shown.

use anyhow::{Context, Result};
use reqwest::Method;
use turnpike_simulate::{AnswerScript, ModelScript};
use turnpike_tests::{Setup, Stage, chat, instant_script};

const MODEL: &str = "deepseek/deepseek-v4-pro";
/// Of everything that the model writes, in the script.
const PER_SECOND: u64 = 100;

/// The live speed of the model's offer after one stream, with 40 tokens of answer.
async fn speed(thinks: fn(&mut ModelScript)) -> Result<f64> {
    let mut script = instant_script();
    let deepseek = script.providers.iter_mut().find(|it| it.name == "deepseek").context("it")?;
    for model in &mut deepseek.models {
        model.answer = AnswerScript::Lorem { tokens: 40 };
        model.tokens_per_second = PER_SECOND;
        thinks(model);
    }
    let stage = Stage::open_with(Setup { script, ..Setup::default() }).await?;
    let mut answer = stage.caller.stream(&chat(MODEL, "What is the capital of France?")).await?;
    answer.read().await?;
    assert!(answer.done && !answer.broken);
    let offers = stage.operate(Method::GET, "/offers", None).await?.expect_status(200)?.body;
    let all = offers["items"].as_array().context("offers")?;
    let own = all.iter().find(|one| one["model"] == MODEL).context("the offer")?;
    own["live"]["tokens_per_second"].as_f64().with_context(|| format!("a speed in {own:#}"))
}

/// A second and a half of thinking before three of answer, for 300 tokens: 67 a second.
#[tokio::test]
async fn thinking_that_is_shown_takes_its_time() -> Result<()> {
    let speed = speed(|model| model.reasoning_text = Some("so. ".repeat(150))).await?;
    assert!(speed < 85.0, "{speed}");
    Ok(())
}

#[tokio::test]
async fn thinking_that_is_hidden_writes_nothing() -> Result<()> {
    let speed = speed(|model| model.reasoning_tokens = 400).await?;
    assert!(speed < 200.0, "{speed}");
    Ok(())
}
