//! Usage as files: what is not all there is refused, by either address, and what will do is said.

use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::world::World;
use crate::clock;

const HOUR_MS: u64 = 3_600_000;
const FILES: [&str; 2] = ["usage.csv", "usage/focus.csv"];

fn full_hour(at_ms: u64) -> u64 {
    at_ms - at_ms % HOUR_MS
}

/// The address of a file with these ends, in milliseconds since the Unix epoch.
fn path(file: &str, from_ms: u64, to_ms: u64) -> String {
    let [from, to] = [from_ms, to_ms].map(clock::rfc3339);
    format!("/admin/v1/orgs/acme/{file}?from={from}&to={to}")
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}

/// What is still to come, and what is still under way, would never be in a file that was imported.
#[tokio::test]
async fn a_file_ends_before_anything_that_may_still_change() {
    let world = World::new();
    world.org("acme").await;
    world.record("acme", "openai/gpt", 1_500_000);
    let hour_ms = full_hour(clock::now_ms());
    let running = world.begin("acme", hour_ms - 2 * HOUR_MS);
    for file in FILES {
        for to_ms in [hour_ms + 48 * HOUR_MS, hour_ms - HOUR_MS] {
            let asked = path(file, hour_ms - 9 * HOUR_MS, to_ms);
            let refused = world.send("GET", &asked, &json!(null)).await;
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            assert_eq!((refused.status, refused.code()), (status, "incomplete"), "{asked}");
            let error = &refused.body["error"];
            let complete_to = clock::rfc3339(hour_ms - 2 * HOUR_MS);
            assert_eq!(
                (&error["field"], &error["complete_to"]),
                (&json!("to"), &json!(complete_to))
            );
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(&format!("to={complete_to} would do")), "{message}");

            let (status, headers, _) = world.file(&format!("{asked}&partial=true")).await;
            assert_eq!(status, StatusCode::OK, "{asked}");
            assert_eq!(header(&headers, "x-turnpike-complete-to"), complete_to);
            assert_eq!(header(&headers, "x-turnpike-left-out"), "0");
            for name in ["complete-from", "detailed-from", "told-apart-from"] {
                let name = format!("x-turnpike-{name}");
                assert_eq!(header(&headers, &name), "1970-01-01T00:00:00Z", "{name}");
            }
        }
        let (status, _, text) =
            world.file(&path(file, hour_ms - 9 * HOUR_MS, hour_ms - 3 * HOUR_MS)).await;
        assert_eq!((status, text.lines().count()), (StatusCode::OK, 1), "{text}");
    }
    drop(running);
    for file in FILES {
        let asked = path(file, hour_ms - 9 * HOUR_MS, hour_ms - HOUR_MS);
        assert_eq!(world.file(&asked).await.0, StatusCode::OK, "{asked}");
    }
}

/// A file that says no end has what will not change: the next one goes on from there.
#[tokio::test]
async fn without_an_end_a_file_has_the_hours_that_are_complete() {
    let world = World::new();
    world.org("acme").await;
    // Whatever the time is, this hour is not over.
    let _running = world.begin("acme", clock::now_ms());
    world.record("acme", "openai/gpt", 1_500_000);
    for file in FILES {
        let path = format!("/admin/v1/orgs/acme/{file}");
        let (status, headers, text) = world.file(&path).await;
        assert_eq!((status, text.lines().count()), (StatusCode::OK, 1), "it is of now: {text}");
        assert!(header(&headers, "x-turnpike-complete-to").ends_with(":00:00Z"));
        let (status, _, text) = world.file(&format!("{path}?partial=true")).await;
        assert_eq!((status, text.lines().count()), (StatusCode::OK, 2), "{text}");
    }
}

/// A timer that goes on from the last file, and says no end, hears that it has to wait: nothing is
/// wrong with where it begins.
#[tokio::test]
async fn a_file_that_goes_on_from_what_is_complete_has_to_wait() {
    let world = World::new();
    world.org("acme").await;
    let hour_ms = full_hour(clock::now_ms());
    let since_ms = hour_ms - 3 * HOUR_MS;
    let running = world.begin("acme", since_ms);
    for file in FILES {
        for from_ms in [since_ms, since_ms + HOUR_MS, hour_ms + 24 * HOUR_MS] {
            let from = clock::rfc3339(from_ms);
            let asked = format!("/admin/v1/orgs/acme/{file}?from={from}");
            let refused = world.send("GET", &asked, &json!(null)).await;
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            assert_eq!((refused.status, refused.code()), (status, "incomplete"), "{asked}");
            let error = &refused.body["error"];
            let complete_to = json!(clock::rfc3339(since_ms));
            assert_eq!((&error["field"], &error["complete_to"]), (&json!("to"), &complete_to));
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("try again later"), "{message}");
        }
    }
    drop(running);
    for file in FILES {
        let from = clock::rfc3339(since_ms);
        let asked = format!("/admin/v1/orgs/acme/{file}?from={from}");
        assert_eq!(world.file(&asked).await.0, StatusCode::OK, "{asked}");
    }
}

/// Two files that meet within an hour would both have all of it.
#[tokio::test]
async fn a_file_that_begins_or_ends_within_an_hour_is_refused() {
    let world = World::new();
    world.org("acme").await;
    let hour_ms = full_hour(clock::now_ms()) - 5 * HOUR_MS;
    for file in FILES {
        for (from_ms, to_ms, field) in [
            (hour_ms - HOUR_MS / 2, hour_ms + HOUR_MS, "from"),
            (hour_ms - HOUR_MS, hour_ms - HOUR_MS / 2, "to"),
        ] {
            let asked = path(file, from_ms, to_ms);
            let refused = world.send("GET", &asked, &json!(null)).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{asked}");
            assert_eq!(refused.body["error"]["field"], field, "{}", refused.body);
            let message = refused.body["error"]["message"].as_str().unwrap();
            let would_do = format!("{field}={} would do", clock::rfc3339(hour_ms));
            assert!(message.contains(&would_do), "{message}");
            let (status, ..) = world.file(&format!("{asked}&partial=true")).await;
            assert_eq!(status, StatusCode::OK, "{asked}");
        }
    }
}
