//! Every address that changes something leaves an entry: the table of routes is read, so that one
//! that is added later is not forgotten.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use super::world::World;
use crate::policy::signature::SecretKey;

/// The page with all routes.
const ROUTES: &str = include_str!("../../router.rs");
/// A method that reads more than an address holds, and changes nothing.
const READS: (&str, &str) = ("POST", "/orgs/{org}/plugins/{name}/{version}/backtest");

/// Method and address of every route that is not only read.
fn changing_routes() -> BTreeSet<(String, String)> {
    // However long a route is, it is on one line here.
    let routes: Vec<&str> = ROUTES.split_whitespace().collect();
    let routes = routes.join(" ").replace(".route( \"", ".route(\"");
    let (organization, admin) = routes.split_once("let admin = Router::new()").unwrap();
    let mut found = BTreeSet::new();
    for (text, prefix) in [(organization, "/orgs/{org}"), (admin, "")] {
        for route in text.split(".route(\"").skip(1) {
            let (path, methods) = route.split_once("\", ").unwrap();
            let methods = methods.split(".route(").next().unwrap().split(";").next().unwrap();
            let methods = methods.replace("bindings::methods()", "get(x).put(x).delete(x)");
            let path = format!("{prefix}{path}");
            let path = path.strip_suffix('/').unwrap_or(&path).to_owned();
            let before = found.len();
            for method in ["post", "put", "patch", "delete"] {
                if methods.contains(&format!("{method}(")) {
                    found.insert((method.to_ascii_uppercase(), path.clone()));
                }
            }
            assert!(found.len() > before || methods.contains("get("), "{path}: {methods}");
        }
    }
    found
}

/// One change each, in an order in which each is possible; the ids of a key and of a signing key
/// stand for `KEY` and `SIGNER`.
fn changes() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let public = SecretKey::generate().unwrap().public().unwrap().to_string();
    let route = "/orgs/{org}/bindings/{hook}";
    vec![
        ("POST", "/orgs", "/orgs", json!({"id": "acme"})),
        ("PATCH", "/orgs/{org}", "/orgs/acme", json!({"name": "Acme"})),
        (
            "POST",
            "/orgs/{org}/credits/topups",
            "/orgs/acme/credits/topups",
            json!({"amount_usd": "5"}),
        ),
        (
            "POST",
            "/orgs/{org}/credits/adjustments",
            "/orgs/acme/credits/adjustments",
            json!({"amount_usd": "1", "direction": "credit", "reason": "a cut answer"}),
        ),
        ("POST", "/orgs/{org}/keys", "/orgs/acme/keys", json!({"name": "ci"})),
        ("PATCH", "/orgs/{org}/keys/{id}", "/orgs/acme/keys/KEY", json!({"disabled": true})),
        ("POST", "/orgs/{org}/keys/{id}/rotate", "/orgs/acme/keys/KEY/rotate", json!(null)),
        ("DELETE", "/orgs/{org}/keys/{id}", "/orgs/acme/keys/KEY", json!(null)),
        (
            "POST",
            "/orgs/{org}/signing-keys",
            "/orgs/acme/signing-keys",
            json!({"name": "release", "public_key": public}),
        ),
        ("DELETE", "/orgs/{org}/signing-keys/{id}", "/orgs/acme/signing-keys/SIGNER", json!(null)),
        ("POST", "/orgs/{org}/plugins", "/orgs/acme/plugins?name=r&version=1", json!("ok route")),
        ("PUT", route, "/orgs/acme/bindings/route", json!({"plugin": "r@1"})),
        ("PUT", route, "/orgs/acme/bindings/route", json!({"plugin": "r@1", "deadline_ms": 9})),
        (
            "POST",
            "/orgs/{org}/bindings/{hook}/rollback",
            "/orgs/acme/bindings/route/rollback",
            json!(null),
        ),
        ("DELETE", route, "/orgs/acme/bindings/route", json!(null)),
        ("DELETE", "/orgs/{org}/plugins/{name}/{version}", "/orgs/acme/plugins/r/1", json!(null)),
        (
            "PUT",
            "/orgs/{org}/policy-grants",
            "/orgs/acme/policy-grants",
            json!({"imports": ["state"]}),
        ),
        ("PUT", "/orgs/{org}/policy-limits", "/orgs/acme/policy-limits", json!({"deadline_ms": 5})),
    ]
}

/// Changes of what is spent and how it is routed; `BUDGET` and `RULE` stand for ids.
fn changes_of_spending_and_routing() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let hook = "https://hooks.example.com/turnpike";
    vec![
        (
            "POST",
            "/orgs/{org}/budgets",
            "/orgs/acme/budgets",
            json!({"scope": "team:a", "amount_usd": "1", "period": "day"}),
        ),
        (
            "PATCH",
            "/orgs/{org}/budgets/{id}",
            "/orgs/acme/budgets/BUDGET",
            json!({"amount_usd": "2"}),
        ),
        ("DELETE", "/orgs/{org}/budgets/{id}", "/orgs/acme/budgets/BUDGET", json!(null)),
        ("PUT", "/orgs/{org}/limits/{scope}", "/orgs/acme/limits/team:a", json!({"rpm": 5})),
        ("DELETE", "/orgs/{org}/limits/{scope}", "/orgs/acme/limits/team:a", json!(null)),
        (
            "PUT",
            "/orgs/{org}/webhook",
            "/orgs/acme/webhook",
            json!({"url": hook, "secret": "a-secret-of-a-webhook"}),
        ),
        ("DELETE", "/orgs/{org}/webhook", "/orgs/acme/webhook", json!(null)),
        (
            "PUT",
            "/orgs/{org}/aliases/{name}",
            "/orgs/acme/aliases/writer",
            json!({"model": "openai/gpt-5.4-mini"}),
        ),
        ("DELETE", "/orgs/{org}/aliases/{name}", "/orgs/acme/aliases/writer", json!(null)),
        ("POST", "/orgs/{org}/rules", "/orgs/acme/rules", json!({"deny": ["x/*"]})),
        ("PUT", "/orgs/{org}/rules/{id}", "/orgs/acme/rules/RULE", json!({"deny": ["y/*"]})),
        ("PATCH", "/orgs/{org}/rules/{id}", "/orgs/acme/rules/RULE", json!({"priority": 3})),
        ("DELETE", "/orgs/{org}/rules/{id}", "/orgs/acme/rules/RULE", json!(null)),
        ("POST", "/plans", "/plans", json!({"id": "free", "name": "Free"})),
        ("PATCH", "/plans/{id}", "/plans/free", json!({"name": "Free of charge"})),
        ("DELETE", "/plans/{id}", "/plans/free", json!(null)),
        ("DELETE", "/orgs/{org}", "/orgs/acme?force=true", json!(null)),
    ]
}

#[tokio::test]
async fn every_change_leaves_an_entry() {
    let world = World::new();
    let mut expected = changing_routes();
    assert!(expected.remove(&(READS.0.to_owned(), READS.1.to_owned())));
    let (mut key, mut signer) = (String::new(), String::new());
    let mut secrets = Vec::new();
    let (mut budget, mut rule) = (String::new(), String::new());
    let all = changes().into_iter().chain(changes_of_spending_and_routing());
    for (number, (method, route, path, body)) in (1..).zip(all) {
        let path = format!("/admin/v1{path}").replace("KEY", &key).replace("SIGNER", &signer);
        let path = path.replace("BUDGET", &budget).replace("RULE", &rule);
        let answer = match &body {
            Value::String(component) => {
                world.send_bytes(method, &path, component.clone().into_bytes()).await
            }
            body => world.send(method, &path, body).await,
        };
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.body);
        let id = answer.body["id"].as_str().unwrap_or_default().to_owned();
        secrets.extend(answer.body["key"].as_str().map(str::to_owned));
        match route {
            "/orgs/{org}/keys" => key = id,
            "/orgs/{org}/signing-keys" => signer = id,
            "/orgs/{org}/budgets" => budget = id,
            "/orgs/{org}/rules" => rule = id,
            _ => {}
        }
        let latest = world.get("/admin/v1/audit?limit=1").await;
        let entry = &latest["items"][0];
        assert_eq!(entry["id"], number, "{method} {path} left no entry of its own: {latest}");
        let plain = path.split('?').next().unwrap();
        assert_eq!((&entry["method"], &entry["path"]), (&json!(method), &json!(plain)));
        let org = if route.starts_with("/plans") { json!(null) } else { json!("acme") };
        assert_eq!((&entry["actor"], &entry["org"]), (&json!("operator"), &org));
        let changes = entry["changes"].as_array().unwrap();
        assert!(!changes.is_empty(), "{method} {path} is told without what changed: {entry}");
        assert!(changes.iter().all(|it| it["before"] != it["after"]), "{entry}");
        expected.remove(&(method.to_owned(), route.to_owned()));
    }
    assert!(
        expected.is_empty(),
        "routes that change something and are not tried here; add them to `changes`, and let \
         their work go through `AdminState::changing`: {expected:?}"
    );
    let all = world.get("/admin/v1/audit?limit=500").await.to_string();
    assert!(secrets.len() == 2 && !secrets.iter().any(|it| all.contains(it)), "a key in clear");
    assert!(!all.contains("a-secret-of-a-webhook"), "a webhook's secret in clear");
    let hash = "(hidden)";
    assert!(all.contains(hash), "the hash of a key is not told");
}

#[tokio::test]
async fn what_is_refused_or_only_read_leaves_none() {
    let world = World::new();
    world.org("acme").await;
    let bad = world.send("POST", "/admin/v1/orgs", &json!({"id": "acme"})).await;
    assert_eq!(bad.status, StatusCode::CONFLICT);
    let bad = world.send_as(Some("wrong"), "DELETE", "/admin/v1/orgs/acme", &json!(null)).await;
    assert_eq!(bad.status, StatusCode::UNAUTHORIZED);
    world.get("/admin/v1/orgs/acme").await;
    let list = world.get("/admin/v1/audit").await;
    assert_eq!((list["items"].as_array().unwrap().len(), &list["next"]), (1, &json!(null)));
}

#[tokio::test]
async fn entries_are_filtered_paged_and_kept() {
    let world = World::new();
    for org in ["acme", "beta"] {
        world.org(org).await;
        world.send("PATCH", &format!("/admin/v1/orgs/{org}"), &json!({"name": "New"})).await;
    }
    let world = world.restarted();
    let ids = |list: &Value| -> Vec<u64> {
        list["items"].as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap()).collect()
    };
    let page = world.get("/admin/v1/audit?limit=3").await;
    assert_eq!((ids(&page), &page["next"]), (vec![4, 3, 2], &json!(2)));
    assert_eq!(ids(&world.get("/admin/v1/audit?after=2").await), [1]);
    assert_eq!(ids(&world.get("/admin/v1/orgs/beta/audit").await), [4, 3]);
    assert_eq!(ids(&world.get("/admin/v1/audit?org=acme&method=patch").await), [2]);
    assert_eq!(ids(&world.get("/admin/v1/audit?path=/admin/v1/orgs/b").await), [4]);
    assert!(ids(&world.get("/admin/v1/audit?to=2020-01-01").await).is_empty());
    let renamed = &world.get("/admin/v1/orgs/acme/audit?limit=1").await["items"][0]["changes"][0];
    assert_eq!((&renamed["what"], &renamed["id"]), (&json!("organizations"), &json!("acme")));
    assert_eq!(
        (&renamed["before"]["name"], &renamed["after"]["name"]),
        (&json!("acme"), &json!("New"))
    );
    for (query, field) in [("limit=0", "limit"), ("from=soon", "from"), ("who=me", "who")] {
        let path = format!("/admin/v1/audit?{query}");
        let bad = world.send("GET", &path, &json!(null)).await;
        assert_eq!(bad.body["error"]["field"], field, "{}", bad.body);
    }
    let none = world.send("GET", "/admin/v1/orgs/gamma/audit", &json!(null)).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}
