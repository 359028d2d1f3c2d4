//! A policy is replaced while clients stream: the next requests use it, and no request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use turnpike_simulate::{AnswerScript, Script};
use turnpike_tests::{Caller, ORG, Setup, Stage, built_policy, chat, instant_script};

const CLIENTS: usize = 64;
const EXAMPLE: &str = "example-classify-keyword";

/// Answers of a second or so, so that streams are under way when the policy changes.
fn paced() -> Script {
    let mut script = instant_script();
    for model in script.providers.iter_mut().flat_map(|provider| &mut provider.models) {
        model.answer = AnswerScript::Lorem { tokens: 60 };
        model.tokens_per_second = 90;
    }
    script
}

/// Streams one answer after the other until told to stop; how many.
async fn stream_on(
    caller: Caller,
    stop: Arc<AtomicBool>,
    begun: Arc<AtomicUsize>,
) -> Result<usize> {
    let mut count = 0;
    while !stop.load(Ordering::Acquire) {
        let mut answer = caller.stream(&chat("auto", "a banana, please")).await?;
        if answer.read_to_text().await? {
            begun.fetch_add(1, Ordering::AcqRel);
        }
        answer.read().await?;
        if answer.status != 200 || !answer.complete() {
            bail!("status {}, chunks {:?}", answer.status, answer.chunks);
        }
        count += 1;
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uploaded_classifier_takes_over_while_64_clients_stream() -> Result<()> {
    let credit_usd = "1000".to_owned();
    let stage = Stage::open_with(Setup { script: paced(), credit_usd, ..Setup::default() }).await?;
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(stream_on(stage.caller.clone(), Arc::clone(&stop), Arc::clone(&begun)));
    }
    while begun.load(Ordering::Acquire) < CLIENTS {
        if let Some(ended) = clients.try_join_next() {
            bail!("a client gave up before the upload: {ended:?}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }

    let uploaded = stage.upload(EXAMPLE, "0.1.0", built_policy(EXAMPLE)?).await?;
    let uploaded = uploaded.expect_status(201)?;
    let interfaces = uploaded.body["interfaces"].as_array().context("interfaces")?;
    assert!(interfaces.iter().any(|name| name.as_str().is_some_and(|n| n.contains("classify"))));
    let checks = uploaded.body["checks"].as_array().context("checks")?;
    assert!(!checks.is_empty() && checks.iter().all(|check| check["passed"] == true), "{checks:?}");
    let binding = json!({ "plugin": format!("{EXAMPLE}@0.1.0"), "mode": "active",
        "config": { "keywords": { "banana": "extraction" } } });
    stage.bind("classify", &binding).await?;

    let next = stage.caller.chat(&chat("auto", "one more banana")).await?.expect_status(200)?;
    stop.store(true, Ordering::Release);
    let explanation = stage.explanation(ORG, next.request_id()).await?;
    assert_eq!(explanation["task"]["task"], "extraction");
    let by = explanation["task"]["decided_by"].as_str().context("a policy")?;
    assert!(by.contains(EXAMPLE), "{by}");
    let mut answered = 0;
    while let Some(client) = clients.join_next().await {
        answered += client.context("a client crashed")??;
    }
    assert!(answered >= CLIENTS, "every client got at least one whole stream");

    let path = format!("/orgs/{ORG}/bindings/classify");
    let removed = stage.operate(Method::DELETE, &path, None).await?;
    assert_eq!(removed.status / 100, 2, "{}", removed.text);
    let back = stage.caller.chat(&chat("auto", "a last banana")).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, back.request_id()).await?;
    assert!(!explanation["task"]["decided_by"].as_str().context("one")?.contains(EXAMPLE));
    Ok(())
}
