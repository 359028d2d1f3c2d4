//! The built-in redaction: finds e-mail addresses, phone numbers, payment cards, IBANs, API keys,
//! tokens and private keys, and says for each kind and direction what shall happen to it. It
//! keeps no text, and its verdict does not depend on how a stream is cut into windows.

mod atom;
mod config;
mod email;
mod number;
mod pem;
mod prefilter;
mod scan;
mod secret;

use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{Findings, Manifest, Place, Plugin, Redact, Refusal, Span};

use config::Config;

/// The built-in redactor.
#[derive(Debug, Default)]
pub struct RedactDefault {
    config: Config,
}

impl RedactDefault {
    /// Takes a configuration that is parsed already.
    ///
    /// # Errors
    /// Which direction, kind or action is unknown.
    pub fn apply(&mut self, config: &Json) -> Result<(), String> {
        self.config.apply(config)
    }
}

impl Plugin for RedactDefault {
    fn manifest() -> Manifest {
        Manifest {
            name: "redact-default".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "finds credentials and personal data; counts, masks, pseudonymizes or blocks"
                .to_owned(),
            config_schema: config::schema(),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        self.apply(&Json::parse(config)?)
    }
}

impl Redact for RedactDefault {
    fn scan(&self, place: &Place, text: &str, last: bool) -> Result<Findings, Refusal> {
        let settings = self.config.of(&place.direction);
        let scanned = scan::scan(text, last);
        let mut spans = Vec::with_capacity(scanned.entities.len());
        for entity in scanned.entities {
            if let Some(action) = settings.of(entity.kind).action(entity.kind) {
                spans.push(Span {
                    start: offset(entity.start)?,
                    length: offset(entity.end - entity.start)?,
                    kind: entity.kind.label().to_owned(),
                    action,
                });
            }
        }
        Ok(Findings { spans, hold: offset(scanned.hold)?, data_class: String::new() })
    }
}

fn offset(bytes: usize) -> Result<u32, Refusal> {
    u32::try_from(bytes).map_err(|_| Refusal::Invalid("the text is over 4 GiB".to_owned()))
}

#[cfg(test)]
mod tests;
