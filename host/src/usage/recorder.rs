//! The recorder: requests leave their record in a bounded queue and go on; one thread writes.
//! When the thread can't keep up or the disk is full, records are dropped and counted, because a
//! statistic is never worth a request.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use uuid::Uuid;

use super::UsageError;
use super::event::UsageEvent;
use super::load::OpenSegment;
use super::looked_at::Fresh;
use super::query::{Shared, UsageLog};
use super::queue::{Batch, CloseAtEnd};
use super::recent::{Entry, Place};
use super::row::encode;
use super::segment::{HEAD_BYTES, Tail, push_frame, widen};
use super::segments::Span;
use super::unrecorded::Unrecorded;
use super::words::{Framed, Lexicon};
use crate::clock::Stopwatch;

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
    /// The defaults for a folder: 64 segments of 64 MiB, some million requests.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, segment_bytes: 64 * 1024 * 1024, segments_max: 64 }
    }
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
        let (shared, open) = super::load::load(&options)?;
        let shared = Arc::new(shared);
        let mut writer = Writer::new(Arc::clone(&shared), options, open);
        let thread = std::thread::Builder::new()
            .name("usage".into())
            .spawn(move || writer.run())
            .map_err(|cause| UsageError::new("starting the usage thread", cause))?;
        Ok(Self { log: UsageLog { shared }, thread: Some(thread) })
    }

    /// A request of an organization begins; to be kept until it is recorded.
    pub fn begin(&self, org: &Arc<str>, at_ms: u64) -> Unrecorded {
        self.log.shared.under_way.begin(org, at_ms)
    }

    /// Hands a record over without waiting. False if it had to be dropped, which is counted.
    pub fn record(&self, record: impl Into<Fresh>) -> bool {
        let taken = self.log.shared.queue.push(record.into());
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
        self.log.shared.queue.stop();
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
    /// The dictionary of the segment that is being written.
    lexicon: Lexicon,
    /// How much of it is on the disk.
    words_written: Framed,
    /// How much of it readers know.
    words_told: Framed,
    /// Whole frames of records.
    buffer: Vec<u8>,
    /// The requests in the buffer, with their payload's place in it and its length.
    buffered: Vec<(Uuid, u64, u32)>,
    /// The payload of the record in hand; kept for its capacity.
    payload: Vec<u8>,
    /// What is not among the sums yet: at most a batch, and empty outside of one.
    uncounted: Vec<UsageEvent>,
    failing: bool,
    dirty: bool,
    flushed: Stopwatch,
    synced: Stopwatch,
}

// === impl Writer ===

impl Writer {
    fn new(shared: Arc<Shared>, options: Options, open: OpenSegment) -> Self {
        let words = open.lexicon.framed();
        Self {
            shared,
            options,
            tail: open.tail,
            span: open.span,
            lexicon: open.lexicon,
            words_written: words,
            words_told: words,
            buffer: Vec::new(),
            buffered: Vec::new(),
            payload: Vec::new(),
            uncounted: Vec::new(),
            failing: false,
            dirty: false,
            flushed: Stopwatch::start(),
            synced: Stopwatch::start(),
        }
    }

    fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        let closing = CloseAtEnd(&shared.queue);
        let mut batch = Batch::new();
        loop {
            // Orders come before records: a barrier covers all that was pushed before it.
            let orders = shared.queue.orders();
            if orders.stop {
                // Before the last look, so that nothing is pushed after it.
                shared.queue.close();
            }
            shared.queue.swap(&mut batch);
            for fresh in batch.drain(..) {
                self.take(*fresh);
                if self.buffer.len() > BUFFER_BYTES_MAX {
                    self.count();
                    self.flush();
                }
            }
            self.count();
            let asked = orders.stop || !orders.barriers.is_empty();
            if asked || self.flushed.elapsed() >= FLUSH_EVERY {
                self.flush();
            }
            for waiting in orders.barriers {
                // Whoever asked may have given up.
                waiting.send(()).ok();
            }
            if orders.stop || (self.dirty && self.synced.elapsed() >= SYNC_EVERY) {
                self.sync();
            }
            if orders.stop {
                break;
            }
        }
        drop(closing);
    }

    /// Adds what was taken to the sums: all of it while they are held once, because a report holds
    /// them for as long as it reads, and the thread would wait for one at each record. Always
    /// before a flush, which may finish the segment that they belong to.
    fn count(&mut self) {
        if self.uncounted.is_empty() {
            return;
        }
        let mut rollup = self.shared.rollup.lock();
        for event in self.uncounted.drain(..) {
            rollup.count(&event);
        }
    }

    /// Adds a record to the index, the buffer and what is to be counted.
    fn take(&mut self, mut fresh: Fresh) {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        encode(&mut payload, &mut fresh, &mut self.lexicon);
        self.tell_words();
        self.keep(&fresh.record.event, &payload);
        self.uncounted.push(fresh.record.event);
        self.payload = payload;
    }

    /// Tells the readers what the dictionary has got.
    fn tell_words(&mut self) {
        let known = self.lexicon.framed();
        if known != self.words_told {
            self.words_told = known;
            self.shared.books.lock().extend(self.span.number, &self.lexicon);
        }
    }

    /// Puts what the dictionary has got since it was written before the records in the buffer,
    /// which use it: one frame of words for all of them. How many bytes that is.
    fn put_words_first(&mut self) -> usize {
        let mut frames = Vec::new();
        // They fit: a dictionary's words, a roster and a part of the board are bounded below it.
        for frame in self.lexicon.frames(self.words_written) {
            push_frame(&mut frames, &frame);
        }
        let len = frames.len();
        if len > 0 {
            frames.append(&mut self.buffer);
            self.buffer = frames;
        }
        len
    }

    fn keep(&mut self, event: &UsageEvent, payload: &[u8]) {
        let start = self.buffer.len();
        if !push_frame(&mut self.buffer, payload) {
            return self.lose(1, &"the record is too long");
        }
        self.span.include(event.id);
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.buffered.push((event.id, widen(start.saturating_add(HEAD_BYTES)), len));
        let place = Place::Memory { number: self.span.number, payload: payload.into() };
        let entry = Entry { org: Arc::clone(&event.org), place };
        self.shared.recent.lock().add(event.id, entry);
    }

    /// Writes the buffer to the segment and finishes the segment when it is long enough.
    fn flush(&mut self) {
        self.flushed = Stopwatch::start();
        if self.buffer.is_empty() {
            return;
        }
        let words = self.lexicon.framed();
        let first = widen(self.put_words_first());
        let base = self.tail.len().saturating_add(first);
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
            Ok(()) => {
                self.failing = false;
                self.dirty = true;
                self.words_written = words;
            }
            // Words that were lost are written again, before the next records.
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
        let number = self.span.number.saturating_add(1);
        // Before the sums are taken: a segment that goes on because there is no next one must keep
        // them, or its summary, written again, would have only what came since.
        let next = Tail::open(&self.shared.folder.segment(number), 0)?;
        let rows = self.shared.rollup.lock().finish_segment();
        if let Err(cause) = self.shared.folder.write_summary(self.span, &rows) {
            self.shared.rollup.lock().reopen(&rows);
            return Err(cause);
        }
        self.tail = next;
        self.span = Span::empty(number);
        self.lexicon = Lexicon::default();
        (self.words_written, self.words_told) = Default::default();
        self.shared.books.lock().keep(number, Arc::default());
        let mut spans = self.shared.spans.lock();
        spans.insert(number, self.span);
        while spans.len() > self.options.segments_max.max(1) {
            let Some((gone, _)) = spans.pop_first() else { break };
            self.shared.recent.lock().forget_segment(gone);
            self.shared.books.lock().forget(gone);
            self.shared.folder.remove_segment(gone);
        }
        drop(spans);
        self.shared.folder.trim_summaries()
    }

    fn sync(&mut self) {
        self.dirty = false;
        self.synced = Stopwatch::start();
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
