use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::super::{Label, UsageEvent};
use super::about::{About, Detail};
use super::{Bounds, Dimension, HOUR_MS, Query, Rollup, Totals, UsageReport};

fn event(org: &str, model: &str, at_ms: u64, cost: u128) -> UsageEvent {
    UsageEvent {
        id: Uuid::nil(),
        at_ms,
        org: org.into(),
        key: "k1".into(),
        team: None,
        project: None,
        user: Some("ann".into()),
        session: None,
        agent: None,
        parent_agent: None,
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
        list_usd: None,
        baseline_usd: None,
        attempts: 2,
        duration_ms: 1,
    }
}

/// As bounded as the real one, with less of everything.
fn small() -> Rollup {
    let bounds = Bounds { rows: 3_000, detailed_rows: 2_500, names_bytes: 2 << 20 };
    Rollup { bounds, ..Rollup::default() }
}

fn query<'a>(by: &'a [Dimension], from_ms: u64, to_ms: u64) -> Query<'a> {
    Query {
        org: "acme",
        by,
        from_ms,
        to_ms,
        only: &[],
        present: &[],
        bucket: None,
        groups_max: 1_000,
    }
}

fn asked(rollup: &Rollup, by: &[Dimension], from_ms: u64, to_ms: u64) -> UsageReport {
    arranged(rollup, &query(by, from_ms, to_ms))
}

fn arranged(rollup: &Rollup, query: &Query<'_>) -> UsageReport {
    rollup.gather(query).arranged(query.groups_max)
}

#[test]
fn groups_add_up_to_the_total_and_the_costliest_comes_first() {
    let mut rollup = Rollup::default();
    for (model, cost) in [("a", 1), ("b", 10), ("a", 2)] {
        rollup.count(&event("acme", model, 5 * HOUR_MS + 7, cost));
    }
    rollup.count(&event("beta", "a", 5 * HOUR_MS, 1_000));
    let by = [Dimension::Model, Dimension::User, Dimension::Team];
    let report = asked(&rollup, &by, 0, 6 * HOUR_MS);
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
    let report = asked(&rollup, &[], 2 * HOUR_MS + 5, 3 * HOUR_MS + 1);
    assert_eq!((report.from_ms, report.to_ms), (2 * HOUR_MS, 4 * HOUR_MS));
    assert_eq!(report.total.requests, 2);
    assert_eq!(report.groups.len(), 1, "without a dimension there is one group");
    let exact = asked(&rollup, &[], 2 * HOUR_MS, 3 * HOUR_MS);
    assert_eq!(exact.total.requests, 1, "the end is exclusive");
    assert_eq!(asked(&rollup, &[], 0, u64::MAX).total.requests, 4);
}

#[test]
fn rows_kept_beside_a_segment_give_the_same_report() {
    let mut rollup = Rollup::default();
    for (org, model) in [("acme", "a"), ("acme", "b"), ("beta", "a")] {
        rollup.count(&event(org, model, HOUR_MS, 7));
    }
    let bytes = postcard::to_stdvec(&rollup.finish_segment()).unwrap();
    let mut restored = Rollup::default();
    restored.restore(&postcard::from_bytes(&bytes).unwrap(), false);
    let of = |rollup: &Rollup| asked(rollup, &[Dimension::Model], 0, u64::MAX);
    assert_eq!(of(&restored), of(&rollup));
}

#[test]
fn the_oldest_hours_go_and_the_report_says_from_when_it_is_complete() {
    let mut rollup = small();
    let many = u64::try_from(rollup.bounds.rows).unwrap();
    for number in 0..many {
        let mut event = event("acme", "a", (1 + number % 2) * HOUR_MS, 1);
        event.user = Some(number.to_string().into());
        rollup.count(&event);
    }
    rollup.count(&event("acme", "new", 3 * HOUR_MS, 1));
    let report = asked(&rollup, &[Dimension::Model], 0, u64::MAX);
    assert_eq!(report.complete_from_ms, 2 * HOUR_MS);
    assert_eq!(report.total.requests, many / 2 + 1);
    rollup.count(&event("acme", "a", HOUR_MS, 1));
    assert_eq!(asked(&rollup, &[], 0, u64::MAX).total.requests, many / 2 + 1);
}

/// Sessions and tags are told apart, filtered by, and added up by time.
#[test]
fn every_dimension_can_be_grouped_by_filtered_and_put_into_buckets() {
    let mut rollup = Rollup::default();
    for (hour, session, job) in [(1, "s1", Some("nightly")), (2, "s1", None), (3, "s2", Some("x"))]
    {
        let mut event = event("acme", "a", hour * HOUR_MS, 10);
        event.session = Some(session.into());
        event.project = Some("p".into());
        let job = job.map(|job| (Arc::from("job"), Arc::from(job)));
        event.tags = job.into_iter().collect();
        rollup.count(&event);
    }
    let tag = Dimension::from_label("tag:job").unwrap();
    let by_tag = asked(&rollup, std::slice::from_ref(&tag), 0, u64::MAX);
    let mut values: Vec<_> = by_tag.groups.iter().map(|g| g.values[0].as_deref()).collect();
    values.sort_unstable();
    assert_eq!(values, [None, Some("nightly"), Some("x")]);
    let only = [(Dimension::Session, vec![Some("s1".to_owned())])];
    let by = [Dimension::Project];
    let of_one = arranged(&rollup, &Query { only: &only, ..query(&by, 0, u64::MAX) });
    assert_eq!((of_one.total.requests, of_one.groups.len()), (2, 1));
    let untagged = [(tag.clone(), vec![None])];
    let untagged = arranged(&rollup, &Query { only: &untagged, ..query(&by, 0, u64::MAX) });
    assert_eq!(untagged.total.requests, 1);
    let nobody = [(Dimension::Team, vec![Some("who".to_owned())])];
    assert_eq!(
        arranged(&rollup, &Query { only: &nobody, ..query(&by, 0, u64::MAX) }).total.requests,
        0
    );
    let of_sessions = [Dimension::Session];
    let present = arranged(&rollup, &Query { present: &of_sessions, ..query(&by, 0, u64::MAX) });
    assert_eq!(present.total.requests, 3, "those of a session are left");
    let two_hours = |hour_ms: u64| hour_ms - hour_ms % (2 * HOUR_MS);
    let buckets = arranged(&rollup, &Query { bucket: Some(&two_hours), ..query(&by, 0, u64::MAX) });
    let starts: Vec<_> = buckets.groups.iter().map(|g| (g.bucket_ms, g.totals.requests)).collect();
    assert_eq!(starts, [(Some(0), 1), (Some(2 * HOUR_MS), 2)]);
    // What is kept beside a segment tells all of it apart too.
    let mut restored = Rollup::default();
    restored.restore(&rollup.finish_segment(), true);
    let by = [Dimension::Session, tag, Dimension::Alias];
    assert_eq!(asked(&restored, &by, 0, u64::MAX), asked(&rollup, &by, 0, u64::MAX));
}

/// What the strongest candidate would have cost is known or not, and not known is not zero.
#[test]
fn what_routing_saved_counts_only_what_is_known() {
    let mut rollup = Rollup::default();
    let mut known = event("acme", "a", HOUR_MS, 10);
    known.baseline_usd = Some(PicoUsd(50));
    rollup.count(&known);
    rollup.count(&event("acme", "a", HOUR_MS, 1_000));
    let total = asked(&rollup, &[], 0, u64::MAX).total;
    assert_eq!((total.routed, total.requests), (1, 2));
    assert_eq!((total.baseline_usd, total.baseline_paid_usd), (PicoUsd(50), PicoUsd(10)));
    assert_eq!(total.cost_usd, PicoUsd(1_010));
}

#[test]
fn old_hours_forget_sessions_before_any_hour_goes() {
    let mut rollup = small();
    let many = u64::try_from(rollup.bounds.detailed_rows).unwrap();
    for number in 0..=many {
        let mut event = event("acme", "a", (1 + number * 4 / many) * HOUR_MS, 1);
        event.session = Some(number.to_string().into());
        rollup.count(&event);
    }
    let report = asked(&rollup, &[Dimension::Model], 0, u64::MAX);
    assert_eq!((report.total.requests, report.complete_from_ms), (many + 1, 0));
    assert_eq!(report.detailed_from_ms, 2 * HOUR_MS);
    assert!(rollup.size.rows < rollup.bounds.detailed_rows);
    let by_session = asked(&rollup, &[Dimension::Session], 0, 2 * HOUR_MS);
    assert_eq!(by_session.groups.len(), 1, "they are one group now");
}

#[test]
fn an_hour_out_of_the_usual_is_found_for_the_team_and_the_organization() {
    let mut rollup = Rollup::default();
    let usd = turnpike_ledger::PICO_PER_USD;
    for hour in 0..50 {
        for (team, cost) in [("a", 1), ("b", 2)] {
            let cost = if hour == 49 && team == "a" { 40 } else { cost };
            let mut event = event("acme", "m", (100 + hour) * HOUR_MS, cost * usd);
            event.team = Some(team.into());
            rollup.count(&event);
        }
    }
    let now = 149 * HOUR_MS + 5;
    let found = rollup.anomalies(None, now, now);
    let teams: Vec<_> = found.iter().map(|it| (it.team.as_deref(), it.spent_usd.0 / usd)).collect();
    assert_eq!(teams, [(None, 42), (Some("a"), 40)]);
    assert_eq!(found[1].usual_usd, PicoUsd(3 * usd));
    assert!(rollup.anomalies(Some("beta"), 0, now).is_empty());
    assert!(rollup.anomalies(None, now - HOUR_MS, now - HOUR_MS).is_empty());
}

/// Summaries that earlier versions wrote are still read.
#[test]
fn sums_of_earlier_versions_are_added_up() {
    let text = r#"{"hour_ms":3600000,"about":{"org":"acme","model":"a","key":"k","provider":null,
        "task":null,"team":"t","user":null},"totals":{"requests":2,"succeeded":1,"streamed":0,
        "attempts":3,"cost_usd":"0.5","usage":{"input_uncached":1,"cache_read":0,
        "cache_write_5m":0,"cache_write_1h":0,"output_text":2,"output_reasoning":0,
        "input_audio":0,"output_audio":0,"input_image":0,"output_image":0,"requests":2}}}"#;
    let mut rollup = Rollup::default();
    rollup.restore_earlier(serde_json::from_str(text).unwrap());
    let report = asked(&rollup, &[Dimension::Team], 0, u64::MAX);
    assert_eq!(report.groups[0].values, [Some(Arc::from("t"))]);
    assert_eq!((report.total.requests, report.total.usage.output_text), (2, 2));
    assert_eq!(report.total.cost_usd, PicoUsd(500_000_000_000));
}

fn flood(rollup: &mut Rollup, hour: u64, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let mut event = event("flood", "a", hour * HOUR_MS, 1);
        let name = |what: &str| Some(std::sync::Arc::from(format!("{what}-{number}")));
        (event.session, event.agent, event.model) = (name("session"), name("agent"), None);
        event.model_asked = name("model").unwrap();
        rollup.count(&event);
    }
}

/// Once an hour alone is at the limit, nothing that callers make up is kept of a request.
#[test]
fn one_hour_keeps_so_many_rows_and_names_and_its_sums_stay_right() {
    let mut rollup = small();
    let many = rollup.bounds.rows;
    flood(&mut rollup, 1, 0..many + 1);
    let before = rollup.size;
    assert!(before.rows < 10 && before.open <= many, "{before:?}");
    flood(&mut rollup, 1, many + 1..many + 2_001);
    assert_eq!((rollup.size.rows, rollup.size.names), (before.rows, before.names));
    let of = |rollup: &Rollup, by: &[Dimension]| {
        arranged(rollup, &Query { org: "flood", ..query(by, 0, u64::MAX) })
    };
    let report = of(&rollup, &[Dimension::Session, Dimension::Alias]);
    assert_eq!(report.total.requests, u64::try_from(many).unwrap() + 2_001);
    assert_eq!(report.groups[0].values, [Some(Arc::from("(other)")), Some(Arc::from("(other)"))]);
    // What is kept beside the segment adds up, and the next hour is told apart again.
    let total = report.total;
    let mut restored = Rollup::default();
    restored.restore(&rollup.finish_segment(), true);
    assert_eq!(of(&restored, &[Dimension::Session]).total, total);
    flood(&mut rollup, 2, 0..3);
    let by = [Dimension::Session];
    let next = arranged(&rollup, &Query { org: "flood", ..query(&by, 2 * HOUR_MS, u64::MAX) });
    assert_eq!(next.groups.len(), 3);
}

/// Whoever reads sums by something has to know since when all of them are told apart by it.
#[test]
fn a_report_says_since_when_what_it_is_by_is_told_apart() {
    let mut rollup = small();
    let many = rollup.bounds.rows;
    flood(&mut rollup, 1, 0..many + 1);
    // What is kept beside a segment gives up by the segment, and not by the hour.
    let first = rollup.finish_segment();
    flood(&mut rollup, 2, 0..3);
    let since = |rollup: &Rollup, by: Dimension, from_ms: u64| {
        let by = [by];
        let query = Query { org: "flood", ..query(&by, from_ms, u64::MAX) };
        arranged(rollup, &query).told_apart_from_ms
    };
    let mut restored = Rollup::default();
    restored.restore(&first, true);
    restored.restore(&rollup.finish_segment(), true);
    for rollup in [&rollup, &restored] {
        for given_up in [Dimension::Key, Dimension::Session, Dimension::Tag("job".into())] {
            assert_eq!(since(rollup, given_up.clone(), 0), 2 * HOUR_MS, "{given_up:?}");
            assert_eq!(since(rollup, given_up, 2 * HOUR_MS), 0, "the next hour has all of it");
        }
        for kept in [Dimension::Model, Dimension::Team] {
            assert_eq!(since(rollup, kept, 0), 0);
        }
        let (by, only) = ([Dimension::Model], [(Dimension::User, vec![Some("ann".to_owned())])]);
        let filtered = Query { org: "flood", only: &only, ..query(&by, 0, u64::MAX) };
        assert_eq!(arranged(rollup, &filtered).told_apart_from_ms, 2 * HOUR_MS);
    }
    // Where there is no room at all, also of an organization that has hardly any rows.
    let (mut full, one) = (Rollup::default(), event("flood", "a", HOUR_MS, 1));
    let (about, totals) = (About::of(&one), Totals::of(&one));
    full.change("flood", |own| own.add(HOUR_MS, &about, Detail::Least, &totals));
    assert_eq!(since(&full, Dimension::Team, 0), 2 * HOUR_MS);
    assert_eq!(since(&full, Dimension::Provider, 0), 0);
}

/// Names are bounded by their bytes, however few rows they are of.
#[test]
fn long_names_are_given_up_before_there_are_too_many_rows() {
    let mut rollup = small();
    let most = rollup.bounds.names_bytes / 4_096;
    for number in 0..most {
        let mut event = event("flood", "a", HOUR_MS, 1);
        let tag = |place: usize| {
            let text = format!("{number}-{place}-{}", "x".repeat(250));
            (Arc::from(format!("name{text}")), Arc::from(text))
        };
        event.tags = (0..8).map(tag).collect();
        rollup.count(&event);
        assert!(rollup.size.names < rollup.bounds.least().1, "{:?}", rollup.size);
    }
    assert!(rollup.size.rows < most, "{:?}", rollup.size);
    let total = arranged(&rollup, &Query { org: "flood", ..query(&[], 0, u64::MAX) }).total;
    assert_eq!(total.requests, u64::try_from(most).unwrap());
    let mut quiet = event("acme", "a", HOUR_MS, 1);
    quiet.session = Some("s1".into());
    rollup.count(&quiet);
    let by = [Dimension::Session];
    let report = asked(&rollup, &by, 0, u64::MAX);
    assert_eq!(report.groups[0].values, [Some(Arc::from("s1"))], "another's names have room");
    rollup.finish_segment();
    assert!(rollup.size.names < 10_000, "{:?}", rollup.size);
}

/// Who floods gives up its own hours and sessions, not another's.
#[test]
fn one_organizations_flood_takes_nothing_from_another() {
    let mut rollup = small();
    for hour in 1..=3 {
        let mut event = event("acme", "a", hour * HOUR_MS, 7);
        event.session = Some(format!("s{hour}").into());
        rollup.count(&event);
    }
    for hour in 1..=3 {
        flood(&mut rollup, hour, 0..1_500);
    }
    let report = asked(&rollup, &[Dimension::Session], 0, u64::MAX);
    assert_eq!((report.complete_from_ms, report.detailed_from_ms), (0, 0));
    assert_eq!((report.groups.len(), report.total.requests), (3, 3));
    let flooded = arranged(&rollup, &Query { org: "flood", ..query(&[], 0, u64::MAX) });
    assert!(flooded.detailed_from_ms > 0, "{flooded:?}");
    assert!(rollup.size.rows <= rollup.bounds.rows);
}
