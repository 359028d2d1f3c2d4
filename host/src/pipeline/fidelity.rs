//! What a request would lose on its way to an offer that is spoken to in another dialect: a reason
//! to leave the offer out. Translates at most once for each dialect, and nothing where the caller's
//! own is spoken.

use turnpike_protocol::{Call, Dialect, LimitField, Losses, Outgoing, Quirks, Severity, translate};

use crate::catalog::Offer;
use crate::gateway::Gateway;
use crate::route::Rejection;

use super::flight::Flight;

/// Losses of one request, by the dialect of the provider.
pub(super) struct Fidelity<'a> {
    gateway: &'a Gateway,
    call: &'a Call,
    /// The least loss that rules an offer out.
    tolerated: Severity,
    /// An answer, and nothing in the request that a provider of its dialect may refuse.
    simple: bool,
    known: Vec<(Dialect, Option<String>)>,
}

// === impl Fidelity ===

impl<'a> Fidelity<'a> {
    pub(super) fn new(flight: &'a Flight) -> Self {
        // Who wants it strictly is not even served with something close.
        let tolerated =
            if flight.manner.strict { Severity::Approximated } else { Severity::Unsupported };
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
        if self.call.previous_response() {
            let what = "the conversation that it names, which another provider keeps".to_owned();
            return Some(Rejection::Lossy { what });
        }
        if let Some((_, what)) = self.known.iter().find(|(known, _)| *known == dialect) {
            return what.clone().map(|what| Rejection::Lossy { what });
        }
        let what = self.lost(dialect);
        self.known.push((dialect, what.clone()));
        what.map(|what| Rejection::Lossy { what })
    }

    /// The first thing that would be lost beyond what is tolerated. A request that can't be
    /// translated at all is refused when it is, with the reason.
    fn lost(&self, dialect: Dialect) -> Option<String> {
        let out = Outgoing {
            model: &self.call.model,
            output_limit: None,
            model_limit: None,
            limit_field: LimitField::MaxTokens,
            quirks: &Quirks::default(),
        };
        let translated = translate::request(self.call, dialect, &out).ok()?;
        self.beyond(&translated.losses)
    }

    /// The same for members that a provider of the caller's own dialect refuses.
    fn refused(&self, quirks: &Quirks) -> Option<Rejection> {
        if quirks.refused.is_empty() {
            return None;
        }
        self.beyond(&self.call.refused(quirks)).map(|what| Rejection::Lossy { what })
    }

    fn beyond(&self, losses: &Losses) -> Option<String> {
        let worst = losses.iter().find(|loss| loss.severity >= self.tolerated)?;
        Some(format!("{} ({})", worst.at, worst.what))
    }
}
