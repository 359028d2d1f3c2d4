//! HTTP/1.1 by hand, the server's side: a simulator must be able to break the protocol at any
//! byte, which a library rightly prevents. Reads requests, writes bytes, notices when the caller
//! goes away. Knows nothing of models.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Request line and headers: twice what real servers allow, since tests send large ones.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Header lines: as hyper's default.
const HEADERS_MAX: usize = 100;
/// Body: images inline are megabytes; more is a mistake.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Bytes that a caller may send while its answer is under way (the next request).
const AHEAD_BYTES_MAX: usize = 1 << 20;
/// A hang ends after this long even if the caller waits for ever.
const HANG_MAX: Duration = Duration::from_secs(900);

/// The caller closed the connection, or did not speak HTTP.
#[derive(Debug)]
pub(crate) struct Gone;

/// What to do with the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    KeepOpen,
    Close,
}

/// A request, read to its end.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) after: After,
    /// Request line and header lines as they came.
    pub(crate) head: Bytes,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The key in `authorization`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization").and_then(|value| value.strip_prefix("Bearer "))
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    inbox: BytesMut,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, inbox: BytesMut::with_capacity(8 << 10) }
    }

    /// The next request; `Gone` when the caller closed, before or inside it.
    pub(crate) async fn request(&mut self) -> Result<Request, Gone> {
        let (mut request, length) = loop {
            if let Some(found) = self.parse_head()? {
                break found;
            }
            if self.inbox.len() > HEAD_BYTES_MAX {
                return Err(Gone);
            }
            self.fill().await?;
        };
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        request.body = match length {
            Length::Known(length) => self.take(length).await?,
            Length::Chunked => self.take_chunks().await?,
        };
        Ok(request)
    }

    /// Sends bytes in one write where the socket takes them.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.stream.write_all(bytes).await.map_err(|_| Gone)
    }

    /// Waits; ends early when the caller goes away.
    pub(crate) async fn pause(&mut self, length: Duration) -> Result<(), Gone> {
        if length.is_zero() {
            return Ok(());
        }
        let sleep = tokio::time::sleep(length);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                read = self.stream.read_buf(&mut self.inbox) => match read {
                    Ok(count) if count > 0 && self.inbox.len() <= AHEAD_BYTES_MAX => {}
                    _ => return Err(Gone),
                },
            }
        }
    }

    /// Waits until the caller gives up.
    pub(crate) async fn hang(&mut self) -> Gone {
        drop(self.pause(HANG_MAX).await);
        Gone
    }

    fn parse_head(&mut self) -> Result<Option<(Request, Length)>, Gone> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut lines);
        let size = match head.parse(&self.inbox) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Gone),
        };
        let header = |line: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(line.value).into_owned();
            (line.name.to_ascii_lowercase(), value)
        };
        let request = Request {
            method: head.method.unwrap_or("").to_owned(),
            target: head.path.unwrap_or("").to_owned(),
            headers: head.headers.iter().map(header).collect(),
            body: Bytes::new(),
            after: After::KeepOpen,
            head: Bytes::new(),
        };
        let closes = request.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        let after = if closes || head.version == Some(0) { After::Close } else { After::KeepOpen };
        let length = body_length(&request)?;
        let head = self.inbox.split_to(size).freeze();
        Ok(Some((Request { after, head, ..request }, length)))
    }

    async fn fill(&mut self) -> Result<(), Gone> {
        match self.stream.read_buf(&mut self.inbox).await {
            Ok(count) if count > 0 => Ok(()),
            _ => Err(Gone),
        }
    }

    async fn take(&mut self, length: usize) -> Result<Bytes, Gone> {
        if length > BODY_BYTES_MAX {
            return Err(Gone);
        }
        while self.inbox.len() < length {
            self.inbox.reserve(length - self.inbox.len());
            self.fill().await?;
        }
        Ok(self.inbox.split_to(length).freeze())
    }

    async fn take_chunks(&mut self) -> Result<Bytes, Gone> {
        let mut body = BytesMut::new();
        loop {
            let (head, size) = loop {
                match httparse::parse_chunk_size(&self.inbox) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) => self.fill().await?,
                    Err(_) => return Err(Gone),
                }
            };
            self.inbox.advance(head);
            let size = usize::try_from(size).map_err(|_| Gone)?;
            let chunk = self.take(size).await?;
            let end = self.take(2).await?;
            if end.as_ref() != b"\r\n" || body.len() + size > BODY_BYTES_MAX {
                return Err(Gone);
            }
            if size == 0 {
                return Ok(body.freeze());
            }
            body.extend_from_slice(&chunk);
        }
    }
}

enum Length {
    Known(usize),
    Chunked,
}

fn body_length(request: &Request) -> Result<Length, Gone> {
    if let Some(coding) = request.header("transfer-encoding") {
        return if coding.eq_ignore_ascii_case("chunked") {
            Ok(Length::Chunked)
        } else {
            Err(Gone)
        };
    }
    let length = request.header("content-length").map_or(Ok(0), str::parse);
    length.map(Length::Known).map_err(|_| Gone)
}

/// What follows a response's head.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// JSON of so many bytes.
    Json(usize),
    /// So many bytes of a kind that the headers tell.
    Raw(usize),
    /// JSON in chunked coding.
    JsonParts,
    /// Server-sent events in chunked coding.
    Events,
    /// Amazon's binary messages in chunked coding.
    Messages,
}

/// A response's head, blank line included.
pub(crate) fn head(
    status: u16,
    content: Content,
    after: After,
    extra: &[(String, String)],
) -> String {
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    let wrote = match content {
        Content::Json(size) => {
            write!(out, "content-type: application/json\r\ncontent-length: {size}\r\n")
        }
        Content::Raw(size) => write!(out, "content-length: {size}\r\n"),
        Content::JsonParts => out.write_str(
            "content-type: application/json; charset=UTF-8\r\ntransfer-encoding: chunked\r\n",
        ),
        Content::Events => out.write_str(
            "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n\
             transfer-encoding: chunked\r\n",
        ),
        Content::Messages => out.write_str(
            "content-type: application/vnd.amazon.eventstream\r\n\
             transfer-encoding: chunked\r\n",
        ),
    };
    debug_assert!(wrote.is_ok(), "writing to a string can't fail");
    for (name, value) in extra {
        for part in [name.as_str(), ": ", value, "\r\n"] {
            out.push_str(part);
        }
    }
    if after == After::Close {
        out.push_str("connection: close\r\n");
    }
    out.push_str("\r\n");
    out
}

/// One chunk of chunked coding.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

/// The end of chunked coding.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        424 => "Failed Dependency",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Site Is Overloaded",
        _ => "Status",
    }
}
