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
