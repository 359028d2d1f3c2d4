//! `POST /v1/feedback`: a key rates an answer that it got, once. What the ratings come to moves the
//! believed quality of the model at that task a little, for the organization alone. Takes a number
//! or a word, and no text about the answer.

use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use turnpike_protocol::Dialect;
use uuid::Uuid;

use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::gateway::{Gateway, NotRated, Rated};
use crate::json::Object;
use crate::tasks::Busy;
use crate::{clock, ingress};

use super::{admit, serve};

/// Bytes of a rating: a request's id and a number.
const BODY_BYTES_MAX: usize = 4 << 10;

const MEMBERS: [&str; 3] = ["request_id", "rating", "label"];
/// Of a member's name that is told in a refusal.
const NAME_CHARS_SHOWN: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    request_id: String,
    /// 0, useless, to 1, as good as it gets.
    rating: Option<f64>,
    /// `good`, `bad` or `mixed`.
    label: Option<String>,
}

pub(super) async fn answer(
    gateway: &Arc<Gateway>,
    id: Uuid,
    head: &Parts,
    body: Incoming,
) -> Response<GatewayBody> {
    match rate(gateway, head, body).await {
        Ok(rated) => {
            let shown = serde_json::json!({
                "model": rated.model,
                "task": rated.task,
                "ratings": rated.ratings.weight,
                "mean": rated.ratings.mean,
                "correction": rated.ratings.correction(),
            });
            serve::json(shown.to_string().into(), id)
        }
        Err(refusal) => refuse(&refusal, Dialect::OpenAiChat, &id.to_string()),
    }
}

async fn rate(gateway: &Arc<Gateway>, head: &Parts, body: Incoming) -> Result<Rated, Box<Refusal>> {
    let caller = serve::caller(gateway, head, clock::now_ms())?;
    let awaits = head.headers.contains_key(http::header::EXPECT);
    let body = ingress::read(body, BODY_BYTES_MAX, awaits).await?;
    let _place = admit::let_question_in(&caller)?;
    let (request, rating) = read(&body)?;
    let ratings = Arc::clone(&gateway.ratings);
    // Reads the request's record, which may be anywhere in what is kept, and waits for the disk.
    let org = Arc::clone(&caller.org);
    let rate = move || ratings.rate(&caller.org, &caller.key_id, request, rating);
    match gateway.turns.ratings.run(&org, rate).await {
        Ok(Some(rated)) => rated.map_err(|why| Box::new(refused(&why))),
        Ok(None) => Err(Box::new(Refusal::internal())),
        Err(Busy) => Err(Box::new(Refusal::busy("ratings"))),
    }
}

fn read(body: &[u8]) -> Result<(Uuid, f64), Box<Refusal>> {
    let wrong = |field: &str, message: &str| {
        let field = (!field.is_empty()).then(|| field.to_owned());
        Box::new(Refusal::invalid(400, "invalid_value", message.to_owned(), field))
    };
    if let Some(name) = unknown_member(body) {
        let message = format!(
            "{name} is not a member of a rating: it has request_id, and rating or label; no text \
             is taken"
        );
        return Err(wrong(&name, &message));
    }
    let Object::<Given>(given) = serde_json::from_slice(body).map_err(|_| {
        wrong("", "the body is {\"request_id\": \"…\", \"rating\": 0 to 1} or has a \"label\"")
    })?;
    let request = Uuid::try_parse(&given.request_id).map_err(|_| {
        wrong("request_id", "request_id is the x-request-id of the answer that is rated")
    })?;
    let rating = match (given.rating, given.label.as_deref()) {
        (Some(rating), None) if (0.0..=1.0).contains(&rating) => rating,
        (Some(_), None) => return Err(wrong("rating", "rating is a number from 0 to 1")),
        (None, Some("good")) => 1.0,
        (None, Some("mixed")) => 0.5,
        (None, Some("bad")) => 0.0,
        (None, Some(_)) => return Err(wrong("label", "label is good, mixed or bad")),
        (Some(_), Some(_)) | (None, None) => {
            return Err(wrong("rating", "send either a rating or a label"));
        }
    };
    Ok((request, rating))
}

/// A member that a rating does not have, if its name is worth repeating.
fn unknown_member(body: &[u8]) -> Option<String> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    members
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| !MEMBERS.contains(&name.as_str()))
        .map(|name| name.chars().take(NAME_CHARS_SHOWN).collect())
}

fn refused(why: &NotRated) -> Refusal {
    match why {
        NotRated::Unknown => Refusal::not_rated(
            StatusCode::NOT_FOUND,
            "request_not_found",
            "this key has no such request, or it is kept no longer; use the x-request-id of an \
             answer that came to this key",
        ),
        NotRated::Unanswered => Refusal::not_rated(
            StatusCode::CONFLICT,
            "not_answered",
            "no model answered that request, so there is nothing to rate",
        ),
        NotRated::Again => Refusal::not_rated(
            StatusCode::CONFLICT,
            "already_rated",
            "that answer has been rated; the first rating counts",
        ),
        NotRated::Failed(cause) => {
            tracing::error!(cause, "a rating can't be kept");
            Refusal::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190f6f5-0000-7000-8000-000000000001";

    #[test]
    fn a_rating_is_a_number_or_a_word() {
        let read = |rest: &str| {
            let body = format!("{{\"request_id\":\"{ID}\"{rest}}}");
            super::read(body.as_bytes()).map(|(_, rating)| rating)
        };
        assert!(read(",\"rating\":0.25").is_ok_and(|it| (it - 0.25).abs() < 1e-9));
        assert!(read(",\"label\":\"bad\"").is_ok_and(|it| it < 0.01));
        for wrong in
            ["", ",\"rating\":1.5", ",\"label\":\"fine\"", ",\"rating\":1,\"label\":\"bad\""]
        {
            assert_eq!(read(wrong).unwrap_err().status, StatusCode::BAD_REQUEST, "{wrong}");
        }
        assert!(super::read(b"{\"request_id\":\"x\",\"rating\":1}").is_err());
        let by_place = format!("[\"{ID}\",1,null]");
        let by_place = super::read(by_place.as_bytes()).unwrap_err();
        assert!(by_place.message.contains("the body is {"), "{}", by_place.message);
        let text = super::read(b"{\"request_id\":\"x\",\"comment\":\"private\"}").unwrap_err();
        assert_eq!(text.param.as_deref(), Some("comment"));
        assert!(!text.message.contains("private"), "{}", text.message);
    }
}
