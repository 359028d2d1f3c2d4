//! Names that an organization has given to models or choices: `house-writer` for
//! `anthropic/claude-sonnet-5`. One snapshot for the data plane; a name stands for another name,
//! never for a further alias, and allows nothing that the caller's key does not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::selector::Selector;
use crate::catalog::{ConfiguredCatalog, UnknownModel};

/// An organization's names, in lower case, each with what it stands for.
pub type OrgAliases = BTreeMap<Box<str>, Arc<str>>;

/// All organizations' names.
#[derive(Debug)]
pub struct Aliases {
    offers: Arc<ConfiguredCatalog>,
    by_org: ArcSwap<HashMap<Box<str>, Arc<OrgAliases>>>,
}

// === impl Aliases ===

impl Aliases {
    /// No names yet, for models of these offers.
    pub fn new(offers: Arc<ConfiguredCatalog>) -> Self {
        Self { offers, by_org: ArcSwap::default() }
    }

    /// Sets all names of an organization; the next request sees them.
    pub fn set(&self, org: &str, aliases: &OrgAliases) {
        self.by_org.rcu(|now| {
            let mut next = HashMap::clone(now);
            match aliases.is_empty() {
                true => next.remove(org),
                false => next.insert(org.into(), Arc::new(aliases.clone())),
            };
            next
        });
    }

    /// What a name stands for in an organization; `None` where it is no alias.
    pub fn target(&self, org: &str, asked: &str) -> Option<Arc<str>> {
        let by_org = self.by_org.load();
        if by_org.is_empty() {
            return None;
        }
        let aliases = by_org.get(org)?;
        let found = match aliases.get(asked) {
            None => aliases.get(asked.to_ascii_lowercase().as_str()),
            found => found,
        };
        found.map(Arc::clone)
    }

    /// An organization's names.
    pub fn of(&self, org: &str) -> Option<Arc<OrgAliases>> {
        self.by_org.load().get(org).map(Arc::clone)
    }

    /// Whether requests could be sent to what is to stand behind a name.
    ///
    /// # Errors
    /// With up to three names that would do.
    pub fn check(&self, target: &str) -> Result<(), UnknownModel> {
        match Selector::parse(target) {
            Selector::Auto(_) => Ok(()),
            Selector::Named(name) => self.offers.resolve(name).map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn aliases() -> Aliases {
        let offers = Catalog::embedded().unwrap().for_providers(&["openai"]).unwrap();
        Aliases::new(Arc::new(offers))
    }

    fn named(pairs: &[(&str, &str)]) -> OrgAliases {
        pairs.iter().map(|(name, target)| ((*name).into(), Arc::from(*target))).collect()
    }

    #[test]
    fn a_name_is_one_organizations_own() {
        let aliases = aliases();
        assert_eq!(aliases.target("acme", "writer"), None);
        aliases.set("acme", &named(&[("writer", "openai/gpt-5.4"), ("fast", "auto:fast")]));
        assert_eq!(aliases.target("acme", "Writer").as_deref(), Some("openai/gpt-5.4"));
        assert_eq!(aliases.target("acme", "fast").as_deref(), Some("auto:fast"));
        assert_eq!(aliases.target("other", "writer"), None);
        assert_eq!(aliases.of("acme").unwrap().len(), 2);
        aliases.set("acme", &OrgAliases::new());
        assert!(aliases.target("acme", "writer").is_none() && aliases.of("acme").is_none());
    }

    #[test]
    fn only_what_can_be_asked_for_can_stand_behind_a_name() {
        let aliases = aliases();
        for target in ["auto", "auto:best", "openai/gpt-5.4", "gpt-5.4", "openai/gpt-5.4@openai"] {
            assert!(aliases.check(target).is_ok(), "{target}");
        }
        let unknown = aliases.check("openai/gpt-5,4").unwrap_err();
        assert_eq!(unknown.suggestions.first().map(String::as_str), Some("openai/gpt-5.4"));
    }
}
