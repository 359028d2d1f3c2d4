//! Writing JSON by splicing: copy what stays, write what changes. Never parses.

use std::ops::Range;

use bytes::Bytes;

/// Bytes to write in place of a span of the source; an empty span inserts.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) span: Range<usize>,
    pub(crate) with: Vec<u8>,
}

// === impl Edit ===

impl Edit {
    /// Replaces a string literal, quotes and all, by `text`.
    pub(crate) fn literal(span: Range<usize>, text: &str) -> Self {
        Self { span, with: literal(text) }
    }

    pub(crate) fn raw(span: Range<usize>, with: String) -> Self {
        Self { span, with: with.into_bytes() }
    }
}

/// The source with all edits applied between `before` and `after`. Spans must not overlap; an edit
/// outside the source is dropped. What is inserted comes in front of what is replaced at the same
/// place; otherwise edits at the same place are written in the order given.
pub(crate) fn apply(source: &[u8], mut edits: Vec<Edit>, before: &[u8], after: &[u8]) -> Bytes {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let grown: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let room = source.len() + grown + before.len() + after.len();
    let mut out = Vec::with_capacity(room);
    out.extend_from_slice(before);
    let mut at = 0;
    for edit in &edits {
        let Some(kept) = source.get(at..edit.span.start) else { continue };
        out.extend_from_slice(kept);
        out.extend_from_slice(&edit.with);
        at = edit.span.end;
    }
    out.extend_from_slice(source.get(at..).unwrap_or_default());
    out.extend_from_slice(after);
    Bytes::from(out)
}

/// `text` as a JSON string literal.
pub(crate) fn literal(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 2);
    write_literal(&mut out, text);
    out
}

/// Appends `text` as a JSON string literal: quote, backslash and control characters escaped,
/// everything else as it is.
pub(crate) fn write_literal(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
        }
        from = at + 1;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edits_are_applied_in_place_and_in_order() {
        let edits = vec![
            Edit::raw(4..4, "x".into()),
            Edit::literal(1..3, "a\"b"),
            Edit::raw(4..4, "y".into()),
        ];
        assert_eq!(&apply(b"012345", edits, b"<", b">")[..], b"<0\"a\\\"b\"3xy45>");
    }

    #[test]
    fn an_insertion_survives_a_replacement_at_the_same_place() {
        let edits = vec![Edit::literal(1..4, "b"), Edit::raw(1..1, "\"x\":1,".into())];
        assert_eq!(&apply(b"{\"a\":2}", edits, b"", b"")[..], b"{\"x\":1,\"b\":2}");
    }

    #[test]
    fn an_edit_outside_the_source_is_dropped() {
        assert_eq!(&apply(b"01", vec![Edit::raw(7..9, "x".into())], b"", b"")[..], b"01");
    }

    proptest! {
        #[test]
        fn a_literal_reads_back_as_the_same_text(text in any::<String>()) {
            let written = literal(&text);
            let read: String = serde_json::from_slice(&written).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
