//! Answers that come compressed although identity is asked for (pitfall 37): read plain, in any
//! framing, within the bounds of what is plain.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A server whose answers are this body, in chunks of so many bytes.
fn compressed(body: Vec<u8>, chunk: usize) -> Scripted {
    Scripted::start(move |_, mut stream| {
        while read_request(&mut stream).is_some() {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            for part in body.chunks(chunk) {
                let size = format!("{:x}\r\n", part.len());
                let framed = [size.as_bytes(), part, b"\r\n"].concat();
                if stream.write_all(&framed).is_err() {
                    return;
                }
            }
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
    })
}

#[tokio::test]
async fn pitfall_37_a_compressed_answer_is_read_plain_in_chunks_of_any_size() {
    let events = "data: {\"t\":\"größer 😀\"}\n\n".repeat(20) + "data: [DONE]\n\n";
    let body = gzip(events.as_bytes());
    for chunk in [1, 2, 3, 7, 64, body.len()] {
        let server = compressed(body.clone(), chunk);
        let client = client();
        for _ in 0..2 {
            let mut response = post(&client, &server.endpoint).await.unwrap();
            assert!(response.headers.get("content-encoding").is_none());
            assert_eq!(text(&mut response).await, events, "in chunks of {chunk}");
            assert!(response.body.is_complete());
        }
        assert_eq!(server.connections(), 1, "the connection is used again");
    }
}

#[tokio::test]
async fn pitfall_37_a_bomb_ends_at_the_bound_of_an_answer() {
    let server = compressed(gzip(&vec![b'x'; 64 << 20]), 4096);
    let mut response = post(&client(), &server.endpoint).await.unwrap();
    let error = response.body.collect(1 << 20).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

#[tokio::test]
async fn pitfall_37_a_compressed_answer_without_its_end_is_a_failure() {
    let mut body = gzip(b"some text that is cut off");
    body.truncate(body.len() - 4);
    let server = compressed(body, 8);
    let mut response = post(&client(), &server.endpoint).await.unwrap();
    let error = response.body.collect(1 << 20).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("compressed"), "{error}");
}
