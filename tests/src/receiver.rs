//! Somebody's webhook receiver: keeps what it is sent, and answers as the test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::recorder::{Recorded, read_request};

/// Bytes read at once.
const READ: usize = 16 << 10;
/// An alert is noticed and sent within seconds; this is long.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Shared {
    /// Answers to come, the last of which stays.
    statuses: Vec<u16>,
    received: Vec<Recorded>,
}

/// See the head of this file; dropped, it is gone.
#[derive(Debug)]
pub struct Receiver {
    addr: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    _accepting: JoinSet<()>,
}

// === impl Receiver ===

impl Receiver {
    /// Answers with these statuses in turn; the last one from then on.
    pub async fn answering(statuses: &[u16]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let mut statuses = statuses.to_vec();
        statuses.reverse();
        let shared = Arc::new(Mutex::new(Shared { statuses, received: Vec::new() }));
        let kept = Arc::clone(&shared);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, Arc::clone(&kept)));
            }
        });
        Ok(Self { addr, shared, _accepting: accepting })
    }

    /// `http://127.0.0.1:PORT/hook`.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Recorded> {
        self.shared.lock().received.clone()
    }

    /// Everything received, once there are so many.
    pub async fn wait_for(&self, count: usize) -> Result<Vec<Recorded>> {
        let enough = async {
            loop {
                let received = self.received();
                if received.len() >= count {
                    return received;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let waited = tokio::time::timeout(WAIT_MAX, enough).await;
        waited.with_context(|| format!("only {} of {count} came", self.received().len()))
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; READ];
    loop {
        while let Ok(Some((request, used))) = read_request(&bytes) {
            bytes.drain(..used);
            let status = {
                let mut shared = shared.lock();
                shared.received.push(request);
                match shared.statuses.len() {
                    0 => 200,
                    1 => shared.statuses.first().copied().unwrap_or(200),
                    _ => shared.statuses.pop().unwrap_or(200),
                }
            };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok");
            if stream.write_all(head.as_bytes()).await.is_err() {
                return;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            _ => return,
        }
    }
}
