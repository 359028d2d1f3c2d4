//! Grants: durable, brought to the data plane as a whole, and gone with the organization; and the
//! data plane is told of a plugin's end once its last version goes.

use http::StatusCode;
use serde_json::{Value, json};

use super::world::World;
use crate::policy::{Abilities, Ability};

const GRANTS: &str = "/admin/v1/orgs/acme/policy-grants";
const PLUGINS: &str = "/admin/v1/orgs/acme/plugins";

#[tokio::test]
async fn what_is_granted_is_kept_and_told() {
    let world = World::new();
    world.org("acme").await;
    assert_eq!(world.get(GRANTS).await["imports"], json!([]));
    let put = world.send("PUT", GRANTS, &json!({"imports": ["state", "clock", "state"]})).await;
    assert_eq!((put.status, &put.body["imports"]), (StatusCode::OK, &json!(["state", "clock"])));
    let granted: Abilities = [Ability::State, Ability::Clock].into_iter().collect();
    assert_eq!(*world.plane.granted.lock(), [("acme".to_owned(), Some(granted))]);
    world.send("PATCH", "/admin/v1/orgs/acme", &json!({"name": "Acme Ltd"})).await;
    let world = world.restarted();
    assert_eq!(world.get(GRANTS).await["imports"], json!(["state", "clock"]));
    world.send("PUT", GRANTS, &json!({"imports": []})).await;
    assert_eq!(world.get(GRANTS).await["imports"], json!([]));
}

#[tokio::test]
async fn what_can_not_be_granted_is_named_and_changes_nothing() {
    let world = World::new();
    world.org("acme").await;
    for (body, field) in [
        (json!({"imports": ["state", "disk"]}), "imports.1"),
        (json!({"imports": ["fetch"]}), "fetch_hosts"),
        (json!({"imports": ["state"], "fetch_hosts": ["a.example"]}), "fetch_hosts"),
        (json!({"imports": ["fetch"], "fetch_hosts": ["a.example", "*.com"]}), "fetch_hosts.1"),
        (json!({"imports": ["STATE"]}), "imports.0"),
    ] {
        let refused = world.send("PUT", GRANTS, &body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        assert_eq!(refused.body["error"]["field"], field, "{}", refused.body);
    }
    for body in [json!({}), json!({"imports": ["state"], "hosts": []})] {
        assert!(world.send("PUT", GRANTS, &body).await.status.is_client_error());
    }
    let nobody = "/admin/v1/orgs/nobody/policy-grants";
    let missing = world.send("PUT", nobody, &json!({"imports": []})).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(GRANTS).await["imports"], json!([]));
    assert!(world.plane.granted.lock().is_empty());
}

#[tokio::test]
async fn the_end_of_a_plugin_and_of_an_organization_is_told() {
    let world = World::new();
    world.org("acme").await;
    for version in ["1.0.0", "2.0.0"] {
        let path = format!("{PLUGINS}?name=mine&version={version}");
        let bytes = format!("ok classify {version}").into_bytes();
        assert_eq!(world.send_bytes("POST", &path, bytes).await.status, StatusCode::CREATED);
    }
    let delete = async |version: &str| {
        let path = format!("{PLUGINS}/mine/{version}");
        let gone = world.send("DELETE", &path, &Value::Null).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
        world.plane.deleted.lock().clone()
    };
    assert!(delete("1.0.0").await.is_empty(), "another version is left");
    assert_eq!(delete("2.0.0").await, ["acme/mine"]);
    let gone = world.send("DELETE", "/admin/v1/orgs/acme", &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    assert_eq!(*world.plane.granted.lock(), [("acme".to_owned(), None)]);
}
