//! One live instance of a component and the functions it was asked for so far. Knows nothing of
//! bindings and fall-backs. An instance that failed is dropped, never entered again.

use std::time::Duration;

use wasmtime::component::{InstancePre, Linker};
use wasmtime::{Engine, Store, component};

use super::admitted::Hooks;
use super::engine::{PolicyEngine, Slot, arm};
use super::failure::Overdue;
use super::guest::{Guest, View};
use super::quota::Allowance;
use super::v0_1::exports::turnpike::policy as exports;
use crate::tasks;

/// A deadline counts the guest's own processor time; on a busy machine the wall clock may take
/// this much longer before the call is given up.
const WALL_FACTOR: u32 = 4;
/// The least wall time beyond the deadline: a machine that is short of processors is not the
/// policy's fault, and its own time is bounded by ticks anyway.
const WALL_GRACE: Duration = Duration::from_secs(1);
/// The interfaces that policies export, each with its one function.
const CLASSIFY: (&str, &str) = ("classify", "classify");
const ROUTE: (&str, &str) = ("route", "score");
const REASONS: (&str, &str) = ("route-reasons", "reason");
const REDACT: (&str, &str) = ("redact", "scan");
const BILL: (&str, &str) = ("bill", "price");

/// A compiled component, linked, with the places of its exports looked up once.
#[derive(Clone)]
pub(super) struct Artifact {
    pub(super) pre: InstancePre<Guest>,
    pub(super) plugin: exports::plugin::GuestIndices,
    pub(super) classify: Option<exports::classify::GuestIndices>,
    pub(super) route: Option<exports::route::GuestIndices>,
    pub(super) reasons: Option<exports::route_reasons::GuestIndices>,
    pub(super) redact: Option<exports::redact::GuestIndices>,
    pub(super) bill: Option<exports::bill::GuestIndices>,
}

impl Artifact {
    /// Links a component and finds its exports; `plugin` must be there.
    pub(super) fn link(
        linker: &Linker<Guest>,
        component: &component::Component,
    ) -> wasmtime::Result<Self> {
        let pre = linker.instantiate_pre(component)?;
        Ok(Self {
            plugin: exports::plugin::GuestIndices::new(&pre)?,
            classify: exports::classify::GuestIndices::new(&pre).ok(),
            route: exports::route::GuestIndices::new(&pre).ok(),
            reasons: exports::route_reasons::GuestIndices::new(&pre).ok(),
            redact: exports::redact::GuestIndices::new(&pre).ok(),
            bill: exports::bill::GuestIndices::new(&pre).ok(),
            pre,
        })
    }

    /// An interface that it exports without the function that makes it one, and that function.
    pub(super) fn lacks(&self, hooks: Hooks) -> Option<(&'static str, &'static str)> {
        let exports = [
            (hooks.classify && self.classify.is_none(), CLASSIFY),
            (hooks.route && self.route.is_none(), ROUTE),
            (hooks.reasons && self.reasons.is_none(), REASONS),
            (hooks.redact && self.redact.is_none(), REDACT),
            (hooks.bill && self.bill.is_none(), BILL),
        ];
        exports.into_iter().find(|(lacks, _)| *lacks).map(|(_, export)| export)
    }

    /// The engine that it was compiled for.
    pub(super) fn engine(&self) -> &Engine {
        self.pre.engine()
    }
}

/// The functions looked up so far.
#[derive(Default)]
struct Loaded {
    classify: Option<exports::classify::Guest>,
    route: Option<exports::route::Guest>,
    reasons: Option<exports::route_reasons::Guest>,
    redact: Option<exports::redact::Guest>,
    bill: Option<exports::bill::Guest>,
}

/// A live instance. Dropping it gives its memory and its slot back.
pub(super) struct Instance {
    store: Store<Guest>,
    instance: component::Instance,
    loaded: Loaded,
    // After the store: the slot is free only when the memory is.
    _slot: Option<Slot>,
}

/// The typed function group of one hook, looked up at its first use.
macro_rules! hook_functions {
    ($name:ident, $field:ident, $export:literal) => {
        pub(super) fn $name(
            &mut self,
            artifact: &Artifact,
        ) -> wasmtime::Result<(&mut Store<Guest>, &exports::$field::Guest)> {
            let guest = match self.loaded.$name {
                Some(ref guest) => guest,
                None => {
                    let Some(indices) = &artifact.$name else {
                        wasmtime::bail!("the component does not export `{}`", $export);
                    };
                    let guest = indices.load(&mut self.store, &self.instance)?;
                    self.loaded.$name.insert(guest)
                }
            };
            Ok((&mut self.store, guest))
        }
    };
}

impl Instance {
    /// Starts a fresh instance within `deadline` of processor time.
    pub(super) async fn start(
        engine: &PolicyEngine,
        artifact: &Artifact,
        slot: Option<Slot>,
        deadline: Duration,
    ) -> wasmtime::Result<Self> {
        let mut store = engine.store();
        if let Some(allowance) = slot.as_ref().and_then(|slot| slot.allowance) {
            store.data_mut().allow(allowance);
        }
        arm(&mut store, deadline);
        let instance = artifact.pre.instantiate_async(&mut store).await?;
        Ok(Self { store, instance, loaded: Loaded::default(), _slot: slot })
    }

    /// Sets what the guest sees and how long the next call may take.
    pub(super) fn prepare(&mut self, view: View, deadline: Duration) {
        self.store.data_mut().enter(view);
        arm(&mut self.store, deadline);
    }

    /// Asks the component who it is.
    pub(super) async fn describe(
        &mut self,
        artifact: &Artifact,
        deadline: Duration,
    ) -> wasmtime::Result<exports::plugin::Manifest> {
        let plugin = artifact.plugin.load(&mut self.store, &self.instance)?;
        arm(&mut self.store, deadline);
        plugin.call_describe(&mut self.store).await
    }

    /// Hands the configuration over; the inner error is the guest's own words.
    pub(super) async fn configure(
        &mut self,
        artifact: &Artifact,
        config: &str,
        deadline: Duration,
    ) -> wasmtime::Result<Result<(), String>> {
        let plugin = artifact.plugin.load(&mut self.store, &self.instance)?;
        arm(&mut self.store, deadline);
        plugin.call_configure(&mut self.store, config).await
    }

    /// Checks the types of every function that the component exports for us; the error names the
    /// one that differs.
    pub(super) fn load_all(
        &mut self,
        artifact: &Artifact,
    ) -> Result<(), ((&'static str, &'static str), wasmtime::Error)> {
        if artifact.classify.is_some() {
            self.classify(artifact).map_err(|error| (CLASSIFY, error))?;
        }
        if artifact.route.is_some() {
            self.route(artifact).map_err(|error| (ROUTE, error))?;
        }
        if artifact.reasons.is_some() {
            self.reasons(artifact).map_err(|error| (REASONS, error))?;
        }
        if artifact.redact.is_some() {
            self.redact(artifact).map_err(|error| (REDACT, error))?;
        }
        if artifact.bill.is_some() {
            self.bill(artifact).map_err(|error| (BILL, error))?;
        }
        Ok(())
    }

    /// Forgets the request that it served, for whoever keeps it.
    pub(super) fn forget_request(&mut self) {
        self.store.data_mut().view = None;
    }

    /// Makes it like one that was just started, for another request.
    pub(super) fn begin_anew(&mut self) {
        self.store.data_mut().begin_anew();
    }

    /// Whether it has served long enough, or has come to need so much memory that it would soon
    /// be refused more.
    pub(super) fn is_worn(&self) -> bool {
        self.store.data().is_worn()
    }

    /// What its organization's limits were when it started.
    pub(super) fn allowance(&self) -> Option<Allowance> {
        self.store.data().allowance
    }

    /// Whether it has ever asked for anything about a request, so that what it answers may depend
    /// on more than it is given.
    pub(super) fn has_looked(&self) -> bool {
        self.store.data().looked
    }

    /// Bytes of linear memory that it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().account.used_bytes()
    }

    hook_functions!(classify, classify, "classify");
    hook_functions!(route, route, "route");
    hook_functions!(reasons, route_reasons, "route-reasons");
    hook_functions!(redact, redact, "redact");
    hook_functions!(bill, bill, "bill");
}

/// Bounds a call by the wall clock too: a guest that is given no processor can't count its time.
/// `patience`: what it may wait for others besides.
pub(super) async fn within<T>(
    deadline: Duration,
    patience: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let wall = deadline.saturating_mul(WALL_FACTOR).saturating_add(WALL_GRACE);
    let wall = wall.saturating_add(patience);
    tasks::within(wall, call).await.unwrap_or_else(|| Err(Overdue::Wall.into()))
}
