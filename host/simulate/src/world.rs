//! What the simulator knows while it runs: the live behaviour of each model, the counters, and
//! the bounded log of what it was asked. Decides nothing about bytes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use crate::failure::{Facts, Failure, Rule, Rules};
use crate::limits::Spent;
use crate::memory::Memory;
use crate::script::{ModelScript, ProviderScript, Script, ScriptError};
use crate::seen::{Outcome, Seen};

/// Requests kept for inspection: more than any test sends, and a bound for a long demo.
const SEEN_MAX: usize = 8192;
/// Bytes of bodies kept; the oldest go first.
const SEEN_BYTES_MAX: usize = 64 << 20;

/// Totals of one provider since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All that were read.
    pub requests: u64,
    /// Answered in full.
    pub answered: u64,
    /// Refused: bad key, bad body, unknown model.
    pub refused: u64,
    /// Failed by the script.
    pub failed: u64,
    /// The caller went away before the end.
    pub cancelled: u64,
}

/// Everything shared by connections and by the handle.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) providers: Vec<Provider>,
    log: Mutex<Log>,
    serial: AtomicU64,
}

#[derive(Debug, Default)]
struct Log {
    entries: VecDeque<Seen>,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) script: ProviderScript,
    pub(crate) models: Vec<Model>,
    pub(crate) memory: Memory,
    failures: RwLock<Arc<Rules>>,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) id: String,
    /// Requests and tokens so far, for rate limits.
    spent: Mutex<Spent>,
    live: RwLock<Arc<Live>>,
}

/// A model's behaviour; a request keeps the one that it began with.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) script: ModelScript,
    pub(crate) failures: Rules,
    /// Whole responses by (streams, wants usage), for `prebuilt`.
    prebuilt: [OnceLock<Bytes>; 4],
}

// === impl World ===

impl World {
    pub(crate) fn new(script: &Script) -> Result<Self, ScriptError> {
        script.check()?;
        let providers = script.providers.iter().map(|p| Provider::new(p, script.seed)).collect();
        Ok(Self { seed: script.seed, providers, log: Mutex::default(), serial: AtomicU64::new(0) })
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.script.name == name)
    }

    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a request into the log.
    pub(crate) fn record(&self, seen: Seen) {
        let mut log = self.log.lock();
        log.bytes += seen.body.len() + seen.head.len();
        log.entries.push_back(seen);
        while log.entries.len() > SEEN_MAX || log.bytes > SEEN_BYTES_MAX {
            let Some(oldest) = log.entries.pop_front() else { break };
            log.bytes -= oldest.body.len() + oldest.head.len();
        }
    }

    /// Notes how a request ended, in the log and in its provider's counts.
    pub(crate) fn ended(&self, provider: &Provider, serial: u64, outcome: Outcome) {
        provider.count(&outcome);
        let mut log = self.log.lock();
        if let Some(seen) = log.entries.iter_mut().rev().find(|seen| seen.serial == serial) {
            seen.outcome = outcome;
        }
    }

    /// What reached a provider (all of them for `None`), oldest first.
    pub(crate) fn seen(&self, provider: Option<&str>) -> Vec<Seen> {
        let log = self.log.lock();
        let wanted = |seen: &&Seen| provider.is_none_or(|name| seen.provider == name);
        log.entries.iter().filter(wanted).cloned().collect()
    }

    pub(crate) fn forget(&self) {
        *self.log.lock() = Log::default();
    }
}

// === impl Provider ===

impl Provider {
    fn new(script: &ProviderScript, seed: u64) -> Self {
        let model = |model: &ModelScript| Model {
            id: model.id.clone(),
            spent: Mutex::default(),
            live: RwLock::new(Arc::new(Live::new(model.clone(), seed))),
        };
        Self {
            models: script.models.iter().map(model).collect(),
            failures: RwLock::new(Arc::new(Rules::new(&script.failures, seed))),
            counts: Mutex::default(),
            memory: Memory::default(),
            script: script.clone(),
        }
    }

    /// The model of this name, else the first whose name ends in `*` and fits.
    pub(crate) fn model(&self, id: &str) -> Option<&Model> {
        let fits =
            |model: &&Model| model.id.strip_suffix('*').is_some_and(|id_| id.starts_with(id_));
        let exact = self.models.iter().find(|model| model.id == id);
        exact.or_else(|| self.models.iter().find(fits))
    }

    pub(crate) fn set_failures(&self, rules: &[Rule], seed: u64) {
        *self.failures.write() = Arc::new(Rules::new(rules, seed));
    }

    /// Whether any rule might hit a request of this model.
    pub(crate) fn may_fail(&self, live: &Live) -> bool {
        !live.failures.is_empty() || !self.failures.read().is_empty()
    }

    /// The failure of this request: the model's rules first.
    pub(crate) fn failure(&self, live: &Live, facts: Facts<'_>) -> Option<Failure> {
        if let Some(failure) = live.failures.pick(facts) {
            return Some(failure);
        }
        let rules = Arc::clone(&self.failures.read());
        rules.pick(facts)
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    /// Counts a request that is not in the log.
    pub(crate) fn count(&self, outcome: &Outcome) {
        let mut counts = self.counts.lock();
        counts.requests += 1;
        match outcome {
            Outcome::Pending => {}
            Outcome::Answered => counts.answered += 1,
            Outcome::Refused(_) => counts.refused += 1,
            Outcome::Failed(_) => counts.failed += 1,
            Outcome::Cancelled => counts.cancelled += 1,
        }
    }
}

// === impl Model ===

impl Model {
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read())
    }

    /// Counts what a request spent; all that was spent with it.
    pub(crate) fn spend(&self, requests: u64, tokens: u64) -> Spent {
        let mut spent = self.spent.lock();
        spent.requests = spent.requests.saturating_add(requests);
        spent.tokens = spent.tokens.saturating_add(tokens);
        *spent
    }

    /// Changes the behaviour for the requests to come; counters of its rules start anew.
    pub(crate) fn change(&self, seed: u64, edit: impl FnOnce(&mut ModelScript)) {
        let mut live = self.live.write();
        let mut script = live.script.clone();
        edit(&mut script);
        script.chunk_tokens = script.chunk_tokens.max(1);
        script.cached_percent = script.cached_percent.min(100);
        *live = Arc::new(Live::new(script, seed));
    }
}

// === impl Live ===

impl Live {
    fn new(script: ModelScript, seed: u64) -> Self {
        let failures = Rules::new(&script.failures, seed);
        Self { script, failures, prebuilt: [const { OnceLock::new() }; 4] }
    }

    /// Where the repeated response of this kind of request is kept.
    pub(crate) fn prebuilt(&self, streams: bool, wants_usage: bool) -> Option<&OnceLock<Bytes>> {
        self.prebuilt.get(usize::from(streams) * 2 + usize::from(wants_usage))
    }
}
