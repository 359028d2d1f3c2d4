//! A whole installation for one test: providers, gateway, an organization with credit and a key.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use turnpike_simulate::{Dialect, Script, Simulator};

use crate::binary::gateway_binary;
use crate::compiled;
use crate::gateway::Gateway;
use crate::scripts::instant_script;
use crate::verbs::{Answered, Balance, Caller};

/// The operator's token in every test.
pub const ADMIN_TOKEN: &str = "test-operator-token-0123456789abcdef";
/// The organization that every stage begins with.
pub const ORG: &str = "acme";

/// Time-outs short enough for a test to wait for, long enough for a busy machine; as many attempts
/// as there are offers, so that a whole provider can fail; and no choice is left to a lot.
const SHORT: &str = "[timeouts]\nconnect_ms = 2000\nfirst_byte_ms = 2500\nanswer_ms = 4000\n\
    first_content_ms = 2500\nidle_ms = 3000\ndrain_ms = 10000\n\n[routing]\nattempts = 5\n\
    explore_one_in = 0\n";
/// A settled request becomes visible a moment after its answer; this is a long moment.
const SETTLE_MAX: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a stage begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the providers play.
    pub script: Script,
    /// Credit of the first organization.
    pub credit_usd: String,
    /// More of the configuration file.
    pub more_config: String,
    /// Writes the providers' part of the configuration.
    pub providers: fn(&Script, &Simulator) -> Result<String>,
    /// More environment of the gateway.
    pub environment: Vec<(&'static str, &'static str)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            script: instant_script(),
            credit_usd: "100.000000".to_owned(),
            more_config: String::new(),
            providers: catalogued,
            environment: Vec::new(),
        }
    }
}

/// See the head of this file.
#[derive(Debug)]
pub struct Stage {
    /// The providers.
    pub simulator: Simulator,
    /// The operator.
    pub admin: Caller,
    /// The first organization's key.
    pub caller: Caller,
    /// The process; absent while it is down.
    gateway: Option<Gateway>,
    setup: Setup,
    folder: TempDir,
}

impl Stage {
    /// The usual installation.
    pub async fn open() -> Result<Self> {
        Self::open_with(Setup::default()).await
    }

    /// An installation of one's own.
    pub async fn open_with(setup: Setup) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let simulator = Simulator::start(&setup.script).await?;
        let config = configuration(&setup, &simulator, folder.path())?;
        std::fs::write(Gateway::config_path(folder.path()), config)?;
        let data = Gateway::data_folder(folder.path());
        compiled::lay_in(&data)?;
        let gateway = start(&setup, folder.path()).await?;
        compiled::keep(&data)?;
        let admin = Caller::new(&gateway.admin_url, ADMIN_TOKEN);
        let caller = Caller::new(&gateway.data_url, "");
        let mut stage = Self { simulator, admin, caller, gateway: Some(gateway), setup, folder };
        let credit = stage.setup.credit_usd.clone();
        stage.caller = stage.add_org(ORG, &credit).await?;
        Ok(stage)
    }

    /// Another organization with credit; its key's caller.
    pub async fn add_org(&self, org: &str, credit_usd: &str) -> Result<Caller> {
        let made = json!({ "id": org, "name": org });
        self.operate(Method::POST, "/orgs", Some(&made)).await?.expect_status(201)?;
        self.top_up(org, credit_usd, "first").await?;
        self.add_key(org, &json!({ "name": "test" })).await
    }

    /// Another key of an organization; its caller.
    pub async fn add_key(&self, org: &str, body: &Value) -> Result<Caller> {
        let path = format!("/orgs/{org}/keys");
        let made = self.operate(Method::POST, &path, Some(body)).await?.expect_status(201)?;
        let key = made.body.get("key").and_then(Value::as_str).context("no key in the answer")?;
        Ok(Caller::new(&self.gateway()?.data_url, key))
    }

    /// Adds credit.
    pub async fn top_up(&self, org: &str, amount_usd: &str, reference: &str) -> Result<()> {
        let body = json!({ "amount_usd": amount_usd, "channel": "manual", "reference": reference });
        let path = format!("/orgs/{org}/credits/topups");
        let answer = self.operate(Method::POST, &path, Some(&body)).await?;
        if answer.status / 100 != 2 {
            bail!("the top-up was refused: {}", answer.text);
        }
        Ok(())
    }

    /// A call of the admin API, below `/admin/v1`.
    pub async fn operate(&self, m: Method, path: &str, body: Option<&Value>) -> Result<Answered> {
        self.admin.call(m, &format!("/admin/v1{path}"), body).await
    }

    /// Uploads a policy of the first organization.
    pub async fn upload(&self, name: &str, version: &str, component: Vec<u8>) -> Result<Answered> {
        let path = format!("/admin/v1/orgs/{ORG}/plugins?name={name}&version={version}");
        self.admin.send_bytes(Method::POST, &path, "application/wasm", component).await
    }

    /// Binds a policy of the first organization to a decision.
    pub async fn bind(&self, hook: &str, binding: &Value) -> Result<Answered> {
        let path = format!("/orgs/{ORG}/bindings/{hook}");
        let answer = self.operate(Method::PUT, &path, Some(binding)).await?;
        if answer.status / 100 != 2 {
            bail!("the binding was refused: {}", answer.text);
        }
        Ok(answer)
    }

    /// An organization's credit now.
    pub async fn balance(&self, org: &str) -> Result<Balance> {
        let path = format!("/orgs/{org}/credits");
        Balance::read(&self.operate(Method::GET, &path, None).await?.expect_status(200)?.body)
    }

    /// An organization's credit once nothing is held any more.
    pub async fn settled_balance(&self, org: &str) -> Result<Balance> {
        let settled = async {
            loop {
                let balance = self.balance(org).await?;
                if balance.held == 0 {
                    return anyhow::Ok(balance);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(SETTLE_MAX, settled).await.context("credit stays held")?
    }

    /// A request's explanation, once it is there.
    pub async fn explanation(&self, org: &str, id: &str) -> Result<Value> {
        let path = format!("/orgs/{org}/requests/{id}");
        let found = async {
            loop {
                let answer = self.operate(Method::GET, &path, None).await?;
                match answer.status {
                    200 => return Ok(answer.body),
                    404 => tokio::time::sleep(LOOK_EVERY).await,
                    status => bail!("status {status}: {}", answer.text),
                }
            }
        };
        let waited = tokio::time::timeout(SETTLE_MAX, found).await;
        waited.with_context(|| format!("request {id} is never explained"))?
    }

    /// The metrics in Prometheus' text format.
    pub async fn metrics(&self) -> Result<String> {
        Ok(self.admin.get("/metrics").await?.expect_status(200)?.text)
    }

    /// The running gateway.
    pub fn gateway(&self) -> Result<&Gateway> {
        self.gateway.as_ref().context("the gateway is down")
    }

    /// Kills the gateway as a power cut would.
    pub fn kill(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.kill();
        }
    }

    /// Stops the gateway in order.
    pub async fn stop(&mut self) -> Result<()> {
        let gateway = self.gateway.take().context("the gateway is down")?;
        let status = gateway.stop().await?;
        if !status.success() {
            bail!("the gateway stopped with {status}");
        }
        Ok(())
    }

    /// Starts the gateway again on the same data; ports are new, keys are the same.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        let gateway = start(&self.setup, self.folder.path()).await?;
        self.admin = Caller::new(&gateway.admin_url, ADMIN_TOKEN);
        self.caller = Caller::new(&gateway.data_url, self.caller.key());
        self.gateway = Some(gateway);
        Ok(())
    }

    /// Starts the gateway and kills it after `life`, ready or not.
    pub async fn start_and_kill(&mut self, life: Duration) -> Result<()> {
        self.kill();
        Gateway::start_and_kill(self.folder.path(), &environment(&self.setup), life).await
    }

    /// Runs the gateway's program with other arguments to its end.
    pub async fn program(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = tokio::process::Command::new(gateway_binary()?);
        command.args(arguments).kill_on_drop(true);
        command.output().await.context("the program can't be run")
    }

    /// The gateway's data folder.
    pub fn data_folder(&self) -> PathBuf {
        Gateway::data_folder(self.folder.path())
    }

    /// Everything that the gateway has printed, over all its lives.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(Gateway::log_path(self.folder.path()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

async fn start(setup: &Setup, folder: &Path) -> Result<Gateway> {
    Gateway::start(folder, &environment(setup)).await
}

fn environment(setup: &Setup) -> Vec<(&'static str, &'static str)> {
    let mut environment = vec![("TURNPIKE_ADMIN_TOKEN", ADMIN_TOKEN)];
    environment.extend(setup.environment.iter().copied());
    environment
}

fn configuration(setup: &Setup, simulator: &Simulator, folder: &Path) -> Result<String> {
    let data = Gateway::data_folder(folder);
    let providers = (setup.providers)(&setup.script, simulator)?;
    Ok(format!(
        "[listen]\ndata = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[data]\ndir = {:?}\n\n\
         [admin]\ntoken = \"env:TURNPIKE_ADMIN_TOKEN\"\n\n{SHORT}\n{}\n{providers}",
        data.display().to_string(),
        setup.more_config,
    ))
}

/// Providers of the catalogue, each with its script's models.
fn catalogued(script: &Script, simulator: &Simulator) -> Result<String> {
    let mut out = String::new();
    for provider in &script.providers {
        let (name, url) = (&provider.name, simulator.url(&provider.name)?);
        let key = provider.api_key.as_deref().unwrap_or("sim-key");
        let models: Vec<&str> = provider.models.iter().map(|model| model.id.as_str()).collect();
        write!(
            out,
            "[providers.{name}]\nbase_url = \"{url}\"\napi_key = \"{key}\"\n\
             dialect = \"openai-chat\"\nmodels = {models:?}\n\n"
        )?;
    }
    Ok(out)
}

/// Providers of the catalogue under its own settings, each with the one model that is beside it.
pub fn one_model_each(
    all: &[(&str, Dialect, &str)],
    script: &Script,
    simulator: &Simulator,
) -> Result<String> {
    let mut out = String::new();
    for provider in &script.providers {
        let (name, url) = (&provider.name, simulator.url(&provider.name)?);
        let (_, _, model) = all.iter().find(|(known, ..)| known == name).context("a model")?;
        write!(
            out,
            "[providers.{name}]\nbase_url = \"{url}\"\napi_key = \"sim-key\"\n\
             models = [\"{model}\"]\n\n"
        )?;
    }
    Ok(out)
}
