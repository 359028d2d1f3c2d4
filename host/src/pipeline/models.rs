//! The lists of models: what a key may use and the names that let the gateway choose, in the shape
//! of whoever asks. Knows no shape itself; `protocol::models` writes them.

use http::Response;
use http::request::Parts;
use turnpike_protocol::models::{self, ModelEntry, Price, Shape};
use uuid::Uuid;

use crate::auth::Caller;
use crate::catalog::Offer;
use crate::clock;
use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::gateway::Gateway;

use super::endpoint::{self, List};
use super::serve;

/// The names by which a caller asks the gateway to choose.
const AUTO: [(&str, &str); 4] = [
    ("auto", "Best value for the task"),
    ("auto:cheap", "Cheapest that can"),
    ("auto:fast", "Fastest that can"),
    ("auto:best", "Best there is"),
];

/// `GET /v1/models` and its kin.
pub(super) fn all(gateway: &Gateway, id: Uuid, head: &Parts, list: List) -> Response<GatewayBody> {
    match serve::caller(gateway, head, clock::now_ms()) {
        Ok(caller) => serve::json(models::encode(shape(list), &listed(gateway, &caller)), id),
        Err(refusal) => refused(&refusal, head, id),
    }
}

/// `GET /v1/models/{id}` and its kin; ids hold slashes.
pub(super) fn one(
    gateway: &Gateway,
    id: Uuid,
    head: &Parts,
    list: List,
    asked: &str,
) -> Response<GatewayBody> {
    let caller = match serve::caller(gateway, head, clock::now_ms()) {
        Ok(caller) => caller,
        Err(refusal) => return refused(&refusal, head, id),
    };
    // What can be asked by its bare name can be looked up by it too.
    let resolved = gateway.offers.resolve(asked).ok();
    let offer = resolved.and_then(|offers| gateway.offers.offer(*offers.first()?));
    let name = offer.map_or(asked, |offer| &*offer.model);
    let found = listed(gateway, &caller).into_iter().find(|model| model.id == name);
    // Under the name that was asked for, which clients compare.
    let found = found.map(|model| ModelEntry { id: asked.to_owned(), ..model });
    match found {
        Some(model) => serve::json(models::encode_one(shape(list), &model), id),
        None => refused(&Refusal::unknown_model(asked, &[]), head, id),
    }
}

/// `GET /v1/model/info`: limits and prices, as LiteLLM's clients read them.
pub(super) fn priced(gateway: &Gateway, id: Uuid, head: &Parts) -> Response<GatewayBody> {
    match serve::caller(gateway, head, clock::now_ms()) {
        Ok(caller) => serve::json(models::encode_info(&listed(gateway, &caller)), id),
        Err(refusal) => refused(&refusal, head, id),
    }
}

fn refused(refusal: &Refusal, head: &Parts, id: Uuid) -> Response<GatewayBody> {
    refuse(refusal, endpoint::errors_of(&head.uri, &head.headers), &id.to_string())
}

fn shape(list: List) -> Shape {
    match list {
        List::OpenAi => Shape::OpenAi,
        List::Anthropic => Shape::Anthropic,
        List::Gemini => Shape::Gemini,
        List::Codex => Shape::Codex,
    }
}

fn listed(gateway: &Gateway, caller: &Caller) -> Vec<ModelEntry> {
    let auto = AUTO.iter().map(|(name, display_name)| ModelEntry {
        id: (*name).to_owned(),
        display_name: (*display_name).to_owned(),
        owned_by: "turnpike".to_owned(),
        ..ModelEntry::default()
    });
    let usable = gateway.offers.models().filter(|(model, offers)| {
        caller.may_use(model) && offers.iter().any(|offer| offer.is_priced())
    });
    let named = usable.filter_map(|(model, offers)| {
        // The cheapest stands for all who serve it: that is what a router would take first.
        let cheapest = |offer: &&std::sync::Arc<Offer>| offer.rates.base.input.map(|rate| rate.0);
        let offer = offers.iter().filter(|offer| offer.is_priced()).min_by_key(cheapest)?;
        Some(entry(model, offer))
    });
    auto.chain(named).collect()
}

fn entry(model: &str, offer: &Offer) -> ModelEntry {
    let price =
        |rate: Option<turnpike_ledger::PicoUsd>| rate.map(|rate| Price { pico_usd: rate.0 });
    ModelEntry {
        id: model.to_owned(),
        display_name: offer.display_name.to_string(),
        created_s: offer.released.as_deref().map_or(0, clock::day_start_s),
        owned_by: offer.vendor.to_string(),
        context_tokens: offer.context_tokens,
        output_tokens: offer.output_tokens,
        tools: offer.tools,
        images: offer.input.image,
        reasoning: offer.reasoning,
        input_price: price(offer.rates.base.input),
        output_price: price(offer.rates.base.output),
        cache_read_price: price(offer.rates.base.cache_read),
    }
}
