//! Where a secret comes from: `env:NAME`, `file:PATH`, or the value itself. Resolved once at
//! start; the reference can be shown, the secret cannot.

use serde::{Deserialize, Deserializer};

use super::ConfigError;
use crate::secret::Secret;

/// A reference to a secret, as it is written in the configuration.
#[derive(Debug, Clone)]
pub enum SecretRef {
    /// `env:NAME`
    Env(String),
    /// `file:PATH`; a trailing newline is dropped.
    File(String),
    /// The secret itself.
    Literal(Secret),
}

impl SecretRef {
    /// The variable `name` of the environment.
    pub fn from_env(name: &str) -> Self {
        Self::Env(name.to_owned())
    }

    /// Reads the secret. An error names the reference, never the secret.
    pub fn resolve(&self, field: &str) -> Result<Secret, ConfigError> {
        let value = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| {
                ConfigError(format!(
                    "{field}: the environment variable {name} is not set; export it, or write \
                     file:PATH instead"
                ))
            })?,
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|e| ConfigError(format!("{field}: can't read the file {path}: {e}")))?
                .trim_end_matches(['\n', '\r'])
                .to_owned(),
            Self::Literal(secret) => secret.reveal().to_owned(),
        };
        if value.is_empty() {
            return Err(ConfigError(format!("{field}: the secret is empty")));
        }
        Ok(Secret::new(value))
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.split_once(':') {
            Some(("env", name)) => Self::Env(name.to_owned()),
            Some(("file", path)) => Self::File(path.to_owned()),
            _ => Self::Literal(Secret::new(text)),
        })
    }
}
