//! How a ledger is opened. Every number has a default with its reason.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::ledger::writer::{OnFailure, OnFull};
use crate::settled::SETTLED_WINDOW_ENTRIES;
use crate::storage::Storage;
use crate::view::ViewSink;

/// A segment that has reached this size is full. Reading starts at a segment's start and holds one
/// in memory, so it is small; a busy day is a few hundred.
pub(crate) const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// How to open a [`crate::Ledger`].
pub struct Options {
    /// The folder of the journal; made if it doesn't exist.
    pub dir: PathBuf,
    /// Other files than those of `dir`.
    pub storage: Option<Arc<dyn Storage>>,
    /// A segment that has reached this size is full: 16 MiB.
    pub segment_bytes: u64,
    /// Journal entries for which the ending of a hold is remembered: 262 144. At least 1.
    pub settled_window_entries: u64,
    /// Keeps the view.
    pub view_sink: Option<Box<dyn ViewSink>>,
    /// Told once why the journal has failed, on the writer thread.
    pub on_failure: Option<OnFailure>,
    /// Told when the journal's disk is full and when there is space again, on the writer thread.
    pub on_full: Option<OnFull>,
}

// === impl Options ===

impl Options {
    /// The defaults, with the journal in `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            storage: None,
            segment_bytes: SEGMENT_BYTES,
            settled_window_entries: SETTLED_WINDOW_ENTRIES,
            view_sink: None,
            on_failure: None,
            on_full: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("dir", &self.dir).finish_non_exhaustive()
    }
}
