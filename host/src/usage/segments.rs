//! The folder of segments: `00000001.seg`, `00000002.seg`…, each with a summary beside it once it
//! is finished (`00000001.sum`: its time range and hourly sums, so that a start needn't read it).
//! Old segments are removed when there are too many; their summaries stay.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UsageError;
use super::rollup::{EarlierRow, Rollup, Rows};

/// Summaries kept, segments or not: years of statistics, each some kilobytes.
const SUMMARIES_MAX: usize = 10_000;

/// What is known of a segment without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    /// The segment's number.
    pub(super) number: u64,
    /// The earliest request in it, by its id, in milliseconds since the Unix epoch.
    pub(super) first_ms: u64,
    /// The latest.
    pub(super) last_ms: u64,
    /// Length of its whole frames.
    pub(super) bytes: u64,
}

// === impl Span ===

impl Span {
    /// A segment without requests.
    pub(super) fn empty(number: u64) -> Self {
        Self { number, first_ms: u64::MAX, last_ms: 0, bytes: 0 }
    }

    /// Counts a request in.
    pub(super) fn include(&mut self, id: Uuid) {
        let Some(at_ms) = time_of(id) else { return };
        self.first_ms = self.first_ms.min(at_ms);
        self.last_ms = self.last_ms.max(at_ms);
    }

    /// Whether a request of that time can be in it.
    pub(super) fn covers(&self, at_ms: u64) -> bool {
        (self.first_ms..=self.last_ms).contains(&at_ms)
    }
}

/// The time in a UUID of version 7, in milliseconds since the Unix epoch.
pub(super) fn time_of(id: Uuid) -> Option<u64> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    seconds.checked_mul(1_000)?.checked_add(u64::from(nanos / 1_000_000))
}

/// A finished segment's summary.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) span: Span,
    pub(super) sums: Sums,
}

/// The sums of a segment by the hour.
#[derive(Debug)]
pub(super) enum Sums {
    Rows(Rows),
    /// As earlier versions kept them.
    Earlier(Vec<EarlierRow>),
}

/// The first byte of a summary; those of earlier versions are JSON and begin with a brace.
const SUMMARY: u8 = 2;

#[derive(Deserialize)]
struct EarlierSummary {
    span: Span,
    rows: Vec<EarlierRow>,
}

// === impl Summary ===

impl Summary {
    fn encode(span: Span, rows: &Rows) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(&(span, rows), vec![SUMMARY])
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes.split_first() {
            Some((&SUMMARY, rest)) => {
                let read = postcard::from_bytes::<(Span, Rows)>(rest);
                let (span, rows) = read.map_err(|cause| cause.to_string())?;
                Ok(Self { span, sums: Sums::Rows(rows) })
            }
            _ => {
                let read = serde_json::from_slice::<EarlierSummary>(bytes);
                let EarlierSummary { span, rows } = read.map_err(|cause| cause.to_string())?;
                Ok(Self { span, sums: Sums::Earlier(rows) })
            }
        }
    }
}

impl Sums {
    /// Adds them to others.
    pub(super) fn add_to(self, rollup: &mut Rollup) {
        match self {
            Self::Rows(rows) => rollup.restore(&rows, false),
            Self::Earlier(rows) => rows.into_iter().for_each(|row| rollup.restore_earlier(row)),
        }
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

// === impl Folder ===

impl Folder {
    pub(super) fn open(dir: &Path) -> Result<Self, UsageError> {
        fs::create_dir_all(dir)
            .map_err(|cause| UsageError::new(format!("creating {}", dir.display()), cause))?;
        Ok(Self(dir.to_path_buf()))
    }

    /// The path of a segment.
    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:08}.seg"))
    }

    fn summary(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:08}.sum"))
    }

    /// The numbers of all segments and of all summaries, rising.
    pub(super) fn list(&self) -> Result<(Vec<u64>, Vec<u64>), UsageError> {
        let failed = |cause| UsageError::new(format!("listing {}", self.0.display()), cause);
        let (mut segments, mut summaries) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            let Some((number, kind)) = name.split_once('.') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match kind {
                "seg" => segments.push(number),
                "sum" => summaries.push(number),
                _ => {}
            }
        }
        segments.sort_unstable();
        summaries.sort_unstable();
        Ok((segments, summaries))
    }

    /// A segment's summary, if it has one that can be read.
    pub(super) fn read_summary(&self, number: u64) -> Option<Summary> {
        let bytes = fs::read(self.summary(number)).ok()?;
        match Summary::decode(&bytes) {
            Ok(summary) => Some(summary),
            Err(cause) => {
                tracing::warn!(number, %cause, "a usage summary can't be read; it is made again");
                None
            }
        }
    }

    /// Writes a summary beside its segment: complete before it has its name.
    pub(super) fn write_summary(&self, span: Span, rows: &Rows) -> Result<(), UsageError> {
        let path = self.summary(span.number);
        let failed = |cause: &dyn std::fmt::Display| {
            UsageError::new(format!("writing {}", path.display()), cause)
        };
        let bytes = Summary::encode(span, rows).map_err(|cause| failed(&cause))?;
        let beside = path.with_extension("part");
        let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, &path));
        written.map_err(|cause| failed(&cause))
    }

    /// Removes a segment, leaving its summary.
    pub(super) fn remove_segment(&self, number: u64) {
        remove(&self.segment(number));
    }

    /// Removes the oldest summaries beyond the limit whose segments are gone.
    pub(super) fn trim_summaries(&self) -> Result<(), UsageError> {
        let (segments, summaries) = self.list()?;
        let excess = summaries.len().saturating_sub(SUMMARIES_MAX);
        for number in summaries.into_iter().take(excess) {
            if segments.binary_search(&number).is_err() {
                remove(&self.summary(number));
            }
        }
        Ok(())
    }
}

/// A file that stays costs space and nothing else.
fn remove(path: &Path) {
    if let Err(cause) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %cause, "can't remove an old usage file");
    }
}
