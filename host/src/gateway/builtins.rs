//! The policies that are part of the binary: compiled by `make plugins`, embedded by `build.rs`,
//! admitted like any other at start.

use std::sync::Arc;

use anyhow::Context as _;

use crate::hook::Hook;
use crate::policy::{Policy, PolicyEngine};

const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

/// The one that serves all four decisions, so that the default path pays for one instance.
const COMBINED: &str = "policy-default";

/// The component of a built-in, as it is embedded.
pub fn builtin_component(name: &str) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The built-in policies by name.
#[derive(Debug)]
pub(super) struct Builtins {
    all: Vec<Arc<Policy>>,
    pub(super) combined: Arc<Policy>,
}

impl Builtins {
    /// Compiles them, some hundred milliseconds, where they were not compiled before.
    pub(super) fn admit(engine: &PolicyEngine) -> anyhow::Result<Self> {
        let mut all = Vec::with_capacity(EMBEDDED.len());
        for (name, bytes) in EMBEDDED {
            let policy = engine
                .admit_shipped(bytes)
                .with_context(|| format!("the built-in policy {name} was refused"))?;
            all.push(policy);
        }
        let combined = all.iter().find(|policy| *policy.name == *COMBINED).cloned();
        let combined = combined.with_context(|| format!("{COMBINED} is not embedded"))?;
        Ok(Self { all, combined })
    }

    /// The built-in of that name; its version is the one that this binary has.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<Policy>> {
        self.all.iter().find(|policy| *policy.name == *name)
    }

    /// Whether that digest is of one that scores offers. By name anybody's policy may be called so.
    pub(super) fn routes(&self, digest: &str) -> bool {
        self.all.iter().any(|policy| policy.hooks.serves(Hook::Route) && *policy.digest == *digest)
    }
}
