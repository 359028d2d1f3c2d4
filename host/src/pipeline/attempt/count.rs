//! A count of tokens asked of the provider that would answer, where it speaks the caller's dialect.
//! Asks once and waits briefly: whoever asks for a count can live with an estimate.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use turnpike_protocol::{Dialect, Outgoing};

use crate::gateway::{Operation, Unsigned};
use crate::upstream::{RequestHead, Timeouts};

use super::super::flight::Flight;
use super::request;

/// For the whole exchange; providers count in tens of milliseconds.
const COUNT_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of a count's body.
const COUNT_BYTES_MAX: usize = 16 << 10;

/// The provider's own body; `None` when none can count in the caller's dialect, or does not.
pub(in crate::pipeline) async fn count(flight: &Flight) -> Option<Bytes> {
    let caller = flight.call.dialect;
    if !matches!(caller, Dialect::AnthropicMessages | Dialect::Gemini) {
        return None;
    }
    let open = flight.candidates.iter().filter(|candidate| candidate.rejection.is_none());
    let mut offers = open.filter_map(|candidate| flight.offer(candidate));
    let offer = Arc::clone(offers.next()?);
    // Where the gateway chooses, another model than the one asked for the count may answer.
    if offers.any(|other| other.model != offer.model) {
        return None;
    }
    let provider = flight.gateway.providers.get(&*offer.provider)?;
    if provider.dialect(&offer, &flight.call) != Some(caller) || !provider.counts(caller) {
        return None;
    }
    let body = flight.call.encode(&Outgoing {
        model: provider.model(&offer),
        output_limit: None,
        model_limit: None,
        limit_field: provider.limit_field,
        quirks: provider.quirks(&offer.upstream_model),
    });
    let path = provider.path(caller, provider.model(&offer), Operation::CountTokens);
    let path = request::with_query(path, flight, caller, provider);
    let timeouts =
        Timeouts { connect: COUNT_TIME_MAX, first_byte: COUNT_TIME_MAX, idle: COUNT_TIME_MAX };
    let exchange = async {
        let unsigned = Unsigned { path: &path, body: &body };
        let signed = request::sign(flight, &offer, provider, (0, &unsigned)).await.ok()?;
        let passed_on = request::provider_headers(flight, caller, provider, &offer);
        let mut headers = request::plain_headers("application/json");
        headers.extend(signed.iter().map(|(name, value)| (*name, value.reveal())));
        headers.extend(passed_on.iter().map(|(name, value)| (*name, &**value)));
        let head = RequestHead { method: "POST", path: &path, headers: &headers };
        let upstream = &flight.gateway.upstream;
        let mut response = upstream.send(&provider.endpoint, &head, body, &timeouts).await.ok()?;
        let body = response.body.collect(COUNT_BYTES_MAX).await.ok()?;
        (response.status.is_success() && body.starts_with(b"{")).then_some(body)
    };
    tokio::time::timeout(COUNT_TIME_MAX, exchange).await.ok()?
}
