//! `turnpike plugin push`: uploads a component and binds it, by the admin API. Tells what the
//! gateway checked. Decides nothing about a request.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::say;
use super::admin::{Admin, Target};
use super::project::Project;
use super::{read, read_text, runtime};
use crate::hook::Hook;
use crate::policy::signature::digest_hex;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PushArgs {
    /// A component, or a project's folder (built first when something is newer)
    what: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Register it under this version instead of its own
    #[arg(long)]
    version: Option<String>,
    #[command(flatten)]
    binding: Binding,
}

/// What a pushed policy is bound to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Binding {
    /// Bind it: classify, route, redact or bill; several with commas
    #[arg(long, value_delimiter = ',', value_parser = decision)]
    pub(super) bind: Vec<String>,
    /// active, shadow or canary
    #[arg(long, default_value = "active")]
    pub(super) mode: String,
    /// The canary's share of the sessions
    #[arg(long)]
    percent: Option<u8>,
    /// A JSON file with its configuration; `config.json` of the project if there is one
    #[arg(long)]
    config: Option<PathBuf>,
    /// builtin, open or closed
    #[arg(long)]
    on_failure: Option<String>,
    /// Processor time of one call
    #[arg(long)]
    deadline_ms: Option<u32>,
}

/// What was pushed.
pub(super) struct Pushed {
    name: String,
    version: String,
}

fn decision(text: &str) -> Result<String, String> {
    match Hook::from_label(text) {
        Some(hook) => Ok(hook.label().to_owned()),
        None => Err("expected classify, route, redact or bill".to_owned()),
    }
}

pub(super) fn run(args: &PushArgs) -> anyhow::Result<()> {
    let project = Project::at(&args.what)?;
    let file = match &project {
        Some(project) => super::build::fresh(project, false)?,
        None => args.what.clone(),
    };
    let config = project.as_ref().map(Project::config);
    runtime()?.block_on(async {
        let admin = Admin::new(&args.target)?;
        let org = &args.target.org;
        let pushed = upload(&admin, org, &file, args.version.as_deref()).await?;
        bind(&admin, org, &pushed, &args.binding, config).await
    })
}

/// Uploads the component; the same bytes again are fine.
pub(super) async fn upload(
    admin: &Admin,
    org: &str,
    file: &Path,
    version: Option<&str>,
) -> anyhow::Result<Pushed> {
    let bytes = read(file)?;
    let digest = digest_hex(&bytes);
    let mut query: Vec<String> = version.map(|it| format!("version={it}")).into_iter().collect();
    let signature = super::sign::with_ending(file, "sig");
    if signature.is_file() {
        query.push(format!("signature={}", read_text(&signature)?.trim()));
    }
    let path = format!("/orgs/{org}/plugins?{}", query.join("&"));
    let answer = admin.call("POST", &path, "application/wasm", Bytes::from(bytes)).await?;
    let text = |name: &str| answer.body.get(name).and_then(Value::as_str).map(str::to_owned);
    if !matches!(answer.status, 200 | 201) {
        say(&checks(answer.body.pointer("/checks")))?;
        let hint = match answer.status {
            409 => "; other bytes have that version: raise it, or give one with --version",
            _ => "",
        };
        bail!("{} was not taken: {}{hint}", file.display(), answer.why());
    }
    let name = text("name").context("the gateway did not say what it registered")?;
    let version = text("version").context("the gateway did not say what it registered")?;
    let word = if answer.status == 201 { "uploaded" } else { "there already" };
    say(&format!("{name}@{version} {word}, sha256 {digest}"))?;
    Ok(Pushed { name, version })
}

/// Binds what was pushed to every decision that is asked for.
pub(super) async fn bind(
    admin: &Admin,
    org: &str,
    pushed: &Pushed,
    binding: &Binding,
    beside: Option<PathBuf>,
) -> anyhow::Result<()> {
    let plugin = format!("{}@{}", pushed.name, pushed.version);
    let mut body = json!({ "plugin": plugin, "mode": binding.mode });
    if let Some(fields) = body.as_object_mut() {
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if let Some(config) = super::config(binding.config.as_ref(), beside)? {
            set("config", serde_json::from_str(&config)?);
        }
        if let Some(percent) = binding.percent {
            set("percent", json!(percent));
        }
        if let Some(on_failure) = &binding.on_failure {
            set("on_failure", json!(on_failure));
        }
        if let Some(deadline) = binding.deadline_ms {
            set("deadline_ms", json!(deadline));
        }
    }
    for hook in &binding.bind {
        let path = format!("/orgs/{org}/bindings/{hook}");
        let bytes = Bytes::from(body.to_string());
        let answer = admin.call("PUT", &path, "application/json", bytes).await?;
        if answer.status / 100 != 2 {
            bail!("{plugin} was not bound to {hook}: {}", answer.why());
        }
        say(&format!("{plugin} is {} for {hook} of {org}", binding.mode))?;
    }
    Ok(())
}

/// The checks of a refused upload, a line each.
fn checks(list: Option<&Value>) -> String {
    let line = |check: &Value| {
        let text = |name: &str| check.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let passed = check.get("passed") == Some(&Value::Bool(true));
        let mark = if passed { "ok    " } else { "FAILED" };
        format!("  {mark}  {:<10} {}", text("name"), text("detail"))
    };
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().map(line).collect::<Vec<_>>().join("\n")
}
