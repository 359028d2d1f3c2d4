//! The journal's disk fails, or is full, under a running gateway: the system's answers to its
//! writes and syncs are exchanged by a small library that is loaded in front of the gateway, so
//! that the gateway itself is the one that is shipped. What `docs/money.md` says of it is what is
//! seen here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use turnpike_tests::{ORG, Setup, Stage, chat, repository};

/// Requests within which the journal must have failed.
const REQUESTS_MAX: usize = 200;
/// Until paid work goes on.
const SPACE_MAX: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The library, and the file by which it is told what fails.
struct Faults {
    folder: TempDir,
}

impl Faults {
    fn build() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let source = repository().join("tests/it/failing_disk/faults.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("faults.so"))
            .arg(source)
            .arg("-ldl")
            .output()
            .context("these tests need a C compiler, as building the gateway does")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Ok(Self { folder })
    }

    fn order(&self) -> PathBuf {
        self.folder.path().join("order")
    }

    /// A stage whose gateway meets them.
    async fn stage(&self) -> Result<Stage> {
        let leak = |path: &Path| &*Box::leak(path.display().to_string().into_boxed_str());
        let library = leak(&self.folder.path().join("faults.so"));
        let environment = vec![("LD_PRELOAD", library), ("FAULTS", leak(&self.order()))];
        Stage::open_with(Setup { environment, ..Setup::default() }).await
    }

    fn begin(&self, fault: &str) -> Result<()> {
        // In one step: the gateway reads it at every write.
        let beside = self.folder.path().join("order.next");
        std::fs::write(&beside, fault)?;
        Ok(std::fs::rename(beside, self.order())?)
    }

    fn end(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.order())?)
    }
}

/// Asks until paid work stops; what was answered before. It stops as is documented.
async fn ask_until_it_stops(stage: &Stage) -> Result<Vec<String>> {
    let mut served = Vec::new();
    loop {
        let answer = stage.caller.chat(&chat("auto", "hello")).await?;
        if answer.status == 200 {
            served.push(answer.request_id().to_owned());
            ensure!(served.len() < REQUESTS_MAX, "the fault is never met");
            continue;
        }
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert_eq!(answer.body["error"]["code"], "ledger_unavailable", "{}", answer.text);
        assert!(!answer.header("retry-after").is_empty(), "{:?}", answer.headers);
        assert_eq!(stage.caller.get("/health/ready").await?.status, 503);
        return Ok(served);
    }
}

/// The entries of a kind, as the offline tool prints them from the journal, which it finds sound.
async fn entries(stage: &Stage, kind: &str) -> Result<String> {
    let data = stage.data_folder().display().to_string();
    let checked = stage.program(&["ledger", "check", "--data", &data]).await?;
    ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let exported = stage.program(&["ledger", "export", "--kind", kind, "--data", &data]).await?;
    ensure!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    Ok(String::from_utf8(exported.stdout)?)
}

/// A failed sync, or a failed write for another reason than space: paid work stops until a restart,
/// nothing that was safe before is lost, and nothing is made up.
async fn fails_for_good(fault: &str) -> Result<()> {
    let faults = Faults::build()?;
    let mut stage = faults.stage().await?;
    let credit = stage.balance(ORG).await?.total();
    let before = stage.caller.chat(&chat("auto", "before")).await?.expect_status(200)?;
    let safe = stage.settled_balance(ORG).await?;
    // A top-up is answered when it is safe on the disk, and all that was booked before it is too.
    stage.top_up(ORG, "1", "while well").await?;
    faults.begin(fault)?;
    let served = ask_until_it_stops(&stage).await?;
    let system = stage.operate(Method::GET, "/system", None).await?.body;
    assert!(system["journal"]["failed"].is_string(), "{system}");
    let body = json!({ "amount_usd": "1", "reference": "while it fails" });
    let path = format!("/orgs/{ORG}/credits/topups");
    assert_eq!(stage.operate(Method::POST, &path, Some(&body)).await?.status, 503);
    // A failed sync is never tried again, though the disk says yes now.
    faults.end()?;
    let still = stage.caller.chat(&chat("auto", "after")).await?;
    assert_eq!(still.status, 503, "{}", still.text);
    stage.kill();
    let captures = entries(&stage, "capture").await?;
    assert_eq!(captures.matches(before.request_id()).count(), 1, "what was safe is there");
    for id in &served {
        assert!(captures.matches(id.as_str()).count() <= 1, "{id}: charged twice");
    }
    stage.restart().await?;
    stage.caller.chat(&chat("auto", "again")).await?.expect_status(200)?;
    let now = stage.balance(ORG).await?;
    let million = 1_000_000_000_000;
    assert!(now.total() == credit + million, "nothing lost, nothing made up: {now:?}");
    assert!(now.spent >= safe.spent, "{now:?}");
    Ok(())
}

#[tokio::test]
async fn a_failed_sync_stops_paid_work_until_a_restart() -> Result<()> {
    fails_for_good("sync-eio").await
}

#[tokio::test]
async fn a_failed_write_stops_paid_work_until_a_restart() -> Result<()> {
    fails_for_good("write-eio").await
}

/// A disk without space is waited for: see also `full_disk.rs`, where the system itself says no.
#[tokio::test]
async fn a_disk_without_space_stops_paid_work_until_there_is_some() -> Result<()> {
    let faults = Faults::build()?;
    let mut stage = faults.stage().await?;
    let credit = stage.balance(ORG).await?.total();
    faults.begin("write-enospc")?;
    let mut served = ask_until_it_stops(&stage).await?;
    let system = stage.operate(Method::GET, "/system", None).await?.body;
    assert!(system["journal"]["full"].is_string(), "{system}");
    assert!(system["journal"]["failed"].is_null(), "{system}");
    faults.end()?;
    let goes_on = async {
        while stage.caller.get("/health/ready").await?.status != 200 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    };
    if tokio::time::timeout(SPACE_MAX, goes_on).await.is_err() {
        bail!("paid work does not go on");
    }
    let after = stage.caller.chat(&chat("auto", "after")).await?.expect_status(200)?;
    served.push(after.request_id().to_owned());
    let settled = stage.settled_balance(ORG).await?;
    assert_eq!(settled.total(), credit, "nothing lost, nothing made up");
    stage.stop().await?;
    let captures = entries(&stage, "capture").await?;
    for id in &served {
        assert_eq!(captures.matches(id.as_str()).count(), 1, "{id}: what was served is charged");
    }
    Ok(())
}
