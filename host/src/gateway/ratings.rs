//! People's ratings of answers: who may rate what, once; what they come to for routing; and where
//! they are kept. Knows which model answered from the request's record, never what it said.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::catalog::ConfiguredCatalog;
use crate::clock;
use crate::route::{Corrections, Feedback, KeyRatings, Ratings};
use crate::store::{RatingRow, RatingsFile, StoreError};
use crate::usage::UsageLog;

/// Requests that are known as rated. Past that the first are forgotten, and no request that is as
/// old as one of these can be rated any more, although its record may still be kept.
const KNOWN_MAX: usize = 200_000;

/// Keys of which it is known what they said of one model at one task; past that the one of which
/// the least still counts is forgotten.
const KEYS_MAX: usize = 1_000;

/// Which organization, which task, which model.
type Subject = (Arc<str>, Arc<str>, Arc<str>);

/// What each key says, by its id. Lines of versions that kept no key are one key's, without a name.
type ByKey = BTreeMap<Arc<str>, KeyRatings>;

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
    sums: BTreeMap<Subject, ByKey>,
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
        let kept = Kept::read(file, rows, clock::now_ms())?;
        let book = Self { kept: Mutex::new(kept), feedback: Arc::default(), offers, usage };
        book.fade();
        Ok(book)
    }

    /// Works all corrections out anew, because ratings have become older. Takes time.
    pub(super) fn fade(&self) {
        let orgs: HashSet<Arc<str>> =
            self.kept.lock().sums.keys().map(|(org, _, _)| Arc::clone(org)).collect();
        for org in orgs {
            // Held, so that a rating in between is not undone.
            let kept = self.kept.lock();
            self.feedback.set(&org, self.corrections(&kept, &org));
        }
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
        let now_ms = clock::now_ms();
        let row = RatingRow::Rated {
            request: id,
            org: org.to_owned(),
            key: key.to_owned(),
            task: task.to_string(),
            model: model.to_string(),
            rating,
            at_ms: now_ms,
        };
        kept.file.append(&row).map_err(|cause| failed(&cause))?;
        kept.take_in(row, now_ms);
        self.feedback.set(org, self.corrections(&kept, org));
        let subject = (event.org, Arc::clone(&task), Arc::clone(&model));
        let ratings = kept.sums.get(&subject).map(|keys| Ratings::of_keys(keys.values(), now_ms));
        Ok(Rated { model, task, ratings: ratings.unwrap_or_default() })
    }

    /// Ratings of one model: organization, task and what they come to.
    pub fn of_model(&self, model: &str) -> Vec<(Arc<str>, Arc<str>, Ratings)> {
        let (kept, now_ms) = (self.kept.lock(), clock::now_ms());
        let own = kept.sums.iter().filter(|((_, _, of), _)| **of == *model);
        let sum = |keys: &ByKey| Ratings::of_keys(keys.values(), now_ms);
        own.map(|((org, task, _), keys)| (Arc::clone(org), Arc::clone(task), sum(keys))).collect()
    }

    fn corrections(&self, kept: &Kept, org: &str) -> Corrections {
        let now_ms = clock::now_ms();
        let own = kept.sums.iter().filter(|((of, _, _), _)| **of == *org);
        let own = own.map(|((_, task, model), keys)| {
            (&**task, &**model, Ratings::of_keys(keys.values(), now_ms))
        });
        Corrections::of(own, &self.offers)
    }
}

// === impl Kept ===

impl Kept {
    /// What is in a file. Lines of older versions are written anew in today's form.
    fn read(file: RatingsFile, rows: Vec<RatingRow>, now_ms: u64) -> Result<Self, StoreError> {
        let (sums, known, order) = (BTreeMap::new(), HashSet::new(), VecDeque::new());
        let mut kept = Self { file, sums, known, order, forgotten_until_ms: 0 };
        let undated = |row: &RatingRow| matches!(row, RatingRow::Sum { at_ms: 0, .. });
        // A sum without a time would be as young at every start.
        let older = rows.iter().any(undated);
        for row in rows {
            kept.take_in(row, now_ms);
        }
        if older || kept.file.has_grown() {
            let rows = kept.rows();
            kept.file.rewrite(rows.into_iter())?;
        }
        Ok(kept)
    }

    fn take_in(&mut self, row: RatingRow, now_ms: u64) {
        match row {
            RatingRow::Rated { request, org, key, task, model, rating, at_ms } => {
                let at_ms = if at_ms == 0 { time_of(request) } else { at_ms };
                let subject = (org.into(), task.into(), model.into());
                self.of_key(subject, key.into(), now_ms).add(rating, at_ms);
                self.know(request);
            }
            RatingRow::Sum { org, key, task, model, weight, mean, at_ms } => {
                let at_ms = if at_ms == 0 { now_ms } else { at_ms };
                let subject = (org.into(), task.into(), model.into());
                *self.of_key(subject, key.into(), now_ms) = KeyRatings { weight, mean, at_ms };
            }
            RatingRow::Known { request } => self.know(request),
            RatingRow::ForgottenUntil { at_ms } => {
                self.forgotten_until_ms = self.forgotten_until_ms.max(at_ms);
            }
        }
    }

    /// What a key has said, with room for it.
    fn of_key(&mut self, subject: Subject, key: Arc<str>, now_ms: u64) -> &mut KeyRatings {
        let keys = self.sums.entry(subject).or_default();
        if keys.len() >= KEYS_MAX && !keys.contains_key(&key) {
            let counts = |sum: &KeyRatings| sum.weight_at(now_ms);
            let least = keys.iter().min_by(|(_, a), (_, b)| counts(a).total_cmp(&counts(b)));
            if let Some(least) = least.map(|(key, _)| Arc::clone(key)) {
                keys.remove(&least);
            }
        }
        keys.entry(key).or_default()
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
        let by_key = self
            .sums
            .iter()
            .flat_map(|(subject, keys)| keys.iter().map(move |(key, sum)| (subject, key, sum)));
        let sums = by_key.map(|((org, task, model), key, sum)| RatingRow::Sum {
            org: org.to_string(),
            key: key.to_string(),
            task: task.to_string(),
            model: model.to_string(),
            weight: sum.weight,
            mean: sum.mean,
            at_ms: sum.at_ms,
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
        rows.into_iter().filter(until).for_each(|row| kept.take_in(row, 0));
        assert_eq!(kept.forgotten_until_ms, 1_001, "also after the file was written anew");
    }

    fn read(dir: &Path, now_ms: u64) -> Kept {
        let (file, rows) = RatingsFile::open(dir).unwrap();
        Kept::read(file, rows, now_ms).unwrap()
    }

    fn rated(number: u64, key: &str, rating: f64) -> RatingRow {
        RatingRow::Rated {
            request: request(number),
            org: "acme".into(),
            key: key.into(),
            task: "code".into(),
            model: "a/b".into(),
            rating,
            at_ms: 5_000,
        }
    }

    fn all(kept: &Kept, now_ms: u64) -> Vec<Ratings> {
        kept.sums.values().map(|keys| Ratings::of_keys(keys.values(), now_ms)).collect()
    }

    #[test]
    fn what_keys_said_is_the_same_after_a_start_also_one_that_writes_it_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = read(dir.path(), 5_000);
        for number in 1..=60 {
            let row = rated(number, "one", 0.0);
            kept.file.append(&row).unwrap();
            kept.take_in(row, 5_000);
        }
        for (number, key) in (61..=64).zip(["two", "three", "four", "five"]) {
            let row = rated(number, key, 1.0);
            kept.file.append(&row).unwrap();
            kept.take_in(row, 5_000);
        }
        let before = all(&kept, 6_000);
        assert!((before[0].weight - 9.0).abs() < 1e-4, "{before:?}");
        drop(kept);
        let same = |kept: &Kept| {
            let [now, then] = [&all(kept, 6_000)[0], &before[0]];
            (now.weight - then.weight).abs() < 1e-9 && (now.mean - then.mean).abs() < 1e-9
        };
        let mut kept = read(dir.path(), 9_000);
        assert!(same(&kept), "{:?}", kept.sums);
        let rows = kept.rows();
        kept.file.rewrite(rows.into_iter()).unwrap();
        assert!(same(&read(dir.path(), 9_000)), "also after the file was written anew");
        assert!(read(dir.path(), 9_000).known.contains(&request(64)));
    }

    /// As written before keys and times were kept.
    #[test]
    fn lines_of_older_versions_are_read_and_count_as_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let id = request(4_000);
        let text = format!(
            "{{\"sum\":{{\"org\":\"acme\",\"task\":\"code\",\"model\":\"a/b\",\"weight\":90.0,\
             \"mean\":0.2}}}}\n{{\"rated\":{{\"request\":\"{id}\",\"org\":\"acme\",\
             \"task\":\"chat\",\"model\":\"a/b\",\"rating\":1.0}}}}\n"
        );
        std::fs::write(dir.path().join(crate::store::RATINGS_FILE), text).unwrap();
        let kept = read(dir.path(), 9_000);
        let found = all(&kept, 9_000);
        assert!((found[0].mean - 1.0).abs() < 1e-9 && found[0].weight < 1.001, "{found:?}");
        assert!((found[1].mean - 0.2).abs() < 1e-9, "{found:?}");
        assert!((found[1].weight - 5.0).abs() < 1e-6, "{found:?}");
        let month = 28 * 24 * 3_600_000;
        let later = read(dir.path(), month);
        let sum = later.sums.values().nth(1).unwrap().values().next().unwrap();
        assert_eq!(sum.at_ms, 9_000, "the time of the first start is kept");
    }

    #[test]
    fn keys_of_one_model_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = read(dir.path(), 1);
        for number in 0..=u64::try_from(KEYS_MAX).unwrap() {
            kept.take_in(rated(number, &format!("key-{number:05}"), 1.0), 5_000);
        }
        let keys = kept.sums.values().next().unwrap();
        assert_eq!(keys.len(), KEYS_MAX);
        assert!(keys.contains_key("key-01000") && !keys.contains_key("key-00000"));
    }
}
