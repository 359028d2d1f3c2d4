//! Conversations that a provider keeps: they go on at the provider that gave the earlier response,
//! and where none can have it the caller is told to send all of it. The gateway keeps none.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Rule, Script};
use turnpike_simulate::{Failure, Simulator};
use turnpike_tests::{Answered, ORG, Setup, Stage};

/// Two providers of the same model that keep responses, and one that keeps none.
const KEEPERS: [&str; 2] = ["openai", "azure"];
const OTHER: &str = "deepseek";

fn script() -> Script {
    let provider = |name: &str, dialect: Dialect, model: &str| ProviderScript {
        name: name.to_owned(),
        prefix: format!("/{name}/v1"),
        api_key: Some("sim-key".to_owned()),
        dialect,
        models: vec![ModelScript::instant(model, AnswerScript::Echo {})],
        failures: Vec::new(),
    };
    let keepers = KEEPERS.map(|name| provider(name, Dialect::OpenAiResponses, "gpt-5.4"));
    let other = provider(OTHER, Dialect::OpenAiChat, "deepseek-v4-pro");
    Script { seed: 7, providers: keepers.into_iter().chain([other]).collect() }
}

fn configured(script: &Script, simulator: &Simulator) -> Result<String> {
    let section = |provider: &ProviderScript| {
        let name = &provider.name;
        let dialect = match provider.dialect {
            Dialect::OpenAiResponses => "openai-responses",
            _ => "openai-chat",
        };
        let models: Vec<&str> = provider.models.iter().map(|model| model.id.as_str()).collect();
        let url = simulator.url(name)?;
        anyhow::Ok(format!(
            "[providers.{name}]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\n\
             dialect = \"{dialect}\"\nmodels = {models:?}\n\n"
        ))
    };
    script.providers.iter().map(section).collect()
}

async fn stage() -> Result<Stage> {
    Stage::open_with(Setup { script: script(), providers: configured, ..Setup::default() }).await
}

async fn respond(stage: &Stage, body: &Value) -> Result<Answered> {
    stage.caller.call(Method::POST, "/v1/responses", Some(body)).await
}

fn id(answer: &Answered) -> Result<String> {
    Ok(answer.body["id"].as_str().context("the id of a response")?.to_owned())
}

#[tokio::test]
async fn a_conversation_goes_on_at_the_provider_that_keeps_it() -> Result<()> {
    let stage = stage().await?;
    for turn in 0..4 {
        // Whoever is asked first, the one that keeps it is found: the other says that it does not.
        let first = json!({ "model": "gpt-5.4", "input": format!("turn {turn}") });
        let given = respond(&stage, &first).await?.expect_status(200)?;
        let next = json!({ "model": "gpt-5.4", "input": "go on",
            "previous_response_id": id(&given)? });
        let answer = respond(&stage, &next).await?.expect_status(200)?;
        assert_eq!(answer.body["previous_response_id"], given.body["id"]);
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        let attempts = explanation["attempts"].as_array().context("attempts")?;
        assert_eq!(attempts.last().context("one")?["outcome"], "answered", "{attempts:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_nobody_keeps_is_refused_as_the_provider_words_it() -> Result<()> {
    let stage = stage().await?;
    let body = json!({ "model": "gpt-5.4", "input": "x", "previous_response_id": "resp_0" });
    let answer = respond(&stage, &body).await?.expect_status(400)?;
    assert_eq!(answer.body["error"]["code"], "previous_response_not_found");
    assert_eq!(answer.body["error"]["message"], "Previous response with id 'resp_0' not found.");
    assert_eq!(stage.settled_balance(ORG).await?.total(), 100_000_000_000_000);
    Ok(())
}

#[tokio::test]
async fn a_keeper_that_fails_is_not_taken_for_one_that_forgot() -> Result<()> {
    let stage = stage().await?;
    let first = json!({ "model": "gpt-5.4", "input": "begin" });
    let given = respond(&stage, &first).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, given.request_id()).await?;
    let offer = explanation["attempts"][0]["offer"].as_str().context("an offer")?;
    let keeper = offer.rsplit('@').next().unwrap_or("");
    stage.simulator.fail(keeper, &[Rule::always(Failure::status(500))])?;
    let next = json!({ "model": "gpt-5.4", "input": "on", "previous_response_id": id(&given)? });
    // The other one says that it does not know it, and must not have the last word.
    let answer = respond(&stage, &next).await?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert!(answer.status >= 500, "{}: {:#?}", answer.text, explanation["attempts"]);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_keeps_nothing_is_not_asked_and_the_caller_is_told() -> Result<()> {
    let stage = stage().await?;
    let ask = |more: Value| {
        let mut body = json!({ "model": "deepseek-v4-pro", "input": "go on" });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        body
    };
    for (member, code, more) in [
        ("previous_response_id", "previous_response_not_found", json!("resp_1")),
        ("conversation", "invalid_value", json!("conv_1")),
        ("prompt", "invalid_value", json!({ "id": "pmpt_1" })),
        ("input", "invalid_value", json!([{ "type": "item_reference", "id": "msg_1" }])),
    ] {
        let answer = respond(&stage, &ask(json!({ member: more }))).await?.expect_status(400)?;
        let error = &answer.body["error"];
        assert_eq!((&error["code"], &error["param"]), (&json!(code), &json!(member)));
        assert_eq!(error["type"], "invalid_request_error");
        let words = error["message"].as_str().context("words")?;
        assert!(words.contains("\"store\": false") && words.contains(member), "{words}");
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(explanation["candidates"][0]["reason_code"], "kept_elsewhere");
    }
    assert!(stage.simulator.requests(OTHER).is_empty());
    let whole = ask(json!({ "previous_response_id": null, "store": false }));
    respond(&stage, &whole).await?.expect_status(200)?;
    Ok(())
}
