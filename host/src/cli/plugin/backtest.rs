//! `turnpike plugin backtest`: what a policy would have decided about the requests of the last
//! days, as the gateway replays them. Shows what it says; computes nothing.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::say;
use super::admin::{Admin, Target};
use super::runtime;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct BacktestArgs {
    /// An uploaded policy, or a built-in, as NAME@VERSION
    plugin: String,
    #[command(flatten)]
    target: Target,
    /// Days to look back; 7 if not given
    #[arg(long)]
    days: Option<u32>,
    /// Requests to replay at most, the newest; 1000 if not given
    #[arg(long)]
    limit: Option<u32>,
    /// route or bill, for a policy that decides both
    #[arg(long)]
    hook: Option<String>,
    /// A JSON file with its configuration
    #[arg(long)]
    config: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BacktestArgs) -> anyhow::Result<()> {
    let (name, version) =
        args.plugin.split_once('@').context("name it with its version, like my-router@1.2.0")?;
    let mut body = json!({});
    if let Some(fields) = body.as_object_mut() {
        fields.extend(args.days.map(|days| ("days".to_owned(), json!(days))));
        fields.extend(args.limit.map(|limit| ("limit".to_owned(), json!(limit))));
        fields.extend(args.hook.as_ref().map(|hook| ("hook".to_owned(), json!(hook))));
        if let Some(config) = super::config(args.config.as_ref(), None)? {
            fields.insert("config".to_owned(), serde_json::from_str(&config)?);
        }
    }
    let path = format!("/orgs/{}/plugins/{name}/{version}/backtest", args.target.org()?);
    let answer = runtime()?.block_on(async {
        let admin = Admin::new(&args.target)?;
        admin.call("POST", &path, "application/json", Bytes::from(body.to_string())).await
    })?;
    if answer.status != 200 {
        bail!("{} was not replayed: {}", args.plugin, answer.why());
    }
    match args.json {
        true => say(&answer.body.to_string()),
        false => say(&text(&answer.body)),
    }
}

/// The report for a person.
fn text(report: &Value) -> String {
    let word = |name: &str| match report.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let mut lines = vec![
        format!(
            "{} for {}: {} requests since {}, {} replayed, {} left out",
            word("plugin"),
            word("hook"),
            word("requests"),
            word("oldest"),
            word("replayed"),
            word("left_out")
        ),
        format!("decided otherwise  {}, {} without an offer", word("changed"), word("refused")),
        format!(
            "cost               {} USD, now {} USD ({})",
            word("cost_tried_usd"),
            word("cost_current_usd"),
            word("cost_difference_usd")
        ),
    ];
    let of_first = |name: &str| report.pointer(&format!("/first_token/{name}"));
    if let Some(difference) = of_first("difference_ms").and_then(Value::as_f64) {
        lines.push(format!("first token        {difference:+.1} ms in the mean"));
    }
    if let Some(failures) = report.get("failures").and_then(Value::as_object)
        && !failures.is_empty()
    {
        let each = failures.iter().map(|(kind, count)| format!("{kind} {count}"));
        lines.push(format!("without a verdict  {}", each.collect::<Vec<_>>().join(", ")));
    }
    if let Some(why) = report.get("ended_early").and_then(Value::as_str) {
        lines.push(format!("ended early: {why}"));
    }
    let examples = report.get("examples").and_then(Value::as_array);
    for example in examples.into_iter().flatten() {
        let of = |name: &str| example.get(name).and_then(Value::as_str).unwrap_or("-");
        lines.push(format!(
            "  {}  {} ({} USD) -> {} ({} USD)",
            of("request"),
            of("current"),
            of("cost_current_usd"),
            of("tried"),
            of("cost_tried_usd")
        ));
    }
    lines.join("\n")
}
