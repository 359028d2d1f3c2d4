//! Amazon Bedrock: Converse, whole and streamed in its binary messages, signed or with a key.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_simulate::{Dialect, Failure, Rule, Script, Simulator, ToolCalls};
use turnpike_tests::{ORG, Setup, Stage, chat};

use super::{counts, events, message, post, received, said};

const MODEL: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
/// Of no model of the catalogue, which this provider would offer too.
const OWN_NAME: &str = "acme/claude";

fn configured(script: &Script, simulator: &Simulator, credential: &str) -> Result<String> {
    let name = &script.providers[0].name;
    Ok(format!(
        "[providers.{name}]\nbase_url = \"{}\"\n{credential}\n[[providers.{name}.offers]]\n\
         id = \"{OWN_NAME}\"\nupstream_model = \"{MODEL}\"\ninput = [\"text\", \"image\"]\n\
         tools = true\nreasoning = true\ncontext_tokens = 200000\noutput_tokens = 64000\n\
         usd_per_million = {{ input = \"3\", output = \"15\", cache-read = \"0.3\", \
         cache-write-short = \"3.75\" }}\n",
        simulator.url(name)?
    ))
}

fn with_key(script: &Script, simulator: &Simulator) -> Result<String> {
    configured(script, simulator, "api_key = \"sim-key\"")
}

fn signed(script: &Script, simulator: &Simulator) -> Result<String> {
    let keys = "aws = { access_key_id = \"sim-key\", secret_access_key = \"s\", \
                session_token = \"a-role\", region = \"eu-central-1\" }";
    configured(script, simulator, keys)
}

fn signed_by_another(script: &Script, simulator: &Simulator) -> Result<String> {
    let keys = "aws = { access_key_id = \"another\", secret_access_key = \"s\", \
                region = \"eu-central-1\" }";
    configured(script, simulator, keys)
}

async fn open(providers: fn(&Script, &Simulator) -> Result<String>) -> Result<Stage> {
    let script = super::script("amazon-bedrock", "/bedrock", Dialect::BedrockConverse, &[MODEL]);
    Stage::open_with(Setup { script, providers, ..Setup::default() }).await
}

#[tokio::test]
async fn a_request_is_signed_and_names_the_model_in_its_path() -> Result<()> {
    let stage = open(signed).await?;
    let answer = stage.caller.chat(&chat(OWN_NAME, "größer 😀")).await?.expect_status(200)?;
    assert_eq!(answer.content(), "größer 😀");
    let seen = stage.simulator.requests("amazon-bedrock").remove(0);
    let model = "anthropic.claude-sonnet-4-5-20250929-v1%3A0";
    assert_eq!(seen.path, format!("/bedrock/model/{model}/converse"));
    // The log has no credentials; the simulator has looked at the signature's form and scope.
    assert!(seen.credentials.iter().any(|name| name == "authorization"));
    assert!(seen.header("x-amz-date").is_some_and(|date| date.ends_with('Z')));
    assert_eq!(seen.header("x-amz-security-token"), Some("a-role"));
    assert!(!stage.log()?.contains("a-role"));
    Ok(())
}

#[tokio::test]
async fn keys_that_are_refused_are_the_operators_to_mend() -> Result<()> {
    let stage = open(signed_by_another).await?;
    let answer = stage.caller.chat(&chat(OWN_NAME, "x")).await?.expect_status(502)?;
    assert_eq!(answer.body["error"]["code"], "upstream_credential");
    Ok(())
}

#[tokio::test]
async fn every_dialect_streams_from_it() -> Result<()> {
    let stage = open(with_key).await?;
    let text = "one two größer 😀 three";
    let mut chat_stream = stage.caller.stream(&chat(OWN_NAME, text)).await?;
    chat_stream.read().await?;
    assert!(chat_stream.complete());
    assert_eq!(chat_stream.text(), text);
    let mut body = message(OWN_NAME, text);
    body["stream"] = json!(true);
    let answer = post(&stage, "/v1/messages", &[], &body).await?.expect_status(200)?;
    let events = events(&answer.text);
    assert_eq!(said(&events), text);
    let counts = counts(&events);
    for name in ["message_start", "content_block_start", "content_block_stop", "message_stop"] {
        assert_eq!(counts.get(name), Some(&1), "{name}: {counts:?}");
    }
    let seen = stage.simulator.requests("amazon-bedrock");
    assert!(seen.iter().all(|seen| seen.path.ends_with("/converse-stream")));
    let accept = "application/vnd.amazon.eventstream";
    assert!(seen.iter().all(|seen| seen.header("accept") == Some(accept)));
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["usage_source"], "provider");
    Ok(())
}

#[tokio::test]
async fn a_cached_prompt_is_counted_beside_the_rest() -> Result<()> {
    let stage = open(with_key).await?;
    stage.simulator.change("amazon-bedrock", MODEL, |model| model.cached_percent = 50)?;
    let text = "a prompt that is long enough to have several tokens";
    let answer = stage.caller.chat(&chat(OWN_NAME, text)).await?.expect_status(200)?;
    let usage = &answer.body["usage"];
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().context("cached")?;
    assert!(cached > 0 && usage["prompt_tokens"].as_u64() >= Some(2 * cached), "{usage}");
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["usage"]["cache_read"], cached);
    Ok(())
}

#[tokio::test]
async fn tools_are_called_and_their_results_come_back() -> Result<()> {
    let stage = open(with_key).await?;
    stage.simulator.change("amazon-bedrock", MODEL, |model| model.tool_calls = ToolCalls::All)?;
    let tool = |name: &str| {
        json!({ "name": name, "description": "d", "input_schema": { "type": "object",
            "properties": { "city": { "type": "string" } }, "required": ["city"] } })
    };
    let mut body = message(OWN_NAME, "Paris");
    body["tools"] = json!([tool("weather"), tool("time")]);
    for stream in [false, true] {
        body["stream"] = json!(stream);
        let answer = post(&stage, "/v1/messages", &[], &body).await?.expect_status(200)?;
        let calls: Vec<Value> = if stream {
            let events = events(&answer.text);
            let starts = events.iter().filter_map(|(_, data)| data.get("content_block").cloned());
            starts.filter(|block| block["type"] == "tool_use").collect()
        } else {
            assert_eq!(answer.body["stop_reason"], "tool_use");
            answer.body["content"].as_array().cloned().unwrap_or_default()
        };
        let names: Vec<_> = calls.iter().filter_map(|call| call["name"].as_str()).collect();
        assert_eq!(names, ["weather", "time"], "{}", answer.text);
        let result = |call: &Value| {
            let id = &call["id"];
            json!({ "type": "tool_result", "tool_use_id": id, "content": "18 degrees" })
        };
        let used = |call: &Value| {
            json!({ "type": "tool_use", "id": call["id"], "name": call["name"],
                "input": { "city": "Paris" } })
        };
        let mut next = body.clone();
        next["stream"] = json!(false);
        next["messages"] = json!([
            { "role": "user", "content": "Paris" },
            { "role": "assistant", "content": calls.iter().map(used).collect::<Vec<_>>() },
            { "role": "user", "content": calls.iter().map(result).collect::<Vec<_>>() },
        ]);
        let answer = post(&stage, "/v1/messages", &[], &next).await?.expect_status(200)?;
        let text = answer.body["content"][0]["text"].as_str().context("a text")?;
        assert!(text.contains("18 degrees"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn an_image_arrives_as_it_was() -> Result<()> {
    let stage = open(with_key).await?;
    let picture = "iVBORw0KGgoAAAANSUhEUg==";
    let url = format!("data:image/png;base64,{picture}");
    let body = json!({ "model": OWN_NAME, "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What is this?" },
        { "type": "image_url", "image_url": { "url": url } } ] }] });
    let answer = stage.caller.chat(&body).await?.expect_status(200)?;
    assert!(answer.content().contains("image/png"), "{}", answer.content());
    let image = &received(&stage, "amazon-bedrock")?["messages"][0]["content"][1]["image"];
    assert_eq!(*image, json!({ "format": "png", "source": { "bytes": picture } }));
    Ok(())
}

#[tokio::test]
async fn its_errors_are_told_in_the_callers_shape() -> Result<()> {
    let stage = open(with_key).await?;
    // Refused by the provider, in its words.
    stage.simulator.fail("amazon-bedrock", &[Rule::always(Failure::status(400))])?;
    let answer = stage.caller.chat(&chat(OWN_NAME, "x")).await?.expect_status(400)?;
    assert_eq!(answer.body["error"]["message"], "The provided request is not valid.");
    let answer = post(&stage, "/v1/messages", &[], &message(OWN_NAME, "x")).await?;
    let answer = answer.expect_status(400)?;
    assert_eq!(answer.body["error"]["type"], "invalid_request_error");
    stage.simulator.fail("amazon-bedrock", &[Rule::always(Failure::status(429))])?;
    stage.caller.chat(&chat(OWN_NAME, "x")).await?.expect_status(429)?;
    stage.simulator.fail("amazon-bedrock", &[Rule::always(Failure::status(424))])?;
    stage.caller.chat(&chat(OWN_NAME, "x")).await?.expect_status(502)?;
    Ok(())
}

#[tokio::test]
async fn an_exception_in_a_stream_ends_it_legally() -> Result<()> {
    let stage = open(with_key).await?;
    stage.simulator.change("amazon-bedrock", MODEL, |model| model.tokens_per_second = 20)?;
    for failure in [Failure::ErrorEvent { chunks: 2 }, Failure::DieAfter { chunks: 2 }] {
        stage.simulator.fail("amazon-bedrock", &[Rule::always(failure)])?;
        let mut stream = stage.caller.stream(&chat(OWN_NAME, "one two three four five")).await?;
        stream.read().await?;
        assert!(!stream.text().is_empty() && !stream.broken, "{:?}", stream.chunks);
        assert!(stream.error().is_some(), "{:?}", stream.chunks);
    }
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    Ok(())
}

#[tokio::test]
async fn a_stream_cut_at_every_few_bytes_is_whole() -> Result<()> {
    let stage = open(with_key).await?;
    for bytes in [1, 7] {
        let drip = Failure::SlowDrip { bytes, pause_ms: 0 };
        stage.simulator.fail("amazon-bedrock", &[Rule::always(drip)])?;
        let mut stream = stage.caller.stream(&chat(OWN_NAME, "größer 😀 als")).await?;
        stream.read().await?;
        assert!(stream.complete());
        assert_eq!(stream.text(), "größer 😀 als");
    }
    Ok(())
}

/// The simulated model refuses a beta that it does not know, as the real one does.
#[tokio::test]
async fn pitfall_18_betas_that_bedrock_does_not_know_are_dropped_and_told() -> Result<()> {
    let stage = open(with_key).await?;
    let betas =
        "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27";
    let mut body = message(OWN_NAME, "hi");
    body["context_management"] = json!({ "edits": [] });
    let headers = [("anthropic-version", "2023-06-01"), ("anthropic-beta", betas)];
    let answer = post(&stage, "/v1/messages?beta=true", &headers, &body).await?;
    let answer = answer.expect_status(200)?;
    let loss = answer.header("x-turnpike-loss");
    assert!(loss.contains("anthropic-beta.claude-code-20250219=dropped"), "{loss}");
    let extra = &received(&stage, "amazon-bedrock")?["additionalModelRequestFields"];
    let known = json!(["interleaved-thinking-2025-05-14", "context-management-2025-06-27"]);
    assert_eq!(extra["anthropic_beta"], known);
    assert_eq!(extra["context_management"], json!({ "edits": [] }));
    let seen = stage.simulator.requests("amazon-bedrock").remove(0);
    assert!(seen.header("anthropic-beta").is_none() && !seen.path.contains('?'), "{}", seen.path);
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    let lost = explanation["losses"].as_array().context("losses")?;
    assert!(lost.iter().any(|one| one["at"] == "anthropic-beta.claude-code-20250219"), "{lost:?}");
    // Who wants it strictly is refused, and told why.
    let strict = [headers[0], headers[1], ("x-turnpike-strict", "1")];
    let answer = post(&stage, "/v1/messages", &strict, &body).await?.expect_status(422)?;
    assert!(answer.text.contains("anthropic-beta"), "{}", answer.text);
    Ok(())
}
