//! A backup that is made while requests run is whole, and a gateway starts from what is restored.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::JoinSet;
use turnpike_tests::{Caller, ORG, Stage, built_policy, chat, pico};

const EXAMPLE: &str = "example-classify-keyword";
/// Callers while the backup is made.
const CALLERS: usize = 8;

async fn call_on(caller: Caller, stop: Arc<AtomicBool>) -> Result<()> {
    while !stop.load(Ordering::Acquire) {
        caller.chat(&chat("auto", "how are you?")).await?.expect_status(200)?;
    }
    Ok(())
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

async fn backup(stage: &Stage, to: &Path) -> Result<Output> {
    let (data, to) = (stage.data_folder().display().to_string(), to.display().to_string());
    stage.program(&["backup", &to, "--data", &data]).await
}

async fn restore(stage: &Stage, from: &Path, data: &Path) -> Result<Output> {
    let (from, data) = (from.display().to_string(), data.display().to_string());
    stage.program(&["restore", &from, "--data", &data]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_is_restored_with_keys_policies_and_money() -> Result<()> {
    let mut stage = Stage::open().await?;
    let aside = tempfile::tempdir()?;
    stage.upload(EXAMPLE, "0.1.0", built_policy(EXAMPLE)?).await?.expect_status(201)?;
    let binding = json!({ "plugin": format!("{EXAMPLE}@0.1.0"), "mode": "active",
        "config": { "keywords": { "banana": "extraction" } } });
    stage.bind("classify", &binding).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call_on(stage.caller.clone(), Arc::clone(&stop)));
    }
    let first = stage.caller.chat(&chat("auto", "first")).await?.expect_status(200)?;
    stage.explanation(ORG, first.request_id()).await?;
    // What was used is written a few times a second; money, at once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.top_up(ORG, "7", "just before").await?;
    let before = stage.balance(ORG).await?;
    let to = aside.path().join("backup");
    let made = backup(&stage, &to).await?;
    assert!(made.status.success(), "{}", text(&made));
    assert!(!text(&made).contains("LEFT OUT"), "{}", text(&made));
    let after = stage.balance(ORG).await?;
    stop.store(true, Ordering::Release);
    while let Some(done) = callers.join_next().await {
        done??;
    }
    let again = backup(&stage, &to).await?;
    assert!(text(&again).contains("not empty"), "no backup is written over: {}", text(&again));
    let used = restore(&stage, &to, &stage.data_folder()).await?;
    assert!(!used.status.success() && text(&used).contains("not empty"), "{}", text(&used));

    stage.kill();
    fs::rename(stage.data_folder(), aside.path().join("lost"))?;
    let restored = restore(&stage, &to, &stage.data_folder()).await?;
    let said = text(&restored);
    assert!(restored.status.success(), "{said}");
    assert!(said.contains("1 organizations, 1 keys, 1 plugins, 1 bindings"), "{said}");
    let data = stage.data_folder().display().to_string();
    let checked = stage.program(&["ledger", "check", "--data", &data]).await?;
    assert!(checked.status.success(), "{}", text(&checked));
    stage.restart().await?;
    let balance = stage.balance(ORG).await?;
    assert_eq!(balance.total(), pico("107")?, "the top-up that was answered before is there");
    assert!(balance.spent <= after.spent && balance.spent + balance.held >= before.spent);
    stage.explanation(ORG, first.request_id()).await?;
    let answer = stage.caller.chat(&chat("auto", "a banana")).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["task"]["task"], "extraction", "key, plugin and binding are there");
    Ok(())
}

#[tokio::test]
async fn a_backup_that_is_not_as_it_was_made_is_refused() -> Result<()> {
    let mut stage = Stage::open().await?;
    stage.stop().await?;
    let aside = tempfile::tempdir()?;
    let to = aside.path().join("backup");
    let made = backup(&stage, &to).await?;
    assert!(made.status.success(), "a stopped gateway is backed up too: {}", text(&made));
    let target = aside.path().join("target");
    let journal = fs::read_dir(to.join("journal"))?.next().context("a journal")??.path();
    let whole = fs::read(&journal)?;
    fs::write(&journal, &whole[..whole.len() - 1])?;
    let refused = restore(&stage, &to, &target).await?;
    assert!(!refused.status.success() && text(&refused).contains("not as it was"), "{refused:?}");
    fs::write(&journal, &whole)?;
    let manifest = to.join("backup.json");
    let listed = fs::read_to_string(&manifest)?;
    fs::write(&manifest, listed.replace("\"pepper\"", "\"../pepper\""))?;
    let refused = restore(&stage, &to, &target).await?;
    assert!(!refused.status.success() && text(&refused).contains("none of its own"), "{refused:?}");
    fs::remove_file(&manifest)?;
    let refused = restore(&stage, &to, &target).await?;
    assert!(!refused.status.success() && text(&refused).contains("backup.json"), "{refused:?}");
    assert!(!target.exists(), "nothing is left of what was refused");
    fs::write(&manifest, listed)?;
    let restored = restore(&stage, &to, &target).await?;
    assert!(restored.status.success(), "{}", text(&restored));
    Ok(())
}

/// Pitfall of every hash: what is damaged in the middle is refused at the start, and what can be
/// saved of it is saved by a command that says what is lost and keeps the bytes.
#[tokio::test]
async fn a_journal_damaged_in_the_middle_is_refused_and_repaired_by_command() -> Result<()> {
    let mut stage = Stage::open().await?;
    for number in 0..20 {
        let text = format!("request {number}");
        stage.caller.chat(&chat("auto", &text)).await?.expect_status(200)?;
        stage.settled_balance(ORG).await?;
        stage.top_up(ORG, "1", &text).await?;
    }
    let before = stage.balance(ORG).await?;
    stage.stop().await?;
    let journal = stage.data_folder().join("journal");
    let segment = journal.join("00000000000000000001.journal");
    let mut bytes = fs::read(&segment)?;
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(&segment, &bytes)?;
    let data = stage.data_folder().display().to_string();
    let checked = stage.program(&["ledger", "check", "--data", &data]).await?;
    assert!(!checked.status.success() && text(&checked).contains("damaged"), "{}", text(&checked));
    let refused = stage.restart().await.err().context("it started on a damaged journal")?;
    assert!(format!("{refused:#}").contains("is damaged at byte"), "{refused:#}");

    let told = stage.program(&["ledger", "repair", "--data", &data]).await?;
    assert!(
        told.status.success() && text(&told).contains("Nothing was changed"),
        "{}",
        text(&told)
    );
    assert_eq!(fs::read(&segment)?, bytes);
    let repaired = stage.program(&["ledger", "repair", "--write", "--data", &data]).await?;
    let said = text(&repaired);
    assert!(repaired.status.success() && said.contains("LOST       entries"), "{said}");
    let kept = stage.data_folder().join("journal.damaged-1/00000000000000000001.journal");
    assert_eq!(fs::read(kept)?, bytes, "the damaged bytes are kept");
    let checked = stage.program(&["ledger", "check", "--data", &data]).await?;
    assert!(checked.status.success(), "{}", text(&checked));
    stage.restart().await?;
    let after = stage.balance(ORG).await?;
    let lost = before.total() - after.total();
    assert!(lost <= pico("1")?, "at most the one entry that was hit: {before:?} {after:?}");
    stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    Ok(())
}
