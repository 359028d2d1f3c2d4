//! Google Vertex: Gemini and Claude at one address, signed in to with a token.

use anyhow::Result;
use serde_json::json;
use turnpike_simulate::{Dialect, Script, Simulator};
use turnpike_tests::{Setup, Stage, chat};

use super::{KEY, events, message, post, received, said};

const CLAUDE: &str = "claude-sonnet-4-5@20250929";
const GEMINI: &str = "gemini-2.5-flash";
/// Of no models of the catalogue, which this provider would offer too.
const CLAUDE_ID: &str = "acme/claude";
const GEMINI_ID: &str = "acme/gemini";
const PREFIX: &str = "/vertex/v1/projects/p/locations/l";

fn offers() -> String {
    let offer = |id: &str, wire: &str, dialect: &str| {
        format!(
            "[[providers.google-vertex.offers]]\nid = \"{id}\"\nupstream_model = \"{wire}\"\n\
             dialects = [\"{dialect}\"]\ntools = true\noutput_tokens = 60000\n\
             usd_per_million = {{ input = \"1\", output = \"2\" }}\n"
        )
    };
    offer(CLAUDE_ID, CLAUDE, "anthropic-messages") + &offer(GEMINI_ID, GEMINI, "gemini")
}

/// Signed in to with a token that the operator gives.
fn with_token(_: &Script, simulator: &Simulator) -> Result<String> {
    let url = simulator.url("google-vertex")?;
    Ok(format!(
        "[providers.google-vertex]\nbase_url = \"{url}\"\napi_key = \"{KEY}\"\n{}",
        offers()
    ))
}

async fn open() -> Result<Stage> {
    let script = super::script("google-vertex", PREFIX, Dialect::Vertex, &[CLAUDE, GEMINI]);
    Stage::open_with(Setup { script, providers: with_token, ..Setup::default() }).await
}

#[tokio::test]
async fn both_publishers_answer_whole_and_streamed() -> Result<()> {
    let stage = open().await?;
    for (id, path) in [
        (CLAUDE_ID, format!("{PREFIX}/publishers/anthropic/models/{CLAUDE}:rawPredict")),
        (GEMINI_ID, format!("{PREFIX}/publishers/google/models/{GEMINI}:generateContent")),
    ] {
        stage.simulator.forget();
        let answer = stage.caller.chat(&chat(id, "größer 😀")).await?.expect_status(200)?;
        assert_eq!(answer.content(), "größer 😀");
        let mut stream = stage.caller.stream(&chat(id, "one two three")).await?;
        stream.read().await?;
        assert!(stream.complete());
        assert_eq!(stream.text(), "one two three");
        let seen = stage.simulator.requests("google-vertex");
        assert_eq!(seen[0].path, path);
        assert!(seen[1].path.contains(":stream"), "{}", seen[1].path);
        let token = format!("Bearer {KEY}");
        assert!(seen.iter().all(|seen| seen.header("authorization") == Some(token.as_str())));
    }
    Ok(())
}

/// Claude's own callers: the bytes pass but for the model, which is in the path, and the version.
#[tokio::test]
async fn a_callers_bytes_pass_to_claude_and_only_known_betas_pitfall_18() -> Result<()> {
    let stage = open().await?;
    let betas = "claude-code-20250219, interleaved-thinking-2025-05-14";
    let headers = [("anthropic-version", "2023-06-01"), ("anthropic-beta", betas)];
    let mut body = message(CLAUDE_ID, "one two");
    body["stream"] = json!(true);
    let answer = post(&stage, "/v1/messages?beta=true", &headers, &body).await?;
    let answer = answer.expect_status(200)?;
    assert_eq!(said(&events(&answer.text)), "one two");
    let seen = stage.simulator.requests("google-vertex").remove(0);
    assert_eq!(seen.header("anthropic-beta"), Some("interleaved-thinking-2025-05-14"));
    assert_eq!(seen.header("anthropic-version"), None);
    assert!(!seen.path.contains("beta=true"), "{}", seen.path);
    let sent = received(&stage, "google-vertex")?;
    assert_eq!(sent["anthropic_version"], "vertex-2023-10-16");
    assert_eq!((sent.get("model"), &sent["messages"]), (None, &body["messages"]));
    let loss = answer.header("x-turnpike-loss");
    assert!(loss.contains("anthropic-beta.claude-code-20250219=dropped"), "{loss}");
    // Without the beta the member goes too: the pair is kept (pitfall 19).
    body["context_management"] = json!({ "edits": [] });
    post(&stage, "/v1/messages", &headers, &body).await?.expect_status(200)?;
    assert_eq!(received(&stage, "google-vertex")?.get("context_management"), None);
    Ok(())
}
