//! `turnpike catalog`: what the embedded model catalogue holds, and how it is made.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::catalog::genai::PriceBook;
use crate::catalog::update::{self as catalog_update, Sources, Update};

use super::say;

mod check;
mod show;

#[derive(Debug, clap::Subcommand)]
pub(super) enum CatalogCommand {
    /// List offers, or one model in full; --stats counts by provider
    Show(show::ShowArgs),
    /// Rebuild the catalogue's files from their public sources
    Update(UpdateArgs),
    /// What `update` would change, without writing anything
    Diff(SourceArgs),
    /// Read real usage bodies, price them, and compare with what is expected
    Check(check::CheckArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// The models.dev snapshot (JSON)
    #[arg(long)]
    models_dev: PathBuf,
    /// The second opinion about prices, and when lists begin to count: genai-prices' prices.json
    #[arg(long)]
    genai_prices: Option<PathBuf>,
    /// Prices of images, sound, video and rankings: LiteLLM's list (JSON)
    #[arg(long)]
    litellm: Option<PathBuf>,
    /// The date of the sources, written into the header: YYYY-MM-DD or YYYY-MM
    #[arg(long)]
    date: String,
    /// The catalogue: its checksum, media prices and disagreements are beside it
    #[arg(long, default_value = "host/catalog/snapshot.jsonl")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct UpdateArgs {
    #[command(flatten)]
    sources: SourceArgs,
}

/// What the sources come to.
struct Built {
    catalog: Update,
    media: Option<catalog_update::media::MediaUpdate>,
}

pub(super) fn run(command: CatalogCommand) -> anyhow::Result<()> {
    match command {
        CatalogCommand::Show(args) => show::run(&args),
        CatalogCommand::Update(args) => update(&args.sources),
        CatalogCommand::Diff(args) => diff(&args),
        CatalogCommand::Check(args) => check::run(&args),
    }
}

fn read(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}

fn build(args: &SourceArgs) -> anyhow::Result<Built> {
    let models_dev = read(&args.models_dev)?;
    let book = args.genai_prices.as_deref().map(read).transpose()?;
    let book = book.as_deref().map(PriceBook::parse).transpose()?;
    let sources = Sources { models_dev: &models_dev, genai_prices: book.as_ref() };
    let catalog = catalog_update::from_sources(&sources, &args.date)?;
    let media = args.litellm.as_deref().map(read).transpose()?;
    let media = media.as_deref().map(catalog_update::media::from_litellm).transpose()?;
    Ok(Built { catalog, media })
}

fn update(args: &SourceArgs) -> anyhow::Result<()> {
    let built = build(args)?;
    changes(args, &built.catalog)?;
    let write = |path: PathBuf, text: &str| {
        std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
    };
    write(args.out.clone(), &built.catalog.text)?;
    let checksum = args.out.with_extension("jsonl.sha256");
    write(checksum, &format!("{}\n", built.catalog.sha256))?;
    if args.genai_prices.is_some() {
        let listed = catalog_update::disagreements_text(&built.catalog.disagreements);
        write(args.out.with_file_name("disagreements.txt"), &listed)?;
    }
    if let Some(media) = &built.media {
        let out = args.out.with_file_name("media.jsonl");
        write(out.with_extension("jsonl.sha256"), &format!("{}\n", media.sha256))?;
        write(out, &media.text)?;
    }
    let notes = built.media.iter().flat_map(|media| &media.notes);
    for note in built.catalog.notes.iter().chain(notes) {
        say(note)?;
    }
    summary(args, &built)
}

fn diff(args: &SourceArgs) -> anyhow::Result<()> {
    let built = build(args)?;
    changes(args, &built.catalog)?;
    for disagreement in &built.catalog.disagreements {
        let [one, two] = &disagreement.prices;
        let (offer, item) = (&disagreement.offer, disagreement.item);
        say(&format!("! {offer}: {item} is {one} by models.dev and {two} by genai-prices"))?;
    }
    summary(args, &built)
}

/// What the new catalogue changes in the file that is there.
fn changes(args: &SourceArgs, new: &Update) -> anyhow::Result<()> {
    let Ok(old) = std::fs::read_to_string(&args.out) else {
        return say(&format!("{} is new", args.out.display()));
    };
    for line in catalog_update::diff(&old, &new.text)? {
        say(&line)?;
    }
    Ok(())
}

fn summary(args: &SourceArgs, built: &Built) -> anyhow::Result<()> {
    let Update { offers, models, disagreements, .. } = &built.catalog;
    let out = args.out.display();
    let apart = disagreements.len();
    let media = built.media.as_ref().map_or(0, |media| media.models);
    say(&format!(
        "{offers} offers of {models} models in {out}; {media} models of other media; the sources \
         disagree by more than 1 % on {apart} prices"
    ))
}
