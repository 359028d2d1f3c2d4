//! What the organization's rules and the class of the data ask of this one request. Reads a header
//! and a snapshot; where there is neither a rule nor a class, nothing is looked at.

use std::sync::Arc;

use http::HeaderMap;
use turnpike_ledger::PicoUsd;

use crate::error::Refusal;
use crate::hook::Clearance;
use crate::route::{Situation, Terms, ranking_usd};

use super::flight::Flight;
use crate::policy::Objective;

/// The header in which a caller says how sensitive a request is.
const CLASS_HEADER: &str = "x-turnpike-class";

/// The class of data that the caller says the request is of.
pub(super) fn class_of(headers: &HeaderMap) -> Result<Option<Clearance>, Box<Refusal>> {
    let Some(value) = headers.get(CLASS_HEADER) else { return Ok(None) };
    let class = value.to_str().ok().and_then(Clearance::from_label);
    class.map(Some).ok_or_else(|| Box::new(Refusal::unknown_class()))
}

/// What is asked; `None` where nothing is. A class above the key's clearance is refused, whoever
/// found it: the caller, a rule, or the redact policy.
pub(super) fn of(flight: &Flight) -> Result<Option<Terms>, Box<Refusal>> {
    let rules = match &flight.rules {
        Some(tried) => Some(Arc::clone(tried)),
        None => flight.gateway.rulebook.of(&flight.caller.org),
    };
    let mut terms = rules.map(|rules| {
        rules.terms(&Situation {
            model: &flight.call.model,
            team: flight.caller.team.as_deref(),
            project: flight.caller.project.as_deref(),
            task: &flight.task.task,
        })
    });
    let class = flight.class.max(terms.as_ref().and_then(|terms| terms.class));
    if let Some(class) = class {
        if class > flight.caller.clearance {
            let may = flight.caller.clearance.label();
            return Err(Box::new(Refusal::class_forbidden(class.label(), may)));
        }
        if class >= Clearance::Confidential {
            terms.get_or_insert_default().zero_retention = true;
        }
    }
    Ok(terms)
}

/// What the route policy is told to aim at.
pub(super) fn objective(flight: &Flight) -> Objective {
    let selector = flight.selector();
    let Some(terms) = &flight.terms else {
        return Objective {
            profile: selector.profile().label().to_owned(),
            quality_floor: 0.0,
            cost_ceiling_usd: 0.0,
            first_token_ceiling_ms: 0.0,
        };
    };
    Objective {
        profile: terms.profile(selector),
        quality_floor: terms.quality_floor,
        cost_ceiling_usd: ranking_usd(terms.cost_ceiling.unwrap_or(PicoUsd::ZERO)),
        first_token_ceiling_ms: terms.first_token_ceiling_ms,
    }
}
