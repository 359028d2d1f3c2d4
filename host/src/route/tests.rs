use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;

fn scored(rows: &[(&str, f64)]) -> Vec<Candidate> {
    let catalog = Catalog::embedded().unwrap();
    let row = |(index, (provider, score)): (usize, &(&str, f64))| Candidate {
        index,
        offer: Arc::clone(&catalog.offers_of(provider)[index]),
        rejection: None,
        figures: None,
        score: Some(*score),
    };
    rows.iter().enumerate().map(row).collect()
}

#[test]
fn the_best_is_first_and_each_fallback_is_at_another_provider_while_there_is_one() {
    let rows = [("openai", 3.0), ("openai", 2.9), ("openai", 2.8), ("mistral", 1.0), ("xai", 0.5)];
    assert_eq!(plan(&scored(&rows), 3), [0, 3, 4]);
    assert_eq!(plan(&scored(&rows), 5), [0, 3, 4, 1, 2], "then the rest by score");
}

#[test]
fn what_has_no_score_is_never_asked() {
    let mut candidates = scored(&[("openai", 1.0), ("mistral", 2.0)]);
    candidates[1].score = None;
    assert_eq!(plan(&candidates, 3), [0]);
}

#[test]
fn pitfall_65_equal_offers_share_the_load() {
    let candidates = scored(&[("openai", 1.0), ("mistral", 1.0)]);
    let first = |_| plan(&candidates, 1)[0];
    let ones = (0..400).map(first).filter(|row| *row == 1).count();
    assert!((100..300).contains(&ones), "{ones} of 400 went to the second");
}
