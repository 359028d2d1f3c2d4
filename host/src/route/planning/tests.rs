use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;
use crate::route::{Particulars, Snapshot, Workload, figure_row};

/// Offers of these providers with these scores.
fn scored(rows: &[(&str, f64)]) -> (Vec<Candidate>, Vec<Arc<Offer>>) {
    let catalog = Catalog::embedded().unwrap();
    let row = |(index, (provider, score)): (usize, &(&str, f64))| {
        let candidate = Candidate { index, rejection: None, figures: None, score: Some(*score) };
        (candidate, Arc::clone(&catalog.offers_of(provider)[index]))
    };
    rows.iter().enumerate().map(row).unzip()
}

/// The same with qualities.
fn graded(rows: &[(&str, f64, f64)]) -> (Vec<Candidate>, Vec<Arc<Offer>>) {
    let plain: Vec<_> = rows.iter().map(|(provider, score, _)| (*provider, *score)).collect();
    let (mut candidates, offers) = scored(&plain);
    let catalog = Catalog::embedded().unwrap();
    let priced = catalog.offers_of("openai").iter().find(|offer| offer.is_priced()).unwrap();
    let work = Workload::new("chat", 0.5, 100, None);
    for (candidate, (_, _, quality)) in candidates.iter_mut().zip(rows) {
        let of_it = Particulars::of_text(&work);
        let row = figure_row(priced, &work, &of_it, Snapshot::UNKNOWN).unwrap();
        candidate.figures = Some(FigureRow { quality: *quality, ..row });
    }
    (candidates, offers)
}

fn attempts(attempts_max: usize) -> Planning {
    Planning { attempts_max, ..Planning::default() }
}

#[test]
fn the_best_is_first_and_each_fallback_is_at_another_provider_of_the_tier() {
    let rows = [("openai", 2.9), ("openai", 2.8), ("openai", 2.7), ("mistral", 2.1), ("xai", 2.0)];
    let (candidates, offers) = scored(&rows);
    assert_eq!(plan(&candidates, &offers, attempts(3)), [0, 3, 4]);
    assert_eq!(plan(&candidates, &offers, attempts(5)), [0, 3, 4, 1, 2], "then the rest by score");
}

#[test]
fn a_fallback_does_not_cross_a_tier_while_an_offer_of_it_is_left() {
    let rows = [("openai", 2.9), ("openai", 2.8), ("openai", 2.7), ("groq", 1.3), ("xai", 0.4)];
    let (candidates, offers) = scored(&rows);
    assert_eq!(
        plan(&candidates, &offers, attempts(2)),
        [0, 1, 3],
        "a way out, where all are one's"
    );
    assert_eq!(plan(&candidates, &offers, attempts(3)), [0, 1, 2, 3]);
    assert_eq!(
        plan(&candidates, &offers, attempts(4)),
        [0, 1, 2, 3],
        "shaky ones after all others"
    );
    assert_eq!(plan(&candidates, &offers, attempts(1)), [0], "who wants one attempt gets one");
    let (candidates, offers) = scored(&rows[..3]);
    assert_eq!(plan(&candidates, &offers, attempts(3)), [0, 1, 2], "there is nobody else");
}

#[test]
fn a_rules_floor_holds_whatever_tiers_a_policy_makes() {
    // Of a policy whose scores are all below 1.
    let rows = [("openai", 0.9, 0.9), ("openai", 0.8, 0.85), ("groq", 0.7, 0.5), ("xai", 0.1, 0.8)];
    let (candidates, offers) = graded(&rows);
    assert_eq!(plan(&candidates, &offers, attempts(3)), [0, 2, 3], "no rule");
    let floored = Planning { quality_floor: 0.8, ..attempts(3) };
    assert_eq!(plan(&candidates, &offers, floored), [0, 3, 1], "groq is below it");
}

#[test]
fn what_a_rule_prefers_holds_whatever_tiers_a_policy_makes() {
    let rows = [("openai", 0.9, 0.9), ("openai", 0.8, 0.9), ("groq", 0.7, 0.9)];
    let (mut candidates, offers) = graded(&rows);
    for candidate in &mut candidates[..2] {
        candidate.figures.as_mut().unwrap().prefer();
    }
    assert_eq!(plan(&candidates, &offers, attempts(3)), [0, 1, 2]);
}

#[test]
fn what_is_to_be_tried_first_is_and_the_rest_follows_from_it() {
    let rows = [("openai", 2.9), ("mistral", 2.8), ("mistral", 2.7), ("xai", 2.6)];
    let (mut candidates, offers) = scored(&rows);
    let first = |row| Planning { first: Some(row), ..attempts(3) };
    assert_eq!(plan(&candidates, &offers, first(2)), [2, 0, 3]);
    candidates[2].rejection = Some(crate::route::Rejection::BudgetShort);
    assert_eq!(plan(&candidates, &offers, first(2)), [0, 1, 3], "it can't be paid");
    assert_eq!(plan(&candidates, &offers, first(9)), [0, 1, 3], "there is none");
}

#[test]
fn the_best_comes_second_where_another_is_tried_first_and_never_falls_out_for_it() {
    let rows = [("openai", 2.9), ("openai", 2.8), ("groq", 2.7), ("mistral", 2.6)];
    let (candidates, offers) = scored(&rows);
    let first = |row, attempts_max| Planning { first: Some(row), ..attempts(attempts_max) };
    assert_eq!(plan(&candidates, &offers, first(1, 3)), [1, 0, 2], "also at the same provider");
    assert_eq!(plan(&candidates, &offers, first(1, 2)), [1, 0, 2], "all are one's");
    assert_eq!(plan(&candidates, &offers, first(1, 1)), [0], "who has one attempt has the best");
    assert_eq!(plan(&candidates, &offers, first(0, 3)), [0, 2, 3], "it is the best itself");
}

#[test]
fn what_has_no_score_is_never_asked() {
    let (mut candidates, offers) = scored(&[("openai", 1.0), ("mistral", 2.0)]);
    candidates[1].score = None;
    assert_eq!(plan(&candidates, &offers, attempts(3)), [0]);
}

#[test]
fn pitfall_65_equal_offers_share_the_load() {
    let (candidates, offers) = scored(&[("openai", 1.0), ("mistral", 1.0)]);
    let first = |_| plan(&candidates, &offers, attempts(1))[0];
    let ones = (0..400).map(first).filter(|row| *row == 1).count();
    assert!((100..300).contains(&ones), "{ones} of 400 went to the second");
}
