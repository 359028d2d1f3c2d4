//! A new version that keeps failing is replaced by the one before it, on its own.

use anyhow::{Context, Result};
use turnpike_tests::{Stage, bad_policy, chat};

use super::{classify_binding, task_of, to, upload_answering};

/// Failures within a minute after which a policy is suspended.
const FAILURES: usize = 5;

/// Fails until it is suspended; then the earlier one decides.
async fn until_suspended(stage: &Stage) -> Result<()> {
    for _ in 0..FAILURES {
        let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
        assert!(!answer.header("x-turnpike-policy").contains("good@"), "{answer:?}");
    }
    let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    assert!(answer.header("x-turnpike-policy").contains("good@0.1.0"), "{answer:?}");
    assert_eq!(task_of(stage, &answer).await?, "translation");
    Ok(())
}

#[tokio::test]
async fn a_suspended_policy_is_replaced_by_the_revision_before_it() -> Result<()> {
    let mut stage = Stage::open().await?;
    let good = upload_answering(&stage, "good", "translation").await?;
    stage.bind("classify", &to(&good)).await?;
    stage.upload("traps", "0.1.0", bad_policy("traps")?).await?.expect_status(201)?;
    stage.bind("classify", &to("traps@0.1.0")).await?;
    until_suspended(&stage).await?;
    let shown = classify_binding(&stage).await?;
    assert_eq!(shown["plugin"], "traps@0.1.0", "the binding itself is as it was");
    let suspended = &shown["statistics"]["suspended"];
    assert_eq!(suspended["decides"]["plugin"], "good@0.1.0", "{shown}");
    assert_eq!(suspended["decides"]["revision"], 1);
    assert!(suspended["because"].as_str().context("a reason")?.contains("trap"), "{shown}");
    // It is in reserve after a restart too.
    stage.restart().await?;
    until_suspended(&stage).await
}
