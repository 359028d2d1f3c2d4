//! A provider that answers at once: fixed bytes over kept connections, a thread each. It is
//! never the bottleneck that is measured; its own work is not counted.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::cases;
use crate::wire::Connection;

/// The fixed answers, made once.
#[derive(Debug)]
struct Answers {
    whole: Vec<u8>,
    burst: Vec<u8>,
    pieces: Vec<Vec<u8>>,
}

/// Starts the upstream on a free port. It lives as long as the process.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let pieces = cases::stream();
    let answers = Answers { whole: cases::answer(), burst: pieces.concat(), pieces };
    let answers = Arc::new(answers);
    std::thread::Builder::new().name("upstream".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = Arc::clone(&answers);
            // A connection that ends, or that a proxy drops, ends its thread; a client that
            // misses its answer reports it.
            std::thread::spawn(move || Connection::over(stream).and_then(|c| serve(c, &answers)));
        }
    })?;
    Ok(address)
}

fn serve(mut connection: Connection, answers: &Answers) -> Result<()> {
    connection.wait_forever()?;
    while let Some(body) = connection.next_request()? {
        match cases::asked_stream(body) {
            None => connection.send(&answers.whole)?,
            Some(false) => connection.send(&answers.burst)?,
            Some(true) => {
                for piece in &answers.pieces {
                    connection.send(piece)?;
                    std::thread::sleep(Duration::from_millis(cases::PACE_MS));
                }
            }
        }
    }
    Ok(())
}
