//! `turnpike catalog show`: the embedded catalogue for a person, whole or one model or provider.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Offer, RateCard, Seller, TaskDemands, UnknownModel, media, sellers};
use crate::catalog::{sha256_hex, to_per_million};
use crate::clock;

use super::super::say;

/// Prices on which the sources of the catalogue differ.
const DISAGREEMENTS: &str = include_str!("../../../catalog/disagreements.txt");

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArgs {
    /// One model in full: a catalogue id, an offer's id, or a bare name
    model: Option<String>,
    /// Only this provider
    #[arg(long)]
    provider: Option<String>,
    /// Counts by provider instead of the offers
    #[arg(long)]
    stats: bool,
    /// Prices on which the sources differ by more than 1 %
    #[arg(long)]
    disagreements: bool,
    /// Models that make images, sound or video, or rank, with what a unit costs
    #[arg(long)]
    media: bool,
}

pub(super) fn run(args: &ShowArgs) -> anyhow::Result<()> {
    let catalog = Catalog::embedded()?;
    let wanted = |provider: &str| args.provider.as_deref().is_none_or(|only| only == provider);
    if let Some(asked) = &args.provider {
        let sellers = sellers()?;
        if !sellers.contains_key(asked) && !catalog.providers().any(|known| known == asked) {
            let known: Vec<&str> = sellers.keys().map(|name| &**name).collect();
            anyhow::bail!("there is no provider {asked:?}; there are {}", known.join(", "));
        }
    }
    if let Some(model) = &args.model {
        return one(&catalog, model);
    }
    if args.disagreements {
        let mut listed = DISAGREEMENTS.lines().filter(|line| {
            let offer = line.split(' ').next().unwrap_or_default();
            let place = offer.rsplit_once('@').map_or("", |(_, place)| place);
            line.starts_with('#') || wanted(place.split(':').next().unwrap_or_default())
        });
        return listed.try_for_each(say);
    }
    if args.stats {
        return stats(&catalog, wanted);
    }
    if args.media {
        return media_prices(wanted);
    }
    for provider in catalog.providers().filter(|provider| wanted(provider)) {
        for offer in catalog.offers_of(provider) {
            say(&describe(offer))?;
        }
    }
    Ok(())
}

/// Counts by provider, every seed provider under its own name, and in all.
fn stats(catalog: &Catalog, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let header = catalog.header();
    say(&format!("{}; {}; {}", header.source, header.licence, header.as_of))?;
    say(&format!("sha256 {}", sha256_hex(Catalog::embedded_text())))?;
    let (_, media) = media::embedded()?;
    let place = |id: &str| id.rsplit_once('@').map(|(_, place)| place.to_owned());
    say("provider          name               offers  models  priced  own models  media")?;
    let mut models: BTreeSet<&str> = BTreeSet::new();
    let mut own_models: BTreeSet<&str> = BTreeSet::new();
    let (mut offers_of_all, mut priced_of_all) = (0_usize, 0_usize);
    for (name, seller) in sellers()?.iter().filter(|(name, _)| wanted(name)) {
        let offers = catalog.offers_of(name);
        let of: BTreeSet<&str> = offers.iter().map(|offer| &*offer.model).collect();
        let own = offers.iter().filter(|offer| is_own(offer));
        let own: BTreeSet<&str> = own.map(|offer| &*offer.model).collect();
        let priced = offers.iter().filter(|offer| offer.is_priced()).count();
        let other = media.iter().filter(|line| place(&line.id).as_ref() == Some(name)).count();
        say(&format!(
            "{:<17} {name:<17} {:>7} {:>7} {priced:>7} {:>11} {other:>6}",
            seller.title,
            offers.len(),
            of.len(),
            own.len()
        ))?;
        offers_of_all = offers_of_all.saturating_add(offers.len());
        priced_of_all = priced_of_all.saturating_add(priced);
        models.extend(of);
        own_models.extend(own);
    }
    let (of, own) = (models.len(), own_models.len());
    let all = media.len();
    say(&format!(
        "{:<35} {offers_of_all:>7} {of:>7} {priced_of_all:>7} {own:>11} {all:>6}",
        "all"
    ))?;
    let listed = DISAGREEMENTS.lines().filter(|line| !line.starts_with('#')).count();
    say(&format!("the sources disagree by more than 1 % on {listed} prices (--disagreements)"))
}

/// Whether the seller made the model.
fn is_own(offer: &Offer) -> bool {
    let maker = match &*offer.provider {
        "llama" => "meta",
        "zai" => "zhipuai",
        "google-vertex" => "google",
        "amazon-bedrock" => "amazon",
        "azure" => "microsoft",
        other => other,
    };
    &*offer.vendor == maker
}

fn media_prices(wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let (header, lines) = media::embedded()?;
    say(&format!("{}; {}; dollars for one", header.source, header.licence))?;
    for line in lines {
        let place = line.id.rsplit_once('@').map_or("", |(_, place)| place);
        if wanted(place) {
            let prices: Vec<String> = line.prices.iter().map(ToString::to_string).collect();
            say(&format!("{} ({}): {}", line.id, line.kind, prices.join(", ")))?;
        }
    }
    Ok(())
}

/// One line: id, window, prices of today in USD per million tokens.
fn describe(offer: &Offer) -> String {
    let price = |rate: Option<turnpike_ledger::PicoUsd>| {
        rate.map_or_else(|| "?".to_owned(), to_per_million)
    };
    let today = offer.rates.at(clock::now_ms()).base;
    format!(
        "{:<64} context {:>8}  in {:>8}  out {:>8}",
        offer.id,
        offer.context_tokens,
        price(today.input),
        price(today.output)
    )
}

/// That the catalogue has no such model: not what is configured, which is told in other words.
fn not_there(unknown: &UnknownModel) -> anyhow::Error {
    let near = unknown.suggestions.join("`, `");
    match (unknown.ambiguous, unknown.suggestions.is_empty()) {
        (true, _) => anyhow::anyhow!("{unknown}"),
        (false, true) => anyhow::anyhow!(
            "the catalogue has no model `{}`; `turnpike catalog show` lists all that it has",
            unknown.asked
        ),
        (false, false) => anyhow::anyhow!(
            "the catalogue has no model `{}`; did you mean `{near}`?",
            unknown.asked
        ),
    }
}

/// Everything about the offers that a name stands for.
fn one(catalog: &Catalog, name: &str) -> anyhow::Result<()> {
    let all: Vec<&str> = catalog.providers().collect();
    let view = catalog.for_providers(&all)?;
    let indices = view.resolve(name).map_err(|unknown| not_there(&unknown))?;
    let sellers = sellers()?;
    let meant: Vec<&str> =
        indices.iter().filter_map(|index| view.offer(*index)).map(|offer| &*offer.id).collect();
    // As the catalogue has them, in every dialect.
    for offer in catalog.offers().iter().filter(|offer| meant.contains(&&*offer.id)) {
        detail(offer, sellers.get(&*offer.provider))?;
    }
    Ok(())
}

fn detail(offer: &Offer, seller: Option<&Seller>) -> anyhow::Result<()> {
    say(&format!("{} – {} ({})", offer.id, offer.display_name, offer.kind.label()))?;
    let known = |tokens: u32| if tokens == 0 { "unknown".to_owned() } else { tokens.to_string() };
    let (context, answer) = (known(offer.context_tokens), known(offer.output_tokens));
    say(&format!("  context {context}, answer {answer}, dialects {}", offer.dialects.join(", ")))?;
    let can = [
        ("text", offer.input.text),
        ("images", offer.input.image),
        ("audio", offer.input.audio),
        ("video", offer.input.video),
        ("files", offer.input.file),
        ("tools", offer.tools),
        ("structured output", offer.structured_output),
        ("reasoning", offer.reasoning),
    ];
    let can: Vec<&str> = can.into_iter().filter(|(_, can)| *can).map(|(what, _)| what).collect();
    let guessed = if offer.estimated { " (as its family: estimated)" } else { "" };
    say(&format!("  takes and can: {}{guessed}", can.join(", ")))?;
    if offer.deprecated {
        say("  being retired: only for who names it")?;
    }
    let prior = |task: &str| {
        let prior = offer.quality.prior(&TaskDemands::of(task));
        format!("{task} {:.3} ({})", prior.value, prior.source.label())
    };
    let like = offer.like.as_ref().map_or_else(String::new, |like| format!(", like {like}"));
    let priors = ["chat", "code", "agent", "data-analysis"].map(prior).join(", ");
    say(&format!("  quality: {priors}{like}"))?;
    say(&format!("  data: {}", seller.map_or_else(|| "unknown".to_owned(), Seller::data_policy)))?;
    list("dollars per million", &offer.rates)?;
    for later in &offer.rates.later {
        list(&format!("from {}", clock::day_of(later.from_ms)), &later.card)?;
    }
    Ok(())
}

fn list(when: &str, card: &RateCard) -> anyhow::Result<()> {
    let base = card.base.known().map(|(item, price)| format!("{item} {}", to_per_million(price)));
    let base: Vec<String> = base.collect();
    let text = if base.is_empty() { "unknown".to_owned() } else { base.join(", ") };
    let estimated = match (card.is_estimated(false), card.is_estimated(true)) {
        (true, _) => " (estimated: one secondary source alone has it)",
        (false, true) => " (cache-write-long estimated: a rule gave it)",
        (false, false) => "",
    };
    say(&format!("  {when}: {text}{estimated}"))?;
    for tier in &card.tiers {
        let known = tier.rates.known();
        let prices: Vec<String> =
            known.map(|(item, price)| format!("{item} {}", to_per_million(price))).collect();
        say(&format!("    above {}: {}", tier.above_input_tokens, prices.join(", ")))?;
    }
    for mode in &card.modes {
        let known = mode.rates.known();
        let prices: Vec<String> =
            known.map(|(item, price)| format!("{item} {}", to_per_million(price))).collect();
        say(&format!("    served as {}: {}", mode.served, prices.join(", ")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_catalogue_has_not_is_told_of_the_catalogue() {
        let catalog = Catalog::embedded().unwrap();
        let told = |name: &str| one(&catalog, name).unwrap_err().to_string();
        let unknown = told("qqqqqqqqqq");
        assert!(unknown.contains("the catalogue has no model `qqqqqqqqqq`"), "{unknown}");
        assert!(!unknown.contains("GET /v1/models"), "{unknown}");
        let misspelt = told("openai/gpt-5,4");
        assert!(misspelt.contains("did you mean") && misspelt.contains("gpt-5.4"), "{misspelt}");
    }
}
