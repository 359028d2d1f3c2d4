//! The gateway as a process: started with a generated configuration, watched until it is ready,
//! killed or stopped by its process id. Its output goes to a file that tests can search.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::binary::gateway_binary;

/// Until it must be ready: a debug build compiles its policies on the first start, on a machine
/// that runs other tests.
const READY_MAX: Duration = Duration::from_secs(120);
/// Until a graceful stop must be over.
const STOP_MAX: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where the server tells its ports once they are bound.
#[derive(Debug, Deserialize)]
struct Listening {
    data: String,
    admin: String,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    folder: PathBuf,
    /// `http://127.0.0.1:PORT` of the data plane.
    pub data_url: String,
    /// `http://127.0.0.1:PORT` of the admin API.
    pub admin_url: String,
}

impl Gateway {
    /// The configuration's path in a test's folder.
    pub fn config_path(folder: &Path) -> PathBuf {
        folder.join("turnpike.toml")
    }

    /// The data folder in a test's folder.
    pub fn data_folder(folder: &Path) -> PathBuf {
        folder.join("data")
    }

    /// Where everything that the process prints goes.
    pub fn log_path(folder: &Path) -> PathBuf {
        folder.join("gateway.log")
    }

    /// Starts `turnpike serve` on the folder's configuration and waits until it is ready.
    pub async fn start(folder: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let listen_file = Self::data_folder(folder).join("listen.json");
        if listen_file.exists() {
            std::fs::remove_file(&listen_file).context("the old listen.json can't be removed")?;
        }
        let mut child = spawn(folder, environment)?;
        let ready = tokio::time::timeout(READY_MAX, ready(&mut child, &listen_file)).await;
        let failed = |child: &mut Child, why: String| {
            end(child);
            let log = std::fs::read_to_string(Self::log_path(folder)).unwrap_or_default();
            anyhow::anyhow!("{why}; its output:\n{log}")
        };
        match ready {
            Ok(Ok(at)) => Ok(Self {
                child,
                folder: folder.to_path_buf(),
                data_url: format!("http://{}", at.data),
                admin_url: format!("http://{}", at.admin),
            }),
            Ok(Err(error)) => {
                Err(failed(&mut child, format!("the gateway did not start: {error}")))
            }
            Err(_) => Err(failed(&mut child, format!("not ready after {READY_MAX:?}"))),
        }
    }

    /// Starts it and ends it at once after `life`, ready or not, as a power cut would.
    pub async fn start_and_kill(
        folder: &Path,
        environment: &[(&str, &str)],
        life: Duration,
    ) -> Result<()> {
        let mut child = spawn(folder, environment)?;
        tokio::time::sleep(life).await;
        end(&mut child);
        Ok(())
    }

    /// Everything that it has printed.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(Self::log_path(&self.folder)).context("the log can't be read")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut would (SIGKILL).
    pub fn kill(mut self) {
        end(&mut self.child);
    }

    /// Asks it to stop (SIGTERM) and waits until it did.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        signal(&self.child, Signal::TERM)?;
        let exited = async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    return anyhow::Ok(status);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(STOP_MAX, exited).await.context("the gateway does not stop")?
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn spawn(folder: &Path, environment: &[(&str, &str)]) -> Result<Child> {
    let (output, errors) = (log_file(folder)?, log_file(folder)?);
    Command::new(gateway_binary()?)
        .arg("serve")
        .arg("--config")
        .arg(Gateway::config_path(folder))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .context("the gateway can't be started")
}

fn log_file(folder: &Path) -> Result<File> {
    let path = Gateway::log_path(folder);
    OpenOptions::new().create(true).append(true).open(&path).context("no log can be written")
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(pid, signal).context("the signal can't be sent")
}

/// Kills by process id, if it still runs, and collects the exit status.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        drop(child.kill());
        drop(child.wait());
    }
}

async fn ready(child: &mut Child, listen_file: &Path) -> Result<Listening> {
    let at: Listening = loop {
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
        if let Ok(text) = std::fs::read_to_string(listen_file)
            && let Ok(at) = serde_json::from_str(&text)
        {
            break at;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let url = format!("http://{}/health/ready", at.data);
    let http = reqwest::Client::new();
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
        if let Ok(answer) = http.get(&url).send().await
            && answer.status().is_success()
        {
            return Ok(at);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
