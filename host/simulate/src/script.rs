//! The script: which providers there are, their models, speeds, answers and failures. Parsed and
//! checked as a whole; an unknown field is an error, because it would be a wish not granted.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::failure::Rule;

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
    /// Path before `/chat/completions`: `/openai/v1`.
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
}

/// One model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelScript {
    /// Name on the wire.
    pub id: String,
    /// Name in the answer, when it is another (a dated snapshot).
    #[serde(default)]
    pub served_as: Option<String>,
    /// Milliseconds to the first token.
    #[serde(default)]
    pub first_token_ms: u64,
    /// Speed after the first token; 0: all at once.
    #[serde(default)]
    pub tokens_per_second: u64,
    /// Tokens in one stream chunk.
    #[serde(default = "one")]
    pub chunk_tokens: u32,
    /// How chunks are written.
    #[serde(default)]
    pub pace: Pace,
    /// What it says.
    #[serde(default)]
    pub answer: AnswerScript,
    /// What it does when the request has tools.
    #[serde(default)]
    pub tool_calls: ToolCalls,
    /// Share of the prompt's tokens that were cached, in percent.
    #[serde(default)]
    pub cached_percent: u8,
    /// Reasoning tokens, counted inside the completion's.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// Reasoning shown as `reasoning_content`, as DeepSeek does.
    #[serde(default)]
    pub reasoning_text: Option<String>,
    /// Tier named in the answer.
    #[serde(default = "default_tier")]
    pub service_tier: String,
    /// Refuses `max_tokens`, as OpenAI's reasoning models do; `max_completion_tokens` is accepted.
    #[serde(default)]
    pub refuses_max_tokens: bool,
    /// Builds its answer once, from the first request, and repeats it: for load.
    #[serde(default)]
    pub prebuilt: bool,
    /// Its failures.
    #[serde(default)]
    pub failures: Vec<Rule>,
}

/// How stream chunks go to the socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// One write per chunk, at the model's speed.
    #[default]
    Steady,
    /// The whole response, head included, in one write, after the first token's latency.
    Burst,
}

/// What a model says. `{prompt}` is the last user text, `{model}` its own name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AnswerScript {
    /// The last user text, unchanged.
    Echo {},
    /// So many tokens of filler.
    Lorem {
        /// Exact number of tokens.
        tokens: u64,
    },
    /// This text.
    Text {
        /// May have the names in braces above.
        text: String,
    },
    /// The first case whose text is in the prompt.
    Cases {
        /// Tried in order.
        cases: Vec<Case>,
        /// When none fits.
        otherwise: String,
    },
}

impl Default for AnswerScript {
    fn default() -> Self {
        Self::Text { text: "You said: {prompt}".to_owned() }
    }
}

/// See [`AnswerScript::Cases`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Looked for in the last user text.
    pub contains: String,
    /// May have names in braces.
    pub text: String,
}

/// What a model does with tools that it may choose itself. Forced ones are always called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolCalls {
    /// Calls the first.
    #[default]
    First,
    /// Calls each once, in parallel.
    All,
    /// Answers in text.
    Never,
}

/// Why a script was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Not TOML, or not the fields of a script.
    #[error("the script is not valid: {0}")]
    Syntax(#[from] toml::de::Error),
    /// Well formed, but contradicts itself.
    #[error("{0}")]
    Content(String),
    /// The file can't be read.
    #[error("can't read the script {path}: {source}")]
    Read {
        /// As given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

// === impl Script ===

impl Script {
    /// Reads a script's text.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let script: Self = toml::from_str(text)?;
        script.check()?;
        Ok(script)
    }

    /// Reads a script's file.
    pub fn load(path: &std::path::Path) -> Result<Self, ScriptError> {
        let read = |source| ScriptError::Read { path: path.display().to_string(), source };
        Self::parse(&std::fs::read_to_string(path).map_err(read)?)
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

// === impl ModelScript ===

impl ModelScript {
    /// A model that answers at once with `answer`, for scripts made in code.
    pub fn instant(id: &str, answer: AnswerScript) -> Self {
        Self {
            id: id.to_owned(),
            served_as: None,
            first_token_ms: 0,
            tokens_per_second: 0,
            chunk_tokens: one(),
            pace: Pace::Steady,
            answer,
            tool_calls: ToolCalls::First,
            cached_percent: 0,
            reasoning_tokens: 0,
            reasoning_text: None,
            service_tier: default_tier(),
            refuses_max_tokens: false,
            prebuilt: false,
            failures: Vec::new(),
        }
    }

    pub(crate) fn check(&self, provider: &str) -> Result<(), ScriptError> {
        if self.cached_percent > 100 || self.chunk_tokens == 0 {
            let id = &self.id;
            return Err(ScriptError::Content(format!(
                "provider {provider}: model {id}: cached_percent is 0 to 100, chunk_tokens from 1"
            )));
        }
        Ok(())
    }
}

fn one() -> u32 {
    1
}

fn default_tier() -> String {
    "default".to_owned()
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
    fn an_unknown_field_and_a_repeated_name_are_refused() {
        let base = "[[providers]]\nname = \"a\"\nprefix = \"/a/v1\"\nmodels = [{ id = \"m\" }]\n";
        assert!(Script::parse(base).is_ok());
        let unknown = base.replace("id = \"m\"", "id = \"m\", latency = 3");
        let error = Script::parse(&unknown).expect_err("refused").to_string();
        assert!(error.contains("latency"), "{error}");
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
