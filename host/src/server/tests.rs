//! A connection over real sockets, whose client reads as it likes.

use bytes::Bytes;
use http_body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Answers everything with a stream that has no end; says when it is dropped.
struct Endless(watch::Sender<bool>);

struct Flood(watch::Sender<bool>);

impl http_body::Body for Flood {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 << 10])))))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl Service for Endless {
    async fn call(self: &Arc<Self>, _: Request<Incoming>) -> Response<GatewayBody> {
        Response::new(GatewayBody::Stream(Box::pin(Flood(self.0.clone()))))
    }
}

/// Takes bodies of 1000 bytes, and says what it says of larger ones.
struct Small;

impl Service for Small {
    async fn call(self: &Arc<Self>, request: Request<Incoming>) -> Response<GatewayBody> {
        let awaits = request.headers().contains_key("expect");
        match crate::ingress::read(request.into_body(), 1_000, awaits).await {
            Ok(_) => Response::new(GatewayBody::whole(Bytes::new())),
            Err(refusal) => {
                crate::egress::refuse(&refusal, turnpike_protocol::Dialect::OpenAiChat, "id")
            }
        }
    }
}

/// Clients that are still sending when the connection closes report that, and never read why.
#[tokio::test]
async fn a_client_with_too_large_a_body_reads_why() {
    const BODY: usize = 24 << 20;
    let (stop, stopped) = watch::channel(false);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let options = Options {
        workers: 1,
        connections: 16,
        drain: Duration::from_millis(100),
        write_idle: Duration::from_secs(9),
        tasks: Tasks::default(),
        last_call: LastCall::default(),
    };
    let plane = serve(&Arc::new(Small), listener, &options, &stopped).unwrap();
    for head in [format!("content-length: {BODY}"), "transfer-encoding: chunked".to_owned()] {
        let mut client = TcpStream::connect(at).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let chunked = head.contains("chunked");
        if chunked {
            client.write_all(format!("{BODY:x}\r\n").as_bytes()).await.unwrap();
        }
        client.write_all(&vec![b'x'; BODY]).await.expect("all of it is taken");
        if chunked {
            client.write_all(b"\r\n0\r\n\r\n").await.unwrap();
        }
        let mut told = vec![0; 12];
        client.read_exact(&mut told).await.unwrap();
        assert_eq!(told, b"HTTP/1.1 413");
    }
    // Who asks before sending is told at once.
    let mut client = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {BODY}\r\nexpect: 100-continue\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let mut told = vec![0; 12];
    client.read_exact(&mut told).await.unwrap();
    assert_eq!(told, b"HTTP/1.1 413");
    stop.send_replace(true);
    tokio::task::spawn_blocking(move || plane.join()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_stops_reading_is_left_and_one_that_reads_is_not() {
    let (dropped, mut gone) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let options = Options {
        workers: 1,
        connections: 16,
        drain: Duration::from_millis(100),
        write_idle: Duration::from_millis(300),
        tasks: Tasks::default(),
        last_call: LastCall::default(),
    };
    let plane = serve(&Arc::new(Endless(dropped)), listener, &options, &stopped).unwrap();
    let mut client = TcpStream::connect(at).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // A slow reader lives on: each pause is shorter than the limit, all together are not.
    let mut piece = vec![0; 1 << 20];
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.read_exact(&mut piece).await.unwrap();
    }
    assert!(!*gone.borrow(), "it still reads");
    let left = tokio::time::timeout(Duration::from_secs(20), gone.wait_for(|gone| *gone)).await;
    assert!(left.is_ok(), "it has stopped reading");
    stop.send_replace(true);
    tokio::task::spawn_blocking(move || plane.join()).await.unwrap();
}
