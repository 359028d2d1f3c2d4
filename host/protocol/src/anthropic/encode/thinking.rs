//! How much a provider of this dialect is asked to think: a budget in tokens, or `adaptive` with an
//! effort. A budget is fitted between 1024 and the answer's bound rather than refused.

use serde_json::{Value, json};

use crate::anthropic::request::BUDGET_MIN;
use crate::neutral::{Effort, Losses, Reasoning, Request, ToolChoice};

/// Answer tokens for a request that sets no bound, to a model whose own is not known.
const OUTPUT_DEFAULT: u32 = 4_096;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) max_tokens: u32,
    /// The value of `thinking`.
    pub(super) thinking: Option<Value>,
    /// The value of `output_config.effort`.
    pub(super) effort: Option<&'static str>,
}

/// The bounds that apply to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Set by the host or the caller.
    pub(super) asked: Option<u32>,
    /// The model's own.
    pub(super) model: Option<u32>,
    /// The model decides how long it thinks.
    pub(super) adaptive: bool,
    /// The turn to go on from has no thinking where a budget would demand it.
    pub(super) lacks_thinking: bool,
}

// === impl Plan ===

impl Plan {
    /// Whether the model will think.
    pub(super) fn thinks(&self) -> bool {
        let kind = self.thinking.as_ref().and_then(|thinking| thinking.get("type"));
        kind.is_some_and(|kind| kind != "disabled")
    }

    pub(super) fn new(request: &Request, bounds: &Bounds, losses: &mut Losses) -> Self {
        let limit = bounds.asked.or(bounds.model).unwrap_or(OUTPUT_DEFAULT);
        let mut plan = Self { max_tokens: limit, ..Self::default() };
        let Some(reasoning) = &request.reasoning else { return plan };
        if reasoning.budget == Some(0) || reasoning.effort == Some(Effort::None) {
            // Said outright only where the caller did: older models know no such member.
            if reasoning.budget == Some(0) {
                plan.thinking = Some(json!({ "type": "disabled" }));
            }
            return plan;
        }
        let forced = matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Named(_))
                | Some(ToolChoice::Among { required: true, .. })
        );
        if forced && !request.tools.is_empty() {
            losses.dropped("reasoning", "the provider does not think when a tool is forced");
            return plan;
        }
        if bounds.adaptive {
            plan.adapt(reasoning, losses);
        } else {
            plan.budget(reasoning, bounds, losses);
        }
        plan
    }

    fn adapt(&mut self, reasoning: &Reasoning, losses: &mut Losses) {
        let mut thinking = json!({ "type": "adaptive" });
        if let Some(object) = thinking.as_object_mut()
            && reasoning.summary.is_some()
        {
            object.insert("display".to_owned(), Value::from("summarized"));
        }
        self.thinking = Some(thinking);
        let effort = match (reasoning.effort, reasoning.budget) {
            (Some(effort), _) => Some(effort),
            (None, Some(budget)) => {
                losses.approximated("reasoning.budget", "an effort stands for the budget");
                Some(Effort::of_budget(budget))
            }
            (None, None) => None,
        };
        self.effort = effort.map(|effort| match effort {
            Effort::Max => "max",
            // The lowest there is.
            Effort::Minimal => "low",
            other => other.word(),
        });
    }

    fn budget(&mut self, reasoning: &Reasoning, bounds: &Bounds, losses: &mut Losses) {
        if bounds.lacks_thinking {
            let what = "the turn that called tools has no thinking that the provider signed";
            losses.dropped("reasoning", what);
            return;
        }
        let wanted = reasoning.budget.unwrap_or_else(|| {
            losses.approximated("reasoning.effort", "a budget of tokens stands for the effort");
            reasoning.effort.unwrap_or(Effort::Medium).budget()
        });
        if bounds.asked.is_none() && bounds.model.is_none() {
            self.max_tokens = OUTPUT_DEFAULT.saturating_add(wanted.max(BUDGET_MIN));
        }
        let most = self.max_tokens.saturating_sub(1);
        if most < BUDGET_MIN {
            losses.dropped("reasoning", "the answer's bound leaves no room for thinking");
            return;
        }
        // An effort says nothing of tokens: half of the bound is left for the answer.
        let most = match reasoning.budget {
            Some(_) => most,
            None => (self.max_tokens / 2).clamp(BUDGET_MIN, most),
        };
        let fitted = wanted.clamp(BUDGET_MIN, most);
        if reasoning.budget.is_some_and(|budget| budget != fitted) {
            losses.approximated("reasoning.budget", "the budget is fitted to the answer's bound");
        }
        self.thinking = Some(json!({ "type": "enabled", "budget_tokens": fitted }));
    }
}
