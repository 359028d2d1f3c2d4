//! Each test names the promise of the rule that it holds to.

use turnpike_policy_sdk::mock::MockCandidates;
use turnpike_policy_sdk::{
    Classification, Figures, MARK_PREFERRED, MARK_PRICE_ESTIMATED, MARK_WARM, Objective, Plugin,
    Refusal, Route,
};

use super::RouteDefault;

/// Quality, dollars, first token ms, availability, marks.
type Offer = (f64, f64, f64, f64, u8);

const SMALL: Offer = (0.5, 0.0001, 200.0, 0.99, 0);
const MIDDLE: Offer = (0.68, 0.001, 400.0, 0.99, 0);
const LARGE: Offer = (0.90, 0.02, 900.0, 0.99, 0);

fn figures(offers: &[Offer]) -> Figures {
    Figures {
        quality: offers.iter().map(|it| it.0).collect(),
        cost_usd: offers.iter().map(|it| it.1).collect(),
        cost_worst_usd: offers.iter().map(|it| it.1 * 4.0).collect(),
        first_token_ms: offers.iter().map(|it| it.2).collect(),
        first_token_p95_ms: offers.iter().map(|it| it.2 * 3.0).collect(),
        tokens_per_second: offers.iter().map(|_| 80.0).collect(),
        availability: offers.iter().map(|it| it.3).collect(),
        in_flight: offers.iter().map(|_| 0.0).collect(),
        marks: offers.iter().map(|it| it.4).collect(),
    }
}

fn objective(profile: &str) -> Objective {
    Objective { profile: profile.to_owned(), ..Objective::default() }
}

fn scores(offers: &[Offer], difficulty: f64, objective: &Objective) -> Vec<f64> {
    let task = Classification { difficulty, ..Classification::default() };
    RouteDefault::default()
        .score(&task, &figures(offers), objective, &MockCandidates::default())
        .unwrap()
}

/// Indices from best to worst, without the excluded.
fn plan(offers: &[Offer], difficulty: f64, objective: &Objective) -> Vec<usize> {
    let scores = scores(offers, difficulty, objective);
    let mut order: Vec<usize> = (0..scores.len()).filter(|index| scores[*index] >= 0.0).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

#[test]
fn balanced_takes_the_cheapest_that_clears_the_floor_of_the_difficulty() {
    let offers = [LARGE, MIDDLE, SMALL];
    for profile in ["balanced", "", "house-style"] {
        assert_eq!(plan(&offers, 0.0, &objective(profile))[0], 2, "trivial under {profile}");
        assert_eq!(plan(&offers, 0.4, &objective(profile))[0], 1, "middling under {profile}");
        assert_eq!(plan(&offers, 1.0, &objective(profile))[0], 0, "hard under {profile}");
    }
}

#[test]
fn cheap_is_content_with_less() {
    assert_eq!(plan(&[LARGE, MIDDLE, SMALL], 0.2, &objective("cheap"))[0], 2);
    assert_eq!(plan(&[LARGE, MIDDLE, SMALL], 0.2, &objective("balanced"))[0], 1);
}

#[test]
fn fast_takes_the_quickest_at_the_same_floor() {
    let slow_but_cheap = (0.7, 0.0001, 5000.0, 0.99, 0);
    let offers = [slow_but_cheap, MIDDLE, SMALL];
    assert_eq!(plan(&offers, 0.4, &objective("fast"))[0], 1);
    assert_eq!(plan(&offers, 0.4, &objective("balanced"))[0], 0);
}

#[test]
fn fast_does_not_pay_any_price() {
    // As quick as each other, as offers are that were never asked: the cheaper one.
    let (dear, cheap) = ((0.9, 0.5, 700.0, 1.0, 0), (0.7, 0.001, 700.0, 1.0, 0));
    assert_eq!(plan(&[dear, cheap], 0.4, &objective("fast")), [1, 0]);
    // A tenth quicker at five hundred times the price is not worth it; four times as quick is.
    let quicker = |ms| (0.9, 0.5, ms, 1.0, 0);
    assert_eq!(plan(&[quicker(630.0), cheap], 0.4, &objective("fast"))[0], 1);
    let slow = (0.7, 0.001, 20_000.0, 1.0, 0);
    assert_eq!(plan(&[quicker(500.0), slow], 0.4, &objective("fast"))[0], 0);
}

#[test]
fn a_conversation_does_not_stay_against_what_was_asked_for() {
    let warm = |cost| (0.68, cost, 400.0, 0.99, MARK_WARM);
    assert_eq!(plan(&[MIDDLE, warm(0.003)], 0.4, &objective("cheap"))[0], 0, "cheap is cheap");
    assert_eq!(plan(&[MIDDLE, warm(0.001)], 0.4, &objective("cheap"))[0], 1);
    let preferred = (0.7, 0.02, 900.0, 0.99, MARK_PREFERRED);
    assert_eq!(plan(&[preferred, warm(0.001)], 0.4, &objective("balanced"))[0], 0, "a rule's");
    let both = (0.68, 0.03, 900.0, 0.99, MARK_PREFERRED | MARK_WARM);
    assert_eq!(plan(&[preferred, both], 0.4, &objective("balanced"))[0], 1, "of two preferred");
    let poor = (0.3, 0.02, 900.0, 0.99, MARK_PREFERRED);
    assert_eq!(plan(&[poor, warm(0.001)], 0.4, &objective("balanced"))[0], 1, "not good enough");
}

#[test]
fn best_takes_quality_within_the_ceiling() {
    let offers = [SMALL, MIDDLE, LARGE];
    assert_eq!(plan(&offers, 0.1, &objective("best")), [2, 1, 0]);
    let capped = Objective { cost_ceiling_usd: 0.01, ..objective("best") };
    assert_eq!(plan(&offers, 0.1, &capped), [1, 0]);
}

#[test]
fn the_tail_of_the_plan_is_the_fallback_nearest_to_the_floor() {
    assert_eq!(plan(&[SMALL, MIDDLE, LARGE], 0.95, &objective("balanced")), [2, 1, 0]);
}

#[test]
fn ceilings_and_unknown_prices_exclude() {
    let unknown = (0.9, f64::NAN, 100.0, 1.0, 0);
    let slow = Objective { first_token_ceiling_ms: 300.0, ..objective("balanced") };
    let scores = scores(&[unknown, SMALL, MIDDLE], 0.1, &slow);
    assert!(scores[0] < 0.0 && scores[1] >= 0.0 && scores[2] < 0.0, "{scores:?}");
}

#[test]
fn what_hardly_answers_goes_last_however_cheap() {
    let shaky = (0.9, 0.000_000_1, 50.0, 0.2, 0);
    assert_eq!(plan(&[shaky, SMALL, LARGE], 0.0, &objective("balanced")), [1, 2, 0]);
}

#[test]
fn a_warm_session_stays_and_an_estimated_price_counts_for_more() {
    let warm = (0.68, 0.00105, 400.0, 0.99, MARK_WARM);
    assert_eq!(plan(&[MIDDLE, warm], 0.4, &objective("balanced"))[0], 1);
    let guessed = (0.68, 0.00095, 400.0, 0.99, MARK_PRICE_ESTIMATED);
    assert_eq!(plan(&[guessed, MIDDLE], 0.4, &objective("balanced"))[0], 1);
}

#[test]
fn pitfall_62_a_conversation_stays_unless_it_is_much_cheaper_or_better_elsewhere() {
    let warm = |cost| (0.68, cost, 400.0, 0.99, MARK_WARM);
    for profile in ["balanced", "fast"] {
        assert_eq!(plan(&[MIDDLE, warm(0.003)], 0.4, &objective(profile))[0], 1, "{profile}");
    }
    assert_eq!(plan(&[MIDDLE, warm(0.006)], 0.4, &objective("balanced"))[0], 0, "too dear by far");
    // A turn that is a little harder than the others does not move it, a hard one does.
    assert_eq!(plan(&[LARGE, warm(0.001)], 0.48, &objective("balanced"))[0], 1);
    assert_eq!(plan(&[LARGE, warm(0.001)], 0.9, &objective("balanced"))[0], 0);
    let nearly_best = (0.87, 0.01, 900.0, 0.99, MARK_WARM);
    assert_eq!(plan(&[LARGE, nearly_best], 0.9, &objective("best"))[0], 1);
}

#[test]
fn pitfall_63_a_warm_session_does_not_stay_where_nothing_answers() {
    let failing = (0.68, 0.001, 400.0, 0.3, MARK_WARM);
    assert_eq!(plan(&[failing, LARGE], 0.4, &objective("balanced"))[0], 1);
}

#[test]
fn what_a_rule_prefers_goes_first_among_those_that_are_good_enough() {
    let preferred = |quality| (quality, 0.02, 900.0, 0.99, MARK_PREFERRED);
    assert_eq!(plan(&[MIDDLE, preferred(0.7)], 0.4, &objective("balanced"))[0], 1);
    assert_eq!(plan(&[MIDDLE, preferred(0.3)], 0.4, &objective("balanced"))[0], 0);
}

#[test]
fn what_is_hardly_dearer_and_clearly_better_is_worth_it() {
    let better = (0.8, 0.0013, 400.0, 0.99, 0);
    assert_eq!(plan(&[MIDDLE, better], 0.1, &objective("balanced"))[0], 1);
    assert_eq!(plan(&[MIDDLE, better], 0.1, &objective("cheap"))[0], 0);
    let dear = (0.8, 0.0026, 400.0, 0.99, 0);
    assert_eq!(plan(&[MIDDLE, dear], 0.1, &objective("balanced"))[0], 0);
}

#[test]
fn weights_move_the_choice() {
    let first = |weights: &str| plan(&[SMALL, MIDDLE, LARGE], 0.0, &objective(weights))[0];
    assert_eq!(first("weighted-100-0-0"), 0);
    assert_eq!(first("weighted-0-0-100"), 2);
    let quick = (0.5, 0.02, 50.0, 0.99, 0);
    assert_eq!(plan(&[SMALL, quick], 0.0, &objective("weighted-0-100-0"))[0], 1);
    for unreadable in ["weighted-x", "weighted-0-0-100-x", "weighted-0-0"] {
        assert_eq!(first(unreadable), 0, "as balanced: {unreadable}");
    }
    // A doubling of the price, one of the time and a fifth of quality are of one size.
    let (cheap, good) = ((0.6, 0.001, 400.0, 0.99, 0), (0.9, 0.002, 400.0, 0.99, 0));
    assert_eq!(plan(&[cheap, good], 0.0, &objective("weighted-50-0-50"))[0], 1);
    assert_eq!(plan(&[cheap, good], 0.0, &objective("weighted-70-0-30"))[0], 0);
}

#[test]
fn between_equals_price_and_quality_decide_under_weights_too() {
    let (dear, cheap) = ((0.7, 0.004, 400.0, 1.0, 0), (0.7, 0.001, 400.0, 1.0, 0));
    for weights in ["weighted-0-0-100", "weighted-0-100-0"] {
        assert_eq!(plan(&[dear, cheap], 0.0, &objective(weights)), [1, 0], "{weights}");
    }
    let better = (0.8, 0.001, 400.0, 1.0, 0);
    for weights in ["weighted-100-0-0", "weighted-0-100-0"] {
        assert_eq!(plan(&[cheap, better], 0.0, &objective(weights)), [1, 0], "{weights}");
    }
    // And between no others: a moment less is worth any price where nothing else counts.
    let quicker = (0.7, 0.5, 390.0, 1.0, 0);
    assert_eq!(plan(&[cheap, quicker], 0.0, &objective("weighted-0-100-0")), [1, 0]);
}

#[test]
fn an_organizations_floor_is_not_bent_by_the_offers() {
    let strict = Objective { quality_floor: 0.99, ..objective("balanced") };
    assert_eq!(plan(&[SMALL, LARGE, MIDDLE], 0.0, &strict), [1, 2, 0]);
}

#[test]
fn free_offers_are_ranked_by_quality() {
    let free = |quality| (quality, 0.0, 300.0, 1.0, 0);
    assert_eq!(plan(&[free(0.5), free(0.8), free(0.6)], 0.0, &objective("cheap")), [1, 2, 0]);
}

#[test]
fn a_price_of_zero_is_compared_with_others_and_not_above_everything() {
    let (free, paid) = ((0.7, 0.0, 400.0, 1.0, 0), (0.7, 0.001, 400.0, 1.0, 0));
    for profile in ["balanced", "cheap", "fast", "weighted-60-20-20"] {
        assert_eq!(plan(&[paid, free], 0.4, &objective(profile))[0], 1, "alike: {profile}");
    }
    // A quarter of what the cheapest other asks: half a point of quality is worth more.
    let much_better = (0.95, 0.001, 400.0, 1.0, 0);
    let poor = (0.5, 0.0, 400.0, 1.0, 0);
    assert_eq!(plan(&[much_better, poor], 0.0, &objective("balanced"))[0], 0);
    assert_eq!(plan(&[much_better, poor], 0.0, &objective("cheap"))[0], 1, "at any quality");
    // Of two that are free the one that answers, and the better one.
    let failing = (0.7, 0.0, 400.0, 0.6, 0);
    assert_eq!(plan(&[failing, free], 0.4, &objective("balanced"))[0], 1);
    assert_eq!(plan(&[failing, free, paid], 0.4, &objective("balanced")), [1, 0, 2]);
    let better = (0.8, 0.0, 400.0, 1.0, 0);
    assert_eq!(plan(&[free, better], 0.4, &objective("balanced"))[0], 1);
}

#[test]
fn pitfall_62_a_free_offer_does_not_call_a_conversation_away_from_the_cheapest_that_is_paid() {
    let free = (0.7, 0.0, 400.0, 1.0, 0);
    let warm = |cost| (0.8, cost, 400.0, 1.0, MARK_WARM);
    let other = (0.8, 0.001, 400.0, 1.0, 0);
    for profile in ["balanced", "fast"] {
        assert_eq!(plan(&[free, other, warm(0.001)], 0.4, &objective(profile))[0], 2, "{profile}");
    }
    assert_eq!(plan(&[free, other, warm(0.01)], 0.4, &objective("balanced"))[0], 0, "too dear");
    assert_eq!(plan(&[free, warm(0.001)], 0.4, &objective("cheap"))[0], 0, "cheap is cheap");
}

#[test]
fn which_of_two_goes_first_depends_on_nobody_else() {
    let (cheap, quick) = ((0.75, 0.000_5, 600.0, 1.0, 0), (0.8, 0.01, 450.0, 1.0, 0));
    let others = [
        ("dear", (0.7, 0.3, 700.0, 1.0, 0)),
        ("dear and slow", (0.7, 0.3, 3_000.0, 1.0, 0)),
        ("the cheapest", (0.7, 0.000_01, 9_000.0, 1.0, 0)),
        ("the quickest", (0.7, 0.4, 10.0, 1.0, 0)),
        ("below the floor", (0.1, 0.000_001, 5.0, 1.0, 0)),
        ("hardly answers", (0.99, 0.000_001, 5.0, 0.1, 0)),
        ("has no price", (0.99, f64::NAN, 5.0, 1.0, 0)),
    ];
    let all = ["balanced", "cheap", "fast", "best", "weighted-50-30-20", "weighted-20-10-70"];
    for profile in all {
        let objective = Objective { cost_ceiling_usd: 0.5, ..objective(profile) };
        let alone = plan(&[cheap, quick], 0.4, &objective);
        for (what, other) in others {
            let mut beside = plan(&[cheap, quick, other], 0.4, &objective);
            beside.retain(|row| *row != 2);
            assert_eq!(beside, alone, "{profile}, beside one that {what}");
        }
    }
}

#[test]
fn a_warm_session_does_not_go_below_an_organizations_floor() {
    let warm = (0.76, 0.001, 400.0, 1.0, MARK_WARM);
    let floored = Objective { quality_floor: 0.8, ..objective("balanced") };
    assert_eq!(plan(&[LARGE, warm], 0.0, &floored)[0], 0);
    assert_eq!(plan(&[LARGE, warm], 0.0, &objective("balanced"))[0], 1);
}

#[test]
fn scores_are_finite_and_tiers_never_overlap() {
    let mut offers = vec![SMALL, MIDDLE, LARGE, (1.0, 0.0, 0.0, 1.0, 7), (0.0, 1e9, 1e9, 0.0, 0)];
    offers.push((f64::NAN, 0.1, f64::INFINITY, f64::NAN, 255));
    for profile in ["balanced", "cheap", "fast", "best", "weighted-50-30-20"] {
        for difficulty in [0.0, 0.5, 1.0, f64::NAN] {
            let scores = scores(&offers, difficulty, &objective(profile));
            assert!(scores.iter().all(|score| (-1.0..5.0).contains(score)), "{scores:?}");
        }
    }
    assert!(scores(&[], 0.5, &objective("balanced")).is_empty());
}

#[test]
fn ragged_columns_are_refused() {
    let mut ragged = figures(&[SMALL, LARGE]);
    ragged.marks.pop();
    let task = Classification::default();
    let refused = RouteDefault::default().score(
        &task,
        &ragged,
        &objective("balanced"),
        &MockCandidates::default(),
    );
    assert!(matches!(refused, Err(Refusal::Invalid(_))));
}

#[test]
fn every_row_has_a_reason_that_a_person_can_read() {
    let mut router = RouteDefault::default();
    let offers = [SMALL, LARGE, (0.9, 0.5, 1.0, 1.0, 0), (0.9, 0.001, 1.0, 0.1, 0)];
    let capped = Objective { cost_ceiling_usd: 0.1, ..objective("balanced") };
    let task = Classification { difficulty: 0.9, ..Classification::default() };
    router.score(&task, &figures(&offers), &capped, &MockCandidates::default()).unwrap();
    let reasons: Vec<_> = (0..5).map(|index| router.reason(index)).collect();
    assert!(reasons[0].contains("0.50 is below the floor of 0.87"), "{reasons:?}");
    assert!(reasons[1].contains("ranked by expected cost $0.02"), "{reasons:?}");
    assert!(reasons[2].contains("$0.5 is over the ceiling of $0.1"), "{reasons:?}");
    assert!(reasons[3].contains("only 10 %"), "{reasons:?}");
    assert_eq!(reasons[4], "");
}

#[test]
fn the_configuration_is_checked() {
    let mut router = RouteDefault::default();
    assert!(router.configure(r#"{"floor": 0.1, "cheap-relief": 0.05}"#).is_ok());
    assert!(router.configure(r#"{"floor": 2}"#).unwrap_err().contains("within 0 to 1"));
    assert!(router.configure(r#"{"flor": 0.2}"#).unwrap_err().contains("flor"));
    let nothing = router.configure(r#"{"zero-price-share": 0}"#).unwrap_err();
    assert!(nothing.contains("within 0.001 to 1"), "{nothing}");
}
