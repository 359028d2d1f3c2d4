//! A key that gets another secret stays the same key, and its old secrets end when they should.

use http::StatusCode;
use serde_json::{Value, json};

use super::world::World;
use crate::auth::AuthError;

const KEYS: &str = "/admin/v1/orgs/acme/keys";

/// A key's address and its secret.
async fn key(world: &World) -> (String, String) {
    world.org("acme").await;
    let budget = json!({"amount_usd": "5", "period": "day"});
    let body = json!({"name": "ci", "team": "build", "budget": budget, "limits": {"rpm": 9}});
    let made = world.send("POST", KEYS, &body).await;
    let id = made.body["id"].as_str().unwrap();
    (format!("{KEYS}/{id}"), made.body["key"].as_str().unwrap().to_owned())
}

/// The answer to a rotation, and the new secret.
async fn rotated(world: &World, path: &str, body: &Value) -> (Value, String) {
    let answer = world.send("POST", &format!("{path}/rotate"), body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let secret = answer.body["key"].as_str().unwrap().to_owned();
    (answer.body, secret)
}

#[tokio::test]
async fn a_rotated_key_is_the_same_key_and_its_old_secret_ends_at_once() {
    let world = World::new();
    let (path, first) = key(&world).await;
    let before = world.authenticate(&first).unwrap();
    let shown_before = world.get(&path).await;
    let (mut answer, second) = rotated(&world, &path, &json!(null)).await;
    assert_ne!(first, second);
    assert_eq!(world.authenticate(&first).unwrap_err(), AuthError::Rotated);
    let after = world.authenticate(&second).unwrap();
    assert_eq!((&after.key_id, &after.team), (&before.key_id, &before.team));
    assert_eq!(after.budgets.always[0].id, before.budgets.always[0].id, "the same counter");
    let (old, new) = (before.limits.as_ref().unwrap(), after.limits.as_ref().unwrap());
    let now_ms = crate::clock::now_ms();
    drop(crate::limits::admit(old, 0, now_ms).0.unwrap());
    let (_, standing) = crate::limits::admit(new, 0, now_ms);
    assert_eq!(standing.requests.unwrap().remaining, 7, "what was used before is used");

    assert_eq!(answer["prefix"].as_str(), second.get(..7));
    assert!(answer["rotated_at"].is_string() && answer["previous"].is_null(), "{answer}");
    for changed in ["prefix", "rotated_at", "key"] {
        answer[changed] = shown_before[changed].clone();
    }
    answer.as_object_mut().unwrap().shift_remove("key");
    assert_eq!(answer, shown_before, "nothing else changed");
    let shown = world.get(KEYS).await.to_string();
    assert!(!shown.contains(&first) && !shown.contains(&second), "{shown}");
}

#[tokio::test]
async fn an_old_secret_works_within_its_grace_until_the_next_rotation_or_until_it_is_ended() {
    let world = World::new();
    let (path, first) = key(&world).await;
    let (answer, second) = rotated(&world, &path, &json!({"grace_seconds": 3600})).await;
    assert_eq!(answer["previous"]["prefix"].as_str(), first.get(..7), "{answer}");
    assert!(answer["previous"]["works_until"].is_string());
    let of = |secret: &str| world.authenticate(secret).map(|caller| caller.key_id.to_string());
    assert_eq!(of(&first), of(&second));
    assert!(of(&first).is_ok());

    // What holds for the key holds for each of its secrets.
    world.send("PATCH", &path, &json!({"disabled": true})).await;
    assert_eq!([of(&first), of(&second)], [Err(AuthError::Disabled), Err(AuthError::Disabled)]);
    world.send("PATCH", &path, &json!({"disabled": false})).await;

    let (_, third) = rotated(&world, &path, &json!({"grace_seconds": 60})).await;
    assert_eq!(of(&first), Err(AuthError::Rotated), "only the latest goes on");
    assert!(of(&second).is_ok() && of(&third).is_ok());

    let ended = world.send("PATCH", &path, &json!({"previous": null})).await;
    assert!(ended.body["previous"].is_null(), "{}", ended.body);
    assert_eq!(of(&second), Err(AuthError::Rotated));
    assert!(of(&third).is_ok());
}

/// Clocks are corrected. That a secret no longer works was decided, and is no matter of time.
#[tokio::test]
async fn a_secret_that_was_ended_does_not_work_again_when_the_clock_is_put_back() {
    let world = World::new();
    let (path, first) = key(&world).await;
    let an_hour_ago = crate::clock::now_ms() - 3_600_000;
    let of = |secret: &str| world.authenticate_at(secret, an_hour_ago).map(|_| ());
    let (_, second) = rotated(&world, &path, &json!(null)).await;
    assert_eq!(of(&first), Err(AuthError::Rotated), "without a grace");
    let (_, third) = rotated(&world, &path, &json!({"grace_seconds": 60})).await;
    assert_eq!(of(&second), Ok(()), "within its grace");
    rotated(&world, &path, &json!({"grace_seconds": 60})).await;
    assert_eq!(of(&second), Err(AuthError::Rotated), "by the next rotation");
    world.send("PATCH", &path, &json!({"previous": null})).await;
    assert_eq!(of(&third), Err(AuthError::Rotated), "by a change of the key");
}

#[tokio::test]
async fn what_was_rotated_is_so_after_a_restart() {
    let world = World::new();
    let (path, first) = key(&world).await;
    let (_, second) = rotated(&world, &path, &json!({"grace_seconds": 0})).await;
    let (_, third) = rotated(&world, &path, &json!({"grace_seconds": 604_800})).await;
    let world = world.restarted();
    assert_eq!(world.authenticate(&first).unwrap_err(), AuthError::Rotated);
    assert!(world.authenticate(&second).is_ok() && world.authenticate(&third).is_ok());

    // Secrets of long ago are forgotten, not brought back to life.
    for _ in 0..5 {
        rotated(&world, &path, &json!({})).await;
    }
    assert_eq!(world.authenticate(&first).unwrap_err(), AuthError::Unknown);
    assert_eq!(world.authenticate(&third).unwrap_err(), AuthError::Unknown);
    world.send("DELETE", &path, &json!(null)).await;
    let all = world.directory.load().len();
    assert_eq!(all, 0);
}

#[tokio::test]
async fn a_rotation_that_means_nothing_is_refused_and_changes_nothing() {
    let world = World::new();
    let (path, first) = key(&world).await;
    let rotate = format!("{path}/rotate");
    for (body, field) in [
        (json!({"grace_seconds": 604_801}), "grace_seconds"),
        (json!({"grace_seconds": -1}), "grace_seconds"),
        (json!({"grace": 5}), "grace"),
    ] {
        let refused = world.send("POST", &rotate, &body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        assert_eq!(refused.body["error"]["field"], field, "{}", refused.body);
    }
    let odd = world.send("PATCH", &path, &json!({"previous": {"works_until": "2030"}})).await;
    assert_eq!(odd.body["error"]["field"], "previous", "{}", odd.body);
    let none = world.send("POST", &format!("{KEYS}/none/rotate"), &json!({})).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert!(world.authenticate(&first).is_ok());
}
