//! `turnpike plugin push`: uploads a component and binds it, by the admin API. Tells what the
//! gateway checked. Decides nothing about a request.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::say;
use super::admin::{Admin, Answer, Target};
use super::project::Project;
use super::{read, read_text, runtime};
use crate::clock;
use crate::hook::Hook;
use crate::policy::signature::digest_hex;

/// How a component in a registry is named.
const ELSEWHERE: &str = "oci://";
/// Letters of the digest that stand between the parts of a form.
const BOUNDARY: usize = 48;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PushArgs {
    /// A component, a project's folder (built first when something is newer), or
    /// `oci://registry/repository@sha256:…`, which the gateway fetches itself
    what: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Register it under this version instead of its own
    #[arg(long)]
    version: Option<String>,
    /// The cases that the gateway is to ask before it takes the component, JSON lines; those of the
    /// project if not given
    #[arg(long)]
    cases: Option<PathBuf>,
    /// Send no cases
    #[arg(long, conflicts_with = "cases")]
    no_cases: bool,
    #[command(flatten)]
    binding: Binding,
}

/// What a pushed policy is bound to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Binding {
    /// Bind it: classify, route, redact or bill; several with commas
    #[arg(long, value_delimiter = ',', value_parser = decision)]
    pub(super) bind: Vec<String>,
    /// fresh or warm: how long an instance lives; as the gateway sees fit if not given
    #[arg(long)]
    instances: Option<String>,
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
    /// Processor time of one call; the project's (`[test]` in policy.toml) where it needs more than
    /// the usual, if not given
    #[arg(long)]
    deadline_ms: Option<u64>,
}

/// What the gateway asks of a component before it takes it.
#[derive(Debug, Default)]
pub(super) struct Examined {
    cases: Option<PathBuf>,
    config: Option<PathBuf>,
    deadline_ms: Option<u64>,
}

impl Examined {
    /// By the cases of a project, where it has any.
    pub(super) fn of(project: &Project) -> Self {
        let there = |path: PathBuf| path.is_file().then_some(path);
        Self {
            cases: there(project.cases()),
            config: there(project.config()),
            deadline_ms: project.manifest.test.deadline_ms,
        }
    }
}

/// What was pushed.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) name: String,
    pub(super) version: String,
    /// When these bytes were uploaded first, in milliseconds since the Unix epoch.
    pub(super) at_ms: Option<u64>,
}

fn decision(text: &str) -> Result<String, String> {
    match Hook::from_label(text) {
        Some(hook) => Ok(hook.label().to_owned()),
        None => Err("expected classify, route, redact or bill".to_owned()),
    }
}

pub(super) fn run(args: &PushArgs) -> anyhow::Result<()> {
    args.target.check()?;
    if let Some(reference) = args.what.to_str().filter(|what| what.starts_with(ELSEWHERE)) {
        return elsewhere(args, reference);
    }
    let project = Project::at(&args.what)?;
    let file = match &project {
        Some(project) => super::build::fresh(project, false)?,
        None => args.what.clone(),
    };
    let mut examined = project.as_ref().map(Examined::of).unwrap_or_default();
    if args.cases.is_some() || args.no_cases {
        examined.cases.clone_from(&args.cases);
    }
    if args.binding.config.is_some() {
        examined.config.clone_from(&args.binding.config);
    }
    runtime()?.block_on(async {
        let admin = Admin::new(&args.target)?;
        let org = args.target.org()?;
        let pushed = upload(&admin, org, &file, args.version.as_deref(), &examined).await?;
        bind(&admin, org, &pushed, &args.binding, project.as_ref()).await
    })
}

/// Has the gateway fetch a component from a registry, and binds it.
fn elsewhere(args: &PushArgs, reference: &str) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let admin = Admin::new(&args.target)?;
        let org = args.target.org()?;
        let version = args.version.as_ref().map(|it| format!("?version={it}")).unwrap_or_default();
        let path = format!("/orgs/{org}/plugins{version}");
        let body = Bytes::from(json!({ "oci": reference }).to_string());
        let answer = admin.call("POST", &path, "application/json", body).await?;
        let pushed = taken(&answer, reference)?;
        bind(&admin, org, &pushed, &args.binding, None).await
    })
}

/// Uploads the component; the same bytes again are fine.
pub(super) async fn upload(
    admin: &Admin,
    org: &str,
    file: &Path,
    version: Option<&str>,
    examined: &Examined,
) -> anyhow::Result<Pushed> {
    let bytes = read(file)?;
    let digest = digest_hex(&bytes);
    let mut query = vec![format!("digest={digest}")];
    query.extend(version.map(|it| format!("version={it}")));
    let signature = super::sign::with_ending(file, "sig");
    if signature.is_file() {
        query.push(format!("signature={}", read_text(&signature)?.trim()));
    }
    if let (Some(_), Some(deadline)) = (&examined.cases, examined.deadline_ms) {
        query.push(format!("case_deadline_ms={deadline}"));
    }
    let path = format!("/orgs/{org}/plugins?{}", query.join("&"));
    let (kind, body) = body(bytes, &digest, examined)?;
    let answer = admin.call("POST", &path, &kind, Bytes::from(body)).await?;
    taken(&answer, &file.display().to_string())
}

/// What the gateway says of a component.
fn taken(answer: &Answer, what: &str) -> anyhow::Result<Pushed> {
    let text = |name: &str| answer.body.get(name).and_then(Value::as_str).map(str::to_owned);
    if !matches!(answer.status, 200 | 201) {
        say(&checks(answer.body.pointer("/error/checks")))?;
        let hint = match answer.status {
            409 => "; other bytes have that version: raise it, or give one with --version",
            _ => "",
        };
        bail!("{what} was not taken: {}{hint}", answer.why());
    }
    let name = text("name").context("the gateway did not say what it registered")?;
    let version = text("version").context("the gateway did not say what it registered")?;
    let digest = text("digest").unwrap_or_default();
    let word = if answer.status == 201 { "uploaded" } else { "there already" };
    let signed = answer.body.pointer("/provenance/signature/key").and_then(Value::as_str);
    let signed = signed.map_or_else(String::new, |key| format!(", signed by {key}"));
    say(&format!("{name}@{version} {word}, sha256 {digest}{signed}"))?;
    let list = answer.body.pointer("/checks").and_then(Value::as_array);
    let asked = list.into_iter().flatten().find(|check| check.get("name") == Some(&"cases".into()));
    if let Some(detail) = asked.and_then(|check| check.get("detail")).and_then(Value::as_str) {
        say(&format!("its cases: {detail}"))?;
    }
    let at_ms = text("uploaded_at").and_then(|at| clock::rfc3339_ms(&at));
    Ok(Pushed { name, version, at_ms })
}

/// What is sent, and its content type: the component, or a form where cases go with it.
fn body(
    component: Vec<u8>,
    digest: &str,
    examined: &Examined,
) -> anyhow::Result<(String, Vec<u8>)> {
    let Some(cases) = &examined.cases else {
        return Ok(("application/wasm".to_owned(), component));
    };
    let mut parts = vec![("component", component), ("cases", read(cases)?)];
    if let Some(config) = &examined.config {
        parts.push(("config", read(config)?));
    }
    // No component has its own digest in it.
    let boundary = digest.get(..BOUNDARY).unwrap_or(digest);
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!("content-disposition: form-data; name=\"{name}\"");
        body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(&bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((format!("multipart/form-data; boundary={boundary}"), body))
}

/// Binds what was pushed to every decision that is asked for.
pub(super) async fn bind(
    admin: &Admin,
    org: &str,
    pushed: &Pushed,
    binding: &Binding,
    project: Option<&Project>,
) -> anyhow::Result<()> {
    let plugin = format!("{}@{}", pushed.name, pushed.version);
    let mut body = json!({ "plugin": plugin, "mode": binding.mode });
    if let Some(fields) = body.as_object_mut() {
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if let Some(config) = super::config(binding.config.as_ref(), project.map(Project::config))?
        {
            set("config", serde_json::from_str(&config)?);
        }
        if let Some(percent) = binding.percent {
            set("percent", json!(percent));
        }
        if let Some(instances) = &binding.instances {
            set("instances", json!(instances));
        }
        if let Some(on_failure) = &binding.on_failure {
            set("on_failure", json!(on_failure));
        }
    }
    for hook in &binding.bind {
        let path = format!("/orgs/{org}/bindings/{hook}");
        let own = || project?.deadline_ms(Hook::from_label(hook)?);
        let deadline = binding.deadline_ms.or_else(own);
        if let Some(fields) = body.as_object_mut() {
            match deadline {
                Some(deadline) => fields.insert("deadline_ms".to_owned(), json!(deadline)),
                None => fields.shift_remove("deadline_ms"),
            };
        }
        let bytes = Bytes::from(body.to_string());
        let answer = admin.call("PUT", &path, "application/json", bytes).await?;
        if answer.status / 100 != 2 {
            bail!("{plugin} was not bound to {hook}: {}", answer.why());
        }
        let within = deadline.map(|ms| format!(", {ms} ms for a call")).unwrap_or_default();
        say(&format!("{plugin} is {} for {hook} of {org}{within}", binding.mode))?;
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
