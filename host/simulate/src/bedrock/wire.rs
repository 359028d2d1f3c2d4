//! Amazon's event stream: each message has two lengths with their checksum, headers, a payload and
//! the checksum of it all.

/// One event or exception with a JSON payload.
pub(crate) fn message(event: &str, payload: &str) -> Vec<u8> {
    let (kind, name) = if event.ends_with("Exception") {
        ("exception", ":exception-type")
    } else {
        ("event", ":event-type")
    };
    let fields = [(name, event), (":content-type", "application/json"), (":message-type", kind)];
    let mut headers = Vec::new();
    for (name, value) in fields {
        headers.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        headers.extend_from_slice(name.as_bytes());
        // The kind of value: a string.
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = Vec::with_capacity(headers.len() + payload.len() + 16);
    out.extend_from_slice(&length(headers.len() + payload.len() + 16));
    out.extend_from_slice(&length(headers.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_checksums_are_where_they_belong() {
        let bytes = message("messageStart", "{}");
        let word =
            |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(usize::try_from(word(0)).expect("small"), bytes.len());
        assert_eq!(word(8), crc32fast::hash(&bytes[..8]));
        let end = bytes.len() - 4;
        assert_eq!(word(end), crc32fast::hash(&bytes[..end]));
        assert_eq!(&bytes[end - 2..end], b"{}");
        let exception = message("throttlingException", "{}");
        let text = String::from_utf8_lossy(&exception);
        assert!(text.contains(":exception-type") && text.contains("exception"));
    }
}
