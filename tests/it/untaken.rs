//! What a model does not take never costs the caller of `auto` an error: members that it refuses
//! are left out and told, an offer without schemas is no candidate for one, and what nobody knew of
//! is asked elsewhere. Values that are usual anyway are no loss.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Script, Simulator};
use turnpike_tests::{Answered, ORG, Setup, Stage, chat, pico};

/// Providers by their names in the catalogue, in the dialect they are spoken to, with one model.
const ALWAYS_THINKS: (&str, Dialect, &str) = ("openai", Dialect::Any, "gpt-5-nano");
const TAKES_ALL: (&str, Dialect, &str) = ("groq", Dialect::OpenAiChat, "openai/gpt-oss-120b");
const NO_SCHEMAS: (&str, Dialect, &str) = ("deepseek", Dialect::OpenAiChat, "deepseek-v4-pro");
const NEWEST_CLAUDE: (&str, Dialect, &str) =
    ("anthropic", Dialect::AnthropicMessages, "claude-opus-4-8");

const ALL: [(&str, Dialect, &str); 4] = [ALWAYS_THINKS, TAKES_ALL, NO_SCHEMAS, NEWEST_CLAUDE];

async fn stage(providers: &[(&str, Dialect, &str)]) -> Result<Stage> {
    let script = Script { seed: 7, providers: providers.iter().map(provider).collect() };
    open(script).await
}

async fn open(script: Script) -> Result<Stage> {
    Stage::open_with(Setup { script, providers: configured, ..Setup::default() }).await
}

fn provider((name, dialect, _): &(&str, Dialect, &str)) -> ProviderScript {
    ProviderScript {
        name: (*name).to_owned(),
        prefix: format!("/{name}/v1"),
        api_key: Some("sim-key".to_owned()),
        dialect: *dialect,
        // The rules go by the name that is asked for, whatever the script's entry is called.
        models: vec![ModelScript::instant("*", AnswerScript::Echo {})],
        failures: Vec::new(),
    }
}

fn configured(script: &Script, simulator: &Simulator) -> Result<String> {
    turnpike_tests::one_model_each(&ALL, script, simulator)
}

/// A chat completion with more members.
fn chat_with(model: &str, more: &Value) -> Value {
    let mut body = chat(model, "Say hello to Ada.");
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body
}

async fn ask(stage: &Stage, path: &str, body: &Value) -> Result<Answered> {
    stage.caller.call(Method::POST, path, Some(body)).await
}

fn sent(stage: &Stage) -> Result<Value> {
    let seen = stage.simulator.all_requests();
    Ok(serde_json::from_str(&seen.last().context("a request")?.text())?)
}

#[tokio::test]
async fn sampling_is_left_out_for_a_model_that_always_thinks_and_told() -> Result<()> {
    let stage = stage(&[ALWAYS_THINKS]).await?;
    let usual = json!({"temperature": 1, "top_p": 1.0, "presence_penalty": 0});
    let plain = ask(&stage, "/v1/chat/completions", &chat_with("auto", &usual)).await?;
    assert_eq!(plain.expect_status(200)?.header("x-turnpike-loss"), "");
    assert_eq!(sent(&stage)?["temperature"], 1, "it passes as it came");
    let sampled = json!({"temperature": 0.2, "top_p": 0.5, "frequency_penalty": 1,
        "stop": ["END"], "logit_bias": {"50256": -100}, "max_tokens": 40});
    for model in ["auto", "auto:cheap", "openai/gpt-5-nano"] {
        let body = chat_with(model, &sampled);
        let answer = ask(&stage, "/v1/chat/completions", &body).await?.expect_status(200)?;
        let told = answer.header("x-turnpike-loss");
        for name in ["temperature", "top_p", "frequency_penalty", "stop", "logit_bias"] {
            assert!(told.contains(&format!("{name}=dropped")), "{model} {name}: {told}");
            assert_eq!(sent(&stage)?.get(name), None, "{model} {name}");
        }
    }
    let messages = json!({"model": "auto", "max_tokens": 40, "temperature": 0.2,
        "messages": [{"role": "user", "content": "Say hello to Ada."}]});
    let responses = json!({"model": "auto", "input": "Say hello to Ada.", "temperature": 0.2,
        "top_p": 0.9});
    for (path, body) in [("/v1/messages", messages), ("/v1/responses", responses)] {
        let answer = ask(&stage, path, &body).await?.expect_status(200)?;
        let told = answer.header("x-turnpike-loss").to_owned();
        assert!(told.contains("temperature=dropped"), "{path}: {told}");
        assert_eq!(sent(&stage)?.get("temperature"), None, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn strictly_the_offer_that_takes_it_is_asked_or_nobody() -> Result<()> {
    let strict = [("x-turnpike-strict", "1")];
    let both = stage(&[ALWAYS_THINKS, TAKES_ALL]).await?;
    let path = "/v1/chat/completions";
    let body = chat_with("auto", &json!({"temperature": 0.2}));
    let answer = both.caller.post(path, &body, &strict).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-provider"), "groq");
    assert_eq!(sent(&both)?["temperature"], 0.2);
    let named = chat_with("openai/gpt-5-nano", &json!({"temperature": 0.2}));
    let refused = both.caller.post(path, &named, &strict).await?.expect_status(422)?;
    assert!(refused.text.contains("temperature"), "{}", refused.text);
    // Probabilities that nobody gives are not what was asked for: who gives them is asked.
    let probable = chat_with("auto", &json!({"logprobs": true}));
    let refused = ask(&both, path, &probable).await?.expect_status(422)?;
    assert!(refused.text.contains("logprobs"), "{}", refused.text);
    Ok(())
}

#[tokio::test]
async fn the_newest_claude_takes_no_temperature_in_its_own_dialect_either() -> Result<()> {
    let stage = stage(&[NEWEST_CLAUDE]).await?;
    let body = json!({"model": "auto", "temperature": 0.2, "max_tokens": 40, "top_k": 5,
        "messages": [{"role": "user", "content": "Say hello to Ada."}]});
    let answer = ask(&stage, "/v1/messages", &body).await?.expect_status(200)?;
    let told = answer.header("x-turnpike-loss");
    assert!(told.contains("temperature=dropped") && told.contains("top_k=dropped"), "{told}");
    let sent = sent(&stage)?;
    assert!(sent.get("temperature").is_none() && sent.get("top_k").is_none(), "{sent}");
    assert_eq!(sent["max_tokens"], 40);
    Ok(())
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
        "additionalProperties": false})
}

#[tokio::test]
async fn a_schema_goes_to_nobody_who_knows_json_objects_only() -> Result<()> {
    let stage = stage(&[NO_SCHEMAS]).await?;
    let format = json!({"type": "json_schema",
        "json_schema": {"name": "person", "strict": true, "schema": schema()}});
    let bodies = [
        ("/v1/chat/completions", chat_with("auto", &json!({"response_format": format}))),
        (
            "/v1/responses",
            json!({"model": "auto", "input": "Ada", "text": {"format":
                {"type": "json_schema", "name": "person", "schema": schema()}}}),
        ),
        (
            "/v1/messages",
            json!({"model": "auto", "max_tokens": 40,
                "messages": [{"role": "user", "content": "Ada"}],
                "output_config": {"format": {"type": "json_schema", "schema": schema()}}}),
        ),
        (
            "/v1beta/models/auto:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "Ada"}]}],
                "generationConfig": {"responseMimeType": "application/json",
                    "responseSchema": {"type": "OBJECT"}}}),
        ),
    ];
    for (path, body) in &bodies {
        let refused = ask(&stage, path, body).await?.expect_status(422)?;
        assert!(refused.text.contains("can't keep to a JSON schema"), "{path}: {}", refused.text);
    }
    let shown = ask(&stage, "/v1/route", &bodies[0].1).await?.expect_status(200)?.body;
    assert_eq!(shown["candidates"][0]["reason_code"], "no_structured_output", "{shown:#}");
    assert!(stage.simulator.all_requests().is_empty(), "nothing was sent");
    let object = chat_with("auto", &json!({"response_format": {"type": "json_object"}}));
    ask(&stage, "/v1/chat/completions", &object).await?.expect_status(200)?;
    // Who names the model hears its provider.
    let named = chat_with("deepseek/deepseek-v4-pro", &json!({"response_format": format}));
    let refused = ask(&stage, "/v1/chat/completions", &named).await?.expect_status(400)?;
    assert!(refused.text.contains("unavailable now"), "{}", refused.text);
    Ok(())
}

#[tokio::test]
async fn a_member_that_a_model_surprisingly_refuses_is_tried_elsewhere_under_auto() -> Result<()> {
    let mut script = Script { seed: 7, providers: Vec::new() };
    for (of, refused) in [(ALWAYS_THINKS, ["seed", "store"].as_slice()), (TAKES_ALL, &["store"])] {
        let mut provider = provider(&of);
        for model in &mut provider.models {
            model.refuses = refused.iter().map(|name| (*name).to_owned()).collect();
        }
        script.providers.push(provider);
    }
    let stage = open(script).await?;
    let rule = json!({"prefer": ["*@openai"]});
    let path = format!("/orgs/{ORG}/rules");
    stage.operate(Method::POST, &path, Some(&rule)).await?.expect_status(201)?;
    let seeded = |model: &str| chat_with(model, &json!({"seed": 7}));
    let path = "/v1/chat/completions";
    let answer = ask(&stage, path, &seeded("auto")).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-provider"), "groq");
    assert_eq!(answer.header("x-turnpike-attempts"), "2");
    // Who names the model hears its provider; so does everybody when all refuse.
    let named = ask(&stage, path, &seeded("openai/gpt-5-nano")).await?.expect_status(400)?;
    assert!(named.text.contains("'seed' is not supported"), "{}", named.text);
    let stored = ask(&stage, path, &chat_with("auto", &json!({"store": true}))).await?;
    assert!(stored.expect_status(400)?.text.contains("'store' is not supported"));
    Ok(())
}

/// Anthropic's callers may ask for no answer, to have a prompt cached; who can't be asked for that
/// isn't, and the caller hears of the member that it wrote.
#[tokio::test]
async fn a_limit_of_nothing_is_no_other_dialects_business() -> Result<()> {
    let stage = stage(&[ALWAYS_THINKS, TAKES_ALL]).await?;
    for model in ["auto", "openai/gpt-5-nano"] {
        let body = json!({"model": model, "max_tokens": 0,
            "messages": [{"role": "user", "content": "Say hello to Ada."}]});
        let refused = ask(&stage, "/v1/messages", &body).await?.expect_status(422)?;
        assert_eq!(refused.body["type"], "error", "{}", refused.text);
        let message = refused.body["error"]["message"].as_str().context("a message")?;
        assert!(message.contains("would lose max_tokens"), "{message}");
        assert!(!message.contains("max_completion_tokens"), "{message}");
    }
    assert!(stage.simulator.all_requests().is_empty(), "nothing was sent");
    Ok(())
}

/// Who can be asked for that charges for the prompt, and so does the gateway.
#[tokio::test]
async fn a_prompt_that_is_only_to_be_cached_is_paid_for() -> Result<()> {
    let stage = stage(&[NEWEST_CLAUDE]).await?;
    for stream in [false, true] {
        let rules = format!("Of {stream}. {}", "Never say never. ".repeat(1_000));
        let known = json!({"type": "text", "text": rules,
            "cache_control": {"type": "ephemeral"}});
        let body = json!({"model": "auto", "max_tokens": 0, "stream": stream, "system": [known],
            "messages": [{"role": "user", "content": "Say hello to Ada."}]});
        let answer = ask(&stage, "/v1/messages", &body).await?.expect_status(200)?;
        assert_eq!(sent(&stage)?["max_tokens"], 0);
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(explanation["settlement"], "complete", "{explanation:#}");
        let amount = |name: &str| pico(explanation[name].as_str().context("an amount")?);
        assert!(amount("cost_usd")? > 0, "{explanation:#}");
        assert_eq!(amount("absorbed_usd")?, 0, "{explanation:#}");
        let written = explanation["usage"]["cache_write_5m"].as_u64();
        assert!(written.is_some_and(|written| written > 1_000), "{explanation:#}");
        if !stream {
            assert_eq!(answer.body["content"], json!([]), "{}", answer.text);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_message_without_content_is_refused_and_not_made_up() -> Result<()> {
    let stage = stage(&[ALWAYS_THINKS, NEWEST_CLAUDE]).await?;
    let body = json!({"model": "auto", "messages": [{"role": "user"}]});
    let refused = ask(&stage, "/v1/chat/completions", &body).await?.expect_status(400)?;
    let error = &refused.body["error"];
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("missing_field"), &json!("messages[0].content")),
        "{}",
        refused.text
    );
    assert!(stage.simulator.all_requests().is_empty(), "nothing was sent");
    Ok(())
}
