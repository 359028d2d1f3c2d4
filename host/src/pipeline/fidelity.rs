//! What a request would lose on its way to an offer that is spoken to in another dialect: a reason
//! to leave the offer out. Reads the request once and writes it once for each way in which
//! providers want to be spoken to, a few times at most, and not at all where the caller's own
//! dialect is spoken; a long request never on a worker's own thread. Offers that go beyond are
//! looked at when their turn comes, as all are once more.

use std::sync::Arc;

use turnpike_protocol::quirks::Structured;
use turnpike_protocol::translate::{TranslatedRequest, Understood};
use turnpike_protocol::{
    Call, Dialect, LimitField, Losses, Outgoing, Quirks, RequestError, Severity, translate,
};

use crate::catalog::Offer;
use crate::gateway::{Gateway, Provider};
use crate::route::{Rejection, Selector};

use super::flight::Flight;

/// Losses of one request, by the way in which the provider is spoken to.
pub(super) struct Fidelity<'a> {
    gateway: &'a Gateway,
    call: &'a Arc<Call>,
    /// The call as it is understood, once that has been needed.
    understood: Option<Understood>,
    /// The least loss that rules an offer out.
    tolerated: Severity,
    /// An answer, and nothing in the request for which a provider of its dialect could be out.
    simple: bool,
    /// The choice is ours, and the answer must keep to a schema.
    by_schema: bool,
    known: Vec<(Way<'a>, Option<String>)>,
}

/// Ways that are tried for one request. An installation has about as many; a long request takes
/// milliseconds for each.
const TRANSLATIONS_MAX: usize = 12;

/// Bytes of a request from which on it is translated beside the workers: a worker serves many, and
/// this much takes some milliseconds to read and to write.
const ASIDE_BYTES: usize = 256 << 10;

/// All that the losses of a translation depend on besides the request.
#[derive(Clone, Copy, PartialEq, Eq)]
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
        let call = &flight.call;
        let by_schema = call.needs.schema && matches!(flight.selector(), Selector::Auto(_));
        let simple = !call.embeds() && !by_schema && !call.is_refusable(tolerated);
        let (understood, known) = (None, Vec::new());
        Self { gateway: &flight.gateway, call, understood, tolerated, simple, by_schema, known }
    }

    /// Finds out beforehand what a long request would lose on its way to these offers.
    pub(super) async fn prepare(&mut self, offers: impl Iterator<Item = &'a Offer>) {
        if !is_long(self.call) || self.call.kept_elsewhere().is_some() {
            return;
        }
        let mut ways: Vec<Way<'a>> = Vec::new();
        for way in offers.filter_map(|offer| self.way_of(offer)) {
            if !ways.contains(&way) && ways.len() < TRANSLATIONS_MAX {
                ways.push(way);
            }
        }
        if ways.is_empty() {
            return;
        }
        let (call, tolerated) = (Arc::clone(self.call), self.tolerated);
        let orders: Vec<Order> = ways.iter().map(Way::order).collect();
        let look = move || {
            let understood = Understood::of(&call).ok();
            let lost = |order: &Order| {
                let way = order.way();
                lost(&call, understood.as_ref()?, &way, tolerated)
            };
            orders.iter().map(lost).collect::<Vec<_>>()
        };
        let found = self.gateway.aside.run(look).await.unwrap_or_default();
        self.known = ways.into_iter().zip(found).collect();
    }

    /// The way to an offer; `None` in the caller's own dialect, and where there is none.
    fn way_of(&self, offer: &Offer) -> Option<Way<'a>> {
        if self.simple && offer.speaks(self.call.dialect.label()) {
            return None;
        }
        let provider = self.gateway.providers.get(&*offer.provider)?;
        let dialect = provider.dialect(offer, self.call)?;
        (dialect != self.call.dialect).then(|| Way::of(provider, offer, dialect))
    }

    /// Why `offer` can't be asked without losing what may not be lost.
    pub(super) fn check(&mut self, offer: &Offer) -> Option<Rejection> {
        // Asked of every candidate: the usual request has nothing that anybody refuses.
        if self.simple && offer.speaks(self.call.dialect.label()) {
            return None;
        }
        let provider = self.gateway.providers.get(&*offer.provider)?;
        let structured = provider.quirks(&offer.upstream_model).structured;
        if self.by_schema && structured != Structured::Schema {
            return Some(Rejection::StructuredOutput);
        }
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
        if self.known.len() >= TRANSLATIONS_MAX || is_long(self.call) {
            return None;
        }
        let what = self.lost(&way);
        self.known.push((way, what.clone()));
        what.map(|what| Rejection::Lossy { what })
    }

    /// The first thing that would be lost beyond what is tolerated. A request that can't be
    /// translated at all is refused when it is, with the reason.
    fn lost(&mut self, way: &Way<'_>) -> Option<String> {
        if self.understood.is_none() {
            self.understood = Understood::of(self.call).ok();
        }
        lost(self.call, self.understood.as_ref()?, way, self.tolerated)
    }

    /// The same for members that a provider of the caller's own dialect refuses.
    fn refused(&self, quirks: &Quirks) -> Option<Rejection> {
        if quirks.takes_all() && quirks.betas.is_none() {
            return None;
        }
        beyond(&self.call.refused(quirks), self.tolerated).map(|what| Rejection::Lossy { what })
    }
}

fn lost(
    call: &Call,
    understood: &Understood,
    way: &Way<'_>,
    tolerated: Severity,
) -> Option<String> {
    let out = Outgoing {
        model: &call.model,
        output_limit: None,
        model_limit: way.model_limit,
        limit_field: way.limit_field,
        quirks: way.quirks,
    };
    let translated = understood.written(call, way.dialect, &out).ok()?;
    beyond(&translated.losses, tolerated)
}

fn is_long(call: &Call) -> bool {
    call.body_len > ASIDE_BYTES
}

/// A call in another dialect, as it goes out; a long one is written beside the worker.
pub(super) async fn translated(
    flight: &Flight,
    to: Dialect,
    out: &Outgoing<'_>,
) -> Option<Result<TranslatedRequest, RequestError>> {
    if !is_long(&flight.call) {
        return Some(translate::request(&flight.call, to, out));
    }
    let (call, model, quirks) =
        (Arc::clone(&flight.call), out.model.to_owned(), out.quirks.clone());
    let (output_limit, model_limit) = (out.output_limit, out.model_limit);
    let limit_field = out.limit_field;
    let write = move || {
        let (model, quirks) = (&*model, &quirks);
        let out = Outgoing { model, output_limit, model_limit, limit_field, quirks };
        translate::request(&call, to, &out)
    };
    flight.gateway.aside.run(write).await
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

    fn order(&self) -> Order {
        let Self { dialect, limit_field, model_limit, .. } = *self;
        Order { dialect, quirks: self.quirks.clone(), limit_field, model_limit }
    }
}

/// A way that outlives the request's look at the providers.
struct Order {
    dialect: Dialect,
    quirks: Quirks,
    limit_field: LimitField,
    model_limit: Option<u32>,
}

// === impl Order ===

impl Order {
    fn way(&self) -> Way<'_> {
        let Self { dialect, quirks, limit_field, model_limit } = self;
        let (dialect, limit_field) = (*dialect, *limit_field);
        Way { dialect, quirks, limit_field, model_limit: *model_limit }
    }
}
