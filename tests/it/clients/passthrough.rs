//! What Claude Code sends is what an Anthropic provider receives, byte for byte: a wire tap in
//! front of the gateway keeps the one, the simulated provider the other.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use turnpike_simulate::Seen;
use turnpike_tests::{Recorded, Recorder, Setup, Stage};

use super::roster::CLIENTS;
use super::run::{Endpoint, Installed, run};
use super::script;

/// Headers that change what an Anthropic provider does begin so; the others tell who calls.
const MEANT: &str = "anthropic-";
/// For browsers, which a gateway is not.
const FOR_BROWSERS: &str = "anthropic-dangerous-direct-browser-access";

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
    let mut amiss = BTreeSet::new();
    for request in &sent {
        let body = renamed(&request.body)?;
        let same = seen.iter().find(|seen| seen.body == body.as_bytes());
        let same = same.with_context(|| nearest(&body, &seen))?;
        let path = |path: &str| path.split('?').next().map(str::to_owned);
        if path(&same.path) != path(&format!("/anthropic{}", request.path)) {
            amiss.insert(format!("{} arrived as {}", request.path, same.path));
        }
        compare_headers(request, same, &mut amiss);
    }
    assert!(amiss.is_empty(), "{amiss:#?}");
    Ok(())
}

/// The body with the provider's name of the model in place of the caller's, and no other change.
fn renamed(body: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(body)?;
    Ok(text.replacen(r#""model":"anthropic/"#, r#""model":""#, 1))
}

/// The headers that are meant for the provider arrive with their values, and the caller's key does
/// not.
fn compare_headers(request: &Recorded, seen: &Seen, amiss: &mut BTreeSet<String>) {
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        if !name.starts_with(MEANT) || name == FOR_BROWSERS {
            continue;
        }
        if seen.header(&name) != Some(value.as_str()) {
            amiss.insert(format!("{name}: {value} arrived as {:?}", seen.header(&name)));
        }
    }
    let key = request.header("authorization").unwrap_or("none").trim_start_matches("Bearer ");
    if seen.headers.iter().any(|(_, value)| value.contains(key)) {
        amiss.insert("the caller's key arrived too".to_owned());
    }
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
