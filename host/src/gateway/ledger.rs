//! Opens the ledger: from the store's view of it or from the whole journal, without what a dead
//! process left open. Never settles anything of a process that lives.

use std::path::Path;
use std::sync::Arc;

use turnpike_ledger::{Ledger, LedgerError, ViewSnapshot};

use super::JOURNAL_DIR;
use crate::admin;
use crate::store::{LedgerViews, Store, load_ledger_view};

/// Opens the ledger from the store's view of it, or from the whole journal where there is none or
/// it does not fit.
fn replayed(dir: &Path, store: &Store) -> anyhow::Result<Ledger> {
    let open = |view: Option<&ViewSnapshot>| -> anyhow::Result<Result<Ledger, LedgerError>> {
        let mut options = turnpike_ledger::Options::at(dir.join(JOURNAL_DIR));
        options.view_sink = Some(Box::new(LedgerViews::start(store.state())?));
        options.on_failure = Some(Box::new(|why| {
            tracing::error!(why, "the journal has failed: no paid request is accepted any more");
        }));
        options.on_full = Some(Box::new(|why| match why {
            Some(why) => tracing::error!(
                why,
                "the journal's disk is full: no paid request is accepted until there is space"
            ),
            None => tracing::warn!("the journal has space again; paid requests are accepted"),
        }));
        Ok(Ledger::open(options, view))
    };
    let view = load_ledger_view(store.state().as_ref());
    match open(view.as_ref())? {
        Err(error @ (LedgerError::ViewMismatch { .. } | LedgerError::ViewAhead { .. }))
            if view.is_some() =>
        {
            tracing::warn!(%error, "the ledger's view does not fit its journal; replaying it all");
            Ok(open(None)??)
        }
        opened => Ok(opened?),
    }
}

/// The ledger without what a dead process left open, and with every budget that there is.
pub(super) fn open(dir: &Path, store: &Store, now_ms: u64) -> anyhow::Result<Arc<Ledger>> {
    let ledger = replayed(dir, store)?;
    end_orphans(&ledger, now_ms);
    admin::ensure_budgets(store, &ledger, now_ms)
        .map_err(|error| anyhow::anyhow!("the ledger refuses a key's budget: {error:?}"))?;
    Ok(Arc::new(ledger))
}

/// Holds of requests that a dead process was working on: nobody can settle them any more, so their
/// money returns now and not when their time is over. They stay listed as expired.
fn end_orphans(ledger: &Ledger, now_ms: u64) {
    loop {
        match ledger.expire_orphans(now_ms) {
            Ok(ended) if ended.is_empty() => return,
            Ok(ended) => {
                let count = ended.len();
                tracing::warn!(count, "holds of requests that never ended have expired");
            }
            Err(error) => {
                tracing::error!(%error, "holds of requests that never ended stay for their time");
                return;
            }
        }
    }
}
