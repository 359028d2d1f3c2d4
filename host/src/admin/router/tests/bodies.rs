//! What is no body of this API is refused, and told where and why in words of JSON.

use http::StatusCode;
use serde_json::{Value, json};

use super::world::{Answer, World};

const ORG: &str = "/admin/v1/orgs/acme";

/// Field and message of a refusal.
fn told(answer: &Answer) -> (Option<&str>, &str) {
    let error = &answer.body["error"];
    (error["field"].as_str(), error["message"].as_str().unwrap())
}

/// Each of these would be read by the order of fields in the program: with a new field the third
/// value of a booking could be its amount.
#[tokio::test]
async fn an_array_is_nowhere_an_object() {
    let world = World::new();
    world.org("acme").await;
    let key = world.send("POST", &format!("{ORG}/keys"), &json!({"name": "k"})).await;
    let key = format!("{ORG}/keys/{}", key.body["id"].as_str().unwrap());
    let rule = world.send("POST", &format!("{ORG}/rules"), &json!({"deny": ["x/*"]})).await;
    let rule = format!("{ORG}/rules/{}", rule.body["id"].as_str().unwrap());
    let of_org = |path: &str| format!("{ORG}/{path}");
    let plans = "/admin/v1/plans".to_owned();
    for (method, path, body, field) in [
        ("POST", "/admin/v1/orgs".to_owned(), json!(["x", "X", null, null]), None),
        ("POST", "/admin/v1/orgs".to_owned(), json!([]), None),
        ("PATCH", ORG.to_owned(), json!(["X"]), None),
        ("POST", of_org("credits/topups"), json!(["5", "manual", "arr", null]), None),
        ("POST", of_org("credits/adjustments"), json!(["5", "credit", "x", null, null]), None),
        ("PUT", of_org("aliases/arr"), json!(["auto"]), None),
        ("POST", of_org("keys"), json!(["k"]), None),
        ("POST", of_org("keys"), json!({"name": "k", "limits": [5, 5, 5]}), Some("limits")),
        ("PATCH", key.clone(), json!({"limits": [5, 5, 5]}), Some("limits")),
        ("PATCH", key.clone(), json!({"budget": ["5", "day"]}), Some("budget")),
        ("POST", format!("{key}/rotate"), json!([60]), None),
        ("POST", of_org("budgets"), json!(["organization", "1", "day", null, []]), None),
        ("PUT", of_org("limits/team:a"), json!([5, 5, 5]), None),
        ("PUT", of_org("webhook"), json!(["https://a.example", "0123456789abcdef"]), None),
        ("PUT", of_org("policy-grants"), json!([["state"]]), None),
        ("PUT", of_org("policy-limits"), json!([50]), None),
        ("POST", of_org("signing-keys"), json!(["name", "ed25519:x"]), None),
        ("PUT", of_org("bindings/redact"), json!(["redact-default"]), None),
        ("POST", of_org("bindings/redact/rollback"), json!([5]), None),
        ("POST", of_org("rules"), json!(["r1", false, 0]), None),
        ("PUT", rule.clone(), json!(["r1", false, 0]), None),
        ("PATCH", rule.clone(), json!(["r1"]), None),
        ("PATCH", rule.clone(), json!({"when": [["auto"]]}), Some("when")),
        ("POST", plans.clone(), json!(["p"]), None),
        ("POST", plans.clone(), json!({"id": "p", "discounts": [["1", "5"]]}), Some("discounts.0")),
        ("POST", plans.clone(), json!({"id": "p", "invoice": [30, ""]}), Some("invoice")),
    ] {
        let refused = world.send(method, &path, &body).await;
        let expected = (StatusCode::UNPROCESSABLE_ENTITY, "invalid_field");
        assert_eq!((refused.status, refused.code()), expected, "{path} {body}: {}", refused.body);
        let (at, message) = told(&refused);
        assert_eq!(at, field, "{path} {body}: {message}");
        assert!(message.contains("it is an object; an array was given"), "{path}: {message}");
    }
    let credits = world.get(&format!("{ORG}/credits")).await;
    assert_eq!(credits["available_usd"], "0.000000", "nothing was booked");
}

#[tokio::test]
async fn a_field_is_told_by_its_whole_path_in_words_of_json() {
    let world = World::new();
    world.org("acme").await;
    let keys = format!("{ORG}/keys");
    let (rules, plans) = (format!("{ORG}/rules"), "/admin/v1/plans".to_owned());
    let money = "amount in dollars as a string, such as \"12.50\"; the number 5 was given";
    let budget = |budget: Value| json!({"name": "k", "budget": budget});
    let alert = json!({"amount_usd": "5", "period": "day", "alert": [50]});
    let negative = json!({"name": "k", "limits": {"rpm": -1}});
    let discount = json!({"id": "p", "discounts": [{"from": "5", "percent": "1"}]});
    let percent = json!({"id": "p", "discounts": [{"from_usd": "5", "percent": "-1"}]});
    let top_ups = format!("{ORG}/credits/topups");
    for (path, body, field, said) in [
        (&keys, budget(json!({"amount_usd": "5"})), "budget.period", "it is missing"),
        (&keys, budget(json!({"period": "day"})), "budget.amount_usd", "it is missing"),
        (&keys, budget(alert), "budget.alert", "there is none of that name"),
        (&keys, negative, "limits.rpm", "a whole number from 0 to 4294967295; the number -1"),
        (&rules, json!({"when": {"teams": ["x"]}}), "when.teams", "model, team, project, task"),
        (&rules, json!({"quality_floor": 70}), "quality_floor", "it is a number from 0 to 1"),
        (&rules, json!({"profile": "slow"}), "profile", "it is balanced, cheap, fast or best"),
        (&plans, discount, "discounts.0.from", "from_usd, percent"),
        (&plans, percent, "discounts.0.percent", "a percentage is 0 to 100"),
        (&top_ups, json!({"amount_usd": 5}), "amount_usd", money),
        (&top_ups, json!({"amount_usd": "-5"}), "amount_usd", "not an amount in dollars"),
    ] {
        let refused = world.send("POST", path, &body).await;
        let (at, message) = told(&refused);
        assert_eq!(at, Some(field), "{body}: {message}");
        assert!(message.contains(said), "{body}: {message}");
        for rust in [" at line ", "u32", "u16", "integer", "struct", "`"] {
            assert!(!message.contains(rust), "{body}: {message}");
        }
    }
    let twice = br#"{"id":"x","id":"y"}"#.to_vec();
    let twice = world.send_bytes("POST", "/admin/v1/orgs", twice).await;
    assert_eq!(told(&twice).0, Some("id"), "{}", twice.body);
}

#[tokio::test]
async fn an_empty_body_is_told_as_that() {
    let world = World::new();
    world.org("acme").await;
    for (method, path) in [("POST", "keys"), ("PUT", "limits/team:a"), ("POST", "rules")] {
        for body in ["", " \n"] {
            let path = format!("{ORG}/{path}");
            let empty = world.send_bytes(method, &path, body.into()).await;
            let expected = (StatusCode::BAD_REQUEST, "empty_body");
            assert_eq!((empty.status, empty.code()), expected, "{path}: {}", empty.body);
        }
    }
}

#[tokio::test]
async fn a_query_parameter_is_told_by_its_name() {
    let world = World::new();
    world.org("acme").await;
    let invalid = (StatusCode::UNPROCESSABLE_ENTITY, "invalid_field");
    let unknown = (StatusCode::BAD_REQUEST, "bad_query");
    for (method, path, expected, field, said) in [
        ("GET", "/admin/v1/orgs?limit=abc", invalid, "limit", "it is a whole number"),
        ("GET", "/admin/v1/orgs?limit=0", invalid, "limit", "1 to 500"),
        ("GET", "/admin/v1/orgs?page=2", unknown, "page", "limit, after"),
        ("GET", "/admin/v1/audit?after=x", invalid, "after", "it is a whole number"),
        ("DELETE", "/admin/v1/orgs/acme?force=yes", invalid, "force", "it is true or false"),
        ("GET", "/admin/v1/orgs/acme/credits/holds?stat=open", unknown, "stat", "state"),
    ] {
        let refused = world.send(method, path, &Value::Null).await;
        assert_eq!((refused.status, refused.code()), expected, "{path}: {}", refused.body);
        let (at, message) = told(&refused);
        assert_eq!(at, Some(field), "{path}: {message}");
        assert!(message.contains(said), "{path}: {message}");
        assert!(!message.contains("deserialize") && !message.contains("digit"), "{message}");
    }
}
