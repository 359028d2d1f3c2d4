//! The admin API through its router, over a real store and ledger, without a socket.

mod aliases;
mod audit;
mod backtests;
mod bindings;
mod bodies;
mod files;
mod grants;
mod keys;
mod limits;
mod money;
mod patches;
mod refused;
mod rotation;
mod rules;
mod signatures;
mod warnings;
mod world;

use http::StatusCode;
use serde_json::json;

use self::world::World;

#[tokio::test]
async fn nothing_can_be_learned_without_the_operator_token() {
    let world = World::new();
    for path in ["/admin/v1/orgs", "/admin/v1/system", "/admin/v1/nowhere", "/"] {
        for token in [None, Some("wrong")] {
            let answer = world.send_as(token, "GET", path, &json!(null)).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.body["error"]["code"], "unauthorized");
        }
    }
}

#[tokio::test]
async fn an_address_or_method_that_is_not_there_is_told_as_json() {
    let world = World::new();
    let answer = world.send("GET", "/admin/v1/orgs/acme/budget", &json!(null)).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "not_found"));
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("/admin/v1/orgs/acme/budget; did you mean budgets?"), "{message}");
    let answer = world.send("PUT", "/admin/v1/orgs", &json!({})).await;
    let expected = (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    assert_eq!((answer.status, answer.code()), expected);
    let message = answer.body["error"]["message"].as_str().unwrap();
    for method in ["POST", "GET"] {
        assert!(message.contains(method), "{message}");
    }
}

#[tokio::test]
async fn organizations_are_made_listed_renamed_and_deleted() {
    let world = World::new();
    let made = world.send("POST", "/admin/v1/orgs", &json!({"id": "acme", "name": "Acme"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.body["name"], "Acme");
    let again = world.send("POST", "/admin/v1/orgs", &json!({"id": "acme"})).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "exists"));
    world.org("beta").await;
    let page = world.get("/admin/v1/orgs?limit=1").await;
    assert_eq!((&page["items"][0]["id"], &page["next"]), (&json!("acme"), &json!("acme")));
    let page = world.get("/admin/v1/orgs?limit=1&after=acme").await;
    assert_eq!((&page["items"][0]["id"], &page["next"]), (&json!("beta"), &json!(null)));
    let renamed = world.send("PATCH", "/admin/v1/orgs/acme", &json!({"name": "Acme 2"})).await;
    assert_eq!(renamed.body["name"], "Acme 2");
    let gone = world.send("DELETE", "/admin/v1/orgs/acme", &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let missing = world.send("GET", "/admin/v1/orgs/acme", &json!(null)).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let taken = world.send("POST", "/admin/v1/orgs", &json!({"id": "acme"})).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "its accounts are still there");
}

/// Pitfall 55: a setting that is accepted and not saved does harm.
#[tokio::test]
async fn unknown_fields_are_refused_by_name() {
    let world = World::new();
    world.org("acme").await;
    let keys = "/admin/v1/orgs/acme/keys";
    let cases = [
        (keys, json!({"name": "k", "limits": {"rps": 5}}), "limits.rps"),
        (keys, json!({"name": "k", "limits": {"rpm": 0}}), "limits.rpm"),
        (keys, json!({"name": "k", "budget": {"amount": "1", "period": "day"}}), "budget.amount"),
        (
            keys,
            json!({"name": "k", "budget": {"amount_usd": 1.5, "period": "day"}}),
            "budget.amount_usd",
        ),
        (
            keys,
            json!({"name": "k", "budget": {"amount_usd": "1", "period": "year"}}),
            "budget.period",
        ),
        (keys, json!({"name": "k", "models": "openai/*"}), "models"),
        (keys, json!({"name": "k", "models": ["!"]}), "models"),
        (keys, json!({"name": "k", "clearance": "secret"}), "clearance"),
        (keys, json!({"name": "k", "expires_at": "soon"}), "expires_at"),
        (keys, json!({}), "name"),
        ("/admin/v1/orgs", json!({"id": "x", "credit": "5"}), "credit"),
        ("/admin/v1/orgs", json!({"name": "x"}), "id"),
        ("/admin/v1/orgs", json!({"id": "Not An Id"}), "id"),
    ];
    for (path, body, field) in cases {
        let answer = world.send("POST", path, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(answer.body["error"]["field"], field, "{body} {}", answer.body);
    }
    let query = world.send("GET", "/admin/v1/orgs?page=2", &json!(null)).await;
    assert_eq!(query.status, StatusCode::BAD_REQUEST);
    assert_eq!(query.body["error"]["field"], "page", "{}", query.body);
    assert!(world.get(keys).await["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_long_are_told_so() {
    let world = World::new();
    let broken = world.send_bytes("POST", "/admin/v1/orgs", b"{\"id\":".to_vec()).await;
    assert_eq!((broken.status, broken.code()), (StatusCode::BAD_REQUEST, "malformed_json"));
    let twice = world.send_bytes("POST", "/admin/v1/orgs", b"{\"id\":\"a\"} {}".to_vec()).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    let long = world.send_bytes("POST", "/admin/v1/orgs", vec![b' '; 300 * 1024]).await;
    assert_eq!((long.status, long.code()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
}

#[tokio::test]
async fn usage_and_requests_tell_what_was_recorded() {
    let world = World::new();
    world.org("acme").await;
    world.org("beta").await;
    let id = world.record("acme", "openai/gpt", 1_500_000);
    // The list is in the order of ids, which within one millisecond is any.
    std::thread::sleep(std::time::Duration::from_millis(2));
    world.record("acme", "openai/other", 500_000);
    let report = world.get("/admin/v1/orgs/acme/usage?group_by=model,key").await;
    assert_eq!(report["items"][0]["model"], "openai/gpt");
    assert_eq!(report["items"][0]["key"], world::KEY);
    assert_eq!(report["items"][0]["cost_usd"], "0.0000015");
    assert_eq!(report["total"]["requests"], 2);
    assert_eq!(report["total"]["usage"]["output_text"], 4);
    assert!(report["next"].is_null());
    assert_eq!(world.get("/admin/v1/orgs/beta/usage").await["total"]["requests"], 0);
    let bad = world.send("GET", "/admin/v1/orgs/acme/usage?group_by=hat", &json!(null)).await;
    assert_eq!(bad.body["error"]["field"], "group_by");

    let list = world.get("/admin/v1/orgs/acme/requests?limit=1").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let rest = list["next"].as_str().unwrap();
    let list = world.get(&format!("/admin/v1/orgs/acme/requests?after={rest}")).await;
    assert_eq!(list["items"][0]["id"], id.to_string());
    let found = async |filter: &str| {
        let page = world.get(&format!("/admin/v1/orgs/acme/requests?{filter}")).await;
        assert!(page["next"].is_null(), "{page}");
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(found("model=openai/gpt&status=2xx").await, 1);
    let by_key = format!("model=openai/gpt,openai/other&key={}", world::KEY);
    assert_eq!(found(&by_key).await, 2);
    let unknown = world.send("GET", "/admin/v1/orgs/acme/requests?key=k1", &json!(null)).await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid_field")
    );
    assert_eq!(
        found("model=openai/gpt&team=").await,
        found("model=openai/gpt&team=none").await + 1
    );
    assert_eq!(found("status=404&status=200").await, 2);
    assert_eq!(found("status=404,5xx").await + found("tag:job=nightly").await, 0);
    assert_eq!(found("settlement=complete").await, 2);
    for (wrong, field) in [
        ("modle=x", "modle"),
        ("status=ok", "status"),
        ("limit=x", "limit"),
        ("settlement=done", "settlement"),
        ("settlement=complete,", "settlement"),
    ] {
        let path = format!("/admin/v1/orgs/acme/requests?{wrong}");
        let bad = world.send("GET", &path, &json!(null)).await;
        assert_eq!(bad.body["error"]["field"], field, "{}", bad.body);
    }
    for path in [format!("/admin/v1/orgs/acme/requests/{id}"), format!("/admin/v1/requests/{id}")] {
        let one = world.get(&path).await;
        assert_eq!(one["id"], id.to_string());
        assert_eq!(one["candidates"][0]["rejected"], "needs tools");
        assert_eq!(one["cost_usd"], "0.0000015");
        assert_eq!(one["status"], 200);
        assert_eq!(one["line_items"][0]["unit_price_usd"], "0.00000075");
    }
    let foreign = format!("/admin/v1/orgs/beta/requests/{id}");
    let foreign = world.send("GET", &foreign, &json!(null)).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND, "another organization's request");
}

#[tokio::test]
async fn the_system_page_shows_numbers_and_limits() {
    let world = World::new();
    let system = world.get("/admin/v1/system").await;
    assert_eq!(system["numbers"]["requests_running"], 3);
    assert_eq!(system["journal"]["failed"], json!(null));
    assert_eq!(system["limits"]["component_bytes"], 32 * 1024 * 1024);
}
