//! What a request would lose on its way to an offer that is spoken to in another dialect: a reason
//! to leave the offer out. Translates once for each way in which providers want to be spoken to, a
//! few times at most, and nothing where the caller's own dialect is spoken. Offers that go beyond
//! are looked at when their turn comes, as all are once more.

use turnpike_protocol::{Call, Dialect, LimitField, Losses, Outgoing, Quirks, Severity, translate};

use crate::catalog::Offer;
use crate::gateway::{Gateway, Provider};
use crate::route::Rejection;

use super::flight::Flight;

/// Losses of one request, by the way in which the provider is spoken to.
pub(super) struct Fidelity<'a> {
    gateway: &'a Gateway,
    call: &'a Call,
    /// The least loss that rules an offer out.
    tolerated: Severity,
    /// An answer, and nothing in the request that a provider of its dialect may refuse.
    simple: bool,
    known: Vec<(Way<'a>, Option<String>)>,
}

/// Ways that are tried for one request. An installation has about as many; a long request takes
/// milliseconds for each.
const TRANSLATIONS_MAX: usize = 12;

/// All that the losses of a translation depend on besides the request.
#[derive(PartialEq, Eq)]
struct Way<'a> {
    dialect: Dialect,
    quirks: &'a Quirks,
    limit_field: LimitField,
    model_limit: Option<u32>,
}

// === impl Fidelity ===

impl<'a> Fidelity<'a> {
    pub(super) fn new(flight: &'a Flight) -> Self {
        let tolerated = tolerated(flight);
        let call = &*flight.call;
        let simple = !call.embeds() && !call.is_refusable();
        Self { gateway: &flight.gateway, call, tolerated, simple, known: Vec::new() }
    }

    /// Why `offer` can't be asked without losing what may not be lost.
    pub(super) fn check(&mut self, offer: &Offer) -> Option<Rejection> {
        // Asked of every candidate: the usual request has nothing that anybody refuses.
        if self.simple && offer.speaks(self.call.dialect.label()) {
            return None;
        }
        let provider = self.gateway.providers.get(&*offer.provider)?;
        let Some(dialect) = provider.dialect(offer, self.call) else {
            return Some(Rejection::Dialect);
        };
        if dialect == self.call.dialect {
            return self.refused(provider.quirks(&offer.upstream_model));
        }
        if self.call.kept_elsewhere().is_some() {
            return Some(Rejection::KeptElsewhere);
        }
        let way = Way::of(provider, offer, dialect);
        if let Some((_, what)) = self.known.iter().find(|(known, _)| *known == way) {
            return what.clone().map(|what| Rejection::Lossy { what });
        }
        if self.known.len() >= TRANSLATIONS_MAX {
            return None;
        }
        let what = self.lost(&way);
        self.known.push((way, what.clone()));
        what.map(|what| Rejection::Lossy { what })
    }

    /// The first thing that would be lost beyond what is tolerated. A request that can't be
    /// translated at all is refused when it is, with the reason.
    fn lost(&self, way: &Way<'_>) -> Option<String> {
        let out = Outgoing {
            model: &self.call.model,
            output_limit: None,
            model_limit: way.model_limit,
            limit_field: way.limit_field,
            quirks: way.quirks,
        };
        let translated = translate::request(self.call, way.dialect, &out).ok()?;
        beyond(&translated.losses, self.tolerated)
    }

    /// The same for members that a provider of the caller's own dialect refuses.
    fn refused(&self, quirks: &Quirks) -> Option<Rejection> {
        if quirks.refused.is_empty() {
            return None;
        }
        beyond(&self.call.refused(quirks), self.tolerated).map(|what| Rejection::Lossy { what })
    }
}

/// The first of the losses that this caller does not tolerate, in words.
pub(super) fn intolerable(flight: &Flight, losses: &Losses) -> Option<String> {
    beyond(losses, tolerated(flight))
}

/// The least loss that rules an offer out. Who wants it strictly is not even served with something
/// close.
fn tolerated(flight: &Flight) -> Severity {
    if flight.manner.strict { Severity::Approximated } else { Severity::Unsupported }
}

fn beyond(losses: &Losses, tolerated: Severity) -> Option<String> {
    let worst = losses.iter().find(|loss| loss.severity >= tolerated)?;
    Some(format!("{} ({})", worst.at, worst.what))
}

// === impl Way ===

impl<'a> Way<'a> {
    fn of(provider: &'a Provider, offer: &Offer, dialect: Dialect) -> Self {
        // Elsewhere nothing is made to fit the model's own bound.
        let fitted = matches!(dialect, Dialect::AnthropicMessages | Dialect::BedrockConverse);
        let model_limit = (fitted && offer.output_tokens > 0).then_some(offer.output_tokens);
        let quirks = provider.quirks(&offer.upstream_model);
        Self { dialect, quirks, limit_field: provider.limit_field, model_limit }
    }
}
