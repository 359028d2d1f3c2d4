//! Closed-loop load: each connection sends its next request when it has the whole answer to the
//! one before. Any answer that isn't right ends the bench.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::cases::{Case, Turns};
use crate::clock::Stopwatch;
use crate::process::Processes;
use crate::wire::Connection;

/// Calls that each connection makes before a slice is counted, so that pools are warm.
const WARM_CALLS: usize = 3;

/// What one slice showed.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) calls: u64,
    pub(crate) seconds: f64,
    /// CPU time of the proxy's processes, user and system.
    pub(crate) cpu_us: f64,
    /// Of every call, in microseconds.
    pub(crate) latencies_us: Vec<u32>,
}

/// Where a slice's load goes.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) model: String,
}

/// Loads a target for `length` over so many connections and counts what its processes used.
pub(crate) fn slice(
    aim: &Aim,
    case: Case,
    connections: usize,
    length: Duration,
    processes: Option<&Processes>,
) -> Result<Slice> {
    let request = case.request(&aim.address.to_string(), &aim.key, &aim.model);
    let request = Turns::of(request)?;
    let stop = Arc::new(AtomicBool::new(false));
    let ready = Arc::new(Barrier::new(connections.saturating_add(1)));
    let mut threads: Vec<JoinHandle<Result<Vec<u32>>>> = Vec::with_capacity(connections);
    for _ in 0..connections {
        let (mut request, stop) = (request.clone(), Arc::clone(&stop));
        let ready = Arc::clone(&ready);
        let address = aim.address;
        threads.push(std::thread::spawn(move || {
            let warm = warm(address, case, &mut request);
            ready.wait();
            run(warm?, case, request, &stop)
        }));
    }
    ready.wait();
    let before = processes.map(Processes::cpu_us).transpose()?.unwrap_or(0.0);
    let watch = Stopwatch::start();
    while watch.elapsed() < length && !threads.iter().any(JoinHandle::is_finished) {
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Relaxed);
    let mut latencies_us = Vec::new();
    for thread in threads {
        let each = thread.join().map_err(|_| anyhow!("a load thread broke down"))?;
        latencies_us.extend(each.with_context(|| format!("{} at {}", case.title(), aim.address))?);
    }
    let seconds = watch.elapsed().as_secs_f64();
    let after = processes.map(Processes::cpu_us).transpose()?.unwrap_or(0.0);
    let calls = u64::try_from(latencies_us.len())?;
    Ok(Slice { calls, seconds, cpu_us: after - before, latencies_us })
}

fn warm(address: SocketAddr, case: Case, request: &mut Turns) -> Result<Connection> {
    let mut connection = Connection::open(address)?;
    let calls = if case == Case::Paced { 1 } else { WARM_CALLS };
    for _ in 0..calls {
        let (status, body) = connection.exchange(request.next())?;
        case.check(status, body)?;
    }
    Ok(connection)
}

fn run(
    mut connection: Connection,
    case: Case,
    mut request: Turns,
    stop: &AtomicBool,
) -> Result<Vec<u32>> {
    let mut latencies_us = Vec::with_capacity(64 * 1024);
    while !stop.load(Ordering::Relaxed) {
        let request = request.next();
        let watch = Stopwatch::start();
        let (status, body) = connection.exchange(request)?;
        latencies_us.push(watch.micros());
        case.check(status, body)?;
    }
    Ok(latencies_us)
}
