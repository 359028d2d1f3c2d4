//! Both codings, cut at every byte; damage, and inputs that stand for far more than they are.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use turnpike_protocol::base64;

use super::*;

/// Three events and the end mark, compressed by another implementation.
const EVENTS: &str = "G3YA+C0LbBdv4MGpy3WPm0ivnDQlmNQgIoDDmqWLrEx+Ytq2iEKM3NraS50++Dxzo2tBFNEEQ2mBD\
                      C1hFxTD8N9nZVX6wlk=";
/// Thirty-two megabytes of zeros.
const BOMB: &str = "y///P/gnAOKxQCD3/o///3/wTwDEYRGA7v0f////4J8AiMMCAN37v/z//8M/ARCHBQC6938=";

fn events() -> String {
    "data: {\"n\":1,\"t\":\"größer 😀\"}\n\n".repeat(3) + "data: [DONE]\n\n"
}

fn decompressor(coding: &'static str) -> Decompressor {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    Decompressor::of(&headers).unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn decompress(coding: &'static str, parts: &[&[u8]]) -> Result<Vec<u8>, Damaged> {
    let mut decompressor = decompressor(coding);
    let mut out = Vec::new();
    for part in parts {
        decompressor.feed(Bytes::copy_from_slice(part));
        while !decompressor.is_drained() {
            let piece = decompressor.pull()?;
            assert!(piece.len() <= 2 * PIECE_BYTES, "{} bytes in one piece", piece.len());
            out.extend_from_slice(&piece);
        }
    }
    out.extend_from_slice(&decompressor.finish()?);
    Ok(out)
}

/// Pitfall 37: an answer that comes compressed all the same.
#[test]
fn pitfall_37_a_compressed_answer_cut_at_every_byte_is_read_whole() {
    let all = [("gzip", gzip(events().as_bytes())), ("br", base64::decode(EVENTS).unwrap())];
    for (coding, bytes) in all {
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(decompress(coding, &[first, second]).unwrap(), events().as_bytes());
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decompress(coding, &single).unwrap(), events().as_bytes(), "{coding}");
    }
}

/// What the provider flushes is there at once: no event waits for the next.
#[test]
fn pitfall_37_a_flushed_event_is_not_held_back() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut decompressor = decompressor("gzip");
    for text in ["data: one\n\n", "data: two\n\n"] {
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.flush().unwrap();
        decompressor.feed(Bytes::from(std::mem::take(encoder.get_mut())));
        assert_eq!(decompressor.pull().unwrap(), text.as_bytes());
        assert!(decompressor.is_drained());
    }
}

#[test]
fn pitfall_37_a_bomb_comes_in_pieces_of_a_bounded_size() {
    let zeros = 32 << 20;
    assert_eq!(decompress("br", &[&base64::decode(BOMB).unwrap()]).unwrap().len(), zeros);
    let bomb = gzip(&vec![0; zeros]);
    assert!(bomb.len() < zeros / 500, "{} bytes stand for many", bomb.len());
    assert_eq!(decompress("gzip", &[&bomb]).unwrap().len(), zeros);
}

#[test]
fn damage_and_a_missing_end_are_noticed() {
    for (coding, bytes) in [("gzip", gzip(b"text")), ("br", base64::decode(EVENTS).unwrap())] {
        assert!(decompress(coding, &[&bytes[..bytes.len() - 1]]).is_err(), "{coding}");
        assert!(decompress(coding, &[b"<html>"]).is_err(), "{coding}");
        assert!(decompress(coding, &[&bytes, b"more"]).is_err(), "{coding}");
    }
}

#[test]
fn members_that_follow_one_another_are_one_body() {
    let both = [gzip(b"one, "), gzip(b"two")].concat();
    assert_eq!(decompress("gzip", &[&both]).unwrap(), b"one, two");
}

#[test]
fn other_codings_are_left_to_whoever_reads_the_head() {
    for coding in ["identity", "zstd", "gzip, br"] {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        assert!(Decompressor::of(&headers).is_none(), "{coding}");
    }
}
