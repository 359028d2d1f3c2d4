//! One connection: its stream, what has been read from it, and one exchange over it. Never opens
//! a connection and never decides whether one is used again.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio_rustls::client::TlsStream;

use super::wire::{self, HEAD_BYTES_MAX, Head};
use super::{Endpoint, ErrorKind, Failure, TransportError};
use crate::tasks;

/// The room made for a read: an ordinary burst of events fits, and an idle stream costs little.
const READ_BYTES: usize = 32 * 1024;
/// Less room than this is not worth a read, so more is made.
const READ_BYTES_MIN: usize = 4 * 1024;
/// What one turn takes from a socket that has more and more: bounds memory and keeps it fair.
const TURN_BYTES_MAX: usize = 64 * 1024;
/// Interim answers before the real one: a provider that sends more is broken.
const INTERIM_MAX: usize = 16;

/// Plain or encrypted.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An open connection, bound to the runtime that opened it.
#[derive(Debug)]
pub(super) struct Connection {
    endpoint: Endpoint,
    runtime: runtime::Id,
    stream: Stream,
    /// Bytes read and not yet handed on.
    pub(super) buffer: BytesMut,
    /// What ended the reading, kept until what came before it is handed on.
    ended: Option<Ended>,
}

#[derive(Debug)]
enum Ended {
    Closed,
    Failed(io::Error),
}

// === impl Stream ===

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(endpoint: Endpoint, stream: Stream) -> Self {
        let runtime = runtime::Handle::current().id();
        Self { endpoint, runtime, stream, buffer: BytesMut::new(), ended: None }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The runtime whose reactor wakes this connection.
    pub(super) fn runtime(&self) -> runtime::Id {
        self.runtime
    }

    /// Whether the provider has neither hung up nor said anything unasked. Does not block: it
    /// takes what the reactor knows by now.
    pub(super) fn is_quiet(&mut self) -> bool {
        if self.ended.is_some() || !self.buffer.is_empty() {
            return false;
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0; 1];
        let mut probe = ReadBuf::new(&mut byte);
        Pin::new(&mut self.stream).poll_read(&mut context, &mut probe).is_pending()
    }

    /// Writes head and body in one go and reads the answer's head; the body's first bytes may be
    /// left in `buffer`.
    pub(super) async fn exchange(&mut self, head: Bytes, body: Bytes) -> Result<Head, Failure> {
        tasks::turn().await;
        if let Err(cause) = self.write(head, body).await {
            // A provider that refuses a long body answers and hangs up while we still write; what
            // it said is worth more than the broken pipe.
            self.ended = Some(Ended::Failed(cause));
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(Err(error)) = self.read_more(&mut context) {
                tracing::debug!(%error, "nothing more to read after a failed write");
            }
        }
        self.read_head().await
    }

    async fn write(&mut self, head: Bytes, body: Bytes) -> io::Result<()> {
        let mut request = head.chain(body);
        self.stream.write_all_buf(&mut request).await?;
        self.stream.flush().await
    }

    async fn read_head(&mut self) -> Result<Head, Failure> {
        let mut looked = 0;
        let mut interim = 0;
        loop {
            let end = wire::head_end(&self.buffer, looked);
            if end.unwrap_or(self.buffer.len()) > HEAD_BYTES_MAX {
                return Err(self.malformed("the answer's head has more than 65536 bytes"));
            }
            let Some(end) = end else {
                looked = self.buffer.len().saturating_sub(3);
                let filled = self.fill_head().await;
                // An interim answer is an answer: the provider is at work on the request.
                filled.map_err(|failure| failure.after_some(interim > 0))?;
                continue;
            };
            let bytes = self.buffer.split_to(end);
            let head = wire::parse_head(&bytes).map_err(|what| self.malformed(what.0))?;
            if !head.status.is_informational() {
                return Ok(head);
            }
            interim += 1;
            if head.status.as_u16() == 101 || interim > INTERIM_MAX {
                return Err(self.malformed("the answer is interim and no final one follows"));
            }
            looked = 0;
        }
    }

    async fn fill_head(&mut self) -> Result<(), Failure> {
        match self.fill().await {
            Ok(0) => Err(self.closed("hung up without an answer")),
            Ok(_) => Ok(()),
            Err(cause) => Err(self.closed(&format!("broke off before an answer ({cause})"))),
        }
    }

    fn malformed(&self, what: &'static str) -> Failure {
        Failure { error: wire::Malformed(what).at(&self.endpoint), received: true }
    }

    fn closed(&self, what: &str) -> Failure {
        let detail = format!("{} {what}; try again or try another provider", self.endpoint);
        let error = TransportError::new(ErrorKind::Closed, detail);
        Failure { error, received: !self.buffer.is_empty() }
    }

    /// Waits for bytes and appends all that the socket holds to `buffer`, up to a bound. Returns
    /// how many; zero when the provider has hung up in an orderly way.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|context| self.poll_fill(context)).await
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.ended.take() {
            None => self.read_more(context),
            Some(Ended::Closed) => {
                self.ended = Some(Ended::Closed);
                Poll::Ready(Ok(0))
            }
            Some(Ended::Failed(cause)) => {
                self.ended = Some(Ended::Closed);
                Poll::Ready(Err(cause))
            }
        }
    }

    fn read_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let before = self.buffer.len();
        loop {
            if self.buffer.capacity() - self.buffer.len() < READ_BYTES_MIN {
                self.buffer.reserve(READ_BYTES);
            }
            let room = self.buffer.capacity() - self.buffer.len();
            let polled = pin!(self.stream.read_buf(&mut self.buffer)).poll(context);
            let total = self.buffer.len() - before;
            match polled {
                Poll::Ready(Ok(got)) if got > 0 => {
                    // A plain socket that did not fill the room is empty; a TLS stream hands out
                    // one record at a time and may hold more.
                    let drained = got < room && matches!(self.stream, Stream::Plain(_));
                    if drained || total >= TURN_BYTES_MAX {
                        return Poll::Ready(Ok(total));
                    }
                }
                Poll::Pending if total == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(total)),
                Poll::Ready(ended) => {
                    self.ended = Some(match ended {
                        Ok(_) => Ended::Closed,
                        Err(cause) => Ended::Failed(cause),
                    });
                    if total > 0 {
                        return Poll::Ready(Ok(total));
                    }
                    return self.poll_fill(context);
                }
            }
        }
    }
}
