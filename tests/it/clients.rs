//! The official clients, installed as applications install them, against the real gateway.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use turnpike_tests::{Stage, repository, target_folder};

/// The Python environment; made on the first use, in the build's folder.
fn environment() -> Result<PathBuf> {
    let folder = target_folder()?.join("python-clients");
    let made = Command::new("sh")
        .arg(repository().join("tests/clients/setup.sh"))
        .arg(&folder)
        .output()
        .context("sh can't be run")?;
    if !made.status.success() {
        bail!("the Python clients can't be installed:\n{}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(folder)
}

/// The checks that a client script printed, with those that failed.
fn checks(output: &Output) -> Result<(usize, Vec<String>)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut failed = Vec::new();
    let mut count = 0;
    for line in text.lines() {
        let check: Value = serde_json::from_str(line).with_context(|| format!("line {line:?}"))?;
        count += 1;
        if check["passed"] != true {
            failed.push(format!("{}: {}", check["check"], check["detail"]));
        }
    }
    Ok((count, failed))
}

#[tokio::test]
async fn the_openai_package_completes_streams_and_calls_tools_with_auto() -> Result<()> {
    let python = tokio::task::spawn_blocking(environment).await??.join("bin/python");
    let stage = Stage::open().await?;
    let output = tokio::process::Command::new(python)
        .arg(repository().join("tests/clients/openai_chat.py"))
        .arg(format!("{}/v1", stage.gateway()?.data_url))
        .arg(stage.caller.key())
        .output()
        .await?;
    let (count, failed) = checks(&output)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(failed.is_empty() && output.status.success(), "{failed:#?}\n{errors}");
    assert!(count >= 22, "only {count} checks ran:\n{errors}");
    Ok(())
}
