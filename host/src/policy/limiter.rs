//! Bounds what one instance may hold, all of its memories together. A refusal is a trap at once:
//! a guest that goes on after a failed allocation would only fail less clearly.

use std::fmt;

use wasmtime::ResourceLimiter;

/// Elements of one table: the largest engine measured needs 7697.
pub(super) const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Memories and tables of one component: JavaScript on QuickJS needs three of each.
pub(super) const MEMORIES_MAX: u32 = 4;
/// Core instances of one component: Python needs 38.
pub(super) const CORE_INSTANCES_MAX: u32 = 40;

/// Raised inside the guest that asked for too much.
#[derive(Debug)]
pub(super) struct MemoryRefused {
    what: &'static str,
    wanted: usize,
    allowed: usize,
}

impl fmt::Display for MemoryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, wanted, allowed } = self;
        write!(f, "asked for {wanted} {what}, {allowed} are allowed")
    }
}

impl std::error::Error for MemoryRefused {}

/// The account of one store.
#[derive(Debug)]
pub(super) struct Account {
    allowed_bytes: usize,
    used_bytes: usize,
}

impl Account {
    pub(super) fn new(allowed_bytes: usize) -> Self {
        Self { allowed_bytes, used_bytes: 0 }
    }

    /// Whether it holds more than half of what it may.
    pub(super) fn is_half_used(&self) -> bool {
        self.used_bytes > self.allowed_bytes / 2
    }

    /// Bytes of linear memory that the instance holds now.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

impl ResourceLimiter for Account {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.used_bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.allowed_bytes {
            let allowed = self.allowed_bytes;
            return Err(MemoryRefused { what: "bytes of memory", wanted, allowed }.into());
        }
        self.used_bytes = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let allowed = self.allowed_bytes;
        let wanted = self.used_bytes;
        Err(MemoryRefused { what: "bytes of memory in one piece", wanted, allowed }.into())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            let allowed = TABLE_ELEMENTS_MAX;
            return Err(MemoryRefused { what: "table elements", wanted: desired, allowed }.into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        usize::try_from(CORE_INSTANCES_MAX).unwrap_or(usize::MAX)
    }

    fn tables(&self) -> usize {
        usize::try_from(MEMORIES_MAX).unwrap_or(usize::MAX)
    }

    fn memories(&self) -> usize {
        usize::try_from(MEMORIES_MAX).unwrap_or(usize::MAX)
    }
}
