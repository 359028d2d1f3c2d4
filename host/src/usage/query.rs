//! Reading usage: sums by group, one request, and the newest requests of an organization. Calls
//! read files: run them off the async threads. Every query but that of sums is bounded to what the
//! index and the kept segments hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use uuid::Uuid;

use super::UsageError;
use super::event::{Record, UsageEvent};
use super::recent::{Entry, Place, RECENT_MAX, Recent};
use super::recorder::{Message, Options};
use super::rollup::{Dimension, Rollup, UsageReport};
use super::segment::{Tail, for_each, read_at, widen};
use super::segments::{Folder, Span, Summary, time_of};

/// Requests in one page of a listing.
const PAGE_MAX: usize = 500;

/// Bytes of segments that a start reads to fill the index of recent requests: about a second.
const INDEX_LOAD_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How long a reader waits for the thread to write what it was handed.
const BARRIER_WAIT: Duration = Duration::from_secs(5);

/// What the recorder's thread and the readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: Folder,
    pub(super) rollup: Mutex<Rollup>,
    pub(super) recent: Mutex<Recent>,
    /// Every kept segment by number.
    pub(super) spans: Mutex<BTreeMap<u64, Span>>,
    pub(super) dropped: AtomicU64,
}

/// The reading end of usage. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UsageLog {
    pub(super) shared: Arc<Shared>,
    pub(super) sender: SyncSender<Message>,
}

/// A page of requests, newest first.
#[derive(Debug)]
pub struct RequestsPage {
    /// At most as many as were asked for.
    pub items: Vec<UsageEvent>,
    /// The id to go on from, if there are more.
    pub next: Option<Uuid>,
}

/// An event with everything else of its record skipped.
#[derive(Deserialize)]
struct EventOnly {
    event: UsageEvent,
}

/// What the index needs of a record.
#[derive(Deserialize)]
struct IdOnly {
    event: IdAndOrg,
}

#[derive(Deserialize)]
struct IdAndOrg {
    id: Uuid,
    org: Arc<str>,
}

// === impl UsageLog ===

impl UsageLog {
    /// Sums of one organization between two times (milliseconds since the Unix epoch), widened to
    /// full hours, grouped by the dimensions in their order.
    pub fn report(&self, org: &str, by: &[Dimension], from_ms: u64, to_ms: u64) -> UsageReport {
        self.barrier();
        self.shared.rollup.lock().report(org, by, from_ms, to_ms)
    }

    /// One request, if it is kept; with an organization, only if it is that one's.
    pub fn find(&self, org: Option<&str>, id: Uuid) -> Result<Option<Record>, UsageError> {
        let mut entry = self.shared.recent.lock().find(id);
        if entry.is_none() {
            // It may have been handed over a moment ago.
            self.barrier();
            entry = self.shared.recent.lock().find(id);
        }
        let payload = match entry {
            Some(Entry { place, .. }) => Some(self.shared.read(&place)?),
            None => self.shared.search(id)?,
        };
        let Some(payload) = payload else { return Ok(None) };
        let record: Record = parse(&payload)?;
        Ok(Some(record).filter(|record| org.is_none_or(|org| *record.event.org == *org)))
    }

    /// The newest requests of an organization, before the given one.
    pub fn newest(
        &self,
        org: &str,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<RequestsPage, UsageError> {
        self.barrier();
        let limit = limit.clamp(1, PAGE_MAX);
        let (found, more) = self.shared.recent.lock().newest(org, before, limit);
        let next = found.last().filter(|_| more).map(|(id, _)| *id);
        let mut items = Vec::with_capacity(found.len());
        for (_, place) in &found {
            items.push(parse::<EventOnly>(&self.shared.read(place)?)?.event);
        }
        Ok(RequestsPage { items, next })
    }

    /// How many records were lost since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits, within a bound, until everything handed over so far is counted and readable.
    pub fn barrier(&self) {
        let (reply, replied) = sync_channel(1);
        if self.sender.send(Message::Barrier(reply)).is_ok() {
            // Late or gone: the query then answers from what there is.
            replied.recv_timeout(BARRIER_WAIT).ok();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn read(&self, place: &Place) -> Result<Vec<u8>, UsageError> {
        match place {
            Place::Memory(payload) => Ok(payload.to_vec()),
            Place::Segment { number, offset, len } => {
                read_at(&self.folder.segment(*number), *offset, *len)
            }
        }
    }

    /// Looks for a request in every segment that covers its time.
    fn search(&self, id: Uuid) -> Result<Option<Vec<u8>>, UsageError> {
        let Some(at_ms) = time_of(id) else { return Ok(None) };
        let covering: Vec<u64> = {
            let spans = self.spans.lock();
            spans.values().filter(|span| span.covers(at_ms)).map(|span| span.number).collect()
        };
        let needle = id.to_string();
        for number in covering {
            let mut found = None;
            for_each(&self.folder.segment(number), |_, payload| {
                // The id is near the front; looking for it first spares parsing the others.
                let hit = memchr::memmem::find(payload, needle.as_bytes()).is_some()
                    && serde_json::from_slice::<IdOnly>(payload)
                        .is_ok_and(|record| record.event.id == id);
                if hit {
                    found = Some(payload.to_vec());
                }
                !hit
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn parse<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, UsageError> {
    serde_json::from_slice(payload)
        .map_err(|cause| UsageError::new("reading a usage record", cause))
}

/// Opens the folder: sums from summaries, or from the segment where there is none; the index from
/// the newest segments; and the last segment, cut off after its last whole frame, to go on with.
pub(super) fn load(options: &Options) -> Result<(Shared, Tail, Span, Rollup), UsageError> {
    let folder = Folder::open(&options.dir)?;
    let (segments, summaries) = folder.list()?;
    let newest = segments.last().or(summaries.last()).copied();
    let mut rollup = Rollup::default();
    let mut spans = BTreeMap::new();
    for number in summaries.iter().filter(|number| segments.binary_search(number).is_err()) {
        if let Some(summary) = folder.read_summary(*number) {
            summary.rows.into_iter().for_each(|row| rollup.restore(row));
        }
    }
    let mut last = Rollup::default();
    for number in &segments {
        let is_last = Some(*number) == newest;
        let kept = if is_last { None } else { folder.read_summary(*number) };
        let (span, rows) = match kept {
            Some(summary) => (summary.span, summary.rows),
            None => {
                let (span, sums) = scan(&folder, *number)?;
                let rows = sums.rows();
                if is_last {
                    last = sums;
                } else {
                    folder.write_summary(&Summary { span, rows: rows.clone() })?;
                }
                (span, rows)
            }
        };
        rows.into_iter().for_each(|row| rollup.restore(row));
        spans.insert(*number, span);
    }
    // A summary whose segment is gone marks its number as used.
    let number = match newest {
        Some(number) if segments.last() == Some(&number) => number,
        Some(number) => number.saturating_add(1),
        None => 1,
    };
    let span = *spans.entry(number).or_insert_with(|| Span::empty(number));
    let tail = Tail::open(&folder.segment(number), span.bytes)?;
    let recent = index(&folder, &spans)?;
    let shared = Shared {
        folder,
        rollup: Mutex::new(rollup),
        recent: Mutex::new(recent),
        spans: Mutex::new(spans),
        dropped: AtomicU64::new(0),
    };
    Ok((shared, tail, span, last))
}

/// Adds up a segment that has no summary.
fn scan(folder: &Folder, number: u64) -> Result<(Span, Rollup), UsageError> {
    let mut span = Span::empty(number);
    let mut rollup = Rollup::default();
    let mut unreadable: u64 = 0;
    span.bytes = for_each(&folder.segment(number), |_, payload| {
        match serde_json::from_slice::<EventOnly>(payload) {
            Ok(record) => {
                span.include(record.event.id);
                rollup.count(&record.event);
            }
            Err(_) => unreadable = unreadable.saturating_add(1),
        }
        true
    })?;
    if unreadable > 0 {
        tracing::warn!(number, unreadable, "usage records of another version are not counted");
    }
    Ok((span, rollup))
}

/// The newest requests, from the newest segments.
fn index(folder: &Folder, spans: &BTreeMap<u64, Span>) -> Result<Recent, UsageError> {
    let mut recent = Recent::default();
    let mut read: u64 = 0;
    for (number, span) in spans.iter().rev() {
        read = read.saturating_add(span.bytes);
        if recent.len() >= RECENT_MAX || (read > INDEX_LOAD_BYTES_MAX && recent.len() > 0) {
            break;
        }
        if span.bytes == 0 {
            continue;
        }
        for_each(&folder.segment(*number), |offset, payload| {
            if let Ok(IdOnly { event }) = serde_json::from_slice(payload) {
                let len = u32::try_from(widen(payload.len())).unwrap_or(0);
                let place = Place::Segment { number: *number, offset, len };
                recent.add(event.id, Entry { org: event.org, place });
            }
            true
        })?;
    }
    Ok(recent)
}
