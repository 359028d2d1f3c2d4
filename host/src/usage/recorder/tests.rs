use std::fs;
use std::path::Path;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::super::{Dimension, Explanation, Label, Record, UsageEvent, UsageLog};
use super::{Options, Recorder};

/// A record whose id carries the time.
fn record(org: &str, at_ms: u64, number: u8) -> Record {
    let mut random = [0; 10];
    random[9] = number;
    let id = uuid::Builder::from_unix_timestamp_millis(at_ms, &random).into_uuid();
    let mut explanation = Explanation::begin(id, org.into(), "k1".into(), "auto".into());
    explanation.plan.push("openai/gpt@openai".into());
    let event = UsageEvent {
        id,
        at_ms,
        org: org.into(),
        key: "k1".into(),
        team: None,
        project: None,
        user: None,
        tags: vec![("job".into(), "nightly".into())],
        protocol: Label::Borrowed("openai-chat"),
        model_asked: "auto".into(),
        offer: Some("openai/gpt@openai".into()),
        model: Some("openai/gpt".into()),
        provider: Some("openai".into()),
        task: Some("chat".into()),
        stream: false,
        status: 200,
        settlement: Label::Borrowed("complete"),
        usage: Usage { output_text: 2, ..Usage::default() },
        cost_usd: PicoUsd(1_500),
        attempts: 1,
        duration_ms: 12,
    };
    Record { event, explanation }
}

fn start(dir: &Path, segment_bytes: u64, segments_max: usize) -> Recorder {
    let options = Options { segment_bytes, segments_max, ..Options::new(dir.to_path_buf()) };
    Recorder::start(options).unwrap()
}

fn requests(log: &UsageLog, org: &str) -> u64 {
    log.report(org, &[Dimension::Model], 0, u64::MAX).total.requests
}

fn ids(log: &UsageLog, org: &str) -> Vec<Uuid> {
    log.newest(org, None, 100).unwrap().items.into_iter().map(|event| event.id).collect()
}

#[test]
fn a_record_is_found_at_once_and_after_a_restart_and_only_by_its_organization() {
    let dir = tempfile::tempdir().unwrap();
    let sent = record("acme", 1_000_000, 1);
    let recorder = start(dir.path(), 1 << 20, 4);
    assert!(recorder.record(sent.clone()));
    assert_eq!(recorder.log().find(Some("acme"), sent.event.id).unwrap(), Some(sent.clone()));
    drop(recorder);
    let recorder = start(dir.path(), 1 << 20, 4);
    let log = recorder.log();
    assert_eq!(log.find(Some("acme"), sent.event.id).unwrap(), Some(sent.clone()));
    assert_eq!(log.find(None, sent.event.id).unwrap(), Some(sent.clone()));
    assert_eq!(log.find(Some("beta"), sent.event.id).unwrap(), None);
    assert_eq!(requests(&log, "acme"), 1);
}

#[test]
fn a_torn_tail_is_cut_off_and_everything_before_it_still_counts() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1 << 20, 4);
    for number in 1..=3 {
        recorder.record(record("acme", 1_000_000, number));
    }
    drop(recorder);
    let path = dir.path().join("00000001.seg");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let recorder = start(dir.path(), 1 << 20, 4);
    assert_eq!(requests(&recorder.log(), "acme"), 2);
    recorder.record(record("acme", 1_000_001, 4));
    drop(recorder);
    let recorder = start(dir.path(), 1 << 20, 4);
    assert_eq!(requests(&recorder.log(), "acme"), 3);
    assert_eq!(ids(&recorder.log(), "acme").len(), 3);
}

#[test]
fn sums_survive_the_segments_that_they_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1, 2);
    for number in 1..=6 {
        recorder.record(record("acme", 1_000_000 + u64::from(number), number));
        // Each flush finishes a segment of at least one byte.
        recorder.log().barrier();
    }
    let log = recorder.log();
    assert_eq!(requests(&log, "acme"), 6);
    assert_eq!(ids(&log, "acme").len(), 1, "one full segment is kept beside the open one");
    drop(log);
    drop(recorder);
    let recorder = start(dir.path(), 1, 2);
    assert_eq!(requests(&recorder.log(), "acme"), 6);
    let gone = record("acme", 1_000_001, 1).event.id;
    assert_eq!(recorder.log().find(None, gone).unwrap(), None);
    let segments = fs::read_dir(dir.path())
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "seg"));
    assert_eq!(segments.count(), 2);
}

#[test]
fn a_request_that_fell_out_of_the_index_is_found_by_the_time_in_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1, 8);
    let sent: Vec<Record> = (1..=4).map(|n| record("acme", 1_000_000 * u64::from(n), n)).collect();
    for record in &sent {
        recorder.record(record.clone());
        recorder.log().barrier();
    }
    let log = recorder.log();
    *log.shared.recent.lock() = super::super::recent::Recent::default();
    for record in sent {
        assert_eq!(log.find(Some("acme"), record.event.id).unwrap(), Some(record));
    }
    assert_eq!(log.find(None, Uuid::nil()).unwrap(), None);
}

#[test]
fn listings_are_newest_first_and_page_without_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1 << 20, 4);
    // Requests end in another order than they began.
    for (number, at_ms) in [(1, 3_000_000), (2, 1_000_000), (3, 2_000_000)] {
        recorder.record(record("acme", at_ms, number));
        recorder.record(record("beta", at_ms, number + 10));
    }
    let log = recorder.log();
    let first = log.newest("acme", None, 2).unwrap();
    let second = log.newest("acme", first.next, 2).unwrap();
    assert_eq!(second.next, None);
    let times: Vec<u64> =
        first.items.iter().chain(&second.items).map(|event| event.at_ms).collect();
    assert_eq!(times, [3_000_000, 2_000_000, 1_000_000]);
}

#[test]
fn after_the_end_of_the_thread_records_are_dropped_and_counted_and_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = start(dir.path(), 1 << 20, 4);
    recorder.log.sender.send(super::Message::Stop).unwrap();
    recorder.thread.take().unwrap().join().unwrap();
    assert!(!recorder.record(record("acme", 1, 1)));
    assert_eq!(recorder.log().dropped(), 1);
    assert_eq!(requests(&recorder.log(), "acme"), 0);
}

#[test]
fn a_full_queue_drops_instead_of_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1 << 30, 4);
    // The thread needs this lock for every record: while it is held, the queue can only fill.
    let held = recorder.log.shared.rollup.lock();
    let extra = 10;
    // One more than the queue holds may be in the thread's hands.
    let taken = (0..super::WAITING_MAX + 1 + extra)
        .filter(|_| recorder.record(record("acme", 1_000_000, 1)))
        .count();
    assert!((super::WAITING_MAX..=super::WAITING_MAX + 1).contains(&taken), "{taken}");
    drop(held);
    assert!(recorder.log().dropped() >= u64::try_from(extra).unwrap());
    assert_eq!(requests(&recorder.log(), "acme"), u64::try_from(taken).unwrap());
}
