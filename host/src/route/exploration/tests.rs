use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;
use crate::route::{BreakerRule, Particulars, Sample, Workload, figure_row};

const RULE: BreakerRule = BreakerRule { failures: 5, open_ms: 10_000 };
const NOW_MS: u64 = 10_000_000;

fn asked(health: &Arc<Health>, offer: usize, first_token_ms: f64, at_ms: u64) {
    timed(health, offer, (first_token_ms, 200.0), at_ms);
}

fn timed(health: &Arc<Health>, offer: usize, speed: (f64, f64), at_ms: u64) {
    let (first_token_ms, tokens_per_second) = speed;
    let sample = Sample::Answered { first_token_ms, tokens_per_second, band: Default::default() };
    let attempt = health.begin(offer, at_ms).unwrap();
    health.record(attempt.lane(), sample, at_ms);
}

/// Three offers as a request at `NOW_MS` sees them.
fn seen(health: &Health) -> Vec<Candidate> {
    let catalog = Catalog::embedded().unwrap().for_providers(&["openai"]).unwrap();
    let offer = catalog.offers().iter().find(|offer| offer.is_priced()).unwrap();
    let work = Workload::new("chat", 0.2, 100, None);
    let row = |index| {
        let seen = health.snapshot(index, work.band(), NOW_MS);
        let figures = figure_row(offer, &work, &Particulars::of_text(&work), seen);
        Candidate { index, rejection: None, figures, score: None }
    };
    (0..3).map(row).collect()
}

fn first_tokens(candidates: &[Candidate]) -> Vec<f64> {
    candidates.iter().map(|it| it.figures.as_ref().unwrap().first_token_ms).collect()
}

fn lend(candidates: &mut [Candidate], health: &Health) {
    Exploring::lend(candidates, health, NOW_MS, &mut || 0);
}

#[test]
fn one_that_was_never_asked_is_hoped_to_be_quicker_than_the_quickest() {
    let health = Arc::new(Health::new(3, RULE));
    asked(&health, 0, 300.0, NOW_MS);
    let mut candidates = seen(&health);
    lend(&mut candidates, &health);
    assert_eq!(first_tokens(&candidates), [300.0, 700.0, 150.0], "one alone, by lot");
    let lent = candidates[2].figures.as_ref().unwrap();
    assert_eq!((lent.first_token_p95_ms, lent.tokens_per_second), (150.0, 200.0));
    let marked = candidates.iter().map(|it| it.figures.as_ref().unwrap().explored);
    assert_eq!(marked.collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn nothing_is_lent_where_all_are_known_or_none_is_known_to_be_quicker() {
    let health = Arc::new(Health::new(3, RULE));
    timed(&health, 0, (900.0, 50.0), NOW_MS);
    let mut candidates = seen(&health);
    lend(&mut candidates, &health);
    assert_eq!(first_tokens(&candidates), [900.0, 700.0, 700.0], "the unknown go first anyway");
    asked(&health, 1, 200.0, NOW_MS);
    asked(&health, 2, 400.0, NOW_MS);
    let mut candidates = seen(&health);
    lend(&mut candidates, &health);
    assert_eq!(first_tokens(&candidates), [900.0, 200.0, 400.0]);
}

#[test]
fn what_is_out_is_not_tried_and_what_was_measured_long_ago_is() {
    let health = Arc::new(Health::new(3, RULE));
    asked(&health, 0, 300.0, NOW_MS);
    asked(&health, 1, 500.0, NOW_MS - KNOWN_FOR_MS);
    let mut candidates = seen(&health);
    candidates[2].rejection = Some(crate::route::Rejection::NotAllowed);
    lend(&mut candidates, &health);
    assert_eq!(first_tokens(&candidates), [300.0, 150.0, 700.0]);
}

#[test]
fn it_is_due_once_in_so_many_and_never_by_nought() {
    let mut lots = 0..u32::MAX;
    let due = (0..100).filter(|_| Exploring(20).is_due(&mut || lots.next().unwrap())).count();
    assert_eq!(due, 5);
    assert!(!Exploring(0).is_due(&mut || 0));
    assert!(Exploring(1).is_due(&mut || 7));
}
