//! The rule of the format against the built-in policy as it is now. Where the policy has changed
//! and these fail, records grow and stay right: a new kind of record may then take the new rule.

use proptest::prelude::*;
use route_default::RouteDefault;
use turnpike_policy_sdk::mock::MockCandidates;
use turnpike_policy_sdk::{Classification, Figures, Objective, Plugin as _, Route as _};

use super::super::super::explanation::{FiguresFact, ObjectiveFact};
use super::{Aim, Edition, Known, scores};

fn policys(difficulty: f64, objective: &ObjectiveFact, known: &[Known]) -> Vec<f64> {
    let mut figures = Figures::default();
    for row in known {
        let more = row.more;
        figures.quality.push(row.quality);
        figures.cost_usd.push(row.cost_usd);
        figures.cost_worst_usd.push(row.cost_usd);
        figures.first_token_ms.push(row.first_token_ms);
        figures.first_token_p95_ms.push(more.first_token_p95_ms);
        figures.tokens_per_second.push(more.tokens_per_second);
        figures.availability.push(more.availability);
        figures.in_flight.push(more.in_flight.into());
        let marks = [more.warm, more.price_estimated, more.quality_estimated, more.preferred];
        let marks = marks.iter().rev().fold(0, |all, set| all * 2 + u8::from(*set));
        figures.marks.push(marks);
    }
    let task = Classification { difficulty, ..Classification::default() };
    let objective = Objective {
        profile: objective.profile.to_string(),
        quality_floor: objective.quality_floor,
        cost_ceiling_usd: objective.cost_ceiling_usd,
        first_token_ceiling_ms: objective.first_token_ceiling_ms,
    };
    let mut policy = RouteDefault::default();
    policy.configure("{}").unwrap();
    policy.score(&task, &figures, &objective, &MockCandidates::default()).unwrap()
}

fn known() -> impl Strategy<Value = Known> {
    let cost_usd = prop_oneof![1 => Just(0.0), 5 => 0.0..0.01_f64];
    let numbers = (0.0..1.0_f64, cost_usd, 10.0..3_000.0_f64, 10.0..6_000.0_f64);
    let more = (1.0..400.0_f64, prop_oneof![Just(1.0), 0.0..1.0_f64], 0_u32..9);
    (numbers, more, any::<[bool; 4]>()).prop_map(|(numbers, more, marks)| Known {
        quality: numbers.0,
        cost_usd: numbers.1,
        first_token_ms: numbers.2,
        more: FiguresFact {
            first_token_p95_ms: numbers.3,
            tokens_per_second: more.0,
            availability: more.1,
            in_flight: more.2,
            warm: marks[0],
            price_estimated: marks[1],
            quality_estimated: marks[2],
            preferred: marks[3],
            ..FiguresFact::default()
        },
    })
}

proptest! {
    #[test]
    fn scores_are_the_built_in_policys_to_the_last_bit(
        known in proptest::collection::vec(known(), 0..40),
        profile in prop_oneof![
            Just("balanced"), Just("cheap"), Just("fast"), Just("best"), Just("weighted-50-30-20"),
            Just("weighted-0-100-0"), Just("weighted-0-0-100"), Just("weighted-100-0-0"),
        ],
        difficulty in 0.0..1.0_f64,
        floor in prop_oneof![Just(0.0), 0.0..1.0_f64],
        ceilings in (prop_oneof![Just(0.0), 0.0..0.01_f64], prop_oneof![Just(0.0), 0.0..3e3_f64]),
    ) {
        let objective = ObjectiveFact {
            profile: profile.into(),
            quality_floor: floor,
            cost_ceiling_usd: ceilings.0,
            first_token_ceiling_ms: ceilings.1,
            ..ObjectiveFact::default()
        };
        let aim = Aim { edition: Edition::Third, objective: &objective, difficulty };
        let ours = scores(aim, &known);
        let bits = |scores: &[f64]| scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&ours), bits(&policys(difficulty, &objective, &known)));
    }
}
