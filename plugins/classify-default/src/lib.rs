//! The built-in classification: task, difficulty, confidence and needs of a request, from the last
//! user turn, the tools, the attachments and the shape of the conversation. It reads windows of
//! the text, never all of it, keeps nothing, and takes no notice of what a system prompt is about.

mod decision;
mod difficulty;
mod features;
mod model;
mod needles;
mod shape;
mod tools;
#[cfg(feature = "train")]
pub mod training;
mod turn;

use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{Classification, Classify, Manifest, Plugin, Refusal, Request};

use model::{WEIGHTS, Weights};

/// The built-in classifier; takes no configuration.
#[derive(Debug, Default)]
pub struct ClassifyDefault;

impl ClassifyDefault {
    /// Takes a configuration that is parsed already.
    ///
    /// # Errors
    /// When there is anything in it.
    pub fn apply(&mut self, config: &Json) -> Result<(), String> {
        if config.members().is_empty() {
            Ok(())
        } else {
            Err("the built-in classifier has nothing to configure".to_owned())
        }
    }
}

impl Plugin for ClassifyDefault {
    fn manifest() -> Manifest {
        Manifest {
            name: "classify-default".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "names task, difficulty and needs with a small linear model".to_owned(),
            config_schema: String::new(),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        self.apply(&Json::parse(config)?)
    }
}

impl Classify for ClassifyDefault {
    fn classify(&self, request: &dyn Request) -> Result<Classification, Refusal> {
        Ok(decision::classify(Weights(WEIGHTS), request))
    }
}

#[cfg(test)]
mod tests;
