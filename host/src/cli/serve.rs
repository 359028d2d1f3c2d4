//! `turnpike serve` and `turnpike check`.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::signal::unix;

use crate::config::Config;
use crate::gateway;
use crate::telemetry;

use super::say;

/// SIGXFSZ, which the library has no name for.
const FILE_SIZE_SIGNAL: i32 = 25;

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// The configuration file (TOML)
    #[arg(long, env = "TURNPIKE_CONFIG")]
    config: Option<PathBuf>,
    /// Logs as JSON lines
    #[arg(long)]
    log_json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The configuration file (TOML)
    #[arg(long, env = "TURNPIKE_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    telemetry::start_logs(args.log_json);
    let config = Config::load(args.config.as_deref())?;
    let runtime = runtime()?;
    runtime.block_on(async {
        // With somebody who listens, a limit on the size of files (ulimit -f) fails the write that
        // passes it, which the journal survives, instead of ending the program.
        let _listens = unix::signal(unix::SignalKind::from_raw(FILE_SIZE_SIGNAL))
            .context("can't listen for SIGXFSZ")?;
        let running = gateway::start(&config).await?;
        tracing::info!(data = %running.data_addr, admin = %running.admin_addr, "ready");
        stop_signal().await?;
        tracing::info!("stopping: no new requests, those in flight end first");
        running.stop().await;
        Ok(())
    })
}

/// Admin API, background loops and the accept loop; the data plane has threads of its own.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(1).thread_name("control").enable_all().build()?)
}

/// Ctrl-C or SIGTERM.
pub(super) async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate =
        unix::signal(unix::SignalKind::terminate()).context("can't listen for SIGTERM")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("can't listen for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let resolved = gateway::resolve(&config)?;
    say(&resolved)
}
