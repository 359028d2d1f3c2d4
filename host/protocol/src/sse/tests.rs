use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 16;

/// Frames of `parts` pushed one after another, and of the end.
fn frames(parts: &[&[u8]]) -> Vec<Frame> {
    let mut framer = Framer::new(LIMIT);
    let mut out = Vec::new();
    for part in parts {
        framer.push(Bytes::copy_from_slice(part), &mut out).unwrap();
    }
    framer.finish(&mut out);
    out
}

fn data(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| std::str::from_utf8(&frame.data).unwrap()).collect()
}

fn raw(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.raw.to_vec()).collect()
}

/// A stream with everything that has broken gateways, in one style of line end.
fn stream(line_end: &str) -> String {
    [
        "\u{feff}: keep alive",
        "",
        "event: message",
        "data: {\"text\":\"zwölf 😀\"}",
        "id: 7",
        "",
        "data:no space",
        "data:  two spaces",
        "data",
        "data: last",
        "",
        ":",
        "",
        "",
        "data: [DONE]",
        "",
        "",
    ]
    .join(line_end)
}

const EXPECTED: [&str; 5] =
    ["", "{\"text\":\"zwölf 😀\"}", "no space\n two spaces\n\nlast", "", "[DONE]"];

#[test]
fn pitfall_36_events_survive_a_split_at_every_byte() {
    for line_end in ["\n", "\r\n", "\r"] {
        let stream = stream(line_end);
        let whole = stream.as_bytes();
        for at in 0..=whole.len() {
            let found = frames(&[&whole[..at], &whole[at..]]);
            assert_eq!(data(&found), EXPECTED, "{line_end:?} split at {at}");
            assert_eq!(found[1].event.as_deref(), Some(&b"message"[..]));
            // The second half of a last CR LF that comes on its own belongs to no event.
            let passed = raw(&found);
            let lost = whole.len() - passed.len();
            assert!(whole.starts_with(&passed) && lost <= 1, "{line_end:?} split at {at}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(data(&frames(&bytes)), EXPECTED, "{line_end:?} byte by byte");
    }
}

#[test]
fn pitfall_36_a_stream_may_end_without_its_blank_line() {
    for end in ["", "\n", "\r\n", "\r"] {
        let found = frames(&[format!("data: a\n\ndata: b{end}").as_bytes()]);
        assert_eq!(data(&found), ["a", "b"], "{end:?}");
        assert_eq!(data(&frames(&[&raw(&found), b"data: c\n\n"])), ["a", "b", "c"], "{end:?}");
    }
    assert!(frames(&[b"\n\n\n"]).is_empty());
}

#[test]
fn an_event_goes_out_at_its_last_byte_even_if_a_line_feed_may_follow() {
    let mut framer = Framer::new(LIMIT);
    let mut out = Vec::new();
    framer.push(Bytes::from_static(b"data: a\r\n\r"), &mut out).unwrap();
    assert_eq!(data(&out), ["a"]);
    framer.push(Bytes::from_static(b"\ndata: b\r\n\r\n"), &mut out).unwrap();
    assert_eq!(data(&out), ["a", "b"]);
    assert_eq!(raw(&out), b"data: a\r\n\r\ndata: b\r\n\r\n");
}

#[test]
fn one_data_line_is_a_slice_of_what_was_read() {
    let read = Bytes::from_static(b"data: one\n\ndata: two\n\n");
    let mut out = Vec::new();
    Framer::new(LIMIT).push(read.clone(), &mut out).unwrap();
    assert_eq!(out[1].raw.as_ptr(), read[11..].as_ptr());
    assert_eq!(out[1].data.as_ptr(), read[17..].as_ptr());
}

#[test]
fn an_event_over_the_bound_is_refused_and_stays_refused() {
    let limit = FrameError::TooLarge { limit: 16 };
    let mut whole = Framer::new(16);
    let mut out = Vec::new();
    assert_eq!(whole.push(Bytes::from_static(b"data: 0123456789abc\n\n"), &mut out), Err(limit));
    assert_eq!(whole.push(Bytes::from_static(b"data: a\n\n"), &mut out), Err(limit));
    let mut split = Framer::new(16);
    split.push(Bytes::from_static(b"data: 0123456789"), &mut out).unwrap();
    assert_eq!(split.push(Bytes::from_static(b"a"), &mut out), Err(limit));
    split.finish(&mut out);
    assert!(out.is_empty());
}

#[test]
fn comments_pass_on_but_carry_no_data() {
    let found = frames(&[b": OPENROUTER PROCESSING\n\n"]);
    assert_eq!(found.len(), 1);
    assert!(!found[0].carries_data());
    assert_eq!(&found[0].raw[..], b": OPENROUTER PROCESSING\n\n");
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same_frames(
        bytes in prop::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()],
            0..200,
        ),
        sizes in prop::collection::vec(1_usize..20, 1..20),
    ) {
        let mut rest = &bytes[..];
        let mut parts = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, after) = rest.split_at((*size).min(rest.len()));
            parts.push(part);
            rest = after;
        }
        let (whole, split) = (frames(&[&bytes]), frames(&parts));
        let datas = |frames: &[Frame]| frames.iter().map(|f| f.data.clone()).collect::<Vec<_>>();
        prop_assert_eq!(datas(&whole), datas(&split));
    }
}
