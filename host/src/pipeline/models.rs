//! The lists of models: what a key may use and the names that let the gateway choose, in the shape
//! of whoever asks. Knows no shape itself; `protocol::models` writes them.

use http::request::Parts;
use http::{Response, Uri};
use turnpike_protocol::models::{self, ModelEntry, Price, Shape};
use uuid::Uuid;

use crate::auth::Caller;
use crate::catalog::{Kind, Offer};
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
    let caller = match serve::caller(gateway, head, clock::now_ms()) {
        Ok(caller) => caller,
        Err(refusal) => return refused(&refusal, head, id),
    };
    let listed = listed(gateway, &caller);
    if list != List::Gemini {
        return serve::json(models::encode(shape(list), &listed), id);
    }
    match page(&head.uri, &listed) {
        Ok((shown, next)) => serve::json(models::encode_page(shown, next.as_deref()), id),
        Err(refusal) => refused(&refusal, head, id),
    }
}

/// Models on a page of Google's, as it bounds it.
const PAGE_MAX: usize = 1_000;

/// The part of Google's list that its clients ask for, and the token of the next one: where it
/// begins. Who asks for no size gets all.
fn page<'a>(
    uri: &Uri,
    models: &'a [ModelEntry],
) -> Result<(&'a [ModelEntry], Option<String>), Box<Refusal>> {
    let number = |name: &str, what: &str| match endpoint::parameter(uri, name) {
        None | Some("") => Ok(0),
        Some(text) => text.parse::<usize>().map_err(|_| {
            let message = format!("{name} is not usable: send {what}, or leave it out");
            Box::new(Refusal::invalid(400, "invalid_value", message, Some(name.to_owned())))
        }),
    };
    let from = number("pageToken", "the nextPageToken of the page before")?;
    let size = match number("pageSize", "a whole number from 1 to 1000")? {
        0 => models.len(),
        size => size.min(PAGE_MAX),
    };
    let rest = models.get(from..).unwrap_or_default();
    let shown = rest.get(..size).unwrap_or(rest);
    let next = from.saturating_add(shown.len());
    Ok((shown, (next < models.len()).then(|| next.to_string())))
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
    let name = canonical(gateway, asked).unwrap_or(asked);
    let lower = asked.to_ascii_lowercase();
    let mut listed = listed(gateway, &caller);
    let own = listed.iter().position(|model| model.id == lower);
    let at = own.or_else(|| listed.iter().position(|model| model.id == name));
    let found = at.map(|at| listed.swap_remove(at));
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
    let usable = gateway.offers.models().filter(|(model, offers)| {
        caller.may_use(model) && offers.iter().any(|offer| offer.is_priced())
    });
    let named = usable.filter_map(|(model, offers)| {
        // The cheapest stands for all who serve it: that is what a router would take first.
        let today = |offer: &Offer| offer.rates.at(clock::now_ms()).base;
        let cheapest = |offer: &&std::sync::Arc<Offer>| today(offer).input.map(|rate| rate.0);
        let offer = offers.iter().filter(|offer| offer.is_priced()).min_by_key(cheapest)?;
        Some(entry(model, offer))
    });
    let named: Vec<ModelEntry> = named.collect();
    let mut all: Vec<ModelEntry> = AUTO.iter().map(|auto| chosen(*auto, &named)).collect();
    all.extend(named);
    let own = gateway.aliases.of(&caller.org);
    for (name, target) in own.iter().flat_map(|own| own.iter()) {
        // As what it stands for, where the key may use that.
        let stands_for = canonical(gateway, target).unwrap_or(target);
        if let Some(model) = all.iter().find(|model| model.id == stands_for) {
            let display_name = format!("{} ({name})", model.display_name);
            all.push(ModelEntry { id: name.to_string(), display_name, ..model.clone() });
        }
    }
    all
}

/// A name by which the gateway chooses: it can what any of the models can, since that one is chosen
/// then. It has no price of its own, and no limit of an answer: clients ask for as much as they are
/// told, which would leave the one model that has the highest.
fn chosen((name, display_name): (&str, &str), models: &[ModelEntry]) -> ModelEntry {
    ModelEntry {
        id: name.to_owned(),
        display_name: display_name.to_owned(),
        owned_by: "turnpike".to_owned(),
        context_tokens: models.iter().map(|model| model.context_tokens).max().unwrap_or(0),
        tools: models.iter().any(|model| model.tools),
        images: models.iter().any(|model| model.images),
        reasoning: models.iter().any(|model| model.reasoning),
        ..ModelEntry::default()
    }
}

/// The catalogue id of a model by any of its names.
fn canonical<'a>(gateway: &'a Gateway, name: &str) -> Option<&'a str> {
    let offers = gateway.offers.resolve(name).ok()?;
    gateway.offers.offer(*offers.first()?).map(|offer| &*offer.model)
}

fn entry(model: &str, offer: &Offer) -> ModelEntry {
    let price =
        |rate: Option<turnpike_ledger::PicoUsd>| rate.map(|rate| Price { pico_usd: rate.0 });
    let today = offer.rates.at(clock::now_ms()).base;
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
        embedding: offer.kind == Kind::Embedding,
        input_price: price(today.input),
        output_price: price(today.output),
        cache_read_price: price(today.cache_read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_long_as_asked_and_says_where_the_next_begins() {
        let models: Vec<ModelEntry> = (0..5)
            .map(|place| ModelEntry { id: format!("m/{place}"), ..ModelEntry::default() })
            .collect();
        let page = |query: &str| {
            let uri: Uri = format!("/v1beta/models{query}").parse().unwrap();
            let found = super::page(&uri, &models);
            found.map(|(shown, next)| {
                let ids: Vec<String> = shown.iter().map(|model| model.id.clone()).collect();
                (ids.join(" "), next)
            })
        };
        let whole = ("m/0 m/1 m/2 m/3 m/4".to_owned(), None);
        for query in ["", "?pageSize=", "?pageSize=0", "?pageSize=5", "?key=x&pageSize=5000"] {
            assert_eq!(page(query).unwrap(), whole, "{query}");
        }
        let (first, next) = page("?pageSize=2").unwrap();
        assert_eq!((first.as_str(), next.as_deref()), ("m/0 m/1", Some("2")));
        let (last, next) = page("?pageSize=9&pageToken=2").unwrap();
        assert_eq!((last.as_str(), next), ("m/2 m/3 m/4", None));
        assert_eq!(page("?pageToken=9").unwrap(), (String::new(), None));
        for (query, field) in [("?pageSize=many", "pageSize"), ("?pageToken=-1", "pageToken")] {
            let refusal = page(query).unwrap_err();
            assert_eq!((refusal.status.as_u16(), refusal.param.as_deref()), (400, Some(field)));
        }
    }
}
