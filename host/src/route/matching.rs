//! Hard constraints: what an offer can do and what the caller may use. Each rejection has a code
//! for programs and a sentence for people.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Needs;

use super::figures::FigureRow;
use super::health::Gate;
use super::rules::{Forbidden, Terms};
use super::selector::Selector;
use crate::catalog::{Kind, Offer};

const GIVEN_AWAY: &str = "its provider gives it away within quotas that all share: a choice takes \
                          it only where `routing.free_offers` or a rule's `free_offers` allows \
                          that";
const RETENTION: &str = "the data may only go to providers that keep nothing, and the operator \
                         vouches for none of that here";

/// Why an offer is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    NotAllowed,
    /// It does not answer in text: an embedding model, or one that draws or speaks.
    NotChat,
    /// It answers, and gives no vectors.
    NotEmbedding,
    /// Its provider serves it in wire protocols that the gateway does not speak.
    Dialect,
    /// It is spoken to in another dialect, which can't carry what the request holds.
    Lossy {
        what: String,
    },
    /// The request goes on from a response that only the provider which gave it can keep.
    KeptElsewhere,
    /// The request is about a tool that a provider runs by itself, and would be without it here
    /// where another offer has it.
    HostedTool,
    Unpriced,
    /// The provider may search the web for the answer, for nobody knows how much.
    SearchUnpriced,
    /// The provider may run other tools of its own, and what it charges for one is not known.
    ToolUnpriced,
    Deprecated,
    /// Its provider gives it away within quotas, and nobody has said that a choice may take it.
    GivenAway,
    Context {
        needed: u64,
        limit: u32,
    },
    Output {
        asked: u32,
        limit: u32,
    },
    Tools,
    StructuredOutput,
    ImageInput,
    AudioInput,
    FileInput,
    AudioOutput,
    Resting {
        until_ms: u64,
    },
    /// As many requests as it may have at a time are on their way to it.
    Busy {
        most: u32,
    },
    /// A rule of the organization denies it.
    RuleDenies {
        rule: Arc<str>,
    },
    /// It is none of those that a rule of the organization allows.
    RuleAllowsNot {
        rule: Arc<str>,
    },
    /// It is in none of the regions that a rule of the organization names.
    Region {
        rule: Arc<str>,
    },
    /// Its provider is not known to keep nothing, and the class of the data asks for that.
    Retention,
    /// It is expected to cost more than a rule of the organization, or the caller, allows.
    TooDear {
        expected: PicoUsd,
        ceiling: PicoUsd,
    },
    /// It is not so good at the task as the caller wants, in thousandths.
    TooWeak {
        permille: u64,
        least: u64,
    },
    /// Its first token is expected later than a rule of the organization allows.
    TooSlow {
        expected_ms: u64,
        ceiling_ms: u64,
    },
    /// The route policy gave it a negative score or none.
    Policy,
    /// The budget of its model can't afford it, or not what is held for the rest of the plan.
    Budget,
    /// What is left of another budget can't pay for the shortest answer that is worth asking for.
    BudgetShort,
    /// The organization's credit can't.
    CreditShort,
    /// The plan of the caller's organization does not include its model.
    NotInPlan,
}

/// What is asked of an offer.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What the model is to be for.
    pub kind: Kind,
    pub selector: Selector<'a>,
    pub needs: &'a Needs,
    /// Estimated upwards.
    pub input_tokens: u32,
    pub output_limit: Option<u32>,
    /// Whether a choice may take what its provider gives away.
    pub free_offers: bool,
}

/// The first constraint that rules `offer` out. `allowed`: whether the caller may use its model.
/// `gate`: how its health stands, looked at where nothing else is against it.
pub fn check(
    offer: &Offer,
    asked: &Asked<'_>,
    allowed: bool,
    gate: impl FnOnce() -> Gate,
) -> Option<Rejection> {
    let lasting = may_use(offer, asked, allowed).or_else(|| can_do(offer, asked));
    lasting.or_else(|| match gate() {
        Gate::Open { until_ms } => Some(Rejection::Resting { until_ms }),
        Gate::Full { most } => Some(Rejection::Busy { most }),
        Gate::Closed | Gate::HalfOpen => None,
    })
}

/// What the organization's rules have against the offer with that index. Goes before what it can
/// do: what is forbidden is of no interest otherwise.
pub fn forbidden(index: usize, offer: &Offer, terms: &Terms) -> Option<Rejection> {
    terms.forbids(index, offer).map(|why| match why {
        Forbidden::Denied(rule) => Rejection::RuleDenies { rule },
        Forbidden::NotAllowed(rule) => Rejection::RuleAllowsNot { rule },
        Forbidden::Region(rule) => Rejection::Region { rule },
        Forbidden::Retention => Rejection::Retention,
    })
}

/// What the ceilings of the organization's rules and the caller's limits have against an offer's
/// figures. A time that is only assumed is nothing against it, and marked: it is scored as if it
/// were the ceiling's.
pub fn over_ceiling(row: &mut FigureRow, terms: &Terms) -> Option<Rejection> {
    if let Some(ceiling) = terms.cost_ceiling
        && row.expected_cost > ceiling
    {
        return Some(Rejection::TooDear { expected: row.expected_cost, ceiling });
    }
    if row.quality < terms.quality_min {
        let [permille, least] = [row.quality, terms.quality_min].map(|it| whole(it * 1_000.0));
        return Some(Rejection::TooWeak { permille, least });
    }
    let ceiling = terms.first_token_ceiling_ms;
    if ceiling <= 0.0 || row.first_token_ms <= ceiling {
        return None;
    }
    row.assumed_over_ceiling = !row.first_token_measured;
    let (expected_ms, ceiling_ms) = (whole(row.first_token_ms), whole(ceiling));
    row.first_token_measured.then_some(Rejection::TooSlow { expected_ms, ceiling_ms })
}

/// Whole milliseconds, for words.
fn whole(ms: f64) -> u64 {
    let time = std::time::Duration::from_secs_f64(ms.clamp(0.0, 1e9) / 1000.0);
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn may_use(offer: &Offer, asked: &Asked<'_>, allowed: bool) -> Option<Rejection> {
    if !allowed {
        return Some(Rejection::NotAllowed);
    }
    match asked.kind {
        Kind::Chat if offer.kind != Kind::Chat || !offer.output.text => {
            return Some(Rejection::NotChat);
        }
        Kind::Embedding if offer.kind != Kind::Embedding => return Some(Rejection::NotEmbedding),
        Kind::Chat | Kind::Embedding => {}
    }
    if offer.dialects.is_empty() {
        return Some(Rejection::Dialect);
    }
    if !offer.is_priced() {
        return Some(Rejection::Unpriced);
    }
    // Who names a model gets it as long as its provider serves it.
    let chosen_by_us = matches!(asked.selector, Selector::Auto(_));
    if chosen_by_us && offer.deprecated {
        return Some(Rejection::Deprecated);
    }
    // Its price would win every choice, whatever its quotas are and whoever reads along.
    let withheld = offer.given_away && !asked.free_offers;
    (chosen_by_us && withheld).then_some(Rejection::GivenAway)
}

fn can_do(offer: &Offer, asked: &Asked<'_>) -> Option<Rejection> {
    let needs = asked.needs;
    let missing = [
        (needs.tools && !offer.tools, Rejection::Tools),
        (needs.image_input && !offer.input.image, Rejection::ImageInput),
        (needs.audio_input && !offer.input.audio, Rejection::AudioInput),
        (needs.file_input && !offer.input.file, Rejection::FileInput),
        (needs.audio_output && !offer.output.audio, Rejection::AudioOutput),
    ];
    if let Some((_, rejection)) = missing.into_iter().find(|(missing, _)| *missing) {
        return Some(rejection);
    }
    // A named model's provider is the better judge of its own limits and features; the catalogue
    // decides only where the choice is ours.
    if matches!(asked.selector, Selector::Named(_)) {
        return None;
    }
    if needs.structured_output && !offer.structured_output {
        return Some(Rejection::StructuredOutput);
    }
    let wanted = asked.output_limit.unwrap_or(0);
    if offer.output_tokens > 0 && wanted > offer.output_tokens {
        return Some(Rejection::Output { asked: wanted, limit: offer.output_tokens });
    }
    if !offer.fits(asked.input_tokens, wanted) {
        let needed = u64::from(asked.input_tokens).saturating_add(u64::from(wanted));
        let limit = offer.input_tokens.unwrap_or(offer.context_tokens);
        return Some(Rejection::Context { needed, limit });
    }
    None
}

impl Rejection {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::NotChat => "not_chat",
            Self::NotEmbedding => "not_embedding",
            Self::Dialect => "other_protocol",
            Self::Lossy { .. } => "lossy_translation",
            Self::KeptElsewhere => "kept_elsewhere",
            Self::HostedTool => "hosted_tool",
            Self::Unpriced | Self::SearchUnpriced | Self::ToolUnpriced => "unknown_price",
            Self::Deprecated => "deprecated",
            Self::GivenAway => "free_offer",
            Self::Context { .. } => "context_too_small",
            Self::Output { .. } => "output_too_small",
            Self::Tools => "no_tools",
            Self::StructuredOutput => "no_structured_output",
            Self::ImageInput => "no_image_input",
            Self::AudioInput => "no_audio_input",
            Self::FileInput => "no_file_input",
            Self::AudioOutput => "no_audio_output",
            Self::Resting { .. } => "resting",
            Self::Busy { .. } => "busy",
            Self::RuleDenies { .. } => "denied_by_rule",
            Self::RuleAllowsNot { .. } => "not_allowed_by_rule",
            Self::Region { .. } => "other_region",
            Self::Retention => "retains_data",
            Self::TooDear { .. } => "over_cost_ceiling",
            Self::TooWeak { .. } => "below_min_quality",
            Self::TooSlow { .. } => "over_time_ceiling",
            Self::Policy => "excluded_by_policy",
            Self::Budget => "model_budget",
            Self::BudgetShort => "budget_short",
            Self::CreditShort => "credit_short",
            Self::NotInPlan => "not_in_plan",
        }
    }
}

impl Rejection {
    /// Whether it is out for the money alone: some of it may come back, or less may do.
    pub fn is_money(&self) -> bool {
        matches!(self, Self::Budget | Self::BudgetShort | Self::CreditShort)
    }

    /// For people; usually a constant, since every candidate of every request may have one.
    pub fn text(&self) -> Cow<'static, str> {
        self.figures().map_or_else(|| Cow::Borrowed(self.words()), Cow::Owned)
    }

    /// The text of those that tell figures or names.
    fn figures(&self) -> Option<String> {
        Some(match self {
            Self::Lossy { what } => format!("translation would lose {what}"),
            Self::Context { needed, limit } => {
                format!("the request may need {needed} tokens, it takes {limit}")
            }
            Self::Output { asked, limit } => {
                format!("up to {asked} tokens of answer are asked for, it gives {limit}")
            }
            Self::Busy { most } => {
                format!("{most} requests are on their way to it, as many as it may have")
            }
            Self::RuleDenies { rule } => format!("the organization's rule {rule:?} denies it"),
            Self::RuleAllowsNot { rule } => {
                format!("the organization's rule {rule:?} allows only others")
            }
            Self::Region { rule } => format!("it is in no region that the rule {rule:?} allows"),
            Self::TooDear { expected, ceiling } => {
                format!("expected {expected} USD is over the ceiling of {ceiling} USD")
            }
            Self::TooWeak { permille, least } => too_weak(*permille, *least),
            Self::TooSlow { expected_ms, ceiling_ms } => format!(
                "its first token is expected after {expected_ms} ms, over the ceiling of \
                 {ceiling_ms} ms"
            ),
            _ => return None,
        })
    }

    /// The text of all others.
    fn words(&self) -> &'static str {
        match self {
            Self::NotAllowed => "this key may not use the model",
            Self::NotChat => "it does not answer in text",
            Self::NotEmbedding => "it gives no embeddings",
            Self::Dialect => "its provider serves it in a protocol that is not spoken here",
            Self::Lossy { .. } => "a translation would lose something",
            Self::KeptElsewhere => {
                "it has no Responses API that could keep what the request names by its id"
            }
            Self::HostedTool => {
                "it would be without the tool that a provider is to run by itself, and others run \
                 it"
            }
            Self::Unpriced => "its price is not known, and unknown is never free",
            Self::SearchUnpriced => {
                "the price of its web search is not known, and unknown is never free"
            }
            Self::ToolUnpriced => {
                "the price of a tool that it runs by itself is not known, and unknown is never free"
            }
            Self::Deprecated => "its provider is retiring it",
            Self::GivenAway => GIVEN_AWAY,
            Self::Context { .. } => "the request needs more tokens than it takes",
            Self::Output { .. } => "a longer answer is asked for than it gives",
            Self::Tools => "it can't call tools",
            Self::StructuredOutput => "it can't keep to a JSON schema",
            Self::ImageInput => "it can't read images",
            Self::AudioInput => "it can't hear audio",
            Self::FileInput => "it can't read documents",
            Self::AudioOutput => "it can't speak",
            Self::Resting { .. } => "it is resting after failures",
            Self::Busy { .. } => "it has as many requests as it may have",
            Self::RuleDenies { .. } | Self::RuleAllowsNot { .. } | Self::Region { .. } => {
                "a rule of the organization is against it"
            }
            Self::Retention => RETENTION,
            Self::TooDear { .. } => "its expected cost is over the ceiling",
            Self::TooWeak { .. } => "its quality is below what the request asks for",
            Self::TooSlow { .. } => "its first token is expected after the ceiling",
            Self::Policy => "the route policy excludes it",
            Self::NotInPlan => "the organization's plan does not include the model",
            Self::Budget => {
                "what is left of a model's budget does not pay for its place in the plan"
            }
            Self::BudgetShort => "what is left of a budget does not pay for an answer of it",
            Self::CreditShort => "the organization's credit does not pay for an answer of it",
        }
    }
}

/// In the unit in which a request asks for it.
fn too_weak(permille: u64, least: u64) -> String {
    let [quality, least] = [permille, least].map(|it| {
        let text = format!("{}.{:03}", it / 1_000, it % 1_000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    format!("its quality at the task, {quality}, is below the {least} that the request asks for")
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

#[cfg(test)]
mod tests;
