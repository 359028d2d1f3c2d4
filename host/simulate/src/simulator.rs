//! The handle of a running simulator, and the ways to run one: inside a test, or as a program.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::failure::Rule;
use crate::script::{ModelScript, Script, ScriptError};
use crate::seen::Seen;
use crate::server::accept;
use crate::world::{Counts, World};

/// Why a simulator could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The script can't be played.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The address can't be listened on.
    #[error("the simulator can't listen: {0}")]
    Listen(#[from] std::io::Error),
    /// A name that is not in the script.
    #[error("the script has no {0}")]
    Unknown(String),
}

/// A running simulator; dropped, it closes every connection.
#[derive(Debug)]
pub struct Simulator {
    addr: SocketAddr,
    world: Arc<World>,
    /// The accept loop, which owns the connections.
    _accepting: JoinSet<()>,
}

impl Simulator {
    /// Plays `script` on a free port of the loopback address.
    pub async fn start(script: &Script) -> Result<Self, SimulateError> {
        Self::start_on(TcpListener::bind(("127.0.0.1", 0)).await?, script)
    }

    /// Plays `script` on a bound listener. Needs a running tokio runtime.
    pub fn start_on(listener: TcpListener, script: &Script) -> Result<Self, SimulateError> {
        let world = Arc::new(World::new(script)?);
        let addr = listener.local_addr()?;
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&world)));
        Ok(Self { addr, world, _accepting: accepting })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A provider's base URL, as a gateway's configuration wants it.
    pub fn url(&self, provider: &str) -> Result<String, SimulateError> {
        let prefix = &self.provider(provider)?.script.prefix;
        Ok(format!("http://{}{prefix}", self.addr))
    }

    /// What reached one provider, oldest first.
    pub fn requests(&self, provider: &str) -> Vec<Seen> {
        self.world.seen(Some(provider))
    }

    /// What reached any provider, oldest first.
    pub fn all_requests(&self) -> Vec<Seen> {
        self.world.seen(None)
    }

    /// Forgets the requests seen so far; counts stay.
    pub fn forget(&self) {
        self.world.forget();
    }

    /// A provider's totals.
    pub fn counts(&self, provider: &str) -> Result<Counts, SimulateError> {
        Ok(self.provider(provider)?.counts())
    }

    /// Sets the failures of every model of a provider; none heals it.
    pub fn fail(&self, provider: &str, rules: &[Rule]) -> Result<(), SimulateError> {
        self.provider(provider)?.set_failures(rules, self.world.seed);
        Ok(())
    }

    /// Changes a model for the requests to come.
    pub fn change(
        &self,
        provider: &str,
        model: &str,
        edit: impl FnOnce(&mut ModelScript),
    ) -> Result<(), SimulateError> {
        let unknown = || SimulateError::Unknown(format!("model {model} at {provider}"));
        let found = self.provider(provider)?.model(model).ok_or_else(unknown)?;
        found.change(self.world.seed, edit);
        Ok(())
    }

    fn provider(&self, name: &str) -> Result<&crate::world::Provider, SimulateError> {
        self.world.provider(name).ok_or_else(|| SimulateError::Unknown(format!("provider {name}")))
    }
}

/// Plays `script` on a bound listener until the future is dropped.
pub async fn serve(listener: TcpListener, script: &Script) -> Result<(), SimulateError> {
    accept(listener, Arc::new(World::new(script)?)).await;
    Ok(())
}

/// Plays `script` as a program: blocks for ever, on a runtime of its own.
pub fn run(listener: std::net::TcpListener, script: &Script) -> Result<(), SimulateError> {
    let world = Arc::new(World::new(script)?);
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        accept(TcpListener::from_std(listener)?, world).await;
        Ok(())
    })
}
