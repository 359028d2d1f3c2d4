//! Plans that a dollar does not pay for, or not at full length: against a ledger, and no provider.

mod busy;
mod models;
mod priced;

use std::fmt::Write as _;

use super::*;
use crate::gateway::Gateway;
use crate::pipeline::attempt::tests::{flight, gateway_with, top_up};
use crate::route::{Candidate, Rejection};

/// A gateway with offers at these dollars for a million tokens of answer, and an organization with
/// one dollar.
async fn gateway(data: &std::path::Path, prices: &[u32]) -> Arc<Gateway> {
    gateway_of(data, prices, "").await
}

/// The same, with more said of each offer.
async fn gateway_of(data: &std::path::Path, prices: &[u32], more: &str) -> Arc<Gateway> {
    let mut offers = String::new();
    for (place, price) in prices.iter().enumerate() {
        if place > 0 {
            writeln!(offers, "[[providers.local.offers]]\nid = \"acme/{place}\"").unwrap();
        }
        writeln!(offers, "usd_per_million = {{ input = \"1\", output = \"{price}\" }}").unwrap();
        offers.push_str(more);
    }
    let gateway = gateway_with(data, 9, &offers).await;
    top_up(&gateway);
    gateway
}

/// A request that may go to any of them, the first preferred.
fn choosing(gateway: &Arc<Gateway>) -> Flight {
    let mut flight = flight(gateway);
    let names = |index: usize| match index {
        0 => "acme/one@local".to_owned(),
        other => format!("acme/{other}@local"),
    };
    let offers = gateway.offers.offers();
    let index_of = |name: String| offers.iter().position(|offer| *offer.id == *name).unwrap();
    flight.candidates = (0..offers.len())
        .zip([0.9, 0.8, 0.7, 0.6, 0.5])
        .map(|(place, score)| Candidate {
            index: index_of(names(place)),
            rejection: None,
            figures: None,
            score: Some(score),
        })
        .collect();
    flight
}

fn codes(flight: &Flight) -> Vec<Option<&'static str>> {
    let candidates = flight.candidates.iter();
    candidates.map(|it| it.rejection.as_ref().map(Rejection::code)).collect()
}

#[tokio::test]
async fn what_cant_be_paid_makes_room_for_what_was_not_in_the_plan() {
    let data = tempfile::tempdir().unwrap();
    let dear = 1_000_000;
    let gateway = gateway(data.path(), &[dear, dear, dear, dear, 2]).await;
    let mut flight = choosing(&gateway);
    reserve(&mut flight, &[0, 1, 2]).await.unwrap();
    assert_eq!(flight.plan, [4]);
    let short = Some("credit_short");
    assert_eq!(codes(&flight), [short, short, short, short, None]);
    let offer = Arc::clone(flight.offer_of(4).unwrap());
    assert_eq!((flight.clamp_of(&offer), held_tokens(&flight, &offer)), (None, 8_192));
    assert!(flight.held < PicoUsd::parse("0.02").unwrap(), "{}", flight.held);
}

#[tokio::test]
async fn each_offer_has_the_limit_of_its_own_price() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), &[2, 100, 20]).await;
    let mut flight = choosing(&gateway);
    let plan = [0, 1, 2];
    flight.plan = plan.to_vec();
    let looked = look(&mut flight).await.unwrap();
    assert!(flight.hold.is_none() && gateway.ledger.balance("acme").held.is_zero());
    reserve(&mut flight, &plan).await.unwrap();
    assert_eq!(flight.held, looked, "the look says what is held then");
    assert_eq!(flight.plan, plan);
    let limits = plan.map(|row| {
        let offer = flight.offer_of(row).unwrap();
        flight.clamp_of(offer)
    });
    // 8,192 tokens come to 0.016, 0.82 and 0.16 dollars; a quarter of what is there to 2,500 of the
    // second, which is less than is enough.
    assert_eq!(limits, [None, Some(4_096), None]);
    let dearest = PicoUsd::parse("0.4096").unwrap();
    assert!(flight.held >= dearest && flight.held < PicoUsd::parse("0.42").unwrap());
}

#[tokio::test]
async fn what_is_held_for_others_is_told_from_what_is_spent() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), &[3_900]).await;
    let mut first = choosing(&gateway);
    // 256 tokens, and no more, can be paid.
    reserve(&mut first, &[0]).await.unwrap();
    let mut second = choosing(&gateway);
    let refused = reserve(&mut second, &[0]).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_s), ("insufficient_credit", Some(1)));
    assert!(!refused.final_word && second.plan.is_empty(), "{refused:?}");
    first.hold.take().unwrap().capture(
        PicoUsd::parse("0.9").unwrap(),
        turnpike_ledger::CaptureNote::Complete,
        PicoUsd::ZERO,
        clock::now_ms(),
    );
    let mut third = choosing(&gateway);
    let refused = reserve(&mut third, &[0]).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_s), ("insufficient_credit", None));
    assert!(refused.final_word && refused.message.contains("0.1"), "{refused:?}");
}

/// Where a shorter answer is all that is missing, the bound that would do is named, in the caller's
/// words; and it does.
#[tokio::test]
async fn who_could_pay_a_shorter_answer_hears_how_short() {
    let data = tempfile::tempdir().unwrap();
    // A cent a token, and ten dollars.
    let gateway = gateway(data.path(), &[10_000, 1_000_000]).await;
    let refused = reserve(&mut choosing(&gateway), &[0, 1]).await.unwrap_err();
    assert_eq!((refused.code, refused.final_word), ("insufficient_credit", true));
    let (_, most) = refused.message.split_once("; with max_tokens of at most ").unwrap();
    let most: u32 = most.split(' ').next().unwrap().parse().unwrap();
    assert!((90..=99).contains(&most), "{}", refused.message);
    let mut looked = choosing(&gateway);
    looked.plan = vec![0, 1];
    assert_eq!(look(&mut looked).await.unwrap_err().message, refused.message);
    for (limit, pays) in [(most, true), (most + 1, false)] {
        let mut flight = choosing(&gateway);
        let mut call = (*flight.call).clone();
        call.output_limit = Some(limit);
        flight.call = Arc::new(call);
        assert_eq!(reserve(&mut flight, &[0, 1]).await.is_ok(), pays, "{limit}");
    }
    let dear = tempfile::tempdir().unwrap();
    let gateway = self::gateway(dear.path(), &[1_000_000]).await;
    let refused = reserve(&mut choosing(&gateway), &[0]).await.unwrap_err();
    assert!(!refused.message.contains("at most"), "not even one token: {}", refused.message);
}
