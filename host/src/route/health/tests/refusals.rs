//! What is about a credential, and what a provider says that it takes.

use super::*;

fn both() -> (Arc<Health>, impl Fn(usize) -> Lane) {
    let reach = Reach { weights: vec![1, 1], concurrency: 0 };
    let health = Arc::new(Health::reached(std::iter::once(reach), RULE));
    (health, |credential| Lane { offer: 0, credential })
}

/// A refusal for a rate limit, without a word on how long, of what began then.
fn limited_at(health: &Arc<Health>, begun: &InFlight, now_ms: u64) -> Gate {
    begun.ended(Sample::Withheld, now_ms);
    begun.backs_off(now_ms);
    health.limited(LANE);
    health.gate(0, now_ms)
}

#[test]
fn refusals_for_a_rate_limit_are_no_failures_and_rest_longer_each_time() {
    let health = Arc::new(Health::new(1, RULE));
    let limited = |now_ms| limited_at(&health, &health.begin(0, now_ms).unwrap(), now_ms);
    health.record(LANE, Sample::Failed, 0);
    health.record(LANE, Sample::Failed, 0);
    assert_eq!((limited(0), limited(0)), (Gate::Closed, Gate::Closed), "two of each");
    assert_eq!(limited(0), Gate::Open { until_ms: 1_000 });
    assert!(health.is_limited(0, 999));
    assert_eq!(limited(1_000), Gate::Open { until_ms: 3_000 });
    assert_eq!(limited(3_000), Gate::Open { until_ms: 7_000 });
    health.begin(0, 7_000).unwrap().ended(FINE, 7_100);
    assert_eq!((health.gate(0, 7_100), limited(7_100)), (Gate::Closed, Gate::Closed));
}

/// Ten agents are refused for one and the same minute: that is one rest, and not six of them.
#[test]
fn a_burst_of_refusals_at_once_rests_once_and_no_longer_for_being_many() {
    let health = Arc::new(Health::new(1, RULE));
    let burst: Vec<_> = (0..10).map(|_| health.begin(0, 0).unwrap()).collect();
    for (at_ms, begun) in (50..).zip(&burst) {
        limited_at(&health, begun, at_ms);
    }
    assert_eq!(health.gate(0, 60), Gate::Open { until_ms: 1_052 }, "since the third");
    assert!(health.is_limited(0, 1_051));
    // The next that is refused began after it, and doubles it; what is left of the burst does not.
    let probe = health.begin(0, 1_052).unwrap();
    assert_eq!(limited_at(&health, &probe, 1_100), Gate::Open { until_ms: 3_100 });
    assert_eq!(limited_at(&health, &burst[9], 1_200), Gate::Open { until_ms: 3_100 });
}

#[test]
fn a_provider_that_says_how_long_is_obeyed_to_the_letter() {
    let health = Arc::new(Health::new(1, RULE));
    for at_ms in [0, 2_000, 4_000, 6_000] {
        health.record(LANE, Sample::Withheld, at_ms);
        health.rest(LANE, at_ms + 500, at_ms);
        assert_eq!(health.gate(0, at_ms), Gate::Open { until_ms: at_ms + 500 });
    }
}

#[test]
fn a_credential_whose_rest_is_over_is_looked_at_while_another_is_open() {
    let (health, lane) = both();
    health.rest(lane(0), 500, 0);
    let taken = |at_ms| health.begin(0, at_ms).unwrap();
    assert!((0..20).all(|_| taken(499).lane() == lane(1)));
    let probe = taken(500);
    assert!(probe.is_probe() && probe.lane() == lane(0));
    assert!((0..20).all(|_| taken(501).lane() == lane(1)), "one looks");
    probe.ended(FINE, 600);
    assert!((0..100).any(|_| taken(601).lane() == lane(0)), "and it shares the load again");
}

#[test]
fn a_prompt_goes_where_a_provider_has_said_that_there_is_room_for_it() {
    let (health, lane) = both();
    let of = |input_tokens| Demand { whole: false, input_tokens };
    health.allow_tokens(lane(0), 1_200, 60_000);
    let long = || health.begin_for(0, of(100_000), 1_000).unwrap().lane();
    assert!((0..20).all(|_| long() == lane(1)), "nobody said so of the other");
    assert!(!health.lacks_tokens(0, of(100_000), 1_000));
    health.allow_tokens(lane(1), 9_000, 60_000);
    assert!(health.lacks_tokens(0, of(100_000), 1_000));
    assert!(!health.lacks_tokens(0, of(2_000), 1_000), "a thousand are expected of it");
    assert!(!health.lacks_tokens(0, of(100_000), 60_000), "the next minute");
}

#[test]
fn what_is_sent_is_taken_off_what_is_left() {
    let health = Arc::new(Health::new(1, RULE));
    let demand = Demand { whole: false, input_tokens: 1_000 };
    health.allow_tokens(LANE, 1_200, 60_000);
    let sent = [(); 2].map(|()| health.begin_for(0, demand, 0));
    assert!(health.lacks_tokens(0, demand, 0) && sent.iter().all(Result::is_ok));
    assert!(health.begin_for(0, demand, 0).is_ok(), "who has nobody else asks all the same");
}
