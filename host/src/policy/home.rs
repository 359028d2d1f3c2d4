//! What a policy has beyond a request: one [`Home`] for each organization and plugin, with its
//! state and its counters, in memory only and bounded. Two organizations never share one, nor do
//! two plugins; the versions of a plugin and the decisions that it makes do. Knows no wasmtime.

mod counters;
mod network;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rand::TryRng;
use rand::rngs::SysRng;

pub use self::counters::Counted;
pub(super) use self::counters::Counters;
pub(super) use self::network::Fetches;
pub use self::network::{ANSWER_BYTES_MAX, Asked, Fetched, HostRule, Web, WebAnswer, WebRequest};
pub(super) use self::state::State;
use super::abilities::{Abilities, Ability};
use super::facts::Offers;
use crate::clock;

/// The clock's step: coarse, so that it measures nothing of whoever else is on the machine.
const CLOCK_STEP_MS: u64 = 1_000;
/// Plugins of one organization that have a home: twice the components that it may have. Beyond
/// that the homes that no binding uses go, with what is in them.
const HOMES_MAX: usize = 400;
/// Random bytes of one call.
pub(super) const RANDOM_BYTES_MAX: u32 = 1_024;
/// The seed of the bytes that trials get, so that a verdict can be repeated.
const TRIAL_SEED: u64 = 0x7475_726e_7069_6b65;

/// What one organization's operator granted now. Shared by all its bindings, so that a withdrawal
/// is felt by the next request.
#[derive(Debug, Default)]
pub(super) struct Grants {
    abilities: AtomicU8,
    /// Whom they may ask where `fetch` is granted.
    hosts: ArcSwap<Vec<HostRule>>,
}

impl Grants {
    pub(super) fn now(&self) -> Abilities {
        Abilities::of_bits(self.abilities.load(Ordering::Acquire))
    }

    fn set(&self, granted: Abilities) {
        self.abilities.store(granted.bits(), Ordering::Release);
    }
}

/// What is there for all policies; empty until the gateway has it.
#[derive(Default)]
struct Common {
    catalog: OnceLock<Arc<dyn Offers>>,
    web: OnceLock<Arc<dyn Web>>,
}

/// Where time and chance come from.
#[derive(Debug)]
enum Nature {
    /// The machine's.
    Real,
    /// An author's trial: a time that stands still, and bytes that come again.
    Trial { now_ms: AtomicU64, drawn: AtomicU64, answers: Mutex<Vec<(String, WebAnswer)>> },
}

/// One plugin of one organization.
pub struct Home {
    grants: Arc<Grants>,
    nature: Nature,
    pub(super) state: State,
    pub(super) counters: Counters,
    fetches: network::Tally,
    common: Arc<Common>,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("granted", &self.grants.now()).finish_non_exhaustive()
    }
}

/// What an author's trial begins with.
#[derive(Debug, Clone, Default)]
pub struct Beginnings {
    /// What the clock says, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// What the state holds; nothing of it expires.
    pub state: Vec<(String, Vec<u8>)>,
    /// What the network answers, by address; there is nothing else in it.
    pub answers: Vec<(String, WebAnswer)>,
}

// === impl Home ===

impl Home {
    /// A home of its own, with everything granted.
    pub(super) fn trial(begin: &Beginnings) -> Self {
        let grants = Grants::default();
        grants.set(Abilities::all());
        let home = Self {
            grants: Arc::new(grants),
            nature: Nature::Trial {
                now_ms: AtomicU64::default(),
                drawn: AtomicU64::default(),
                answers: Mutex::default(),
            },
            state: State::new(Arc::default()),
            counters: Counters::default(),
            fetches: network::Tally::default(),
            common: Arc::default(),
        };
        home.begin(begin);
        home
    }

    /// Begins anew, where it is a trial's.
    pub(super) fn begin(&self, begin: &Beginnings) {
        let Nature::Trial { now_ms, drawn, answers } = &self.nature else { return };
        answers.lock().clone_from(&begin.answers);
        now_ms.store(begin.now_ms, Ordering::Relaxed);
        drawn.store(TRIAL_SEED, Ordering::Relaxed);
        self.counters.clear();
        self.state.clear();
        for (key, value) in &begin.state {
            // What does not fit is not there, as on a gateway.
            drop(self.state.set(key, value.clone(), 0, begin.now_ms));
        }
    }

    /// What of these abilities the organization is not granted.
    pub(super) fn lacks(&self, wanted: Abilities) -> Abilities {
        wanted.without(self.grants.now())
    }

    /// Milliseconds since the Unix epoch, for times to live.
    pub(super) fn now_ms(&self) -> u64 {
        match &self.nature {
            Nature::Real => clock::now_ms(),
            Nature::Trial { now_ms, .. } => now_ms.load(Ordering::Relaxed),
        }
    }

    /// The same as a policy is told it.
    pub(super) fn told_ms(&self) -> u64 {
        let now_ms = self.now_ms();
        now_ms.saturating_sub(now_ms.checked_rem(CLOCK_STEP_MS).unwrap_or_default())
    }

    /// The offers of the installation; none in a trial.
    pub(super) fn catalog(&self) -> Option<&dyn Offers> {
        self.common.catalog.get().map(|offers| &**offers)
    }

    /// Asks the network, if the organization may ask that host; a trial has its own answers.
    pub(super) async fn fetch(
        &self,
        url: &str,
        request: WebRequest,
        fetches: &Fetches,
    ) -> Result<WebAnswer, String> {
        if let Nature::Trial { answers, .. } = &self.nature {
            let found = answers.lock().iter().find(|(known, _)| known == url).cloned();
            return found.map(|(_, answer)| answer).ok_or_else(|| {
                "a trial has no network: the case's `fetch` has no such address".to_owned()
            });
        }
        let (host, port) = (&request.host, request.port);
        if !self.grants.hosts.load().iter().any(|rule| rule.covers(host, port)) {
            return Err(format!("{host}:{port} is not among the hosts that the operator named"));
        }
        let Some(web) = self.common.web.get() else {
            return Err("this host has no network".to_owned());
        };
        self.fetches.ask(&**web, request, fetches).await
    }

    /// So many random bytes, at most [`RANDOM_BYTES_MAX`]; none if the system has none to give.
    pub(super) fn random(&self, count: u32) -> Vec<u8> {
        let count = usize::try_from(count.min(RANDOM_BYTES_MAX)).unwrap_or_default();
        let mut bytes = vec![0; count];
        match &self.nature {
            Nature::Real => {
                if let Err(error) = SysRng.try_fill_bytes(&mut bytes) {
                    tracing::error!(%error, "the system gives no random bytes");
                    bytes.clear();
                }
            }
            Nature::Trial { drawn, .. } => {
                for byte in &mut bytes {
                    *byte = drawn_from(drawn.fetch_add(1, Ordering::Relaxed));
                }
            }
        }
        bytes
    }
}

/// A byte that looks like chance, for trials.
fn drawn_from(seed: u64) -> u8 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed.to_be_bytes().first().copied().unwrap_or_default()
}

/// One organization's.
#[derive(Debug, Default)]
struct OfOrg {
    grants: Arc<Grants>,
    plugins: BTreeMap<String, Arc<Home>>,
    /// What the state of each plugin may take, where that is not the usual.
    state_bytes: Option<usize>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Homes {
    known: Mutex<BTreeMap<String, OfOrg>>,
    /// Bytes of all states together.
    state_bytes: Arc<AtomicUsize>,
    common: Arc<Common>,
}

// === impl Homes ===

impl Homes {
    /// What policies may look up from now on; once.
    pub(super) fn set_catalog(&self, offers: Arc<dyn Offers>) {
        if self.common.catalog.set(offers).is_err() {
            tracing::error!("policies have a catalogue already; it stays");
        }
    }

    /// Who asks the network from now on; once.
    pub(super) fn set_web(&self, web: Arc<dyn Web>) {
        if self.common.web.set(web).is_err() {
            tracing::error!("policies have a way to the network already; it stays");
        }
    }

    /// Whom an organization's policies may ask, and nobody else.
    pub(super) fn allow_hosts(&self, org: &str, hosts: Vec<HostRule>) {
        let mut known = self.known.lock();
        known.entry(org.to_owned()).or_default().grants.hosts.store(Arc::new(hosts));
    }

    /// What policies asked of the network, by organization and plugin.
    pub(super) fn fetched(&self) -> Vec<Fetched> {
        let known = self.known.lock();
        let each = known.iter().flat_map(|(org, own)| own.plugins.iter().map(move |it| (org, it)));
        each.filter_map(|(org, (plugin, home))| home.fetches.shown(org, plugin)).collect()
    }

    /// A plugin's home, made at its first use and kept until the organization goes.
    pub(super) fn of(&self, org: &str, plugin: &str) -> Arc<Home> {
        let mut known = self.known.lock();
        let own = known.entry(org.to_owned()).or_default();
        if let Some(home) = own.plugins.get(plugin) {
            return Arc::clone(home);
        }
        if own.plugins.len() >= HOMES_MAX {
            own.plugins.retain(|_, home| Arc::strong_count(home) > 1);
        }
        let home = Arc::new(Home {
            grants: Arc::clone(&own.grants),
            nature: Nature::Real,
            state: State::new(Arc::clone(&self.state_bytes)),
            counters: Counters::default(),
            fetches: network::Tally::default(),
            common: Arc::clone(&self.common),
        });
        home.state.limit(own.state_bytes);
        own.plugins.insert(plugin.to_owned(), Arc::clone(&home));
        home
    }

    /// What an organization is granted now.
    pub(super) fn granted(&self, org: &str) -> Abilities {
        self.known.lock().get(org).map(|own| own.grants.now()).unwrap_or_default()
    }

    /// Grants these and no others. What was kept under a grant that is withdrawn is forgotten.
    pub(super) fn grant(&self, org: &str, granted: Abilities) {
        let mut known = self.known.lock();
        let own = known.entry(org.to_owned()).or_default();
        // Also of what is granted anew: a request that was under way at the withdrawal may have
        // written after it.
        let kept = own.grants.now().and(granted);
        own.grants.set(granted);
        for home in own.plugins.values() {
            if !kept.has(Ability::State) {
                home.state.clear();
            }
            if !kept.has(Ability::Counters) {
                home.counters.clear();
            }
        }
    }

    /// Bounds the state of each of an organization's plugins; the usual bound where there is none.
    pub(super) fn limit_state(&self, org: &str, bytes: Option<usize>) {
        let mut known = self.known.lock();
        let own = known.entry(org.to_owned()).or_default();
        own.state_bytes = bytes;
        own.plugins.values().for_each(|home| home.state.limit(bytes));
    }

    /// Forgets an organization that is gone; what still runs for it may use nothing any more.
    pub(super) fn forget(&self, org: &str) {
        self.grant(org, Abilities::default());
        self.allow_hosts(org, Vec::new());
        self.known.lock().remove(org);
    }

    /// Forgets a plugin that is gone.
    pub(super) fn forget_plugin(&self, org: &str, plugin: &str) {
        let mut known = self.known.lock();
        if let Some(home) = known.get_mut(org).and_then(|own| own.plugins.remove(plugin)) {
            // A request under way may hold it still.
            home.state.clear();
            home.counters.clear();
        }
    }

    /// What policies counted, by organization and plugin.
    pub(super) fn counted(&self) -> Vec<Counted> {
        let known = self.known.lock();
        let mut all = Vec::new();
        for (org, own) in known.iter() {
            for (plugin, home) in &own.plugins {
                all.extend(home.counters.counted(org, plugin));
            }
        }
        all
    }
}

impl fmt::Debug for Homes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Homes").field("organizations", &self.known.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(ability: Ability) -> Abilities {
        [ability].into_iter().collect()
    }

    #[test]
    fn neither_organizations_nor_plugins_share_a_home() {
        let homes = Homes::default();
        let (mine, other_plugin) = (homes.of("a", "one"), homes.of("a", "two"));
        let other_org = homes.of("b", "one");
        mine.state.set("k", b"v".to_vec(), 60, 1_000).unwrap();
        mine.counters.add("n", 1.0);
        assert_eq!(homes.of("a", "one").state.get("k", 1_000), Some(b"v".to_vec()));
        for stranger in [other_plugin, other_org] {
            assert_eq!(stranger.state.get("k", 1_000), None);
        }
        let counted = homes.counted();
        let [one] = &*counted else { panic!("{counted:?}") };
        assert_eq!((&*one.org, &*one.plugin, &*one.name), ("a", "one", "n"));
    }

    #[test]
    fn a_withdrawn_grant_is_felt_at_once_and_takes_what_was_kept() {
        let homes = Homes::default();
        let home = homes.of("a", "p");
        assert_eq!(home.lacks(only(Ability::State)), only(Ability::State));
        homes.grant("a", only(Ability::State));
        assert!(home.lacks(only(Ability::State)).is_empty());
        home.state.set("k", b"v".to_vec(), 60, 1_000).unwrap();
        homes.grant("a", Abilities::all());
        assert!(home.state.get("k", 1_000).is_some(), "a wider grant takes nothing");
        homes.grant("a", only(Ability::Clock));
        assert!(!home.lacks(only(Ability::State)).is_empty());
        home.state.set("late", b"v".to_vec(), 60, 1_000).unwrap();
        homes.grant("a", only(Ability::State));
        assert_eq!((home.state.get("k", 1_000), home.state.get("late", 1_000)), (None, None));
        assert_eq!(homes.state_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_deleted_plugin_leaves_nothing_to_its_successor() {
        let homes = Homes::default();
        let (gone, stays) = (homes.of("a", "gone"), homes.of("a", "stays"));
        for home in [&gone, &stays] {
            home.state.set("k", b"v".to_vec(), 60, 1_000).unwrap();
        }
        homes.forget_plugin("a", "gone");
        assert_eq!(homes.of("a", "gone").state.get("k", 1_000), None);
        assert_eq!(gone.state.get("k", 1_000), None);
        assert!(stays.state.get("k", 1_000).is_some());
    }

    #[test]
    fn a_forgotten_organization_has_nothing() {
        let homes = Homes::default();
        homes.grant("a", Abilities::all());
        let home = homes.of("a", "p");
        home.state.set("k", b"v".to_vec(), 60, 1_000).unwrap();
        homes.forget("a");
        assert!(homes.granted("a").is_empty() && homes.counted().is_empty());
        assert_eq!(home.lacks(Abilities::all()), Abilities::all());
        assert_eq!(homes.of("a", "p").state.get("k", 1_000), None);
    }

    #[test]
    fn homes_that_nobody_uses_do_not_pile_up() {
        let homes = Homes::default();
        let used = homes.of("a", "used");
        used.state.set("k", b"v".to_vec(), 60, 1_000).unwrap();
        for name in 0..3 * HOMES_MAX {
            drop(homes.of("a", &format!("p{name}")));
        }
        assert!(homes.known.lock().get("a").unwrap().plugins.len() <= HOMES_MAX);
        assert!(homes.of("a", "used").state.get("k", 1_000).is_some());
    }

    #[test]
    fn the_clock_is_coarse_and_chance_is_bounded() {
        let home = Homes::default().of("a", "p");
        assert_eq!(home.told_ms() % CLOCK_STEP_MS, 0);
        assert_eq!(home.random(u32::MAX).len(), 1_024);
        assert_ne!(home.random(32), home.random(32));
        let trial = || Home::trial(&Beginnings { now_ms: 5_999, ..Beginnings::default() });
        assert_eq!(trial().told_ms(), 5_000);
        assert_eq!(trial().random(64), trial().random(64));
    }
}
