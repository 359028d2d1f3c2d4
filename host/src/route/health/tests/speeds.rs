//! What is measured of streams and of answers that come whole, and how it is forgotten.

use super::*;

fn seen(health: &Health, input_tokens: u32, now_ms: u64) -> Snapshot {
    health.snapshot(0, Band::of(input_tokens), now_ms)
}

#[test]
fn a_whole_answer_says_nothing_of_the_first_token() {
    let health = Health::new(1, RULE);
    health.record(LANE, Sample::whole(50, 3_200, 100), 1_000);
    let slow = seen(&health, 100, 1_000);
    assert!((slow.first_token_ms - Snapshot::UNKNOWN.first_token_ms).abs() < 1e-9, "{slow:?}");
    assert!(
        !slow.first_token_measured && slow.tokens_per_second < 40.0,
        "but it is slow: {slow:?}"
    );
    assert!(health.observed(0, 1_000).unwrap().bands.is_empty());
    assert_eq!(health.observed(0, 1_000).unwrap().whole_answer_ms, Some(3_200.0));
    let quick = Health::new(1, RULE);
    quick.record(LANE, Sample::whole(300, 1_000, 100), 1_000);
    let quick = seen(&quick, 100, 1_000);
    assert!(quick.tokens_per_second > 300.0 && quick.first_token_ms < 200.0, "{quick:?}");
    // A stream is measured, and then what it shows counts.
    health.record(LANE, Sample::answered(150, 100, 1_150, 100), 2_000);
    let measured = seen(&health, 100, 2_000);
    assert!((measured.first_token_ms - 150.0).abs() < 1e-9 && measured.first_token_measured);
    assert!((measured.tokens_per_second - 100.0).abs() < 1e-9, "{measured:?}");
}

#[test]
fn who_was_slow_is_taken_for_quicker_with_time() {
    let health = Health::new(1, RULE);
    // Three tokens a second, after six seconds.
    health.record(LANE, Sample::answered(6_000, 30, 16_000, 100), 1_000);
    let speed = |at_ms| seen(&health, 100, at_ms).tokens_per_second;
    assert!((speed(1_000) - 3.0).abs() < 1e-9);
    assert!((5.0..7.0).contains(&speed(301_000)), "half of it is forgotten: {}", speed(301_000));
    assert!(speed(3_601_000) > 55.0, "it was not asked for an hour: {}", speed(3_601_000));
    assert!(seen(&health, 100, 600_999).first_token_measured);
    assert!(!seen(&health, 100, 601_000).first_token_measured, "nobody is ruled out by that now");
    let whole = Health::new(1, RULE);
    whole.record(LANE, Sample::whole(30, 24_000, 100), 1_000);
    let speed = |at_ms| seen(&whole, 100, at_ms).tokens_per_second;
    assert!(speed(1_000) < 5.0 && speed(3_601_000) > 55.0);
}

#[test]
fn who_was_outrun_is_no_quicker_than_that_and_no_longer_unknown() {
    let health = Health::new(1, RULE);
    let outrun = |waited_ms, at_ms| health.record(LANE, Sample::outrun(waited_ms, 100), at_ms);
    let first_ms = |at_ms| seen(&health, 100, at_ms).first_token_ms;
    outrun(500, 1_000);
    assert_eq!(health.sampled_ms(0), 1_000);
    let anyone = Snapshot::UNKNOWN.first_token_ms;
    assert!((first_ms(1_000) - anyone).abs() < 1e-9, "it was not believed to be quicker");
    assert!(!seen(&health, 100, 1_000).first_token_measured);
    outrun(2_000, 2_000);
    assert!((first_ms(2_000) - 2_000.0).abs() < 1e-9, "{}", first_ms(2_000));
    assert!(seen(&health, 100, 2_000).first_token_measured);
    outrun(1_500, 2_000);
    assert!((first_ms(2_000) - 2_000.0).abs() < 1e-9, "that is no news: {}", first_ms(2_000));
    health.record(LANE, Sample::answered(300, 0, 300, 100), 2_000);
    assert!(first_ms(2_000) < 2_000.0, "it answers more quickly now");
}

#[test]
fn who_was_outrun_has_neither_answered_nor_failed() {
    let health = Health::new(1, BreakerRule { failures: 100, open_ms: 1 });
    (0..20).for_each(|_| health.record(LANE, Sample::Failed, 1_000));
    let availability = |at_ms| health.snapshot(0, Band::SHORT, at_ms).availability;
    let before = availability(61_000);
    health.record(LANE, Sample::outrun(500, 100), 61_000);
    assert!((availability(61_000) - before).abs() < 1e-9, "what was forgotten stays so");
    assert_eq!(health.gate(0, 61_000), Gate::Closed);
}

#[test]
fn what_short_prompts_show_does_not_keep_long_ones_slow() {
    let health = Health::new(1, RULE);
    let long = 100_000;
    health.record(LANE, Sample::answered(30_000, 0, 30_000, long), 1_000);
    for minute in 1..=60 {
        health.record(LANE, FINE, minute * 60_000);
    }
    let first_ms = seen(&health, long, 3_600_000).first_token_ms;
    assert!(first_ms < 1_000.0, "an hour later {first_ms}");
}

/// Milliseconds that a typical answer is expected to take, as the route policy adds them up.
fn typical_ms(health: &Health) -> f64 {
    let seen = seen(health, 100, 1_000);
    seen.first_token_ms + 300.0 / seen.tokens_per_second * 1_000.0
}

fn streamed(times: [u64; 3], [tokens, thinking_tokens]: [u64; 2]) -> Health {
    let health = Health::new(1, RULE);
    let [first_ms, spoke_ms, ended_ms] = times;
    let of = Streamed { first_ms, spoke_ms, ended_ms, tokens, thinking_tokens };
    health.record(LANE, Sample::streamed(of, 100), 1_000);
    health
}

/// A model that thinks for 25 seconds is no quick one, whether that is shown or not, and whether or
/// not its provider counts it.
#[test]
fn what_is_thought_takes_time_and_writes_nothing() {
    // 2,000 tokens of thinking at 80 a second, shown from the first half second on, then 300.
    for tokens in [[2_300, 2_000], [2_300, 0]] {
        let shown = streamed([500, 25_500, 29_250], tokens);
        assert!((typical_ms(&shown) - 29_250.0).abs() < 1.0, "{tokens:?}: {}", typical_ms(&shown));
        let first_ms = seen(&shown, 100, 1_000).first_token_ms;
        assert!((first_ms - 500.0).abs() < 1e-9, "the stream has begun to answer by then");
    }
    // 200 tokens of thinking that nobody sees, then 100 at 80 a second.
    let hidden = streamed([3_000, 3_000, 4_250], [300, 200]);
    assert!((seen(&hidden, 100, 1_000).tokens_per_second - 80.0).abs() < 1e-9);
    assert!((typical_ms(&hidden) - 6_750.0).abs() < 1.0, "{}", typical_ms(&hidden));
    // A summary of it is shown while it goes on.
    let summary = streamed([5_000, 20_000, 23_750], [2_300, 2_000]);
    assert!((typical_ms(&summary) - 23_750.0).abs() < 1.0, "{}", typical_ms(&summary));
}

#[test]
fn an_answer_of_nothing_but_thinking_says_nothing_of_how_it_writes() {
    let thought = streamed([500, 10_500, 10_500], [800, 800]);
    assert!(thought.observed(0, 1_000).unwrap().bands[0].tokens_per_second.is_none());
    // As long as others write: 5 seconds for 300 tokens, after 10 of thinking.
    assert!((typical_ms(&thought) - 15_500.0).abs() < 1.0, "{}", typical_ms(&thought));
    // What is thought is forgotten as it is thought about less.
    for _ in 0..50 {
        thought.record(LANE, Sample::answered(500, 100, 1_500, 100), 1_000);
    }
    assert!((typical_ms(&thought) - 3_500.0).abs() < 10.0, "{}", typical_ms(&thought));
}
