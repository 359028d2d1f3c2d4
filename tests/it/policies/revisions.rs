//! Who is meant by a binding, what its configuration must look like, and the way back.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage, built_policy, chat};

use super::{classify_binding, task_of, to, upload_answering};

#[tokio::test]
async fn a_rollback_takes_effect_on_the_next_request() -> Result<()> {
    let stage = Stage::open().await?;
    for (name, task) in [("first", "code"), ("second", "extraction")] {
        let policy = upload_answering(&stage, name, task).await?;
        stage.bind("classify", &to(&policy)).await?;
        let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
        assert_eq!(task_of(&stage, &answer).await?, task);
    }
    let path = format!("/orgs/{ORG}/bindings/classify/rollback");
    let back = stage.operate(Method::POST, &path, None).await?.expect_status(200)?;
    assert_eq!(back.body["plugin"], "first@0.1.0");
    let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    assert_eq!(task_of(&stage, &answer).await?, "code");
    assert!(answer.header("x-turnpike-policy").contains("first@0.1.0"));
    let shown = classify_binding(&stage).await?;
    let history = shown["history"].as_array().map(Vec::len);
    assert_eq!((history, &shown["restores"]), (Some(3), &json!(1)));
    assert_eq!(shown["statistics"]["calls"], 1, "of this revision alone: {shown}");
    Ok(())
}

#[tokio::test]
async fn the_narrowest_scope_decides() -> Result<()> {
    let stage = Stage::open().await?;
    let all = upload_answering(&stage, "for-all", "code").await?;
    let red = upload_answering(&stage, "for-red", "extraction").await?;
    let fast = upload_answering(&stage, "for-fast", "translation").await?;
    stage.bind("classify", &to(&all)).await?;
    for (policy, scope) in [(&red, "team:red"), (&fast, "alias:auto:fast")] {
        stage.bind("classify", &json!({ "plugin": policy, "scope": scope })).await?;
    }
    let member = stage.add_key(ORG, &json!({ "name": "red", "team": "red" })).await?;
    for (caller, model, task) in [
        (&stage.caller, "auto", "code"),
        (&member, "auto", "extraction"),
        (&stage.caller, "auto:fast", "translation"),
        (&member, "auto:fast", "translation"),
    ] {
        let answer = caller.chat(&chat(model, "hello")).await?.expect_status(200)?;
        assert_eq!(task_of(&stage, &answer).await?, task, "{model}");
    }
    let path = format!("/orgs/{ORG}/bindings/classify?scope=team:red");
    stage.operate(Method::DELETE, &path, None).await?.expect_status(204)?;
    let answer = member.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    assert_eq!(task_of(&stage, &answer).await?, "code");
    Ok(())
}

#[tokio::test]
async fn a_configuration_is_refused_with_the_place_of_the_mistake() -> Result<()> {
    const NAME: &str = "example-classify-keyword";
    let stage = Stage::open().await?;
    stage.upload(NAME, "0.1.0", built_policy(NAME)?).await?.expect_status(201)?;
    let path = format!("/orgs/{ORG}/bindings/classify");
    let put = async |config: Value| {
        let body = json!({ "plugin": format!("{NAME}@0.1.0"), "config": config });
        stage.operate(Method::PUT, &path, Some(&body)).await
    };
    let refused = put(json!({ "keywords": { "invoice": 5 } })).await?.expect_status(422)?;
    assert_eq!(refused.body["error"]["code"], "binding_refused");
    assert_eq!(refused.body["error"]["field"], "config/keywords/invoice", "{}", refused.text);
    let missing = put(json!({})).await?.expect_status(422)?;
    assert_eq!(missing.body["error"]["field"], "config", "{}", missing.text);
    assert_eq!(classify_binding(&stage).await?["builtin"], true, "nothing was bound");
    let first =
        put(json!({ "keywords": { "invoice": "extraction" } })).await?.expect_status(200)?;
    let second = put(json!({ "keywords": { "invoice": "code" } })).await?.expect_status(200)?;
    assert!(second.body["revision"].as_u64() > first.body["revision"].as_u64());
    let answer = stage.caller.chat(&chat("auto", "an invoice")).await?.expect_status(200)?;
    assert_eq!(task_of(&stage, &answer).await?, "code");
    Ok(())
}

#[tokio::test]
async fn several_scanners_work_in_a_chain() -> Result<()> {
    let stage = Stage::open().await?;
    let only = |kind: &str| json!({ "input": { "all": "off", kind: "mask" } });
    let binding = json!({ "plugins": [
        { "plugin": "redact-default", "config": only("email") },
        { "plugin": "redact-default", "config": only("iban") },
    ] });
    stage.bind("redact", &binding).await?;
    let text = "Mail jane@example.org, account DE89 3704 0044 0532 0130 00, please.";
    stage.caller.chat(&chat("auto", text)).await?.expect_status(200)?;
    let sent: String =
        stage.simulator.all_requests().iter().map(turnpike_simulate::Seen::text).collect();
    assert!(sent.contains("Mail [EMAIL], account [IBAN], please."), "{sent}");
    Ok(())
}
