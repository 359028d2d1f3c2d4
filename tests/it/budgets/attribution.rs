//! Who used what: every event says whose it is, and every sum can be taken apart.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage, chat};

use super::amount;

const MODEL: &str = "openai/gpt-5.4-mini";

async fn usage(stage: &Stage, query: &str) -> Result<Value> {
    let path = format!("/orgs/{ORG}/usage?{query}");
    Ok(stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body)
}

fn group<'a>(report: &'a Value, name: &str, value: &Value) -> Result<&'a Value> {
    let items = report["items"].as_array().context("a list")?;
    let found = items.iter().find(|item| item[name] == *value);
    found.with_context(|| format!("no {name} {value} in {report:#}"))
}

#[tokio::test]
async fn usage_is_told_by_session_agent_tag_and_project_and_filtered() -> Result<()> {
    let stage = Stage::open().await?;
    let labels = json!({"name": "k", "team": "research", "project": "apollo", "user": "ada"});
    let key = stage.add_key(ORG, &labels).await?;
    let path = "/v1/chat/completions";
    let claude = "5f0c9d7e-3a52-4b1e-9c41-7a5d8f1e2b3c";
    let mut requests = Vec::new();
    for headers in [
        vec![("x-turnpike-session", "s-1"), ("x-turnpike-tags", "job=nightly,env=ci")],
        vec![("x-claude-code-session-id", claude), ("x-claude-code-agent-id", "agent-7")],
        vec![("session_id", "codex-1"), ("x-claude-code-parent-agent-id", "agent-1")],
        vec![("x-turnpike-tags", "job=hourly")],
    ] {
        let answer = key.post(path, &chat("auto", "hello"), &headers).await?.expect_status(200)?;
        requests.push(stage.explanation(ORG, answer.request_id()).await?);
    }
    assert_eq!(requests[0]["session"], "s-1", "{:#}", requests[0]);
    assert_eq!(
        (&requests[1]["session"], &requests[1]["agent"]),
        (&json!(claude), &json!("agent-7"))
    );
    assert_eq!(requests[2]["session"], "codex-1");
    assert_eq!(requests[2]["parent_agent"], "agent-1");

    let by_session = usage(&stage, "group_by=session").await?;
    let of_claude = group(&by_session, "session", &json!(claude))?;
    assert_eq!(amount(of_claude, "cost_usd")?, amount(&requests[1], "cost_usd")?);
    assert_eq!(group(&by_session, "session", &Value::Null)?["requests"], 1);
    let by_tag = usage(&stage, "group_by=tag:job,project&team=research").await?;
    let nightly = group(&by_tag, "tag:job", &json!("nightly"))?;
    assert_eq!((&nightly["requests"], &nightly["project"]), (&json!(1), &json!("apollo")));
    assert_eq!(
        usage(&stage, "group_by=team&tag:job=nightly,hourly").await?["total"]["requests"],
        2
    );
    assert_eq!(usage(&stage, "agent=agent-7&alias=auto").await?["total"]["requests"], 1);
    assert_eq!(usage(&stage, "user=nobody").await?["total"]["requests"], 0);
    let by_hour = usage(&stage, "group_by=team&bucket=day").await?;
    assert!(by_hour["items"][0]["bucket"].as_str().context("a bucket")?.ends_with("T00:00:00Z"));
    let odd = stage.operate(Method::GET, &format!("/orgs/{ORG}/usage?hat=x"), None).await?;
    assert_eq!((odd.status, &odd.body["error"]["field"]), (400, &json!("hat")), "{}", odd.text);
    Ok(())
}

/// What routing saved is the strongest candidate's price for the same usage less what was paid.
#[tokio::test]
async fn what_routing_saved_is_told_and_unknown_is_not_zero() -> Result<()> {
    let stage = Stage::open().await?;
    let path = format!("/orgs/{ORG}/usage");
    let empty = stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body;
    assert!(empty["total"]["saved_usd"].is_null(), "{empty}");
    let cheap = stage.caller.chat(&chat("auto:cheap", "how are you?")).await?.expect_status(200)?;
    let cheap = stage.explanation(ORG, cheap.request_id()).await?;
    let report = usage(&stage, "group_by=team").await?;
    let total = &report["total"];
    let strongest = amount(total, "strongest_usd")?;
    let saved = amount(total, "saved_usd")?;
    assert_eq!(total["routed"], 1, "{total}");
    assert_eq!(strongest - saved, amount(&cheap, "cost_usd")?, "{total}");
    assert!(saved > 0, "the cheapest was not the strongest: {total}");
    Ok(())
}

#[tokio::test]
async fn usage_is_exported_as_csv_and_in_the_columns_of_focus() -> Result<()> {
    let stage = Stage::open().await?;
    let key = stage.add_key(ORG, &json!({"name": "k", "team": "=cmd()", "user": "a,b"})).await?;
    key.chat(&chat("openai/gpt-5.4-mini", "hello")).await?.expect_status(200)?;
    let path = format!("/orgs/{ORG}/usage.csv?group_by=team,user&partial=true");
    let csv = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    assert!(csv.header("content-type").starts_with("text/csv"));
    let mut lines = csv.text.lines();
    assert!(lines.next().context("a head")?.starts_with("team,user,requests,"), "{}", csv.text);
    let line = lines.next().context("a line")?;
    assert!(line.starts_with("\"'=cmd()\",\"a,b\",1,"), "{line}");
    let path = format!("/orgs/{ORG}/usage/focus.csv?partial=true");
    let focus = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    let mut lines = focus.text.lines();
    let head: Vec<&str> = lines.next().context("a head")?.split(',').collect();
    for column in ["BilledCost", "ChargePeriodStart", "ListCost", "ServiceCategory", "Tags"] {
        assert!(head.contains(&column), "{head:?}");
    }
    let line = lines.next().context("a line")?;
    assert!(line.contains("AI and Machine Learning") && line.contains("openai/gpt-5.4-mini"));
    Ok(())
}

/// The fields of a line without quotes in it, by the names of the head.
fn fields(text: &str, line: usize) -> Result<BTreeMap<String, String>> {
    let mut lines = text.lines();
    let head = lines.next().context("a head")?.split(',');
    let line = lines.nth(line).with_context(|| format!("no line {line} in {text}"))?.split(',');
    Ok(head.map(str::to_owned).zip(line.map(str::to_owned)).collect())
}

/// A cost can be made again from the counts that are exported beside it, at the list prices.
#[tokio::test]
async fn an_export_has_every_count_that_a_cost_is_made_of_and_the_names_of_keys() -> Result<()> {
    let stage = Stage::open().await?;
    let body = chat(MODEL, "hello, and tell me something that is long enough to be cached");
    stage.caller.chat(&body).await?.expect_status(200)?;
    let path = format!("/orgs/{ORG}/usage.csv?group_by=key,model&partial=true");
    let csv = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    let line = fields(&csv.text, 0)?;
    assert_eq!(line["key_name"], "test", "{}", csv.text);
    let count = |name: &str| line[name].parse::<u128>();
    assert!(count("cache_read")? > 0, "{}", csv.text);
    assert_eq!(count("input_uncached")? + count("cache_read")?, count("input_tokens")?);
    // Pico-USD for a token: 0.75, 0.075 and 4.5 USD for a million.
    let cost = count("input_uncached")? * 750_000
        + count("cache_read")? * 75_000
        + (count("output_text")? + count("output_reasoning")?) * 4_500_000;
    assert_eq!(cost, turnpike_tests::pico(&line["cost_usd"])?, "{}", csv.text);
    let report = usage(&stage, "group_by=key").await?;
    assert_eq!(report["items"][0]["key_name"], "test", "{report:#}");
    Ok(())
}

/// Only what a provider served is a charge; and it says whose it was by name, with the tags asked
/// for.
#[tokio::test]
async fn focus_has_no_line_without_a_provider_and_takes_tags() -> Result<()> {
    let stage = Stage::open().await?;
    let path = "/v1/chat/completions";
    let tags = [("x-turnpike-tags", "job=nightly")];
    stage.caller.post(path, &chat(MODEL, "hello"), &tags).await?.expect_status(200)?;
    stage.caller.chat(&chat("no-such-model", "hello")).await?.expect_status(404)?;
    let counted = json!({"model": MODEL, "messages": [{"role": "user", "content": "hello"}]});
    stage.caller.post("/v1/messages/count_tokens", &counted, &[]).await?.expect_status(200)?;
    let path = format!("/orgs/{ORG}/usage/focus.csv?group_by=tag:job&partial=true");
    let focus = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    assert_eq!(focus.text.lines().count(), 2, "a head and a line: {}", focus.text);
    let line = fields(&focus.text, 0)?;
    for column in ["ProviderName", "PublisherName", "ServiceName"] {
        assert_eq!(line[column], "openai", "{column}: {}", focus.text);
    }
    assert_eq!(line["SubAccountName"], "test");
    assert!(focus.text.contains("\"\"tag:job\"\":\"\"nightly\"\""), "{}", focus.text);
    let path = format!("/orgs/{ORG}/usage/focus.csv?group_by=model");
    let odd = stage.operate(Method::GET, &path, None).await?.expect_status(422)?;
    assert_eq!(odd.body["error"]["field"], "group_by");
    Ok(())
}

#[tokio::test]
async fn requests_are_listed_by_time_and_by_the_name_of_a_key() -> Result<()> {
    let stage = Stage::open().await?;
    let other = stage.add_key(ORG, &json!({"name": "other"})).await?;
    let mut ids = Vec::new();
    for caller in [&stage.caller, &other, &other] {
        let answer = caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
        ids.push(answer.request_id().to_owned());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let list = async |query: &str| {
        let path = format!("/orgs/{ORG}/requests?{query}");
        stage.operate(Method::GET, &path, None).await
    };
    let listed = async |query: &str| -> Result<Vec<String>> {
        let body = list(query).await?.expect_status(200)?.body;
        assert!(body["next"].is_null(), "{query}: {body:#}");
        let items = body["items"].as_array().context("a list")?;
        Ok(items.iter().filter_map(|it| it["id"].as_str()).map(str::to_owned).rev().collect())
    };
    assert_eq!(listed("").await?, ids);
    assert_eq!(listed("key=other").await?, ids[1..]);
    assert_eq!(listed("key=other,test").await?, ids);
    let at = stage.explanation(ORG, &ids[1]).await?["at"].as_str().context("a time")?.to_owned();
    assert_eq!(listed(&format!("from={at}")).await?, ids[1..]);
    assert_eq!(listed(&format!("to={at}")).await?, ids[..1]);
    assert_eq!(listed(&format!("from={at}&key=test")).await?, [""; 0]);
    let nobody = list("key=nobody").await?.expect_status(422)?;
    let message = nobody.body["error"]["message"].as_str().context("a message")?;
    assert!(message.contains("nobody") && message.contains("/keys"), "{message}");
    assert_eq!(usage(&stage, "key=other").await?["total"]["requests"], 2);
    list("from=yesterday").await?.expect_status(422)?;
    Ok(())
}

/// The list of hours out of the usual is there, and empty for an organization without a history.
#[tokio::test]
async fn an_organization_without_a_history_has_no_anomalies() -> Result<()> {
    let stage = Stage::open().await?;
    stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    let path = format!("/orgs/{ORG}/usage/anomalies");
    let found = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    assert_eq!(found.body, json!({"items": [], "next": null}));
    Ok(())
}
