//! The heads of requests and answers, to and from bytes. Pure: never reads or writes a socket.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::chunked::Chunked;
use super::{Endpoint, ErrorKind, RequestHead, Scheme, TransportError};

/// An answer's head may have this many bytes: no provider comes near, and a buffer must end.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// An answer may have this many headers: providers send about thirty.
const HEADERS_MAX: usize = 100;
/// A request may have this many headers, so that the look for duplicates stays small.
const REQUEST_HEADERS_MAX: usize = 64;

/// Headers that belong to the client: they say how the message is framed.
const OWN: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];
/// Headers that must not be given twice: two credentials mean that one of them is a caller's.
const SINGLE: [&str; 5] = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];

/// A parsed head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The provider will take another request on this connection.
    pub(super) keep_alive: bool,
}

/// How the body's end is known.
#[derive(Debug)]
pub(super) enum Framing {
    /// This many bytes are still to come; zero for an answer without a body.
    Length(u64),
    /// Chunked transfer coding.
    Chunked(Chunked),
    /// Until the provider hangs up.
    UntilClose,
}

/// What is wrong with an answer, still without saying whose answer it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

// === impl Malformed ===

impl Malformed {
    /// The error, told with the endpoint.
    pub(super) fn at(&self, to: &Endpoint) -> TransportError {
        let what = self.0;
        TransportError::new(
            ErrorKind::Protocol,
            format!("{to} broke HTTP/1.1: {what}; check the provider's address"),
        )
    }
}

// === impl Framing ===

impl Framing {
    /// Whether the body ends before the connection does.
    pub(super) fn has_known_end(&self) -> bool {
        !matches!(self, Self::UntilClose)
    }
}

/// The request's head with `host` and `content-length`, ready for the wire.
///
/// # Errors
/// `ErrorKind::Request` when a name or a value could end the line it stands on, when a header
/// belongs to the client, or when a credential is given twice.
pub(super) fn encode_head(
    to: &Endpoint,
    head: &RequestHead<'_>,
    body_len: usize,
) -> Result<Bytes, TransportError> {
    check(head)?;
    let room: usize = head.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut out = BytesMut::with_capacity(room + head.path.len() + to.host.len() + 128);
    out.put_slice(head.method.as_bytes());
    out.put_u8(b' ');
    out.put_slice(head.path.as_bytes());
    out.put_slice(b" HTTP/1.1\r\nhost: ");
    put_host(&mut out, to);
    for (name, value) in head.headers {
        put_header(&mut out, name, value);
    }
    // Bodies are handed on as they come, so a compressed one must not come.
    if !head.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept-encoding")) {
        put_header(&mut out, "accept-encoding", "identity");
    }
    let may_omit = matches!(head.method, "GET" | "HEAD");
    if body_len > 0 || !may_omit {
        put_number(&mut out, "\r\ncontent-length: ", u64::try_from(body_len).unwrap_or(u64::MAX));
    }
    out.put_slice(b"\r\n\r\n");
    Ok(out.freeze())
}

fn put_host(out: &mut BytesMut, to: &Endpoint) {
    let bare = to.bare_host();
    if bare.contains(':') {
        out.put_u8(b'[');
        out.put_slice(bare.as_bytes());
        out.put_u8(b']');
    } else {
        out.put_slice(bare.as_bytes());
    }
    let usual = match to.scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    if to.port != usual {
        put_number(out, ":", to.port.into());
    }
}

/// The value of the `host` header.
pub(super) fn authority(to: &Endpoint) -> String {
    let mut out = BytesMut::new();
    put_host(&mut out, to);
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes a number without a text of its own.
fn put_number(out: &mut BytesMut, before: &str, number: u64) {
    // Memory grows as needed, so writing cannot fail.
    write!(out, "{before}{number}").unwrap_or_default();
}

/// Each header begins with the end of the line before it.
fn put_header(out: &mut BytesMut, name: &str, value: &str) {
    out.put_slice(b"\r\n");
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
}

fn check(head: &RequestHead<'_>) -> Result<(), TransportError> {
    let refuse = |what: String| Err(TransportError::new(ErrorKind::Request, what));
    if head.method.is_empty() || !head.method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return refuse("the request's method must be capital letters".into());
    }
    if !head.path.starts_with('/') || !head.path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("the request's path must begin with a slash and be percent-encoded".into());
    }
    if head.headers.len() > REQUEST_HEADERS_MAX {
        let many = head.headers.len();
        return refuse(format!("{many} request headers, at most {REQUEST_HEADERS_MAX} are sent"));
    }
    for (at, (name, value)) in head.headers.iter().enumerate() {
        if !is_token(name) {
            return refuse(format!("request header {at} has a name that is not an HTTP token"));
        }
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
            return refuse(format!("the value of {name} holds a character HTTP does not allow"));
        }
        if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return refuse(format!("{name} is set by the client; leave it out of the headers"));
        }
        let single = SINGLE.iter().any(|single| single.eq_ignore_ascii_case(name));
        let earlier = head.headers.iter().take(at);
        if single && earlier.into_iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return refuse(format!("{name} is given twice; strip the caller's credentials first"));
        }
    }
    Ok(())
}

/// Whether a text can be a header's name. Only looked at: making an `http` name or value of it
/// would copy each header of each request once more.
fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

/// Where the head ends in `buffer`, past its empty line, if that has come. `from` says up to
/// where earlier calls have looked, so that a head which trickles in is not read again and again.
pub(super) fn head_end(buffer: &[u8], from: usize) -> Option<usize> {
    let tail = buffer.get(from..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| {
        let after = tail.get(at + 1..)?;
        let skip = match after {
            [b'\n', ..] => 2,
            [b'\r', b'\n', ..] => 3,
            _ => return None,
        };
        Some(from + at + skip)
    })
}

/// Parses a complete head.
pub(super) fn parse_head(bytes: &[u8]) -> Result<Head, Malformed> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut slots);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Malformed("the answer's head is cut off")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Malformed("the answer has more than 100 headers"));
        }
        Err(_) => return Err(Malformed("the answer's head is not HTTP/1.x")),
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("the answer has no valid status"))?;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Malformed("the answer has a header that HTTP does not allow"));
        };
        headers.append(name, value);
    }
    let keep_alive = if parsed.version == Some(1) {
        !has_token(&headers, &CONNECTION, "close")
    } else {
        has_token(&headers, &CONNECTION, "keep-alive")
    };
    Ok(Head { status, headers, keep_alive })
}

/// How the body of this answer is framed (RFC 9112, 6.3). An answer that gives both a length and
/// a coding, or two lengths, is refused: whoever reads it differently sees another answer.
pub(super) fn framing(head: &Head, bodiless: bool) -> Result<Framing, Malformed> {
    if bodiless || matches!(head.status.as_u16(), 204 | 304) {
        return Ok(Framing::Length(0));
    }
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next().map(parse_length).transpose()?;
    for other in lengths {
        if Some(parse_length(other)?) != length {
            return Err(Malformed("the answer has two different content-lengths"));
        }
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), length) {
        (None, Some(length)) => Ok(Framing::Length(length)),
        (None, None) => Ok(Framing::UntilClose),
        (Some(_), Some(_)) => {
            Err(Malformed("the answer has both content-length and transfer-encoding"))
        }
        (Some(coding), None) => {
            let chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
            if !chunked || codings.next().is_some() {
                return Err(Malformed("the answer has a transfer-encoding other than chunked"));
            }
            Ok(Framing::Chunked(Chunked::default()))
        }
    }
}

fn parse_length(value: &HeaderValue) -> Result<u64, Malformed> {
    let text = value.to_str().map(str::trim).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed("the answer has a content-length that is not a number"));
    }
    text.parse().map_err(|_| Malformed("the answer has a content-length beyond 64 bits"))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}
