//! `turnpike plugin inspect`: what a component is, in words or JSON, and whether a gateway would
//! take it. Runs it only as an upload would: to start and to describe itself.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Value, json};
use turnpike_componentize::{Interfaces, interfaces};

use super::super::say;
use super::{bytes_text, checks_text, engine, read};
use crate::policy::{Check, Policy, signature};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct InspectArgs {
    /// The component
    file: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let bytes = read(&args.file)?;
    // What is no component has no interfaces; the checks say so.
    let found = interfaces(&bytes).unwrap_or_default();
    let digest = signature::digest_hex(&bytes);
    let outcome = engine(None)?.admit(&bytes);
    let checks = match &outcome {
        Ok(policy) => policy.checks.as_slice(),
        Err(refused) => refused.checks.as_slice(),
    };
    let policy = outcome.as_deref().ok();
    let text = match args.json {
        true => {
            serde_json::to_string_pretty(&as_json(policy, &found, &digest, bytes.len(), checks))?
        }
        false => as_text(policy, &found, &digest, bytes.len(), checks),
    };
    say(&text)?;
    if let Err(refused) = &outcome {
        bail!("{}: {refused}", args.file.display());
    }
    Ok(())
}

fn as_json(
    policy: Option<&Policy>,
    found: &Interfaces,
    digest: &str,
    size: usize,
    checks: &[Check],
) -> Value {
    let checks: Vec<Value> = checks
        .iter()
        .map(|it| json!({"name": it.name, "passed": it.passed, "detail": it.detail}))
        .collect();
    let mut out = json!({
        "admitted": policy.is_some(), "digest": digest, "size_bytes": size,
        "wit": found.wit_versions(), "imports": found.imports, "exports": found.exports,
        "checks": checks,
    });
    if let (Some(policy), Some(fields)) = (policy, out.as_object_mut()) {
        fields.insert("name".to_owned(), json!(*policy.name));
        fields.insert("version".to_owned(), json!(*policy.version));
        fields.insert("summary".to_owned(), json!(policy.summary));
        fields.insert("decisions".to_owned(), json!(policy.hooks.labels()));
        fields.insert("gives_reasons".to_owned(), json!(policy.hooks.reasons));
        // Admission has seen that it is JSON, if there is one.
        let schema = serde_json::from_str(&policy.config_schema).unwrap_or(Value::Null);
        fields.insert("config_schema".to_owned(), schema);
        fields.insert("fresh_start_us".to_owned(), json!(policy.fresh_micros));
        fields.insert("memory_bytes".to_owned(), json!(policy.memory_bytes));
    }
    out
}

fn as_text(
    policy: Option<&Policy>,
    found: &Interfaces,
    digest: &str,
    size: usize,
    checks: &[Check],
) -> String {
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join("\n             "),
    };
    let mut out = String::new();
    if let Some(policy) = policy {
        out.push_str(&format!(
            "{} {} - {}\n  decides    {}\n",
            policy.name,
            policy.version,
            policy.summary,
            policy.hooks.labels().join(", ")
        ));
    }
    out.push_str(&format!(
        "  sha256     {digest}\n  size       {}\n  WIT        {}\n  imports    {}\n  \
         exports    {}\n",
        bytes_text(size),
        list(&found.wit_versions()),
        list(&found.imports),
        list(&found.exports),
    ));
    if let Some(policy) = policy {
        let schema = match policy.config_schema.as_str() {
            "" => "takes no configuration",
            schema => schema,
        };
        out.push_str(&format!(
            "  fresh      {} µs to start\n  memory     {} once started\n  schema     {schema}\n",
            policy.fresh_micros,
            bytes_text(policy.memory_bytes)
        ));
    }
    out + "checks\n" + &checks_text(checks)
}
