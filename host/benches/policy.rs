//! What the decisions of the combined built-in cost: the measurement of `turnpike plugin bench`, on
//! the component as `make plugins` built it. Not a test: it fails only when something does not
//! answer.

use std::path::Path;

use anyhow::Context as _;
use turnpike::policy::{PolicyEngine, PolicyLimits, measure};

/// Calls of each kind.
const ROUNDS: usize = 5_000;

#[allow(clippy::print_stdout, reason = "a bench prints")]
fn main() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/policy-default.wasm");
    let bytes = std::fs::read(&path)
        .with_context(|| format!("{}: run `make plugins` first", path.display()))?;
    let engine = PolicyEngine::new(&PolicyLimits::default())?;
    let policy = engine.admit(&bytes)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let rows = runtime.block_on(measure(&engine, &policy, None, ROUNDS, |_| None));
    println!("middle of {ROUNDS} in µs, fresh instance and warm (pool: {})", engine.is_pooled());
    for row in rows {
        anyhow::ensure!(row.without_verdict == 0, "{}: {:?}", row.decision, row.reason);
        let (fresh, warm) = (row.fresh_p50_us, row.warm_p50_us);
        println!("{:<9} {:<13} {fresh:9.1} {warm:9.1}", row.decision, row.input);
    }
    Ok(())
}
