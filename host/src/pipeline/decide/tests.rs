use turnpike_ledger::PicoUsd;
use turnpike_protocol::{Dialect, embeddings};

use super::*;
use crate::gateway::Gateway;
use crate::pipeline::attempt::tests::{flight, flight_of, gateway_with};

#[test]
fn what_the_policy_gives_no_score_is_excluded_by_it() {
    let candidate = |index| Candidate { index, rejection: None, figures: None, score: None };
    let mut candidates: Vec<Candidate> = (0..3).map(candidate).collect();
    candidates[1].rejection = Some(Rejection::Tools);
    take_scores(&mut candidates, &[0, 2], vec![None, Some(0.5)]);
    let reasons: Vec<_> =
        candidates.iter().map(|it| it.rejection.as_ref().map(Rejection::code)).collect();
    assert_eq!(reasons, [Some("excluded_by_policy"), Some("no_tools"), None]);
    assert_eq!(candidates[2].score, Some(0.5));
}

/// Another provider of the same model.
fn seller(name: &str) -> String {
    format!(
        "[providers.{name}]\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key = \"k\"\n\
         dialect = \"openai-chat\"\n\
         [[providers.{name}.offers]]\nid = \"acme/one\"\nfree = true\n"
    )
}

fn at(gateway: &Gateway, provider: &str, rejection: Option<Rejection>) -> Candidate {
    let offers = gateway.offers.offers();
    let index = offers.iter().position(|offer| &*offer.provider == provider).unwrap();
    Candidate { index, rejection, figures: None, score: None }
}

/// Who is well, and could not have answered anyhow, is not said to rest.
#[tokio::test]
async fn only_those_that_rest_are_named_as_those_that_do() {
    let data = tempfile::tempdir().unwrap();
    let more = format!("free = true\n{}{}", seller("denied"), seller("full"));
    let gateway = gateway_with(data.path(), 9, &more).await;
    let mut flight = flight(&gateway);
    let denied = Rejection::RuleDenies { rule: "r".into() };
    flight.candidates = vec![
        at(&gateway, "denied", Some(denied)),
        at(&gateway, "full", Some(Rejection::Busy { most: 1 })),
        at(&gateway, "local", Some(Rejection::Resting { until_ms: 1_000 })),
    ];
    let told = nobody(&flight, 0);
    assert_eq!(told.code, "no_healthy_provider");
    let start = "the model \"acme/one\" at local is resting";
    assert!(told.message.starts_with(start), "{}", told.message);
    flight.candidates.pop();
    let told = nobody(&flight, 0);
    assert!(told.message.starts_with("the model \"acme/one\" at full"), "{}", told.message);
    flight.candidates.push(at(&gateway, "local", None));
    assert_eq!(whoever(&flight, |reason| reason.is_none()), "the model \"acme/one\" at local");
}

/// A model without any price has none without the tier either.
#[tokio::test]
async fn a_tier_is_to_be_left_out_only_where_it_is_what_has_no_price() {
    let prices = "usd_per_million = { input = \"1\", output = \"2\" }";
    for (price, tier, leave_out) in [
        ("", "auto", false),
        ("", "priority", false),
        (prices, "priority", true),
        (prices, "default", false),
    ] {
        let data = tempfile::tempdir().unwrap();
        let gateway = gateway_with(data.path(), 9, price).await;
        let mut flight = flight(&gateway);
        let mut call = (*flight.call).clone();
        call.service_tier = Some(tier.to_owned());
        flight.call = Arc::new(call);
        flight.candidates = vec![at(&gateway, "local", Some(Rejection::Unpriced))];
        let told = told::of(&flight);
        assert_eq!(told.contains("leave service_tier out"), leave_out, "{price} {tier}: {told}");
    }
}

/// Nobody bounds an answer that is vectors.
#[tokio::test]
async fn who_asks_for_vectors_is_not_told_to_bound_the_answer() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway_with(data.path(), 9, "free = true").await;
    let chat = r#"{"model":"acme/one","max_completion_tokens":9,"messages":[
        {"role":"user","content":"hello"}]}"#;
    let mut flight = flight_of(&gateway, Dialect::OpenAiChat, chat);
    let dear = Rejection::TooDear { expected: PicoUsd(2), ceiling: PicoUsd(1) };
    let long = Rejection::Context { needed: 9, limit: 8 };
    let reasons = [dear, long];
    let told = |flight: &mut Flight, reason: &Rejection| {
        flight.candidates = vec![at(&gateway, "local", Some(reason.clone()))];
        told::of(flight)
    };
    for reason in &reasons {
        let told = told(&mut flight, reason);
        assert!(told.contains("set a lower max_completion_tokens"), "{told}");
    }
    let vectors = r#"{"model":"acme/one","input":"hello"}"#;
    flight.call = Arc::new(embeddings::parse(vectors.into()).unwrap());
    for reason in &reasons {
        let told = told(&mut flight, reason);
        assert!(told.contains("send less text") && !told.contains("lower max"), "{told}");
    }
}
