//! Who sells: the names by which people know a provider, and what it does with what it is sent.
//! Facts from `host/catalog/sellers.toml`; never guessed.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalog::CatalogError;

/// The facts that this version ships.
const SELLERS: &str = include_str!("../../catalog/sellers.toml");

/// A provider as people know it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// Its own name: "Amazon Bedrock".
    pub title: String,
    /// Other names that a configuration may call it by.
    #[serde(default)]
    pub also: Vec<String>,
    /// Days for which it keeps what it is sent, by its published terms; none: not stated there.
    pub retention_days: Option<u16>,
    /// Whether it may train on it.
    pub trains: Option<bool>,
    /// Where its terms say so.
    pub terms: Option<String>,
}

/// All of them, by the catalogue's names.
///
/// # Errors
/// When the file that was built in is damaged.
pub fn sellers() -> Result<BTreeMap<String, Seller>, CatalogError> {
    toml::from_str(SELLERS).map_err(|error| CatalogError::Sellers(error.to_string()))
}

// === impl Seller ===

impl Seller {
    /// What it does with data, in words.
    pub fn data_policy(&self) -> String {
        let kept = match self.retention_days {
            None => "keeps: not stated".to_owned(),
            Some(0) => "keeps nothing".to_owned(),
            Some(days) => format!("keeps for {days} days"),
        };
        let trains = match self.trains {
            None => "trains: not stated",
            Some(false) => "does not train on it",
            Some(true) => "may train on it",
        };
        format!("{kept}, {trains}")
    }
}
