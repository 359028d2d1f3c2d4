//! Real clients, installed as applications install them, against the real gateway: each package
//! and program of the roster with each family of providers, case by case. Never asks a client's
//! script for anything that an application would not do.

mod matrix;
mod passthrough;
mod roster;
mod run;
mod script;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use turnpike_simulate::Simulator;
use turnpike_tests::{Setup, Stage, repository};

use roster::{CLIENTS, Client};
use run::{Endpoint, Installed, Report, run};
use script::PROVIDERS;

/// Client processes at once: as many as the smallest machine has processors.
const AT_ONCE: usize = 2;

/// `TURNPIKE_CLIENTS=claude,codex` picks clients and `TURNPIKE_CASES=text,openai` cases and
/// providers, for a person who looks into one of them.
fn picked(variable: &str) -> Vec<String> {
    let given = std::env::var(variable).unwrap_or_default();
    given.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Runs the clients; their reports in the order of the roster.
async fn run_all(endpoint: &Endpoint) -> Result<Vec<Report>> {
    let installed = Installed::ready().await?;
    let (wanted, only) = (picked("TURNPIKE_CLIENTS"), picked("TURNPIKE_CASES"));
    let chosen = |client: &Client| wanted.is_empty() || wanted.iter().any(|id| id == client.id);
    let (installed, only) = (&installed, &only);
    let runs = CLIENTS.into_iter().filter(chosen).map(|client| {
        // Each future is large; a box keeps the stream's own small.
        Box::pin(run(client, installed, endpoint, only))
    });
    stream::iter(runs).buffered(AT_ONCE).try_collect().await
}

/// Tells what failed, with what the clients printed.
fn judge(reports: &[Report], providers: &[&str]) -> Result<()> {
    println!("{}", matrix::times(reports));
    let whole = picked("TURNPIKE_CASES").is_empty();
    let mut failures = matrix::failures(reports, providers);
    failures.retain(|failure| whole || !failure.ends_with("not reported"));
    if failures.is_empty() {
        return Ok(());
    }
    for report in reports.iter().filter(|report| !report.errors.is_empty()) {
        println!("== {} printed:\n{}", report.client.id, report.errors);
    }
    bail!("{} cases failed:\n  {}", failures.len(), failures.join("\n  "))
}

/// What a provider received has each client's picture in it, unchanged.
fn check_pictures(reports: &[Report], simulator: &Simulator) -> Result<()> {
    for report in reports {
        for (provider, _) in PROVIDERS {
            let Some(line) = report.line(provider, "image").filter(|line| line.result == "ok")
            else {
                continue;
            };
            let picture = &line.detail;
            // Google's package writes base64 for URLs, which its server takes too.
            let for_urls = picture.replace('+', "-").replace('/', "_");
            let has = |text: &str| text.contains(picture) || text.contains(&for_urls);
            let arrived = simulator.requests(provider).iter().any(|seen| has(&seen.text()));
            if picture.is_empty() || !arrived {
                bail!("the picture of {} did not arrive at {provider}", report.client.id);
            }
        }
    }
    Ok(())
}

/// Codex made its two calls in one turn; it does not tell, so the requests do: none has the one
/// without the other.
fn check_pairs_of_codex(simulator: &Simulator) -> Result<()> {
    let (one, two) = script::PAIR_OF_CODEX;
    for seen in simulator.all_requests() {
        let text = seen.text();
        if text.contains(one) != text.contains(two) {
            bail!("at {}: one of two parallel calls came back alone:\n{text}", seen.provider);
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_client_works_with_every_family_of_providers() -> Result<()> {
    if std::env::var_os("TURNPIKE_DIRECT").is_some() {
        return directly().await;
    }
    let (script, providers) = (script::script(), script::configuration);
    let stage = Stage::open_with(Setup { script, providers, ..Setup::default() }).await?;
    let endpoint = Endpoint {
        base_url: stage.gateway()?.data_url.clone(),
        key: stage.caller.key().to_owned(),
        models: script::names(true),
    };
    let reports = run_all(&endpoint).await?;
    let page = matrix::page(&reports);
    println!("{page}");
    judge(&reports, &PROVIDERS.map(|(provider, _)| provider))?;
    check_pictures(&reports, &stage.simulator)?;
    check_pairs_of_codex(&stage.simulator)?;
    if picked("TURNPIKE_CLIENTS").is_empty() && picked("TURNPIKE_CASES").is_empty() {
        keep(&page)?;
    }
    Ok(())
}

/// The page in the repository is the one that came out; `TURNPIKE_UPDATE` writes it.
fn keep(page: &str) -> Result<()> {
    let path = repository().join("docs/compatibility.md");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    if kept != page && std::env::var_os("TURNPIKE_UPDATE").is_some() {
        std::fs::write(&path, page).context("docs/compatibility.md can't be written")?;
    } else if kept != page {
        bail!("docs/compatibility.md is not what came out: run with TURNPIKE_UPDATE=1");
    }
    Ok(())
}

/// `TURNPIKE_DIRECT=1`: the clients call a provider of their own dialect, without a gateway in
/// between, which tells whether a failure is a script's or the gateway's.
async fn directly() -> Result<()> {
    let simulator = Simulator::start(&script::direct_script()).await?;
    let models = script::names(false);
    let endpoint = Endpoint {
        base_url: simulator.url("openai")?,
        key: script::PROVIDER_KEY.to_owned(),
        models: json!({ "openai": models.get("openai") }),
    };
    let reports = run_all(&endpoint).await?;
    println!("{}", matrix::page(&reports));
    judge(&reports, &["openai"])?;
    check_pairs_of_codex(&simulator)
}

#[tokio::test]
async fn the_openai_package_completes_streams_and_calls_tools_with_auto() -> Result<()> {
    let stage = Stage::open().await?;
    let endpoint = Endpoint {
        base_url: stage.gateway()?.data_url.clone(),
        key: stage.caller.key().to_owned(),
        models: json!({ "any": { "echo": "auto", "unknown": "nobody/has-this" } }),
    };
    let report = run(roster::AUTO, &Installed::ready().await?, &endpoint, &[]).await?;
    let failed: Vec<_> = report.lines.iter().filter(|line| line.result != "ok").collect();
    assert!(failed.is_empty(), "{failed:#?}\n{}", report.errors);
    assert_eq!(report.lines.len(), 5, "every part ran:\n{}", report.errors);
    Ok(())
}

/// Floats and base64 of a provider that is asked as the package asks, and of one in Google's shape.
#[tokio::test]
async fn the_openai_package_embeds() -> Result<()> {
    let script = crate::embeddings::script();
    let providers = crate::embeddings::configuration;
    let stage = Stage::open_with(Setup { script, providers, ..Setup::default() }).await?;
    for provider in ["alike", "second"] {
        stage.simulator.change(provider, "vec", |model| model.dimensions = None)?;
        let vec = format!("acme/vec@{provider}");
        let endpoint = Endpoint {
            base_url: stage.gateway()?.data_url.clone(),
            key: stage.caller.key().to_owned(),
            models: json!({ "any": { "echo": vec, "unknown": "nobody/has-this" } }),
        };
        let report = run(roster::EMBEDDINGS, &Installed::ready().await?, &endpoint, &[]).await?;
        let failed: Vec<_> = report.lines.iter().filter(|line| line.result != "ok").collect();
        assert!(failed.is_empty(), "{provider}: {failed:#?}\n{}", report.errors);
        assert_eq!(report.lines.len(), 3, "every part ran:\n{}", report.errors);
    }
    Ok(())
}
