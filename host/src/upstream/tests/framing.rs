//! How an answer's head and body are cut out of the bytes, however they arrive.

use super::super::chunked::Chunked;
use super::super::wire::{HEAD_BYTES_MAX, head_end};
use super::*;

/// Answers every connection with `answer`, then hangs up.
fn answering(answer: impl Into<Vec<u8>>) -> Scripted {
    let answer = answer.into();
    Scripted::start(move |_, mut stream| {
        read_request(&mut stream).unwrap();
        // The client may refuse what it reads and hang up first.
        drop(stream.write_all(&answer));
    })
}

async fn outcome(answer: &str) -> Result<String, ErrorKind> {
    let server = answering(answer);
    let mut response = post(&client(), &server.endpoint).await.map_err(|error| error.kind)?;
    let body = response.body.collect(1 << 20).await.map_err(|error| error.kind)?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const BODY: &str = "5;name=\"v\"\r\nhello\r\n1 \r\n,\r\n00006\r\n world\r\n0;x\r\n\
                    trailer: dropped\r\nanother: one\r\n\r\n";

/// Decodes `pieces` in turn, as if each had been one read.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(String, bool), &'static str> {
    let mut chunked = Chunked::default();
    let (mut out, mut done) = (Vec::new(), false);
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let decoded = chunked.decode(&mut buffer).map_err(|malformed| malformed.0)?;
        assert!(decoded.done || decoded.consumed == buffer.len());
        out.extend_from_slice(&buffer[decoded.start..decoded.end]);
        done = decoded.done;
    }
    Ok((String::from_utf8(out).unwrap(), done))
}

#[test]
fn chunks_decode_the_same_however_they_are_split() {
    let whole = ("hello, world".to_owned(), true);
    assert_eq!(decode([BODY.as_bytes()]).unwrap(), whole);
    assert_eq!(decode(BODY.as_bytes().chunks(1)).unwrap(), whole);
    for first in 0..BODY.len() {
        for second in first..BODY.len() {
            let (a, rest) = BODY.as_bytes().split_at(first);
            let (b, c) = rest.split_at(second - first);
            assert_eq!(decode([a, b, c]).unwrap(), whole, "split at {first} and {second}");
        }
    }
}

#[test]
fn what_follows_the_last_chunk_is_not_consumed() {
    let mut buffer = b"1\r\na\r\n0\r\n\r\nHTTP/1.1 500".to_vec();
    let decoded = Chunked::default().decode(&mut buffer).unwrap();
    assert!(decoded.done);
    assert_eq!(&buffer[decoded.consumed..], b"HTTP/1.1 500");
}

#[test]
fn malformed_chunks_are_refused_wherever_they_are_split() {
    let long_line = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(2000));
    let long_trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(5000));
    let bad = [
        "\r\nhello",
        "g\r\n",
        "-1\r\n",
        "+1\r\na",
        "0x1\r\na",
        "5\nhello\r\n0\r\n\r\n",
        " 5\r\nhello",
        "5\r\nhello!\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "1;x\nabc",
        "0\r\n\n",
        "0\r\na: b\n\r\n",
        "0\r\na: b\rc\r\n\r\n",
        ";\r\n",
        &long_line,
        &long_trailers,
    ];
    for text in bad {
        assert!(decode([text.as_bytes()]).is_err(), "{text:.40?}");
        assert!(decode(text.as_bytes().chunks(1)).is_err(), "{text:.40?} byte by byte");
    }
}

#[test]
fn the_end_of_a_head_is_found_wherever_a_read_stopped() {
    for head in ["HTTP/1.1 200 OK\r\na: b\r\n\r\n", "HTTP/1.1 200 OK\na: b\n\n"] {
        let text = format!("{head}body\r\n\r\n");
        for first in 0..head.len() {
            assert_eq!(head_end(&text.as_bytes()[..first], 0), None);
            let from = first.saturating_sub(3);
            assert_eq!(head_end(text.as_bytes(), from), Some(head.len()), "from {from}");
        }
    }
}

#[tokio::test]
async fn an_answer_split_at_every_byte_reads_the_same() {
    let answer = format!("HTTP/1.1 100 Continue\r\n\r\n{CHUNKED}{BODY}");
    let length = answer.len();
    let server = Scripted::start(move |_, mut stream| {
        let mut split = 0;
        while read_request(&mut stream).is_some() {
            let (first, rest) = answer.as_bytes().split_at(split);
            stream.write_all(first).unwrap();
            std::thread::sleep(Duration::from_millis(1));
            stream.write_all(rest).unwrap();
            split += 1;
        }
    });
    let client = client();
    for split in 0..length {
        let mut response = post(&client, &server.endpoint).await.unwrap();
        assert_eq!(text(&mut response).await, "hello, world", "split at {split}");
    }
    assert_eq!(server.connections(), 1, "every answer ended where the next one began");
}

/// What the gateway's speed rests on: a burst is one piece, and not one per chunk.
#[tokio::test]
async fn all_chunks_of_a_burst_come_as_one_piece() {
    let mut burst = String::from(CHUNKED);
    let mut expected = String::new();
    for number in 0..100 {
        let event = format!("data: {{\"n\":{number}}}\n\n");
        burst.push_str(&format!("{:x}\r\n{event}\r\n", event.len()));
        expected.push_str(&event);
    }
    burst.push_str("0\r\n\r\n");
    let server = answering(burst);
    let mut response = post(&client(), &server.endpoint).await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = response.body.read().await.unwrap() {
        pieces.push(piece);
    }
    assert!(pieces.len() <= 3, "{} pieces for one write of 100 chunks", pieces.len());
    assert_eq!(pieces.concat(), expected.as_bytes());
}

#[tokio::test]
async fn bodies_end_as_their_head_says() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello";
    assert_eq!(outcome(length).await, Err(ErrorKind::Protocol));
    let twice = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(outcome(twice).await, Ok("hello".into()));
    let closing = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    assert_eq!(outcome(closing).await, Ok("until the end".into()));
    let old = "HTTP/1.0 200 OK\r\n\r\nold";
    assert_eq!(outcome(old).await, Ok("old".into()));
    for status in ["204 No Content", "304 Not Modified"] {
        let none = format!("HTTP/1.1 {status}\r\n\r\nnot a body");
        assert_eq!(outcome(&none).await, Ok(String::new()));
    }
}

#[tokio::test]
async fn an_answer_that_two_readers_could_read_differently_is_refused() {
    let bad = [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
    ];
    for answer in bad {
        assert_eq!(outcome(answer).await, Err(ErrorKind::Protocol), "{answer:?}");
    }
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
    assert_eq!(outcome(&interim).await, Err(ErrorKind::Protocol));
}

#[tokio::test]
async fn a_head_without_an_end_is_refused_at_its_bound() {
    let filler = format!("x: {}\r\n", "y".repeat(1000)).repeat(HEAD_BYTES_MAX / 1000 + 1);
    let endless = format!("HTTP/1.1 200 OK\r\n{filler}");
    assert_eq!(outcome(&endless).await, Err(ErrorKind::Protocol));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    assert_eq!(outcome(&many).await, Err(ErrorKind::Protocol));
}

/// Pitfall 46: an answer that breaks off must not look like a complete one.
#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransf",
    ] {
        assert_eq!(outcome(answer).await, Err(ErrorKind::Closed), "{answer:?}");
    }
}

#[tokio::test]
async fn what_comes_behind_an_answer_keeps_its_connection_out_of_the_pool() {
    let server = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n");
    let client = client();
    let mut response = post(&client, &server.endpoint).await.unwrap();
    assert_eq!(text(&mut response).await, "ok");
    assert_eq!(client.idle_connections(), 0);
}

#[tokio::test]
async fn collect_refuses_what_is_longer_than_allowed() {
    let server = answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnine byte");
    let mut response = post(&client(), &server.endpoint).await.unwrap();
    let failed = response.body.collect(8).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::TooLarge);
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_whatever_its_length() {
    let server = Scripted::start(|_, mut stream| {
        while let Some(request) = read_request(&mut stream) {
            assert!(request.starts_with("HEAD "), "{request}");
            assert!(!request.contains("content-length"), "{request}");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n").unwrap();
        }
    });
    let client = client();
    for _ in 0..2 {
        let head = RequestHead { method: "HEAD", ..POST };
        let answer = client.send(&server.endpoint, &head, Bytes::new(), &PATIENT).await;
        assert_eq!(answer.unwrap().body.read().await.unwrap(), None);
    }
    assert_eq!(server.connections(), 1);
}
