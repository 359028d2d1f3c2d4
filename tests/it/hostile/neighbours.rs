//! One worker, and policies that would keep it for seconds: a neighbour is served in between. No
//! clock is looked at; what is counted is who finished first.

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::JoinSet;
use turnpike_tests::{Setup, Stage, chat, hostile_policy};

/// Processor time that each attack would take, milliseconds.
const DEADLINE_MS: u64 = 600;
/// Attacks at a time, on the only worker there is.
const ATTACKS: usize = 2;
/// Requests of the neighbour that must be through before the first attack has ended.
const SERVED_MIN: usize = 2;

async fn served_in_between(name: &str, hook: &str) -> Result<usize> {
    let more_config = "[limits]\nworkers = 1\n".to_owned();
    let stage = Stage::open_with(Setup { more_config, ..Setup::default() }).await?;
    let neighbour = stage.add_org("neighbour", "50").await?;
    stage.upload(name, "0.1.0", hostile_policy(name)?).await?.expect_status(201)?;
    stage
        .bind(hook, &json!({ "plugin": format!("{name}@0.1.0"), "deadline_ms": DEADLINE_MS }))
        .await?;
    let mut attacks = JoinSet::new();
    for _ in 0..ATTACKS {
        let caller = stage.caller.clone();
        attacks.spawn(async move { caller.chat(&chat("auto", "hello")).await });
    }
    let (mut served, mut ended) = (0, 0);
    let asked = chat("auto", "hello");
    let mut request = std::pin::pin!(neighbour.chat(&asked));
    while ended < ATTACKS {
        tokio::select! {
            answer = &mut request => {
                answer?.expect_status(200)?;
                served += usize::from(ended == 0);
                request.set(neighbour.chat(&asked));
            }
            attack = attacks.join_next() => {
                attack.context("an attack")?.context("a caller crashed")??;
                ended += 1;
            }
        }
    }
    Ok(served)
}

#[tokio::test]
async fn a_loop_leaves_the_worker_to_others_at_each_tick() -> Result<()> {
    for hook in ["classify", "redact"] {
        let served = served_in_between(&format!("loop-{hook}"), hook).await?;
        assert!(served >= SERVED_MIN, "{served} requests while a {hook} policy looped");
    }
    Ok(())
}
