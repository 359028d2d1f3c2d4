//! What policies see of a request and of the offers, and the way from the redact room's scanner to
//! the policy: the seam between rooms that do not know each other.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Call;

use crate::auth::Caller;
use crate::catalog::{ConfiguredCatalog, Offer};
use crate::clock;
use crate::gateway::{Gateway, Wanted};
use crate::policy::{self, AttrValue, BindingSet, Conversation, Offers, Session};
use crate::redact::{self, Direction, Findings, ScanFailure};
use crate::route::Profile;

use super::conversation::Known;
use super::{flight, terms};

/// A call as policies read it.
pub(super) struct CallView(pub(super) Arc<Call>);

impl Conversation for CallView {
    fn messages(&self) -> usize {
        self.0.messages.len()
    }

    fn role(&self, message: usize) -> Option<&str> {
        self.0.messages.get(message).map(|message| message.role.label())
    }

    fn part(&self, message: usize, part: usize) -> Option<&str> {
        let texts = self.0.messages.get(message)?.texts.clone();
        self.0.texts.get(texts)?.get(part).map(|text| text.content.expose())
    }

    fn tools(&self) -> usize {
        self.0.tools.len()
    }

    fn tool_name(&self, tool: usize) -> Option<&str> {
        self.0.tools.get(tool).map(|tool| tool.name.as_str())
    }

    fn tool_description(&self, tool: usize) -> Option<&str> {
        self.0.tools.get(tool)?.description.as_ref().map(|text| text.expose())
    }
}

/// Who decides for this request, to its end.
pub(super) fn bindings(
    gateway: &Gateway,
    caller: &Caller,
    (model, alias_of, profile): (&str, Option<&str>, Option<Profile>),
    known: Known<'_>,
) -> Arc<BindingSet> {
    let stands_for = match gateway.bindings.go_by_model(&caller.org) {
        true => {
            let selector = flight::selector(model, alias_of, profile);
            terms::stands_for(&gateway.offers, selector, alias_of)
        }
        false => Vec::new(),
    };
    let wanted = Wanted {
        team: caller.team.as_deref(),
        project: caller.project.as_deref(),
        model,
        stands_for: &stands_for,
        key: &caller.key_id,
        session: known.name(),
        opening: [known.told, known.asked],
    };
    gateway.bindings.of(&caller.org, &wanted)
}

/// The offers as a route policy asks about them: their indices in the catalogue, row by row.
pub(super) struct Ranked {
    pub(super) catalog: Arc<ConfiguredCatalog>,
    pub(super) indices: Vec<usize>,
}

impl Ranked {
    fn offer(&self, row: usize) -> Option<&Offer> {
        self.catalog.offers().get(*self.indices.get(row)?).map(|offer| &**offer)
    }
}

impl Offers for Ranked {
    fn count(&self) -> usize {
        self.indices.len()
    }

    fn id(&self, row: usize) -> Option<&str> {
        self.offer(row).map(|offer| &*offer.id)
    }

    fn attr(&self, row: usize, name: &str) -> Option<AttrValue> {
        fact(self.offer(row)?, name)
    }
}

/// The whole catalogue, for policies that may look things up in it.
pub(crate) fn whole_catalog(catalog: &Arc<ConfiguredCatalog>) -> Arc<dyn Offers> {
    let indices = (0..catalog.offers().len()).collect();
    Arc::new(Ranked { catalog: Arc::clone(catalog), indices })
}

/// The list price of a token, exact.
fn price(rate: Option<PicoUsd>) -> Option<AttrValue> {
    rate.map(|rate| AttrValue::Text(rate.to_string()))
}

/// The names are listed in `docs/policies`.
pub(crate) fn fact(offer: &Offer, name: &str) -> Option<AttrValue> {
    let text = |value: &str| Some(AttrValue::Text(value.to_owned()));
    let today = || offer.rates.at(clock::now_ms()).base;
    let number = |value: u32| (value > 0).then(|| AttrValue::Number(f64::from(value)));
    match name {
        "vendor" => text(&offer.vendor),
        "model" => text(&offer.model),
        "provider" => text(&offer.provider),
        "family" => offer.family.as_deref().and_then(text),
        "region" => offer.region.as_deref().and_then(text),
        "released" => offer.released.as_deref().and_then(text),
        "context-tokens" => number(offer.context_tokens),
        "output-tokens" => number(offer.output_tokens),
        "needs.tools" => Some(AttrValue::Flag(offer.tools)),
        "needs.structured-output" => Some(AttrValue::Flag(offer.structured_output)),
        "needs.reasoning" => Some(AttrValue::Flag(offer.reasoning)),
        "needs.image-input" => Some(AttrValue::Flag(offer.input.image)),
        "open-weights" => Some(AttrValue::Flag(offer.open_weights)),
        "price.input" => price(today().input),
        "price.output" => price(today().output),
        "price.cache-read" => price(today().cache_read),
        _ => None,
    }
}

/// The request's session as the redact room's scanner.
pub(super) struct PolicyScan<'a>(pub(super) &'a mut Session);

impl redact::Scan for PolicyScan<'_> {
    async fn scan(
        &mut self,
        place: &redact::Place,
        text: &str,
        last: bool,
    ) -> Result<Findings, ScanFailure> {
        match self.0.scan(named(place), text, last).await {
            Ok(found) => Ok(findings(found)),
            Err(failure) => Err(ScanFailure { detail: failure.to_string() }),
        }
    }

    fn is_known_clean(&mut self, place: &redact::Place, json: bool, text: &str) -> bool {
        self.0.is_known_clean(named(place), json, text)
    }
}

fn named(place: &redact::Place) -> policy::Place<'static> {
    policy::Place {
        direction: match place.direction {
            Direction::Input => "input",
            Direction::Output => "output",
        },
        channel: place.channel.label(),
        role: place.role.label(),
    }
}

/// Texts are far below four gigabytes; a body's bound sees to that.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn findings(found: policy::Findings) -> Findings {
    let span = |span: policy::Span| redact::Span {
        start: offset(span.start),
        length: offset(span.length),
        kind: span.kind,
        action: match span.action {
            policy::Action::Note => redact::Action::Note,
            policy::Action::Mask => redact::Action::Mask,
            policy::Action::Pseudonymize => redact::Action::Pseudonymize,
            policy::Action::Replace(text) => redact::Action::Replace(text),
            policy::Action::Block(reason) => redact::Action::Block(reason),
        },
    };
    Findings {
        spans: found.spans.into_iter().map(span).collect(),
        hold: offset(found.hold),
        data_class: found.data_class,
    }
}
