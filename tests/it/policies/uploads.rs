//! What an upload may cost, and what of it is kept over a restart.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use turnpike_tests::{ORG, Setup, Stage, chat, component_bomb};

use super::{task_of, to, upload_answering};

/// A small file that would compile for minutes, and take the machine with it.
#[tokio::test]
async fn a_component_bomb_ends_with_its_compiler_and_not_with_the_gateway() -> Result<()> {
    let more_config = "[policy]\ncompile_ms = 1000\n".to_owned();
    let stage = Stage::open_with(Setup { more_config, ..Setup::default() }).await?;
    let bomb = component_bomb();
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let refused = stage.upload("bomb", "0.1.0", bomb).await?.expect_status(422)?;
    let checks = refused.body["error"]["checks"].as_array().context("checks")?;
    let last = checks.last().context("a check")?;
    assert_eq!((&last["name"], &last["passed"]), (&"compile".into(), &false.into()));
    let words = last["detail"].as_str().context("words")?;
    // Which of the two bounds it meets first depends on what else the machine does.
    let bounds = ["1 s of processor time", "longer than 3 s and was ended"];
    assert!(bounds.iter().any(|bound| words.contains(bound)), "{words}");
    stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    // The next upload has the compiler for itself again.
    upload_answering(&stage, "good", "code").await?;
    Ok(())
}

/// Files of compiled code, with what is in them.
fn compiled(stage: &Stage) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(stage.data_folder().join("compiled"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "cwasm") {
            files.push((path.clone(), std::fs::read(path)?));
        }
    }
    files.sort();
    Ok(files)
}

#[tokio::test]
async fn a_restart_compiles_nothing_and_believes_no_changed_byte() -> Result<()> {
    let mut stage = Stage::open().await?;
    let policy = upload_answering(&stage, "kept", "code").await?;
    stage.bind("classify", &to(&policy)).await?;
    let before = compiled(&stage)?;
    let written = |files: &[(PathBuf, Vec<u8>)]| -> Result<Vec<_>> {
        files.iter().map(|(path, _)| Ok(std::fs::metadata(path)?.created()?)).collect()
    };
    let first = written(&before)?;
    stage.restart().await?;
    assert_eq!(compiled(&stage)?, before);
    assert_eq!(written(&before)?, first, "no file was written anew");
    let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    assert_eq!(task_of(&stage, &answer).await?, "code");

    stage.stop().await?;
    for (path, bytes) in &before {
        let mut bad = bytes.clone();
        let middle = bad.len() / 2;
        *bad.get_mut(middle).context("a byte")? ^= 1;
        std::fs::write(path, bad)?;
    }
    stage.restart().await?;
    assert_ne!(written(&before)?, first, "what was changed was compiled again");
    let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    assert_eq!(task_of(&stage, &answer).await?, "code");
    Ok(())
}

#[tokio::test]
async fn what_a_policy_costs_is_measured_and_shown() -> Result<()> {
    let stage = Stage::open().await?;
    upload_answering(&stage, "measured", "code").await?;
    let path = format!("/admin/v1/orgs/{ORG}/plugins/measured/0.1.0");
    let shown = stage.admin.get(&path).await?.expect_status(200)?.body;
    let figures = &shown["figures"];
    let of = |name: &str| figures[name].as_u64().with_context(|| format!("{name} in {figures}"));
    assert!(of("fresh_us")? >= of("start_us")?, "{figures}");
    assert!(of("warm_us")? > 0 || of("fresh_us")? > 0, "{figures}");
    assert_eq!(of("memory_bytes")? % 65_536, 0, "{figures}");
    let passed = shown["checks"].as_array().context("checks")?;
    assert!(passed.iter().all(|check| check["passed"] == Value::Bool(true)), "{passed:?}");
    Ok(())
}
