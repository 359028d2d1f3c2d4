//! What of a backtest is decided before anything is replayed.

use http::StatusCode;
use serde_json::json;

use super::world::World;

const PLUGINS: &str = "/admin/v1/orgs/acme/plugins";

#[tokio::test]
async fn one_decision_is_replayed_and_the_report_is_shown_whole() {
    let world = World::new();
    world.org("acme").await;
    let path = format!("{PLUGINS}?name=both&version=1.0.0");
    world.send_bytes("POST", &path, b"ok route bill".to_vec()).await;
    let path = format!("{PLUGINS}/both/1.0.0/backtest");
    let which = world.send("POST", &path, &json!({})).await;
    assert_eq!(which.body["error"]["field"], "hook", "{}", which.body);
    let asked = world.send("POST", &path, &json!({"hook": "bill", "limit": 12})).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
    assert_eq!((&asked.body["hook"], &asked.body["requests"]), (&json!("bill"), &json!(12)));
    assert_eq!(asked.body["first_token"], json!(null), "a bill has none");
    let again = world.send("POST", &path, &json!({"hook": "route"})).await;
    assert_eq!((again.status, &again.body["requests"]), (StatusCode::OK, &json!(1_000)));
}
