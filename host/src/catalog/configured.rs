//! The part of the catalogue that this installation can reach: the offers of the configured
//! providers, with the names that callers may use for them. Built when the configuration is
//! loaded; on the request path only looked up, without allocating.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::catalog::nearest::nearest;
use crate::catalog::{Catalog, CatalogError, DeclaredOffer, Offer, OfferOverride};

/// Other meanings of an ambiguous name that the error lists at most.
const MEANINGS_MAX: usize = 3;

/// A provider as the operator configured it.
#[derive(Debug, Clone, Default)]
pub struct ProviderSelection {
    /// The operator's name for it; offers end in `@name`.
    pub name: String,
    /// The catalogue's provider whose offers it serves, if not the one of that name.
    pub like: Option<String>,
    /// Where not empty, only these of the catalogue's models, by catalogue id or wire name; `*` at
    /// the end stands for anything.
    pub models: Vec<String>,
    /// Offers that the catalogue doesn't have, or that replace its own of the same id.
    pub declared: Vec<DeclaredOffer>,
    /// What the operator knows better about the catalogue's offers.
    pub overrides: Vec<OfferOverride>,
    /// Dialects in which the provider is spoken to, by label, the best first. An offer keeps those
    /// that it is served in; one that is left without any can't be asked.
    pub dialects: Vec<&'static str>,
    /// The operator vouches that it keeps nothing of what it is sent.
    pub zero_retention: bool,
    /// Where it keeps its calls, for offers that do not say so themselves.
    pub region: Option<String>,
    /// The operator chose the dialect: every offer is served in it, whatever the catalogue says.
    pub dialects_are_certain: bool,
}

/// Offers of the configured providers and the names they answer to. Immutable.
#[derive(Debug, Default)]
pub struct ConfiguredCatalog {
    offers: Vec<Arc<Offer>>,
    names: HashMap<Box<str>, Named>,
    /// Catalogue ids in order, each with its offers.
    models: BTreeMap<Arc<str>, Vec<Arc<Offer>>>,
    all: Vec<u32>,
}

/// What a name stands for. Indices into `offers`, ascending.
#[derive(Debug)]
enum Named {
    Offers(Vec<u32>),
    /// A bare name that several different models have.
    Ambiguous(Vec<Arc<str>>),
}

/// A name that stands for no model here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownModel {
    pub asked: String,
    /// Up to three names that would have worked, likeliest first.
    pub suggestions: Vec<String>,
    /// Several models have this name; the suggestions tell them apart.
    pub ambiguous: bool,
}

// === impl ConfiguredCatalog ===

impl ConfiguredCatalog {
    pub(super) fn build(
        catalog: &Catalog,
        providers: &[ProviderSelection],
    ) -> Result<Self, CatalogError> {
        let mut offers: BTreeMap<Arc<str>, Arc<Offer>> = BTreeMap::new();
        for provider in providers {
            for offer in select(catalog, provider)? {
                let offer = vouched_for(spoken_to(offer, provider), provider);
                offers.insert(Arc::clone(&offer.id), offer);
            }
        }
        Ok(Self::index(offers.into_values().collect()))
    }

    fn index(offers: Vec<Arc<Offer>>) -> Self {
        let mut built = Self { offers, ..Self::default() };
        let mut bare: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (index, offer) in (0u32..).zip(&built.offers) {
            built.all.push(index);
            let models = built.models.entry(Arc::clone(&offer.model)).or_default();
            models.push(Arc::clone(offer));
            let short = offer.model.split_once('/').map_or(&*offer.model, |(_, short)| short);
            for name in [short, &offer.upstream_model] {
                let named = bare.entry(name.to_ascii_lowercase()).or_default();
                if named.last() != Some(&index) {
                    named.push(index);
                }
            }
        }
        for (name, indices) in bare {
            let named = built.bare_name(indices);
            built.names.insert(name.into(), named);
        }
        // Exact ids come last, so that no bare name can take their place.
        for (index, offer) in (0u32..).zip(&built.offers) {
            let id = offer.id.to_ascii_lowercase();
            built.names.insert(id.into(), Named::Offers(vec![index]));
        }
        let mut by_model: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (index, offer) in (0u32..).zip(&built.offers) {
            by_model.entry(&offer.model).or_default().push(index);
        }
        for (model, indices) in by_model {
            built.names.insert(model.to_ascii_lowercase().into(), Named::Offers(indices));
        }
        built
    }

    /// A bare name stands for one model by however many providers; else it is ambiguous.
    fn bare_name(&self, indices: Vec<u32>) -> Named {
        let mut models: Vec<Arc<str>> =
            indices.iter().filter_map(|i| self.offer(*i)).map(|o| Arc::clone(&o.model)).collect();
        models.sort();
        models.dedup();
        match models.len() {
            0 | 1 => Named::Offers(indices),
            _ => Named::Ambiguous(models),
        }
    }

    /// The offers that a caller's model name stands for, as indices for [`Self::offer`]: an offer
    /// id, a catalogue id, or a provider's bare name where only one model has it.
    ///
    /// # Errors
    /// With up to three names that would have worked.
    pub fn resolve(&self, name: &str) -> Result<&[u32], UnknownModel> {
        let named = match self.names.get(name) {
            Some(named) => Some(named),
            None => self.names.get(name.to_ascii_lowercase().as_str()),
        };
        match named {
            Some(Named::Offers(indices)) => Ok(indices),
            Some(Named::Ambiguous(models)) => Err(UnknownModel {
                asked: name.to_owned(),
                suggestions: models.iter().take(MEANINGS_MAX).map(ToString::to_string).collect(),
                ambiguous: true,
            }),
            None => {
                let known = self.models.keys().map(|model| &**model);
                let suggestions = nearest(name, known).into_iter().map(str::to_owned).collect();
                Err(UnknownModel { asked: name.to_owned(), suggestions, ambiguous: false })
            }
        }
    }

    /// Up to three models with a known price whose names are nearest to one, likeliest first.
    pub fn priced_like(&self, name: &str) -> Vec<&str> {
        let priced = self.models.iter().filter(|(_, offers)| offers.iter().any(|o| o.is_priced()));
        nearest(name, priced.map(|(model, _)| &**model))
    }

    /// Every name that stands for a model here, in small letters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Every offer's index: the candidates of `auto`.
    pub fn all(&self) -> &[u32] {
        &self.all
    }

    /// All offers, sorted by id; the position is the index.
    pub fn offers(&self) -> &[Arc<Offer>] {
        &self.offers
    }

    pub fn offer(&self, index: u32) -> Option<&Arc<Offer>> {
        self.offers.get(usize::try_from(index).ok()?)
    }

    /// Catalogue ids in order, each with its offers.
    pub fn models(&self) -> impl Iterator<Item = (&Arc<str>, &[Arc<Offer>])> {
        self.models.iter().map(|(model, offers)| (model, offers.as_slice()))
    }
}

/// The offers of one provider: the catalogue's, filtered and renamed, then the declared ones.
fn select(
    catalog: &Catalog,
    provider: &ProviderSelection,
) -> Result<Vec<Arc<Offer>>, CatalogError> {
    let like = provider.like.as_deref().unwrap_or(&provider.name);
    let listed = catalog.offers_of(like);
    if listed.is_empty() && provider.like.is_some() {
        let known = catalog.providers().collect::<Vec<_>>().join(", ");
        return Err(CatalogError::UnknownProvider { asked: like.to_owned(), known });
    }
    let overridden = provider.overrides.iter().map(|known_better| &known_better.model);
    for asked in provider.models.iter().chain(overridden) {
        if !listed.iter().any(|offer| is_called(offer, asked)) {
            let (provider, asked) = (provider.name.clone(), asked.to_owned());
            if listed.is_empty() {
                let hint = catalog.provider_hint(&provider);
                return Err(CatalogError::UnlistedProvider { provider, asked, hint });
            }
            let near = nearest(&asked, listed.iter().map(|offer| &*offer.upstream_model));
            let near = match near.as_slice() {
                [] => String::new(),
                names => format!(" (near: {})", names.join(", ")),
            };
            return Err(CatalogError::UnlistedModel { provider, asked, near });
        }
    }
    let wanted = |offer: &Offer| {
        provider.models.is_empty() || provider.models.iter().any(|m| is_called(offer, m))
    };
    let mut offers: Vec<Arc<Offer>> = Vec::new();
    for offer in listed.iter().filter(|offer| wanted(offer)) {
        offers.push(if like == provider.name {
            Arc::clone(offer)
        } else {
            Arc::new(renamed(offer, like, &provider.name))
        });
    }
    for known_better in &provider.overrides {
        for offer in offers.iter_mut().filter(|offer| is_called(offer, &known_better.model)) {
            known_better.apply(Arc::make_mut(offer)).map_err(|reason| CatalogError::Override {
                provider: provider.name.clone(),
                asked: known_better.model.clone(),
                reason,
            })?;
        }
    }
    for declared in &provider.declared {
        offers.push(Arc::new(declared.offer(&provider.name)?));
    }
    Ok(offers)
}

/// The offer with the dialects that both sides have, in the provider's order.
fn spoken_to(mut offer: Arc<Offer>, provider: &ProviderSelection) -> Arc<Offer> {
    let certain = provider.dialects_are_certain || offer.dialects.is_empty();
    let both = provider.dialects.iter().filter(|label| certain || offer.speaks(label));
    let both: Vec<&str> = both.copied().collect();
    if !offer.dialects.iter().map(|label| &**label).eq(both.iter().copied()) {
        Arc::make_mut(&mut offer).dialects = both.into_iter().map(Arc::from).collect();
    }
    offer
}

/// The offer with what the operator vouches for.
fn vouched_for(mut offer: Arc<Offer>, provider: &ProviderSelection) -> Arc<Offer> {
    if provider.zero_retention {
        Arc::make_mut(&mut offer).zero_retention = true;
    }
    if let (Some(region), None) = (&provider.region, &offer.region) {
        Arc::make_mut(&mut offer).region = Some(region.as_str().into());
    }
    offer
}

fn is_called(offer: &Offer, name: &str) -> bool {
    let fits = |text: &str| match name.strip_suffix('*') {
        Some(start) => {
            text.get(..start.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(start))
        }
        None => text.eq_ignore_ascii_case(name),
    };
    fits(&offer.model) || fits(&offer.upstream_model)
}

/// The same offer under the operator's name of the provider.
fn renamed(offer: &Offer, like: &str, name: &str) -> Offer {
    let place = offer.id.rsplit_once('@').map_or("", |(_, place)| place);
    let region = place.strip_prefix(like).unwrap_or_default();
    Offer {
        id: format!("{}@{name}{region}", offer.model).into(),
        provider: name.into(),
        ..offer.clone()
    }
}

// === impl UnknownModel ===

impl std::error::Error for UnknownModel {}

impl std::fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let options = self.suggestions.join("`, `");
        match (self.ambiguous, self.suggestions.is_empty()) {
            (true, _) => {
                write!(f, "several models are called `{}`; say which: `{options}`", self.asked)
            }
            (false, true) => write!(
                f,
                "no configured provider has the model `{}`; ask for `auto`, or list what is \
                 there with GET /v1/models",
                self.asked
            ),
            (false, false) => write!(
                f,
                "no configured provider has the model `{}`; did you mean `{options}`?",
                self.asked
            ),
        }
    }
}
