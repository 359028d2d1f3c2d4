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

/// The headers in which a caller bounds what one request may be expected to cost, and says how good
/// an offer has to be at its task.
const COST_HEADER: &str = "x-turnpike-max-cost-usd";
const QUALITY_HEADER: &str = "x-turnpike-min-quality";

/// What a caller asks of one request beside the organization's rules: it holds together with them,
/// and takes nothing away from them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Limits {
    max_cost: Option<PicoUsd>,
    /// 0 to 1.
    min_quality: Option<f64>,
}

/// The limits of this request. Of a header that is sent twice the stricter one counts.
pub(super) fn limits_of(headers: &HeaderMap) -> Result<Limits, Box<Refusal>> {
    let mut limits = Limits::default();
    for value in headers.get_all(COST_HEADER) {
        let cost = value.to_str().ok().and_then(|text| text.trim().parse::<PicoUsd>().ok());
        let Some(cost) = cost.filter(|cost| !cost.is_zero()) else {
            let what = "an amount in US dollars above zero, such as 0.05";
            return Err(Box::new(Refusal::unknown_limit(COST_HEADER, what)));
        };
        limits.max_cost = Some(limits.max_cost.map_or(cost, |known| known.min(cost)));
    }
    for value in headers.get_all(QUALITY_HEADER) {
        let quality = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
        let Some(quality) = quality.filter(|quality| (0.0..=1.0).contains(quality)) else {
            let what = "a number from 0 to 1, such as 0.8";
            return Err(Box::new(Refusal::unknown_limit(QUALITY_HEADER, what)));
        };
        limits.min_quality = Some(limits.min_quality.map_or(quality, |known| known.max(quality)));
    }
    Ok(limits)
}

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
    let Limits { max_cost, min_quality } = flight.limits;
    if let Some(cost) = max_cost {
        let terms = terms.get_or_insert_default();
        terms.cost_ceiling = Some(terms.cost_ceiling.map_or(cost, |known| known.min(cost)));
    }
    if let Some(quality) = min_quality {
        terms.get_or_insert_default().quality_min = quality;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sent: &[(&'static str, &'static str)]) -> Result<Limits, (u16, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        limits_of(&headers).map_err(|refusal| (refusal.status.as_u16(), refusal.message))
    }

    #[test]
    fn limits_are_read_and_of_two_the_stricter_counts() {
        assert_eq!(read(&[]), Ok(Limits::default()));
        let limits = read(&[
            (COST_HEADER, "0.05"),
            (COST_HEADER, " 0.02 "),
            (QUALITY_HEADER, "0.7"),
            (QUALITY_HEADER, "0.5"),
        ]);
        let expected = Limits { max_cost: Some(PicoUsd(20_000_000_000)), min_quality: Some(0.7) };
        assert_eq!(limits, Ok(expected));
    }

    #[test]
    fn what_is_no_limit_is_refused_and_not_left_out() {
        let wrong = [
            (COST_HEADER, ["0", "-1", "a lot", "1e-3", ""]),
            (QUALITY_HEADER, ["1.1", "-0.1", "NaN", "high", ""]),
        ];
        for (header, values) in wrong {
            for value in values {
                let (status, message) = read(&[(header, value)]).unwrap_err();
                assert_eq!(status, 400, "{header}: {value}");
                assert!(message.contains(header) && message.contains("such as"), "{message}");
            }
        }
    }
}
