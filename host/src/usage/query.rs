//! Reading usage: sums by group, one request, and the newest requests of an organization. Calls
//! read files: run them off the async threads. Every query but that of sums is bounded to what the
//! index and the kept segments hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;

use super::UsageError;
use super::event::{Record, UsageEvent};
use super::queue::Queue;
use super::recent::{Entry, Place, Recent};
use super::rollup::{Anomaly, Query, Rollup, UsageReport};
use super::row::{decode, decode_event, is_of};
use super::segment::read_at;
use super::segments::{Folder, Span, time_of};
use super::unrecorded::UnderWay;
use super::wire::Broken;
use super::words::{Book, Books, for_each_record};

/// How far back hours out of the usual are shown: a week.
const ANOMALIES_SHOWN_MS: u64 = 7 * 24 * 3_600_000;

/// Requests in one page of a listing.
const PAGE_MAX: usize = 500;
/// Requests that are looked at in a row.
const LOOKED_AT_TOGETHER: usize = 500;
/// Requests that are looked through for a page of those that are taken.
const LOOKED_AT_MAX: usize = 5_000;

/// What the recorder's thread and the readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) under_way: Arc<UnderWay>,
    pub(super) folder: Folder,
    pub(super) rollup: Mutex<Rollup>,
    pub(super) recent: Mutex<Recent>,
    pub(super) books: Mutex<Books>,
    /// Every kept segment by number.
    pub(super) spans: Mutex<BTreeMap<u64, Span>>,
    pub(super) dropped: AtomicU64,
}

/// The reading end of usage. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UsageLog {
    pub(super) shared: Arc<Shared>,
}

/// Which requests, by their ids, which are by time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Between {
    /// From this one on.
    pub first: Option<Uuid>,
    /// Before this one.
    pub before: Option<Uuid>,
}

/// A page of requests, newest first.
#[derive(Debug)]
pub struct RequestsPage {
    /// At most as many as were asked for.
    pub items: Vec<UsageEvent>,
    /// The id to go on from, if there are more.
    pub next: Option<Uuid>,
}

/// A page of whole records, newest first.
#[derive(Debug)]
pub struct RecordsPage {
    /// At most as many as were asked for.
    pub items: Vec<Record>,
    /// Those that could not be read: of another version of the program, or gone meanwhile.
    pub unreadable: u64,
    /// The id to go on from, if there are more.
    pub next: Option<Uuid>,
}

// === impl UsageLog ===

impl UsageLog {
    /// Sums of one organization between two times, widened to full hours, by group.
    pub fn report(&self, query: &Query<'_>, now_ms: u64) -> UsageReport {
        // Before all that was handed over is waited for: what ends after this is under way here.
        let complete_to_ms = self.complete_to(query.org, now_ms);
        let counted = self.shared.queue.barrier();
        let mut gathered = self.shared.rollup.lock().gather(query);
        gathered.complete_to_ms = if counted { complete_to_ms } else { 0 };
        // Sorted by whoever asks, while the recorder goes on.
        gathered.arranged(query.groups_max)
    }

    /// The full hour up to which an organization's requests have all been handed over: what began
    /// before it has ended.
    pub fn complete_to(&self, org: &str, now_ms: u64) -> u64 {
        self.shared.under_way.complete_to(org, now_ms)
    }

    /// Hours out of the usual: of the week before `now_ms` for one organization; the running hour
    /// alone for all. The latest first.
    pub fn anomalies(&self, org: Option<&str>, now_ms: u64) -> Vec<Anomaly> {
        self.barrier();
        let from_ms = match org {
            Some(_) => now_ms.saturating_sub(ANOMALIES_SHOWN_MS),
            None => now_ms,
        };
        self.shared.rollup.lock().anomalies(org, from_ms, now_ms)
    }

    /// One request, if it is kept; with an organization, only if it is that one's.
    pub fn find(&self, org: Option<&str>, id: Uuid) -> Result<Option<Record>, UsageError> {
        let mut entry = self.shared.recent.lock().find(id);
        if entry.is_none() {
            // It may have been handed over a moment ago.
            self.barrier();
            entry = self.shared.recent.lock().find(id);
        }
        let record = match entry {
            Some(Entry { place, .. }) => Some(self.shared.read(&place, decode)?),
            None => self.shared.search(id)?,
        };
        Ok(record.filter(|record| org.is_none_or(|org| *record.event.org == *org)))
    }

    /// The newest requests of an organization between two that are taken. Looks at so many at most:
    /// a page may hold fewer than were asked for and go on all the same.
    pub fn newest(
        &self,
        org: &str,
        between: Between,
        limit: usize,
        takes: impl Fn(&UsageEvent) -> bool,
    ) -> Result<RequestsPage, UsageError> {
        self.barrier();
        let limit = limit.clamp(1, PAGE_MAX);
        let mut page = RequestsPage { items: Vec::new(), next: between.before };
        let (mut looked_at, mut together) = (0_usize, limit);
        while looked_at < LOOKED_AT_MAX {
            let rest = Between { before: page.next, ..between };
            let (found, more) = self.shared.recent.lock().newest(org, rest, together);
            let last = found.last().map(|(id, _)| *id);
            looked_at = looked_at.saturating_add(found.len());
            // Where few are taken, more of them are looked at.
            together = LOOKED_AT_TOGETHER;
            for (id, place) in found {
                let event = self.shared.read(&place, decode_event)?;
                if takes(&event) {
                    page.items.push(event);
                }
                page.next = Some(id).filter(|_| more || last != Some(id));
                if page.items.len() >= limit {
                    return Ok(page);
                }
            }
            if !more {
                page.next = None;
                break;
            }
        }
        Ok(page)
    }

    /// The same with what is known of each request; a page of them may be some megabytes. Unlike
    /// the others it does not wait for what was handed over a moment ago.
    pub fn newest_whole(&self, org: &str, before: Option<Uuid>, limit: usize) -> RecordsPage {
        let limit = limit.clamp(1, PAGE_MAX);
        let between = Between { first: None, before };
        let (found, more) = self.shared.recent.lock().newest(org, between, limit);
        let next = found.last().filter(|_| more).map(|(id, _)| *id);
        let (mut items, mut unreadable) = (Vec::with_capacity(found.len()), 0_u64);
        for (_, place) in &found {
            match self.shared.read(place, decode) {
                Ok(record) => items.push(record),
                Err(_) => unreadable = unreadable.saturating_add(1),
            }
        }
        RecordsPage { items, unreadable, next }
    }

    /// How many records were lost since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits, within a bound, until everything handed over so far is counted and readable.
    pub fn barrier(&self) {
        self.shared.queue.barrier();
    }
}

// === impl Shared ===

impl Shared {
    fn read<T>(
        &self,
        place: &Place,
        decode: impl FnOnce(&[u8], &Book) -> Result<T, Broken>,
    ) -> Result<T, UsageError> {
        match place {
            Place::Memory { number, payload } => {
                let book = self.book(*number)?;
                decode(payload, &book)
            }
            Place::Segment { number, offset, len } => {
                let payload = read_at(&self.folder.segment(*number), *offset, *len)?;
                let book = self.book(*number)?;
                decode(&payload, &book)
            }
        }
        .map_err(unreadable)
    }

    /// A segment's dictionary: from memory, or by going through the segment once. That of the open
    /// segment is always in memory, and its words are there before the records that use them.
    fn book(&self, number: u64) -> Result<Arc<Book>, UsageError> {
        if let Some(book) = self.books.lock().get(number) {
            return Ok(book);
        }
        let mut book = Book::default();
        for_each_record(&self.folder.segment(number), &mut book, |_, _, _| true)?;
        let book = Arc::new(book);
        self.books.lock().keep(number, Arc::clone(&book));
        Ok(book)
    }

    /// Looks for a request in every segment that covers its time.
    fn search(&self, id: Uuid) -> Result<Option<Record>, UsageError> {
        let Some(at_ms) = time_of(id) else { return Ok(None) };
        let covering: Vec<u64> = {
            let spans = self.spans.lock();
            spans.values().filter(|span| span.covers(at_ms)).map(|span| span.number).collect()
        };
        for number in covering {
            let mut found = None;
            let mut book = Book::default();
            for_each_record(&self.folder.segment(number), &mut book, |_, payload, book| {
                if is_of(payload, id) {
                    found = Some(decode(payload, book));
                }
                found.is_none()
            })?;
            if let Some(record) = found {
                return record.map(Some).map_err(unreadable);
            }
        }
        Ok(None)
    }
}

fn unreadable(cause: Broken) -> UsageError {
    UsageError::new("reading a usage record", cause)
}
