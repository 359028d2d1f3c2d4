//! The script: which providers there are, their models, speeds, answers and failures. Parsed and
//! checked as a whole; an unknown field is an error, because it would be a wish not granted.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::failure::Rule;

mod answers;
mod model;

pub use answers::{AnswerScript, Case, ScriptedCall, Step, ToolCalls, WriteFile};
pub use model::{ModelScript, Pace, RateLimit, ThinkingScript, UsageScript};

/// Providers and models of one script: more is a mistake in a generator.
const ENTRIES_MAX: usize = 4096;

/// What the simulator plays.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Draws failures by share and makes ids; the same seed gives the same run.
    #[serde(default)]
    pub seed: u64,
    /// Each under its own path prefix.
    pub providers: Vec<ProviderScript>,
}

/// One provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderScript {
    /// Names it in the log and in control calls.
    pub name: String,
    /// Path before `/chat/completions`: `/openai/v1`. The version may be left to the caller:
    /// `/claude` has both `/claude/v1/messages` and `/claude/messages`.
    pub prefix: String,
    /// The key it accepts; absent: any.
    #[serde(default)]
    pub api_key: Option<String>,
    /// What it speaks.
    #[serde(default)]
    pub dialect: Dialect,
    /// Its models.
    pub models: Vec<ModelScript>,
    /// Failures of every model, asked after the model's own.
    #[serde(default)]
    pub failures: Vec<Rule>,
}

/// A wire protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI Chat Completions.
    #[default]
    #[serde(rename = "openai-chat")]
    OpenAiChat,
    /// OpenAI Responses.
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    /// Anthropic Messages.
    #[serde(alias = "anthropic")]
    AnthropicMessages,
    /// Google Gemini.
    Gemini,
    /// Converse of Amazon Bedrock.
    BedrockConverse,
    /// Both publishers of Google Vertex: Gemini, and Anthropic with its version in the body.
    Vertex,
    /// All of them on one prefix, told apart by path.
    Any,
}

/// Why a script was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Not TOML, or not the fields of a script. In words, which a chain of causes would repeat.
    #[error("the script is not valid: {0}")]
    Syntax(String),
    /// Well formed, but contradicts itself.
    #[error("{0}")]
    Content(String),
    /// The file can't be read.
    #[error("can't read the script {path}: {cause}")]
    Read {
        /// As given.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
}

// === impl Script ===

impl Script {
    /// Reads a script's text.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let read = toml::from_str(text);
        let script: Self = read.map_err(|error| ScriptError::Syntax(error.to_string()))?;
        script.check()?;
        Ok(script)
    }

    /// Reads a script's file.
    pub fn load(path: &std::path::Path) -> Result<Self, ScriptError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ScriptError::Read { path: name.clone(), cause })?;
        Self::parse(&text).map_err(|error| match error {
            ScriptError::Syntax(why) => ScriptError::Syntax(format!("{name}: {why}")),
            ScriptError::Content(why) => ScriptError::Content(format!("{name}: {why}")),
            read @ ScriptError::Read { .. } => read,
        })
    }

    /// The script that the demo plays: providers and models of the catalogue's names.
    pub fn demo() -> Result<Self, ScriptError> {
        Self::parse(include_str!("../scripts/demo.toml"))
    }

    /// Refuses what could not be played: two of the same name, a bad prefix, a bad share.
    pub fn check(&self) -> Result<(), ScriptError> {
        let refuse = |text: String| Err(ScriptError::Content(text));
        let (mut names, mut prefixes) = (HashSet::new(), HashSet::new());
        if self.providers.is_empty() || self.providers.len() > ENTRIES_MAX {
            return refuse(format!("a script has 1 to {ENTRIES_MAX} providers"));
        }
        for provider in &self.providers {
            let name = &provider.name;
            if !names.insert(name.as_str()) || !prefixes.insert(provider.prefix.as_str()) {
                return refuse(format!("provider {name}: its name or prefix is there twice"));
            }
            if !provider.prefix.starts_with('/') || provider.prefix.ends_with('/') {
                return refuse(format!("provider {name}: write the prefix as \"/{name}/v1\""));
            }
            provider.check()?;
        }
        Ok(())
    }
}

// === impl ProviderScript ===

impl ProviderScript {
    fn check(&self) -> Result<(), ScriptError> {
        let refuse = |text: String| Err(ScriptError::Content(text));
        let name = &self.name;
        if self.models.is_empty() || self.models.len() > ENTRIES_MAX {
            return refuse(format!("provider {name}: it has 1 to {ENTRIES_MAX} models"));
        }
        let mut ids = HashSet::new();
        for model in &self.models {
            if !ids.insert(model.id.as_str()) {
                return refuse(format!("provider {name}: model {} is there twice", model.id));
            }
            model.check(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_script_has_several_providers_and_models() {
        let script = Script::demo().expect("the demo script is valid");
        assert!(script.providers.len() >= 5);
        assert!(script.providers.iter().all(|provider| !provider.models.is_empty()));
    }

    #[test]
    fn the_examples_of_the_documentation_are_valid() {
        let text = include_str!("../../../docs/simulate.md");
        let blocks = text.split("```toml\n").skip(1);
        let examples: Vec<&str> = blocks.filter_map(|block| block.split("```").next()).collect();
        assert!(examples.len() >= 5);
        for example in examples {
            Script::parse(example).unwrap_or_else(|error| panic!("{error} in\n{example}"));
        }
    }

    #[test]
    fn an_unknown_field_and_a_repeated_name_are_refused() {
        let base = "[[providers]]\nname = \"a\"\nprefix = \"/a/v1\"\nmodels = [{ id = \"m\" }]\n";
        assert!(Script::parse(base).is_ok());
        let unknown = base.replace("id = \"m\"", "id = \"m\", latency = 3");
        let error = Script::parse(&unknown).expect_err("refused").to_string();
        assert!(error.contains("latency"), "{error}");
        // Told once, however the causes of an error are shown.
        let error = Script::parse(&unknown).expect_err("refused");
        assert!(std::error::Error::source(&error).is_none());
        let twice = format!("{base}{base}");
        let error = Script::parse(&twice).expect_err("refused").to_string();
        assert!(error.contains("twice"), "{error}");
    }

    #[test]
    fn rules_are_read_with_their_conditions() {
        let text = r#"
            [[providers]]
            name = "a"
            prefix = "/a"
            [[providers.models]]
            id = "m"
            answer = { kind = "echo" }
            failures = [{ fail = { kind = "die-after", chunks = 2 }, when = { every = 3 } }]
        "#;
        let script = Script::parse(text).expect("valid");
        let rule = &script.providers[0].models[0].failures[0];
        assert_eq!(rule.fail, crate::Failure::DieAfter { chunks: 2 });
        assert_eq!(rule.when.every, Some(3));
    }
}
