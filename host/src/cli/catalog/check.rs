//! `turnpike catalog check`: real usage bodies against what others make of them, with their price
//! lists and our readers and arithmetic. Never changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;

use crate::catalog::check::{self, Reading};
use crate::catalog::genai::PriceBook;

use super::super::say;

/// More than so many readings of a thousand that differ are a failure.
const DIFFERING_PERMILLE_MAX: usize = 5;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CheckArgs {
    /// Price lists: the prices.json of genai-prices
    #[arg(long)]
    prices: PathBuf,
    /// Usage bodies with what is expected of them, one a line: its usages.jsonl
    #[arg(long)]
    usages: PathBuf,
    /// When the calls were made: which lists were in force
    #[arg(long, default_value = "2026-07-15T12:00:00Z")]
    at: Timestamp,
    /// Differences shown at most
    #[arg(long, default_value_t = 100)]
    show: usize,
}

/// How the readings of one provider's API went.
#[derive(Default)]
struct Tally {
    readings: usize,
    priced: usize,
    differing: usize,
}

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let book = PriceBook::parse(&read(&args.prices)?)
        .with_context(|| format!("can't use {}", args.prices.display()))?;
    let readings = check::readings(&book, &read(&args.usages)?, args.at)
        .with_context(|| format!("can't use {}", args.usages.display()))?;
    anyhow::ensure!(!readings.is_empty(), "{} has no usage bodies", args.usages.display());
    table(&readings)?;
    let differing: Vec<&Reading> = readings.iter().filter(|r| !r.differences.is_empty()).collect();
    for reading in differing.iter().take(args.show) {
        say(&described(reading))?;
    }
    if differing.len() > args.show {
        say(&format!("… and {} more (--show)", differing.len().saturating_sub(args.show)))?;
    }
    summary(&readings, &differing)?;
    let share = differing.len().saturating_mul(1000);
    let most = readings.len().saturating_mul(DIFFERING_PERMILLE_MAX);
    anyhow::ensure!(share <= most, "more than 0.5 % of the readings differ");
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}

fn table(readings: &[Reading]) -> anyhow::Result<()> {
    let mut tallies: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
    for reading in readings {
        let tally = tallies.entry((&reading.provider, &reading.api)).or_default();
        tally.readings = tally.readings.saturating_add(1);
        tally.priced = tally.priced.saturating_add(usize::from(reading.priced));
        let differs = usize::from(!reading.differences.is_empty());
        tally.differing = tally.differing.saturating_add(differs);
    }
    say("provider                  api          readings  with price  differing")?;
    for ((provider, api), tally) in tallies {
        let Tally { readings, priced, differing } = tally;
        say(&format!("{provider:<25} {api:<12} {readings:>8} {priced:>11} {differing:>10}"))?;
    }
    Ok(())
}

fn described(reading: &Reading) -> String {
    let Reading { body, provider, api, differences, reason, .. } = reading;
    let reason = reason.unwrap_or("unexplained");
    format!("body {body} as {provider}/{api}: {} ({reason})", differences.join("; "))
}

fn summary(readings: &[Reading], differing: &[&Reading]) -> anyhow::Result<()> {
    let bodies: BTreeSet<u64> = readings.iter().map(|reading| reading.body).collect();
    let odd: BTreeSet<u64> = differing.iter().map(|reading| reading.body).collect();
    let priced = readings.iter().filter(|reading| reading.priced).count();
    let odd_priced = differing.iter().filter(|reading| reading.priced).count();
    say(&format!(
        "bodies    {:>6}, differing in any reading {}",
        bodies.len(),
        share(&odd, &bodies)
    ))?;
    say(&format!(
        "readings  {:>6}, differing {}",
        readings.len(),
        percent(differing.len(), readings.len())
    ))?;
    say(&format!("priced    {priced:>6}, differing {}", percent(odd_priced, priced)))?;
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reading in differing {
        let count = reasons.entry(reading.reason.unwrap_or("unexplained")).or_default();
        *count = count.saturating_add(1);
    }
    for (reason, count) in reasons {
        say(&format!("  {reason}: {count} readings (docs/prices.md says who is right)"))?;
    }
    let more = readings.iter().filter(|r| r.more_is_billed).count();
    say(&format!("billed otherwise with counts that are not read there: {more} of {priced}"))?;
    let told = readings.iter().filter(|r| r.priced && !r.same_unknown).count();
    say(&format!("read otherwise where the provider is not known: {told} of {priced} with a price"))
}

fn share(part: &BTreeSet<u64>, whole: &BTreeSet<u64>) -> String {
    percent(part.len(), whole.len())
}

/// `3 (0.02 %)`, in hundredths of a percent, rounded up.
fn percent(part: usize, whole: usize) -> String {
    let hundredths = part.saturating_mul(10_000).div_ceil(whole.max(1));
    format!("{part} ({}.{:02} %)", hundredths / 100, hundredths % 100)
}
