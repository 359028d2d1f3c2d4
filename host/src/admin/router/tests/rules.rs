//! Rules: kept, in force at once, changed only as they were seen, and gone with the organization;
//! and the pages about offers and models.

use http::StatusCode;
use serde_json::{Value, json};

use super::world::World;

const RULES: &str = "/admin/v1/orgs/acme/rules";

#[tokio::test]
async fn a_rule_is_kept_and_in_force_until_it_is_deleted() {
    let world = World::new();
    world.org("acme").await;
    assert!(world.rulebook().of("acme").is_none());
    let rule = json!({"name": "no groq", "deny": ["*@groq"], "when": {"team": ["legal"]}});
    let made = world.send("POST", RULES, &rule).await;
    assert_eq!((made.status, made.etag.as_str()), (StatusCode::CREATED, "\"r1\""), "{}", made.body);
    assert_eq!(made.body["deny"], json!(["*@groq"]));
    assert_eq!(made.body["changed_by"], "operator");
    assert!(world.rulebook().of("acme").is_some(), "the next request sees it");
    let world = world.restarted();
    let listed = world.get(RULES).await;
    assert_eq!(listed["items"][0]["name"], "no groq");
    let one = format!("{RULES}/{}", made.body["id"].as_str().unwrap());
    assert_eq!(world.get(&one).await["when"]["team"], json!(["legal"]));
    assert_eq!(world.send("DELETE", &one, &Value::Null).await.status, StatusCode::NO_CONTENT);
    assert!(world.rulebook().of("acme").is_none());
    assert_eq!(world.send("GET", &one, &Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_change_is_merged_or_replaces_and_only_of_what_was_seen() {
    let world = World::new();
    world.org("acme").await;
    let rule = json!({"name": "floor", "quality_floor": 0.5, "profile": "cheap"});
    let made = world.send("POST", RULES, &rule).await;
    let one = format!("{RULES}/{}", made.body["id"].as_str().unwrap());
    let patch = json!({"quality_floor": 0.7, "profile": null});
    let patched = world.send_if_match("PATCH", &one, &patch, "\"r1\"").await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.body);
    assert_eq!((&patched.body["name"], &patched.body["profile"]), (&json!("floor"), &Value::Null));
    assert_eq!(patched.body["quality_floor"], 0.7);
    let late = world.send_if_match("PUT", &one, &json!({}), "\"r1\"").await;
    assert_eq!((late.status, late.code()), (StatusCode::PRECONDITION_FAILED, "changed"));
    let put = world.send_if_match("PUT", &one, &json!({"name": "new"}), &patched.etag).await;
    assert_eq!((put.status, &put.body["quality_floor"]), (StatusCode::OK, &Value::Null));
    let late = world.send_if_match("DELETE", &one, &Value::Null, "\"r1\"").await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get(&one).await["name"], "new");
}

#[tokio::test]
async fn what_means_nothing_is_refused_by_field_and_not_kept() {
    let world = World::new();
    world.org("acme").await;
    for (rule, field) in [
        (json!({"profile": "slow"}), "profile"),
        (json!({"data_class": "secret"}), "data_class"),
        (json!({"denny": []}), "denny"),
        (json!({"when": {"tasks": []}}), "when.tasks"),
        (json!({"when": [["auto"], [], [], []]}), "when"),
        (json!({"weights": [1, 2, 3]}), "weights"),
        (json!({"quality_floor": 70}), "quality_floor"),
        (json!({"cost_ceiling_usd": "much"}), "cost_ceiling_usd"),
    ] {
        let refused = world.send("POST", RULES, &rule).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        assert_eq!(refused.body["error"]["field"], field, "{}", refused.body);
    }
    assert_eq!(world.get(RULES).await["items"], json!([]));
    let other = world.send("POST", "/admin/v1/orgs/other/rules", &json!({})).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn rules_go_with_their_organization() {
    let world = World::new();
    world.org("acme").await;
    world.send("POST", RULES, &json!({"deny": ["mistral/*"]})).await;
    assert!(world.rulebook().of("acme").is_some());
    let gone = world.send("DELETE", "/admin/v1/orgs/acme?force=true", &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    assert!(world.rulebook().of("acme").is_none());
}

#[tokio::test]
async fn offers_and_models_have_pages_with_live_figures() {
    let world = World::new();
    let offers = world.get("/admin/v1/offers").await;
    let first = &offers["items"][0];
    assert_eq!(first["live"]["state"], "open_for_requests", "{first}");
    assert_eq!(first["live"]["credentials"].as_array().map(Vec::len), Some(1));
    let model = first["model"].as_str().unwrap();
    let page = world.get(&format!("/admin/v1/models/{model}")).await;
    assert_eq!(page["model"], model);
    assert!(page["quality"]["code"]["value"].as_f64().is_some(), "{page}");
    assert_eq!(page["ratings"], json!([]));
    let none = world.send("GET", "/admin/v1/models/no/such", &Value::Null).await;
    assert_eq!((none.status, none.code()), (StatusCode::NOT_FOUND, "not_found"));
}
