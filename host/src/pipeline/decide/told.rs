//! Why nobody can take a request, in words: what came nearest first, what holds of several once,
//! and what to do about it. Decides nothing.

use crate::catalog::{Kind, Offer};
use crate::route::{Rejection, Selector};

use super::super::flight::Flight;
use super::EMBEDDING;

/// Offers that are named of those that are out by a figure.
const NEAREST_SHOWN: usize = 3;
/// Different reasons that are told.
const REASONS_SHOWN: usize = 4;

/// Characters of a model's name, and its providers, that are repeated.
const MODEL_SHOWN: usize = 100;
const PROVIDERS_SHOWN: usize = 4;

/// A candidate that is out, by its name, and the reason.
type Out<'a> = (&'a str, &'a Rejection);

/// See the head of this file.
pub(super) fn of(flight: &Flight) -> String {
    // Where the choice is ours, only what was near to being chosen is worth telling.
    let ours = matches!(flight.selector(), Selector::Auto(_));
    let mut out = out_for(flight, |reason| !ours || !is_plain(reason));
    if out.is_empty() {
        out = out_for(flight, |reason| *reason == Rejection::GivenAway);
    }
    out.sort_by_key(|(_, reason)| distance(reason));
    let Some((offer, nearest)) = out.first() else {
        let kind = if flight.call.embeds() { EMBEDDING } else { "chat" };
        return format!("no {kind} model is configured; the operator adds one under [providers]");
    };
    let remedy = remedy(flight, offer, nearest);
    let named: Vec<Out<'_>> = out.iter().map(|(offer, reason)| (&*offer.id, *reason)).collect();
    format!("{}; {remedy}", in_words(&named))
}

/// Who could answer, for words about those that can't now: of a model by its name those that sell
/// it and that `are` holds of, by what they are out for, if anything. What else there is may be
/// well, and helps nobody.
pub(in super::super) fn whoever(
    flight: &Flight,
    are: impl Fn(Option<&Rejection>) -> bool,
) -> String {
    if matches!(flight.selector(), Selector::Auto(_)) {
        return "every model that could answer".to_owned();
    }
    let mut providers: Vec<&str> = Vec::new();
    let meant = flight.candidates.iter().filter(|candidate| are(candidate.rejection.as_ref()));
    for offer in meant.filter_map(|candidate| flight.offer(candidate)) {
        if !providers.contains(&&*offer.provider) {
            providers.push(&offer.provider);
        }
    }
    let model: String = flight.call.model.chars().take(MODEL_SHOWN).collect();
    if providers.is_empty() {
        return format!("the model {model:?}");
    }
    let shown = providers.get(..providers.len().min(PROVIDERS_SHOWN)).unwrap_or_default();
    let more = if shown.len() < providers.len() { " and others" } else { "" };
    format!("the model {model:?} at {}{more}", shown.join(", "))
}

fn out_for(flight: &Flight, telling: impl Fn(&Rejection) -> bool) -> Vec<(&Offer, &Rejection)> {
    let out = flight.candidates.iter().filter_map(|candidate| {
        let reason = candidate.rejection.as_ref().filter(|reason| telling(reason))?;
        Some((&**flight.offer(candidate)?, reason))
    });
    out.collect()
}

/// What holds of many offers whatever the request is.
fn is_plain(reason: &Rejection) -> bool {
    use Rejection::{Deprecated, Dialect, GivenAway, NotChat, NotEmbedding};
    matches!(reason, NotChat | NotEmbedding | Dialect | Deprecated | GivenAway)
}

/// How far from being chosen an offer is: what is looked at last goes first, since nothing else was
/// against it, and of those that are out by a figure the one that missed by least.
fn distance(reason: &Rejection) -> (u8, u128) {
    match reason {
        Rejection::Policy
        | Rejection::Budget
        | Rejection::BudgetShort
        | Rejection::CreditShort
        | Rejection::HostedTool => (0, 0),
        Rejection::TooSlow { expected_ms, .. } => (1, (*expected_ms).into()),
        Rejection::TooWeak { permille, least } => (2, least.saturating_sub(*permille).into()),
        Rejection::TooDear { expected, .. } => (3, expected.0),
        Rejection::SearchUnpriced | Rejection::ToolUnpriced => (4, 0),
        Rejection::Lossy { .. } | Rejection::KeptElsewhere => (5, 0),
        Rejection::Resting { .. } | Rejection::Busy { .. } => (6, 0),
        Rejection::Context { limit, .. } => (7, u32::MAX.saturating_sub(*limit).into()),
        Rejection::Output { limit, .. } => (8, u32::MAX.saturating_sub(*limit).into()),
        Rejection::StructuredOutput => (9, 0),
        Rejection::Tools
        | Rejection::ImageInput
        | Rejection::AudioInput
        | Rejection::FileInput
        | Rejection::AudioOutput => (10, 0),
        Rejection::RuleDenies { .. }
        | Rejection::RuleAllowsNot { .. }
        | Rejection::Region { .. }
        | Rejection::Retention => (11, 0),
        Rejection::Unpriced | Rejection::Deprecated | Rejection::GivenAway => (12, 0),
        Rejection::NotAllowed
        | Rejection::NotInPlan
        | Rejection::NotChat
        | Rejection::NotEmbedding
        | Rejection::Dialect => (13, 0),
    }
}

/// Whether offers are out for it by a figure of their own.
fn is_measured(reason: &Rejection) -> bool {
    use Rejection::{Context, Output, TooDear, TooSlow, TooWeak};
    matches!(
        reason,
        TooSlow { .. } | TooWeak { .. } | TooDear { .. } | Context { .. } | Output { .. }
    )
}

/// The reasons of those that are out, the nearest first, each of them once.
fn in_words(out: &[Out<'_>]) -> String {
    let alike = |a: &Rejection, b: &Rejection| match is_measured(a) {
        true => a.code() == b.code(),
        false => a == b,
    };
    let mut groups: Vec<Vec<Out<'_>>> = Vec::new();
    for one in out {
        let mut known = groups.iter_mut();
        match known.find(|group| group.first().is_some_and(|it| alike(it.1, one.1))) {
            Some(group) => group.push(*one),
            None => groups.push(vec![*one]),
        }
    }
    let mut told: Vec<String> = Vec::new();
    for group in groups.iter().take(REASONS_SHOWN) {
        // Others of the first reason show how far off they are.
        let named = if told.is_empty() { NEAREST_SHOWN } else { 1 };
        tell(group, named, out.len(), &mut told);
    }
    match groups.iter().skip(REASONS_SHOWN).map(Vec::len).sum::<usize>() {
        0 => {}
        rest => told.push(format!("{rest} others: for other reasons, see POST /v1/route")),
    }
    told.join("; ")
}

/// Those that are out for one reason, of so many in all.
fn tell(group: &[Out<'_>], named: usize, all: usize, told: &mut Vec<String>) {
    let Some((first, reason)) = group.first() else { return };
    if group.len() > 1 && !is_measured(reason) {
        told.push(match group.len() == all {
            true => format!("all {all}: {reason}"),
            false => format!("{}, such as {first}: {reason}", group.len()),
        });
        return;
    }
    told.extend(group.iter().take(named).map(|(offer, reason)| format!("{offer}: {reason}")));
    match group.len().saturating_sub(named) {
        0 => {}
        1 => told.push("1 other: no nearer".to_owned()),
        others => told.push(format!("{others} others: no nearer")),
    }
}

/// What to do about a reason; ends the sentence.
fn remedy(flight: &Flight, offer: &Offer, reason: &Rejection) -> String {
    let limit = flight.call.output_limit_field();
    let advice = match reason {
        Rejection::TooDear { .. } => {
            let less = match flight.call.embeds() {
                true => "or send less text".to_owned(),
                false => format!("set a lower {limit}, or send a shorter prompt"),
            };
            let raise =
                "raise the ceiling (x-turnpike-max-cost-usd, or cost_ceiling_usd of a rule)";
            return format!("{raise}, {less}");
        }
        Rejection::Context { .. } if flight.call.embeds() => "send less text",
        Rejection::Context { .. } => {
            return format!("send a shorter prompt, or set a lower {limit}");
        }
        Rejection::Output { limit: most, .. } => return format!("set {limit} to {most} or less"),
        Rejection::Unpriced => return unpriced(flight, offer),
        Rejection::NotEmbedding => return embedding_models(flight),
        Rejection::TooWeak { .. } => "lower x-turnpike-min-quality",
        Rejection::TooSlow { .. } => {
            "an administrator can raise first_token_ceiling_ms of the rule"
        }
        Rejection::NotChat if offer.kind == Kind::Embedding => {
            "it is for embeddings: ask it at POST /v1/embeddings, or ask here for \"auto\""
        }
        Rejection::NotChat | Rejection::Dialect | Rejection::Deprecated => "ask for \"auto\"",
        Rejection::Tools
        | Rejection::StructuredOutput
        | Rejection::ImageInput
        | Rejection::AudioInput
        | Rejection::FileInput
        | Rejection::AudioOutput => {
            "leave that out of the request, or ask the operator for a model that can"
        }
        Rejection::RuleDenies { .. }
        | Rejection::RuleAllowsNot { .. }
        | Rejection::Region { .. } => "an administrator of the organization can change its rules",
        Rejection::Retention => {
            "the operator can vouch for a provider (zero_retention), or an administrator change \
             the rule"
        }
        Rejection::SearchUnpriced | Rejection::ToolUnpriced => {
            "leave the tool out, or ask the operator to set its price"
        }
        Rejection::Lossy { .. } if flight.manner.strict => {
            "leave that out, or send it without x-turnpike-strict"
        }
        Rejection::Lossy { .. } | Rejection::HostedTool => {
            "leave that out, or ask for a model that is spoken to as you speak"
        }
        Rejection::KeptElsewhere => "send the whole conversation as input",
        Rejection::GivenAway => "name one of them, or ask the operator or an administrator",
        Rejection::Policy => "whoever keeps the organization's route policy can change it",
        Rejection::NotAllowed | Rejection::NotInPlan => "ask for one that GET /v1/models lists",
        Rejection::Resting { .. } | Rejection::Busy { .. } => "try again in a moment",
        Rejection::Budget | Rejection::BudgetShort | Rejection::CreditShort => {
            "send a shorter prompt, or choose a cheaper model"
        }
    };
    advice.to_owned()
}

/// About a price that is not known: of the model, or of the service tier that is asked for.
fn unpriced(flight: &Flight, offer: &Offer) -> String {
    // Whoever leaves out a tier that costs nothing more is where they were.
    let rates = offer.rates.at(flight.started.at_ms);
    if offer.is_priced() && rates.rates(0, flight.call.service_tier.as_deref()).is_err() {
        return "leave service_tier out, or ask the operator to set its price".to_owned();
    }
    let mut near = match flight.selector() {
        Selector::Named(name) => flight.gateway.offers.priced_like(name),
        Selector::Auto(_) => Vec::new(),
    };
    near.retain(|model| flight.caller.may_use(model));
    match near.is_empty() {
        true => "ask the operator to set its price".to_owned(),
        false => {
            format!("ask for one with a known price and a name near it: `{}`", near.join("`, `"))
        }
    }
}

/// Where vectors are asked of what gives none.
fn embedding_models(flight: &Flight) -> String {
    let offers = flight.gateway.offers.offers().iter();
    let mut usable = offers.filter(|offer| offer.kind == Kind::Embedding && offer.is_priced());
    match usable.find(|offer| flight.caller.may_use(&offer.model)) {
        Some(offer) => format!("ask for an embedding model, such as {}", offer.model),
        None => "the operator can add a provider that has an embedding model".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use turnpike_ledger::PicoUsd;

    use super::*;

    fn dear(pico: u128) -> Rejection {
        Rejection::TooDear { expected: PicoUsd(pico), ceiling: PicoUsd(1_000_000) }
    }

    /// As the reasons of candidates called `m0`, `m1` and so on are told.
    fn told(reasons: &[Rejection]) -> String {
        let names: Vec<String> = (0..reasons.len()).map(|place| format!("m{place}")).collect();
        let mut out: Vec<Out<'_>> = names.iter().map(String::as_str).zip(reasons).collect();
        out.sort_by_key(|(_, reason)| distance(reason));
        in_words(&out)
    }

    #[test]
    fn those_that_missed_by_least_are_named_and_the_others_counted() {
        let costs = [900, 70, 8, 5_000, 33].map(|dollars| dear(dollars * 1_000_000));
        let text = told(&costs);
        let parts: Vec<&str> = text.split("; ").collect();
        let [first, second, third, others] = parts.as_slice() else { panic!("{text}") };
        assert!(first.starts_with("m2: expected 0.000008 USD is over the ceiling"), "{text}");
        assert!(second.starts_with("m4: ") && third.starts_with("m1: "), "{text}");
        assert_eq!(*others, "2 others: no nearer");
        let windows =
            [8_000, 128_000, 32_000].map(|limit| Rejection::Context { needed: 1_000_000, limit });
        assert!(told(&windows).starts_with("m1: the request may need 1000000 tokens, it takes"));
        let weak = [804, 620].map(|permille| Rejection::TooWeak { permille, least: 999 });
        let text = told(&weak);
        assert!(
            text.starts_with("m0: its quality at the task, 0.804, is below the 0.999"),
            "{text}"
        );
    }

    #[test]
    fn one_reason_of_all_is_told_once() {
        let denied = || Rejection::RuleDenies { rule: "nothing".into() };
        let text = told(&[denied(), denied(), denied()]);
        assert_eq!(text, "all 3: the organization's rule \"nothing\" denies it");
        assert_eq!(told(&[denied()]), "m0: the organization's rule \"nothing\" denies it");
    }

    #[test]
    fn what_is_nearest_to_being_chosen_goes_before_what_can_not_do_it_at_all() {
        let denied = Rejection::RuleDenies { rule: "r".into() };
        let mut out = vec![Rejection::Tools, Rejection::Tools, denied, dear(2_000_000)];
        let text = told(&out);
        assert!(text.starts_with("m3: expected 0.000002 USD"), "{text}");
        assert!(text.contains("; 2, such as m0: it can't call tools; m2: the org"), "{text}");
        out.extend([Rejection::NotAllowed, Rejection::Unpriced, Rejection::ImageInput]);
        let text = told(&out);
        assert!(text.ends_with("2 others: for other reasons, see POST /v1/route"), "{text}");
    }
}
