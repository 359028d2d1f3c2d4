//! What the organization's rules and the class of the data ask of this one request. Reads a header
//! and a snapshot; where there is neither a rule nor a class, nothing is looked at.

use std::sync::Arc;

use http::HeaderMap;
use turnpike_ledger::PicoUsd;

use crate::catalog::ConfiguredCatalog;
use crate::error::Refusal;
use crate::hook::Clearance;
use crate::route::{Profile, Selector, Situation, Terms, ranking_usd};

use super::flight::Flight;
use crate::policy::Objective;

/// The header in which a caller says how sensitive a request is.
const CLASS_HEADER: &str = "x-turnpike-class";

/// The header in which a caller says what a choice is to aim at.
const PROFILE_HEADER: &str = "x-turnpike-profile";

/// The profile that the caller wants for this request.
pub(super) fn profile_of(headers: &HeaderMap) -> Result<Option<Profile>, Box<Refusal>> {
    let Some(value) = headers.get(PROFILE_HEADER) else { return Ok(None) };
    let profile = value.to_str().ok().map(str::trim).and_then(Profile::from_label);
    profile.map(Some).ok_or_else(|| Box::new(Refusal::unknown_profile()))
}

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
        let asked = Situation {
            model: &flight.call.model,
            team: flight.caller.team.as_deref(),
            project: flight.caller.project.as_deref(),
            task: &flight.task.task,
        };
        let (offers, alias_of) = (&flight.gateway.offers, flight.alias_of.as_deref());
        let stands_for = match rules.go_by_model() {
            true => stands_for(offers, flight.selector(), alias_of),
            false => Vec::new(),
        };
        rules.terms_of(&asked, &stands_for)
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

/// What a model's name stands for, beside itself: behind an alias, the choice with its profile, the
/// models in the catalogue and the offers that may answer.
pub(super) fn stands_for<'a>(
    offers: &'a ConfiguredCatalog,
    selector: Selector<'a>,
    alias_of: Option<&'a str>,
) -> Vec<&'a str> {
    let mut names: Vec<&str> = alias_of.into_iter().collect();
    let name = match selector {
        Selector::Auto(profile) => {
            names.push(profile.model());
            return names;
        }
        Selector::Named(name) => name,
    };
    let meant = offers.resolve(name).unwrap_or_default();
    let meant = || meant.iter().filter_map(|index| offers.offer(*index));
    for offer in meant() {
        if !names.contains(&&*offer.model) {
            names.push(&offer.model);
        }
    }
    names.extend(meant().map(|offer| &*offer.id));
    names
}

/// Whether a choice may take what a provider gives away: as a rule says, else as the operator does.
pub(super) fn free_offers(flight: &Flight) -> bool {
    let ruled = flight.terms.as_ref().and_then(|terms| terms.free_offers);
    ruled.unwrap_or(flight.gateway.settings.free_offers)
}

/// What the route policy is told to aim at.
pub(super) fn objective(flight: &Flight) -> Objective {
    let selector = flight.selector();
    let Some(terms) = &flight.terms else {
        return Objective {
            profile: flight.profile().label().to_owned(),
            quality_floor: 0.0,
            cost_ceiling_usd: 0.0,
            first_token_ceiling_ms: 0.0,
        };
    };
    Objective {
        profile: match flight.asked_profile {
            // What the caller chooses goes before what a rule does.
            Some(profile) => profile.label().to_owned(),
            None => terms.profile(selector),
        },
        quality_floor: terms.quality_floor(),
        cost_ceiling_usd: ranking_usd(terms.cost_ceiling.unwrap_or(PicoUsd::ZERO)),
        first_token_ceiling_ms: terms.first_token_ceiling_ms,
    }
}
