//! An organization's own names for models: asked for like a model, explained, listed, and bound by
//! what the key allows.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage, chat};

async fn name(stage: &Stage, alias: &str, model: &str) -> Result<()> {
    let path = format!("/orgs/{ORG}/aliases/{alias}");
    let put = stage.operate(Method::PUT, &path, Some(&json!({ "model": model }))).await?;
    put.expect_status(201)?;
    Ok(())
}

#[tokio::test]
async fn a_name_is_asked_for_like_a_model_and_explained() -> Result<()> {
    let stage = Stage::open().await?;
    let body = chat("house-writer", "Hello");
    let unknown = stage.caller.chat(&body).await?.expect_status(404)?;
    assert!(unknown.text.contains("house-writer"), "{}", unknown.text);
    name(&stage, "house-writer", "openai/gpt-5.4-mini").await?;
    name(&stage, "quick", "auto:fast").await?;
    let answer = stage.caller.chat(&body).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-model"), "openai/gpt-5.4-mini");
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["model_asked"], "house-writer");
    assert_eq!(explanation["alias_of"], "openai/gpt-5.4-mini");
    let plain = stage.caller.chat(&chat("openai/gpt-5.4-mini", "Hello")).await?;
    let plain = stage.explanation(ORG, plain.request_id()).await?;
    assert_eq!(plain["alias_of"], Value::Null);
    let quick = stage.caller.chat(&chat("quick", "Hello")).await?.expect_status(200)?;
    let quick = stage.explanation(ORG, quick.request_id()).await?;
    assert_eq!((&quick["alias_of"], &quick["profile"]), (&json!("auto:fast"), &json!("fast")));
    let path = format!("/orgs/{ORG}/aliases/house-writer");
    stage.operate(Method::DELETE, &path, None).await?.expect_status(204)?;
    stage.caller.chat(&body).await?.expect_status(404)?;
    Ok(())
}

#[tokio::test]
async fn a_name_is_listed_where_the_key_may_use_what_it_stands_for() -> Result<()> {
    let stage = Stage::open().await?;
    name(&stage, "writer", "openai/gpt-5.4").await?;
    name(&stage, "cheap", "deepseek/deepseek-v4-pro").await?;
    let narrow = json!({ "name": "narrow", "models": ["openai/*"] });
    let narrow = stage.add_key(ORG, &narrow).await?;
    let listed = narrow.get("/v1/models").await?.expect_status(200)?;
    let ids = listed.body["data"].as_array().context("a list")?.iter();
    let ids: Vec<&str> = ids.filter_map(|model| model["id"].as_str()).collect();
    assert!(ids.contains(&"writer") && !ids.contains(&"cheap"), "{ids:?}");
    narrow.get("/v1/models/writer").await?.expect_status(200)?;
    narrow.chat(&chat("writer", "Hello")).await?.expect_status(200)?;
    narrow.chat(&chat("cheap", "Hello")).await?.expect_status(403)?;
    // Another organization has names of its own.
    let other = stage.add_org("other", "1").await?;
    other.chat(&chat("writer", "Hello")).await?.expect_status(404)?;
    Ok(())
}

/// It is asked for in any case, and is one name: in records, sums and filters.
#[tokio::test]
async fn a_name_is_counted_as_one_however_it_is_written() -> Result<()> {
    let stage = Stage::open().await?;
    name(&stage, "writer", "openai/gpt-5.4-mini").await?;
    for spelled in ["writer", "Writer"] {
        let answer = stage.caller.chat(&chat(spelled, "Hello")).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(explanation["model_asked"], "writer");
    }
    for query in ["usage?group_by=alias", "usage?group_by=alias&alias=WRITER"] {
        let path = format!("/orgs/{ORG}/{query}");
        let report = stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body;
        let groups = report["items"].as_array().context("a list")?;
        assert_eq!(groups.len(), 1, "{query}: {report:#}");
        let group = (&groups[0]["alias"], &groups[0]["requests"]);
        assert_eq!(group, (&json!("writer"), &json!(2)), "{report:#}");
    }
    let path = format!("/orgs/{ORG}/requests?alias=Writer");
    let found = stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(2), "{found:#}");
    Ok(())
}
