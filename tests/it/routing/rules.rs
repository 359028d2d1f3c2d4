//! Rules and classes of data as requests meet them.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use turnpike_tests::{ORG, PROVIDERS, Setup, Stage, chat};

use super::{add_rule, dry_run, plan, reason};

#[tokio::test]
async fn a_rule_is_in_force_for_the_next_request_and_for_its_requests_alone() -> Result<()> {
    let stage = Stage::open().await?;
    let rule = json!({ "name": "mistral for legal", "when": { "team": ["legal"] },
                       "allow": ["mistral/*"], "profile": "best" });
    let made = add_rule(&stage, &rule).await?;
    let legal = stage.add_key(ORG, &json!({ "name": "l", "team": "legal" })).await?;
    let answer = legal.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-provider"), "mistral");
    let named = legal.chat(&chat("openai/gpt-5.4", "hello")).await?;
    assert_eq!(named.status, 422, "a name is no way round a rule: {}", named.text);
    stage.caller.chat(&chat("openai/gpt-5.4", "hello")).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(reason(&explanation, "openai/"), "not_allowed_by_rule");
    let id = made.body["id"].as_str().unwrap_or_default();
    let gone = stage.operate(Method::DELETE, &format!("/orgs/{ORG}/rules/{id}"), None).await?;
    assert_eq!(gone.status, 204);
    legal.chat(&chat("openai/gpt-5.4", "hello")).await?.expect_status(200)?;
    Ok(())
}

#[tokio::test]
async fn rules_are_tried_in_a_dry_run_before_they_are_written() -> Result<()> {
    let stage = Stage::open().await?;
    let request = chat("auto", "hello");
    let usual = dry_run(&stage, &request).await?;
    let first = plan(&usual)[0].to_owned();
    let other = PROVIDERS.iter().map(|(name, _)| *name).find(|name| !first.ends_with(name));
    let other = other.unwrap_or("mistral");
    let preferred = format!("*@{other}");
    let tried = json!({ "request": request, "rules": [{ "prefer": [preferred] }] });
    let shown = dry_run(&stage, &tried).await?;
    assert!(plan(&shown)[0].ends_with(other), "{shown:#}");
    assert_eq!(shown["objective"]["rules"], json!(["tried-0"]));
    let dear = json!({ "request": request, "rules": [{ "cost_ceiling_usd": "0.000001" }] });
    let shown = dry_run(&stage, &dear).await?;
    assert_eq!(reason(&shown, "openai/gpt-5.4@"), "over_cost_ceiling", "{shown:#}");
    let wrong = json!({ "request": request, "rules": [{ "profile": "slow" }] });
    let refused = stage.caller.call(Method::POST, "/v1/route", Some(&wrong)).await?;
    assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!("rules.0.profile")));
    // Many are compiled beside the worker; more than may be kept are refused.
    let deny: Vec<String> =
        (0..50).map(|n| format!("*{n}*x*")).chain(["*@mistral".into()]).collect();
    let many = json!({ "request": request, "rules": vec![json!({ "deny": deny }); 20] });
    let shown = dry_run(&stage, &many).await?;
    assert_eq!(reason(&shown, "@mistral"), "denied_by_rule", "{shown:#}");
    let long = vec!["x".repeat(190); 50];
    let long = json!({ "request": request, "rules": [{}, { "deny": long }] });
    let refused = stage.caller.call(Method::POST, "/v1/route", Some(&long)).await?;
    assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!("rules.1")));
    assert_eq!(plan(&dry_run(&stage, &request).await?)[0], first, "nothing was kept");
    Ok(())
}

/// Confidential data goes only to providers that the operator vouches for, whoever names the class;
/// and a key sends nothing above its clearance.
#[tokio::test]
async fn confidential_data_goes_only_where_nothing_is_kept() -> Result<()> {
    let environment = vec![("TURNPIKE__PROVIDERS__MISTRAL__ZERO_RETENTION", "true")];
    let stage = Stage::open_with(Setup { environment, ..Setup::default() }).await?;
    let path = "/v1/chat/completions";
    let confidential = [("x-turnpike-class", "confidential")];
    let body = chat("auto", "hello");
    let refused = stage.caller.post(path, &body, &confidential).await?;
    let code = &refused.body["error"]["code"];
    assert_eq!((refused.status, code), (403, &json!("class_not_allowed")), "{}", refused.text);
    let cleared = json!({ "name": "cleared", "clearance": "confidential" });
    let cleared = stage.add_key(ORG, &cleared).await?;
    let answer = cleared.post(path, &body, &confidential).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-provider"), "mistral");
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(reason(&explanation, "openai/"), "retains_data");
    let named = cleared.post(path, &chat("openai/gpt-5.4", "hi"), &confidential).await?;
    assert_eq!(named.status, 422, "{}", named.text);
    let unknown = cleared.post(path, &body, &[("x-turnpike-class", "secret")]).await?;
    assert_eq!((unknown.status, &unknown.body["error"]["code"]), (400, &json!("invalid_class")));
    add_rule(&stage, &json!({ "data_class": "confidential" })).await?;
    let ruled = cleared.chat(&body).await?.expect_status(200)?;
    assert_eq!(ruled.header("x-turnpike-provider"), "mistral", "the rule says it too");
    assert_eq!(stage.caller.chat(&body).await?.status, 403, "and the other key may not");
    Ok(())
}

#[tokio::test]
async fn pitfall_25_what_translation_would_lose_is_refused_when_strict() -> Result<()> {
    let stage = Stage::open().await?;
    // The providers of the tests speak OpenAI's chat, which has no `top_k`.
    let body = json!({ "model": "auto", "max_tokens": 9, "top_k": 5,
                       "messages": [{ "role": "user", "content": "hello" }] });
    let path = "/v1/messages";
    let version = ("anthropic-version", "2023-06-01");
    stage.caller.post(path, &body, &[version]).await?.expect_status(200)?;
    let strict = [version, ("x-turnpike-strict", "1")];
    let refused = stage.caller.post(path, &body, &strict).await?;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let explanation = stage.explanation(ORG, refused.request_id()).await?;
    assert_eq!(reason(&explanation, "openai/gpt-5.4@"), "lossy_translation");
    Ok(())
}
