//! The data plane's listener: accepts connections, bounds them, and hands each to one of a few
//! single-threaded workers, where it stays. Knows HTTP, but nothing of models or money.

mod write_idle;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

use crate::egress::GatewayBody;
use crate::tasks::{self, LastCall, Tasks};
use write_idle::WriteIdle;

/// Header fields of a request; the SDKs send about twenty.
const HEADERS_MAX: usize = 128;
/// Bytes that the connection buffers, each way: what is read at a time, and what a caller who does
/// not read leaves here. Also bounds the head of a request.
const BUFFER_BYTES: usize = 64 << 10;
/// For the head of a request to arrive: bounds what a slow client can hold.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Accepted connections on their way to one worker.
const HANDOVER_QUEUE: usize = 256;
/// How often a worker's runtime wakes for nothing. A timer that ends before all others has the
/// runtime wake itself by a system call, and where no other was left every request's would: with
/// one that is always due this soon, none of theirs does.
const TIMER_BEAT: Duration = Duration::from_millis(500);
/// For settlements at the end at least: they wait for a policy and for nothing else.
const SETTLING: Duration = Duration::from_secs(5);
/// For connections that are cut off to be dropped, each of which takes one.
const TURNS_MAX: usize = 1_000;
/// Connections between two looks at which of them have ended.
const LOOK_AT: usize = 64;
/// After `accept` fails (usually: no file descriptors), before trying again.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Answers requests; called on the worker that owns the connection.
pub trait Service: Send + Sync + 'static {
    /// Never fails: errors are responses.
    fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<GatewayBody>> + Send;
}

struct Accepted {
    stream: std::net::TcpStream,
    permit: OwnedSemaphorePermit,
}

/// The running data plane.
#[derive(Debug)]
pub struct DataPlane {
    workers: Vec<std::thread::JoinHandle<()>>,
}

/// What `serve` needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    pub workers: usize,
    pub connections: usize,
    /// For requests in flight, on shutdown.
    pub drain: Duration,
    /// How long a client may read nothing of what there is for it.
    pub write_idle: Duration,
    /// Settlements that outlive their connection.
    pub tasks: Tasks,
    /// Called when the time for requests in flight is over.
    pub last_call: LastCall,
}

/// Starts the workers and the accept loop on the current runtime. Ends when `stop` turns true.
pub fn serve<S: Service>(
    service: &Arc<S>,
    listener: tokio::net::TcpListener,
    options: &Options,
    stop: &watch::Receiver<bool>,
) -> std::io::Result<DataPlane> {
    let mut senders = Vec::with_capacity(options.workers);
    let mut workers = Vec::with_capacity(options.workers);
    for index in 0..options.workers {
        let (sender, receiver) = mpsc::channel(HANDOVER_QUEUE);
        senders.push(sender);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (service, options, stop) = (Arc::clone(service), options.clone(), stop.clone());
        let thread =
            std::thread::Builder::new().name(format!("data-{index}")).spawn(move || {
                runtime.block_on(work(service, receiver, options, stop));
            })?;
        workers.push(thread);
    }
    let permits = Arc::new(Semaphore::new(options.connections));
    options.tasks.spawn("accept", accept(listener, senders, permits, stop.clone()));
    Ok(DataPlane { workers })
}

impl DataPlane {
    /// Waits until every worker has drained. Blocks the calling thread.
    pub fn join(self) {
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a data-plane worker panicked; see the log above for the cause");
            }
        }
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    senders: Vec<mpsc::Sender<Accepted>>,
    permits: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let mut next = 0_usize;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accept failed; trying again shortly");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            refuse_connection(&stream);
            continue;
        };
        // Small writes (stream events) must not wait for acknowledgements.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let Ok(stream) = stream.into_std() else { continue };
        next = next.wrapping_add(1);
        let Some(sender) = senders.get(next % senders.len().max(1)) else { return };
        if sender.send(Accepted { stream, permit }).await.is_err() {
            return;
        }
    }
}

/// Over the limit: says so in plain HTTP without spending a worker on it.
fn refuse_connection(stream: &TcpStream) {
    let refusal = crate::error::Refusal::overloaded();
    let body = crate::egress::body(&refusal, turnpike_protocol::Dialect::OpenAiChat, None);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // Best effort: the socket buffer of a fresh connection takes it at once, or the client sees a
    // closed connection.
    let sent = stream.try_write(head.as_bytes()).and_then(|_| stream.try_write(&body));
    if let Err(error) = sent {
        tracing::debug!(%error, "could not tell a client that the gateway is full");
    }
}

async fn work<S: Service>(
    service: Arc<S>,
    mut accepted: mpsc::Receiver<Accepted>,
    options: Options,
    mut stop: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let connections = Tasks::default();
    connections.spawn("timer beat", async {
        loop {
            tokio::time::sleep(TIMER_BEAT).await;
        }
    });
    let builder = builder();
    let mut open = Open::default();
    loop {
        let next = tokio::select! {
            next = accepted.recv() => next,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(Accepted { stream, permit }) = next else { break };
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        let service = Arc::clone(&service);
        let connection = builder.serve_connection(
            TokioIo::new(WriteIdle::new(stream, options.write_idle)),
            service_fn(move |request| {
                let service = Arc::clone(&service);
                async move {
                    tasks::turn().await;
                    let response = service.call(request).await;
                    tasks::turn().await;
                    Ok::<_, Infallible>(response)
                }
            }),
        );
        let connection = graceful.watch(connection);
        open.add(connections.begin("connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(permit);
        }));
    }
    drop(accepted);
    if tokio::time::timeout(options.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still running when the drain time was over; cut off");
        options.last_call.call();
        open.cut_off().await;
    }
    // Settlements of streams whose caller has gone run on this worker's runtime.
    let settling = options.drain.max(SETTLING);
    if tokio::time::timeout(settling, options.tasks.idle()).await.is_err() {
        tracing::warn!("settlements were still running when the drain time was over");
    }
}

/// The connections of a worker, to be cut off at the end. Those that have ended are forgotten
/// whenever there are twice as many as were left the last time.
#[derive(Debug, Default)]
struct Open {
    connections: Vec<AbortHandle>,
    look_at: usize,
}

impl Open {
    fn add(&mut self, connection: Option<AbortHandle>) {
        if self.connections.len() >= self.look_at.max(LOOK_AT) {
            self.connections.retain(|connection| !connection.is_finished());
            self.look_at = self.connections.len().saturating_mul(2);
        }
        self.connections.extend(connection);
    }

    /// What they were sending is dropped, and settled by what was sent of it.
    async fn cut_off(&self) {
        self.connections.iter().for_each(AbortHandle::abort);
        // They are dropped when it is their turn, and only then the settlements are begun that are
        // waited for afterwards.
        for _ in 0..TURNS_MAX {
            if self.connections.iter().all(AbortHandle::is_finished) {
                return;
            }
            tasks::turn().await;
        }
    }
}

fn builder() -> http1::Builder {
    // HTTP/1.1 only: waiting for a client's first bytes to tell the versions apart has no time-out,
    // so silent connections would hold their places for ever.
    // Not `pipeline_flush`: with it hyper takes a whole stream into memory for a client that does
    // not read.
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(HEADERS_MAX);
    builder
}

#[cfg(test)]
mod tests;
