//! People's ratings of answers: who may rate what, once; what they come to for routing; and where
//! they are kept. Knows which model answered from the request's record, never what it said.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::catalog::ConfiguredCatalog;
use crate::route::{Corrections, Feedback, Ratings};
use crate::store::{RatingRow, RatingsFile, StoreError};
use crate::usage::UsageLog;

/// Requests that are known as rated. Past that the first are forgotten, and no request that is as
/// old as one of these can be rated any more, although its record may still be kept.
const KNOWN_MAX: usize = 200_000;

/// Whose ratings, of which task, of which model.
type Subject = (Arc<str>, Arc<str>, Arc<str>);

/// Everything that was rated.
#[derive(Debug)]
pub struct RatingBook {
    /// Held for a rating from its check to the disk, so that none counts twice.
    kept: Mutex<Kept>,
    feedback: Arc<Feedback>,
    offers: Arc<ConfiguredCatalog>,
    usage: UsageLog,
}

#[derive(Debug)]
struct Kept {
    file: RatingsFile,
    sums: BTreeMap<Subject, Ratings>,
    known: HashSet<Uuid>,
    order: VecDeque<Uuid>,
    /// Up to this time it is not known of all requests whether they were rated.
    forgotten_until_ms: u64,
}

/// What a rating came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rated {
    pub model: Arc<str>,
    pub task: Arc<str>,
    pub ratings: Ratings,
}

/// Why an answer can't be rated.
#[derive(Debug)]
pub enum NotRated {
    /// There is no such request of this key, or it is kept no longer.
    Unknown,
    /// Nothing was answered that could be rated.
    Unanswered,
    /// It was rated before.
    Again,
    /// It can't be kept.
    Failed(String),
}

// === impl RatingBook ===

impl RatingBook {
    /// What is in the data folder. Blocks.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(super) fn open(
        data_dir: &Path,
        offers: Arc<ConfiguredCatalog>,
        usage: UsageLog,
    ) -> Result<Self, StoreError> {
        let (file, rows) = RatingsFile::open(data_dir)?;
        let (sums, known, order) = (BTreeMap::new(), HashSet::new(), VecDeque::new());
        let mut kept = Kept { file, sums, known, order, forgotten_until_ms: 0 };
        for row in rows {
            kept.take_in(row);
        }
        if kept.file.has_grown() {
            let rows = kept.rows();
            kept.file.rewrite(rows.into_iter())?;
        }
        let book = Self { kept: Mutex::new(kept), feedback: Arc::default(), offers, usage };
        let orgs: HashSet<Arc<str>> =
            book.kept.lock().sums.keys().map(|(org, _, _)| Arc::clone(org)).collect();
        for org in orgs {
            let corrections = book.corrections(&book.kept.lock(), &org);
            book.feedback.set(&org, corrections);
        }
        Ok(book)
    }

    /// What routing reads.
    pub(super) fn feedback(&self) -> Arc<Feedback> {
        Arc::clone(&self.feedback)
    }

    /// A key rates an answer that it got, 0 to 1. In force for the next request when this returns.
    /// Blocks.
    ///
    /// # Errors
    /// Why it can't be rated; nothing has changed then.
    pub fn rate(&self, org: &str, key: &str, id: Uuid, rating: f64) -> Result<Rated, NotRated> {
        let failed = |cause: &dyn std::fmt::Display| NotRated::Failed(cause.to_string());
        let record = self.usage.find(Some(org), id).map_err(|cause| failed(&cause))?;
        // A crash may have lost the latest records, and not that one of them was rated.
        if record.is_none() && self.kept.lock().known.contains(&id) {
            return Err(NotRated::Again);
        }
        let event = record.filter(|it| *it.event.key == *key).ok_or(NotRated::Unknown)?.event;
        let (Some(model), Some(task)) = (event.model, event.task) else {
            return Err(NotRated::Unanswered);
        };
        let mut kept = self.kept.lock();
        if kept.known.contains(&id) {
            return Err(NotRated::Again);
        }
        if time_of(id) <= kept.forgotten_until_ms {
            return Err(NotRated::Unknown);
        }
        let row = RatingRow::Rated {
            request: id,
            org: org.to_owned(),
            task: task.to_string(),
            model: model.to_string(),
            rating,
        };
        kept.file.append(&row).map_err(|cause| failed(&cause))?;
        kept.take_in(row);
        self.feedback.set(org, self.corrections(&kept, org));
        let subject = (event.org, Arc::clone(&task), Arc::clone(&model));
        let ratings = kept.sums.get(&subject).copied().unwrap_or_default();
        Ok(Rated { model, task, ratings })
    }

    /// Ratings of one model: organization, task and what they come to.
    pub fn of_model(&self, model: &str) -> Vec<(Arc<str>, Arc<str>, Ratings)> {
        let kept = self.kept.lock();
        let own = kept.sums.iter().filter(|((_, _, of), _)| **of == *model);
        own.map(|((org, task, _), sum)| (Arc::clone(org), Arc::clone(task), *sum)).collect()
    }

    fn corrections(&self, kept: &Kept, org: &str) -> Corrections {
        let own = kept.sums.iter().filter(|((of, _, _), _)| **of == *org);
        let own = own.map(|((_, task, model), sum)| (&**task, &**model, *sum));
        Corrections::of(own, &self.offers)
    }
}

// === impl Kept ===

impl Kept {
    fn take_in(&mut self, row: RatingRow) {
        match row {
            RatingRow::Rated { request, org, task, model, rating } => {
                let subject = (org.into(), task.into(), model.into());
                self.sums.entry(subject).or_default().add(rating);
                self.know(request);
            }
            RatingRow::Sum { org, task, model, weight, mean } => {
                let subject = (org.into(), task.into(), model.into());
                self.sums.insert(subject, Ratings { weight, mean });
            }
            RatingRow::Known { request } => self.know(request),
            RatingRow::ForgottenUntil { at_ms } => {
                self.forgotten_until_ms = self.forgotten_until_ms.max(at_ms);
            }
        }
    }

    fn know(&mut self, request: Uuid) {
        if self.order.len() >= KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.forgotten_until_ms = self.forgotten_until_ms.max(time_of(oldest));
        }
        self.known.insert(request);
        self.order.push_back(request);
    }

    /// All of it as sums.
    fn rows(&self) -> Vec<RatingRow> {
        let sums = self.sums.iter().map(|((org, task, model), sum)| RatingRow::Sum {
            org: org.to_string(),
            task: task.to_string(),
            model: model.to_string(),
            weight: sum.weight,
            mean: sum.mean,
        });
        let known = self.order.iter().map(|request| RatingRow::Known { request: *request });
        let until = (self.forgotten_until_ms > 0)
            .then_some(RatingRow::ForgottenUntil { at_ms: self.forgotten_until_ms });
        sums.chain(known).chain(until).collect()
    }
}

/// When a request began, in milliseconds since the Unix epoch: its id says so.
fn time_of(request: Uuid) -> u64 {
    let (seconds, nanos) = request.get_timestamp().map_or((0, 0), |at| at.to_unix());
    seconds.saturating_mul(1_000).saturating_add(u64::from(nanos / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(at_ms: u64) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(at_ms, &[7; 10]).into_uuid()
    }

    /// Else an answer could be rated again once enough others were.
    #[test]
    fn what_is_forgotten_can_not_be_told_from_what_was_rated_so_it_is_not_rated() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = RatingsFile::open(dir.path()).unwrap();
        let (sums, known, order) = (BTreeMap::new(), HashSet::new(), VecDeque::new());
        let mut kept = Kept { file, sums, known, order, forgotten_until_ms: 0 };
        let many = u64::try_from(KNOWN_MAX).unwrap();
        for number in 1..=many {
            kept.know(request(1_000 + number));
        }
        assert_eq!(kept.forgotten_until_ms, 0);
        kept.know(request(500));
        assert_eq!(kept.forgotten_until_ms, 1_001);
        assert!(!kept.known.contains(&request(1_001)));
        let rows = kept.rows();
        kept.forgotten_until_ms = 0;
        let until = |row: &RatingRow| matches!(row, RatingRow::ForgottenUntil { .. });
        rows.into_iter().filter(until).for_each(|row| kept.take_in(row));
        assert_eq!(kept.forgotten_until_ms, 1_001, "also after the file was written anew");
    }
}
