//! The thread that makes time pass for guests: one epoch a millisecond. Joined when dropped; never
//! keeps the engine alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// One tick. Deadlines count in this unit.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// Ticks an engine until dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let weak = engine.weak();
        let thread = std::thread::Builder::new().name("policy-ticker".into()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                std::thread::sleep(TICK);
                let Some(engine) = weak.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the policy ticker thread panicked");
        }
    }
}
