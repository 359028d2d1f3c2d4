//! Start and stop: opens what is kept on disk, binds the two listeners, runs the background loops,
//! and lets requests in flight end before the process does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Config;
use crate::policy::Comparer;
use crate::server::{self, DataPlane};
use crate::{admin, clock};

use super::alerts;
use super::offer_metrics;
use super::policy_metrics;
use super::state::{self, State};
use super::{Gateway, Provider};

/// How often holds whose time is over are looked for. Their credit is out of reach until then.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
/// How often idle upstream connections and policy instances are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How often ratings are counted anew that have become older; they lose a hundredth in ten hours.
const FADE_EVERY: Duration = Duration::from_secs(3_600);
/// What requests to the admin API get to end, when the program stops.
const ADMIN_STOP_MAX: Duration = Duration::from_secs(10);
/// Where the addresses in force are written, for scripts that let the system choose the ports.
const LISTEN_FILE: &str = "listen.json";

/// The running program.
#[derive(Debug)]
pub struct Running {
    pub data_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    stop: watch::Sender<bool>,
    plane: DataPlane,
    admin: tokio::task::JoinHandle<()>,
    state: State,
}

/// Starts everything; requests are served when this returns.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    let data = bind("listen.data", config.listen.data).await?;
    let admin_listener = bind("listen.admin", config.listen.admin).await?;
    let config_for_state = config.clone();
    // Compiles the built-in policies and replays the journal: seconds of blocking work.
    let state =
        tokio::task::spawn_blocking(move || state::open(&config_for_state, Some(itself()?)))
            .await
            .context("opening the data folder was interrupted")??;
    let (data_addr, admin_addr) = (data.local_addr()?, admin_listener.local_addr()?);
    let (stop, stopped) = watch::channel(false);

    let gateway = Arc::clone(&state.gateway);
    let options = server::Options {
        workers: workers(config.limits.workers),
        connections: config.limits.connections,
        drain: Duration::from_millis(config.timeouts.drain_ms),
        write_idle: Duration::from_millis(config.timeouts.write_idle_ms),
        tasks: gateway.tasks.clone(),
        last_call: gateway.last_call.clone(),
    };
    let plane = server::serve(&gateway, data, &options, &stopped)?;
    gateway.tasks.spawn("expire", expire(Arc::clone(&gateway), stopped.clone()));
    gateway.tasks.spawn("sweep", sweep(Arc::clone(&gateway), stopped.clone()));
    gateway.tasks.spawn("fade", fade(Arc::clone(&gateway), stopped.clone()));
    let pending = Arc::new(alerts::Pending::of(&state.store));
    let (store, waiting) = (Arc::clone(&state.store), Arc::clone(&pending));
    let watching = alerts::watch(Arc::clone(&gateway), store, waiting, stopped.clone());
    gateway.tasks.spawn("alerts", watching);
    let (store, targets) = (Arc::clone(&state.store), alerts::Targets::of(&config.alerts));
    let sending = alerts::deliver(Arc::clone(&gateway), store, pending, targets, stopped.clone());
    gateway.tasks.spawn("webhooks", sending);
    if let Some(comparer) = gateway.policy_engine.comparer() {
        gateway.tasks.spawn("compare", compare(comparer, stopped.clone()));
    }
    let router = admin::router(state.admin.clone()).merge(metrics(&gateway));
    let admin = serve_admin(router, admin_listener, stopped);

    let file = config.data.dir.join(LISTEN_FILE);
    let text = format!("{{\"data\":\"{data_addr}\",\"admin\":\"{admin_addr}\"}}\n");
    std::fs::write(&file, text).with_context(|| format!("can't write {}", file.display()))?;
    Ok(Running { data_addr, admin_addr, stop, plane, admin, state })
}

impl Running {
    /// Takes no new requests, lets those in flight end within the drain time, and writes out what
    /// is in memory.
    pub async fn stop(self) {
        let Self { stop, plane, admin, state, .. } = self;
        stop.send_replace(true);
        let joined = tokio::task::spawn_blocking(move || plane.join()).await;
        if joined.is_err() {
            tracing::error!("the data plane did not stop in order");
        }
        let ended = admin.abort_handle();
        match tokio::time::timeout(ADMIN_STOP_MAX, admin).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("the admin API did not stop in order"),
            // Somebody has begun a request and does not end it.
            Err(_) => ended.abort(),
        }
        let closed = tokio::task::spawn_blocking(move || state.close()).await;
        if closed.is_err() {
            tracing::error!("the data folder was not closed in order");
        }
    }
}

/// What a configuration resolves to, in words, without opening or binding anything.
pub fn resolve(config: &Config) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let resolved = state::offers(config)?;
    config.admin.token.resolve("admin.token")?;
    let mut text = format!(
        "data plane  {}\nadmin API   {}\ndata folder {}\n",
        config.listen.data,
        config.listen.admin,
        config.data.dir.display()
    );
    for name in config.providers.keys() {
        let offers = resolved.offers.offers();
        let all = offers.iter().filter(|offer| *offer.provider == **name).count();
        let usable = offers.iter().filter(|offer| state::usable(offer, name)).count();
        writeln!(
            text,
            "provider    {name}: {}, {} offers, {} usable (with a known price)",
            resolved.providers.get(name.as_str()).map(Provider::to_string).unwrap_or_default(),
            all,
            usable,
        )?;
    }
    if config.providers.is_empty() {
        text.push_str("provider    none; add a [providers.NAME] section\n");
    }
    for warning in &resolved.warnings {
        writeln!(text, "WARNING     {warning}")?;
    }
    text.push_str(match resolved.warnings.is_empty() {
        true => "the configuration is valid",
        false => "the configuration is valid, but see the warnings",
    });
    Ok(text)
}

/// This very program, also when its file was replaced since it started.
fn itself() -> anyhow::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    match running.exists() {
        true => Ok(running.to_path_buf()),
        false => std::env::current_exe().context("this program's file can't be found"),
    }
}

async fn bind(field: &str, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| {
        format!("can't listen on {addr}; is another program there? Set {field} to a free port")
    })
}

fn workers(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    }
}

fn metrics(gateway: &Arc<Gateway>) -> axum::Router {
    let gateway = Arc::clone(gateway);
    let show = move || {
        let gateway = Arc::clone(&gateway);
        async move {
            gateway.metrics.usage_dropped(gateway.recorder.log().dropped());
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            let offers = gateway.offers.offers().iter().map(|offer| &**offer);
            let offers = offer_metrics::text(offers, &gateway.health, clock::steady_ms());
            let more = policy_metrics::all(&gateway.policy_engine) + &offers;
            ([(http::header::CONTENT_TYPE, kind)], gateway.metrics.render_with(&more))
        }
    };
    axum::Router::new().route("/metrics", axum::routing::get(show))
}

#[allow(clippy::disallowed_methods, reason = "stop waits for this task by its handle")]
fn serve_admin(
    router: axum::Router,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let stop = async move {
            // The sender is gone only when the program is.
            drop(stopped.wait_for(|stop| *stop).await);
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
            tracing::error!(%error, "the admin API ended");
        }
    })
}

async fn expire(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    while pause(EXPIRE_EVERY, &mut stopped).await {
        // A part at a time, so that others get the ledger's lock between.
        loop {
            match gateway.ledger.expire_due(clock::now_ms()) {
                Ok(expired) if expired.is_empty() => break,
                Ok(expired) => {
                    let count = expired.len();
                    tracing::warn!(count, "holds expired; see the ledger's entries");
                }
                // Said loudly once when the journal failed.
                Err(error) => {
                    tracing::debug!(%error, "holds can't be expired");
                    break;
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn sweep(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    while pause(SWEEP_EVERY, &mut stopped).await {
        gateway.upstream.sweep();
        gateway.web.sweep();
        gateway.policy_engine.sweep();
    }
}

async fn fade(gateway: Arc<Gateway>, mut stopped: watch::Receiver<bool>) {
    while pause(FADE_EVERY, &mut stopped).await {
        let ratings = Arc::clone(&gateway.ratings);
        // Goes over every offer for every model that was rated.
        if tokio::task::spawn_blocking(move || ratings.fade()).await.is_err() {
            tracing::error!("ratings could not be counted anew; the earlier count stays");
        }
    }
}

/// Off the data plane: policies on trial cost requests nothing. What waits when the program stops
/// is dropped.
async fn compare(comparer: Comparer, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = comparer.run() => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

/// False when the program stops.
pub(super) async fn pause(how_long: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::time::timeout(how_long, stopped.wait_for(|stop| *stop)).await.is_err()
}
