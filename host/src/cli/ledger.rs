//! `turnpike ledger`: proof and export of the money journal, offline. Reads only, so it can be run
//! on a copy or beside a stopped gateway.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::say;

#[derive(Debug, clap::Subcommand)]
pub(super) enum LedgerCommand {
    /// Prove that every balance and budget is the sum of its entries
    Check(DataArgs),
    /// Print every entry as a JSON line
    Export(DataArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct DataArgs {
    /// The gateway's data folder
    #[arg(long, default_value = "turnpike-data")]
    data: PathBuf,
}

pub(super) fn run(command: LedgerCommand) -> anyhow::Result<()> {
    match command {
        LedgerCommand::Check(args) => check(&journal(&args.data)?),
        LedgerCommand::Export(args) => export(&journal(&args.data)?),
    }
}

fn journal(data: &Path) -> anyhow::Result<PathBuf> {
    let dir = data.join(crate::gateway::JOURNAL_DIR);
    if !dir.is_dir() {
        bail!(
            "there is no journal at {}; give the gateway's data folder with --data",
            dir.display()
        );
    }
    Ok(dir)
}

fn check(dir: &Path) -> anyhow::Result<()> {
    let report = turnpike_ledger::check(dir, None)?;
    say(&report.to_string())?;
    if !report.is_sound() {
        bail!("the journal does not add up; the report above says where");
    }
    Ok(())
}

fn export(dir: &Path) -> anyhow::Result<()> {
    let mut failed = Ok(());
    turnpike_ledger::export(dir, |entry| {
        if failed.is_ok() {
            failed = serde_json::to_string(&entry)
                .map_err(anyhow::Error::from)
                .and_then(|line| say(&line));
        }
    })?;
    failed
}
