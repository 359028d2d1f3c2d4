//! The recorder: requests hand their record over a bounded channel and go on; one thread writes.
//! When the thread can't keep up or the disk is full, records are dropped and counted, because a
//! statistic is never worth a request.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use uuid::Uuid;

use super::UsageError;
use super::event::Record;
use super::query::{Shared, UsageLog};
use super::recent::{Entry, Place};
use super::rollup::Rollup;
use super::segment::{HEAD_BYTES, Tail, push_frame, widen};
use super::segments::{Span, Summary};
use crate::clock::Stopwatch;

/// Records that may wait for the thread, a few kilobytes each: several seconds of heavy load.
const WAITING_MAX: usize = 8_192;

/// How long written records may wait in memory: what a crash of the process loses.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// Written records that may wait in memory; beyond it they are flushed at once.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often the file is fsynced: what a power loss takes. Not at each flush, because an fsync
/// here would delay the ledger's on the same disk.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// Where usage is kept, and how much.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder, usually `usage` in the data folder.
    pub dir: PathBuf,
    /// A segment is finished when it has grown to this many bytes.
    pub segment_bytes: u64,
    /// How many segments are kept; the oldest go. Their hourly sums stay.
    pub segments_max: usize,
}

impl Options {
    /// The defaults for a folder: 64 segments of 64 MiB, about a million requests.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, segment_bytes: 64 * 1024 * 1024, segments_max: 64 }
    }
}

pub(super) enum Message {
    Record(Box<Record>),
    /// Write everything handed over so far, then answer.
    Barrier(SyncSender<()>),
    Stop,
}

/// The recording end. Dropping it writes what waits and ends the thread.
#[derive(Debug)]
pub struct Recorder {
    log: UsageLog,
    thread: Option<JoinHandle<()>>,
}

// === impl Recorder ===

impl Recorder {
    /// Opens the folder, adds up what is there, and starts the thread.
    pub fn start(options: Options) -> Result<Self, UsageError> {
        let (shared, tail, span, rollup) = super::query::load(&options)?;
        let shared = Arc::new(shared);
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            options,
            tail,
            span,
            rollup,
            buffer: Vec::new(),
            buffered: Vec::new(),
            failing: false,
        };
        let thread = std::thread::Builder::new()
            .name("usage".into())
            .spawn(move || writer.run(&receiver))
            .map_err(|cause| UsageError::new("starting the usage thread", cause))?;
        Ok(Self { log: UsageLog { shared, sender }, thread: Some(thread) })
    }

    /// Hands a record over without waiting. False if it had to be dropped, which is counted.
    pub fn record(&self, record: Record) -> bool {
        let taken = self.log.sender.try_send(Message::Record(Box::new(record))).is_ok();
        if !taken {
            self.log.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// The reading end.
    pub fn log(&self) -> UsageLog {
        self.log.clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // A thread that is gone has nothing left to stop.
        drop(self.log.sender.send(Message::Stop));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the usage thread panicked; its last records are lost");
        }
    }
}

/// What the thread owns.
struct Writer {
    shared: Arc<Shared>,
    options: Options,
    tail: Tail,
    span: Span,
    /// The sums of the segment that is being written.
    rollup: Rollup,
    buffer: Vec<u8>,
    /// The requests in the buffer, with their payload's place in it and its length.
    buffered: Vec<(Uuid, u64, u32)>,
    failing: bool,
}

// === impl Writer ===

impl Writer {
    fn run(&mut self, receiver: &Receiver<Message>) {
        let mut flushed = Stopwatch::start();
        let mut synced = Stopwatch::start();
        let mut dirty = false;
        loop {
            // With nothing waiting to be written there is no reason to wake up.
            let message = if self.buffer.is_empty() && !dirty {
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(FLUSH_EVERY.saturating_sub(flushed.elapsed()))
            };
            let mut stop = false;
            let mut reply = None;
            match message {
                Ok(Message::Record(record)) => self.take(&record),
                Ok(Message::Barrier(waiting)) => reply = Some(waiting),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => stop = true,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let due = flushed.elapsed() >= FLUSH_EVERY || self.buffer.len() > BUFFER_BYTES_MAX;
            if stop || due || reply.is_some() {
                dirty |= !self.buffer.is_empty();
                self.flush();
                flushed = Stopwatch::start();
            }
            if let Some(waiting) = reply {
                // Whoever asked may have given up.
                waiting.send(()).ok();
            }
            if stop || (dirty && synced.elapsed() >= SYNC_EVERY) {
                self.sync();
                dirty = false;
                synced = Stopwatch::start();
            }
            if stop {
                return;
            }
        }
    }

    /// Adds a record to the sums, the index and the buffer.
    fn take(&mut self, record: &Record) {
        let event = &record.event;
        self.shared.rollup.lock().count(event);
        self.rollup.count(event);
        let payload = match serde_json::to_vec(record) {
            Ok(payload) => payload,
            Err(cause) => return self.lose(1, &cause),
        };
        let start = self.buffer.len();
        if !push_frame(&mut self.buffer, &payload) {
            return self.lose(1, &"the record is too long");
        }
        self.span.include(event.id);
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.buffered.push((event.id, widen(start.saturating_add(HEAD_BYTES)), len));
        let entry = Entry { org: Arc::clone(&event.org), place: Place::Memory(payload.into()) };
        self.shared.recent.lock().add(event.id, entry);
    }

    /// Writes the buffer to the segment and finishes the segment when it is long enough.
    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let base = self.tail.len();
        let written = self.tail.append(&self.buffer);
        self.buffer.clear();
        let buffered = std::mem::take(&mut self.buffered);
        let number = self.span.number;
        {
            let mut recent = self.shared.recent.lock();
            for (id, start, len) in &buffered {
                let offset = base.saturating_add(*start);
                let place = Place::Segment { number, offset, len: *len };
                recent.moved(*id, written.is_ok().then_some(place));
            }
        }
        match written {
            Ok(()) => self.failing = false,
            Err(cause) => self.lose(widen(buffered.len()), &cause),
        }
        self.span.bytes = self.tail.len();
        self.shared.spans.lock().insert(number, self.span);
        if self.tail.len() >= self.options.segment_bytes
            && let Err(cause) = self.next_segment()
        {
            self.lose(0, &cause);
        }
    }

    fn next_segment(&mut self) -> Result<(), UsageError> {
        self.sync();
        let summary = Summary { span: self.span, rows: self.rollup.rows() };
        self.shared.folder.write_summary(&summary)?;
        let number = self.span.number.saturating_add(1);
        self.tail = Tail::open(&self.shared.folder.segment(number), 0)?;
        self.span = Span::empty(number);
        self.rollup = Rollup::default();
        let mut spans = self.shared.spans.lock();
        spans.insert(number, self.span);
        while spans.len() > self.options.segments_max.max(1) {
            let Some((gone, _)) = spans.pop_first() else { break };
            self.shared.recent.lock().forget_segment(gone);
            self.shared.folder.remove_segment(gone);
        }
        drop(spans);
        self.shared.folder.trim_summaries()
    }

    fn sync(&mut self) {
        if let Err(cause) = self.tail.sync() {
            self.lose(0, &cause);
        }
    }

    /// Counts lost records; logs the first failure of a row only, or a full disk fills the log.
    fn lose(&mut self, records: u64, cause: &dyn std::fmt::Display) {
        self.shared.dropped.fetch_add(records, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(records, %cause, "usage records can't be kept; money is not affected");
        }
    }
}

#[cfg(test)]
mod tests;
