//! A bill policy whose prices are in another order than those of the lists.

use std::time::Duration;

use super::*;
use crate::budget::Hold;
use crate::hook::Hook;
use crate::policy::tests::guests::{NINE, PRICE, answer, guest};
use crate::policy::{Binding, OnFailure, Session};

/// Bytes of an offer's name before what tells `acme/one` from `acme/1`.
const TOLD_AT: u32 = 5;

/// A bill of one line, whatever is asked: 90 cents for `acme/one`, 20 for the others.
fn biller() -> Vec<u8> {
    // The text of the price, `0.9` or `0.2`, at 4000; the line, of one `guest`, at 2048.
    let mut body = format!(
        "(i32.store8 (i32.const 4000) (i32.const 48)) (i32.store8 (i32.const 4001) (i32.const 46))
        (i32.store8 (i32.const 4002) (select (i32.const 57) (i32.const 50)
            (i32.eq (i32.load8_u (i32.add (local.get 2) (i32.const {TOLD_AT}))) (i32.const 111))))"
    );
    for (offset, value) in [(4, 5), (8, 1), (12, 4000), (16, 3), (20, 4000), (24, 3)] {
        body.push_str(&format!("(i32.store (i32.const {}) (i32.const {value})) ", 2048 + offset));
    }
    guest("biller", PRICE, NINE, &(body + &answer(&[(4, 2048), (8, 1)])))
}

/// A request that may go to any offer, whose bill that policy makes.
fn billed(gateway: &Arc<Gateway>) -> Flight {
    let mut flight = choosing(gateway);
    let policy = gateway.policy_engine.admit(&biller()).unwrap();
    // Longer than any busy machine takes.
    let deadline = Duration::from_secs(30);
    let binding = Binding::new(policy, None, OnFailure::Closed, deadline, 7);
    let bindings = flight.session.bindings().clone().with(Hook::Bill, Arc::new(binding));
    let facts = flight.session.facts().clone();
    flight.session = Session::new(Arc::clone(&gateway.policy_engine), Arc::new(bindings), facts);
    flight
}

fn held(gateway: &Arc<Gateway>, usd: &str) -> Hold {
    let at_ms = clock::now_ms();
    let (id, expires_at_ms) = (clock::new_id(), at_ms + 1_000_000);
    let payer = Payer { org: "acme", budgets: &[], id, at_ms, expires_at_ms };
    budget::reserve(&gateway.ledger, &payer, PicoUsd::parse(usd).unwrap()).unwrap()
}

/// The cheapest by list prices may be the dearest by the policy's: the least that would do is that
/// of another, for which it is enough to wait.
#[tokio::test]
async fn the_least_that_would_do_goes_by_what_the_policy_charges() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), &[1, 2]).await;
    let spent = held(&gateway, "0.5");
    let half = PicoUsd::parse("0.5").unwrap();
    let note = turnpike_ledger::CaptureNote::Complete;
    spent.capture(half, note, PicoUsd::ZERO, clock::now_ms());
    // What is left in all would do for the other, and not for the first.
    let others = held(&gateway, "0.4");
    let mut flight = billed(&gateway);
    let refused = reserve(&mut flight, &[0, 1]).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_s), ("insufficient_credit", Some(1)));
    assert!(!refused.final_word && refused.message.contains("0.200000"), "{refused:?}");
    drop(others);
    let mut flight = billed(&gateway);
    reserve(&mut flight, &[0, 1]).await.unwrap();
    assert_eq!((&*flight.plan, flight.held), (&[1][..], PicoUsd::parse("0.2").unwrap()));
}

fn bills_asked_for(flight: &Flight) -> u32 {
    let of_bills = flight.session.trace().iter().filter(|record| record.hook == Hook::Bill);
    of_bills.map(|record| record.calls).sum()
}

/// Who comes again and again with nothing left costs a worker no call of a policy for advice that
/// there is not.
#[tokio::test]
async fn a_policy_is_asked_for_no_shorter_answer_where_nothing_is_left() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), &[1, 2]).await;
    let (all, note) = (PicoUsd::parse("1").unwrap(), turnpike_ledger::CaptureNote::Complete);
    held(&gateway, "1").capture(all, note, PicoUsd::ZERO, clock::now_ms());
    let mut flight = billed(&gateway);
    let refused = reserve(&mut flight, &[0, 1]).await.unwrap_err();
    assert!(refused.final_word, "{refused:?}");
    let out = |it: &Candidate| it.rejection.as_ref().is_some_and(Rejection::is_money);
    assert!(flight.candidates.iter().all(out), "{:?}", codes(&flight));
    let (asked, message) = (bills_asked_for(&flight), refused.message.clone());
    let told = shorter::told(&mut flight, refused).await;
    assert_eq!((bills_asked_for(&flight), told.message), (asked, message));
    assert!(asked > 0, "the policy was asked what the least is");
}
