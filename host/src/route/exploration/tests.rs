use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;
use crate::route::{BreakerRule, Particulars, Sample, Workload, figure_row};

const RULE: BreakerRule = BreakerRule { failures: 5, open_ms: 10_000 };
const NOW_MS: u64 = 10_000_000;

fn asked(health: &Arc<Health>, offer: usize, first_token_ms: f64, at_ms: u64) {
    let (thinking_ms, tokens_per_second, band) = (0.0, 200.0, Default::default());
    let sample = Sample::Answered { first_token_ms, thinking_ms, tokens_per_second, band };
    let attempt = health.begin(offer, at_ms).unwrap();
    health.record(attempt.lane(), sample, at_ms);
}

/// Three offers as a request at `NOW_MS` sees them, with these scores and times this price.
fn seen(health: &Health, rows: [(f64, f64); 3]) -> Vec<Candidate> {
    let catalog = Catalog::embedded().unwrap().for_providers(&["openai"]).unwrap();
    let offer = catalog.offers().iter().find(|offer| offer.is_priced()).unwrap();
    let work = Workload::new("chat", 0.2, 100, None);
    let row = |(index, (score, price)): (usize, (f64, f64))| {
        let seen = health.snapshot(index, work.band(), NOW_MS);
        let mut figures = figure_row(offer, &work, &Particulars::of_text(&work), seen);
        figures.iter_mut().for_each(|row| row.cost_usd *= price);
        Candidate { index, rejection: None, figures, score: Some(score) }
    };
    rows.into_iter().enumerate().map(row).collect()
}

fn draw(candidates: &[Candidate], health: &Health) -> Option<usize> {
    Exploring::draw(candidates, health, 0.0, NOW_MS, &mut || 0)
}

const ALIKE: [(f64, f64); 3] = [(2.9, 1.0), (2.5, 1.0), (2.4, 1.0)];

#[test]
fn one_that_was_never_asked_is_drawn_beside_a_best_that_is_known() {
    let health = Arc::new(Health::new(3, RULE));
    assert_eq!(draw(&seen(&health, ALIKE), &health), None, "the best is one of the unknown");
    asked(&health, 0, 300.0, NOW_MS);
    let candidates = seen(&health, ALIKE);
    let drawn = |lot| Exploring::draw(&candidates, &health, 0.0, NOW_MS, &mut || lot);
    assert_eq!([drawn(1), drawn(0)], [Some(1), Some(2)], "by lot");
    let unchanged = candidates[2].figures.as_ref().unwrap().first_token_ms;
    assert!((unchanged - 700.0).abs() < 1e-9, "its figures are what is known of it");
}

#[test]
fn nothing_is_drawn_where_all_are_known() {
    let health = Arc::new(Health::new(3, RULE));
    for offer in 0..3 {
        asked(&health, offer, 300.0, NOW_MS);
    }
    assert_eq!(draw(&seen(&health, ALIKE), &health), None);
}

/// Asked beside another that began first, it is cancelled: unknown for ever, it would be drawn for
/// ever, and two prompts be paid each time.
#[test]
fn one_that_another_has_outrun_is_not_drawn_again() {
    let health = Arc::new(Health::new(3, RULE));
    asked(&health, 0, 300.0, NOW_MS);
    let outrun = health.begin(2, NOW_MS).unwrap();
    outrun.ended(Sample::outrun(500, 100), NOW_MS);
    drop(outrun);
    assert_eq!(draw(&seen(&health, ALIKE), &health), Some(1), "the other");
    assert_eq!(health.gate(2, NOW_MS), crate::route::Gate::Closed);
}

#[test]
fn only_one_of_the_bests_tier_is_tried_and_none_that_is_much_dearer() {
    let health = Arc::new(Health::new(3, RULE));
    asked(&health, 0, 300.0, NOW_MS);
    let below = seen(&health, [(2.9, 1.0), (1.9, 0.1), (0.4, 0.1)]);
    assert_eq!(draw(&below, &health), None, "below the floor, or shaky");
    let dear = seen(&health, [(2.9, 1.0), (2.5, 3.1), (2.4, 2.9)]);
    assert_eq!(draw(&dear, &health), Some(2), "at thrice the price at most");
    let mut preferred = seen(&health, ALIKE);
    preferred[0].figures.as_mut().unwrap().prefer();
    assert_eq!(draw(&preferred, &health), None, "a rule prefers the best");
    let floored = seen(&health, ALIKE);
    let quality = floored[0].figures.as_ref().unwrap().quality;
    let drawn = |floor| Exploring::draw(&floored, &health, floor, NOW_MS, &mut || 0);
    assert_eq!(drawn(quality), Some(2), "all are at the floor");
}

#[test]
fn what_is_out_is_not_tried_and_what_was_measured_long_ago_is() {
    let health = Arc::new(Health::new(3, RULE));
    asked(&health, 0, 300.0, NOW_MS);
    asked(&health, 1, 500.0, NOW_MS - KNOWN_FOR_MS);
    let mut candidates = seen(&health, ALIKE);
    candidates[2].rejection = Some(crate::route::Rejection::NotAllowed);
    assert_eq!(draw(&candidates, &health), Some(1));
}

#[test]
fn it_is_of_use_where_speed_counts() {
    for (profile, of_use) in [
        ("fast", true),
        ("balanced", false),
        ("best", false),
        ("weighted-50-30-20", true),
        ("weighted-80-0-20", false),
        ("weighted", false),
    ] {
        assert_eq!(Exploring::is_of_use(profile), of_use, "{profile}");
    }
}

#[test]
fn it_is_due_once_in_so_many_and_never_by_nought() {
    let mut lots = 0..u32::MAX;
    let due = (0..100).filter(|_| Exploring(20).is_due(&mut || lots.next().unwrap())).count();
    assert_eq!(due, 5);
    assert!(!Exploring(0).is_due(&mut || 0));
    assert!(Exploring(1).is_due(&mut || 7));
}
