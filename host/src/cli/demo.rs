//! `turnpike demo`: the gateway with simulated providers, an organization with credit, a key with
//! a budget, and everything a newcomer needs printed. Uses the public admin API like anybody else.

mod setup;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use turnpike_protocol::Dialect;
use turnpike_simulate::{Script, Simulator};

use crate::config::{Config, Provider, SecretRef};
use crate::gateway;
use crate::secret::Secret;
use crate::telemetry;

use super::{say, serve};
use setup::Made;

/// What the simulated providers expect as their key; they check it like the real ones.
const SIMULATED_KEY: &str = "sim-key";

#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Port of the data plane
    #[arg(long, env = "DEMO_PORT", default_value_t = 8080)]
    port: u16,
    /// Port of the admin API
    #[arg(long, env = "DEMO_ADMIN_PORT", default_value_t = 8081)]
    admin_port: u16,
    /// Data folder; kept between runs
    #[arg(long, default_value = "demo-data")]
    data: PathBuf,
    /// Where to write the settings for scripts
    #[arg(long, default_value = "demo.env")]
    env_file: PathBuf,
}

pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    telemetry::start_logs(false);
    serve::runtime()?.block_on(run(args))
}

async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let script = Script::demo().context("the demo's script of simulated providers")?;
    let simulator = Simulator::start(&script).await?;
    let token = setup::admin_token(&args.data)?;
    let config = config(args, &script, &simulator, &token)?;
    let running = gateway::start(&config).await.map_err(unstarted)?;
    let made = setup::organization(running.admin_addr, &token).await?;
    let urls = Urls { data: running.data_addr, admin: running.admin_addr };
    write_env(&args.env_file, &urls, &made, &token, &args.data)?;
    say(&greeting(&urls, &made, &args.env_file))?;
    serve::stop_signal().await?;
    say("stopping")?;
    running.stop().await;
    Ok(())
}

/// Why the demo can't start, with the way out of what is taken most often.
fn unstarted(error: anyhow::Error) -> anyhow::Error {
    let taken = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::AddrInUse)
    };
    let is_taken = error.chain().any(taken);
    match is_taken {
        true => error.context(
            "the demo can't start; a port that is taken can be changed with DEMO_PORT and \
             DEMO_ADMIN_PORT",
        ),
        false => error.context("the demo can't start (its data folder is chosen with --data)"),
    }
}

struct Urls {
    data: SocketAddr,
    admin: SocketAddr,
}

fn config(
    args: &DemoArgs,
    script: &Script,
    simulator: &Simulator,
    token: &Secret,
) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.listen.data = (Ipv4Addr::LOCALHOST, args.port).into();
    config.listen.admin = (Ipv4Addr::LOCALHOST, args.admin_port).into();
    config.data.dir.clone_from(&args.data);
    config.admin.token = SecretRef::Literal(token.clone());
    for provider in &script.providers {
        let key = provider.api_key.clone().unwrap_or_else(|| SIMULATED_KEY.to_owned());
        config.providers.insert(
            provider.name.clone(),
            Provider {
                base_url: Some(simulator.url(&provider.name)?),
                api_key: Some(SecretRef::Literal(Secret::new(key))),
                dialect: dialect(provider.dialect),
                models: provider.models.iter().map(|model| model.id.clone()).collect(),
                ..Provider::default()
            },
        );
    }
    Ok(config)
}

/// The protocol that a simulated provider speaks; several leave it to what its name speaks.
fn dialect(spoken: turnpike_simulate::Dialect) -> Option<String> {
    use turnpike_simulate::Dialect as Spoken;
    let spoken = match spoken {
        Spoken::OpenAiChat => Dialect::OpenAiChat,
        Spoken::OpenAiResponses => Dialect::OpenAiResponses,
        Spoken::AnthropicMessages => Dialect::AnthropicMessages,
        Spoken::Gemini => Dialect::Gemini,
        _ => return None,
    };
    Some(spoken.label().to_owned())
}

/// The file holds a key and the operator's token, so only its owner may read it.
fn write_env(
    path: &Path,
    urls: &Urls,
    made: &Made,
    token: &Secret,
    data: &Path,
) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let data = std::fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    let text = format!(
        "TURNPIKE_URL=http://{}\nTURNPIKE_ADMIN_URL=http://{}\nTURNPIKE_KEY={}\n\
         TURNPIKE_ADMIN_TOKEN={}\nTURNPIKE_ORG={}\nTURNPIKE_DATA={}\n",
        urls.data,
        urls.admin,
        made.key.reveal(),
        token.reveal(),
        made.org,
        data.display()
    );
    // Removed first: opening an existing file would keep its old mode.
    if path.exists() {
        std::fs::remove_file(path).with_context(|| format!("can't replace {}", path.display()))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("can't write {}", path.display()))
}

fn greeting(urls: &Urls, made: &Made, env_file: &Path) -> String {
    let (data, admin, key) = (urls.data, urls.admin, made.key.reveal());
    format!(
        r#"
Turnpike is running: {balance} USD of credit, a key with a budget, simulated providers.

  API    http://{data}/v1
  Admin  http://{admin}/admin/v1   (token in {env})

Try it:

  curl http://{data}/v1/chat/completions \
    -H "Authorization: Bearer {key}" \
    -H "Content-Type: application/json" \
    -d '{{"model":"auto","messages":[{{"role":"user","content":"Hello, Turnpike!"}}]}}'

OpenAI SDK         base_url="http://{data}/v1"  api_key="{key}"  model="auto"
Any OpenAI client  OPENAI_BASE_URL=http://{data}/v1  OPENAI_API_KEY={key}
Anthropic SDK      base_url="http://{data}"  api_key="{key}"  model="auto"
Google Gen AI SDK  base_url="http://{data}"  api_key="{key}"  model="auto"
Claude Code        ANTHROPIC_BASE_URL=http://{data} ANTHROPIC_AUTH_TOKEN={key} \
                     claude --model auto
Codex              TURNPIKE_KEY={key} codex -m auto -c model_provider=turnpike \
                     -c 'model_providers.turnpike={{name="Turnpike",wire_api="responses",
                         base_url="http://{data}/v1",env_key="TURNPIKE_KEY"}}'

What a request cost and why: the x-request-id of an answer, then
  curl -H "Authorization: Bearer $TURNPIKE_ADMIN_TOKEN" \
    http://{admin}/admin/v1/orgs/{org}/requests/REQUEST_ID

Settings for scripts are in {env}. Ctrl-C stops."#,
        balance = made.balance,
        env = env_file.display(),
        org = made.org,
    )
}
