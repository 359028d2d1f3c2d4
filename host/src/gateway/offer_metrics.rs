//! How offers are doing, in the text of the metrics: whether each may be asked, how quick it is,
//! how often it answers. Only of offers that have been asked. Shows what the health has; counts
//! nothing itself.

use crate::catalog::Offer;
use crate::route::{Gate, Health, Observed};

/// Families: name, what it says, and the figure.
type Family = (&'static str, &'static str, fn(&Observed) -> f64);

const FAMILIES: [Family; 5] = [
    ("turnpike_offer_open", "1: may be asked; 0.5: one request probes it; 0: rests", open),
    ("turnpike_offer_in_flight", "Requests on their way", |seen| f64::from(seen.now.in_flight)),
    ("turnpike_offer_availability", "Share of attempts answered lately", |seen| {
        seen.now.availability
    }),
    ("turnpike_offer_first_token_seconds", "To the first token, of short prompts", |seen| {
        seen.now.first_token_ms / 1e3
    }),
    ("turnpike_offer_tokens_per_second", "How fast it writes", |seen| seen.now.tokens_per_second),
];

/// Families in the text format, without the end mark; nothing before any was asked.
pub(super) fn text<'a>(
    offers: impl Iterator<Item = &'a Offer>,
    health: &Health,
    now_ms: u64,
) -> String {
    let asked: Vec<(&Offer, Observed)> = offers
        .enumerate()
        .filter_map(|(index, offer)| Some((offer, health.observed(index, now_ms)?)))
        .filter(|(_, seen)| seen.sampled_ms > 0)
        .collect();
    let mut out = String::new();
    for (family, help, figure) in FAMILIES.iter().filter(|_| !asked.is_empty()) {
        out.push_str(&format!("# HELP {family} {help}.\n# TYPE {family} gauge\n"));
        for (offer, seen) in &asked {
            let (provider, model) = (label(&offer.provider), label(&offer.model));
            let offer = label(&offer.id);
            let labels = format!("offer=\"{offer}\",provider=\"{provider}\",model=\"{model}\"");
            out.push_str(&format!("{family}{{{labels}}} {}\n", figure(seen)));
        }
    }
    out
}

/// Names come from the operator's configuration too, and may hold anything.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn open(seen: &Observed) -> f64 {
    match seen.gate {
        Gate::Closed | Gate::Full { .. } => 1.0,
        Gate::HalfOpen => 0.5,
        Gate::Open { .. } => 0.0,
    }
}
