//! The client against scripted servers on raw sockets.

mod compressed;
mod framing;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;

use super::{
    Endpoint, ErrorKind, Phase, PoolLimits, RequestHead, Response, STALE_WITHIN, Scheme, Timeouts,
    TransportError, Upstream,
};

const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
};
const POST: RequestHead<'static> =
    RequestHead { method: "POST", path: "/v1/chat/completions", headers: &[] };

/// A server that runs `script` on every connection, in turn, and counts them.
struct Scripted {
    endpoint: Endpoint,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    fn start(mut script: impl FnMut(usize, TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                script(seen.fetch_add(1, Ordering::SeqCst), stream);
            }
        });
        let endpoint = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port };
        Self { endpoint, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads one request; `None` when the client has hung up.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(head + std::str::from_utf8(&body).unwrap())
}

fn client() -> Upstream {
    Upstream::new(PoolLimits::default())
}

async fn post(client: &Upstream, to: &Endpoint) -> Result<Response, TransportError> {
    client.send(to, &POST, Bytes::from_static(b"{}"), &PATIENT).await
}

async fn text(response: &mut Response) -> String {
    let body = response.body.collect(1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn head_and_body_arrive_as_written_with_host_and_length() {
    let (told, heard) = mpsc::channel();
    let server = Scripted::start(move |_, mut stream| {
        told.send(read_request(&mut stream).unwrap()).unwrap();
        stream.write_all(OK).unwrap();
    });
    let head = RequestHead {
        method: "POST",
        path: "/v1/x?y=1",
        headers: &[("authorization", "Bearer k"), ("X-Order", "kept")],
    };
    let body = Bytes::from_static(b"{\"a\":1}");
    let mut response = client().send(&server.endpoint, &head, body, &PATIENT).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(text(&mut response).await, "ok");
    let port = server.endpoint.port;
    let expected = format!(
        "POST /v1/x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer k\r\n\
         X-Order: kept\r\naccept-encoding: identity\r\ncontent-length: 7\r\n\r\n{{\"a\":1}}"
    );
    assert_eq!(heard.recv().unwrap(), expected);
}

#[tokio::test]
async fn a_body_larger_than_every_buffer_arrives_whole() {
    let (told, heard) = mpsc::channel();
    let server = Scripted::start(move |_, mut stream| {
        let request = read_request(&mut stream).unwrap();
        told.send(request.len()).unwrap();
        let long = "b".repeat(3 << 20);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", long.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(long.as_bytes()).unwrap();
    });
    let body = Bytes::from(vec![b'a'; 5 << 20]);
    let mut response = client().send(&server.endpoint, &POST, body, &PATIENT).await.unwrap();
    let answer = response.body.collect(4 << 20).await.unwrap();
    assert!(heard.recv().unwrap() > 5 << 20);
    assert_eq!(answer.len(), 3 << 20);
    assert!(answer.iter().all(|byte| *byte == b'b'));
}

#[tokio::test]
async fn what_could_end_a_line_or_double_a_credential_is_refused() {
    let nowhere = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port: 9 };
    let bad: [&[(&str, &str)]; 6] = [
        &[("x", "a\r\nevil: 1")],
        &[("x y", "a")],
        &[("Host", "elsewhere")],
        &[("transfer-encoding", "chunked")],
        &[("content-length", "3")],
        &[("authorization", "Bearer ours"), ("Authorization", "Bearer the caller's")],
    ];
    for headers in bad {
        let head = RequestHead { method: "POST", path: "/", headers };
        let failed = client().send(&nowhere, &head, Bytes::new(), &PATIENT).await;
        assert_eq!(failed.unwrap_err().kind, ErrorKind::Request, "{headers:?}");
    }
    for path in ["", "no-slash", "/a b", "/a\r\nx: y"] {
        let head = RequestHead { method: "POST", path, headers: &[] };
        let failed = client().send(&nowhere, &head, Bytes::new(), &PATIENT).await;
        assert_eq!(failed.unwrap_err().kind, ErrorKind::Request, "{path:?}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_body_read_to_its_end() {
    let server = Scripted::start(|_, mut stream| {
        while read_request(&mut stream).is_some() {
            stream.write_all(OK).unwrap();
        }
    });
    let client = client();
    for _ in 0..3 {
        let mut response = post(&client, &server.endpoint).await.unwrap();
        assert_eq!(text(&mut response).await, "ok");
        assert_eq!(client.idle_connections(), 1);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn connection_close_is_honoured() {
    let server = Scripted::start(|_, mut stream| {
        read_request(&mut stream).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).unwrap();
    });
    let client = client();
    for _ in 0..2 {
        let mut response = post(&client, &server.endpoint).await.unwrap();
        assert_eq!(text(&mut response).await, "ok");
    }
    assert_eq!(server.connections(), 2);
    assert_eq!(client.idle_connections(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_dropped_when_its_time_is_over() {
    let server = Scripted::start(|_, mut stream| {
        std::thread::spawn(move || {
            while read_request(&mut stream).is_some() {
                stream.write_all(OK).unwrap();
            }
        });
    });
    let limits = PoolLimits { idle_per_endpoint: 4, idle_for: Duration::ZERO };
    let client = Upstream::new(limits);
    for _ in 0..2 {
        text(&mut post(&client, &server.endpoint).await.unwrap()).await;
    }
    assert_eq!(server.connections(), 2);
    client.sweep();
    assert_eq!(client.idle_connections(), 0);
}

#[tokio::test]
async fn the_pool_is_bounded() {
    let server = Scripted::start(|_, mut stream| {
        std::thread::spawn(move || {
            while read_request(&mut stream).is_some() {
                stream.write_all(OK).unwrap();
            }
        });
    });
    let limits = PoolLimits { idle_per_endpoint: 2, idle_for: Duration::from_secs(60) };
    let client = Upstream::new(limits);
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(post(&client, &server.endpoint).await.unwrap());
    }
    for mut response in open {
        text(&mut response).await;
    }
    assert_eq!(server.connections(), 4);
    assert_eq!(client.idle_connections(), 2);
}

#[test]
fn a_connection_stays_with_the_runtime_that_opened_it() {
    let server = Scripted::start(|_, mut stream| {
        std::thread::spawn(move || {
            while read_request(&mut stream).is_some() {
                stream.write_all(OK).unwrap();
            }
        });
    });
    let client = client();
    let runtimes: Vec<_> = (0..2)
        .map(|_| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap())
        .collect();
    for _ in 0..2 {
        for runtime in &runtimes {
            runtime.block_on(async {
                text(&mut post(&client, &server.endpoint).await.unwrap()).await;
            });
        }
    }
    assert_eq!(server.connections(), 2);
    assert_eq!(client.idle_connections(), 2);
}

/// The first connection answers once and hangs up when the second request has come.
fn stale_server(last_words: &'static [u8]) -> Scripted {
    Scripted::start(move |number, mut stream| {
        read_request(&mut stream).unwrap();
        stream.write_all(OK).unwrap();
        if number == 0 {
            read_request(&mut stream).unwrap();
            stream.write_all(last_words).unwrap();
            stream.shutdown(Shutdown::Both).unwrap();
        }
    })
}

#[tokio::test]
async fn a_stale_pooled_connection_costs_one_retry() {
    let server = stale_server(b"");
    let client = client();
    for _ in 0..2 {
        assert_eq!(text(&mut post(&client, &server.endpoint).await.unwrap()).await, "ok");
    }
    assert_eq!(server.connections(), 2);
}

/// What a provider may have worked on is not asked for, and paid, twice.
#[tokio::test]
async fn a_pooled_connection_that_hangs_up_late_is_not_stale() {
    let server = Scripted::start(|number, mut stream| {
        read_request(&mut stream).unwrap();
        stream.write_all(OK).unwrap();
        if number == 0 {
            read_request(&mut stream).unwrap();
            std::thread::sleep(STALE_WITHIN + Duration::from_millis(200));
            stream.shutdown(Shutdown::Both).unwrap();
        }
    });
    let client = client();
    assert_eq!(text(&mut post(&client, &server.endpoint).await.unwrap()).await, "ok");
    let failed = post(&client, &server.endpoint).await.unwrap_err();
    assert_eq!((failed.kind, server.connections()), (ErrorKind::Closed, 1));
}

/// Pitfalls 46 and 49: what a provider may have begun to answer is never sent again.
#[tokio::test]
async fn nothing_is_retried_once_a_byte_has_come_back() {
    for last_words in [b"HTTP/1.1 2".as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n"] {
        let server = stale_server(last_words);
        let client = client();
        assert_eq!(text(&mut post(&client, &server.endpoint).await.unwrap()).await, "ok");
        let failed = post(&client, &server.endpoint).await.unwrap_err();
        assert_eq!(failed.kind, ErrorKind::Closed);
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_fresh_connection_that_hangs_up_is_not_retried() {
    let server = Scripted::start(|_, mut stream| {
        read_request(&mut stream).unwrap();
    });
    let failed = post(&client(), &server.endpoint).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Closed);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_early_refusal_of_a_long_body_is_heard() {
    let server = Scripted::start(|_, mut stream| {
        let mut some = [0; 512];
        stream.read_exact(&mut some).unwrap();
        let answer = b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
        // Takes in the rest, so that the answer is not lost in a reset.
        stream.shutdown(Shutdown::Write).unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    });
    let body = Bytes::from(vec![b'a'; 1 << 20]);
    let response = client().send(&server.endpoint, &POST, body, &PATIENT).await.unwrap();
    assert_eq!(response.status, 413);
}

#[tokio::test]
async fn dropping_a_body_before_its_end_closes_the_connection() {
    let (told, heard) = mpsc::channel();
    let server = Scripted::start(move |_, mut stream| {
        read_request(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
        let mut byte = [0];
        told.send(matches!(stream.read(&mut byte), Ok(0) | Err(_))).unwrap();
    });
    let client = client();
    let mut response = post(&client, &server.endpoint).await.unwrap();
    assert_eq!(response.body.read().await.unwrap().unwrap(), "half");
    assert!(!response.body.is_complete());
    drop(response);
    assert!(heard.recv().unwrap(), "the server saw the end of the connection");
    assert_eq!(client.idle_connections(), 0);
}

#[tokio::test]
async fn silence_is_a_timeout_that_names_its_phase() {
    let server = Scripted::start(|number, mut stream| {
        std::thread::spawn(move || {
            read_request(&mut stream).unwrap();
            if number == 1 {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
            }
            let mut byte = [0];
            drop(stream.read(&mut byte));
        });
    });
    let short = Duration::from_millis(50);
    let client = client();
    let hasty = Timeouts { first_byte: short, idle: short, ..PATIENT };
    let failed = client.send(&server.endpoint, &POST, Bytes::new(), &hasty).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Timeout(Phase::FirstByte));
    let hasty = Timeouts { idle: short, ..PATIENT };
    let mut response = client.send(&server.endpoint, &POST, Bytes::new(), &hasty).await.unwrap();
    assert_eq!(response.body.read().await.unwrap().unwrap(), "half");
    let failed = response.body.read().await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Timeout(Phase::Idle));
    assert_eq!(response.body.read().await.unwrap_err().kind, ErrorKind::Closed);
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let to = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port };
    assert_eq!(post(&client(), &to).await.unwrap_err().kind, ErrorKind::Connect);
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_error_and_gets_no_request() {
    let (told, heard) = mpsc::channel();
    let server = Scripted::start(move |_, mut stream| {
        let mut first = [0; 8];
        stream.read_exact(&mut first).unwrap();
        told.send(first).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let to = Endpoint { scheme: Scheme::Https, ..server.endpoint.clone() };
    let failed = post(&client(), &to).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Tls);
    // A machine without trusted roots says so before it says anything to the server.
    if let Ok(first) = heard.recv_timeout(Duration::from_secs(5)) {
        assert_eq!(first[0], 0x16, "a TLS handshake and not a request");
    }
}

#[test]
fn the_client_runs_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let (client, body) = (client(), Bytes::new());
    let to = Endpoint { scheme: Scheme::Http, host: "127.0.0.1".into(), port: 9 };
    is_send(&client.send(&to, &POST, body, &PATIENT));
}
