//! What a provider's own web search, or another tool of its own, costs is known before it is
//! allowed, or it is not allowed.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, ModelScript, ProviderScript, Script, Simulator};
use turnpike_tests::{ORG, Setup, Stage, pico};

/// Sells the model with a price for a search in the catalogue, and one that has none.
const PRICED: &str = "openai";
const UNPRICED: &str = "azure";
/// Enough for a short answer, and less than the sixteen searches of a cent each that are held for.
const CREDIT_USD: &str = "0.150000";

async fn stage(provider: &str) -> Result<Stage> {
    stage_of(provider, configured).await
}

async fn stage_of(
    provider: &str,
    providers: fn(&Script, &Simulator) -> Result<String>,
) -> Result<Stage> {
    let script = Script {
        seed: 7,
        providers: vec![ProviderScript {
            name: provider.to_owned(),
            prefix: format!("/{provider}/v1"),
            api_key: Some("sim-key".to_owned()),
            dialect: Dialect::OpenAiResponses,
            models: vec![ModelScript::instant("gpt-5.4", AnswerScript::Echo {})],
            failures: Vec::new(),
        }],
    };
    Stage::open_with(Setup {
        script,
        providers,
        credit_usd: CREDIT_USD.to_owned(),
        ..Setup::default()
    })
    .await
}

fn configured(script: &Script, simulator: &Simulator) -> Result<String> {
    let name = &script.providers.first().context("a provider")?.name;
    let url = simulator.url(name)?;
    Ok(format!(
        "[providers.{name}]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\n\
         dialect = \"openai-responses\"\nmodels = [\"gpt-5.4\"]\n"
    ))
}

/// The same, where the operator has set what a tool of the provider's own costs: three cents.
fn overridden(script: &Script, simulator: &Simulator) -> Result<String> {
    let price = "usd_per_million = { hosted-call = \"30000\" }";
    let configured = configured(script, simulator)?;
    let name = &script.providers.first().context("a provider")?.name;
    Ok(format!("{configured}[[providers.{name}.overrides]]\nmodel = \"openai/*\"\n{price}\n"))
}

#[tokio::test]
async fn a_search_whose_price_is_not_known_is_not_allowed() -> Result<()> {
    let stage = stage(UNPRICED).await?;
    let mut body = json!({ "model": "gpt-5.4", "input": "news?" });
    let plain = stage.caller.call(Method::POST, "/v1/responses", Some(&body)).await?;
    plain.expect_status(200)?;
    stage.simulator.forget();
    body["tools"] = json!([{ "type": "web_search" }]);
    body["tool_choice"] = json!("required");
    let answer = stage.caller.call(Method::POST, "/v1/responses", Some(&body)).await?;
    let answer = answer.expect_status(422)?;
    assert!(answer.text.contains("the price of its web search is not known"), "{}", answer.text);
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["candidates"][0]["reason_code"], "unknown_price");
    assert!(stage.simulator.requests(UNPRICED).is_empty());
    Ok(())
}

/// Codex brings a search along to every request: without a price for it the model does without.
#[tokio::test]
async fn a_search_that_is_only_offered_is_withheld_where_its_price_is_not_known() -> Result<()> {
    let stage = stage(UNPRICED).await?;
    let function = json!({ "type": "function", "name": "f", "parameters": { "type": "object" } });
    let body = json!({ "model": "gpt-5.4", "input": "news?", "tool_choice": "auto",
        "tools": [function, { "type": "web_search" }] });
    let answer = stage.caller.call(Method::POST, "/v1/responses", Some(&body)).await?;
    let answer = answer.expect_status(200)?;
    let lost = answer.header("x-turnpike-loss");
    assert!(lost.starts_with("tools[1]=dropped"), "{lost}");
    let requests = stage.simulator.requests(UNPRICED);
    let sent: Value = serde_json::from_slice(&requests.last().context("a request")?.body)?;
    assert_eq!(sent["tools"], json!([function]));
    let strict = [("x-turnpike-strict", "1")];
    stage.caller.post("/v1/responses", &body, &strict).await?.expect_status(422)?;
    Ok(())
}

#[tokio::test]
async fn a_request_that_may_search_is_held_for_searches() -> Result<()> {
    let stage = stage(PRICED).await?;
    for (tools, status) in [(json!([]), 200), (json!([{ "type": "web_search" }]), 402)] {
        let body = json!({ "model": "gpt-5.4", "input": "news?", "max_output_tokens": 64,
            "tools": tools });
        let answer = stage.caller.call(Method::POST, "/v1/responses", Some(&body)).await?;
        answer.expect_status(status)?;
    }
    Ok(())
}

/// Tools that a provider runs by itself are charged by the piece, and no list has their prices.
#[tokio::test]
async fn a_tool_whose_price_is_not_known_is_not_allowed() -> Result<()> {
    let stage = stage(PRICED).await?;
    for tool in ["file_search", "code_interpreter", "image_generation"] {
        stage.simulator.forget();
        let mut body = json!({ "model": "gpt-5.4", "input": "draw", "max_output_tokens": 64 });
        body["tools"] = json!([{ "type": tool }]);
        body["tool_choice"] = json!("required");
        let answer = stage.caller.call(Method::POST, "/v1/responses", Some(&body)).await?;
        let answer = answer.expect_status(422)?;
        assert!(
            answer.text.contains("the price of a tool that it runs by itself"),
            "{}",
            answer.text
        );
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(explanation["candidates"][0]["reason_code"], "unknown_price");
        assert!(stage.simulator.requests(PRICED).is_empty());
        // Where the model need not use it, it does without.
        body["tool_choice"] = json!("auto");
        let answer = stage.caller.call(Method::POST, "/v1/responses", Some(&body)).await?;
        let answer = answer.expect_status(200)?;
        assert!(answer.header("x-turnpike-loss").starts_with("tools[0]=dropped"));
        let requests = stage.simulator.requests(PRICED);
        let sent: Value = serde_json::from_slice(&requests.last().context("a request")?.body)?;
        assert_eq!(sent["tools"], json!([]));
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_may_run_a_tool_is_held_for_its_calls() -> Result<()> {
    let stage = stage_of(PRICED, overridden).await?;
    let code = json!([{ "type": "code_interpreter", "container": { "type": "auto" } }]);
    for (tools, status) in [(json!([]), 200), (code, 402)] {
        let body = json!({ "model": "gpt-5.4", "input": "2+2?", "max_output_tokens": 64,
            "tools": tools });
        let answer = stage.caller.call(Method::POST, "/v1/responses", Some(&body)).await?;
        answer.expect_status(status)?;
    }
    stage.top_up(ORG, "1", "for the tool").await?;
    let code = json!([{ "type": "code_interpreter", "container": { "type": "auto" } }]);
    let body = json!({ "model": "gpt-5.4", "input": "2+2?", "max_output_tokens": 64,
        "tools": code });
    let answer = stage.caller.call(Method::POST, "/v1/responses", Some(&body)).await?;
    let answer = answer.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-loss"), "");
    let requests = stage.simulator.requests(PRICED);
    let sent: Value = serde_json::from_slice(&requests.last().context("a request")?.body)?;
    assert_eq!(sent["tools"], body["tools"]);
    Ok(())
}

fn perplexity(_: &Script, simulator: &Simulator) -> Result<String> {
    let url = simulator.url("perplexity")?;
    Ok(format!(
        "[providers.perplexity]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\n\
         models = [\"sonar\"]\n"
    ))
}

/// Perplexity takes 12 dollars for a thousand requests at most, beside a dollar for a million
/// tokens of either side.
#[tokio::test]
async fn a_fee_for_each_request_is_held_and_charged() -> Result<()> {
    let script = Script {
        seed: 7,
        providers: vec![ProviderScript {
            name: "perplexity".to_owned(),
            prefix: "/perplexity".to_owned(),
            api_key: Some("sim-key".to_owned()),
            dialect: Dialect::OpenAiChat,
            models: vec![ModelScript::instant("sonar", AnswerScript::Echo {})],
            failures: Vec::new(),
        }],
    };
    let credit_usd = CREDIT_USD.to_owned();
    let setup = Setup { script, providers: perplexity, credit_usd, ..Setup::default() };
    let stage = Stage::open_with(setup).await?;
    let body = json!({ "model": "sonar", "max_tokens": 64,
        "messages": [{ "role": "user", "content": "news?" }] });
    for streamed in [false, true] {
        let mut body = body.clone();
        body["stream"] = json!(streamed);
        let id = match streamed {
            false => stage.caller.chat(&body).await?.expect_status(200)?.request_id().to_owned(),
            true => {
                let mut stream = stage.caller.stream(&body).await?;
                stream.read().await?;
                stream.request_id
            }
        };
        stage.settled_balance(ORG).await?;
        let told = stage.explanation(ORG, &id).await?;
        let lines = told["line_items"].as_array().context("lines")?;
        let of = |item: &str| lines.iter().find(|line| line["item"] == item);
        let amount = |value: &Value| pico(value.as_str().context("an amount")?);
        let fee = 12_000_000_000;
        assert_eq!(amount(&of("request").context("the fee")?["amount_usd"])?, fee, "{told:#}");
        assert!(of("output").is_some() && amount(&told["cost_usd"])? > fee, "{told:#}");
        assert!((fee..fee * 2).contains(&amount(&told["hold_usd"])?), "{told:#}");
    }
    Ok(())
}
