//! `turnpike catalog`: what the embedded model catalogue holds, and how it is made.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::catalog::{Catalog, Offer, to_per_million, update as catalog_update};

use super::say;

#[derive(Debug, clap::Subcommand)]
pub(super) enum CatalogCommand {
    /// List the offers, or with --stats count them by provider
    Show(ShowArgs),
    /// Rebuild the snapshot from its public source
    Update(UpdateArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Only this provider
    #[arg(long)]
    provider: Option<String>,
    /// Counts by provider instead of the offers
    #[arg(long)]
    stats: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct UpdateArgs {
    /// The models.dev snapshot (JSON)
    #[arg(long)]
    models_dev: PathBuf,
    /// The date of that snapshot, written into the header: YYYY-MM-DD or YYYY-MM
    #[arg(long)]
    date: String,
    /// Where to write; its checksum goes beside it
    #[arg(long, default_value = "host/catalog/snapshot.jsonl")]
    out: PathBuf,
}

pub(super) fn run(command: CatalogCommand) -> anyhow::Result<()> {
    match command {
        CatalogCommand::Show(args) => show(&args),
        CatalogCommand::Update(args) => update(&args),
    }
}

fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let catalog = Catalog::embedded()?;
    for provider in catalog.providers() {
        if args.provider.as_deref().is_some_and(|only| only != provider) {
            continue;
        }
        let offers = catalog.offers_of(provider);
        if args.stats {
            let priced = offers.iter().filter(|offer| offer.is_priced()).count();
            say(&format!("{provider:<20} {:>5} offers {priced:>5} priced", offers.len()))?;
            continue;
        }
        for offer in offers {
            say(&describe(offer))?;
        }
    }
    Ok(())
}

fn update(args: &UpdateArgs) -> anyhow::Result<()> {
    let source = std::fs::read_to_string(&args.models_dev)
        .with_context(|| format!("can't read {}", args.models_dev.display()))?;
    let built = catalog_update::from_models_dev(&source, &args.date)?;
    let checksum = args.out.with_extension("jsonl.sha256");
    std::fs::write(&args.out, &built.text)
        .with_context(|| format!("can't write {}", args.out.display()))?;
    std::fs::write(&checksum, format!("{}\n", built.sha256))
        .with_context(|| format!("can't write {}", checksum.display()))?;
    for note in &built.notes {
        say(note)?;
    }
    say(&format!("{} offers of {} models in {}", built.offers, built.models, args.out.display()))
}

/// One line: id, window, prices in USD per million tokens.
fn describe(offer: &Offer) -> String {
    let price = |rate: Option<turnpike_ledger::PicoUsd>| {
        rate.map_or_else(|| "?".to_owned(), to_per_million)
    };
    format!(
        "{:<64} context {:>8}  in {:>8}  out {:>8}",
        offer.id,
        offer.context_tokens,
        price(offer.rates.base.input),
        price(offer.rates.base.output)
    )
}
