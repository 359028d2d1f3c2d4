//! How an offer in trouble comes back: one probe at a time, with longer rests between them, and
//! only by what began since it was told to rest.

use super::*;

fn failed(health: &Health, times: u32, now_ms: u64) {
    (0..times).for_each(|_| health.record(LANE, Sample::Failed, now_ms));
}

#[test]
fn while_a_probe_is_under_way_there_is_no_other_until_its_time_is_over() {
    let health = Arc::new(Health::new(1, RULE));
    failed(&health, 3, 0);
    let hanging = health.begin(0, 1_000).unwrap();
    assert!(hanging.is_probe() && hanging.patience_ms() == 20_000, "nothing is known of it");
    // What an answer may take to begin, and a rest.
    assert!(health.begin(0, 21_999).is_err());
    assert_eq!(health.gate(0, 21_999), Gate::Open { until_ms: 22_000 });
    let next = health.begin(0, 22_000).unwrap();
    drop(hanging);
    assert!(health.begin(0, 22_001).is_err(), "the floor is the next one's");
    assert_eq!(health.gate(0, 22_001), Gate::Open { until_ms: 44_000 }, "the first one failed");
    drop(next);
    assert!(health.begin(0, 22_002).is_ok(), "a probe that told nothing gives the floor back");
}

#[test]
fn a_whole_answer_that_is_the_probe_keeps_the_others_out_for_no_longer_than_half_a_minute() {
    let health = Arc::new(Health::new(1, RULE));
    failed(&health, 3, 0);
    let whole = Demand { whole: true, input_tokens: 100 };
    let probe = health.begin_for(0, whole, 1_000).unwrap();
    assert_eq!(probe.patience_ms(), 120_000, "it may take so long");
    assert_eq!(health.gate(0, 1_000), Gate::Open { until_ms: 32_000 });
    assert!(health.begin(0, 32_000).is_ok());
    probe.ended(Sample::whole(500, 40_000, 100), 41_000);
    assert_eq!(health.gate(0, 41_000), Gate::Closed);
}

#[test]
fn after_a_probe_that_fails_it_rests_twice_as_long() {
    let health = Arc::new(Health::new(1, RULE));
    failed(&health, 3, 0);
    let mut now_ms = 1_000;
    let mut rests = Vec::new();
    for _ in 0..4 {
        let probe = health.begin(0, now_ms).unwrap();
        probe.ended(Sample::Failed, now_ms);
        let Gate::Open { until_ms } = health.gate(0, now_ms) else { panic!("it rests") };
        rests.push((until_ms - now_ms) / 1_000);
        now_ms = until_ms;
    }
    assert_eq!(rests, [2, 2, 2, 2]);
    health.begin(0, now_ms).unwrap().ended(FINE, now_ms);
    assert_eq!(health.gate(0, now_ms), Gate::Closed);
    failed(&health, 3, now_ms);
    let gate = health.gate(0, now_ms);
    assert_eq!(gate, Gate::Open { until_ms: now_ms + 1_000 }, "it begins anew");
}

#[test]
fn what_began_before_it_was_told_to_rest_neither_wakes_it_nor_prolongs_its_rest() {
    let health = Arc::new(Health::new(1, RULE));
    let [older, oldest] = [health.begin(0, 0).unwrap(), health.begin(0, 0).unwrap()];
    health.rest(LANE, 60_000, 100);
    older.ended(FINE, 5_000);
    assert_eq!(health.gate(0, 5_000), Gate::Open { until_ms: 60_000 }, "an older stream's end");
    health.rest(LANE, 6_000, 5_000);
    failed(&health, 3, 5_000);
    assert_eq!(health.gate(0, 5_000), Gate::Open { until_ms: 60_000 }, "the longest word counts");
    let probe = health.begin(0, 60_000).unwrap();
    oldest.ended(Sample::Failed, 60_001);
    assert_eq!(health.gate(0, 60_001), Gate::Open { until_ms: 71_000 }, "it is still the probe's");
    probe.answering();
    assert_eq!(health.gate(0, 60_002), Gate::Closed);
}

#[test]
fn a_stream_that_is_the_probe_brings_the_offer_back_with_its_first_content() {
    let health = Arc::new(Health::new(1, RULE));
    failed(&health, 8, 0);
    let stream = health.begin(0, 1_000).unwrap();
    stream.answering();
    assert_eq!(health.gate(0, 1_100), Gate::Closed, "and not after minutes, at its end");
    assert!(health.snapshot(0, Band::SHORT, 1_100).availability >= 0.8);
    let other = health.begin(0, 1_200).unwrap();
    assert!(!other.is_probe());
}

#[test]
fn who_leaves_after_waiting_in_vain_says_so_by_leaving() {
    let health = Arc::new(Health::new(1, RULE));
    health.record(LANE, FINE, 0);
    let stream = || health.begin(0, 1_000).unwrap();
    assert_eq!(stream().given_up(10_000), Sample::Neutral, "it may be thinking");
    for _ in 0..3 {
        let left = stream();
        left.ended(left.given_up(10_001), 11_001);
    }
    assert!(matches!(health.gate(0, 11_001), Gate::Open { .. }), "nobody heard anything");
    let probe = health.begin(0, 12_001).unwrap();
    assert_eq!(probe.given_up(10_000), Sample::Neutral, "agents cancel all the time");
    assert_eq!(probe.given_up(10_001), Sample::Failed);
}

#[test]
fn the_probe_of_a_slow_offer_has_less_time_and_never_less_than_that_of_a_quick_one() {
    let health = Arc::new(Health::new(1, RULE));
    health.record(LANE, Sample::answered(20_000, 100, 30_000, 10), 0);
    let stream = health.begin(0, 0).unwrap();
    let (patience_ms, before) = (stream.patience_ms(), stream.given_up(20_001));
    assert_eq!((patience_ms, before), (60_000, Sample::Neutral));
    failed(&health, 3, 0);
    let probe = health.begin(0, 1_000).unwrap();
    assert_eq!(probe.given_up(20_000), Sample::Neutral);
    assert_eq!(probe.given_up(20_001), Sample::Failed, "an offer in trouble has less time");
    drop(probe);
    let whole = Demand { whole: true, input_tokens: 10 };
    let probe = health.begin_for(0, whole, 1_000).unwrap();
    assert_eq!(probe.given_up(30_000), Sample::Neutral);
    health.record(LANE, Sample::whole(10, 1_000, 10), 0);
    assert_eq!(probe.given_up(30_001), Sample::GivenUp, "a third of 30 seconds is too little");
}

#[test]
fn who_leaves_an_answer_that_comes_whole_says_half_as_much() {
    let health = Arc::new(Health::new(1, RULE));
    let demand = Demand { whole: true, input_tokens: 100 };
    let whole = |now_ms| health.begin_for(0, demand, now_ms).unwrap();
    assert_eq!(whole(0).given_up(100_000), Sample::Neutral, "how long it takes nobody knows");
    health.record(LANE, Sample::whole(200, 12_000, 100), 0);
    assert_eq!(whole(0).given_up(36_000), Sample::Neutral);
    for left in 1..=6 {
        assert_eq!(health.gate(0, 40_000), Gate::Closed, "before {left}");
        whole(0).ended(Sample::GivenUp, 40_000);
    }
    assert!(matches!(health.gate(0, 40_000), Gate::Open { .. }));
    assert_eq!(whole(41_000).given_up(36_001), Sample::GivenUp);
}

#[test]
fn an_answer_without_a_word_is_held_against_an_offer_by_choices_and_not_by_its_breaker() {
    let health = Arc::new(Health::new(1, RULE));
    (0..20).for_each(|_| health.record(LANE, Sample::Empty, 0));
    assert_eq!(health.gate(0, 0), Gate::Closed, "a prompt can bring it about");
    assert!(health.snapshot(0, Band::SHORT, 0).availability < 0.5, "it goes last");
    failed(&health, 3, 0);
    health.begin(0, 1_000).unwrap().ended(Sample::Empty, 1_100);
    assert_eq!(health.gate(0, 1_100), Gate::HalfOpen, "the next is the probe");
}

#[test]
fn after_a_probe_without_a_word_it_is_not_everybodys_first_until_that_is_forgotten() {
    let health = Arc::new(Health::new(1, RULE));
    let availability = |at_ms| health.snapshot(0, Band::SHORT, at_ms).availability;
    failed(&health, 5, 0);
    assert!(availability(1_000) > 0.9, "last, it would never be asked again");
    health.begin(0, 1_000).unwrap().ended(Sample::Empty, 1_100);
    assert!(availability(1_100) < 0.5, "the next goes elsewhere");
    assert!(availability(121_100) > 0.9, "and not for ever");
    health.begin(0, 2_000).unwrap().ended(Sample::Failed, 2_000);
    assert!(availability(4_000) > 0.9, "after another rest it is tried again");
    health.begin(0, 4_000).unwrap().ended(Sample::Empty, 4_100);
    health.begin(0, 4_200).unwrap().ended(FINE, 4_300);
    assert!(availability(4_300) >= 0.8 && health.gate(0, 4_300) == Gate::Closed);
}

#[test]
fn where_only_whole_answers_are_known_a_first_token_takes_no_longer() {
    let health = Arc::new(Health::new(1, RULE));
    health.record(LANE, Sample::whole(50, 4_000, 100), 0);
    let streams = [(); 3].map(|()| health.begin(0, 1_000).unwrap());
    assert_eq!(streams[0].patience_ms(), 12_000);
    assert!(!health.leaves_silent(0, 21_000) && health.leaves_silent(0, 21_001));
}

#[test]
fn one_slow_whole_answer_is_no_silence_and_several_without_any_are() {
    let health = Arc::new(Health::new(1, RULE));
    health.record(LANE, FINE, 0);
    health.record(LANE, Sample::whole(50, 900, 100), 0);
    let availability = |at_ms| health.snapshot(0, Band::default(), at_ms).availability;
    let whole = |at_ms| {
        let demand = Demand { whole: true, input_tokens: 100 };
        health.begin_for(0, demand, at_ms).unwrap()
    };
    let slow = [whole(1_000), whole(1_000)];
    assert!(availability(200_000) > 0.9, "two long answers");
    let third = whole(200_000);
    assert!(availability(200_001) < 0.5 && third.leaves_silent(200_001));
    let mut stream = health.begin(0, 200_002).unwrap();
    stream.heard(200_003);
    assert!(availability(230_003) > 0.9, "a stream has shown that it is alive");
    assert!(!third.leaves_silent(230_003) && third.leaves_silent(230_004));
    drop(slow);
}
