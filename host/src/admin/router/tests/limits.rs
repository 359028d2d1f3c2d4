//! What one organization's policies may take: within what the installation has, for that
//! organization alone, and in force at once.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::World;
use crate::policy::OrgLimits;

const LIMITS: &str = "/admin/v1/orgs/acme/policy-limits";

#[tokio::test]
async fn limits_are_set_shown_taken_back_and_kept() {
    let world = World::new();
    world.org("acme").await;
    world.org("beta").await;
    let usual = world.get(LIMITS).await;
    assert_eq!(
        usual["memory_bytes"],
        json!({"value": 67_108_864, "own": false, "most": 67_108_864})
    );
    let set = json!({"deadline_ms": 50, "memory_bytes": 1_048_576, "instances": 4});
    let shown = world.send("PUT", LIMITS, &set).await.body;
    assert_eq!(shown["instances"], json!({"value": 4, "own": true, "most": 192}));
    let world = world.restarted();
    assert_eq!(world.get(LIMITS).await, shown);
    assert_eq!(world.get("/admin/v1/orgs/beta/policy-limits").await, usual);
    world.send("PUT", LIMITS, &json!({})).await;
    assert_eq!(world.get(LIMITS).await, usual);
    let seen = world.plane.limited.lock().pop();
    assert_eq!(seen, Some(("acme".to_owned(), OrgLimits::default())));
}

#[tokio::test]
async fn nobody_gets_more_than_the_installation_has() {
    let world = World::new();
    world.org("acme").await;
    for (limits, field) in [
        (json!({"deadline_ms": 1_001}), "deadline_ms"),
        (json!({"deadline_ms": 0}), "deadline_ms"),
        (json!({"memory_bytes": 67_174_400}), "memory_bytes"),
        (json!({"memory_bytes": 1_048_577}), "memory_bytes"),
        (json!({"instances": 193}), "instances"),
        (json!({"instances": 0}), "instances"),
        (json!({"log_lines": 1_001}), "log_lines"),
        (json!({"state_bytes": 4_194_305}), "state_bytes"),
        (json!({"components": 4}), "components"),
        (json!({"threads": 4}), "threads"),
    ] {
        let refused = world.send("PUT", LIMITS, &limits).await;
        assert_eq!(refused.body["error"]["field"], field, "{limits}: {}", refused.body);
    }
    assert!(world.plane.limited.lock().is_empty());
}

#[tokio::test]
async fn uploads_and_bindings_are_held_to_them() {
    let world = World::new();
    world.org("acme").await;
    let set = json!({"deadline_ms": 5, "components": 1});
    assert!(world.send("PUT", LIMITS, &set).await.status.is_success());
    let limited = world.plane.limited.lock().pop().unwrap().1;
    assert_eq!(limited.deadline, Some(Duration::from_millis(5)));
    let upload = async |name: &str| {
        let path = format!("/admin/v1/orgs/acme/plugins?name={name}&version=1");
        world.send_bytes("POST", &path, b"ok route".to_vec()).await
    };
    assert!(upload("one").await.status.is_success());
    assert_eq!(upload("two").await.code(), "too_many_plugins");
    let bind =
        async |body: Value| world.send("PUT", "/admin/v1/orgs/acme/bindings/route", &body).await;
    let slow = bind(json!({"plugin": "one@1", "deadline_ms": 6})).await;
    assert_eq!(slow.body["error"]["field"], "deadline_ms", "{}", slow.body);
    let bound = bind(json!({"plugin": "one@1", "deadline_ms": 5, "instances": "warm"})).await;
    assert_eq!(bound.body["instances"], "warm", "{}", bound.body);
    assert_eq!(
        bind(json!({"plugin": "one@1", "deadline_ms": 5})).await.body["instances"],
        "automatic"
    );
    let bad = bind(json!({"plugin": "one@1", "deadline_ms": 5, "instances": "hot"})).await;
    assert_eq!(bad.body["error"]["field"], "instances");
}
