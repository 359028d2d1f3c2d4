//! What `turnpike plugin watch` and `push` make of a project: nothing piles up with each save, and
//! a policy that needs longer than usual gets it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::Value;
use turnpike_tests::{ADMIN_TOKEN, ORG, Stage, answering_policy};

use crate::starters::plugin;

/// A project as its author has it after a build: the component is newer than every source, so that
/// no toolchain is needed.
fn project(folder: &Path) -> Result<()> {
    let manifest = "name = \"saved\"\nlang = \"python\"\ndecisions = [\"classify\"]\n\
                    [test]\ndeadline_ms = 50\n";
    std::fs::write(folder.join("policy.toml"), manifest)?;
    Ok(std::fs::create_dir_all(folder.join("dist"))?)
}

/// A save: other bytes, built.
fn save(folder: &Path, task: &str) -> Result<()> {
    let built = folder.join("dist/saved.wasm");
    std::fs::write(&built, answering_policy("saved", task)?)?;
    let file = std::fs::File::options().write(true).open(&built)?;
    let later = file.metadata()?.modified()? + Duration::from_secs(60);
    Ok(file.set_modified(later)?)
}

/// `plugin` with a project and the usual arguments; what it printed.
async fn run(stage: &Stage, command: &str, folder: &Path, more: &[&str]) -> Result<String> {
    let url = stage.gateway()?.admin_url.clone();
    let at = folder.to_str().context("a path in UTF-8")?;
    let mut arguments = vec![command, at, "--url", &url, "--org", ORG];
    arguments.extend(more);
    plugin(&arguments, &[("TURNPIKE_ADMIN_TOKEN", ADMIN_TOKEN)]).await
}

/// Versions that are kept of the policy.
async fn versions(stage: &Stage) -> Result<Vec<String>> {
    let list = stage.operate(Method::GET, &format!("/orgs/{ORG}/plugins"), None).await?;
    let items = list.expect_status(200)?.body["items"].as_array().context("items")?.clone();
    Ok(items.iter().filter_map(|it| it["version"].as_str().map(str::to_owned)).collect())
}

async fn classify(stage: &Stage) -> Result<Value> {
    super::classify_binding(stage).await
}

#[tokio::test]
async fn each_save_removes_what_the_one_before_uploaded_and_nothing_else() -> Result<()> {
    let (stage, folder) = (Stage::open().await?, tempfile::tempdir()?);
    let folder = folder.path();
    stage.upload("saved", "1.0.0", answering_policy("saved", "chat")?).await?.expect_status(201)?;
    project(folder)?;
    let watch = ["--once"];
    for (task, expected) in [("code", 2), ("vision", 2), ("reasoning", 2)] {
        save(folder, task)?;
        let said = run(&stage, "watch", folder, &watch).await?;
        assert!(said.contains("is shadow for classify"), "{said}");
        let kept = versions(&stage).await?;
        assert_eq!(kept.len(), expected, "{task}: {kept:?}\n{said}");
        assert!(kept.contains(&"1.0.0".to_owned()), "{kept:?}");
        assert_eq!(
            said.contains("removed the upload of an earlier save"),
            task != "code",
            "{said}"
        );
        let shadow = classify(&stage).await?["shadow"]["plugin"].clone();
        let bound = shadow.as_str().context("a shadow")?.to_owned();
        assert!(kept.iter().any(|version| bound.ends_with(version.as_str())), "{bound}: {kept:?}");
    }

    // What is bound elsewhere stays, and of an active one that which stands in for it.
    let team = ["--once", "--bind", "classify", "--mode", "active"];
    let shadowed = versions(&stage).await?;
    for task in ["extraction", "translation", "chat"] {
        save(folder, task)?;
        run(&stage, "watch", folder, &team).await?;
    }
    let kept = versions(&stage).await?;
    assert!(shadowed.iter().all(|version| kept.contains(version)), "{shadowed:?}, {kept:?}");
    assert_eq!(kept.len(), 4, "1.0.0, the shadow, the active one and the one before it: {kept:?}");
    Ok(())
}

/// Undo, then change: what decides while the active one is suspended is the one before it, which
/// was uploaded before others.
#[tokio::test]
async fn what_stands_in_for_the_active_one_stays_also_where_it_was_brought_back() -> Result<()> {
    let (stage, folder) = (Stage::open().await?, tempfile::tempdir()?);
    let folder = folder.path();
    project(folder)?;
    let mut bound = Vec::new();
    for task in ["code", "vision", "code", "reasoning"] {
        save(folder, task)?;
        run(&stage, "watch", folder, &["--once", "--bind", "classify", "--mode", "active"]).await?;
        bound.push(classify(&stage).await?["plugin"].as_str().context("bound")?.to_owned());
    }
    assert_eq!(bound[0], bound[2], "the same bytes are the same version");
    let kept: Vec<String> =
        versions(&stage).await?.iter().map(|version| format!("saved@{version}")).collect();
    assert!(kept.contains(&bound[2]) && kept.contains(&bound[3]), "{kept:?}, {bound:?}");
    assert_eq!(kept.len(), 2, "{kept:?}");
    Ok(())
}

#[tokio::test]
async fn a_project_is_bound_with_its_own_deadline_where_that_is_longer() -> Result<()> {
    let (stage, folder) = (Stage::open().await?, tempfile::tempdir()?);
    let folder = folder.path();
    project(folder)?;
    save(folder, "code")?;
    let said = run(&stage, "push", folder, &["--bind", "classify"]).await?;
    assert!(said.contains("50 ms for a call"), "{said}");
    assert_eq!(classify(&stage).await?["deadline_ms"], 50);
    run(&stage, "push", folder, &["--bind", "classify", "--deadline-ms", "70"]).await?;
    assert_eq!(classify(&stage).await?["deadline_ms"], 70);
    let shorter = std::fs::read_to_string(folder.join("policy.toml"))?.replace("= 50", "= 5");
    std::fs::write(folder.join("policy.toml"), shorter)?;
    save(folder, "code")?;
    run(&stage, "push", folder, &["--bind", "classify"]).await?;
    assert_eq!(classify(&stage).await?["deadline_ms"], 20, "the usual: 5 is for its tests");
    Ok(())
}
