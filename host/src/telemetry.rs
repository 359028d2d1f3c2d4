//! What the gateway tells about itself: logs and metrics. Facts only; content and secrets are
//! types that can't get here.

mod metrics;

pub use metrics::{Metrics, NAMES, Outcome};

use tracing_subscriber::EnvFilter;

/// Sends logs to standard error: readable on a terminal, JSON with `json`. The level comes from
/// `TURNPIKE_LOG` (for example `debug` or `turnpike=debug,hyper=warn`), else `info`.
pub fn start_logs(json: bool) {
    let filter = EnvFilter::try_from_env("TURNPIKE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    if started.is_err() {
        tracing::debug!("logging was already set up by the embedding program");
    }
}
