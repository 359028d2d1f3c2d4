//! The release binary with everything on: four default policies, redaction, money, usage events.
//! Set up as an operator would, through the configuration file and the admin API.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::clock::Stopwatch;
use crate::process::Processes;
use crate::wire::Connection;

/// Time the gateway has to listen: compiling four policies on a busy machine takes a while.
const START_MAX: Duration = Duration::from_secs(60);

/// The operator's token of this run. It guards nothing but a loopback port of the bench.
const ADMIN_TOKEN: &str = "turnpike-bench-operator-token-0123456789";

/// Credit of the bench's organization in dollars: more than any run can spend.
const CREDIT_USD: &str = "1000000000";

/// A running gateway, ready to be called.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) processes: Processes,
    pub(crate) data: SocketAddr,
    /// A Turnpike key with credit.
    pub(crate) key: String,
}

// === impl Gateway ===

impl Gateway {
    /// `declared`: offers of a provider of its own, beside those of the catalogue.
    pub(crate) fn start(
        binary: &Path,
        dir: &Path,
        upstream: SocketAddr,
        declared: usize,
    ) -> Result<Self> {
        let data_dir = dir.join("data");
        fs::create_dir_all(&data_dir)?;
        let file = dir.join("turnpike.toml");
        fs::write(&file, configuration(&data_dir, upstream, declared))?;
        let log = dir.join("turnpike.log");
        let output = fs::File::create(&log)?;
        let child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(&file)
            .env("TURNPIKE_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("TURNPIKE_BENCH_PROVIDER_KEY", "sk-bench-upstream")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let mut processes = Processes::new(child);
        let (data, admin) = listening(&mut processes, &data_dir, &log)?;
        let key = prepare(admin).with_context(|| {
            format!("set up organization, credit and key; the log ends:\n{}", tail(&log))
        })?;
        Ok(Self { processes, data, key })
    }
}

/// Where the release binary is: as given, or where cargo puts it.
pub(crate) fn find(given: Option<PathBuf>) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into());
    let path = given.unwrap_or_else(|| PathBuf::from(target).join("release/turnpike"));
    ensure!(
        path.is_file(),
        "no gateway at {}; build it with `make release`, or set TURNPIKE_BIN",
        path.display()
    );
    Ok(path)
}

fn configuration(data_dir: &Path, upstream: SocketAddr, declared: usize) -> String {
    let mut more = String::new();
    for number in 0..declared {
        if number == 0 {
            more = format!("\n[providers.bench]\nbase_url = \"http://{upstream}/v1\"\n");
        }
        more.push_str(&format!(
            "[[providers.bench.offers]]\nid = \"bench/model-{number}\"\nquality_permille = {}\n\
             usd_per_million = {{ input = \"1.{number:03}\", output = \"4\" }}\n",
            500 + number % 400
        ));
    }
    format!(
        r#"[listen]
data = "127.0.0.1:0"
admin = "127.0.0.1:0"

[data]
dir = "{}"

[admin]
token = "env:TURNPIKE_ADMIN_TOKEN"

[providers.openai]
base_url = "http://{upstream}/v1"
api_key = "env:TURNPIKE_BENCH_PROVIDER_KEY"
dialect = "openai-chat"
"#,
        data_dir.display()
    ) + &more
}

/// Waits until the gateway has written where it listens: data and admin address.
fn listening(
    processes: &mut Processes,
    data_dir: &Path,
    log: &Path,
) -> Result<(SocketAddr, SocketAddr)> {
    let file = data_dir.join("listen.json");
    let watch = Stopwatch::start();
    loop {
        if let Some(status) = processes.ended()? {
            bail!("the gateway ended with {status}; its log ends:\n{}", tail(log));
        }
        let text = fs::read_to_string(&file).unwrap_or_default();
        // The file may be read while it is written; then it is read again.
        if let Ok(bound) = serde_json::from_str::<Value>(&text) {
            let address = |name: &str| -> Result<SocketAddr> {
                let text = bound.get(name).and_then(Value::as_str);
                Ok(text.with_context(|| format!("no {name} in listen.json"))?.parse()?)
            };
            return Ok((address("data")?, address("admin")?));
        }
        if watch.elapsed() > START_MAX {
            bail!("the gateway does not listen after {START_MAX:?}; its log:\n{}", tail(log));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Makes an organization with credit and a key; returns the key.
fn prepare(admin: SocketAddr) -> Result<String> {
    let mut connection = Connection::open(admin)?;
    post(&mut connection, admin, "/admin/v1/orgs", &json!({"id": "bench", "name": "Bench"}))?;
    let credit = json!({"amount_usd": CREDIT_USD, "channel": "manual", "reference": "bench-1"});
    post(&mut connection, admin, "/admin/v1/orgs/bench/credits/topups", &credit)?;
    let key = post(&mut connection, admin, "/admin/v1/orgs/bench/keys", &json!({"name": "bench"}))?;
    Ok(key.get("key").and_then(Value::as_str).context("the answer has no key")?.to_owned())
}

fn post(connection: &mut Connection, admin: SocketAddr, path: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, answer) = connection.exchange(request.as_bytes())?;
    let text = String::from_utf8_lossy(answer);
    ensure!((200..300).contains(&status), "POST {path} answered {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().rev().take(20).rev().copied().collect::<Vec<_>>().join("\n")
}
