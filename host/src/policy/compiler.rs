//! From a component's bytes to code that can run: out of the host's own folder where it was
//! compiled before, else by a child process with limits, or in this process where nobody named a
//! program. Takes no compiled code from outside and knows nothing of what a component exports.

use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use sha2::{Digest as _, Sha256};
use turnpike_precompiled::{Child, Compiled, Folder, Limits, Refused, answer, confine};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::engine;
use crate::clock::Stopwatch;

/// The hidden subcommand that a child is started with.
pub const SUBCOMMAND: &str = "compile-policy";
/// Bytes of compiled code for one of the component: eight were measured at most.
const COMPILED_FACTOR: usize = 32;
/// Bytes of compiled code that even the smallest component may need.
const COMPILED_BYTES_MIN: usize = 1 << 20;

/// Where and how components are compiled.
#[derive(Debug, Clone, Default)]
pub struct Compiling {
    /// This program, started again as a child for each upload; `None` compiles in this process,
    /// which is for components that are trusted, and for tests.
    pub program: Option<PathBuf>,
    /// The folder of compiled code, which only this process's owner can read, and the bytes it may
    /// have; `None` compiles anew each time.
    pub folder: Option<(PathBuf, u64)>,
    /// Address space of a child, in bytes.
    pub memory_bytes: u64,
    /// Processor time of a child, in whole seconds.
    pub processor: Duration,
}

/// What a child may use, as it is told on its command line.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ChildLimits {
    /// Address space in bytes
    #[arg(long)]
    memory_bytes: u64,
    /// Processor time in seconds
    #[arg(long)]
    seconds: u64,
    /// Bytes of compiled code
    #[arg(long)]
    compiled_bytes: usize,
}

/// Who made a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is part of this program.
    Shipped,
    /// It came from outside.
    Uploaded,
}

/// Compiles for one engine.
#[derive(Debug)]
pub(super) struct Compiler {
    options: Compiling,
    folder: Option<Folder>,
    /// The engine's version and configuration, and this processor's: code of another one lies
    /// under another name.
    compatibility: String,
}

/// The child's whole life: limits, the component from standard input, the code to standard output.
/// To be called before anything else is done in the process.
pub fn compile_as_child(limits: ChildLimits) -> anyhow::Result<()> {
    let ChildLimits { memory_bytes, seconds, compiled_bytes } = limits;
    let processor = Duration::from_secs(seconds);
    confine(&Limits { memory_bytes, processor, compiled_bytes })?;
    // Without the pool: it is no part of compiled code, and needs more than this process may have.
    let engine = engine::plain().map_err(|error| anyhow!("{error:#}"))?;
    Ok(answer(|component| unwound(|| engine.precompile_component(component)))?)
}

/// The compiler is not meant to panic; if some bytes make it, they are refused.
fn unwound<T>(compile: impl FnOnce() -> wasmtime::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(compile)) {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(_) => {
            Err("the compiler gave up on it; rebuild it with a released toolchain, and tell \
                       us about it"
                .to_owned())
        }
    }
}

// === impl Compiler ===

impl Compiler {
    /// Opens the folder. One that can't be used is done without, loudly.
    pub(super) fn new(engine: &Engine, options: Compiling) -> Self {
        let folder = options.folder.as_ref().and_then(|(path, bytes)| open(path, *bytes));
        let mut hash = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hash);
        let digest = hash.0.finalize();
        let compatibility = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { options, folder, compatibility }
    }

    /// The component, and in words how it was had. Blocks for as long as the compiler needs.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &str,
        origin: Origin,
    ) -> Result<(Component, String), String> {
        let name = format!("{}-{digest}", self.compatibility);
        let watch = Stopwatch::start();
        let kept = self.folder.as_ref().and_then(|folder| folder.take(&name));
        if let Some(component) = kept.and_then(|kept| kept.load(engine).ok()) {
            return Ok((component, format!("compiled before, loaded in {} ms", watch.millis())));
        }
        let (component, compiled) = match (&self.options.program, origin) {
            (Some(program), Origin::Uploaded) => {
                let compiled = self
                    .child(program, bytes)
                    .compile(bytes)
                    .map_err(|refused| logged(&refused))?;
                let component = compiled.load(engine).map_err(|error| format!("{error:#}"))?;
                (component, Some(compiled))
            }
            (None, _) | (_, Origin::Shipped) => {
                let component = unwound(|| Component::from_binary(engine, bytes))
                    .map_err(|words| Refused::Words(words).to_string())?;
                let compiled = self.folder.as_ref().and_then(|_| Compiled::of(&component).ok());
                (component, compiled)
            }
        };
        let detail = format!("{} ms", watch.millis());
        if let (Some(folder), Some(compiled)) = (&self.folder, compiled)
            && let Err(error) = folder.keep(&name, &compiled)
        {
            tracing::warn!(%error, digest, "compiled code can't be kept; the next start compiles");
        }
        Ok((component, detail))
    }

    fn child(&self, program: &Path, component: &[u8]) -> Child {
        let limits = Limits {
            memory_bytes: self.options.memory_bytes,
            processor: self.options.processor,
            compiled_bytes: component.len().saturating_mul(COMPILED_FACTOR).max(COMPILED_BYTES_MIN),
        };
        let arguments = [
            OsString::from(SUBCOMMAND),
            format!("--memory-bytes={}", limits.memory_bytes).into(),
            format!("--seconds={}", limits.seconds()).into(),
            format!("--compiled-bytes={}", limits.compiled_bytes).into(),
        ];
        Child { program: program.to_path_buf(), arguments: arguments.into(), limits }
    }
}

fn open(path: &Path, bytes_max: u64) -> Option<Folder> {
    match Folder::open(path, bytes_max) {
        Ok(folder) => Some(folder),
        Err(error) => {
            tracing::warn!(%error, "every start compiles the policies anew");
            None
        }
    }
}

fn logged(refused: &Refused) -> String {
    if !matches!(refused, Refused::Words(_)) {
        tracing::warn!(reason = %refused, "a component was not compiled");
    }
    refused.to_string()
}

/// What is hashed names files that outlive this process, so the hash must not change with the
/// standard library.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        u64::from_le_bytes(first)
    }
}
