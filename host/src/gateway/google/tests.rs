//! Tokens from a server that is counted: one fetch for all, renewal behind the requests, failures
//! that are shared, and a fetch that is given up.

use std::sync::atomic::AtomicUsize;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use turnpike_protocol::base64;

use super::*;
use crate::upstream::{PoolLimits, Scheme};

/// Long enough for other requests to come and wait.
const ANSWER_AFTER: Duration = Duration::from_millis(100);

/// Gives out `token-1`, `token-2` … that live so many seconds; with a status of failure, none.
async fn server(status: &'static str, life_s: u64) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    Tasks::default().spawn("tokens", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let mut request = vec![0; 16 << 10];
            let read = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            assert!(text.starts_with("POST /token HTTP/1.1\r\n"), "{text}");
            assert!(text.contains("grant-type%3Ajwt-bearer&assertion=ey"), "{text}");
            tokio::time::sleep(ANSWER_AFTER).await;
            let body = format!("{{\"access_token\":\"token-{number}\",\"expires_in\":{life_s}}}");
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    (port, asked)
}

/// Of an account whose key is made here.
fn tokens(port: u16) -> GoogleTokens {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let body = base64::encode(key.as_der().unwrap().as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let file = serde_json::json!({"client_email": "a@b.c", "private_key": pem});
    let account = ServiceAccount::parse(&Secret::new(file.to_string())).unwrap();
    let endpoint = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port };
    GoogleTokens::new(account, "https://t/token".to_owned(), endpoint, "/token".to_owned())
}

fn upstream() -> Upstream {
    Upstream::new(PoolLimits::default())
}

#[tokio::test]
async fn one_fetches_and_all_use_it() {
    let (port, asked) = server("200 OK", 3_599).await;
    let (tokens, upstream, tasks) = (tokens(port), upstream(), Tasks::default());
    let wanted = (0..8).map(|_| tokens.bearer(&upstream, &tasks));
    for bearer in futures_util::future::join_all(wanted).await {
        assert_eq!(bearer.unwrap().reveal(), "Bearer token-1");
    }
    assert_eq!(tokens.bearer(&upstream, &tasks).await.unwrap().reveal(), "Bearer token-1");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    tokens.forget();
    assert_eq!(tokens.bearer(&upstream, &tasks).await.unwrap().reveal(), "Bearer token-2");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_nobody_waits() {
    let (port, asked) = server("200 OK", 60).await;
    let (tokens, upstream, tasks) = (tokens(port), upstream(), Tasks::default());
    assert_eq!(tokens.bearer(&upstream, &tasks).await.unwrap().reveal(), "Bearer token-1");
    // It has less than five minutes left: the old one is used, and a new one is fetched meanwhile.
    assert_eq!(tokens.bearer(&upstream, &tasks).await.unwrap().reveal(), "Bearer token-1");
    assert_eq!(tokens.bearer(&upstream, &tasks).await.unwrap().reveal(), "Bearer token-1");
    tasks.idle().await;
    assert_eq!(asked.load(Ordering::SeqCst), 2, "one renewal, however many noticed");
    assert_eq!(tokens.bearer(&upstream, &tasks).await.unwrap().reveal(), "Bearer token-2");
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_wait() {
    for (status, refused) in [("401 Unauthorized", true), ("500 Internal Server Error", false)] {
        let (port, asked) = server(status, 0).await;
        let (tokens, upstream, tasks) = (tokens(port), upstream(), Tasks::default());
        let wanted = (0..4).map(|_| tokens.bearer(&upstream, &tasks));
        for bearer in futures_util::future::join_all(wanted).await {
            let error = bearer.unwrap_err();
            assert_eq!(matches!(error, TokenError::Refused(_)), refused, "{error:?}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{status}");
    }
}

#[tokio::test]
async fn a_fetch_that_is_given_up_is_taken_over() {
    let (port, asked) = server("200 OK", 3_599).await;
    let (tokens, upstream, tasks) = (tokens(port), upstream(), Tasks::default());
    // Its caller leaves in the middle.
    let soon = ANSWER_AFTER / 4;
    assert!(tokio::time::timeout(soon, tokens.bearer(&upstream, &tasks)).await.is_err());
    assert!(tokens.bearer(&upstream, &tasks).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_lease_is_no_longer_held_when_its_time_is_over() {
    let (port, _) = server("200 OK", 3_599).await;
    let tokens = tokens(port);
    let now_ms = clock::now_ms();
    let lost = Lease::take(&tokens.0, now_ms).ok().unwrap();
    assert!(Lease::take(&tokens.0, now_ms).is_err());
    let later = Lease::take(&tokens.0, now_ms + LEASE_MS + 1).ok().unwrap();
    // The one that was lost does not give back what another has.
    drop(lost);
    assert!(Lease::take(&tokens.0, now_ms + LEASE_MS + 2).is_err());
    drop(later);
    assert!(Lease::take(&tokens.0, now_ms).is_ok());
}
