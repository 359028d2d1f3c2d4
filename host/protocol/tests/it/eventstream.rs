//! Amazon's event stream: messages come out whole however their bytes were split, and damage is
//! found.

use bytes::Bytes;
use proptest::prelude::*;
use turnpike_protocol::eventstream::{self, EventStreamError, Parser};
use turnpike_protocol::sse::Frame;

/// An empty message of Amazon's own test vectors: no headers, no payload.
const EMPTY: [u8; 16] = [0, 0, 0, 16, 0, 0, 0, 0, 5, 194, 72, 235, 125, 152, 200, 255];

fn stream() -> Vec<u8> {
    let messages = [
        eventstream::event("messageStart", br#"{"role":"assistant"}"#),
        Bytes::from_static(&EMPTY),
        eventstream::exception("throttlingException", br#"{"message":"slow down"}"#),
        eventstream::encode(
            &[(":message-type", "error"), (":error-code", "Busy"), (":error-message", "a \"b\"")],
            b"",
        ),
    ];
    messages.concat()
}

fn parse(parts: &[&[u8]]) -> Result<Vec<Frame>, EventStreamError> {
    let (mut parser, mut out) = (Parser::new(4096), Vec::new());
    for part in parts {
        parser.push(part, &mut out)?;
    }
    parser.finish()?;
    Ok(out)
}

fn shown(frames: &[Frame]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let line = |frame: &Frame| {
        format!("{} {}", text(frame.event.as_deref().unwrap_or(b"-")), text(&frame.data))
    };
    frames.iter().map(line).collect()
}

#[test]
fn pitfall_36_messages_split_at_every_byte_are_the_same() {
    let bytes = stream();
    let whole = parse(&[&bytes]).unwrap();
    let expected = [
        r#"messageStart {"role":"assistant"}"#,
        "- ",
        r#"throttlingException {"message":"slow down"}"#,
        r#"Busy {"message":"a \"b\""}"#,
    ];
    assert_eq!(shown(&whole), expected);
    for split in 0..bytes.len() {
        assert_eq!(parse(&[&bytes[..split], &bytes[split..]]).unwrap(), whole, "{split}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(parse(&single).unwrap(), whole);
}

#[test]
fn every_damaged_byte_is_found() {
    let bytes = eventstream::event("messageStop", br#"{"stopReason":"end_turn"}"#);
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x41;
        assert!(parse(&[&damaged]).is_err(), "byte {at}");
    }
    assert_eq!(parse(&[&bytes[..bytes.len() - 1]]).unwrap_err(), EventStreamError::Truncated);
}

#[test]
fn sizes_are_bounded_before_anything_is_kept() {
    let large = eventstream::event("x", &[b' '; 5000]);
    let (mut parser, mut out) = (Parser::new(4096), Vec::new());
    let refused = Err(EventStreamError::TooLarge { limit: 4096 });
    assert_eq!(parser.push(&large[..12], &mut out), refused);
    assert_eq!(parser.push(&EMPTY, &mut out), refused);
    assert_eq!((parser.finish(), out.len()), (refused, 0));
    assert!(!format!("{parser:?}").contains("messageStop"));
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut head = vec![1, b'a', 0, 1, b'b', 2, 9, 1, b'c', 5, 1, 2, 3, 4, 5, 6, 7, 8, 1, b'd', 6];
    head.extend_from_slice(&[0, 1, 7]);
    head.extend_from_slice(b"\x0b:event-type\x07\x00\x01x");
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&u32::try_from(head.len() + 16).unwrap().to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    assert_eq!(shown(&parse(&[&bytes]).unwrap()), ["x "]);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _frames = parse(&[&bytes]);
        // The same as headers of a message whose checksums are right.
        let mut made = Vec::new();
        made.extend_from_slice(&u32::try_from(bytes.len() + 16).unwrap().to_be_bytes());
        made.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        made.extend_from_slice(&crc32fast::hash(&made).to_be_bytes());
        made.extend_from_slice(&bytes);
        made.extend_from_slice(&crc32fast::hash(&made).to_be_bytes());
        let _frames = parse(&[&made]);
    }

    #[test]
    fn what_is_encoded_is_read(
        name in ".{0,300}",
        payload in prop::collection::vec(any::<u8>(), 0..99),
    ) {
        let frames = parse(&[&eventstream::event(&name, &payload)]).unwrap();
        prop_assert_eq!(&frames[0].data[..], &payload[..]);
    }
}
