//! `turnpike ledger`: proof, export and repair of the money journal, offline. All but the repair
//! only read, so they can be run on a copy or beside a running gateway.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use turnpike_ledger::{Entry, Event};

use super::say;
use crate::store;

#[derive(Debug, clap::Subcommand)]
pub(super) enum LedgerCommand {
    /// Prove that every balance and budget is the sum of its entries
    Check(DataArgs),
    /// Print the entries, as JSON lines or as a table of their postings
    Export(ExportArgs),
    /// Save what can be saved of a damaged journal, while the gateway is stopped
    Repair(RepairArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct DataArgs {
    /// The gateway's data folder
    #[arg(long, default_value = "turnpike-data")]
    data: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The gateway's data folder
    #[arg(long, default_value = "turnpike-data")]
    data: PathBuf,
    /// One entry per line as JSON, or one posting per line as CSV
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Only entries of this organization
    #[arg(long)]
    org: Option<String>,
    /// Only entries of this kind
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(KINDS))]
    kind: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct RepairArgs {
    /// The gateway's data folder
    #[arg(long, default_value = "turnpike-data")]
    data: PathBuf,
    /// Put the repaired journal in the place of the damaged one, which is kept beside it; without
    /// this it is only told what would come of it
    #[arg(long)]
    write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Json,
    Csv,
}

/// The kinds of entries.
const KINDS: [&str; 9] =
    ["top-up", "adjust", "set-budget", "hold", "extend", "narrow", "capture", "release", "expire"];

/// Journals that may lie beside each other before someone must tidy up.
const ASIDE_MAX: u32 = 1_000;

/// The first line of the table. Entries without a posting (a budget's settings, a hold of nothing)
/// have a line with empty accounts.
const CSV_HEAD: &str = "seq,at,kind,transfer,organization,from,to,amount_usd,note,reference,reason";

pub(super) fn run(command: LedgerCommand) -> anyhow::Result<()> {
    match command {
        LedgerCommand::Check(args) => check(&journal(&args.data)?),
        LedgerCommand::Export(args) => export(&journal(&args.data)?, &args),
        LedgerCommand::Repair(args) => repair(&journal(&args.data)?, &args),
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

fn export(dir: &Path, args: &ExportArgs) -> anyhow::Result<()> {
    let (mut failed, mut known) = (Ok(()), args.org.is_none());
    if args.format == Format::Csv {
        say(CSV_HEAD)?;
    }
    turnpike_ledger::export(dir, |entry| {
        let of_it = args.org.as_ref().is_none_or(|org| entry.is_of(org));
        known |= of_it;
        let wanted = of_it && args.kind.as_ref().is_none_or(|kind| entry.label() == kind);
        if failed.is_ok() && wanted {
            failed = match args.format {
                Format::Json => serde_json::to_string(&entry).map_err(anyhow::Error::from),
                Format::Csv => Ok(csv(&entry)),
            }
            .and_then(|text| say(&text));
        }
    })?;
    failed?;
    // An export that is empty by a slip must not pass for one of an organization without money.
    match &args.org {
        Some(org) if !known && !store::tells_of_org(&args.data, org)? => bail!(
            "the journal has no entry of an organization {org:?}, nor is there one of that id; \
             `turnpike ledger export` without --org names each that has any"
        ),
        _ => Ok(()),
    }
}

/// The entry's postings, a line each.
fn csv(entry: &Entry) -> String {
    let at = i64::try_from(entry.at_ms).ok();
    let at = at.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let (note, reference, reason) = match &entry.event {
        Event::TopUp { reference, .. } => (None, Some(reference), None),
        Event::Adjust { reference, reason, .. } => (None, Some(reference), Some(reason)),
        Event::Capture { note, .. } => (
            serde_json::to_value(note).ok().and_then(|n| n.as_str().map(str::to_owned)),
            None,
            None,
        ),
        _ => (None, None, None),
    };
    let front = [
        entry.seq.to_string(),
        at.unwrap_or(jiff::Timestamp::MAX).to_string(),
        entry.label().to_owned(),
        entry.transfer().map(|id| id.to_string()).unwrap_or_default(),
        cell(entry.org().map_or("", |org| org)),
    ]
    .join(",");
    let back = [
        note.unwrap_or_default(),
        cell(reference.map_or("", |text| text)),
        cell(reason.map_or("", |text| text)),
    ]
    .join(",");
    let postings = entry.postings();
    if postings.is_empty() {
        return format!("{front},,,0.000000,{back}");
    }
    let line = |posting: &turnpike_ledger::Posting| {
        let (from, to) = (cell(&posting.from.to_string()), cell(&posting.to.to_string()));
        format!("{front},{from},{to},{},{back}", posting.amount)
    };
    postings.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A text as one cell: quoted where it has to be, and never a formula to a spreadsheet.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

fn repair(dir: &Path, args: &RepairArgs) -> anyhow::Result<()> {
    let new = free_name(&args.data, "journal.repaired")?;
    fs::create_dir(&new).with_context(|| format!("can't make {}", new.display()))?;
    let saved = save(dir, &new, args.write);
    if !matches!(saved, Ok(true)) {
        fs::remove_dir_all(&new).with_context(|| format!("can't remove {}", new.display()))?;
    }
    saved.map(drop)
}

/// Whether the repaired journal was put in the place of the damaged one.
fn save(dir: &Path, new: &Path, write: bool) -> anyhow::Result<bool> {
    let report = turnpike_ledger::repair(dir, new)?;
    say(&report.to_string())?;
    if report.damage.is_empty() {
        return Ok(false);
    }
    let proof = turnpike_ledger::check(new, None)?;
    if !proof.is_sound() {
        bail!("what was saved does not add up; nothing was changed\n{proof}");
    }
    if !write {
        say("Nothing was changed. Keep a copy of the data folder, then run it with --write")?;
        return Ok(false);
    }
    let parent = dir.parent().context("the journal's folder has no parent")?;
    let aside = free_name(parent, "journal.damaged")?;
    // One step, so that there is a journal at every moment.
    let here = rustix::fs::CWD;
    rustix::fs::renameat_with(here, new, here, dir, rustix::fs::RenameFlags::EXCHANGE)
        .context("can't put the repaired journal in place")?;
    fs::rename(new, &aside).with_context(|| format!("can't name {}", aside.display()))?;
    fs::File::open(parent)?.sync_all()?;
    say(&format!("The damaged files are in {}", aside.display()))?;
    say("At its next start the gateway finds that its view is ahead, and replays the journal")?;
    Ok(true)
}

fn free_name(parent: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let mut names = (1..=ASIDE_MAX).map(|number| parent.join(format!("{name}-{number}")));
    names.find(|path| !path.exists()).context("too many old journals are there; remove some")
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_quoted_where_it_has_to_be_and_is_no_formula() {
        for (text, shown) in [
            ("ticket 7", "ticket 7"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=1+1", "'=1+1"),
            ("-5\n6", "\"'-5\n6\""),
        ] {
            assert_eq!(cell(text), shown, "{text}");
        }
    }
}
