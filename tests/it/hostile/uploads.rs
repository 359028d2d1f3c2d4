//! Hostile components that never come to decide: the upload or the binding is refused, with the
//! check that failed and what to do, while a neighbour is served.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use turnpike_tests::{ORG, Setup, Stage, component_bomb, hostile_policy};

use super::{beside, lives_on};

/// The upload is refused at this check, with these words.
async fn is_refused(name: &str, bytes: Vec<u8>, check: &str, words: &[&str]) -> Result<()> {
    let more_config = "[policy]\ncompile_ms = 1000\n".to_owned();
    let stage = Stage::open_with(Setup { more_config, ..Setup::default() }).await?;
    let pid = stage.gateway()?.pid();
    let neighbour = stage.add_org("neighbour", "50").await?;
    let (refused, served, _) = beside(&neighbour, stage.upload(name, "0.1.0", bytes)).await?;
    ensure!(served > 0, "the neighbour was served");
    let refused = refused.expect_status(422)?;
    assert_eq!(refused.body["error"]["code"], "not_admitted", "{}", refused.text);
    let checks = refused.body["error"]["checks"].as_array().context("checks")?;
    let last = checks.last().context("a check")?;
    assert_eq!((&last["name"], &last["passed"]), (&json!(check), &json!(false)), "{last}");
    let detail = last["detail"].as_str().context("words")?;
    assert!(words.iter().any(|words| detail.contains(words)), "{detail}");
    let listed = stage.operate(Method::GET, &format!("/orgs/{ORG}/plugins"), None).await?;
    assert_eq!(listed.body["items"], json!([]), "nothing was kept");
    lives_on(&stage, pid).await
}

#[tokio::test]
async fn a_start_function_that_never_ends_is_refused() -> Result<()> {
    let bytes = hostile_policy("loop-start")?;
    is_refused("loop-start", bytes, "start", &["processor time"]).await
}

#[tokio::test]
async fn who_cannot_say_who_it_is_is_refused() -> Result<()> {
    let bytes = hostile_policy("trap-describe")?;
    is_refused("trap-describe", bytes, "describe", &["unreachable"]).await
}

#[tokio::test]
async fn an_import_that_nobody_granted_is_named() -> Result<()> {
    let bytes = hostile_policy("wants-the-clock")?;
    is_refused("wants-the-clock", bytes, "imports", &["turnpike:policy/clock@0.1.0"]).await
}

/// Which of the two bounds it meets first depends on what else the machine does.
#[tokio::test]
async fn a_component_bomb_goes_off_elsewhere() -> Result<()> {
    let words = ["1 s of processor time", "longer than 3 s and was ended"];
    is_refused("bomb", component_bomb(), "compile", &words).await
}

#[tokio::test]
async fn a_configuration_that_ends_the_policy_is_not_bound() -> Result<()> {
    let stage = Stage::open().await?;
    let pid = stage.gateway()?.pid();
    let neighbour = stage.add_org("neighbour", "50").await?;
    for (name, words) in [("trap-configure", "unreachable"), ("loop-configure", "processor time")] {
        stage.upload(name, "0.1.0", hostile_policy(name)?).await?.expect_status(201)?;
        let path = format!("/orgs/{ORG}/bindings/classify");
        let body = json!({ "plugin": format!("{name}@0.1.0"), "config": {} });
        let put = stage.operate(Method::PUT, &path, Some(&body));
        let (refused, served, _) = beside(&neighbour, put).await?;
        assert!(served > 0);
        let refused = refused.expect_status(422)?;
        assert_eq!(refused.body["error"]["code"], "binding_refused", "{}", refused.text);
        assert_eq!(refused.body["error"]["field"], "config", "{}", refused.text);
        let message = refused.body["error"]["message"].as_str().context("words")?;
        assert!(message.contains(words), "{message}");
        let bound = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
        assert_eq!(bound.body["builtin"], true, "nothing was bound");
    }
    lives_on(&stage, pid).await
}
