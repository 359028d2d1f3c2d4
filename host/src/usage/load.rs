//! Opening the usage folder: what is there is added up and indexed before the first request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use super::UsageError;
use super::query::Shared;
use super::queue::Queue;
use super::recent::{Entry, Place, RECENT_MAX, Recent};
use super::recorder::Options;
use super::rollup::{Rollup, Rows};
use super::row::{decode_event, decode_head};
use super::segment::{Tail, widen};
use super::segments::{Folder, Span};
use super::unrecorded::UnderWay;
use super::words::{Book, Books, Lexicon, for_each_record};

/// Bytes of segments that a start reads to fill the index of recent requests: about a second.
const INDEX_LOAD_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// The segment to go on with.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) tail: Tail,
    pub(super) span: Span,
    /// Its dictionary so far.
    pub(super) lexicon: Lexicon,
}

/// Opens the folder: sums from summaries, or from the segment where there is none; the index from
/// the newest segments; and the last segment, cut off after its last whole frame, to go on with.
pub(super) fn load(options: &Options) -> Result<(Shared, OpenSegment), UsageError> {
    let folder = Folder::open(&options.dir)?;
    let (segments, summaries) = folder.list()?;
    let newest = segments.last().or(summaries.last()).copied();
    let mut rollup = Rollup::default();
    let mut spans = BTreeMap::new();
    for number in summaries.iter().filter(|number| segments.binary_search(number).is_err()) {
        if let Some(summary) = folder.read_summary(*number) {
            summary.sums.add_to(&mut rollup);
        }
    }
    let mut last = Book::default();
    for number in &segments {
        let is_last = Some(*number) == newest;
        let kept = if is_last { None } else { folder.read_summary(*number) };
        let span = match kept {
            Some(summary) => {
                summary.sums.add_to(&mut rollup);
                summary.span
            }
            None => {
                let (span, sums, book) = scan(&folder, *number)?;
                rollup.restore(&sums, is_last);
                if is_last {
                    last = book;
                } else {
                    folder.write_summary(span, &sums)?;
                }
                span
            }
        };
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
    let mut books = Books::default();
    let recent = index(&folder, &spans, &mut books)?;
    let book = if span.bytes > 0 { last } else { Book::default() };
    let lexicon = Lexicon::go_on(&book);
    books.keep(number, Arc::new(book));
    let shared = Shared {
        queue: Queue::default(),
        under_way: Arc::new(UnderWay::default()),
        folder,
        rollup: Mutex::new(rollup),
        recent: Mutex::new(recent),
        books: Mutex::new(books),
        spans: Mutex::new(spans),
        dropped: AtomicU64::new(0),
    };
    Ok((shared, OpenSegment { tail, span, lexicon }))
}

/// Adds up a segment that has no summary.
fn scan(folder: &Folder, number: u64) -> Result<(Span, Rows, Book), UsageError> {
    let mut span = Span::empty(number);
    let mut rollup = Rollup::default();
    let mut unreadable: u64 = 0;
    let mut book = Book::default();
    span.bytes = for_each_record(&folder.segment(number), &mut book, |_, payload, book| {
        match decode_event(payload, book) {
            Ok(event) => {
                span.include(event.id);
                rollup.count(&event);
            }
            Err(_) => unreadable = unreadable.saturating_add(1),
        }
        true
    })?;
    if unreadable > 0 {
        tracing::warn!(number, unreadable, "usage records of another version are not counted");
    }
    Ok((span, rollup.finish_segment(), book))
}

/// The newest requests, from the newest segments, whose dictionaries stay in memory.
fn index(
    folder: &Folder,
    spans: &BTreeMap<u64, Span>,
    books: &mut Books,
) -> Result<Recent, UsageError> {
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
        let mut book = Book::default();
        for_each_record(&folder.segment(*number), &mut book, |offset, payload, book| {
            if let Ok((id, org)) = decode_head(payload, book) {
                let len = u32::try_from(widen(payload.len())).unwrap_or(0);
                let place = Place::Segment { number: *number, offset, len };
                recent.add(id, Entry { org, place });
            }
            true
        })?;
        books.keep(*number, Arc::new(book));
    }
    Ok(recent)
}
