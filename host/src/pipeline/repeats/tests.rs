//! Which keys are remembered, for how long, and what is owed under them.

use turnpike_ledger::PicoUsd;

use super::*;
use crate::clock;
use crate::pipeline::attempt::tests::{PRICE, flight, gateway_with};
use crate::pipeline::take_key;

fn headers(key: &str) -> HeaderMap {
    HeaderMap::from_iter([(HEADER.parse().unwrap(), key.parse().unwrap())])
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn acme() -> Arc<str> {
    "acme".into()
}

#[test]
fn pitfall_46_a_key_is_for_one_answer_to_one_request() {
    let repeats = Arc::new(Repeats::default());
    let print = |key: &str, body: &str| {
        repeats.print("k1", &headers(key), "/v1", body.as_bytes()).unwrap().unwrap()
    };
    let code = |print, now_ms| repeats.begin(&acme(), print, id(9), now_ms).unwrap_err().code;
    let one = repeats.begin(&acme(), print("a", "x"), id(1), 0).unwrap();
    assert_eq!(code(print("a", "x"), 1), "request_in_progress");
    assert_eq!(code(print("a", "y"), 1), "idempotency_key_reused");
    drop(one);
    let two = repeats.begin(&acme(), print("a", "x"), id(2), 2).unwrap();
    let owing = Tab { owed: PicoUsd(7), ..Tab::default() };
    two.owing(owing);
    let three = repeats.begin(&acme(), print("a", "x"), id(3), 3).unwrap();
    assert_eq!(three.tab, owing);
    drop(three);
    let four = repeats.begin(&acme(), print("a", "x"), id(4), 4).unwrap();
    assert_eq!(four.tab, owing, "what came to nothing used nothing up");
    four.answered();
    assert_eq!(code(print("a", "x"), 5), "already_answered");
    assert!(repeats.begin(&acme(), print("b", "x"), id(5), 5).is_ok());
    let other = repeats.print("k2", &headers("a"), "/v1", b"x").unwrap().unwrap();
    assert!(repeats.begin(&acme(), other, id(6), 5).is_ok(), "another caller's keys are its own");
    assert!(repeats.begin(&acme(), print("a", "y"), id(7), 4 + KEPT_MS).is_ok(), "not for ever");
}

/// Else the platform could be made to bear one answer after the other.
#[test]
fn pitfall_46_what_was_borne_under_a_key_is_known_also_when_nothing_is_owed() {
    let repeats = Arc::new(Repeats::default());
    let begin = |number| repeats.begin(&acme(), Print { key: 1, body: 0 }, id(number), 0).unwrap();
    let paid_off = Tab { borne: PicoUsd(7), dearest: PicoUsd(9), ..Tab::default() };
    begin(1).owing(paid_off);
    drop(begin(2));
    assert_eq!(begin(3).tab, paid_off);
}

/// A running request has its key until it ends, and not until somebody sets the clock.
#[tokio::test]
async fn a_clock_that_is_set_lets_no_second_request_in_beside_the_first() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway_with(data.path(), 9, PRICE).await;
    let asking = || {
        let mut asking = flight(&gateway);
        asking.print = Some(Print { key: 1, body: 0 });
        asking
    };
    clock::SET_BACK_MS.set(2 * KEPT_MS);
    let mut first = asking();
    take_key(&mut first).unwrap();
    clock::SET_BACK_MS.set(0);
    let refused = take_key(&mut asking()).unwrap_err();
    assert_eq!(refused.code, "request_in_progress");
}

fn use_keys(repeats: &Arc<Repeats>, org: &str, keys: std::ops::Range<u64>, now_ms: u64) {
    for key in keys {
        let print = Print { key, body: 0 };
        repeats.begin(&org.into(), print, id(1), now_ms).unwrap().answered();
    }
}

fn knows(repeats: &Repeats, org: &str, key: u64) -> bool {
    repeats.book.lock().orgs.get(org).is_some_and(|own| own.entries.contains_key(&key))
}

#[test]
fn only_so_many_are_remembered_and_who_has_the_most_makes_room() {
    let repeats = Arc::new(Repeats::default());
    use_keys(&repeats, "beta", 0..100, 0);
    use_keys(&repeats, "acme", 0..70_000, 0);
    assert!((0..100).all(|key| knows(&repeats, "beta", key)), "another's retry is still known");
    assert!(!knows(&repeats, "acme", 0) && knows(&repeats, "acme", 69_999));
    use_keys(&repeats, "beta", 100..200, 0);
    assert!((0..200).all(|key| knows(&repeats, "beta", key)));
    check(&repeats, KEPT_MAX);
}

/// The book has so many entries, and its parts agree.
fn check(repeats: &Repeats, count: usize) {
    let book = repeats.book.lock();
    assert_eq!(book.order.len(), count);
    assert_eq!(book.orgs.values().map(|own| own.entries.len()).sum::<usize>(), count);
    assert_eq!(book.orgs.values().map(|own| own.order.len()).sum::<usize>(), count);
    let sizes = book.orgs.iter().map(|(org, own)| (own.entries.len(), Arc::clone(org)));
    assert_eq!(book.sizes, sizes.collect());
}

/// Keys whose owners never come again are forgotten by and by, and before any that still counts.
#[test]
fn what_is_over_makes_room_first_whosever_it_is() {
    let repeats = Arc::new(Repeats::default());
    for org in 0..1_000_u64 {
        use_keys(&repeats, &format!("gone-{org}"), 0..40, 0);
    }
    check(&repeats, 40_000);
    use_keys(&repeats, "acme", 0..25_000, KEPT_MS - 1);
    check(&repeats, 65_000);
    // Their time is over now, and acme has the most.
    use_keys(&repeats, "acme", 25_000..30_000, KEPT_MS);
    assert!((0..30_000).all(|key| knows(&repeats, "acme", key)), "what counts is known");
    check(&repeats, 30_000);
}

/// What was refused leaves nothing behind, so it pushes nothing out.
#[test]
fn a_request_that_came_to_nothing_keeps_no_place() {
    let repeats = Arc::new(Repeats::default());
    for key in 0..10_u64 {
        drop(repeats.begin(&acme(), Print { key, body: 0 }, id(1), 0).unwrap());
    }
    let book = repeats.book.lock();
    assert!(book.orgs.is_empty() && book.sizes.is_empty() && book.order.is_empty());
}

#[test]
fn a_key_has_bounds_and_no_header_is_no_key() {
    let repeats = Repeats::default();
    assert!(repeats.print("k", &HeaderMap::new(), "/", b"").unwrap().is_none());
    let refused = repeats.print("k", &headers(&"x".repeat(256)), "/", b"").unwrap_err();
    assert_eq!(refused.code, "invalid_value");
}
