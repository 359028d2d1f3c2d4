//! What the gateway tells about itself: logs and metrics. Facts only; content and secrets are
//! types that can't get here.

mod metrics;

pub use metrics::{Metrics, NAMES, Outcome};

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Sends logs to standard error: lines for people, in colour on a terminal unless `NO_COLOR` is
/// set, or JSON with `json`. The level comes from
/// `TURNPIKE_LOG` (for example `debug` or `turnpike=debug,hyper=warn`), else `info`.
pub fn start_logs(json: bool) {
    let filter = EnvFilter::try_from_env("TURNPIKE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = !plain && std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr);
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    if started.is_err() {
        tracing::debug!("logging was already set up by the embedding program");
    }
}
