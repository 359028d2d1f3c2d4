//! What Claude Code sends is what an Anthropic provider receives, byte for byte: a wire tap in
//! front of the gateway keeps the one, the simulated provider the other.

use anyhow::{Context, Result};
use turnpike_simulate::Seen;
use turnpike_tests::{Recorded, Recorder, Setup, Stage};

use super::roster::CLIENTS;
use super::run::{Endpoint, Installed, run};
use super::script;

/// Headers that are the connection's or the caller's credentials: the gateway has its own.
const OWN: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "authorization",
    "x-api-key",
    "x-request-id",
];
/// Headers with which Claude Code tells a gateway who calls; they are not for providers.
const FOR_GATEWAYS: &str = "x-claude-code-";

#[tokio::test]
async fn what_claude_sends_reaches_an_anthropic_provider_byte_for_byte() -> Result<()> {
    let (script, providers) = (script::script(), script::configuration);
    let stage = Stage::open_with(Setup { script, providers, ..Setup::default() }).await?;
    let recorder = Recorder::before(&stage.gateway()?.data_url).await?;
    let all = script::names(true);
    let endpoint = Endpoint {
        base_url: recorder.url(),
        key: stage.caller.key().to_owned(),
        models: serde_json::json!({ "anthropic": all.get("anthropic") }),
    };
    let claude = CLIENTS.into_iter().find(|client| client.id == "claude").context("no claude")?;
    let only = ["text", "tool loop", "image"].map(str::to_owned);
    let report = run(claude, &Installed::ready().await?, &endpoint, &only).await?;
    assert!(report.lines.iter().all(|line| line.result == "ok"), "{report:#?}");

    let sent = recorder.requests()?;
    let sent: Vec<&Recorded> =
        sent.iter().filter(|request| request.path.starts_with("/v1/messages?")).collect();
    let seen = stage.simulator.requests("anthropic");
    assert!(sent.len() >= 5, "five answers at least: {}", sent.len());
    for request in &sent {
        let body = renamed(&request.body)?;
        let same = seen.iter().find(|seen| seen.body == body.as_bytes());
        let same = same.with_context(|| nearest(&body, &seen))?;
        assert!(same.path.ends_with(&request.path), "the query too: {}", same.path);
        compare_headers(request, same);
    }
    Ok(())
}

/// The body with the provider's name of the model in place of the caller's, and no other change.
fn renamed(body: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(body)?;
    Ok(text.replacen(r#""model":"anthropic/"#, r#""model":""#, 1))
}

/// Every header arrives with its value, but for those that are the gateway's own business, and
/// the gateway adds none that tells who calls.
fn compare_headers(request: &Recorded, seen: &Seen) {
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        if OWN.contains(&name.as_str()) || name.starts_with(FOR_GATEWAYS) {
            continue;
        }
        assert_eq!(seen.header(&name), Some(value.as_str()), "{name}");
    }
    let key = format!("Bearer {}", request.header("authorization").unwrap_or("none"));
    assert!(seen.headers.iter().all(|(_, value)| !key.contains(value.as_str())), "no key of ours");
}

/// Where the most similar body that arrived departs from the one that was sent.
fn nearest(sent: &str, seen: &[Seen]) -> String {
    let agree = |text: &str| sent.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
    let best = seen.iter().map(|seen| (agree(&seen.text()), seen.text()));
    let Some((at, text)) = best.max_by_key(|(at, _)| *at) else {
        return "nothing arrived".to_owned();
    };
    let around =
        |text: &str| -> String { text.chars().skip(at.saturating_sub(60)).take(160).collect() };
    format!("at byte {at}:\n  sent {:?}\n  seen {:?}", around(sent), around(&text))
}
