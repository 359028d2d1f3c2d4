//! The one wasmtime engine: its limits, its linker, its clock, and the count of instances that may
//! live at once. Never runs a policy itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    UpdateDeadline,
};

use super::abilities::Abilities;
use super::clean_texts::CleanTexts;
use super::comparison::{Comparer, Comparisons};
use super::compiler::{Compiler, Compiling};
use super::facts::Offers;
use super::failure::Overdue;
use super::guest::Guest;
use super::home::{Counted, Fetched, Home, Homes, HostRule, Web};
use super::instance::Artifact;
use super::limiter::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX};
use super::quota::{Allowance, OrgLimits, Quota, Quotas};
use super::ticker::{TICK, Ticker};
use super::v0_1::turnpike::policy::{
    candidates, catalog, clock as clock_import, counters, fetch, log, random, request, state, types,
};
use super::warm::{Shelf, Shelves};
use crate::clock;

/// Pool slots beyond `instances_max`: an admission and a check of a configuration may run at a
/// time and take three instances in all; with room to spare.
const POOL_HEADROOM: u32 = 8;
/// Dirty bytes that a memory slot keeps instead of giving them back: above what any measured guest
/// dirties in a request (1.3 MiB), low enough for a hundred idle slots.
const KEEP_RESIDENT_BYTES: usize = 4 << 20;
/// The same for a table: 8192 elements.
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 << 10;
/// How long a scan, or a built-in, waits for a free instance: nothing stands behind it, so without
/// one a request is refused and a stream cut off. A slot is held for microseconds to milliseconds,
/// and who waits for a provider has given its own back.
const SLOT_WAIT: Duration = Duration::from_millis(250);

/// Room on a guest's stack for the host's functions that it calls.
const HOST_STACK_BYTES: usize = 1 << 20;

/// What policies may use.
#[derive(Debug, Clone)]
pub struct PolicyLimits {
    /// Instances alive at once; organizations' policies may take three quarters of them.
    pub instances_max: u32,
    /// Instances of one organization's policies alive at once, so that it takes no other's.
    pub org_instances_max: u32,
    /// Bytes of a guest's stack.
    pub stack_bytes: usize,
    /// Lines that one instance may write to its log.
    pub log_lines_max: u32,
    /// Bytes of linear memory of one instance, all its memories together.
    pub memory_bytes_max: usize,
    /// Bytes that a guest may hand to the host in one call.
    pub answer_bytes_max: usize,
    /// Bytes of an uploaded component.
    pub component_bytes_max: usize,
    /// Processor time of starting and configuring an instance with a configuration.
    pub configure_deadline: Duration,
    /// How long at most it is remembered that a text was clean, in milliseconds; 0: not at all.
    pub clean_texts_ms: u64,
}

impl Default for PolicyLimits {
    fn default() -> Self {
        Self {
            instances_max: 256,
            org_instances_max: 64,
            stack_bytes: 512 << 10,
            log_lines_max: 64,
            memory_bytes_max: 64 << 20,
            answer_bytes_max: 1 << 20,
            component_bytes_max: 32 << 20,
            configure_deadline: Duration::from_millis(200),
            clean_texts_ms: 30 * 60 * 1_000,
        }
    }
}

/// Compiles and hosts policies. One per process; dropping the last reference ends its ticker.
pub struct PolicyEngine {
    pub(super) engine: Engine,
    pub(super) linker: Linker<Guest>,
    pub(super) limits: PolicyLimits,
    pub(super) compiler: Compiler,
    pub(super) comparisons: Comparisons,
    pub(super) homes: Homes,
    pub(super) clean_texts: CleanTexts,
    /// One compilation at a time, so that uploads leave the processors to the requests.
    pub(super) admitting: Mutex<()>,
    /// One check of a configuration at a time, because it takes an instance of the headroom.
    pub(super) checking: Mutex<()>,
    pooled: bool,
    instances: Arc<Semaphore>,
    tenant_instances: Arc<Semaphore>,
    quotas: Quotas,
    pub(super) shelves: Arc<Shelves>,
    _ticker: Ticker,
}

/// The right to have one instance; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    /// What the instance may take, where its organization has a share.
    pub(super) allowance: Option<Allowance>,
    _any: OwnedSemaphorePermit,
    _tenant: Option<OwnedSemaphorePermit>,
    _own: Option<OwnedSemaphorePermit>,
}

/// Whose share of the instances an instance takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Share<'a> {
    /// A built-in's: all there are.
    Any,
    /// An organization's: its own, of what all organizations may have.
    Of(Option<&'a Arc<Quota>>),
}

// === impl Share ===

impl Share<'_> {
    fn allowance(self) -> Option<Allowance> {
        match self {
            Share::Any | Share::Of(None) => None,
            Share::Of(Some(quota)) => Some(quota.allowance()),
        }
    }
}

// === impl PolicyEngine ===

impl PolicyEngine {
    /// Reserves the pool and starts the ticker. Where the pool can't be reserved (a container with
    /// little address space), instances are allocated one by one, which costs more per request.
    ///
    /// Components are compiled in this process, each time anew: for tests and tools.
    pub fn new(limits: &PolicyLimits) -> anyhow::Result<Arc<Self>> {
        Self::compiling(limits, Compiling::default())
    }

    /// The same with another way of compiling.
    pub fn compiling(limits: &PolicyLimits, compiling: Compiling) -> anyhow::Result<Arc<Self>> {
        let sized = |mut config: Config| {
            config
                .max_wasm_stack(limits.stack_bytes)
                .async_stack_size(limits.stack_bytes.saturating_add(HOST_STACK_BYTES));
            config
        };
        let (engine, pooled) = match Engine::new(&sized(config(Some(pool(limits))))) {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::warn!(
                    reason = %error.root_cause(),
                    "no room for the pool of policy instances, each is allocated on demand"
                );
                let engine =
                    Engine::new(&sized(config(None))).map_err(|error| anyhow!("{error:#}"));
                (engine.context("the WebAssembly engine does not start")?, false)
            }
        };
        let linker = linker(&engine).map_err(|error| anyhow!("{error:#}"))?;
        let ticker = Ticker::start(&engine).context("the policy ticker thread does not start")?;
        let compiler = Compiler::new(&engine, compiling);
        let most = usize::try_from(limits.instances_max)?.max(1);
        Ok(Arc::new(Self {
            engine,
            linker,
            limits: limits.clone(),
            compiler,
            comparisons: Comparisons::default(),
            homes: Homes::default(),
            clean_texts: CleanTexts::new(limits.clean_texts_ms),
            admitting: Mutex::new(()),
            checking: Mutex::new(()),
            pooled,
            instances: Arc::new(Semaphore::new(most)),
            tenant_instances: Arc::new(Semaphore::new((most - most / 4).max(1))),
            quotas: Quotas::new(limits),
            shelves: Arc::new(Shelves::new(most)),
            _ticker: ticker,
        }))
    }

    /// Whether instances come from the pool.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Instances alive now.
    pub fn live_instances(&self) -> usize {
        let most = usize::try_from(self.limits.instances_max).unwrap_or(usize::MAX).max(1);
        most.saturating_sub(self.instances.available_permits())
    }

    /// An organization's share of the instances; the same one as long as anyone holds it.
    pub fn quota_of(&self, org: &str) -> Arc<Quota> {
        self.quotas.of(org)
    }

    /// Sets what an organization's policies may take, from their next instance and call on.
    pub fn limit(&self, org: &str, limits: &OrgLimits) {
        self.quotas.limit(org, limits);
        self.homes.limit_state(org, limits.state_bytes);
    }

    /// Instances that wait for their next call.
    pub fn idle_instances(&self) -> usize {
        self.shelves.idle()
    }

    /// Lets go of instances that have waited for too long; to be called every few seconds.
    pub fn sweep(&self) {
        self.shelves.sweep(clock::now_ms());
    }

    /// Where a binding keeps its instances between requests.
    pub(super) fn shelf(&self, quota: Option<Arc<Quota>>) -> Arc<Shelf> {
        self.shelves.shelf(quota)
    }

    /// What policies look up in a catalogue from now on; once.
    pub fn set_catalog(&self, offers: Arc<dyn Offers>) {
        self.homes.set_catalog(offers);
    }

    /// Who asks the network for policies from now on; once. Until then nobody does.
    pub fn set_web(&self, web: Arc<dyn Web>) {
        self.homes.set_web(web);
    }

    /// The hosts that an organization's policies may ask, and no others, from the next request on.
    pub fn allow_hosts(&self, org: &str, hosts: Vec<HostRule>) {
        self.homes.allow_hosts(org, hosts);
    }

    /// What policies asked of the network.
    pub fn fetched(&self) -> Vec<Fetched> {
        self.homes.fetched()
    }

    /// What an organization is granted now.
    pub fn granted(&self, org: &str) -> Abilities {
        self.homes.granted(org)
    }

    /// Grants an organization these abilities and no others, for the next request. State and
    /// counters that were kept under a grant that is withdrawn are gone.
    pub fn grant(&self, org: &str, granted: Abilities) {
        self.homes.grant(org, granted);
    }

    /// Forgets an organization that is gone, with what its policies kept.
    pub fn forget(&self, org: &str) {
        self.quotas.limit(org, &OrgLimits::default());
        self.homes.forget(org);
    }

    /// Forgets what a plugin kept that is gone.
    pub fn forget_plugin(&self, org: &str, plugin: &str) {
        self.homes.forget_plugin(org, plugin);
    }

    /// Where a plugin of an organization keeps what it keeps.
    pub fn home_of(&self, org: &str, plugin: &str) -> Arc<Home> {
        self.homes.of(org, plugin)
    }

    /// What policies counted.
    pub fn counted(&self) -> Vec<Counted> {
        self.homes.counted()
    }

    /// Who compares what policies on trial would decide; `None` the second time. Until it runs
    /// nothing is compared.
    pub fn comparer(&self) -> Option<Comparer> {
        self.comparisons.comparer()
    }

    /// Whether instances are getting scarce, so that a request that waits should not keep its own.
    pub(super) fn is_crowded(&self) -> bool {
        let most = usize::try_from(self.limits.instances_max).unwrap_or(usize::MAX).max(1);
        self.live_instances() > most / 2
    }

    /// The right to one more instance, if one is free.
    pub(super) fn free_slot(&self, share: Share<'_>) -> Option<Slot> {
        let (tenant, own) = match share {
            Share::Any => (None, None),
            Share::Of(quota) => {
                let own = match quota {
                    Some(quota) => Some(quota.instances().try_acquire_owned().ok()?),
                    None => None,
                };
                (Some(Arc::clone(&self.tenant_instances).try_acquire_owned().ok()?), own)
            }
        };
        let any = Arc::clone(&self.instances).try_acquire_owned().ok()?;
        Some(Slot { allowance: share.allowance(), _any: any, _tenant: tenant, _own: own })
    }

    /// The right to one more instance, once one is free; `None` after a moment without. In turn:
    /// who waits first is served first, and who has used up his own share holds up nobody.
    pub(super) async fn slot(&self, share: Share<'_>) -> Option<Slot> {
        let slot = async {
            let (tenant, own) = match share {
                Share::Any => (None, None),
                Share::Of(quota) => {
                    let own = match quota {
                        Some(quota) => Some(quota.instances().acquire_owned().await.ok()?),
                        None => None,
                    };
                    (Some(Arc::clone(&self.tenant_instances).acquire_owned().await.ok()?), own)
                }
            };
            let any = Arc::clone(&self.instances).acquire_owned().await.ok()?;
            Some(Slot { allowance: share.allowance(), _any: any, _tenant: tenant, _own: own })
        };
        tokio::time::timeout(SLOT_WAIT, slot).await.ok()?
    }

    /// Whether a component was compiled here; an engine can't run another's.
    pub(super) fn owns(&self, artifact: &Artifact) -> bool {
        Engine::same(&self.engine, artifact.engine())
    }

    /// An empty store with every limit in place. Its deadline is over until [`arm`] sets one.
    pub(super) fn store(&self) -> Store<Guest> {
        let mut store = Store::new(&self.engine, Guest::new(&self.limits));
        store.limiter(|guest| &mut guest.account);
        store.set_hostcall_fuel(self.limits.answer_bytes_max);
        store.epoch_deadline_callback(|mut context| {
            let guest = context.data_mut();
            let Some(left) = guest.ticks_left.checked_sub(1) else {
                return Err(Overdue::Ticks.into());
            };
            guest.ticks_left = left;
            // Tokio's own yield lets the runtime look at its sockets before the guest goes on.
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

impl fmt::Debug for PolicyEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyEngine")
            .field("limits", &self.limits)
            .field("pooled", &self.pooled)
            .finish_non_exhaustive()
    }
}

/// Gives the guest of a store that much processor time from now on.
pub(super) fn arm(store: &mut Store<Guest>, deadline: Duration) {
    let ticks = deadline.as_millis() / TICK.as_millis().max(1);
    store.data_mut().ticks_left = u32::try_from(ticks).unwrap_or(u32::MAX).max(1);
    store.set_epoch_deadline(1);
}

/// An engine that only compiles: its code fits the one that runs it.
pub(super) fn plain() -> wasmtime::Result<Engine> {
    Engine::new(&config(None))
}

fn config(pool: Option<PoolingAllocationConfig>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_init_cow(true)
        // An upload compiles on one thread; the other processors serve requests.
        .parallel_compilation(false)
        .wasm_memory64(false);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

fn pool(limits: &PolicyLimits) -> PoolingAllocationConfig {
    let instances = limits.instances_max.max(1).saturating_add(POOL_HEADROOM);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_memories(instances.saturating_mul(MEMORIES_MAX))
        .total_tables(instances.saturating_mul(MEMORIES_MAX))
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_MAX))
        .total_stacks(instances)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(MEMORIES_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memory_size(limits.memory_bytes_max)
        .table_elements(TABLE_ELEMENTS_MAX);
    // Keeping pages without the kernel's dirty-page scan would clear megabytes each time; either
    // alone is slower than neither.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES);
    }
    pool
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    log::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    request::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    candidates::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    // Whether an organization may have these is asked of each component, at its admission and
    // before each fresh instance; what it does not import it does not pay for.
    counters::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    state::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    clock_import::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    random::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    catalog::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    fetch::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}
