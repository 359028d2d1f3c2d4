//! The deny-all WASI profile, for languages that can't be built without it: no files, no sockets,
//! no names, no environment, no arguments; standard streams lead nowhere. Its clocks are coarse and
//! its random bytes are the system's. Made for an instance when the guest first calls it, so that a
//! guest that imports none pays nothing. Never opens anything of the machine's.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::guest::Guest;
use crate::clock::{self, Stopwatch};

/// The packages that the profile serves; HTTP is not among them.
const PACKAGES: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
/// The versions of them.
const VERSIONS: &str = "0.2.";
/// Things of the host's that one guest may hold at a time: streams, timers, sockets that are never
/// connected.
const RESOURCES_MAX: usize = 256;
/// Random bytes of one call.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// The step of the time of day.
const WALL_STEP: Duration = Duration::from_secs(1);
/// The step of the clock that only goes forward: a scheduler needs it, nobody is measured by it.
const MONOTONIC_STEP: Duration = Duration::from_millis(1);

/// Whether the profile has an import of this name.
pub(super) fn serves(import: &str) -> bool {
    let of_package = PACKAGES.iter().any(|package| import.starts_with(package));
    let version = import.split_once('@').map(|(_, version)| version);
    of_package && version.is_some_and(|version| version.starts_with(VERSIONS))
}

/// One guest's. The lock is never taken: the guest is borrowed where it is used. It only makes
/// shareable what is not by itself, since a request holds its guests across waits.
pub(super) struct Wasi(Mutex<Parts>);

struct Parts {
    context: WasiCtx,
    table: ResourceTable,
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi").finish_non_exhaustive()
    }
}

struct Wall;

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        WALL_STEP
    }

    fn now(&self) -> Duration {
        Duration::from_secs(clock::now_ms() / 1_000)
    }
}

struct Monotonic(Stopwatch);

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        nanoseconds(MONOTONIC_STEP)
    }

    fn now(&self) -> u64 {
        let elapsed = self.0.elapsed();
        nanoseconds(Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)))
    }
}

// === impl Wasi ===

impl Wasi {
    fn deny_all() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let context = WasiCtx::builder()
            .wall_clock(Wall)
            .monotonic_clock(Monotonic(Stopwatch::start()))
            .max_random_size(RANDOM_BYTES_MAX)
            .allow_ip_name_lookup(false)
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        Self(Mutex::new(Parts { context, table }))
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::deny_all()));
        let Parts { context, table } = wasi.0.get_mut();
        WasiCtxView { ctx: context, table }
    }
}
