//! Cases that come with an upload: the gateway asks them before it takes the policy.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{ADMIN_TOKEN, Answered, ORG, Stage, built_policy};

use crate::starters::plugin;

const NAME: &str = "example-classify-keyword";
const CONFIG: &str = r#"{"keywords":{"invoice":"extraction"}}"#;

/// A case about an invoice that expects this task.
fn case(name: &str, task: &str) -> String {
    let body = json!({ "messages": [{ "role": "user", "content": "an invoice" }] });
    json!({ "name": name, "classify": body, "expect": { "task": task } }).to_string()
}

fn holds() -> String {
    case("an invoice", "extraction")
}

fn fails() -> String {
    case("a trace", "code")
}

/// An upload as a form of these parts.
async fn upload(stage: &Stage, parts: &[(&str, &[u8])]) -> Result<Answered> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!("--zz\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--zz--\r\n");
    let path = format!("/admin/v1/orgs/{ORG}/plugins");
    stage.admin.send_bytes(Method::POST, &path, "multipart/form-data; boundary=zz", body).await
}

#[tokio::test]
async fn a_policy_that_fails_its_own_cases_is_refused_with_what_it_said() -> Result<()> {
    let stage = Stage::open().await?;
    let component = built_policy(NAME)?;
    let both = format!("{}\n{}\n", holds(), fails());
    let parts: [(&str, &[u8]); 3] =
        [("component", &component), ("cases", both.as_bytes()), ("config", CONFIG.as_bytes())];
    let refused = upload(&stage, &parts).await?.expect_status(422)?;
    assert_eq!(refused.body["error"]["code"], "not_admitted");
    let checks = refused.body["error"]["checks"].as_array().context("checks")?;
    let last = checks.last().context("a check")?;
    assert_eq!((&last["name"], &last["passed"]), (&"cases".into(), &false.into()));
    let told = last["detail"].as_str().context("words")?;
    assert!(told.contains("1 of 2 cases failed"), "{told}");
    assert!(told.contains(r#""a trace": task: expected "code", got "extraction""#), "{told}");
    let list = stage.operate(Method::GET, &format!("/orgs/{ORG}/plugins"), None).await?;
    assert_eq!(list.body["items"], Value::Array(Vec::new()), "nothing was stored");

    let good = holds();
    let parts: [(&str, &[u8]); 3] =
        [("component", &component), ("cases", good.as_bytes()), ("config", CONFIG.as_bytes())];
    upload(&stage, &parts).await?.expect_status(201)?;
    // The report is kept with the version.
    let path = format!("/orgs/{ORG}/plugins/{NAME}/0.1.0");
    let shown = stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body;
    let checks = shown["checks"].as_array().context("checks")?;
    let kept = checks.iter().find(|check| check["name"] == "cases").context("the report")?;
    assert!(kept["detail"].as_str().is_some_and(|it| it.starts_with("1 of 1 passed")), "{kept}");
    Ok(())
}

#[tokio::test]
async fn cases_are_bounded_and_read_before_anything_is_compiled() -> Result<()> {
    let stage = Stage::open().await?;
    let component = built_policy(NAME)?;
    let many = format!("{}\n", holds()).repeat(257);
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
    for (cases, words) in [
        (r#"{"classify":{}}"#, "cases:1"),
        (&*many, "at most 256"),
        (&*long, "at most 1048576"),
        ("", "no case"),
    ] {
        let parts: [(&str, &[u8]); 2] = [("component", &component), ("cases", cases.as_bytes())];
        let refused = upload(&stage, &parts).await?.expect_status(422)?;
        assert_eq!(refused.body["error"]["field"], "cases", "{}", refused.text);
        let told = refused.body["error"]["message"].as_str().context("words")?;
        assert!(told.contains(words), "{told}");
    }
    let unknown: [(&str, &[u8]); 2] = [("component", &component), ("case", b"{}")];
    let refused = upload(&stage, &unknown).await?.expect_status(400)?;
    assert_eq!(refused.body["error"]["code"], "broken_form");
    Ok(())
}

/// A guest that never ends fails its case within its deadline and takes nobody along.
#[tokio::test]
async fn a_case_that_never_ends_is_ended() -> Result<()> {
    let stage = Stage::open().await?;
    let endless = turnpike_tests::bad_policy("endless-loop")?;
    let case = r#"{"classify":{},"expect":{"task":"chat"}}"#;
    let parts: [(&str, &[u8]); 2] = [("component", &endless), ("cases", case.as_bytes())];
    let refused = upload(&stage, &parts).await?.expect_status(422)?;
    let told = refused.body["error"]["message"].as_str().context("words")?;
    assert!(told.contains("deadline"), "{told}");
    Ok(())
}

#[tokio::test]
async fn push_sends_the_cases() -> Result<()> {
    let stage = Stage::open().await?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| -> Result<String> {
        let path = folder.path().join(name);
        Ok(path.to_str().context("a path in UTF-8")?.to_owned())
    };
    let (component, cases, config) = (at("p.wasm")?, at("cases.jsonl")?, at("config.json")?);
    std::fs::write(&component, built_policy(NAME)?)?;
    std::fs::write(&cases, fails())?;
    std::fs::write(&config, CONFIG)?;
    let url = stage.gateway()?.admin_url.clone();
    let push =
        ["push", &component, "--url", &url, "--org", ORG, "--cases", &cases, "--config", &config];
    let environment = [("TURNPIKE_ADMIN_TOKEN", ADMIN_TOKEN)];
    let refused = plugin(&push, &environment).await.unwrap_err().to_string();
    assert!(refused.contains("FAILED  cases"), "{refused}");
    assert!(refused.contains(r#"expected "code", got "extraction""#), "{refused}");
    std::fs::write(&cases, holds())?;
    let pushed = plugin(&push, &environment).await?;
    assert!(pushed.contains("1 of 1 passed"), "{pushed}");
    Ok(())
}
