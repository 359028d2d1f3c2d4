//! What admission comes to: a policy that may serve, with the checks that it passed, or the check
//! that it failed. Values only; never runs a guest.

use std::fmt;
use std::sync::Arc;

use super::abilities::Abilities;
use super::binding::Hook;
use super::instance::Artifact;
use super::schema::{ConfigSchema, SchemaFault};

/// One step of the admission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `size`, `component`, `compile`, `exports`, `imports`, `resources`, `link`, `start`,
    /// `describe`, `schema` or `cases`; `turn` if it never came to be compiled.
    pub name: &'static str,
    /// Whether it passed; the first that did not is the last in the list.
    pub passed: bool,
    /// What was found, and what to do about it.
    pub detail: String,
}

/// A component that may not serve, with the steps that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionError {
    /// In order; the last one failed.
    pub checks: Vec<Check>,
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.checks.iter().find(|check| !check.passed) {
            Some(check) => write!(f, "the policy is refused at `{}`: {}", check.name, check.detail),
            None => f.write_str("the policy is refused"),
        }
    }
}

impl std::error::Error for AdmissionError {}

/// Which decisions a component can make, read from its exports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Exports `classify`.
    pub classify: bool,
    /// Exports `route`.
    pub route: bool,
    /// Exports `route-reasons`.
    pub reasons: bool,
    /// Exports `redact`.
    pub redact: bool,
    /// Exports `bill`.
    pub bill: bool,
}

impl Hooks {
    /// Whether a hook is among them.
    pub fn serves(self, hook: Hook) -> bool {
        match hook {
            Hook::Classify => self.classify,
            Hook::Route => self.route,
            Hook::Redact => self.redact,
            Hook::Bill => self.bill,
        }
    }

    /// The hooks' names, in request order.
    pub fn labels(self) -> Vec<&'static str> {
        Hook::ALL.into_iter().filter(|hook| self.serves(*hook)).map(Hook::label).collect()
    }
}

/// What a policy cost at its admission; the middle of a few, zero where it could not be measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdmissionFigures {
    /// Microseconds to start an instance.
    pub start_us: u32,
    /// Microseconds to start an instance and make a decision.
    pub fresh_us: u32,
    /// Microseconds of a further decision in it.
    pub warm_us: u32,
    /// Bytes of linear memory after that.
    pub memory_bytes: usize,
}

/// An admitted component, compiled and ready for instances.
pub struct Policy {
    /// Its own name, a label.
    pub name: Arc<str>,
    /// Its own version.
    pub version: Arc<str>,
    /// What it does, in its own words.
    pub summary: String,
    /// JSON Schema of its configuration, or empty.
    pub config_schema: String,
    /// SHA-256 of the component, lowercase hex: its identity.
    pub digest: Arc<str>,
    /// Bytes of the component.
    pub size: usize,
    /// Which decisions it can make.
    pub hooks: Hooks,
    /// What it imports that must be granted.
    pub abilities: Abilities,
    /// The steps of its admission.
    pub checks: Vec<Check>,
    /// What it costs.
    pub figures: AdmissionFigures,
    pub(super) schema: ConfigSchema,
    pub(super) artifact: Artifact,
}

impl Policy {
    /// Whether a configuration fits the schema that the policy declares.
    pub fn check_schema(&self, config: &str) -> Result<(), SchemaFault> {
        self.schema.check(config)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("digest", &self.digest)
            .field("hooks", &self.hooks)
            .finish_non_exhaustive()
    }
}
