//! Installs the clients, runs one of them, and reads what it reports.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use turnpike_tests::repository;

use super::roster::{Client, Runtime};

/// For all cases of a client against all providers, on a machine that does other things too.
const CLIENT_MAX: Duration = Duration::from_secs(420);

/// Where the clients are installed.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    python: PathBuf,
    llama_index: PathBuf,
    node: PathBuf,
}

/// Whom the clients call.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// Without a version.
    pub(super) base_url: String,
    pub(super) key: String,
    /// See [`super::script::names`].
    pub(super) models: Value,
}

/// One line of a client's script about one case.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Line {
    pub(super) provider: String,
    pub(super) case: String,
    /// `ok`, `n/a` or `FAIL`.
    pub(super) result: String,
    #[serde(default)]
    pub(super) detail: String,
    #[serde(default)]
    pub(super) took_ms: u64,
}

/// What a client reported.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) client: Client,
    /// Of its packages.
    pub(super) versions: BTreeMap<String, String>,
    pub(super) lines: Vec<Line>,
    /// What else it printed.
    pub(super) errors: String,
}

/// The first line of a client's script.
#[derive(Debug, Deserialize)]
struct Opening {
    versions: BTreeMap<String, String>,
}

// === impl Installed ===

impl Installed {
    /// Runs `setup.sh`, which does nothing when all is there.
    pub(super) async fn ready() -> Result<Self> {
        let output = Command::new("sh")
            .arg(repository().join("tests/clients/setup.sh"))
            .kill_on_drop(true)
            .output()
            .await
            .context("sh can't be run")?;
        if !output.status.success() {
            bail!("no clients:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout)?;
        let folders: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
        let [python, llama_index, node] = <[PathBuf; 3]>::try_from(folders)
            .map_err(|folders| anyhow::anyhow!("setup.sh printed {folders:?}"))?;
        Ok(Self { python, llama_index, node })
    }

    fn command(&self, client: &Client) -> Command {
        let script = repository().join("tests/clients").join(client.script);
        let python = |folder: &Path| Command::new(folder.join("bin/python"));
        let mut command = match client.runtime {
            Runtime::Python => python(&self.python),
            Runtime::LlamaIndex => python(&self.llama_index),
            Runtime::Node => Command::new("node"),
        };
        command.arg(script);
        command
    }

    /// The folder of a package's program.
    fn programs(&self) -> PathBuf {
        self.node.join("node_modules/.bin")
    }
}

/// Runs all cases of a client; `only` picks some, as its script's arguments do.
pub(super) async fn run(
    client: Client,
    installed: &Installed,
    endpoint: &Endpoint,
    only: &[String],
) -> Result<Report> {
    let folder = TempDir::with_prefix("turnpike-client-").context("no temporary folder")?;
    let mut command = installed.command(&client);
    // Nothing of the developer's own settings, keys or proxies may have a part in it.
    command.env_clear().env("PATH", path(installed)?).env("LANG", "C.UTF-8");
    command.env("HOME", folder.path()).env("TMPDIR", folder.path());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("TURNPIKE_CLIENT", client.id).env("TURNPIKE_FOLDER", folder.path());
    command.env("TURNPIKE_BASE_URL", &endpoint.base_url).env("TURNPIKE_KEY", &endpoint.key);
    command.env("TURNPIKE_MODELS", endpoint.models.to_string()).args(only);
    command.current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true).process_group(0);
    let (said, printed) = (folder.path().join("said"), folder.path().join("printed"));
    command.stdout(File::create(&said)?).stderr(File::create(&printed)?);
    let mut child = command.spawn().with_context(|| format!("{} can't be run", client.id))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let ended = tokio::time::timeout(CLIENT_MAX, child.wait()).await;
    // What it started goes with it; that nothing is left is the usual case, and no error.
    if let Some(group) = group {
        kill_process_group(group, Signal::KILL).ok();
    }
    let read = |path| std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned());
    let (text, mut errors) = (read(said)?, read(printed)?);
    match ended {
        Ok(status) if status.as_ref().is_ok_and(ExitStatus::success) => {}
        Ok(status) => writeln!(errors, "ended with {status:?}")?,
        Err(_) => writeln!(errors, "did not end in {CLIENT_MAX:?}")?,
    }
    let mut lines = text.lines();
    let first = lines.next().with_context(|| format!("{} says nothing\n{errors}", client.id))?;
    let opening: Opening = serde_json::from_str(first).with_context(|| first.to_owned())?;
    let lines = lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned()));
    let lines = lines.collect::<Result<Vec<Line>>>()?;
    Ok(Report { client, versions: opening.versions, lines, errors })
}

/// The search path: this process's, with the clients' programs in front.
fn path(installed: &Installed) -> Result<std::ffi::OsString> {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(installed.programs()).chain(std::env::split_paths(&usual));
    Ok(std::env::join_paths(folders)?)
}
