mod recovery;
mod refusals;
mod speeds;

use super::*;

const RULE: BreakerRule = BreakerRule { failures: 3, open_ms: 1000 };
const LANE: Lane = Lane { offer: 0, credential: 0 };
const FINE: Sample = Sample::Answered {
    first_token_ms: 100.0,
    thinking_ms: 0.0,
    tokens_per_second: 50.0,
    band: Band::SHORT,
};

#[test]
fn the_breaker_opens_after_failures_in_a_row_and_one_probe_closes_it() {
    let health = Arc::new(Health::new(1, RULE));
    health.record(LANE, Sample::Failed, 0);
    health.record(LANE, Sample::Failed, 0);
    health.record(LANE, FINE, 0);
    health.record(LANE, Sample::Failed, 0);
    health.record(LANE, Sample::Failed, 0);
    assert_eq!(health.gate(0, 0), Gate::Closed, "a success in between starts over");
    health.record(LANE, Sample::Failed, 0);
    assert_eq!(health.gate(0, 999), Gate::Open { until_ms: 1000 });
    assert!(health.begin(0, 999).is_err());

    let probe = health.begin(0, 1000).expect("the rest is over");
    assert!(health.begin(0, 1001).is_err(), "only one probe at a time");
    drop(probe);
    health.record(LANE, FINE, 1002);
    assert_eq!(health.gate(0, 1002), Gate::Closed);
}

#[test]
fn a_rest_for_a_rate_limit_is_known_as_one_until_anything_else_is_known() {
    let health = Arc::new(Health::new(1, RULE));
    health.record(LANE, Sample::Failed, 0);
    health.rest(LANE, 500, 0);
    health.limited(LANE);
    assert!(health.is_limited(0, 499));
    assert!(!health.is_limited(0, 500), "the rest is over");
    health.record(LANE, Sample::Failed, 400);
    assert!(!health.is_limited(0, 499), "it failed in another way");
}

#[test]
fn a_failed_probe_opens_the_breaker_for_longer() {
    let health = Arc::new(Health::new(1, RULE));
    for _ in 0..3 {
        health.record(LANE, Sample::Failed, 0);
    }
    let _probe = health.begin(0, 1500).unwrap();
    health.record(LANE, Sample::Failed, 1500);
    assert_eq!(health.gate(0, 2000), Gate::Open { until_ms: 3500 });
}

#[test]
fn in_flight_counts_until_the_attempt_is_dropped() {
    let health = Arc::new(Health::new(1, RULE));
    let one = health.begin(0, 0).unwrap();
    let two = health.begin(0, 0).unwrap();
    assert_eq!(health.snapshot(0, Band::default(), 0).in_flight, 2);
    drop((one, two));
    assert_eq!(health.snapshot(0, Band::default(), 0).in_flight, 0);
}

#[test]
fn statistics_follow_the_samples() {
    let health = Health::new(1, RULE);
    assert!((health.snapshot(0, Band::default(), 0).availability - 1.0).abs() < f64::EPSILON);
    for _ in 0..50 {
        health.record(LANE, FINE, 0);
    }
    let seen = health.snapshot(0, Band::default(), 0);
    assert!((seen.first_token_ms - 100.0).abs() < 1.0, "{seen:?}");
    health.record(LANE, Sample::Failed, 0);
    assert!(health.snapshot(0, Band::default(), 0).availability < 0.9);
    let new = Health::new(1, RULE);
    new.record(LANE, Sample::Failed, 0);
    assert!(
        new.snapshot(0, Band::default(), 0).availability > 0.7,
        "one failure is not all there is"
    );
}

#[test]
fn what_is_not_asked_is_forgiven_with_time() {
    let health = Health::new(1, BreakerRule { failures: 100, open_ms: 1 });
    for _ in 0..20 {
        health.record(LANE, Sample::Failed, 1_000);
    }
    let availability = |at_ms| health.snapshot(0, Band::default(), at_ms).availability;
    assert!(availability(1_000) < 0.05);
    assert!(availability(61_000) > 0.7, "two half-lives later it is worth another try");
    assert!(availability(31_000) < availability(61_000));
}

#[test]
fn prompts_of_different_sizes_are_told_apart() {
    let health = Health::new(1, RULE);
    let (short, long) = (Band::of(100), Band::of(100_000));
    for _ in 0..30 {
        health.record(LANE, Sample::answered(100, 100, 1_100, 100), 0);
        health.record(LANE, Sample::answered(4_000, 100, 5_000, 100_000), 0);
    }
    let first = |band| health.snapshot(0, band, 0).first_token_ms;
    assert!((first(short) - 100.0).abs() < 1.0, "{}", first(short));
    assert!((first(long) - 4_000.0).abs() < 1.0, "{}", first(long));
    let middling = first(Band::of(5_000));
    assert!((100.0..4_000.0).contains(&middling), "of an unseen size what all have: {middling}");
    assert_eq!(health.observed(0, 0).unwrap().bands.len(), 2);
}

#[test]
fn quantiles_come_near_those_of_the_samples() {
    let health = Health::new(1, RULE);
    // 1 to 1000, in an order without a trend.
    for n in 0..6_000_u64 {
        let first_ms = (n * 617) % 1_000 + 1;
        health.record(LANE, Sample::answered(first_ms, 0, first_ms, 0), 0);
    }
    let band = health.observed(0, 0).unwrap().bands[0];
    assert!((400.0..600.0).contains(&band.first_token_p50_ms), "{band:?}");
    assert!((850.0..1_050.0).contains(&band.first_token_p95_ms), "{band:?}");
}

#[test]
fn credentials_share_the_load_and_stand_in_for_each_other() {
    let reach = Reach { weights: vec![3, 1], concurrency: 0 };
    let health = Arc::new(Health::reached(std::iter::once(reach), RULE));
    let lane = |credential| Lane { offer: 0, credential };
    let taken = |at_ms| health.begin(0, at_ms).ok().map(|begun| begun.lane().credential);
    let second = (0..1_000).filter(|_| taken(0) == Some(1)).count();
    assert!((150..350).contains(&second), "{second} of 1000 at a weight of one in four");
    health.record(lane(0), Sample::Withheld, 0);
    health.rest(lane(0), 500, 0);
    health.limited(lane(0));
    assert!((0..50).all(|_| taken(10) == Some(1)), "the first one rests");
    assert_eq!(health.gate(0, 10), Gate::Closed);
    assert!(!health.is_limited(0, 10), "there is another");
    health.rest(lane(1), 300, 10);
    assert_eq!(health.gate(0, 10), Gate::Open { until_ms: 300 });
    for _ in 0..3 {
        health.record(lane(1), Sample::Failed, 1_000);
    }
    assert!(matches!(health.gate(0, 1_001), Gate::Open { .. }), "a failing provider fails for all");
}

#[test]
fn a_limit_of_requests_at_a_time_is_kept() {
    let reach = Reach { weights: vec![1], concurrency: 2 };
    let health = Arc::new(Health::reached(std::iter::once(reach), RULE));
    let (one, two) = (health.begin(0, 0), health.begin(0, 0));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(health.begin(0, 0).map(|_| ()), Err(NotNow::Full { most: 2 }));
    assert_eq!(health.gate(0, 0), Gate::Full { most: 2 });
    drop(one);
    assert_eq!(health.snapshot(0, Band::default(), 0).in_flight, 1);
    assert!(health.begin(0, 0).is_ok());
}

/// Who can't begin for another reason has not used up the one try after a rest.
#[test]
fn a_full_offer_keeps_its_probe_for_who_may_begin() {
    let reach = Reach { weights: vec![1], concurrency: 2 };
    let health = Arc::new(Health::reached(std::iter::once(reach), RULE));
    let long = [health.begin(0, 0).unwrap(), health.begin(0, 0).unwrap()];
    for _ in 0..3 {
        health.record(LANE, Sample::Failed, 0);
    }
    assert_eq!(health.begin(0, 1_000).map(|_| ()), Err(NotNow::Full { most: 2 }));
    drop(long);
    let _probe = health.begin(0, 1_000).unwrap();
    assert_eq!(health.begin(0, 1_001).map(|_| ()), Err(NotNow::Resting), "there is one probe");
}

#[test]
fn what_a_provider_says_is_left_is_all_that_is_sent() {
    let health = Arc::new(Health::new(1, RULE));
    health.allow(LANE, 2, 5_000);
    assert!(health.begin(0, 0).is_ok() && health.begin(0, 0).is_ok());
    assert_eq!(health.gate(0, 0), Gate::Open { until_ms: 5_000 });
    assert!(health.begin(0, 0).is_err() && health.is_limited(0, 0));
    assert!(health.begin(0, 5_000).is_ok(), "the next window has begun");
}

#[test]
fn an_offer_that_falls_silent_goes_last_before_its_time_outs_end() {
    let health = Arc::new(Health::new(1, RULE));
    let availability = |at_ms| health.snapshot(0, Band::default(), at_ms).availability;
    let mut first = health.begin(0, 1_000).unwrap();
    let second = health.begin(0, 5_000).unwrap();
    assert!(availability(10_900) > 0.9, "it may be thinking");
    assert!(availability(11_100) < 0.5, "nothing has begun for ten seconds");
    first.heard(12_000);
    assert!(availability(21_900) > 0.9 && availability(22_100) < 0.5, "one is waited for still");
    let more = [health.begin(0, 22_200), health.begin(0, 22_300)];
    first.heard(22_400);
    drop((second, more));
    assert!(availability(60_000) > 0.9, "a long answer is no silence");
}

#[test]
fn a_probe_brings_an_offer_back_into_use() {
    let health = Arc::new(Health::new(1, RULE));
    let availability = |at_ms| health.snapshot(0, Band::default(), at_ms).availability;
    for _ in 0..8 {
        health.record(LANE, Sample::Failed, 0);
    }
    assert!(availability(500) < 0.3, "while it rests");
    assert!(availability(1_000) > 0.99, "one request may look, and ranks it by its worth");
    let _probe = health.begin(0, 1_000).unwrap();
    assert!(availability(1_001) < 0.3, "the others do not");
    health.record(LANE, FINE, 1_100);
    assert!(availability(1_100) >= 0.8, "it answered");
}

#[test]
fn who_waits_with_others_for_an_offer_that_fell_silent_is_told() {
    let health = Arc::new(Health::new(2, RULE));
    health.record(LANE, Sample::answered(900, 0, 900, 10), 0);
    let mut waiting: Vec<_> = (0..3).map(|_| health.begin(0, 1_000).unwrap()).collect();
    assert!(!health.leaves_silent(0, 11_000), "ten seconds are no more than ten");
    assert!(health.leaves_silent(0, 11_001));
    assert!(health.leaves_silent(0, 11_001));
    // Who has left counts for those who still wait, until one begins.
    waiting.truncate(1);
    assert!(health.leaves_silent(0, 11_002));
    waiting[0].heard(11_003);
    waiting.push(health.begin(0, 11_003).unwrap());
    assert!(!health.leaves_silent(0, 60_000), "one that waits is too few");
    // How long an offer usually takes that was never heard of, nobody knows.
    let _unknown: Vec<_> = (0..5).map(|_| health.begin(1, 0).unwrap()).collect();
    assert!(!health.leaves_silent(1, 60_000));
}
