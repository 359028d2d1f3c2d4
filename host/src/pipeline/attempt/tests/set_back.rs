//! The wall clock is set back while the gateway runs: rate limits and rests go on as they were.

use super::*;
use crate::clock::SET_BACK_MS;
use crate::limits::{Limits, Meter, Registry};
use crate::pipeline::admit;
use crate::route::{Lane, Sample};

const TEN_MINUTES_MS: u64 = 600_000;

/// Lets one more request in under these limits; else how long it has to wait.
fn let_in(gateway: &Arc<Gateway>, limits: &Arc<[Arc<Meter>]>) -> Result<(), Option<u64>> {
    let mut flight = flight(gateway);
    let caller = Caller::clone(&flight.caller);
    flight.caller = Arc::new(Caller { limits: Some(Arc::clone(limits)), ..caller });
    admit::let_in(&mut flight).map_err(|refusal| refusal.retry_after_s)
}

#[tokio::test]
async fn a_clock_that_is_set_back_neither_frees_a_key_of_its_limit_nor_locks_it_out() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), 9).await;
    let two = Limits { requests: Some(2), ..Limits::default() };
    let limits: Arc<[_]> = [Registry::default().meter("acme", "key:k1", two)].into();
    assert_eq!(let_in(&gateway, &limits), Ok(()));
    SET_BACK_MS.set(TEN_MINUTES_MS);
    assert_eq!(let_in(&gateway, &limits), Ok(()));
    let Err(Some(wait_s)) = let_in(&gateway, &limits) else { panic!("both have been counted") };
    assert!(wait_s <= 62, "and not the ten minutes: {wait_s}");
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_no_rest() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), 9).await;
    let lane = Lane { offer: 0, credential: 0 };
    let now_ms = clock::steady_ms();
    gateway.health.rest(lane, now_ms + 50, now_ms);
    SET_BACK_MS.set(TEN_MINUTES_MS);
    assert!(begin(&mut flight(&gateway), 0, false).is_err());
    tokio::time::sleep(Duration::from_millis(60)).await;
    let probe = begin(&mut flight(&gateway), 0, false).unwrap();
    assert!(probe.in_flight.is_probe());
    probe.ended(Sample::whole(10, 100, 10));
    assert_eq!(gateway.health.gate(0, clock::steady_ms()), Gate::Closed, "it is no older news");
}

/// What a provider says in dates is a wait, and what people are shown is a date.
#[test]
fn times_go_over_from_one_clock_to_the_other_and_back() {
    let steady_ms = clock::steady_ms();
    SET_BACK_MS.set(TEN_MINUTES_MS);
    let in_a_minute = clock::now_ms() + 60_000;
    let at_ms = clock::from_wall_ms(in_a_minute);
    assert!((60_000..61_000).contains(&(at_ms - steady_ms)), "{at_ms} {steady_ms}");
    assert!(clock::wall_ms(at_ms).abs_diff(in_a_minute) < 1_000);
    assert!(clock::wall_ms(steady_ms).abs_diff(clock::now_ms()) < 1_000);
}
