//! The catalogue room: which models there are, who serves them, what they can do, what they cost
//! and how good they are expected to be. Immutable once loaded; looked up by index on the request
//! path. Never guesses a price, never reads a clock, never talks to the network.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

mod answer_lengths;
pub mod check;
mod configured;
mod declared;
pub mod genai;
mod meant;
pub mod media;
pub(crate) mod nearest;
mod offer;
mod overrides;
mod price;
mod quality;
mod rates;
mod sellers;
mod snapshot;
pub mod update;

pub use answer_lengths::AnswerLengths;
pub use configured::{ConfiguredCatalog, ProviderSelection, UnknownModel};
pub use declared::DeclaredOffer;
pub use offer::{Kind, Modalities, Offer};
pub use overrides::OfferOverride;
pub use price::{PriceError, per_million, to_per_million};
pub use quality::{Prior, PriorSource, Quality, TASKS, TaskDemands};
pub use rates::{
    Billed, Bounds, Derived, Expected, Later, Mode, Quantity, RateCard, Rates, Side, Tier,
    UnpricedBucket,
};
pub use sellers::{Seller, sellers};
pub use snapshot::{Header, sha256_hex};

/// The snapshot that this version ships.
const SNAPSHOT: &str = include_str!("../catalog/snapshot.jsonl");

/// Everything the snapshot knows.
#[derive(Debug)]
pub struct Catalog {
    header: Header,
    /// Grouped by provider, within it sorted by id.
    offers: Vec<Arc<Offer>>,
    providers: BTreeMap<Arc<str>, Range<usize>>,
}

/// Why a catalogue could not be loaded, or a configuration doesn't fit it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("catalogue line {line}: {reason}; rebuild the file with `turnpike catalog update`")]
    Line { line: usize, reason: String },
    #[error("the catalogue has two offers {0:?}; rebuild it with `turnpike catalog update`")]
    Twice(String),
    #[error("the catalogue has no provider {asked:?}; it has {known}")]
    UnknownProvider { asked: String, known: String },
    #[error(
        "provider {provider:?}: the catalogue has no model {asked:?} there{near}; correct the name \
         (turnpike catalog show lists them), or declare it in [[providers.{provider}.offers]] with \
         its prices"
    )]
    UnlistedModel { provider: String, asked: String, near: String },
    #[error(
        "provider {provider:?}: its models can't have {asked:?}, because {hint}; or declare it in \
         [[providers.{provider}.offers]] with its prices"
    )]
    UnlistedProvider { provider: String, asked: String, hint: String },
    #[error("the catalogue's list of sellers is damaged: {0}")]
    Sellers(String),
    #[error("the catalogue's lengths of answers are damaged: {0}")]
    AnswerLengths(String),
    #[error("providers.{provider}.overrides, model {asked:?}: {reason}")]
    Override { provider: String, asked: String, reason: String },
    #[error("[[providers.{provider}.offers]], id {id:?}: {reason}")]
    Declared { provider: String, id: String, reason: String },
}

// === impl Catalog ===

impl Catalog {
    /// The catalogue that this version ships. Takes a few milliseconds; call once.
    ///
    /// # Errors
    /// When the file that was built in is damaged.
    pub fn embedded() -> Result<Self, CatalogError> {
        Self::parse(SNAPSHOT)
    }

    /// The text of the catalogue that this version ships, for its checksum.
    pub fn embedded_text() -> &'static str {
        SNAPSHOT
    }

    /// Reads a snapshot, such as one that `turnpike catalog update` wrote.
    ///
    /// # Errors
    /// Names the line and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let (header, mut offers) = snapshot::decode(text)?;
        offers.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
        let mut providers: BTreeMap<Arc<str>, Range<usize>> = BTreeMap::new();
        let mut before: Option<&Arc<Offer>> = None;
        for (index, offer) in offers.iter().enumerate() {
            if before.is_some_and(|before| before.id == offer.id) {
                return Err(CatalogError::Twice(offer.id.to_string()));
            }
            before = Some(offer);
            let range = providers.entry(Arc::clone(&offer.provider)).or_insert(index..index);
            range.end = index.saturating_add(1);
        }
        Ok(Self { header, offers, providers })
    }

    /// Source, licence and date of the facts.
    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn offers(&self) -> &[Arc<Offer>] {
        &self.offers
    }

    /// The catalogue's own names of providers, sorted.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(|name| &**name)
    }

    /// What to do about a provider's name that the catalogue doesn't have, for an error or a
    /// warning.
    pub fn provider_hint(&self, name: &str) -> String {
        // A server for models of one's own choice, such as Ollama, sells none.
        if sellers().is_ok_and(|all| all.contains_key(name)) {
            return format!(
                "the catalogue lists no models of {name:?}; set catalog = \"…\" if it serves those \
                 of another provider (turnpike catalog show --stats lists them)"
            );
        }
        let near = nearest::nearest(name, self.providers()).into_iter();
        let near: Vec<String> = near.map(|like| format!("catalog = {like:?}")).collect();
        let set = match near.as_slice() {
            [] => "catalog = \"…\"".to_owned(),
            near => near.join(" or "),
        };
        format!(
            "the catalogue has no provider {name:?}; set {set} to say which one it is like \
             (turnpike catalog show --stats lists them)"
        )
    }

    /// What one provider serves; empty if the catalogue doesn't know it.
    pub fn offers_of(&self, provider: &str) -> &[Arc<Offer>] {
        let range = self.providers.get(provider).cloned().unwrap_or_default();
        self.offers.get(range).unwrap_or_default()
    }

    /// The view for these providers, by the catalogue's own names.
    ///
    /// # Errors
    /// As [`Self::configured`].
    pub fn for_providers(&self, names: &[&str]) -> Result<ConfiguredCatalog, CatalogError> {
        let select =
            |name: &&str| ProviderSelection { name: (*name).to_owned(), ..Default::default() };
        self.configured(&names.iter().map(select).collect::<Vec<_>>())
    }

    /// The view that the request path uses: the offers of the configured providers.
    ///
    /// # Errors
    /// When a selection names a provider or model that the catalogue doesn't have, or declares an
    /// offer with an impossible id or price.
    pub fn configured(
        &self,
        providers: &[ProviderSelection],
    ) -> Result<ConfiguredCatalog, CatalogError> {
        ConfiguredCatalog::build(self, providers)
    }
}

#[cfg(test)]
mod tests;
