//! Aliases: durable, in force at once, checked against what can be asked for, gone with their
//! organization.

use http::StatusCode;
use serde_json::{Value, json};

use super::world::World;

const ALIASES: &str = "/admin/v1/orgs/acme/aliases";

async fn put(world: &World, name: &str, model: &str) -> (StatusCode, Value) {
    let put = world.send("PUT", &format!("{ALIASES}/{name}"), &json!({"model": model})).await;
    (put.status, put.body)
}

#[tokio::test]
async fn a_name_is_kept_and_in_force() {
    let world = World::new();
    world.org("acme").await;
    assert_eq!(world.get(ALIASES).await["items"], json!([]));
    assert_eq!(put(&world, "Writer", "openai/gpt-5.4").await.0, StatusCode::CREATED);
    assert_eq!(put(&world, "quick", "auto:fast").await.0, StatusCode::CREATED);
    assert_eq!(put(&world, "writer", "openai/gpt-5.4-mini").await.0, StatusCode::OK);
    let writer = json!({"name": "writer", "model": "openai/gpt-5.4-mini"});
    let quick = json!({"name": "quick", "model": "auto:fast"});
    assert_eq!(world.get(ALIASES).await["items"], json!([quick, writer]));
    assert_eq!(world.get(&format!("{ALIASES}/WRITER")).await, writer);
    let world = world.restarted();
    assert_eq!(world.get(ALIASES).await["items"], json!([quick, writer]));
    let gone = world.send("DELETE", &format!("{ALIASES}/writer"), &json!({})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let again = world.send("DELETE", &format!("{ALIASES}/writer"), &json!({})).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(ALIASES).await["items"], json!([quick]));
}

#[tokio::test]
async fn what_could_never_be_asked_for_is_refused_with_what_was_meant() {
    let world = World::new();
    world.org("acme").await;
    put(&world, "writer", "openai/gpt-5.4").await;
    for (name, model, field, said) in [
        ("auto", "openai/gpt-5.4", "name", "auto"),
        ("auto:mine", "openai/gpt-5.4", "name", "profiles"),
        ("with%20space", "openai/gpt-5.4", "name", "alias"),
        ("typo", "openai/gpt-5,4", "model", "openai/gpt-5.4"),
        ("chain", "writer", "model", "another alias"),
    ] {
        let (status, body) = put(&world, name, model).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {body}");
        assert_eq!(body["error"]["field"], field, "{name}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(said), "{name}: {body}");
    }
    let nobody = "/admin/v1/orgs/nobody/aliases/x";
    let missing = world.send("PUT", nobody, &json!({"model": "auto"})).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(ALIASES).await["items"].as_array().map(Vec::len), Some(1));
}
