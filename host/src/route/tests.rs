use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;

fn scored(rows: &[(&str, f64)]) -> (Vec<Candidate>, Vec<Arc<Offer>>) {
    let catalog = Catalog::embedded().unwrap();
    let row = |(index, (provider, score)): (usize, &(&str, f64))| {
        let candidate = Candidate { index, rejection: None, figures: None, score: Some(*score) };
        (candidate, Arc::clone(&catalog.offers_of(provider)[index]))
    };
    rows.iter().enumerate().map(row).unzip()
}

#[test]
fn the_best_is_first_and_each_fallback_is_at_another_provider_while_there_is_one() {
    let rows = [("openai", 3.0), ("openai", 2.9), ("openai", 2.8), ("mistral", 1.0), ("xai", 0.5)];
    let (candidates, offers) = scored(&rows);
    assert_eq!(plan(&candidates, &offers, 3), [0, 3, 4]);
    assert_eq!(plan(&candidates, &offers, 5), [0, 3, 4, 1, 2], "then the rest by score");
}

#[test]
fn what_has_no_score_is_never_asked() {
    let (mut candidates, offers) = scored(&[("openai", 1.0), ("mistral", 2.0)]);
    candidates[1].score = None;
    assert_eq!(plan(&candidates, &offers, 3), [0]);
}

#[test]
fn pitfall_65_equal_offers_share_the_load() {
    let (candidates, offers) = scored(&[("openai", 1.0), ("mistral", 1.0)]);
    let first = |_| plan(&candidates, &offers, 1)[0];
    let ones = (0..400).map(first).filter(|row| *row == 1).count();
    assert!((100..300).contains(&ones), "{ones} of 400 went to the second");
}
