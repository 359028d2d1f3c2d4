//! How an attempt can end without an answer, and what that means: for the next attempt, for the
//! offer's health, for the caller.

use std::borrow::Cow;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use turnpike_protocol::StreamError;

use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::route::NotNow;
use crate::upstream::{ErrorKind, TransportError};
use crate::usage::AttemptFact;

use super::super::flight::{Bill, Ending, Flight};
use super::super::{admit, decide, explain};
use super::Asking;
use super::said::{self, Said};

/// How the attempt is called that was none.
const SKIPPED: &str = "skipped";

/// The longest rest that a provider's `retry-after` may ask for; then one probe looks again.
const REST_MAX: Duration = Duration::from_secs(60);
/// The longest wait that a caller is told: what providers ask for at the end of a daily quota.
const WAIT_S_MAX: u64 = 86_400;
/// What a caller waits for a provider that is over its limit and does not say for how long.
const WAIT_S_UNKNOWN: u64 = 1;

/// The provider's trouble, before any content.
#[derive(Debug)]
pub(in crate::pipeline) enum Trouble {
    /// Status 408, 429, 5xx, 404 for a model it should have, or 402: the operator's account there
    /// is empty.
    Status { status: StatusCode, retry_after: Option<Duration>, said: Option<Box<Said>> },
    /// No connection, no TLS, broken HTTP, or hung up.
    Transport(TransportError),
    /// An error in the stream before any content.
    StreamError(Box<StreamError>),
    /// It is no answer in the dialect that was spoken.
    Malformed(&'static str),
    /// It ended without content.
    Empty,
    /// Nothing came from the offer for longer than is usual: several wait there, or it is a probe.
    Silent,
    /// It went on giving signs of life, and no content within the time for a whole answer.
    Thinking,
    /// The request alone is more than the rate limit of the operator's account allows in a minute.
    BeyondTier(Box<Said>),
}

/// What another provider would not do better.
#[derive(Debug)]
pub(in crate::pipeline) enum Fault {
    /// A 4xx about the request: the caller gets it as the provider wrote it, or in its own dialect
    /// where that is another.
    Request(Said),
    /// The request can't be said in the provider's dialect.
    Untranslatable(Box<Refusal>),
    /// The provider refused the gateway's own credential: the key itself, or, where it is only
    /// forbidden, perhaps no more than this model.
    Credential { provider: String, of_key: bool },
    /// The request can't be put on the wire.
    Unsendable,
}

impl Trouble {
    /// For the explanation and the metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Status { .. } if self.is_rate_limit() => "rate_limited",
            Self::Status { status, .. } if *status == StatusCode::PAYMENT_REQUIRED => "no_credit",
            Self::Status { .. } => "error",
            Self::Transport(error) => match error.kind {
                ErrorKind::Timeout(_) => "timeout",
                ErrorKind::Connect | ErrorKind::Tls => "connect",
                ErrorKind::Closed => "died",
                ErrorKind::Protocol | ErrorKind::Request | ErrorKind::TooLarge => "malformed",
            },
            Self::StreamError(_) => "error",
            Self::Malformed(_) => "malformed",
            Self::Empty => "died",
            Self::Silent | Self::Thinking => "timeout",
            Self::BeyondTier(_) => "rate_limited",
        }
    }

    /// Whether we are over the provider's rate limit.
    pub(super) fn is_rate_limit(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::TOO_MANY_REQUESTS, .. })
    }

    /// Whether it is about the credential that was used, and another may have better luck.
    pub(super) fn is_of_the_credential(&self) -> bool {
        let empty = StatusCode::PAYMENT_REQUIRED;
        self.is_rate_limit() || matches!(self, Self::Status { status, .. } if *status == empty)
    }

    /// In words; never an upstream's body.
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Status { status, .. } if *status == StatusCode::PAYMENT_REQUIRED => {
                "the operator's account at the provider is empty"
            }
            Self::Status { .. } => "",
            Self::Transport(error) => &error.detail,
            // The provider's word for it, if it is a word: anything else may quote the prompt.
            Self::StreamError(error) => match error.kind.as_deref().unwrap_or("error") {
                kind if is_word(kind) => kind,
                _ => "an error of a kind of its own",
            },
            Self::Malformed(what) => what,
            Self::Empty => "it ended before any content",
            Self::Silent => "it has fallen silent for longer than is usual",
            Self::Thinking => "it gave signs of life, and no content within timeouts.answer_ms",
            Self::BeyondTier(_) => "the request alone is over the account's rate limit there",
        }
    }

    /// Whether it says nothing of the provider: it was at work, or the request is too large for the
    /// operator's account there.
    pub(super) fn is_no_fault(&self) -> bool {
        matches!(self, Self::Thinking | Self::BeyondTier(_))
    }

    /// Whether the gateway left a provider that may still be at work.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Thinking | Self::Silent)
    }

    /// How long the provider asks to be left alone.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same as the offer's breaker obeys it.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.wait().map(|wait| wait.min(REST_MAX))
    }

    /// Whether the same offer may do better at once: a quick failure may have been one server of
    /// many; who was slow will be slow again, and who asks for rest gets it.
    pub(super) fn worth_repeating(&self) -> bool {
        match self {
            Self::Status { status, retry_after, said } => {
                let forbids = said.as_ref().is_some_and(|said| said.forbids_another_try());
                status.is_server_error() && retry_after.is_none() && !forbids
            }
            Self::Transport(error) => matches!(error.kind, ErrorKind::Connect | ErrorKind::Closed),
            Self::StreamError(_) | Self::Empty => true,
            Self::Malformed(_) | Self::Silent | Self::Thinking | Self::BeyondTier(_) => false,
        }
    }
}

/// An error type as providers have them: `server_error`, `overloaded`.
fn is_word(kind: &str) -> bool {
    kind.len() <= 64 && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

impl Fault {
    /// Whether the provider does not have the earlier response that the request goes on from:
    /// another one may have given it. Nothing is kept here that would tell which.
    pub(super) fn keeps_it_not(&self) -> bool {
        matches!(self, Self::Request(said) if said.is_about_an_unknown_response())
    }

    /// Whether the request is too long for the model that was asked.
    pub(super) fn is_about_length(&self) -> bool {
        matches!(self, Self::Request(said) if said.is_about_length())
    }

    /// Whether it is about the gateway's own credential.
    pub(super) fn is_of_the_credential(&self) -> bool {
        matches!(self, Self::Credential { .. })
    }

    /// Whether no offer of the provider's can be reached by that credential.
    pub(super) fn is_of_the_key(&self) -> bool {
        matches!(self, Self::Credential { of_key: true, .. })
    }

    /// Whether it is about a member, or a value of one, that this model does not take.
    pub(super) fn is_about_a_member(&self) -> bool {
        matches!(self, Self::Request(said) if said.is_about_a_member())
    }

    /// Whether it is about something that another provider may have: a file, an earlier answer.
    pub(super) fn is_about_a_reference(&self) -> bool {
        matches!(self, Self::Request(said) if said.is_about_a_reference())
    }

    /// Whether the request can't be read as one of its caller's dialect, whatever it is to be
    /// written in: nothing of it was lost on the way.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Untranslatable(refusal) if refusal.status == StatusCode::BAD_REQUEST)
    }

    /// What is to be seen of it beside its name; never the caller's own words.
    pub(super) fn detail(&self) -> Cow<'static, str> {
        let Self::Untranslatable(refusal) = self else { return Cow::Borrowed("") };
        match refusal.param.as_deref().map(explain::place) {
            Some(at) => format!("{at} can't be said in the dialect of its provider").into(),
            None => "something in the request can't be said in the dialect of its provider".into(),
        }
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Request(_) => "refused",
            Self::Untranslatable(_) => "untranslatable",
            Self::Credential { .. } => "credential",
            Self::Unsendable => "unsendable",
        }
    }
}

/// What the caller hears after the last attempt, where it does not hear the provider itself.
/// `tried` is what was tried, in words, `soonest` the shortest wait that any provider asked for.
pub(super) fn refusal(last: &Trouble, tried: &str, soonest: Option<Duration>) -> Refusal {
    let failed = |why: &str| Refusal::upstream_failed(tried, why);
    let refusal = match last {
        Trouble::Status { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => {
            let wait_s = soonest.map_or(WAIT_S_UNKNOWN, whole_seconds);
            return Refusal::upstream_rate_limited(tried, wait_s);
        }
        Trouble::Transport(error) => match error.kind {
            ErrorKind::Timeout(_) => Refusal::upstream_timeout(tried),
            ErrorKind::Connect | ErrorKind::Tls => failed("could not reach it"),
            ErrorKind::Closed => failed("ended when it hung up"),
            ErrorKind::Protocol | ErrorKind::Request | ErrorKind::TooLarge => {
                failed("got something that is no answer")
            }
        },
        Trouble::Silent | Trouble::Thinking => Refusal::upstream_timeout(tried),
        Trouble::BeyondTier(_) => failed(
            "failed because the request alone is over the rate limit of the operator's account",
        ),
        Trouble::Status { status, .. } if *status == StatusCode::PAYMENT_REQUIRED => {
            failed("failed because the operator's account there is empty")
        }
        Trouble::Status { status, .. } => failed(&format!("ended with status {}", status.as_u16())),
        Trouble::StreamError(_) => failed("ended with an error before any content"),
        Trouble::Malformed(_) => failed("got something that is no answer"),
        Trouble::Empty => failed("ended without any content"),
    };
    // A wait counts only if nobody is left who could be asked at once.
    match soonest.filter(|_| last.wait().is_some()) {
        Some(wait) => refusal.retry_after(whole_seconds(wait)),
        None => refusal,
    }
}

/// How often which providers were asked, in the order in which they were first.
fn tried(attempts: &[AttemptFact]) -> String {
    let mut asked: Vec<(&str, usize)> = Vec::new();
    for attempt in attempts.iter().filter(|attempt| attempt.outcome != SKIPPED) {
        let place = attempt.offer.rsplit_once('@').map_or(&*attempt.offer, |(_, place)| place);
        // A region follows the provider's name.
        let provider = place.split_once(':').map_or(place, |(provider, _)| provider);
        match asked.iter_mut().find(|(known, _)| *known == provider) {
            Some((_, times)) => *times = times.saturating_add(1),
            None => asked.push((provider, 1)),
        }
    }
    let words = asked.iter().map(|(provider, times)| match times {
        1 => format!("1 attempt at {provider}"),
        times => format!("{times} attempts at {provider}"),
    });
    words.collect::<Vec<_>>().join(" and ")
}

/// At least one, at most a day.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).clamp(1, WAIT_S_MAX)
}

/// Ends a request for which all that could answer have filled up since the plan was made.
pub(super) fn turn_away(flight: Box<Flight>) -> Response<GatewayBody> {
    let refusal = Refusal::all_busy(&decide::whoever(&flight, |reason| reason.is_none()));
    flight.refuse(&refusal)
}

/// Ends a request that nobody answered. The last provider's own error passes where the caller
/// speaks its dialect: agents read from it whether to wait, to shorten or to give up.
pub(super) fn give_out(
    mut flight: Box<Flight>,
    last: Option<Trouble>,
    soonest: Option<Duration>,
) -> Response<GatewayBody> {
    // All that could be asked when the plan was made rest by now.
    let Some(last) = last else {
        let refusal = Refusal::all_resting(&decide::whoever(&flight, |reason| reason.is_none()), 1);
        return flight.refuse(&refusal);
    };
    let refusal = refusal(&last, &tried(&flight.attempts), soonest);
    let (Trouble::Status { said: Some(said), .. } | Trouble::BeyondTier(said)) = last else {
        return flight.refuse(&refusal);
    };
    if said.dialect != flight.manner.dialect || said.error().is_none() {
        return flight.refuse(&refusal);
    }
    let mut response = said.response(&flight);
    let refused = !response.status().is_success();
    if let (Some(wait_s), headers) = (refusal.retry_after_s, response.headers_mut())
        && refused
        && !headers.contains_key(RETRY_AFTER)
    {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait_s));
    }
    tell_limits(&flight, &mut response);
    flight.release(turnpike_ledger::PicoUsd(0));
    flight.end(Ending::Failed, response.status().as_u16(), &Bill::default());
    response
}

/// Ends the request with what can't be mended by asking somebody else.
pub(super) fn pass_on(mut flight: Box<Flight>, fault: Fault) -> Response<GatewayBody> {
    let (mut response, ending) = match fault {
        Fault::Request(said) => (said.response(&flight), Ending::Refused),
        Fault::Untranslatable(refusal) => {
            (refuse(&refusal, flight.manner.dialect, &flight.id_text), Ending::Refused)
        }
        Fault::Credential { provider, .. } => {
            let refusal = Refusal::upstream_credential(&provider);
            (refuse(&refusal, flight.manner.dialect, &flight.id_text), Ending::Failed)
        }
        Fault::Unsendable => {
            let refusal = Refusal::internal();
            (refuse(&refusal, flight.manner.dialect, &flight.id_text), Ending::Failed)
        }
    };
    tell_limits(&flight, &mut response);
    flight.release(turnpike_ledger::PicoUsd(0));
    let status = response.status().as_u16();
    flight.end(ending, status, &Bill::default());
    response
}

/// What is left of the caller's own limits, unless the provider says with its refusal which limit
/// of its own is reached: who waits for that has to know of that.
fn tell_limits(flight: &Flight, response: &mut Response<GatewayBody>) {
    let limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
    if !(limited && said::tells_limits(response.headers())) {
        admit::headers(flight, response.headers_mut());
    }
}

/// Writes an attempt into the explanation and the metrics.
pub(in crate::pipeline) fn note(
    flight: &mut Flight,
    asking: &Asking,
    outcome: &'static str,
    detail: &str,
) {
    flight.gateway.metrics.attempt(&asking.offer.provider, outcome);
    flight.attempts.push(AttemptFact {
        offer: std::sync::Arc::clone(&asking.offer.id),
        outcome: outcome.into(),
        status: asking.status,
        ms: asking.watch.millis(),
        first_byte_ms: asking.first_byte_ms,
        detail: (!detail.is_empty()).then(|| detail.to_owned().into()),
    });
}

/// Why an offer of the plan can't be asked any more when its turn has come.
pub(super) fn why_skipped(why: NotNow) -> Cow<'static, str> {
    match why {
        NotNow::Full { most } => format!(
            "after the plan was made as many requests as it may have ({most}) were on their way \
             to it"
        )
        .into(),
        NotNow::Resting => "its breaker opened after the plan was made".into(),
    }
}

/// An offer of the plan that is not asked when its turn comes.
pub(super) fn note_skipped(flight: &mut Flight, row: usize, why: Cow<'static, str>) {
    let Some(offer) = flight.offer_of(row).map(std::sync::Arc::clone) else { return };
    flight.attempts.push(AttemptFact {
        offer: std::sync::Arc::clone(&offer.id),
        outcome: SKIPPED.into(),
        status: None,
        ms: 0,
        first_byte_ms: None,
        detail: Some(why),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_account_at_the_provider_is_the_providers_trouble() {
        let status = StatusCode::PAYMENT_REQUIRED;
        let empty = Trouble::Status { status, retry_after: None, said: None };
        assert_eq!(empty.label(), "no_credit");
        assert!(!empty.worth_repeating());
        let heard = refusal(&empty, "2 attempts at one", None);
        assert_eq!((heard.status, heard.code), (StatusCode::BAD_GATEWAY, "upstream_failed"));
    }

    #[test]
    fn attempts_are_counted_by_provider_and_the_provider_is_named() {
        let attempt = |offer: &str, outcome: &'static str| AttemptFact {
            offer: offer.into(),
            outcome: outcome.into(),
            status: None,
            ms: 0,
            first_byte_ms: None,
            detail: None,
        };
        let once_more = [attempt("a/m@refused", "connect"), attempt("a/m@refused", "connect")];
        let said = tried(&once_more);
        assert_eq!(said, "2 attempts at refused");
        let kind = ErrorKind::Connect;
        let trouble = Trouble::Transport(TransportError { kind, detail: "refused".into() });
        let heard = refusal(&trouble, &said, None).message;
        assert!(
            heard.contains("2 attempts at refused, the last one could not reach it"),
            "{heard}"
        );
        let several = [
            attempt("a/m@one:eu", "error"),
            attempt("a/m@two", SKIPPED),
            attempt("a/m@three", "died"),
            attempt("a/m@one:us", "error"),
        ];
        assert_eq!(tried(&several), "2 attempts at one and 1 attempt at three");
    }

    #[test]
    fn pitfall_59_the_wait_of_a_provider_is_told_whatever_its_status() {
        let asked = |status: u16, wait: Option<u64>| Trouble::Status {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: wait.map(Duration::from_millis),
            said: None,
        };
        let told = |trouble: &Trouble, soonest: Option<u64>| {
            refusal(trouble, "2 attempts", soonest.map(Duration::from_millis)).retry_after_s
        };
        assert_eq!(told(&asked(429, Some(120_000)), Some(120_000)), Some(120));
        assert_eq!(told(&asked(429, None), None), Some(1));
        assert_eq!(told(&asked(503, Some(17_500)), Some(4_001)), Some(5), "who is back first");
        assert_eq!(told(&asked(500, None), Some(17_000)), None, "this one may be asked at once");
        assert_eq!(asked(503, Some(3_600_000)).rest(), Some(REST_MAX));
    }
}
