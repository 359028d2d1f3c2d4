//! Plugins and bindings: what is refused is neither stored nor visible, what is answered is both.

use http::StatusCode;
use serde_json::json;

use super::world::World;
use crate::store::{Hook, Scope};

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
async fn a_component_is_pulled_from_a_registry_and_says_where_from() {
    let world = World::new();
    world.org("acme").await;
    let reference = "registry.example/acme/policy@sha256:1";
    let pulled = world.send("POST", PLUGINS, &json!({"oci": reference})).await;
    assert_eq!(pulled.status, StatusCode::CREATED, "{}", pulled.body);
    assert_eq!(pulled.body["provenance"]["source"], reference);
    let shown = world.get(&format!("{PLUGINS}/self-named/0.1.0")).await;
    assert_eq!(shown["provenance"], pulled.body["provenance"], "it is kept");
    for (body, field) in [
        (json!({"oci": "registry.example/acme/policy:1.0"}), json!("oci")),
        (json!({"oci": 5}), json!("oci")),
    ] {
        let refused = world.send("POST", PLUGINS, &body).await;
        assert!(refused.status.is_client_error(), "{}", refused.body);
        assert_eq!(refused.body["error"]["field"], field, "{}", refused.body);
    }
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
    assert_eq!(seen[0].first.config.as_deref(), Some("{\"weights\":[1.5]}"));
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
        (with("config", json!({"bad": true})), "config/bad"),
        (with("mode", json!("shade")), "mode"),
        (with("mode", json!("canary")), "percent"),
        (with("scope", json!("key:x")), "scope"),
        (with("scope", json!("team:")), "scope"),
        (with("plugins", json!([{"plugin": "router@1.0.0"}])), "plugins"),
        (json!({"plugins": []}), "plugins"),
        (json!({"plugins": [good, good]}), "plugins"),
        (json!({"plugins": [{"plugin": "router@3"}]}), "plugins.0.plugin"),
        (json!({"plugins": [["router@1.0.0", {}]]}), "plugins.0"),
        (json!({"plugins": [good], "config": {}}), "config"),
        (json!({"mode": "active"}), "plugin"),
        (json!({"plugin": "router@1.0.0", "mode": "canary", "percent": 0}), "percent"),
        (json!({"plugin": "router@1.0.0", "mode": "shadow", "percent": 101}), "percent"),
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

#[tokio::test]
async fn components_are_counted_for_each_organization_and_for_all() {
    let world = world().await;
    let upload = async |org: &str, version: &str| {
        let path = format!("/admin/v1/orgs/{org}/plugins?name=router&version={version}");
        world.send_bytes("POST", &path, b"ok route bill".to_vec()).await
    };
    assert_eq!(upload("acme", "2.0.0").await.status, StatusCode::CREATED);
    let full = upload("acme", "3.0.0").await;
    assert_eq!((full.status, full.code()), (StatusCode::CONFLICT, "too_many_plugins"));
    assert!(full.body["error"]["message"].as_str().unwrap().contains("components_per_org"));
    assert_eq!(upload("acme", "2.0.0").await.status, StatusCode::OK, "it is there already");
    for org in ["beta", "gamma"] {
        world.org(org).await;
    }
    assert_eq!(upload("beta", "1.0.0").await.status, StatusCode::CREATED);
    let full = upload("gamma", "1.0.0").await;
    assert!(full.body["error"]["message"].as_str().unwrap().contains("policy.components)"));
    let figures = &world.get(&format!("{PLUGINS}/router/1.0.0")).await["figures"];
    assert_eq!(figures["fresh_us"], 40);
}

#[tokio::test]
async fn each_scope_and_mode_is_bound_and_removed_for_itself() {
    let world = world().await;
    let team = format!("{ROUTE}?scope=team:research");
    for body in [
        json!({"plugin": "router@1.0.0"}),
        json!({"plugin": "router@1.0.0", "mode": "canary", "percent": 10}),
        json!({"plugin": "router@1.0.0", "scope": "team:research", "deadline_ms": 7}),
        json!({"plugin": "router@1.0.0", "scope": "team:research", "mode": "shadow"}),
    ] {
        let bound = world.send("PUT", ROUTE, &body).await;
        assert_eq!(bound.status, StatusCode::OK, "{}", bound.body);
    }
    let shown = world.get(ROUTE).await;
    assert_eq!((&shown["revision"], &shown["canary"]["percent"]), (&json!(1), &json!(10)));
    assert_eq!(shown["canary"]["statistics"]["calls"], 2);
    assert_eq!((&shown["statistics"]["calls"], &shown["shadow"]), (&json!(1), &json!(null)));
    let of_team = world.get(&team).await;
    assert_eq!((&of_team["revision"], &of_team["deadline_ms"]), (&json!(3), &json!(7)));
    assert_eq!(of_team["shadow"]["scope"], "team:research");
    let scopes = world.store.bindings("acme").unwrap();
    let research = Scope::Team("research".to_owned());
    assert_eq!(scopes.iter().filter(|one| one.scope == research).count(), 2);
    let listed = world.get("/admin/v1/orgs/acme/bindings").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 5, "four hooks and a team's route");
    let gone = world.send("DELETE", &format!("{team}&mode=shadow"), &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let gone = world.send("DELETE", ROUTE, &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "active and canary together");
    let left = world.store.bindings("acme").unwrap();
    assert_eq!(left.iter().map(|one| one.revision).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn a_rollback_brings_earlier_revisions_back_step_by_step() {
    let world = world().await;
    let rollback = format!("{ROUTE}/rollback");
    let none = world.send("POST", &rollback, &json!(null)).await;
    assert_eq!((none.status, none.code()), (StatusCode::CONFLICT, "no_earlier_revision"));
    for deadline in [1, 2, 3] {
        let body = json!({"plugin": "router@1.0.0", "deadline_ms": deadline});
        assert_eq!(world.send("PUT", ROUTE, &body).await.body["revision"], deadline);
    }
    for (revision, restores) in [(4, 2), (5, 1)] {
        let back = world.send("POST", &rollback, &json!(null)).await;
        assert_eq!(
            (&back.body["revision"], &back.body["restores"]),
            (&json!(revision), &json!(restores))
        );
        assert_eq!(back.body["deadline_ms"], restores, "with all of its settings");
        let seen = world.plane.visible.lock().last().cloned().unwrap();
        assert_eq!((seen.1.len(), seen.1[0].revision), (1, revision), "visible at once");
    }
    assert_eq!(world.send("POST", &rollback, &json!(null)).await.code(), "no_earlier_revision");
    let third = world.send("POST", &rollback, &json!({"revision": 3})).await;
    assert_eq!(third.body["deadline_ms"], 3);
    let unknown = world.send("POST", &rollback, &json!({"revision": 77})).await;
    assert_eq!(unknown.body["error"]["field"], "revision");
    let history = world.get(ROUTE).await["history"].clone();
    let revisions: Vec<u64> =
        history.as_array().unwrap().iter().map(|one| one["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, [6, 5, 4, 3, 2, 1]);
    world.send("DELETE", ROUTE, &json!(null)).await;
    let back = world.send("POST", &rollback, &json!(null)).await;
    assert_eq!(
        (back.status, &back.body["deadline_ms"]),
        (StatusCode::OK, &json!(3)),
        "{}",
        back.body
    );
    world.send("DELETE", ROUTE, &json!(null)).await;
    world.send("DELETE", &format!("{PLUGINS}/router/1.0.0"), &json!(null)).await;
    let gone = world.send("POST", &rollback, &json!(null)).await;
    assert_eq!(gone.code(), "plugin_deleted");
}

#[tokio::test]
async fn a_change_of_what_was_not_seen_is_refused() {
    let world = world().await;
    let body = json!({"plugin": "router@1.0.0"});
    let put = async |tag: &str| world.send_if_match("PUT", ROUTE, &body, tag).await;
    let first = put("\"r0\"").await;
    assert_eq!((first.status, first.etag.as_str()), (StatusCode::OK, "\"r1\""));
    let late = put("\"r0\"").await;
    assert_eq!((late.status, late.code()), (StatusCode::PRECONDITION_FAILED, "changed"));
    assert!(late.body["error"]["message"].as_str().unwrap().contains("r1"));
    assert_eq!(put("\"r1\"").await.etag, "\"r2\"");
    assert_eq!(world.send("GET", ROUTE, &json!(null)).await.etag, "\"r2\"");
    let rollback = format!("{ROUTE}/rollback");
    for (method, path) in [("DELETE", ROUTE), ("POST", rollback.as_str())] {
        let late = world.send_if_match(method, path, &json!(null), "\"r1\"").await;
        assert_eq!(late.status, StatusCode::PRECONDITION_FAILED, "{method}");
    }
    let gone = world.send_if_match("DELETE", ROUTE, &json!(null), "*").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn several_scanners_are_bound_in_order() {
    let world = world().await;
    let path = format!("{PLUGINS}?name=names&version=1.0.0");
    world.send_bytes("POST", &path, b"ok redact".to_vec()).await;
    let redact = "/admin/v1/orgs/acme/bindings/redact";
    let body = json!({"plugins": [{"plugin": "names@1.0.0", "config": {"list": ["x"]}},
        {"plugin": "redact-default"}]});
    let bound = world.send("PUT", redact, &body).await;
    assert_eq!(bound.status, StatusCode::OK, "{}", bound.body);
    assert_eq!(bound.body["plugins"][1]["plugin"], "redact-default@0.1.0");
    assert_eq!(bound.body["plugins"][0]["config"], json!({"list": ["x"]}));
    let kept = world.send("DELETE", &format!("{PLUGINS}/names/1.0.0"), &json!(null)).await;
    assert_eq!(kept.code(), "in_use");
    let world = world.restarted();
    assert_eq!(world.get(redact).await["plugins"].as_array().unwrap().len(), 2);
}

/// A model is asked for in any case: what is bound to it is bound once.
#[tokio::test]
async fn a_binding_of_a_model_is_one_in_whatever_case_its_name_is_written() {
    let world = world().await;
    for (name, percent) in [("GPT-5.4", 1), ("gpt-5.4", 2)] {
        let body = json!({"plugin": "router@1.0.0", "scope": format!("alias:{name}"),
            "config": {"n": percent}});
        let put = world.send("PUT", ROUTE, &body).await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.body);
        assert_eq!(put.body["scope"], "alias:gpt-5.4");
    }
    assert_eq!(world.store.bindings("acme").unwrap().len(), 1);
    let one = world.get(&format!("{ROUTE}?scope=alias:Gpt-5.4")).await;
    assert_eq!(one["config"], json!({"n": 2}), "{one}");
    let path = format!("{ROUTE}?scope=alias:GPT-5.4");
    let gone = world.send("DELETE", &path, &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    assert!(world.store.bindings("acme").unwrap().is_empty());
}
