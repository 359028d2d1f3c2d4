//! `[policy]`: what organizations' policies may use. Values only.

use serde::Deserialize;

use crate::policy::HostRule;
use crate::policy::signature::PublicKey;

/// `[policy]`: what policies may use. Each limit of an organization holds for every one of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Instances alive at once in this process; organizations' own may take three quarters.
    /// Default 256.
    pub instances: u32,
    /// Instances alive at once of one organization's policies. Default 64.
    pub instances_per_org: u32,
    /// Bytes of memory of an instance, all its memories together. Default 64 MiB.
    pub memory_bytes: usize,
    /// Bytes of an instance's stack. Default 512 KiB.
    pub stack_bytes: usize,
    /// Bytes that a policy may hand over in one call. Default 1 MiB.
    pub answer_bytes: usize,
    /// Lines that one instance may write to its log. Default 64.
    pub log_lines: u32,
    /// The longest `deadline_ms` that a binding may ask for. Default 1000.
    pub deadline_ms: u32,
    /// Bytes of a component. Default 32 MiB, at most that.
    pub component_bytes: usize,
    /// Components of one organization. Default 200.
    pub components_per_org: usize,
    /// Components of all organizations together. Default 5000.
    pub components: usize,
    /// Processor time to compile a component, in begun seconds. Default 60000.
    pub compile_ms: u64,
    /// Bytes of address space to compile a component. Default 2 GiB.
    pub compile_memory_bytes: u64,
    /// Bytes of compiled code that are kept in the data folder. Default 2 GiB.
    pub compiled_bytes: u64,
    /// `host:port` that policies may ask although they are private or not over TLS; for each
    /// organization it must be among its hosts besides. Default none.
    pub fetch_private: Vec<String>,
    /// How long at most it is remembered that a text was scanned and nothing was found, in
    /// milliseconds after it was last seen; 0: not at all. Default 30 minutes.
    pub clean_texts_ms: u64,
    /// Whether every organization's policies must be signed. Default false.
    pub require_signature: bool,
    /// Public keys that every organization trusts, as `turnpike plugin keygen` writes them.
    /// Default none.
    pub trusted_keys: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            instances: 256,
            instances_per_org: 64,
            memory_bytes: 64 << 20,
            stack_bytes: 512 << 10,
            answer_bytes: 1 << 20,
            log_lines: 64,
            deadline_ms: 1_000,
            component_bytes: 32 << 20,
            components_per_org: 200,
            components: 5_000,
            compile_ms: 60_000,
            compile_memory_bytes: 2 << 30,
            compiled_bytes: 2 << 30,
            fetch_private: Vec::new(),
            clean_texts_ms: 30 * 60 * 1_000,
            require_signature: false,
            trusted_keys: Vec::new(),
        }
    }
}

impl Policy {
    /// The field that can't be used, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        const WASM_PAGE_BYTES: usize = 64 << 10;
        let faults = [
            (!(8..=10_000).contains(&self.instances), "instances", "must be from 8 to 10000"),
            (self.instances_per_org == 0, "instances_per_org", "must be at least 1"),
            (
                !(1 << 20..=1 << 30).contains(&self.memory_bytes)
                    || !self.memory_bytes.is_multiple_of(WASM_PAGE_BYTES),
                "memory_bytes",
                "must be from 1 MiB to 1 GiB and a multiple of 64 KiB",
            ),
            (
                !(64 << 10..=16 << 20).contains(&self.stack_bytes),
                "stack_bytes",
                "must be from 64 KiB to 16 MiB",
            ),
            (self.answer_bytes < 64 << 10, "answer_bytes", "must be at least 64 KiB"),
            (!(1..=60_000).contains(&self.deadline_ms), "deadline_ms", "must be from 1 to 60000"),
            (
                !(1..=32 << 20).contains(&self.component_bytes),
                "component_bytes",
                "must be from 1 to 33554432",
            ),
            (self.compile_ms == 0, "compile_ms", "must be at least 1"),
            (
                self.compile_memory_bytes < 512 << 20,
                "compile_memory_bytes",
                "must be at least 512 MiB: the program itself needs some of it",
            ),
            (
                self.fetch_private
                    .iter()
                    .any(|it| !it.contains(':') || HostRule::parse(it).is_none()),
                "fetch_private",
                "each must be host:port, like 127.0.0.1:9000",
            ),
            (
                self.clean_texts_ms > 24 * 60 * 60 * 1_000,
                "clean_texts_ms",
                "must be at most 86400000, a day",
            ),
            (
                self.trusted_keys.iter().any(|key| PublicKey::parse(key).is_err()),
                "trusted_keys",
                "each must be a public key, `ed25519:…`, as `turnpike plugin keygen` writes it",
            ),
        ];
        faults.into_iter().find(|(wrong, ..)| *wrong).map(|(_, field, why)| (field, why))
    }
}
