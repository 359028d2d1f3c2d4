use super::*;

/// A candidate with figures, as a record has it.
fn candidate(offer: &str, score: Option<f64>, reason: Option<&'static str>) -> CandidateFact {
    CandidateFact {
        offer: offer.into(),
        score,
        quality: Some(0.7),
        expected_cost_usd: Some(PicoUsd(1_000)),
        first_token_ms: Some(700.0),
        figures: Some(FiguresFact::default()),
        reason_code: reason.map(Into::into),
        ..CandidateFact::default()
    }
}

#[test]
fn what_was_out_before_anyone_scored_is_not_brought_back() {
    for reason in ["below_min_quality", "over_cost_ceiling", "over_time_ceiling"] {
        assert!(Row::of(&candidate("a", None, Some(reason))).is_none(), "{reason}");
    }
    let running = candidate("a", Some(2.5), None);
    assert!(Row::of(&running).is_some_and(|row| row.payable));
    let excluded = candidate("a", None, Some("excluded_by_policy"));
    assert!(Row::of(&excluded).is_some_and(|row| row.payable), "another policy may take it");
    for reason in ["model_budget", "budget_short", "credit_short"] {
        let short = candidate("a", Some(2.9), Some(reason));
        assert!(Row::of(&short).is_some_and(|row| !row.payable), "{reason}");
    }
    let bare = CandidateFact { quality: None, ..running };
    assert!(Row::of(&bare).is_none());
}

#[test]
fn what_was_only_tried_is_not_what_was_decided() {
    let mut tried = candidate("tried", Some(2.1), None);
    tried.figures = Some(FiguresFact { explored: true, ..FiguresFact::default() });
    let facts = [
        tried,
        candidate("good", Some(2.5), None),
        candidate("unpayable", Some(2.9), Some("budget_short")),
        candidate("best", Some(2.8), None),
    ];
    let rows: Vec<Row<'_>> = facts.iter().filter_map(Row::of).collect();
    assert_eq!(decided(&rows, "tried"), Some(3), "the best of those that could be paid");
    assert_eq!(decided(&rows, "good"), Some(1), "as the plan says otherwise");
    assert_eq!(decided(&rows, "nobody"), None);
}
