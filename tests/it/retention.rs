//! Zero retention: no prompt and no answer text in the data folder, the output, the metrics or the
//! admin API, whichever way a request ends. Canary words go every way, and then are looked for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use turnpike_simulate::{AnswerScript, Failure, Rule};
use turnpike_tests::{Caller, ORG, PROVIDERS, Setup, Stage, bad_policy, chat};

/// In prompts.
const ASKED: &str = "canary-asked-7f3a9d";
/// In answers.
const ANSWERED: &str = "canary-answered-51bc02";

/// Every failure, streamed and not. Statuses repeat the prompt in their message.
fn failures() -> Vec<Failure> {
    let status = |status| Failure::Status { status, retry_after_s: None, echo: true };
    vec![
        status(400),
        status(401),
        status(413),
        status(429),
        status(500),
        Failure::CloseBeforeHeaders,
        Failure::HangBeforeHeaders,
        Failure::HeadersThenHang,
        Failure::DieBeforeContent,
        Failure::DieAfter { chunks: 2 },
        Failure::HangAfter { chunks: 2 },
        Failure::Malformed { chunks: 2 },
        Failure::ErrorEvent { chunks: 2 },
        Failure::MissingUsage,
        Failure::MissingDone,
    ]
}

fn canary() -> String {
    format!("{ASKED} someone-{ASKED}@example.org is waiting, please answer her.")
}

/// Sends the canary whole and streamed; whatever comes back is right here.
async fn send_both(caller: &Caller, model: &str) -> Result<()> {
    drop(caller.chat(&chat(model, &canary())).await);
    if let Ok(mut answer) = caller.stream(&chat(model, &canary())).await {
        drop(answer.read().await);
    }
    Ok(())
}

/// Every way that a request can end before it reaches a provider.
async fn refusals(stage: &Stage) -> Result<()> {
    send_both(&stage.caller, &format!("nobody/{ASKED}")).await?;
    let stranger = Caller::new(&stage.gateway()?.data_url, "tp-stranger");
    send_both(&stranger, "auto").await?;
    let poor = stage.add_org("poor", "0.000001").await?;
    send_both(&poor, "auto").await?;
    let path = "/v1/chat/completions";
    let broken = [
        format!("{{\"model\":\"auto\",\"messages\":[{{\"role\":\"user\",\"content\":\"{ASKED}"),
        format!("{{\"model\":\"auto\",\"messages\":\"{ASKED}\"}}"),
        format!("{{\"model\":\"auto\",\"{ASKED}\":1,\"messages\":[]}}"),
        format!("{{\"model\":\"auto\",\"messages\":[{{\"role\":\"{ASKED}\",\"content\":\"\"}}]}}"),
    ];
    for body in broken {
        let sent = stage.caller.send_bytes(Method::POST, path, "application/json", body.into());
        assert!(sent.await?.status >= 400);
    }
    Ok(())
}

/// A caller that leaves in the middle of its stream.
async fn leave_early(stage: &Stage) -> Result<()> {
    for (provider, models) in PROVIDERS {
        for model in models {
            stage.simulator.change(provider, model, |model| model.tokens_per_second = 20)?;
        }
    }
    let mut answer = stage.caller.stream(&chat("auto", &canary())).await?;
    answer.read_to_text().await?;
    drop(answer);
    for (provider, models) in PROVIDERS {
        for model in models {
            stage.simulator.change(provider, model, |model| model.tokens_per_second = 0)?;
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut out, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { out.push(path) }
        }
    }
    Ok(out)
}

fn assert_clean(place: &str, bytes: &[u8]) {
    for canary in [ASKED, ANSWERED] {
        let found = bytes.windows(canary.len()).position(|window| window == canary.as_bytes());
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(120)..bytes.len().min(at + 120)];
            panic!("{canary} is in {place}: {}", String::from_utf8_lossy(around));
        }
    }
}

#[tokio::test]
async fn no_text_is_kept_anywhere_whichever_way_a_request_ends() -> Result<()> {
    let environment = vec![("RUST_LOG", "debug,turnpike=trace")];
    let mut stage = Stage::open_with(Setup { environment, ..Setup::default() }).await?;
    let text = format!("{ANSWERED} for {{prompt}}, and that is all there is to say about it.");
    for (provider, models) in PROVIDERS {
        for model in models {
            let edit = |script: &mut turnpike_simulate::ModelScript| {
                script.answer = AnswerScript::Text { text: text.clone() };
            };
            stage.simulator.change(provider, model, edit)?;
        }
    }
    send_both(&stage.caller, "auto").await?;
    for failure in failures() {
        for (provider, _) in PROVIDERS {
            stage.simulator.fail(provider, &[Rule::always(failure.clone())])?;
        }
        // A named model has one offer: no fallback, so that each failure is the caller's answer.
        send_both(&stage.caller, "mistral/mistral-large-latest").await?;
    }
    for (provider, _) in PROVIDERS {
        stage.simulator.fail(provider, &[])?;
    }
    refusals(&stage).await?;
    leave_early(&stage).await?;
    for name in ["traps", "nonsense", "endless-loop"] {
        stage.upload(name, "0.1.0", bad_policy(name)?).await?.expect_status(201)?;
        stage.bind("classify", &json!({ "plugin": format!("{name}@0.1.0") })).await?;
        send_both(&stage.caller, "auto").await?;
    }
    assert!(stage.simulator.all_requests().iter().any(|seen| seen.text().contains(ASKED)));

    let mut pages = vec!["/metrics".to_owned()];
    for page in ["requests", "usage?group_by=model,key", "credits/entries", "plugins"] {
        pages.push(format!("/admin/v1/orgs/{ORG}/{page}"));
    }
    for page in pages {
        let answer = stage.admin.get(&page).await?.expect_status(200)?;
        assert_clean(&page, answer.text.as_bytes());
    }
    let listed = stage.operate(Method::GET, &format!("/orgs/{ORG}/requests"), None).await?;
    let items = listed.body["items"].as_array().context("items")?.clone();
    assert!(items.len() > 10, "requests are listed: {}", listed.text);
    for item in items {
        let id = item["id"].as_str().context("an id")?;
        assert_clean("an explanation", stage.explanation(ORG, id).await?.to_string().as_bytes());
    }
    stage.stop().await?;
    let log = stage.log()?;
    assert!(log.lines().count() > 5, "the log is on, or this test shows nothing:\n{log}");
    assert_clean("the output", log.as_bytes());
    let files = files(&stage.data_folder())?;
    assert!(files.len() > 3, "the data folder is written to: {files:?}");
    for file in files {
        assert_clean(&file.display().to_string(), &std::fs::read(&file)?);
    }
    Ok(())
}
