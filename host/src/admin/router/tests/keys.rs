//! The life of a key, as its data plane sees it.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;
use turnpike_ledger::PicoUsd;

use super::world::World;
use crate::auth::{AuthError, Clearance};

const KEYS: &str = "/admin/v1/orgs/acme/keys";

#[tokio::test]
async fn a_key_works_from_its_answer_on_and_is_shown_once() {
    let world = World::new();
    world.org("acme").await;
    let body = json!({
        "name": "ci",
        "team": "research",
        "models": ["openai/*", "!openai/o3-pro"],
        "clearance": "confidential",
        "expires_at": "2999-01-01T00:00:00Z",
    });
    let made = world.send("POST", KEYS, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let (id, key) = (made.body["id"].as_str().unwrap(), made.body["key"].as_str().unwrap());
    let caller = world.authenticate(key).unwrap();
    assert_eq!((&*caller.org, &*caller.key_id), ("acme", id));
    assert_eq!(caller.team.as_deref(), Some("research"));
    assert_eq!(caller.clearance, Clearance::Confidential);
    assert!(caller.may_use("openai/gpt-5.4") && !caller.may_use("openai/o3-pro"));
    for path in [KEYS.to_owned(), format!("{KEYS}/{id}")] {
        let shown = world.get(&path).await.to_string();
        assert!(!shown.contains(key), "a list must not show the key: {shown}");
        assert!(shown.contains("tp-"), "but its first characters: {shown}");
    }
}

#[tokio::test]
async fn no_file_of_the_data_folder_holds_a_key() {
    let world = World::new();
    world.org("acme").await;
    let made = world.send("POST", KEYS, &json!({"name": "ci"})).await;
    let key = made.body["key"].as_str().unwrap().to_owned();
    world.store.sync().unwrap();
    let mut folders = vec![world.dir().to_path_buf()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            files += 1;
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = memchr::memmem::find(&bytes, key.as_bytes());
            assert_eq!(found, None, "{}", entry.path().display());
        }
    }
    assert!(files >= 4, "{files}");
}

#[tokio::test]
async fn patch_merges_null_clears_and_delete_ends_the_key_at_once() {
    let world = World::new();
    world.org("acme").await;
    let body = json!({"name": "ci", "team": "research", "user": "ann"});
    let made = world.send("POST", KEYS, &body).await;
    let key = made.body["key"].as_str().unwrap();
    let path = format!("{KEYS}/{}", made.body["id"].as_str().unwrap());
    let patched = world.send("PATCH", &path, &json!({"team": null, "disabled": true})).await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.body);
    assert_eq!((&patched.body["team"], &patched.body["user"]), (&json!(null), &json!("ann")));
    assert_eq!(world.authenticate(key).unwrap_err(), AuthError::Disabled);
    world.send("PATCH", &path, &json!({"disabled": false})).await;
    assert_eq!(world.authenticate(key).unwrap().team, None);
    let past = json!({"expires_at": "2020-01-01T00:00:00Z"});
    world.send("PATCH", &path, &past).await;
    assert_eq!(world.authenticate(key).unwrap_err(), AuthError::Expired);
    let gone = world.send("DELETE", &path, &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(world.authenticate(key).unwrap_err(), AuthError::Unknown);
    assert_eq!(world.send("DELETE", &path, &json!(null)).await.status, StatusCode::NOT_FOUND);
}

/// Pitfall 55: a budget that is accepted is in force.
#[tokio::test]
async fn a_keys_budget_is_known_to_the_ledger_before_the_key_works() {
    let world = World::new();
    world.org("acme").await;
    let budget = json!({"amount_usd": "2.50", "period": "month", "mode": "hard"});
    let made = world.send("POST", KEYS, &json!({"name": "ci", "budget": budget})).await;
    assert_eq!(made.body["budget"]["amount_usd"], "2.500000", "{}", made.body);
    assert_eq!(made.body["budget"]["spent_usd"], "0.000000");
    let caller = world.authenticate(made.body["key"].as_str().unwrap()).unwrap();
    let budget = Arc::clone(&caller.budgets.always[0]);
    let window = budget.window(crate::clock::now_ms()).start_ms;
    let state = world.ledger.budget(&budget.id, window).unwrap();
    assert_eq!(state.limit, Some(PicoUsd::parse("2.5").unwrap()));

    // Another period counts anew, in windows of its own.
    let path = format!("{KEYS}/{}", made.body["id"].as_str().unwrap());
    let daily = json!({"budget": {"amount_usd": "1", "period": "day"}});
    world.send("PATCH", &path, &daily).await;
    let changed = world.directory.load();
    drop(changed);
    let caller = world.authenticate(made.body["key"].as_str().unwrap()).unwrap();
    let daily = Arc::clone(&caller.budgets.always[0]);
    assert_ne!(daily.id, budget.id);
    assert!(world.ledger.budget(&daily.id, 0).is_some());

    // One that only counts is a counter without a limit.
    let alert = json!({"amount_usd": "1", "period": "day", "mode": "alert", "alerts": [80, 50]});
    let patched = world.send("PATCH", &path, &json!({"budget": alert})).await;
    assert_eq!(patched.body["budget"]["mode"], "alert", "{}", patched.body);
    assert_eq!(patched.body["budget"]["alerts"], json!([50, 80]));
    assert_eq!(world.ledger.budget(&daily.id, 0).unwrap().limit, None);
    let odd = json!({"budget": {"amount_usd": "1", "period": "day", "mode": "soft"}});
    let refused = world.send("PATCH", &path, &odd).await;
    assert_eq!(refused.body["error"]["field"], "budget.mode", "{}", refused.body);
}

#[tokio::test]
async fn keys_and_budgets_are_there_after_a_restart() {
    let world = World::new();
    world.org("acme").await;
    let body = json!({"name": "ci", "budget": {"amount_usd": "1", "period": "total"}});
    let made = world.send("POST", KEYS, &body).await;
    let world = world.restarted();
    let caller = world.authenticate(made.body["key"].as_str().unwrap()).unwrap();
    assert_eq!(&*caller.org, "acme");
    let budget = Arc::clone(&caller.budgets.always[0]);
    assert!(world.ledger.budget(&budget.id, 0).is_some());
    super::super::super::ensure_budgets(&world.store, &world.ledger, 1).unwrap();
}

/// Else whoever makes a key with a budget for each job has no room left after some thousand jobs.
#[tokio::test]
async fn a_key_takes_the_budgets_that_are_for_it_alone_along() {
    let world = World::new();
    world.org("acme").await;
    let budgets = "/admin/v1/orgs/acme/budgets";
    let mut paths = Vec::new();
    for name in ["job", "other"] {
        let key = world.send("POST", KEYS, &json!({"name": name})).await.body;
        let id = key["id"].as_str().unwrap();
        for period in ["day", "total"] {
            let scope = format!("key:{id}");
            let body = json!({"scope": scope, "amount_usd": "1", "period": period});
            let made = world.send("POST", budgets, &body).await;
            assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        }
        paths.push(format!("{KEYS}/{id}"));
    }
    let gone = world.send("DELETE", &paths[0], &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    let left = world.get(budgets).await;
    let left: Vec<&str> =
        left["items"].as_array().unwrap().iter().map(|it| it["scope"].as_str().unwrap()).collect();
    let other = paths[1].replace(&format!("{KEYS}/"), "key:");
    assert_eq!(left, [&*other, &*other]);
}

#[tokio::test]
async fn deleting_an_organization_ends_its_keys() {
    let world = World::new();
    world.org("acme").await;
    let made = world.send("POST", KEYS, &json!({"name": "ci"})).await;
    let key = made.body["key"].as_str().unwrap();
    assert!(world.authenticate(key).is_ok());
    world.send("DELETE", "/admin/v1/orgs/acme", &json!(null)).await;
    assert_eq!(world.authenticate(key).unwrap_err(), AuthError::Unknown);
    let none = world.send("POST", KEYS, &json!({"name": "ci"})).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}
