//! Decides whether a component may serve at all: size, kind, exports, imports, a real start, and
//! who it says it is. Each step is a check with words for the uploader. Never takes compiled code,
//! never links what it does not know, and never lets bad bytes end the process.

use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use super::abilities::{Abilities, Ability};
pub(super) use super::admitted::{AdmissionError, Check, Hooks, Policy};
use super::compiler::Origin;
use super::engine::PolicyEngine;
use super::failure::Overdue;
use super::instance::{Artifact, Instance};
use super::limiter::{MEMORIES_MAX, TABLE_ELEMENTS_MAX};
use super::measure::measure;
use super::schema::ConfigSchema;
use super::v0_1::exports::turnpike::policy::plugin::Manifest;
use super::validate::is_label;
use super::wasi;
use crate::clock::Stopwatch;

/// How long an upload or a configuration waits for the one that is being worked on.
const TURN_WAIT: Duration = Duration::from_secs(60);
/// Processor time to start and describe itself: engines of interpreted languages need a while.
const START_DEADLINE: Duration = Duration::from_millis(500);
/// The longest that one step takes by the clock on the wall, on a machine that does other things:
/// the figures are of twenty calls.
const WALL_MAX: Duration = Duration::from_secs(60);
/// Bytes of the version and of the summary: they are shown in lists.
const VERSION_BYTES_MAX: usize = 64;
const SUMMARY_BYTES_MAX: usize = 1024;
/// Bytes of the configuration's schema.
const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// The interfaces that every component may import.
const OPEN: [&str; 4] = ["types", "log", "request", "candidates"];
/// The package, and the versions of it that this host speaks.
const PACKAGE: &str = "turnpike:policy/";
const VERSIONS: &str = "0.1.";

/// The steps so far.
#[derive(Default)]
struct Steps(Vec<Check>);

impl Steps {
    /// Notes the outcome of a step; a failed one ends the admission.
    fn take<T>(
        &mut self,
        name: &'static str,
        outcome: Result<(T, String), String>,
    ) -> Result<T, AdmissionError> {
        match outcome {
            Ok((value, detail)) => {
                self.0.push(Check { name, passed: true, detail });
                Ok(value)
            }
            Err(detail) => {
                self.0.push(Check { name, passed: false, detail });
                Err(AdmissionError { checks: std::mem::take(&mut self.0) })
            }
        }
    }
}

// === impl PolicyEngine ===

impl PolicyEngine {
    /// Takes a component in, or says at which step it failed and what to do. Blocks for as long as
    /// the compiler needs (seconds for an interpreted language): call it on a blocking thread. One
    /// admission runs at a time.
    pub fn admit(&self, bytes: &[u8]) -> Result<Arc<Policy>, AdmissionError> {
        self.admit_from(bytes, Origin::Uploaded, Abilities::default())
    }

    /// The same for a component that may import these abilities too. Which of them it does is in
    /// the policy; whether it still may is asked before each fresh instance.
    pub fn admit_granted(
        &self,
        bytes: &[u8],
        granted: Abilities,
    ) -> Result<Arc<Policy>, AdmissionError> {
        self.admit_from(bytes, Origin::Uploaded, granted)
    }

    /// Takes in a component that is part of this program: it is compiled in this process.
    pub fn admit_shipped(&self, bytes: &[u8]) -> Result<Arc<Policy>, AdmissionError> {
        self.admit_from(bytes, Origin::Shipped, Abilities::default())
    }

    fn admit_from(
        &self,
        bytes: &[u8],
        origin: Origin,
        granted: Abilities,
    ) -> Result<Arc<Policy>, AdmissionError> {
        let mut steps = Steps::default();
        let digest = steps.take("size", size(bytes, self.limits.component_bytes_max))?;
        steps.take("component", kind(bytes))?;
        let Some(turn) = self.admitting.try_lock_for(TURN_WAIT) else {
            let busy = "other uploads are being compiled, try again later".to_owned();
            return steps.take("turn", Err(busy));
        };
        let compiled = self.compiler.compile(&self.engine, bytes, &digest, origin);
        let component = steps.take("compile", compiled)?;
        let hooks = steps.take("exports", self.exports(&component))?;
        let abilities = steps.take("imports", self.imports(&component, granted))?;
        steps.take("resources", resources(&component))?;
        let artifact = steps.take("link", self.link(&component, hooks))?;
        let mut instance = steps.take("start", self.try_start(&artifact))?;
        let manifest = steps.take("describe", describe(&mut instance, &artifact))?;
        let schema = steps.take("schema", schema(&manifest.config_schema))?;
        drop(instance);
        // Who can't be measured in time has no figures.
        let figures = run_to_end(measure(self, &artifact, hooks, START_DEADLINE));
        let figures = figures.unwrap_or_default();
        drop(turn);
        Ok(Arc::new(Policy {
            name: manifest.name.into(),
            version: manifest.version.into(),
            summary: manifest.summary,
            config_schema: manifest.config_schema,
            digest,
            size: bytes.len(),
            hooks,
            abilities,
            checks: steps.0,
            figures,
            schema,
            artifact,
        }))
    }

    /// Whether a policy takes a configuration; the error is what it says itself, for the person
    /// who is about to bind it. Blocks for up to the configuration's deadline.
    pub fn check_config(&self, policy: &Policy, config: &str) -> Result<(), String> {
        let artifact = &policy.artifact;
        if !self.owns(artifact) {
            return Err("the policy was admitted by another engine; upload it again".to_owned());
        }
        let deadline = self.limits.configure_deadline;
        let Some(_turn) = self.checking.try_lock_for(TURN_WAIT) else {
            return Err("other configurations are being checked, try again later".to_owned());
        };
        run_to_end(async {
            let mut instance = Instance::start(self, artifact, None, START_DEADLINE).await?;
            instance.configure(artifact, config, deadline).await
        })
        .unwrap_or_else(|| Err(Overdue::Wall.into()))
        .map_err(|error: wasmtime::Error| error.root_cause().to_string())?
    }

    fn exports(&self, component: &Component) -> Result<(Hooks, String), String> {
        let mut hooks = Hooks::default();
        let mut plugin = false;
        let mut foreign = Vec::new();
        for (name, _) in component.component_type().exports(&self.engine) {
            let Some(found) = name.strip_prefix(PACKAGE) else { continue };
            let (interface, version) = found.split_once('@').unwrap_or((found, ""));
            if !version.starts_with(VERSIONS) {
                foreign.push(name.to_owned());
                continue;
            }
            match interface {
                "plugin" => plugin = true,
                "classify" => hooks.classify = true,
                "route" => hooks.route = true,
                "route-reasons" => hooks.reasons = true,
                "redact" => hooks.redact = true,
                "bill" => hooks.bill = true,
                _ => {}
            }
        }
        if !foreign.is_empty() {
            return Err(format!(
                "it exports {}; this host speaks {PACKAGE}*@{VERSIONS}x: rebuild it against that \
                 WIT",
                foreign.join(", ")
            ));
        }
        if hooks.labels().is_empty() {
            return Err(format!(
                "it exports none of {PACKAGE}{{classify,route,redact,bill}}@{VERSIONS}x: build it \
                 for one of the worlds in the WIT"
            ));
        }
        if !plugin {
            return Err(format!(
                "it does not export {PACKAGE}plugin@{VERSIONS}x, by which a policy says who it is"
            ));
        }
        Ok((hooks, hooks.labels().join(", ")))
    }

    fn imports(
        &self,
        component: &Component,
        granted: Abilities,
    ) -> Result<(Abilities, String), String> {
        let (mut names, mut wanted) = (Vec::new(), Abilities::default());
        for (name, _) in component.component_type().imports(&self.engine) {
            if let Some(ability) = ability(name, granted)? {
                wanted.insert(ability);
            }
            names.push(name.to_owned());
        }
        Ok((wanted, if names.is_empty() { "none".to_owned() } else { names.join(", ") }))
    }

    fn link(&self, component: &Component, hooks: Hooks) -> Result<(Artifact, String), String> {
        let linked = Artifact::link(&self.linker, component);
        let artifact = linked.map_err(|error| {
            format!(
                "it was built against another version of the WIT, this host speaks \
                 {PACKAGE}*@{VERSIONS}x: {error:#}"
            )
        })?;
        if let Some((interface, function)) = artifact.lacks(hooks) {
            return Err(format!(
                "its {PACKAGE}{interface}@{VERSIONS}x has no function `{function}`: rebuild it \
                 against that WIT"
            ));
        }
        Ok((artifact, "its imports are served".to_owned()))
    }

    /// Starts it for real, because a mismatch of types shows nowhere earlier.
    fn try_start(&self, artifact: &Artifact) -> Result<(Instance, String), String> {
        let watch = Stopwatch::start();
        let mut instance = run_to_end(Instance::start(self, artifact, None, START_DEADLINE))
            .unwrap_or_else(|| Err(Overdue::Wall.into()))
            .map_err(|error| format!("it does not start: {:#}", error.root_cause()))?;
        let micros = watch.micros();
        instance.load_all(artifact).map_err(|(export, error)| {
            let (interface, function) = export;
            format!(
                "the function `{function}` of its {PACKAGE}{interface}@{VERSIONS}x has other types \
                 than that WIT: rebuild it against it ({error:#})"
            )
        })?;
        Ok((instance, format!("{micros} µs")))
    }
}

fn size(bytes: &[u8], max: usize) -> Result<(Arc<str>, String), String> {
    if bytes.len() > max {
        return Err(format!(
            "{} bytes, at most {max} are taken: strip debug information (`wasm-tools strip`)",
            bytes.len()
        ));
    }
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        for digit in [byte >> 4, byte & 15] {
            digest.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    Ok((digest.into(), format!("{} bytes", bytes.len())))
}

/// The eight bytes at the beginning tell a component from a core module and from anything else.
fn kind(bytes: &[u8]) -> Result<((), String), String> {
    let detail = match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0]) => return Ok(((), "a component".to_owned())),
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
            "it is a core module, not a component: wrap it with `wasm-tools component new`"
        }
        Some([0x7f, b'E', b'L', b'F', ..]) => {
            "it is compiled code; upload the `.wasm` component that it was made from"
        }
        Some([0, b'a', b's', b'm', ..]) => {
            "it is in an encoding of components that this host does not know; rebuild it with a \
             newer toolchain"
        }
        _ => "it is not WebAssembly; upload the `.wasm` component, not its source or an archive",
    };
    Err(detail.to_owned())
}

/// Whether a component may import that, or what to do about it; the ability that had to be granted
/// for it, if one had to.
fn ability(name: &str, granted: Abilities) -> Result<Option<Ability>, String> {
    if wasi::serves(name) && granted.has(Ability::Wasi) {
        return Ok(Some(Ability::Wasi));
    }
    let own = name.strip_prefix(PACKAGE).map(|found| found.split_once('@').unwrap_or((found, "")));
    let other_version =
        || format!("it imports `{name}`; this host speaks {VERSIONS}x: rebuild it for that");
    let known = own.and_then(|(interface, version)| {
        // WASI is a grant of its own, and no interface of the contract.
        let ability = Ability::from_label(interface).filter(|it| *it != Ability::Wasi);
        (ability.is_some() || OPEN.contains(&interface)).then_some((ability, version))
    });
    match (known, own) {
        (Some((_, version)), _) if !version.starts_with(VERSIONS) => Err(other_version()),
        (Some((Some(ability), _)), _) if !granted.has(ability) => Err(format!(
            "it imports `{name}`, which the organization is not granted: remove the calls to \
             `{}`, or have the operator grant it (PUT /admin/v1/orgs/{{org}}/policy-grants)",
            ability.label()
        )),
        (Some((ability, _)), _) => Ok(ability),
        (None, _) => Err(foreign(name)),
    }
}

/// What to do about an import that nobody can grant.
fn foreign(name: &str) -> String {
    match name.starts_with("wasi:") {
        true => format!(
            "it imports `{name}`; policies get no WASI. Rebuild it without: Rust for the target \
             wasm32-unknown-unknown; JavaScript with `--backend-qjs-stub-wasi` (QuickJS) or with \
             `disableFeatures: ['random','stdio','clocks','http','fetch-event']` (StarlingMonkey); \
             Python with `--stub-wasi`; C as a reactor that uses no files, clocks or streams. What \
             can't be built without (Go) needs the grant `wasi` of the operator: no files, no \
             sockets, no environment (PUT /admin/v1/orgs/{{org}}/policy-grants); HTTP nobody gets"
        ),
        false => format!(
            "it imports `{name}`, which is not an interface of {PACKAGE}: remove the import"
        ),
    }
}

fn resources(component: &Component) -> Result<((), String), String> {
    let Some(required) = component.resources_required() else {
        return Err("it imports or exports core modules: build it as one component".to_owned());
    };
    let table = required.max_initial_table_size.unwrap_or(0);
    let table_max = u64::try_from(TABLE_ELEMENTS_MAX).unwrap_or(u64::MAX);
    let (memories, tables) = (required.num_memories, required.num_tables);
    if memories > MEMORIES_MAX || tables > MEMORIES_MAX || table > table_max {
        return Err(format!(
            "it needs {memories} memories, {tables} tables and a table of {table} elements; \
             {MEMORIES_MAX}, {MEMORIES_MAX} and {TABLE_ELEMENTS_MAX} are allowed"
        ));
    }
    Ok(((), format!("{memories} memories, {tables} tables")))
}

fn describe(instance: &mut Instance, artifact: &Artifact) -> Result<(Manifest, String), String> {
    let manifest = run_to_end(instance.describe(artifact, START_DEADLINE))
        .unwrap_or_else(|| Err(Overdue::Wall.into()))
        .map_err(|error| format!("`describe` fails: {}", error.root_cause()))?;
    if !is_label(&manifest.name) {
        return Err("its name is not a label: 1 to 64 of a-z, 0-9 and -_./:+".to_owned());
    }
    let version = &manifest.version;
    let plain = version.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b));
    if version.is_empty() || version.len() > VERSION_BYTES_MAX || !plain {
        return Err(format!("its version is not 1 to {VERSION_BYTES_MAX} letters, digits, -_.+"));
    }
    if manifest.summary.len() > SUMMARY_BYTES_MAX || manifest.summary.contains(char::is_control) {
        return Err(format!("its summary is not one line of at most {SUMMARY_BYTES_MAX} bytes"));
    }
    let detail = format!("{} {}", manifest.name, manifest.version);
    Ok((manifest, detail))
}

fn schema(text: &str) -> Result<(ConfigSchema, String), String> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(format!("its schema has more than {SCHEMA_BYTES_MAX} bytes"));
    }
    let words = if text.is_empty() { "none: any configuration" } else { "a JSON schema" };
    Ok((ConfigSchema::compile(text)?, words.to_owned()))
}

/// Runs a call to its end; none if that does not come. A guest that computes is bounded by its
/// ticks; one that sleeps by WASI, by the clock on the wall. On a thread and a runtime of its own,
/// whose timers run wherever the caller stands: in a command, in a worker's blocking thread.
fn run_to_end<T: Send>(call: impl Future<Output = T> + Send) -> Option<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().ok()?;
        runtime.block_on(async { tokio::time::timeout(WALL_MAX, call).await.ok() })
    };
    thread::scope(|scope| {
        let admission = thread::Builder::new().name("policy-admission".to_owned());
        admission.spawn_scoped(scope, run).ok()?.join().ok().flatten()
    })
}
