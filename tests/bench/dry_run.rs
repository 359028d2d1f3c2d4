//! How long `POST /v1/route` takes over many candidates: one connection, one call at a time, each
//! answer checked. No nginx beside it, because nginx has nothing like it: the figure is a time.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::clock::Stopwatch;
use crate::wire::Connection;

/// Candidates that are scored.
pub(crate) const CANDIDATES: usize = 200;
/// Calls before those that count.
const WARM_UP: usize = 200;

/// Measures `calls` calls; what the table says of them.
pub(crate) fn measure(address: SocketAddr, key: &str, calls: usize) -> Result<String> {
    let body = "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\
                \"Write a function that returns the first duplicate of a list.\"}]}";
    let request = format!(
        "POST /v1/route HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(address)?;
    let mut took_us = Vec::with_capacity(calls);
    for call in 0..calls.saturating_add(WARM_UP) {
        let watch = Stopwatch::start();
        let (status, answer) = connection.exchange(request.as_bytes())?;
        let us = watch.micros();
        ensure!(status == 200, "status {status}");
        if call == 0 {
            check(answer)?;
        }
        if call >= WARM_UP {
            took_us.push(us);
        }
    }
    took_us.sort_unstable();
    let at = |share: usize| took_us.get(took_us.len() * share / 100).copied().unwrap_or(0);
    let (middle, tail) = (at(50), at(99));
    Ok(format!("POST /v1/route, {CANDIDATES} candidates: p50 {middle} µs, p99 {tail} µs\n"))
}

fn check(answer: &[u8]) -> Result<()> {
    let answer: Value = serde_json::from_slice(answer).context("the answer is no JSON")?;
    let candidates = answer.get("candidates").and_then(Value::as_array).context("candidates")?;
    let scored =
        candidates.iter().filter(|one| one.get("score").is_some_and(Value::is_number)).count();
    ensure!(scored >= CANDIDATES, "{scored} candidates are scored");
    ensure!(answer.pointer("/plan/0").is_some_and(Value::is_string), "there is no plan");
    Ok(())
}
