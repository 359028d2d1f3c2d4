//! Plugins and bindings: what is refused is neither stored nor visible, what is answered is both.

use http::StatusCode;
use serde_json::json;

use super::world::World;
use crate::store::Hook;

const PLUGINS: &str = "/admin/v1/orgs/acme/plugins";
const ROUTE: &str = "/admin/v1/orgs/acme/bindings/route";

async fn world() -> World {
    let world = World::new();
    world.org("acme").await;
    let path = format!("{PLUGINS}?name=router&version=1.0.0");
    let uploaded = world.send_bytes("POST", &path, b"ok route bill".to_vec()).await;
    assert_eq!(uploaded.status, StatusCode::CREATED, "{}", uploaded.body);
    world
}

#[tokio::test]
async fn an_upload_is_checked_stored_listed_and_deleted() {
    let world = world().await;
    let one = world.get(&format!("{PLUGINS}/router/1.0.0")).await;
    assert_eq!(one["interfaces"], json!(["route", "bill"]));
    assert_eq!(one["checks"][1]["detail"], "the component calls itself self-named@0.1.0");
    let digest = one["digest"].as_str().unwrap();
    assert_eq!(world.store.plugin_bytes(digest).unwrap(), b"ok route bill");
    let path = format!("{PLUGINS}?name=router&version=1.0.0");
    let again = world.send_bytes("POST", &path, b"ok route bill".to_vec()).await;
    assert_eq!(again.status, StatusCode::OK, "a repeat is no error");
    let other = world.send_bytes("POST", &path, b"ok route".to_vec()).await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "exists"));
    let own = world.send_bytes("POST", PLUGINS, b"ok classify".to_vec()).await;
    assert_eq!(own.body["name"], "self-named");
    let page = world.get(&format!("{PLUGINS}?limit=1")).await;
    assert_eq!(page["next"], "router@1.0.0");
    let page = world.get(&format!("{PLUGINS}?limit=1&after=router@1.0.0")).await;
    assert_eq!((&page["items"][0]["name"], &page["next"]), (&json!("self-named"), &json!(null)));
    let gone = world.send("DELETE", &format!("{PLUGINS}/router/1.0.0"), &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert!(world.store.plugin_bytes(digest).is_err());
}

#[tokio::test]
async fn a_refused_upload_tells_every_check_and_stores_nothing() {
    let world = world().await;
    let refused = world.send_bytes("POST", PLUGINS, b"MZ".to_vec()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "not_admitted"));
    let error = &refused.body["error"];
    assert!(error["message"].as_str().unwrap().contains("this is no component"), "{error}");
    assert_eq!(
        error["checks"][1],
        json!({"name": "component", "passed": false, "detail": "this is no component"})
    );
    let empty = world.send_bytes("POST", PLUGINS, Vec::new()).await;
    assert_eq!(empty.code(), "empty_body");
    let long = world.send_bytes("POST", PLUGINS, vec![b'o'; 33 * 1024 * 1024]).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let named = format!("{PLUGINS}?name=../x");
    let named = world.send_bytes("POST", &named, b"ok route".to_vec()).await;
    assert_eq!(named.body["error"]["field"], "name");
    assert_eq!(world.get(PLUGINS).await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_binding_is_visible_when_it_is_answered_and_gone_when_it_is_deleted() {
    let world = world().await;
    let before = world.get(ROUTE).await;
    assert_eq!((&before["builtin"], &before["plugin"]), (&json!(true), &json!(null)));
    let body = json!({"plugin": "router@1.0.0", "config": {"weights": [1.50]}, "deadline_ms": 15});
    let bound = world.send("PUT", ROUTE, &body).await;
    assert_eq!(bound.status, StatusCode::OK, "{}", bound.body);
    assert_eq!(bound.body["revision"], 1);
    let (org, seen) = world.plane.visible.lock().last().cloned().unwrap();
    assert_eq!((org.as_str(), seen.len(), seen[0].hook), ("acme", 1, Hook::Route));
    assert_eq!(seen[0].config.as_deref(), Some("{\"weights\":[1.5]}"));
    assert_eq!(world.store.bindings("acme").unwrap(), seen);
    let kept = world.send("DELETE", &format!("{PLUGINS}/router/1.0.0"), &json!(null)).await;
    assert_eq!((kept.status, kept.code()), (StatusCode::CONFLICT, "in_use"));
    let list = world.get("/admin/v1/orgs/acme/bindings").await;
    let builtin: Vec<bool> =
        list["items"].as_array().unwrap().iter().map(|one| one["builtin"] == true).collect();
    assert_eq!(builtin, [true, true, false, true], "in the order in which a request meets them");
    let world = world.restarted();
    assert_eq!(world.get(ROUTE).await["plugin"], "router@1.0.0");
    let gone = world.send("DELETE", ROUTE, &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(world.plane.visible.lock().last().unwrap().1, []);
    assert_eq!(world.send("DELETE", ROUTE, &json!(null)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.send("PUT", ROUTE, &body).await.body["revision"], 2);
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused_by_field_and_leaves_everything_as_it_was() {
    let world = world().await;
    let good = json!({"plugin": "router@1.0.0"});
    world.send("PUT", ROUTE, &good).await;
    let with = |field: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let cases = [
        (with("config", json!({"bad": true})), "config"),
        (with("mode", json!("shadow")), "mode"),
        (with("mode", json!("canary")), "mode"),
        (with("percent", json!(10)), "percent"),
        (with("on_failure", json!("open")), "on_failure"),
        (with("on_failure", json!("closed")), "on_failure"),
        (with("deadline_ms", json!(0)), "deadline_ms"),
        (with("deadline_ms", json!(1001)), "deadline_ms"),
        (with("plugin", json!("router")), "plugin"),
        (with("plugin", json!("router@2.0.0")), "plugin"),
        (with("timeout", json!(1)), "timeout"),
    ];
    for (body, field) in cases {
        let refused = world.send("PUT", ROUTE, &body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(refused.body["error"]["field"], field, "{}", refused.body);
    }
    let classify = "/admin/v1/orgs/acme/bindings/classify";
    let unable = world.send("PUT", classify, &good).await;
    assert_eq!(unable.body["error"]["field"], "plugin", "it serves route and bill only");
    let unknown = world.send("PUT", "/admin/v1/orgs/acme/bindings/hat", &good).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(world.plane.visible.lock().len(), 1);
    assert_eq!(world.get(ROUTE).await["revision"], 1);
}
