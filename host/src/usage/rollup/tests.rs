use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::super::{Label, UsageEvent};
use super::{Dimension, HOUR_MS, Rollup};

fn event(org: &str, model: &str, at_ms: u64, cost: u128) -> UsageEvent {
    UsageEvent {
        id: Uuid::nil(),
        at_ms,
        org: org.into(),
        key: "k1".into(),
        team: None,
        project: None,
        user: Some("ann".into()),
        tags: Vec::new(),
        protocol: Label::Borrowed("openai-chat"),
        model_asked: "auto".into(),
        offer: None,
        model: Some(model.into()),
        provider: Some("openai".into()),
        task: Some("chat".into()),
        stream: true,
        status: 200,
        settlement: Label::Borrowed("complete"),
        usage: Usage { input_uncached: 3, output_text: 5, requests: 1, ..Usage::default() },
        cost_usd: PicoUsd(cost),
        attempts: 2,
        duration_ms: 1,
    }
}

#[test]
fn groups_add_up_to_the_total_and_the_costliest_comes_first() {
    let mut rollup = Rollup::default();
    for (model, cost) in [("a", 1), ("b", 10), ("a", 2)] {
        rollup.count(&event("acme", model, 5 * HOUR_MS + 7, cost));
    }
    rollup.count(&event("beta", "a", 5 * HOUR_MS, 1_000));
    let by = [Dimension::Model, Dimension::User, Dimension::Team];
    let report = rollup.report("acme", &by, 0, 6 * HOUR_MS);
    let names: Vec<_> =
        report.groups.iter().map(|group| group.values[0].as_deref().unwrap()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(report.groups[1].values, [Some(Arc::from("a")), Some(Arc::from("ann")), None]);
    assert_eq!(report.groups[1].totals.cost_usd, PicoUsd(3));
    assert_eq!(report.groups[1].totals.usage.output_text, 10);
    let total = report.total;
    assert_eq!((total.requests, total.succeeded, total.streamed, total.attempts), (3, 3, 3, 6));
    assert_eq!(total.cost_usd, PicoUsd(13));
    assert_eq!(total.usage.input_uncached, 9);
}

#[test]
fn from_and_to_are_widened_to_full_hours_and_say_so() {
    let mut rollup = Rollup::default();
    for hour in 1..=4 {
        rollup.count(&event("acme", "a", hour * HOUR_MS + HOUR_MS - 1, 1));
    }
    let report = rollup.report("acme", &[], 2 * HOUR_MS + 5, 3 * HOUR_MS + 1);
    assert_eq!((report.from_ms, report.to_ms), (2 * HOUR_MS, 4 * HOUR_MS));
    assert_eq!(report.total.requests, 2);
    assert_eq!(report.groups.len(), 1, "without a dimension there is one group");
    let exact = rollup.report("acme", &[], 2 * HOUR_MS, 3 * HOUR_MS);
    assert_eq!(exact.total.requests, 1, "the end is exclusive");
    assert_eq!(rollup.report("acme", &[], 0, u64::MAX).total.requests, 4);
}

#[test]
fn rows_kept_beside_a_segment_give_the_same_report() {
    let mut rollup = Rollup::default();
    for (org, model) in [("acme", "a"), ("acme", "b"), ("beta", "a")] {
        rollup.count(&event(org, model, HOUR_MS, 7));
    }
    let text = serde_json::to_string(&rollup.rows()).unwrap();
    let mut restored = Rollup::default();
    let rows: Vec<super::HourRow> = serde_json::from_str(&text).unwrap();
    rows.into_iter().for_each(|row| restored.restore(row));
    let of = |rollup: &Rollup| rollup.report("acme", &[Dimension::Model], 0, u64::MAX);
    assert_eq!(of(&restored), of(&rollup));
}

#[test]
fn the_oldest_hours_go_and_the_report_says_from_when_it_is_complete() {
    let mut rollup = Rollup::default();
    let many = u64::try_from(super::ROWS_MAX).unwrap();
    for number in 0..many {
        let mut event = event("acme", "a", (1 + number % 2) * HOUR_MS, 1);
        event.user = Some(number.to_string().into());
        rollup.count(&event);
    }
    rollup.count(&event("acme", "new", 3 * HOUR_MS, 1));
    let report = rollup.report("acme", &[Dimension::Model], 0, u64::MAX);
    assert_eq!(report.complete_from_ms, 2 * HOUR_MS);
    assert_eq!(report.total.requests, many / 2 + 1);
    rollup.count(&event("acme", "a", HOUR_MS, 1));
    assert_eq!(rollup.report("acme", &[], 0, u64::MAX).total.requests, many / 2 + 1);
}
