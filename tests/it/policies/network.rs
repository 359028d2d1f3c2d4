//! The network of policies, over real sockets: who is not named, or is at a private address, never
//! sees a connection.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use turnpike_tests::{ORG, Setup, Stage, asking_policy, chat};

/// A server that answers everything with a redirect, and counts its connections.
fn redirecting() -> Result<(u16, Arc<AtomicUsize>)> {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let answer = b"HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 2\r\n\r\nhi";
            if stream.read(&mut request).is_ok() {
                drop(stream.write_all(answer));
            }
        }
    });
    Ok((port, seen))
}

/// An installation whose policies may ask these private places, and an organization that may ask
/// `host` and has a policy that asks `url`.
async fn asking(private: &str, host: &str, url: &str) -> Result<Stage> {
    let more_config = format!("[policy]\nfetch_private = [{private}]\n");
    let stage = Stage::open_with(Setup { more_config, ..Setup::default() }).await?;
    let grant = json!({ "imports": ["fetch"], "fetch_hosts": [host] });
    let path = format!("/orgs/{ORG}/policy-grants");
    stage.operate(Method::PUT, &path, Some(&grant)).await?.expect_status(200)?;
    stage.upload("asks", "0.1.0", asking_policy(url)?).await?.expect_status(201)?;
    stage.bind("classify", &json!({ "plugin": "asks@0.1.0" })).await?;
    Ok(stage)
}

/// The status that the policy saw, 0 for an error; and how often the request asked the network.
async fn seen_by_policy(stage: &Stage) -> Result<(f64, u64)> {
    let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    let status = explanation["task"]["difficulty"].as_f64().context("a number")? * 1_000.0;
    Ok((status.round(), explanation["timing"]["policy_fetches"].as_u64().unwrap_or(0)))
}

#[tokio::test]
async fn a_place_that_the_operator_names_is_asked_and_its_redirect_is_not_followed() -> Result<()> {
    let (port, connections) = redirecting()?;
    let place = format!("127.0.0.1:{port}");
    let url = format!("http://{place}/list");
    let stage = asking(&format!("\"{place}\""), &place, &url).await?;
    assert_eq!(seen_by_policy(&stage).await?, (302.0, 1));
    assert_eq!(connections.load(Ordering::SeqCst), 1, "nobody went to /next");
    let metrics = stage.metrics().await?;
    let counted =
        format!("turnpike_policy_fetches_total{{organization=\"{ORG}\",plugin=\"asks\"}} 1");
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    // Withdrawn, the very next request's policy has none.
    let path = format!("/orgs/{ORG}/policy-grants");
    let none = json!({ "imports": [] });
    stage.operate(Method::PUT, &path, Some(&none)).await?.expect_status(200)?;
    seen_by_policy(&stage).await?;
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    Ok(())
}

#[tokio::test]
async fn a_private_address_is_refused_after_its_name_is_resolved() -> Result<()> {
    let (port, connections) = redirecting()?;
    for (host, scheme) in [("127.0.0.1", "https"), ("localhost", "https"), ("127.0.0.1", "http")] {
        let place = format!("{host}:{port}");
        let stage = asking("", &place, &format!("{scheme}://{place}/")).await?;
        assert_eq!(seen_by_policy(&stage).await?.0, 0.0, "{scheme}://{place}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0, "no connection was made");
    Ok(())
}
