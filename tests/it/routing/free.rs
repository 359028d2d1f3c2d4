//! What a provider gives away within shared quotas, and what costs nothing because it is the
//! operator's own.

use anyhow::Result;
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Script};
use turnpike_tests::{Setup, Stage, chat, instant_script};

use super::{add_rule, dry_run, plan, reason};

const FREE: &str = "openai/gpt-oss-120b:free";
const ON_OFFER: &str = "openai/gpt-oss-120b:free@openrouter";

/// The usual providers, and one that gives a model away.
fn script() -> Script {
    let mut script = instant_script();
    script.providers.push(ProviderScript {
        name: "openrouter".to_owned(),
        prefix: "/openrouter/v1".to_owned(),
        api_key: Some("sim-key".to_owned()),
        dialect: Dialect::OpenAiChat,
        models: vec![ModelScript::instant(FREE, AnswerScript::Echo {})],
        failures: Vec::new(),
    });
    script
}

async fn open(environment: Vec<(&'static str, &'static str)>) -> Result<Stage> {
    Stage::open_with(Setup { script: script(), environment, ..Setup::default() }).await
}

/// Trivial, so that the floor is no matter.
fn trivial(model: &str) -> Value {
    chat(model, "hello")
}

#[tokio::test]
async fn what_a_provider_gives_away_is_not_chosen_and_answers_who_names_it() -> Result<()> {
    let stage = open(Vec::new()).await?;
    for model in ["auto", "auto:cheap", "auto:fast", "auto:best"] {
        let shown = dry_run(&stage, &trivial(model)).await?;
        assert_eq!(reason(&shown, ON_OFFER), "free_offer", "{model}: {shown:#}");
        assert!(!plan(&shown).is_empty() && !plan(&shown).contains(&ON_OFFER), "{shown:#}");
    }
    let named = stage.caller.chat(&trivial(FREE)).await?.expect_status(200)?;
    assert_eq!(named.header("x-turnpike-provider"), "openrouter");
    Ok(())
}

#[tokio::test]
async fn an_operator_or_an_organization_lets_choices_take_what_is_given_away() -> Result<()> {
    let stage = open(Vec::new()).await?;
    let allowed = json!({ "request": trivial("auto"), "rules": [{ "free_offers": true }] });
    let shown = dry_run(&stage, &allowed).await?;
    assert!(plan(&shown).contains(&ON_OFFER), "{shown:#}");
    add_rule(&stage, &json!({ "when": { "task": ["code"] }, "free_offers": true })).await?;
    let other = dry_run(&stage, &trivial("auto")).await?;
    assert_eq!(reason(&other, ON_OFFER), "free_offer", "a rule for other requests");
    let stage = open(vec![("TURNPIKE__ROUTING__FREE_OFFERS", "true")]).await?;
    assert!(plan(&dry_run(&stage, &trivial("auto")).await?).contains(&ON_OFFER));
    let forbidden = json!({ "request": trivial("auto"), "rules": [{ "free_offers": false }] });
    let shown = dry_run(&stage, &forbidden).await?;
    assert_eq!(reason(&shown, ON_OFFER), "free_offer", "an organization goes before the operator");
    Ok(())
}

#[tokio::test]
async fn where_all_is_given_away_the_refusal_says_how_to_allow_it() -> Result<()> {
    let mut script = script();
    script.providers.retain(|provider| provider.name == "openrouter");
    let stage = Stage::open_with(Setup { script, ..Setup::default() }).await?;
    let refused = stage.caller.chat(&trivial("auto")).await?;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("free_offers"), "{}", refused.text);
    Ok(())
}

#[tokio::test]
async fn an_operators_own_model_without_a_price_is_always_a_candidate() -> Result<()> {
    let more_config = format!(
        "\n[[providers.openrouter.offers]]\nid = \"meta/own\"\nupstream_model = \"{FREE}\"\n\
         context_tokens = 32000\noutput_tokens = 8000\nfree = true\nquality_permille = 700\n"
    );
    let stage =
        Stage::open_with(Setup { script: script(), more_config, ..Setup::default() }).await?;
    let answer = stage.caller.chat(&trivial("auto")).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-model"), "meta/own", "{}", answer.text);
    Ok(())
}
