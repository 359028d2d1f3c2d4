//! What policies may import is the operator's to grant: per organization, in force for the next
//! request, refused with the import's name, and kept apart.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{Answered, Caller, ORG, Stage, chat, granted_policy};

const NAME: &str = "remembers";

async fn grant(stage: &Stage, org: &str, imports: &[&str]) -> Result<Answered> {
    let path = format!("/orgs/{org}/policy-grants");
    stage.operate(Method::PUT, &path, Some(&json!({ "imports": imports }))).await
}

/// Uploads the counting policy for an organization under a name, and binds it.
async fn install(stage: &Stage, org: &str, name: &str) -> Result<()> {
    let path = format!("/admin/v1/orgs/{org}/plugins?name={name}&version=0.1.0");
    let bytes = granted_policy(NAME)?;
    stage
        .admin
        .send_bytes(Method::POST, &path, "application/wasm", bytes)
        .await?
        .expect_status(201)?;
    let body = json!({ "plugin": format!("{name}@0.1.0") });
    let path = format!("/orgs/{org}/bindings/classify");
    stage.operate(Method::PUT, &path, Some(&body)).await?.expect_status(200)?;
    Ok(())
}

/// How many requests the policy has counted, this one included; an explanation without one is the
/// error.
async fn counted(stage: &Stage, org: &str, caller: &Caller) -> Result<f64> {
    let answer = caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    let explanation = stage.explanation(org, answer.request_id()).await?;
    ensure!(explanation["task"]["task"] == NAME, "{explanation:#}");
    let difficulty = explanation["task"]["difficulty"].as_f64().context("a number")?;
    Ok((difficulty * 100.0).round())
}

/// The policy's counter among the metrics.
async fn metric(stage: &Stage, org: &str, plugin: &str) -> Result<Option<f64>> {
    let labels = format!("{{organization=\"{org}\",plugin=\"{plugin}\",name=\"{NAME}\"}} ");
    let metrics = stage.metrics().await?;
    ensure!(metrics.ends_with("# EOF\n"), "well-formed");
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("turnpike_policy_counter_total")?.strip_prefix(&labels));
    line.map(|number| number.parse().context("a number")).transpose()
}

#[tokio::test]
async fn nothing_is_granted_until_the_operator_does() -> Result<()> {
    let stage = Stage::open().await?;
    let path = format!("/orgs/{ORG}/policy-grants");
    let shown = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    assert_eq!(shown.body["imports"], json!([]));
    let refused = stage.upload(NAME, "0.1.0", granted_policy(NAME)?).await?.expect_status(422)?;
    let message = refused.body["error"]["message"].as_str().context("words")?;
    assert!(message.contains("turnpike:policy/"), "the import: {message}");
    assert!(message.contains(&format!("PUT /admin/v1/orgs/{ORG}/policy-grants")), "{message}");
    for unknown in ["disk", "wasi:http", ""] {
        let refused = grant(&stage, ORG, &["state", unknown]).await?.expect_status(422)?;
        assert_eq!(refused.body["error"]["field"], "imports.1", "{}", refused.text);
    }
    let granted = grant(&stage, ORG, &["state", "counters", "state"]).await?.expect_status(200)?;
    assert_eq!(granted.body["imports"], json!(["counters", "state"]));
    install(&stage, ORG, NAME).await?;
    assert_eq!(counted(&stage, ORG, &stage.caller).await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn state_is_one_plugins_in_one_organization() -> Result<()> {
    let stage = Stage::open().await?;
    let other = stage.add_org("other", "50").await?;
    for org in [ORG, "other"] {
        grant(&stage, org, &["counters", "state"]).await?.expect_status(200)?;
    }
    install(&stage, ORG, NAME).await?;
    install(&stage, "other", NAME).await?;
    for expected in [1.0, 2.0, 3.0] {
        assert_eq!(counted(&stage, ORG, &stage.caller).await?, expected);
    }
    assert_eq!(counted(&stage, "other", &other).await?, 1.0, "another organization");
    install(&stage, ORG, "twin").await?;
    assert_eq!(counted(&stage, ORG, &stage.caller).await?, 1.0, "another plugin");
    assert_eq!(metric(&stage, ORG, NAME).await?, Some(3.0));
    assert_eq!(metric(&stage, ORG, "twin").await?, Some(1.0));
    assert_eq!(metric(&stage, "other", NAME).await?, Some(1.0));
    Ok(())
}

#[tokio::test]
async fn a_withdrawn_grant_makes_the_built_in_decide_and_says_why() -> Result<()> {
    let mut stage = Stage::open().await?;
    grant(&stage, ORG, &["counters", "state"]).await?.expect_status(200)?;
    install(&stage, ORG, NAME).await?;
    assert_eq!(counted(&stage, ORG, &stage.caller).await?, 1.0);
    grant(&stage, ORG, &["counters"]).await?.expect_status(200)?;
    for _ in 0..2 {
        let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_ne!(explanation["task"]["task"], NAME, "the built-in decided");
        let policies = explanation["policies"].as_array().context("policies")?;
        let own = policies.iter().find(|one| one["policy"] == NAME).context("it was bound")?;
        assert_eq!(own["failure"]["kind"], "ungranted", "{own}");
        let detail = own["failure"]["detail"].as_str().context("words")?;
        assert!(detail.contains("state") && detail.contains("policy-grants"), "{detail}");
        // Bound before, so it is bound after a restart too; and what is granted is remembered.
        stage.restart().await?;
    }
    let shown = super::classify_binding(&stage).await?;
    assert_eq!(shown["statistics"]["ungranted"], json!(["state"]), "{shown}");
    let path = format!("/orgs/{ORG}/bindings/classify");
    let body = json!({ "plugin": format!("{NAME}@0.1.0") });
    let refused = stage.operate(Method::PUT, &path, Some(&body)).await?.expect_status(422)?;
    assert_eq!(refused.body["error"]["field"], "plugin", "{}", refused.text);
    grant(&stage, ORG, &["counters", "state"]).await?.expect_status(200)?;
    assert_eq!(counted(&stage, ORG, &stage.caller).await?, 1.0, "what it kept is gone");
    stage.restart().await?;
    assert_eq!(counted(&stage, ORG, &stage.caller).await?, 1.0, "and no state is on the disk");
    Ok(())
}

/// What a shadow would keep is not kept: it reads what the active one has, and counts nothing.
#[tokio::test]
async fn a_shadow_changes_nothing() -> Result<()> {
    let stage = Stage::open().await?;
    grant(&stage, ORG, &["counters", "state"]).await?.expect_status(200)?;
    install(&stage, ORG, NAME).await?;
    let body = json!({ "plugin": format!("{NAME}@0.1.0"), "mode": "shadow" });
    stage.bind("classify", &body).await?;
    for expected in [1.0, 2.0, 3.0] {
        assert_eq!(counted(&stage, ORG, &stage.caller).await?, expected);
        super::trials::compared(&stage, "shadow", 1).await?;
    }
    let compared = super::trials::compared(&stage, "shadow", 3).await?;
    assert_eq!(compared["failed"], 0, "{compared}");
    assert_eq!(metric(&stage, ORG, NAME).await?, Some(3.0));
    Ok(())
}

#[tokio::test]
async fn a_bill_may_not_depend_on_the_time() -> Result<()> {
    const BILL: &str = "timed-bill";
    let stage = Stage::open().await?;
    grant(&stage, ORG, &["clock"]).await?.expect_status(200)?;
    stage.upload(BILL, "0.1.0", granted_policy(BILL)?).await?.expect_status(201)?;
    let path = format!("/orgs/{ORG}/bindings/bill");
    let body = json!({ "plugin": format!("{BILL}@0.1.0") });
    let refused = stage.operate(Method::PUT, &path, Some(&body)).await?.expect_status(422)?;
    let message = refused.body["error"]["message"].as_str().context("words")?;
    assert!(message.contains("clock") && message.contains("bill"), "{message}");
    let bound = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    assert_eq!(bound.body["builtin"], Value::Bool(true));
    Ok(())
}

/// The command line's trials have the same imports; each case begins where it says.
#[tokio::test]
async fn an_author_tries_the_same_imports() -> Result<()> {
    let stage = Stage::open().await?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("remembers.wasm"), granted_policy(NAME)?)?;
    let cases = |second: f64| {
        let first = json!({ "classify": {}, "state": { NAME: "41" },
            "expect": { "difficulty": 0.42 } });
        let second = json!({ "classify": {}, "expect": { "difficulty": second } });
        std::fs::write(path("cases.jsonl"), format!("{first}\n{second}\n"))
    };
    for (second, good) in [(0.01, true), (0.43, false)] {
        cases(second)?;
        let run = ["plugin", "test", &path("remembers.wasm"), "--cases", &path("cases.jsonl")];
        let ran = stage.program(&run).await?;
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(ran.status.success(), good, "{said}{}", String::from_utf8_lossy(&ran.stderr));
    }
    let shown = stage.program(&["plugin", "inspect", &path("remembers.wasm")]).await?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("to grant   counters, state"), "{shown}");
    Ok(())
}

/// Thousands of keys and of counters' names: the bounds hold, the policy is ended, and neither its
/// neighbour nor its organization's other plugin has less for it.
#[tokio::test]
async fn who_floods_its_state_and_counters_fills_only_its_own() -> Result<()> {
    const FLOOD: &str = "floods-its-home";
    let stage = Stage::open().await?;
    let other = stage.add_org("other", "50").await?;
    for org in [ORG, "other"] {
        grant(&stage, org, &["counters", "state"]).await?.expect_status(200)?;
    }
    install(&stage, "other", NAME).await?;
    stage.upload(FLOOD, "0.1.0", granted_policy(FLOOD)?).await?.expect_status(201)?;
    let flood = json!({ "plugin": format!("{FLOOD}@0.1.0"), "deadline_ms": 1000 });
    stage.bind("classify", &flood).await?;
    for expected in [1.0, 2.0] {
        stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
        assert_eq!(counted(&stage, "other", &other).await?, expected);
    }
    let metrics = stage.metrics().await?;
    let own: Vec<&str> = metrics.lines().filter(|line| line.contains(FLOOD)).collect();
    assert_eq!(own.len(), 33, "32 names, and what was dropped: {own:?}");
    assert!(own.iter().any(|line| line.contains("name=\"(dropped)\"")), "{own:?}");
    install(&stage, ORG, NAME).await?;
    assert_eq!(counted(&stage, ORG, &stage.caller).await?, 1.0, "room for another plugin");
    Ok(())
}

/// Plugin and organization go, and so does what was kept for them: nobody who comes later finds it.
#[tokio::test]
async fn what_is_deleted_leaves_nothing_behind() -> Result<()> {
    let stage = Stage::open().await?;
    grant(&stage, ORG, &["counters", "state"]).await?.expect_status(200)?;
    for _ in 0..2 {
        install(&stage, ORG, NAME).await?;
        assert_eq!(counted(&stage, ORG, &stage.caller).await?, 1.0);
        assert_eq!(metric(&stage, ORG, NAME).await?, Some(1.0));
        for path in ["bindings/classify", "plugins/remembers/0.1.0"] {
            let path = format!("/orgs/{ORG}/{path}");
            stage.operate(Method::DELETE, &path, None).await?.expect_status(204)?;
        }
        assert_eq!(metric(&stage, ORG, NAME).await?, None);
    }
    install(&stage, ORG, NAME).await?;
    counted(&stage, ORG, &stage.caller).await?;
    assert_eq!(metric(&stage, ORG, NAME).await?, Some(1.0));
    stage.settled_balance(ORG).await?;
    let path = format!("/orgs/{ORG}?force=true");
    stage.operate(Method::DELETE, &path, None).await?.expect_status(204)?;
    assert_eq!(metric(&stage, ORG, NAME).await?, None);
    Ok(())
}
