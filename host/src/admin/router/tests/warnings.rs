//! What is accepted and fits nothing is told, and kept: a model may come later.

use http::StatusCode;
use serde_json::{Value, json};

use super::world::World;

/// Where and with what first suggestion, in their order; the providers are mistral and groq.
fn told(answer: &Value) -> Vec<(&str, bool)> {
    let warnings = answer["warnings"].as_array().unwrap();
    warnings
        .iter()
        .map(|it| {
            assert_eq!(it["code"], "matches_nothing", "{answer}");
            let message = it["message"].as_str().unwrap();
            (it["field"].as_str().unwrap(), message.contains("did you mean"))
        })
        .collect()
}

#[tokio::test]
async fn a_keys_patterns_that_fit_no_model_are_told_with_what_was_meant() {
    let world = World::new();
    world.org("acme").await;
    let keys = "/admin/v1/orgs/acme/keys";
    let models = json!(["mistral/*", "!mistrel/*", "openai/gpt-oss-120b@groq", "nobody-at-all/x"]);
    let made = world.send("POST", keys, &json!({"name": "ci", "models": models})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let expected = [("models.1", true), ("models.2", true), ("models.3", false)];
    assert_eq!(told(&made.body), expected, "{}", made.body);
    let message = |place: usize| made.body["warnings"][place]["message"].as_str().unwrap();
    assert!(message(0).contains("\"!mistral/*\""), "{}", message(0));
    assert!(message(1).contains("\"openai/gpt-oss-120b\""), "{}", message(1));
    let path = format!("{keys}/{}", made.body["id"].as_str().unwrap());
    let kept = world.get(&path).await;
    assert_eq!((&kept["models"], &kept["warnings"]), (&models, &Value::Null));

    let fine = world.send("PATCH", &path, &json!({"models": ["mistral/*"]})).await;
    assert_eq!(fine.body["warnings"], json!([]), "{}", fine.body);
    let many: Vec<String> = (0..30).map(|n| format!("nobody-{n}/*")).collect();
    let many = world.send("PATCH", &path, &json!({"models": many})).await;
    assert_eq!(told(&many.body).len(), 20);
    assert!(many.body.to_string().contains("10 more entries"), "{}", many.body);
}

#[tokio::test]
async fn so_are_those_of_rules_plans_and_budgets() {
    let world = World::new();
    world.org("acme").await;
    let rules = "/admin/v1/orgs/acme/rules";
    let rule = json!({"deny": ["*@gorq"], "prefer": ["mistral"], "allow": ["*"],
        "regions": ["nowhere"], "when": {"model": ["auto*", "wirter"], "team": ["x"]}});
    let made = world.send("POST", rules, &rule).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let expected =
        [("deny.0", true), ("prefer.0", true), ("regions.0", false), ("when.model.1", false)];
    assert_eq!(told(&made.body), expected, "{}", made.body);
    let one = format!("{rules}/{}", made.body["id"].as_str().unwrap());
    let mended = json!({"deny": ["*@groq"], "prefer": null, "regions": null, "when": null});
    let mended = world.send("PATCH", &one, &mended).await;
    assert_eq!(told(&mended.body), [], "{}", mended.body);
    let replaced = world.send("PUT", &one, &json!({"deny": ["mistrel/*"]})).await;
    assert_eq!(told(&replaced.body), [("deny.0", true)]);
    assert!(world.get(&one).await["warnings"].is_null());

    let plan = json!({"id": "free", "models": ["mistrel/*"]});
    let plan = world.send("POST", "/admin/v1/plans", &plan).await;
    assert_eq!(told(&plan.body), [("models.0", true)], "{}", plan.body);
    let budget = json!({"scope": "model:mistrel/*", "amount_usd": "1", "period": "day"});
    let budget = world.send("POST", "/admin/v1/orgs/acme/budgets", &budget).await;
    assert_eq!(told(&budget.body), [("scope", true)], "{}", budget.body);
    let budget = json!({"scope": "team:x", "amount_usd": "1", "period": "day"});
    let budget = world.send("POST", "/admin/v1/orgs/acme/budgets", &budget).await;
    assert_eq!(told(&budget.body), []);
}

/// Codes and fields of all warnings of an answer.
fn codes(answer: &Value) -> Vec<(&str, Option<&str>)> {
    let warnings = answer["warnings"].as_array().unwrap().iter();
    warnings.map(|it| (it["code"].as_str().unwrap(), it["field"].as_str())).collect()
}

#[tokio::test]
async fn a_key_that_has_expired_before_it_is_made_is_told() {
    let world = World::new();
    world.org("acme").await;
    let keys = "/admin/v1/orgs/acme/keys";
    let body = json!({"name": "ci", "expires_at": "2020-01-01"});
    let made = world.send("POST", keys, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(codes(&made.body), [("already_expired", Some("expires_at"))], "{}", made.body);
    let key = format!("{keys}/{}", made.body["id"].as_str().unwrap());
    for later in [json!("2999-01-01"), json!(null)] {
        let mended = world.send("PATCH", &key, &json!({"expires_at": later})).await;
        assert_eq!(codes(&mended.body), [], "{}", mended.body);
    }
}

#[tokio::test]
async fn a_rule_for_a_task_that_is_not_known_or_that_asks_for_nothing_is_told() {
    let world = World::new();
    world.org("acme").await;
    let rules = "/admin/v1/orgs/acme/rules";
    let rule = json!({"when": {"task": ["sumarization", "code"]}, "profile": "cheap"});
    let made = world.send("POST", rules, &rule).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(told(&made.body), [("when.task.0", true)], "{}", made.body);
    assert!(made.body.to_string().contains("summarization"), "{}", made.body);
    for nothing in [
        json!({}),
        json!({"name": "later", "priority": 3, "disabled": true}),
        json!({"when": {"team": ["legal"]}}),
    ] {
        let made = world.send("POST", rules, &nothing).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        assert_eq!(codes(&made.body), [("asks_for_nothing", None)], "{}", made.body);
    }
    for something in [json!({"free_offers": false}), json!({"quality_floor": 0})] {
        let made = world.send("POST", rules, &something).await;
        assert_eq!(codes(&made.body), [], "{}", made.body);
    }
}
