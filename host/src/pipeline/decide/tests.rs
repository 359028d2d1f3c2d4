use super::*;

#[test]
fn what_the_policy_gives_no_score_is_excluded_by_it() {
    let candidate = |index| Candidate { index, rejection: None, figures: None, score: None };
    let mut candidates: Vec<Candidate> = (0..3).map(candidate).collect();
    candidates[1].rejection = Some(Rejection::Tools);
    take_scores(&mut candidates, &[0, 2], vec![None, Some(0.5)]);
    let reasons: Vec<_> =
        candidates.iter().map(|it| it.rejection.as_ref().map(Rejection::code)).collect();
    assert_eq!(reasons, [Some("excluded_by_policy"), Some("no_tools"), None]);
    assert_eq!(candidates[2].score, Some(0.5));
}
