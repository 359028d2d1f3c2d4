//! What is known of providers by name: where they are, how they are signed in to, which dialects
//! they speak and how they differ from them. Read from `catalog/providers.toml` at start; never
//! knows a credential or an organization.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;
use turnpike_protocol::quirks::{ReasoningField, SignatureField, Structured};
use turnpike_protocol::{LimitField, Quirks};

use crate::catalog::nearest::nearest;

const TABLE: &str = include_str!("../../catalog/providers.toml");

/// How a credential is shown to the provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AuthStyle {
    #[default]
    Bearer,
    XApiKey,
    XGoogApiKey,
    ApiKey,
    /// A Bedrock API key as a bearer, or AWS Signature Version 4.
    Aws,
    /// An OAuth access token of Google.
    Google,
}

/// Which paths lie below the base URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    /// `/chat/completions`, `/responses`, `/messages`, `/embeddings`.
    #[default]
    Standard,
    /// `/models/MODEL:generateContent`.
    Gemini,
    /// `/publishers/google/models/MODEL:generateContent`, `…/anthropic/models/MODEL:rawPredict`.
    Vertex,
    /// `/model/MODEL/converse`, `/model/MODEL/invoke`.
    Bedrock,
    /// `/deployments/MODEL/chat/completions?api-version=…`: Azure's before its v1. Set by the
    /// configuration's `api_version`.
    Deployments,
}

/// One provider as the table has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Family {
    pub(crate) base_url: Option<String>,
    pub(crate) auth: AuthStyle,
    pub(crate) layout: Layout,
    pub(crate) dialects: Vec<String>,
    limit: Limit,
    /// Betas of Anthropic's that it takes; a rule of a model adds to them.
    betas: Option<Vec<String>>,
    quirks: Overlay,
    models: Vec<ModelRule>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Limit {
    #[default]
    MaxTokens,
    MaxCompletionTokens,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelRule {
    names: Vec<String>,
    #[serde(default)]
    betas: Vec<String>,
    #[serde(default)]
    quirks: Overlay,
}

/// Quirks that are said; the others are as they were.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Overlay {
    reasoning: Option<Reasoning>,
    structured: Option<StructuredOutput>,
    no_stream_options: Option<bool>,
    developer_role: Option<bool>,
    any_tool_choice: Option<bool>,
    replays_reasoning: Option<bool>,
    refused: Option<Vec<String>>,
    refused_thinking: Option<Vec<String>>,
    thinks_unasked: Option<bool>,
    adaptive_thinking: Option<bool>,
    thinking_level: Option<bool>,
    functions_only: Option<bool>,
    signatures: Option<Signatures>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Signatures {
    Nowhere,
    Details,
    Google,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reasoning {
    Effort,
    Object,
    ThinkingType,
    EnableThinking,
    ChatTemplate,
    Unknown,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StructuredOutput {
    Schema,
    Object,
    Nothing,
}

/// The whole table.
pub(crate) struct Families(BTreeMap<String, Family>);

// === impl Families ===

impl Families {
    /// Reads the embedded table.
    pub(crate) fn embedded() -> anyhow::Result<Self> {
        Ok(Self(toml::from_str(TABLE).context("the embedded table of providers is damaged")?))
    }

    /// What is known of a provider by its name in the catalogue; the plainest for any other.
    pub(crate) fn of(&self, name: &str) -> Family {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

impl Families {
    /// Names with a known address that a name without one may have been meant for.
    pub(crate) fn near(&self, name: &str) -> Vec<&str> {
        let known = self.0.iter().filter(|(_, family)| family.base_url.is_some());
        nearest(name, known.map(|(known, _)| known.as_str()))
    }
}

// === impl Family ===

impl Family {
    pub(crate) fn limit_field(&self) -> LimitField {
        match self.limit {
            Limit::MaxTokens => LimitField::MaxTokens,
            Limit::MaxCompletionTokens => LimitField::MaxCompletionTokens,
        }
    }

    /// How the provider, or this model of it, differs from its dialect.
    pub(crate) fn quirks(&self, model: &str) -> Quirks {
        // Custom tools are OpenAI's own; whoever copied its API knows functions.
        let mut quirks = Quirks { functions_only: true, ..Quirks::default() };
        self.quirks.lay_over(&mut quirks);
        quirks.betas.clone_from(&self.betas);
        let rule = self.models.iter().find(|rule| rule.names.iter().any(|n| is_called(n, model)));
        if let Some(rule) = rule {
            rule.quirks.lay_over(&mut quirks);
            if let Some(betas) = &mut quirks.betas {
                betas.extend(rule.betas.iter().cloned());
            }
        }
        quirks
    }
}

fn is_called(pattern: &str, model: &str) -> bool {
    let (rest, open) = pattern.strip_suffix('*').map_or((pattern, false), |rest| (rest, true));
    match (rest.strip_prefix('*'), open) {
        (Some(middle), true) => model.contains(middle),
        (Some(end), false) => model.ends_with(end),
        (None, true) => model.starts_with(rest),
        (None, false) => model == rest,
    }
}

// === impl Overlay ===

impl Overlay {
    fn lay_over(&self, quirks: &mut Quirks) {
        let set = |said: Option<bool>, flag: &mut bool| *flag = said.unwrap_or(*flag);
        set(self.no_stream_options, &mut quirks.no_stream_options);
        set(self.developer_role, &mut quirks.developer_role);
        set(self.any_tool_choice, &mut quirks.any_tool_choice);
        set(self.replays_reasoning, &mut quirks.replays_reasoning);
        set(self.thinks_unasked, &mut quirks.thinks_unasked);
        set(self.adaptive_thinking, &mut quirks.adaptive_thinking);
        set(self.thinking_level, &mut quirks.thinking_level);
        set(self.functions_only, &mut quirks.functions_only);
        if let Some(signatures) = self.signatures {
            quirks.signatures = match signatures {
                Signatures::Nowhere => SignatureField::Nowhere,
                Signatures::Details => SignatureField::Details,
                Signatures::Google => SignatureField::Google,
            };
        }
        if let Some(refused) = &self.refused {
            quirks.refused.clone_from(refused);
        }
        if let Some(refused) = &self.refused_thinking {
            quirks.refused_thinking.clone_from(refused);
        }
        if let Some(reasoning) = self.reasoning {
            quirks.reasoning = match reasoning {
                Reasoning::Effort => ReasoningField::Effort,
                Reasoning::Object => ReasoningField::Object,
                Reasoning::ThinkingType => ReasoningField::ThinkingType,
                Reasoning::EnableThinking => ReasoningField::EnableThinking,
                Reasoning::ChatTemplate => ReasoningField::ChatTemplate,
                Reasoning::Unknown => ReasoningField::Unknown,
            };
        }
        if let Some(structured) = self.structured {
            quirks.structured = match structured {
                StructuredOutput::Schema => Structured::Schema,
                StructuredOutput::Object => Structured::Object,
                StructuredOutput::Nothing => Structured::Nothing,
            };
        }
    }
}

#[cfg(test)]
mod table;

#[cfg(test)]
mod tests {
    use turnpike_protocol::quirks::ThinkingWish;

    use super::*;

    #[test]
    fn the_table_reads_and_knows_the_first_party_providers() {
        let families = Families::embedded().unwrap();
        for name in ["openai", "anthropic", "google", "llama", "xai", "deepseek", "alibaba", "zai"]
        {
            assert!(families.of(name).base_url.is_some(), "{name}");
        }
        assert_eq!(families.of("my-own").auth, AuthStyle::Bearer);
    }

    #[test]
    fn a_models_rule_lies_over_its_providers() {
        let families = Families::embedded().unwrap();
        assert!(families.of("google").quirks("gemini-3-pro-preview").thinking_level);
        assert!(!families.of("google").quirks("gemini-2.5-pro").thinking_level);
        for name in ["anthropic", "google-vertex"] {
            let newest = families.of(name).quirks("claude-opus-4-8-20260101");
            assert!(
                newest.adaptive_thinking && newest.refused.iter().any(|it| it == "temperature")
            );
            assert!(families.of(name).quirks("claude-haiku-4-5").refused.is_empty());
        }
    }

    #[test]
    fn a_model_of_openais_takes_sampling_while_it_does_not_think() {
        use ThinkingWish::{Asked, Declined, Unsaid};
        let families = Families::embedded().unwrap();
        for (name, prefix) in [("openai", ""), ("azure", ""), ("openrouter", "openai/")] {
            let refuses = |model: &str, member: &str, wish| {
                let quirks = families.of(name).quirks(&format!("{prefix}{model}"));
                quirks.refuses(member, wish)
            };
            for always in [
                "o1",
                "o3-mini",
                "o4-mini-2025-04-16",
                "gpt-5",
                "gpt-5-nano",
                "gpt-5-codex",
                "gpt-5.1-codex-max",
                "gpt-5.4-pro",
                "gpt-5.2-chat-latest",
            ] {
                assert!(refuses(always, "temperature", Declined), "{always}@{name}");
            }
            for asked in ["gpt-5.1", "gpt-5.4", "gpt-5.4-mini"] {
                assert!(!refuses(asked, "temperature", Unsaid), "{asked}@{name}");
                assert!(refuses(asked, "temperature", Asked), "{asked}@{name}");
            }
            // These think where nobody says anything.
            for unasked in ["gpt-5.5", "gpt-5.5-2026-04-23", "gpt-5.6", "gpt-5.6-luna"] {
                for member in ["temperature", "top_p", "logprobs"] {
                    assert!(refuses(unasked, member, Unsaid), "{member}: {unasked}@{name}");
                    assert!(refuses(unasked, member, Asked), "{member}: {unasked}@{name}");
                    assert!(!refuses(unasked, member, Declined), "{member}: {unasked}@{name}");
                }
            }
            for plain in ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "gpt-oss-120b"] {
                assert!(!refuses(plain, "temperature", Asked), "{plain}@{name}");
            }
            assert!(refuses("o3", "stop", Unsaid) && !refuses("o3-mini", "stop", Unsaid));
        }
        let xai = families.of("xai").quirks("grok-4-fast");
        assert!(xai.refused.iter().any(|name| name == "stop"), "{xai:?}");
    }

    /// What a maker's model refuses is refused by the model, whoever sells it.
    #[test]
    fn every_seller_of_a_model_refuses_what_its_maker_refuses() {
        let families = Families::embedded().unwrap();
        let catalog = crate::catalog::Catalog::embedded().unwrap();
        let offers = catalog.offers();
        let mut compared = 0;
        for maker in ["anthropic", "openai"] {
            for own in offers.iter().filter(|it| *it.vendor == *maker && *it.provider == *maker) {
                let by_maker = families.of(maker).quirks(&own.upstream_model);
                let sellers = offers.iter().filter(|it| it.model == own.model && it != &own);
                for sold in sellers {
                    let by_seller = families.of(&sold.provider).quirks(&sold.upstream_model);
                    for wish in [ThinkingWish::Unsaid, ThinkingWish::Asked, ThinkingWish::Declined]
                    {
                        for member in ["temperature", "top_p", "top_k"] {
                            let refused = by_maker.refuses(member, wish);
                            let same = by_seller.refuses(member, wish) == refused;
                            assert!(same, "{}: {member}, thinking {wish:?}", sold.id);
                            compared += 1;
                        }
                    }
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    /// A choice by the gateway goes by the catalogue, and what is sent by the table.
    #[test]
    fn the_catalogue_and_the_table_agree_on_who_takes_a_schema() {
        let families = Families::embedded().unwrap();
        let catalog = crate::catalog::Catalog::embedded().unwrap();
        let (mut taken, mut told) = (0, 0);
        for offer in catalog.offers().iter().filter(|offer| offer.upstream_model.contains("claude"))
        {
            let quirks = families.of(&offer.provider).quirks(&offer.upstream_model);
            let takes = quirks.structured == Structured::Schema;
            assert!(takes || !offer.structured_output, "{}", offer.id);
            if &*offer.provider == "anthropic" {
                assert_eq!(takes, offer.structured_output, "{}", offer.id);
            }
            if offer.structured_output { taken += 1 } else { told += 1 }
        }
        assert!(taken > 50 && told > 20, "{taken} {told}");
    }
}
