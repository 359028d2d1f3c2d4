//! The format of the answer and the measure of thinking, in the members that the provider knows.
//! What it knows no member for is asked for in words, or told as a loss.

use serde_json::{Value, json};

use crate::neutral::{Effort, Format, Losses, Part, Reasoning, Request};
use crate::quirks::{Quirks, ReasoningField, Structured};

use super::super::tree::Object;
use super::request::in_words;

/// Writes `response_format`.
pub(super) fn format(format: Option<&Format>, quirks: &Quirks, body: &mut Object) {
    let value = match (format, quirks.structured) {
        (None, _) | (_, Structured::Nothing) => return,
        (Some(Format::Json), _) | (_, Structured::Object) => json!({"type": "json_object"}),
        (Some(Format::Schema { name, description, schema, strict }), Structured::Schema) => {
            let mut inner = Object::new();
            let name = if name.is_empty() { "answer" } else { name };
            inner.insert("name".to_owned(), name.into());
            if let Some(description) = description {
                inner.insert("description".to_owned(), description.0.as_str().into());
            }
            inner.insert("schema".to_owned(), schema.0.clone());
            if let Some(strict) = strict {
                inner.insert("strict".to_owned(), (*strict).into());
            }
            json!({"type": "json_schema", "json_schema": inner})
        }
    };
    body.insert("response_format".to_owned(), value);
}

/// The words that ask for a format where the provider knows no member for it, or refuses the member
/// unless the conversation says JSON.
pub(super) fn format_in_words(
    request: &Request,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Option<String> {
    let format = request.format.as_ref()?;
    let words = in_words(format, quirks.structured)?;
    let known = quirks.structured != Structured::Nothing;
    if known && matches!(format, Format::Json) {
        return (!says_json(request)).then_some(words);
    }
    losses.approximated("response_format", "asked for in the instructions");
    Some(words)
}

fn says_json(request: &Request) -> bool {
    let turns = request.turns.iter().flat_map(|turn| &turn.parts);
    request.system.iter().chain(turns).any(|part| match part {
        Part::Text { text, .. } => {
            text.0.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"))
        }
        _ => false,
    })
}

/// What is asked of thinking, once the ways to say it are settled.
#[derive(Debug, Clone, Copy)]
struct Measure {
    on: bool,
    effort: Option<Effort>,
    budget: Option<u32>,
}

/// Writes the member that asks for thinking.
pub(super) fn reasoning(
    wish: Option<&Reasoning>,
    quirks: &Quirks,
    body: &mut Object,
    losses: &mut Losses,
) {
    let Some(wish) = wish else { return };
    if wish.effort.is_none() && wish.budget.is_none() && !wish.adaptive {
        return;
    }
    let on = wish.effort != Some(Effort::None) && (wish.effort.is_some() || wish.budget != Some(0));
    let measure = Measure { on, effort: wish.effort, budget: wish.budget };
    match quirks.reasoning {
        ReasoningField::Effort => effort(measure, quirks, body, losses),
        ReasoningField::Object => object(measure, body),
        ReasoningField::ThinkingType => {
            body.insert("thinking".to_owned(), json!({"type": switch(on, "enabled", "disabled")}));
            unmeasured(measure, losses);
        }
        ReasoningField::EnableThinking => {
            body.insert("enable_thinking".to_owned(), on.into());
            let budget = measure.budget.or(measure.effort.map(Effort::budget)).filter(|_| on);
            if let Some(budget) = budget {
                body.insert("thinking_budget".to_owned(), budget.into());
            }
        }
        ReasoningField::ChatTemplate => {
            body.insert("chat_template_kwargs".to_owned(), json!({"enable_thinking": on}));
            unmeasured(measure, losses);
        }
        ReasoningField::Unknown => {
            if on && (measure.effort.is_some() || measure.budget.is_some()) {
                losses.dropped("reasoning_effort", "the model cannot be asked to think");
            }
        }
    }
}

fn switch(on: bool, yes: &'static str, no: &'static str) -> &'static str {
    if on { yes } else { no }
}

fn effort(measure: Measure, quirks: &Quirks, body: &mut Object, losses: &mut Losses) {
    let word = match (measure.effort, measure.budget) {
        (Some(Effort::Max), _) => {
            losses.approximated("reasoning_effort", "the highest effort is sent as high");
            Effort::Max.word()
        }
        (Some(effort), _) => effort.word(),
        (None, Some(0)) if quirks.thinks_unasked => Effort::None.word(),
        // Many models refuse `none`; it is sent only to those who asked for it by that name.
        (None, Some(0)) => {
            losses.approximated("reasoning_effort", "left to the model rather than switched off");
            return;
        }
        (None, Some(budget)) => {
            losses.approximated("reasoning_effort", "an effort stands for the budget");
            Effort::of_budget(budget).word()
        }
        // The model decides, which is the default.
        (None, None) => return,
    };
    body.insert("reasoning_effort".to_owned(), word.into());
}

fn object(measure: Measure, body: &mut Object) {
    let value: Value = match measure {
        Measure { on: false, .. } => json!({"enabled": false}),
        Measure { effort: Some(Effort::Max), .. } => json!({"effort": "xhigh"}),
        Measure { effort: Some(effort), .. } => json!({"effort": effort.word()}),
        Measure { budget: Some(budget), .. } => json!({"max_tokens": budget}),
        Measure { .. } => json!({"enabled": true}),
    };
    body.insert("reasoning".to_owned(), value);
}

fn unmeasured(measure: Measure, losses: &mut Losses) {
    if measure.on && (measure.effort.is_some() || measure.budget.is_some()) {
        losses.approximated("reasoning_effort", "thinking is switched on without a measure");
    }
}
