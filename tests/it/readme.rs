//! What the pages tell a newcomer to type works: every block that begins with `# runs in the tests`
//! is run as it stands, in order, against `turnpike demo`, with the variables of its `demo.env`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use turnpike_tests::{gateway_binary, repository};

/// The first line of a block that is run.
const MARK: &str = "# runs in the tests";
/// The pages, and how many such blocks each has at least: a mark that is misspelt runs nothing.
const PAGES: [(&str, usize); 2] = [("README.md", 5), ("docs/policies/README.md", 2)];
/// Until the demo must be ready: a debug build compiles its policies first.
const READY_MAX: Duration = Duration::from_secs(120);
/// Until a block must be over.
const BLOCK_MAX: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running demo; killed by its process id when the test is over.
struct Demo {
    child: Child,
    /// What `demo.env` says.
    variables: BTreeMap<String, String>,
}

impl Demo {
    /// Starts it in `folder`, on ports that the system chooses, and waits until it is ready.
    async fn start(folder: &Path) -> Result<Self> {
        let log = folder.join("demo.log");
        let output = File::create(&log).context("no log can be written")?;
        let child = Command::new(gateway_binary()?)
            .args(["demo", "--port", "0", "--admin-port", "0", "--data"])
            .arg(folder.join("demo-data"))
            .arg("--env-file")
            .arg(folder.join("demo.env"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("the log can't be shared")?)
            .stderr(output)
            .spawn()
            .context("the demo can't be started")?;
        let mut demo = Self { child, variables: BTreeMap::new() };
        let ready = tokio::time::timeout(READY_MAX, demo.ready(folder)).await;
        let ready = ready.unwrap_or_else(|_| Err(anyhow!("it is not ready after {READY_MAX:?}")));
        ready.with_context(|| {
            let printed = std::fs::read_to_string(&log).unwrap_or_default();
            format!("the demo did not start; its output:\n{printed}")
        })?;
        Ok(demo)
    }

    async fn ready(&mut self, folder: &Path) -> Result<()> {
        let http = reqwest::Client::new();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if let Ok(text) = std::fs::read_to_string(folder.join("demo.env"))
                && text.ends_with('\n')
            {
                self.variables = variables(&text);
                let url = self.variables.get("TURNPIKE_URL").context("no TURNPIKE_URL")?;
                if let Ok(answer) = http.get(format!("{url}/health/ready")).send().await
                    && answer.status().is_success()
                {
                    return Ok(());
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// `NAME=value` lines.
fn variables(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The `sh` blocks of a page that are marked.
fn blocks(page: &str) -> Vec<&str> {
    let opened = page.split("\n```sh\n").skip(1);
    let closed = opened.filter_map(|rest| Some(rest.split_once("\n```")?.0));
    closed.filter(|block| block.lines().next() == Some(MARK)).collect()
}

/// Runs a block as somebody would who has done `set -a; . ./demo.env; set +a`, but stops at the
/// first command that fails.
async fn run(block: &str, folder: &Path, variables: &BTreeMap<String, String>) -> Result<Output> {
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", block]).current_dir(folder).envs(variables);
    bash.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(BLOCK_MAX, bash.output()).await;
    let output = output.with_context(|| format!("not over after {BLOCK_MAX:?}:\n{block}"))?;
    output.context("bash can't be run")
}

#[tokio::test]
async fn every_marked_block_of_the_pages_runs_against_the_demo() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Blocks name built policies from the repository's root.
    std::os::unix::fs::symlink(repository().join("plugins"), folder.path().join("plugins"))?;
    let demo = Demo::start(folder.path()).await?;
    for (page, least) in PAGES {
        let text = std::fs::read_to_string(repository().join(page)).context(page)?;
        let blocks = blocks(&text);
        assert!(blocks.len() >= least, "{page} has only {} blocks that run", blocks.len());
        for block in blocks {
            let output = run(block, folder.path(), &demo.variables).await?;
            let printed = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            let status = output.status;
            assert!(status.success(), "{page}: {status}\n{block}\n--\n{printed}\n--\n{errors}");
        }
    }
    Ok(())
}

#[test]
fn only_marked_blocks_are_found() {
    let page = "a\n```sh\n# runs in the tests\none\n  two\n```\n```\n# runs in the tests\n```\n\
                ```sh\nnot this\n```\n```sh\n# runs in the tests\nthree\n```\nend";
    let found = blocks(page);
    assert_eq!(found, ["# runs in the tests\none\n  two", "# runs in the tests\nthree"]);
}
