//! Who may bring a policy: an installation that takes signed ones only, by the command line.

use std::path::Path;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{ADMIN_TOKEN, ORG, Setup, Stage, built_policy, chat};

use crate::starters::plugin;

const NAME: &str = "example-classify-keyword";

/// `turnpike plugin keygen`; the public key.
async fn keygen(path: &Path) -> Result<String> {
    plugin(&["keygen", "--out", text(path)?], &[]).await?;
    let public = std::fs::read_to_string(path.with_extension("key.pub"))?;
    Ok(public.trim().to_owned())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

#[tokio::test]
async fn a_signed_policy_is_pushed_and_an_unsigned_one_is_told_why_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let (key, stranger) = (at("release.key"), at("stranger.key"));
    let public = keygen(&key).await?;
    keygen(&stranger).await?;
    let more_config = format!("[policy]\nrequire_signature = true\ntrusted_keys = [{public:?}]\n");
    let mut stage = Stage::open_with(Setup { more_config, ..Setup::default() }).await?;
    let component = at("keyword.wasm");
    std::fs::write(&component, built_policy(NAME)?)?;
    let file = text(&component)?;
    let url = stage.gateway()?.admin_url.clone();
    let push = ["push", file, "--url", &url, "--org", ORG];
    let environment = [("TURNPIKE_ADMIN_TOKEN", ADMIN_TOKEN)];

    let unsigned = plugin(&push, &environment).await.unwrap_err().to_string();
    assert!(unsigned.contains("signed policies only"), "{unsigned}");
    plugin(&["sign", file, "--key", text(&stranger)?], &[]).await?;
    let strange = plugin(&push, &environment).await.unwrap_err().to_string();
    assert!(strange.contains("not among the trusted ones"), "{strange}");
    plugin(&["sign", file, "--key", text(&key)?], &[]).await?;
    let pushed = plugin(&push, &environment).await?;
    assert!(pushed.contains("signed by "), "{pushed}");

    let listed = stage.operate(Method::GET, &format!("/orgs/{ORG}/plugins"), None).await?;
    let signature = &listed.expect_status(200)?.body["items"][0]["provenance"]["signature"];
    assert_eq!(
        (&signature["trusted_by"], &signature["trusted"]),
        (&json!("installation"), &json!(true))
    );
    let config = json!({ "keywords": { "invoice": "extraction" } });
    let binding = json!({ "plugin": format!("{NAME}@0.1.0"), "config": config });
    stage.bind("classify", &binding).await?;

    // What is in force outlives a restart; the signature is kept with it.
    stage.restart().await?;
    let answer = stage.caller.chat(&chat("auto", "an invoice")).await?.expect_status(200)?;
    assert!(answer.header("x-turnpike-policy").contains(NAME));
    let path = format!("/orgs/{ORG}/signing-keys");
    let keys = stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body;
    assert_eq!(keys["installation"]["required"], true);
    assert_eq!(keys["unsigned_bindings"], Value::Array(Vec::new()));
    Ok(())
}
