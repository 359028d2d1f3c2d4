//! HTTP/1.1 as the bench needs it: whole messages over kept connections, read into a buffer that
//! is reused. No allocation per message once the buffers have grown.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Longest message that is read: far above every case, so that a runaway answer ends.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest wait for the next bytes: a proxy that is slower than this is broken.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Header fields of one message at most: the parser's table.
const FIELDS_MAX: usize = 64;

/// One connection and what was read from it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

// === impl Connection ===

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024), body: Vec::new() })
    }

    /// Sends a request and reads the whole response. Returns its status and body.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).context("send the request")?;
        let (head, status, framing) = loop {
            if let Some(found) = parse_response(&self.buffer)? {
                break found;
            }
            self.read_more()?;
        };
        self.read_body(head, framing)?;
        Ok((status, &self.body))
    }

    /// Reads the next whole request. `None` when the peer is done.
    pub(crate) fn next_request(&mut self) -> Result<Option<&[u8]>> {
        let (head, length) = loop {
            if let Some(found) = parse_request(&self.buffer)? {
                break found;
            }
            if !self.read_some()? {
                return Ok(None);
            }
        };
        self.read_body(head, Framing::Length(length))?;
        Ok(Some(&self.body))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Waits for requests without end: an idle kept connection is no fault.
    pub(crate) fn wait_forever(&self) -> Result<()> {
        Ok(self.stream.set_read_timeout(None)?)
    }

    /// Moves a body that begins at `head` of the buffer to `self.body`.
    fn read_body(&mut self, head: usize, framing: Framing) -> Result<()> {
        let used = loop {
            let rest = self.buffer.get(head..).unwrap_or_default();
            self.body.clear();
            let used = match framing {
                Framing::Length(length) => rest.get(..length).map(|whole| {
                    self.body.extend_from_slice(whole);
                    length
                }),
                Framing::Chunked => decode_chunks(rest, &mut self.body)?,
            };
            match used {
                Some(used) => break used,
                None => self.read_more()?,
            }
        };
        let end = head.saturating_add(used);
        self.buffer.drain(..end.min(self.buffer.len()));
        Ok(())
    }

    fn read_more(&mut self) -> Result<()> {
        ensure!(self.read_some()?, "the connection closed before the message was whole");
        Ok(())
    }

    fn read_some(&mut self) -> Result<bool> {
        ensure!(self.buffer.len() < MESSAGE_BYTES_MAX, "a message over {MESSAGE_BYTES_MAX} bytes");
        let mut piece = [0u8; 64 * 1024];
        let count = self.stream.read(&mut piece).context("read")?;
        self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(count > 0)
    }
}

/// Length of the head, status, and how the body ends; `None` while the head isn't whole.
fn parse_response(bytes: &[u8]) -> Result<Option<(usize, u16, Framing)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(bytes)? else { return Ok(None) };
    let status = response.code.context("a response without status")?;
    Ok(Some((head, status, framing(response.headers)?)))
}

/// Length of the head and of the body; `None` while the head isn't whole.
fn parse_request(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(head) = request.parse(bytes)? else { return Ok(None) };
    match framing(request.headers)? {
        Framing::Length(length) => Ok(Some((head, length))),
        Framing::Chunked => bail!("a proxy sent a chunked request; the upstream reads lengths"),
    }
}

fn framing(fields: &[httparse::Header<'_>]) -> Result<Framing> {
    let field = |name: &str| fields.iter().find(|f| f.name.eq_ignore_ascii_case(name));
    if field("transfer-encoding").is_some() {
        return Ok(Framing::Chunked);
    }
    let Some(length) = field("content-length") else { return Ok(Framing::Length(0)) };
    let length: usize = std::str::from_utf8(length.value)?.trim().parse()?;
    ensure!(length <= MESSAGE_BYTES_MAX, "a body of {length} bytes");
    Ok(Framing::Length(length))
}

/// Decodes a chunked body. Returns how many bytes it took, or `None` while it isn't whole.
fn decode_chunks(bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>> {
    let mut at = 0usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(rest.get(..line).unwrap_or_default())?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).context("a chunk without size")?;
        ensure!(size <= MESSAGE_BYTES_MAX, "a chunk of {size} bytes");
        let start = line.saturating_add(2);
        let end = start.saturating_add(size);
        let Some(ending) = rest.get(end..end.saturating_add(2)) else { return Ok(None) };
        ensure!(ending == b"\r\n", "a chunk without an end");
        body.extend_from_slice(rest.get(start..end).unwrap_or_default());
        at = at.saturating_add(end).saturating_add(2);
        if size == 0 {
            return Ok(Some(at));
        }
    }
}
