//! The SDK's languages as an author meets them: `turnpike plugin new`, build, test, push, and a
//! request that the starter decides. The toolchains come from the package registries, at pinned
//! versions, into the user's cache; one that can't be had fails its test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use turnpike_tests::{
    ADMIN_TOKEN, Answered, ORG, Stage, built_policy, chat, gateway_binary, pico, repository,
    target_folder,
};

/// For one step on a machine that does other things too: a first build compiles a C library, or
/// fetches a Python.
const STEP_MAX: Duration = Duration::from_secs(900);

/// A starter that has been built and tested, and the gateway to which it was pushed.
struct Starter {
    stage: Stage,
    name: String,
    folder: PathBuf,
    _outer: TempDir,
}

/// Runs `turnpike plugin …`; what it printed.
async fn plugin(arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new(gateway_binary()?);
    command.arg("plugin").args(arguments).envs(environment.iter().copied());
    // Rust starters share what they compile, beside the tests' own.
    command.env("CARGO_TARGET_DIR", target_folder()?.join("starters"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(STEP_MAX, command.output()).await;
    let output = ended.with_context(|| format!("{arguments:?} does not end"))??;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() {
        bail!("turnpike plugin {arguments:?}: {}\n{said}", output.status);
    }
    Ok(said)
}

impl Starter {
    /// New, built, tested, uploaded and bound.
    async fn of(lang: &str, hook: &str, more: &[&str]) -> Result<Self> {
        let outer = tempfile::tempdir().context("no temporary folder")?;
        let name = format!("starter-{lang}");
        let folder = outer.path().join(&name);
        let at = text(&folder)?;
        let into = text(outer.path())?;
        plugin(&["new", "--lang", lang, "--into", into, &name], &[]).await?;
        plugin(&["build", at, "--install"], &[]).await?;
        let tested = plugin(&["test", at], &[]).await?;
        assert!(tested.contains("3 of 3 cases passed"), "{tested}");
        let stage = Stage::open().await?;
        let url = stage.gateway()?.admin_url.clone();
        let mut push = vec!["push", at, "--url", &url, "--org", ORG, "--bind", hook];
        push.extend(more);
        let pushed = plugin(&push, &[("TURNPIKE_ADMIN_TOKEN", ADMIN_TOKEN)]).await?;
        assert!(pushed.contains("uploaded") && !pushed.contains(ADMIN_TOKEN), "{pushed}");
        Ok(Self { stage, name, folder, _outer: outer })
    }

    /// A request's answer and explanation; the starter must be among those who decided it.
    async fn decides(&self, said: &str, hook: &str) -> Result<(Answered, Value)> {
        let answer = self.stage.caller.chat(&chat("auto", said)).await?.expect_status(200)?;
        let explanation = self.stage.explanation(ORG, answer.request_id()).await?;
        let policies = explanation["policies"].as_array().context("policies")?;
        let ours = policies.iter().find(|it| it["hook"] == hook && it["policy"] == *self.name);
        let ours = ours.with_context(|| format!("{} did not decide {hook}", self.name))?;
        assert_eq!(ours["failure"], Value::Null, "{ours}");
        Ok((answer, explanation))
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// The examples of the repository hold what their cases say.
async fn example_passes(name: &str, cases: usize) -> Result<()> {
    let folder = repository().join("plugins").join(name);
    plugin(&["build", text(&folder)?, "--install"], &[]).await?;
    let tested = plugin(&["test", text(&folder)?], &[]).await?;
    assert!(tested.contains(&format!("{cases} of {cases} cases passed")), "{tested}");
    Ok(())
}

#[tokio::test]
async fn the_examples_in_rust_c_and_javascript_pass_their_cases() -> Result<()> {
    example_passes("example-classify-contracts", 4).await?;
    example_passes("example-bill-volume", 6).await?;
    example_passes("example-route-feedback", 4).await
}

#[tokio::test]
async fn the_example_in_python_passes_its_cases() -> Result<()> {
    example_passes("example-redact-staff", 7).await
}

#[tokio::test]
async fn the_rust_starter_names_a_task() -> Result<()> {
    let starter = Starter::of("rust", "classify", &[]).await?;
    let (_, explanation) = starter.decides("Translate this, please.", "classify").await?;
    assert_eq!(explanation["task"]["task"], "translation");
    assert_eq!(explanation["task"]["decided_by"], "starter-rust@0.1.0");
    Ok(())
}

#[tokio::test]
async fn the_javascript_starter_prefers_a_vendor() -> Result<()> {
    let starter = Starter::of("js", "route", &[]).await?;
    let (answer, explanation) = starter.decides("Hello!", "route").await?;
    assert!(answer.header("x-turnpike-model").starts_with("mistral/"), "{explanation}");
    // A case that does not hold is told with what was expected and what came.
    let wrong =
        r#"{"name":"wrong","route":{"candidates":[{"offer":"a/b@c"}]},"expect":{"first":"d"}}"#;
    std::fs::write(starter.folder.join("cases.jsonl"), wrong)?;
    let failed = plugin(&["test", text(&starter.folder)?], &[]).await.unwrap_err().to_string();
    assert!(failed.contains(r#"first: expected "d", got "a/b@c""#), "{failed}");
    Ok(())
}

#[tokio::test]
async fn the_python_starter_replaces_staff_numbers() -> Result<()> {
    let starter = Starter::of("python", "redact", &["--deadline-ms", "500"]).await?;
    starter.decides("Please ask E-123456 about it.", "redact").await?;
    let seen = starter.stage.simulator.all_requests();
    let sent: Vec<String> = seen.iter().map(|request| request.text()).collect();
    assert!(!sent.is_empty() && sent.iter().all(|text| !text.contains("E-123456")), "{sent:?}");
    assert!(sent.iter().any(|text| text.contains("<STAFF_NUMBER_1>")), "{sent:?}");
    Ok(())
}

#[tokio::test]
async fn the_c_starter_gives_a_discount() -> Result<()> {
    let starter = Starter::of("c", "bill", &[]).await?;
    let (_, explanation) = starter.decides("Hello!", "bill").await?;
    let lines = explanation["line_items"].as_array().context("lines")?;
    let amount = |line: &Value, name: &str| {
        pico(line[name].as_str().with_context(|| format!("no {name} in {line}"))?)
    };
    let mut total = 0;
    for line in lines {
        total += amount(line, "amount_usd")?;
    }
    let model = explanation["model"].as_str().context("a model")?;
    let provider = explanation["provider"].as_str().context("a provider")?;
    let wire = model.rsplit('/').next().context("a name")?;
    let official = turnpike_tests::list_price(provider, wire)?;
    let input = lines.iter().find(|line| line["item"] == "input").context("input is billed")?;
    assert_eq!(amount(input, "unit_price_usd")?, official.input * 9 / 10);
    assert_eq!(pico(explanation["cost_usd"].as_str().context("a cost")?)?, total);
    saved_again(&starter).await
}

/// What `watch` does on a save: build, test, push. A change that the cases refuse is not pushed.
async fn saved_again(starter: &Starter) -> Result<()> {
    let url = starter.stage.gateway()?.admin_url.clone();
    let at = text(&starter.folder)?;
    let watch = ["watch", at, "--once", "--url", &url, "--org", ORG, "--bind", "bill"];
    let environment = [("TURNPIKE_ADMIN_TOKEN", ADMIN_TOKEN)];
    let path = starter.folder.join("policy.c");
    let source = std::fs::read_to_string(&path)?;
    let price = "price * (100 - discount_percent) / 100";
    assert!(source.contains(price), "the starter's price is where the test changes it");
    std::fs::write(&path, source.replace(price, "price"))?;
    let refused = plugin(&watch, &environment).await.unwrap_err().to_string();
    assert!(refused.contains("FAILED ten percent less"), "{refused}");
    std::fs::write(&path, source.replace(".summary = \"", ".summary = \"again: "))?;
    let pushed = plugin(&watch, &environment).await?;
    assert!(pushed.contains("@0.0.0-dev.") && pushed.contains("is active for bill"), "{pushed}");
    starter.decides("Hello again!", "bill").await.map(drop)
}

#[tokio::test]
async fn a_component_is_inspected_timed_and_signed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let (good, bad) = (at("keyword.wasm"), at("junk.wasm"));
    std::fs::write(&good, built_policy("example-classify-keyword")?)?;
    std::fs::write(&bad, b"no component")?;
    let inspected = plugin(&["inspect", text(&good)?, "--json"], &[]).await?;
    let told: Value = serde_json::from_str(&inspected)?;
    assert_eq!(told["decisions"], serde_json::json!(["classify"]));
    assert_eq!(told["wit"], serde_json::json!(["turnpike:policy@0.1.0"]));
    assert_eq!(told["config_schema"]["required"], serde_json::json!(["keywords"]));
    let refused = plugin(&["inspect", text(&bad)?], &[]).await.unwrap_err().to_string();
    assert!(refused.contains("FAILED  component"), "{refused}");

    let timed = plugin(&["bench", text(&good)?, "--rounds", "20", "--json"], &[]).await?;
    let timed: Value = serde_json::from_str(&timed)?;
    let calls = timed[0]["calls"].as_array().context("calls")?;
    assert!(calls.iter().all(|it| it["fresh_p50_us"].as_f64() > Some(0.0)), "{calls:?}");
    assert_eq!(calls.len(), 2, "classify on two sizes");

    let (key, public) = (at("a.key"), at("a.key.pub"));
    plugin(&["keygen", "--out", text(&key)?], &[]).await?;
    assert!(plugin(&["keygen", "--out", text(&key)?], &[]).await.is_err(), "never over a key");
    plugin(&["sign", text(&good)?, "--key", text(&key)?], &[]).await?;
    let verify = ["sign", text(&good)?, "--verify", text(&public)?];
    plugin(&verify, &[]).await?;
    let mut changed = std::fs::read(&good)?;
    changed.push(0);
    std::fs::write(&good, changed)?;
    let refused = plugin(&verify, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("sign the component again"), "{refused}");
    Ok(())
}
