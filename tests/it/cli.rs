//! What the program says on the command line where something is missing or taken: what, and what to
//! do about it, once.

use std::path::Path;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use turnpike_tests::{ORG, Stage, gateway_binary};

/// Runs the program to its end, without the settings of whoever runs the tests; what it says where
/// it fails.
async fn refused(arguments: &[&str], folder: &Path) -> Result<String> {
    let mut command = tokio::process::Command::new(gateway_binary()?);
    for name in ["TURNPIKE_ADMIN_TOKEN", "TURNPIKE_ORG", "TURNPIKE_CONFIG", "DEMO_PORT"] {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    let output = command.output().await.context("the program can't be run")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?}: {said}");
    Ok(said)
}

#[tokio::test]
async fn a_mistake_is_told_once_and_with_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    std::fs::write(at.join("bad.toml"), "[[providers]]\nname = \"a\"\nspeed = 3\n")?;
    let same = "[listen]\ndata = \"127.0.0.1:18090\"\nadmin = \"127.0.0.1:18090\"\n";
    std::fs::write(at.join("same.toml"), same)?;
    std::fs::write(at.join("policy.wasm"), b"\0asm")?;
    let script = refused(&["simulate", "--script", "bad.toml"], at).await?;
    assert_eq!(script.matches("TOML parse error").count(), 1, "{script}");
    assert!(script.contains("bad.toml"), "{script}");
    for command in ["check", "serve"] {
        let told = refused(&[command, "--config", "same.toml"], at).await?;
        assert!(told.contains("listen.data and listen.admin"), "{command}: {told}");
        assert!(!told.contains("another program"), "{command}: {told}");
    }
    let push = ["plugin", "push", "policy.wasm", "--org", "acme"];
    let token = refused(&push, at).await?;
    assert!(token.contains("TURNPIKE_ADMIN_TOKEN") && token.contains("--token"), "{token}");
    let org = refused(&["plugin", "push", "policy.wasm", "--token", "t"], at).await?;
    assert!(org.contains("TURNPIKE_ORG") && org.contains("--org"), "{org}");
    let model = refused(&["catalog", "show", "qqqqqqqqqq"], at).await?;
    assert!(model.contains("the catalogue has no model"), "{model}");
    Ok(())
}

#[tokio::test]
async fn what_is_in_use_or_not_there_is_not_told_as_something_else() -> Result<()> {
    let stage = Stage::open().await?;
    let (data, elsewhere) = (stage.data_folder(), tempfile::tempdir()?);
    let data = data.to_str().context("a path in UTF-8")?;
    let demo = ["demo", "--port", "0", "--admin-port", "0", "--data", data];
    let told = refused(&demo, elsewhere.path()).await?;
    assert!(told.contains("another process has it open"), "{told}");
    assert!(told.contains("--data") && !told.contains("DEMO_PORT"), "{told}");
    let export = |org: &'static str| ["ledger", "export", "--org", org, "--data", data];
    let told = refused(&export("nope"), elsewhere.path()).await?;
    assert!(told.contains("no entry of an organization \"nope\""), "{told}");
    let there = stage.program(&export(ORG)).await?;
    assert!(there.status.success() && !there.stdout.is_empty());
    // Who was made today is no slip: a loop over all organizations goes on.
    let made = json!({"id": "new", "name": "New"});
    stage.operate(Method::POST, "/orgs", Some(&made)).await?.expect_status(201)?;
    let new = stage.program(&export("new")).await?;
    assert!(new.status.success() && new.stdout.is_empty(), "{new:?}");
    Ok(())
}
