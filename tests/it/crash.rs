//! Power cuts: the process is killed under load, again and again, and the books still add up.

mod rounds;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use turnpike_simulate::{AnswerScript, Script};
use turnpike_tests::{Caller, ORG, Setup, Stage, built_policy, chat, instant_script, pico};

/// Callers at once.
const CALLERS: usize = 16;
/// Answers before the power cut.
const ANSWERS: usize = 60;
const CREDIT_USD: &str = "500";
const EXAMPLE: &str = "example-classify-keyword";

fn busy() -> Script {
    let mut script = instant_script();
    for model in script.providers.iter_mut().flat_map(|provider| &mut provider.models) {
        model.answer = AnswerScript::Lorem { tokens: 20 };
        model.tokens_per_second = 400;
    }
    script
}

/// Calls until the gateway is gone.
async fn call_on(caller: Caller, streams: bool, answered: Arc<AtomicUsize>, cut: Arc<AtomicBool>) {
    while !cut.load(Ordering::Acquire) {
        let body = chat("auto", "how are you?");
        let whole = if streams {
            match caller.stream(&body).await {
                Ok(mut answer) => answer.read().await.is_ok() && answer.complete(),
                Err(_) => false,
            }
        } else {
            caller.chat(&body).await.is_ok_and(|answer| answer.status == 200)
        };
        if !whole {
            return;
        }
        answered.fetch_add(1, Ordering::AcqRel);
    }
}

/// Loads the gateway with whole and streamed calls, and kills it among them.
async fn load_and_kill(stage: &mut Stage) -> Result<()> {
    let (answered, cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut callers = JoinSet::new();
    for index in 0..CALLERS {
        let (answered, cut) = (Arc::clone(&answered), Arc::clone(&cut));
        callers.spawn(call_on(stage.caller.clone(), index % 2 == 0, answered, cut));
    }
    while answered.load(Ordering::Acquire) < ANSWERS {
        anyhow::ensure!(!callers.is_empty(), "every caller gave up");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    stage.kill();
    cut.store(true, Ordering::Release);
    while callers.join_next().await.is_some() {}
    Ok(())
}

async fn check_ledger(stage: &Stage) -> Result<()> {
    let data = stage.data_folder().display().to_string();
    let checked = stage.program(&["ledger", "check", "--data", &data]).await?;
    let text = String::from_utf8_lossy(&checked.stdout);
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "ledger check failed:\n{text}\n{errors}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_load_loses_no_money_no_key_and_no_binding() -> Result<()> {
    let setup = Setup { script: busy(), credit_usd: CREDIT_USD.to_owned(), ..Setup::default() };
    let mut stage = Stage::open_with(setup).await?;
    stage.upload(EXAMPLE, "0.1.0", built_policy(EXAMPLE)?).await?.expect_status(201)?;
    let binding = json!({ "plugin": format!("{EXAMPLE}@0.1.0"), "mode": "active",
        "config": { "keywords": { "banana": "extraction" } } });
    stage.bind("classify", &binding).await?;
    let budget = json!({ "name": "budgeted",
        "budget": { "amount_usd": "100", "period": "day", "mode": "hard" } });
    stage.caller = stage.add_key(ORG, &budget).await?;

    let mut spent_before = 0;
    for round in 0..3 {
        load_and_kill(&mut stage).await?;
        check_ledger(&stage).await?;
        stage.restart().await?;
        let balance = stage.balance(ORG).await?;
        assert_eq!(balance.total(), pico(CREDIT_USD)?, "round {round}: {balance:?}");
        assert!(balance.spent > spent_before, "round {round}: captured money stays captured");
        spent_before = balance.spent;
        let answer = stage.caller.chat(&chat("auto", "a banana")).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(
            explanation["task"]["task"], "extraction",
            "round {round}: the binding is there"
        );
    }
    stage.stop().await?;
    check_ledger(&stage).await
}

#[tokio::test]
async fn an_orderly_stop_settles_everything_and_a_restart_keeps_it() -> Result<()> {
    let mut stage = Stage::open().await?;
    let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    let before = stage.settled_balance(ORG).await?;
    stage.stop().await?;
    check_ledger(&stage).await?;
    stage.restart().await?;
    assert_eq!(stage.balance(ORG).await?, before);
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["id"], answer.request_id(), "explanations outlive a restart");
    let entries = stage.operate(Method::GET, &format!("/orgs/{ORG}/credits/entries"), None).await?;
    let entries = entries.expect_status(200)?;
    let items = entries.body["items"].as_array().context("items")?;
    assert!(items.len() >= 2, "a top-up and a capture: {}", entries.text);
    stage.caller.chat(&chat("auto", "hello again")).await?.expect_status(200)?;
    Ok(())
}
