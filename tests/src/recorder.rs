//! A wire tap: stands between a client and a server as a plain TCP relay and keeps what the client
//! sent, byte for byte. It knows just enough of HTTP/1.1 to tell one request from the next.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Bytes read at once.
const READ: usize = 64 << 10;
/// Fields of a request's head.
const FIELDS_MAX: usize = 128;

/// A request as it was sent.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The verb.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Names and values in the order and case that they came in.
    pub headers: Vec<(String, String)>,
    /// The content, without the framing of chunks.
    pub body: Vec<u8>,
}

/// See the head of this file; dropped, it closes every connection.
#[derive(Debug)]
pub struct Recorder {
    addr: SocketAddr,
    connections: Arc<Mutex<Vec<Vec<u8>>>>,
    _accepting: JoinSet<()>,
}

// === impl Recorded ===

impl Recorded {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

// === impl Recorder ===

impl Recorder {
    /// Stands in front of `http://ADDRESS`.
    pub async fn before(url: &str) -> Result<Self> {
        let server: SocketAddr = url
            .strip_prefix("http://")
            .context("not an http URL")?
            .trim_end_matches('/')
            .parse()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let connections: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let kept = Arc::clone(&connections);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut relays = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                relays.spawn(relay(client, server, Arc::clone(&kept)));
            }
        });
        Ok(Self { addr, connections, _accepting: accepting })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests so far, connection by connection.
    pub fn requests(&self) -> Result<Vec<Recorded>> {
        let connections = self.connections.lock();
        let mut out = Vec::new();
        for bytes in connections.iter() {
            let mut rest = bytes.as_slice();
            while let Some((request, used)) = read_request(rest)? {
                out.push(request);
                rest = rest.get(used..).unwrap_or_default();
            }
        }
        Ok(out)
    }
}

async fn relay(client: TcpStream, server: SocketAddr, kept: Arc<Mutex<Vec<Vec<u8>>>>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let index = {
        let mut kept = kept.lock();
        kept.push(Vec::new());
        kept.len() - 1
    };
    let up = async {
        let mut buffer = vec![0; READ];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            let bytes = buffer.get(..count).unwrap_or_default();
            if let Some(all) = kept.lock().get_mut(index) {
                all.extend_from_slice(bytes);
            }
            if to_server.write_all(bytes).await.is_err() {
                return;
            }
        }
        // The client is done; the server is told so by the end of its stream.
        drop(to_server.shutdown().await);
    };
    let down = async {
        drop(copy(&mut from_server, &mut to_client).await);
        drop(to_client.shutdown().await);
    };
    tokio::join!(up, down);
}

/// The first whole request and its length; none when more has to come.
pub(crate) fn read_request(bytes: &[u8]) -> Result<Option<(Recorded, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(start) = head.parse(bytes).context("not HTTP/1.1")? else {
        return Ok(None);
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut request = Recorded {
        method: head.method.unwrap_or("").to_owned(),
        path: head.path.unwrap_or("").to_owned(),
        headers: head.headers.iter().map(|f| (f.name.to_owned(), text(f.value))).collect(),
        body: Vec::new(),
    };
    let rest = bytes.get(start..).unwrap_or_default();
    if request.header("transfer-encoding").is_some() {
        let Some((body, used)) = unchunk(rest)? else { return Ok(None) };
        request.body = body;
        return Ok(Some((request, start + used)));
    }
    let length = request.header("content-length").map_or(Ok(0), str::parse::<usize>)?;
    let Some(body) = rest.get(..length) else { return Ok(None) };
    request.body = body.to_vec();
    Ok(Some((request, start + length)))
}

/// A chunked body and its length on the wire.
fn unchunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let (mut out, mut at) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let httparse::Status::Complete((start, size)) =
            httparse::parse_chunk_size(rest).map_err(|_| anyhow::anyhow!("a bad chunk"))?
        else {
            return Ok(None);
        };
        let size = usize::try_from(size)?;
        let Some(content) = rest.get(start..start + size) else { return Ok(None) };
        match rest.get(start + size..start + size + 2) {
            None => return Ok(None),
            Some(b"\r\n") => {}
            Some(_) => bail!("a chunk without its end"),
        }
        out.extend_from_slice(content);
        at += start + size + 2;
        if size == 0 {
            return Ok(Some((out, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_however_their_bodies_are_framed() {
        let wire = "POST /a?x=1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
            POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
            HEAD / HTTP/1.1\r\nX-Odd: v\r\n\r\n";
        let mut rest = wire.as_bytes();
        let mut seen = Vec::new();
        while let Some((request, used)) = read_request(rest).unwrap() {
            seen.push(format!("{} {}", request.path, String::from_utf8_lossy(&request.body)));
            rest = &rest[used..];
        }
        assert_eq!(seen, ["/a?x=1 abc", "/b def", "/ "]);
        assert!(rest.is_empty());
        assert!(read_request(&wire.as_bytes()[..44]).unwrap().is_none(), "a part is no request");
    }
}
