use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::super::queue::WAITING_MAX;
use super::super::segment::Tail;
use super::super::{
    Between, CandidateFact, Dimension, Explanation, Label, Query, Record, UsageEvent, UsageLog,
    UsageReport,
};
use super::{Options, Recorder, Writer};

/// A record whose id carries the time.
fn record(org: &str, at_ms: u64, number: u8) -> Record {
    let mut random = [0; 10];
    random[9] = number;
    let id = uuid::Builder::from_unix_timestamp_millis(at_ms, &random).into_uuid();
    let mut explanation = Explanation::begin(id, org.into(), "k1".into(), "auto".into());
    explanation.plan.push("openai/gpt@openai".into());
    // As many as are kept as a roster, of which one differs from request to request.
    explanation.candidates = (0..6_u8).map(|place| candidate(place, number)).collect();
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
        ..UsageEvent::default()
    };
    Record { event, explanation }
}

fn candidate(place: u8, number: u8) -> CandidateFact {
    CandidateFact {
        offer: format!("openai/gpt-{place}@openai").into(),
        score: Some(2.5),
        quality: Some(0.75),
        expected_cost_usd: Some(PicoUsd(1_000 * u128::from(place))),
        first_token_ms: Some(if place == 3 { f64::from(number) } else { 700.0 }),
        ..CandidateFact::default()
    }
}

fn start(dir: &Path, segment_bytes: u64, segments_max: usize) -> Recorder {
    let options = Options { segment_bytes, segments_max, ..Options::new(dir.to_path_buf()) };
    Recorder::start(options).unwrap()
}

/// When reports are asked for, five seconds after a full hour.
const NOW_MS: u64 = 9 * HOUR_MS + 5_000;
const HOUR_MS: u64 = 3_600_000;

fn report(log: &UsageLog, org: &str, by: &[Dimension]) -> UsageReport {
    let query = Query {
        org,
        by,
        from_ms: 0,
        to_ms: u64::MAX,
        only: &[],
        present: &[],
        bucket: None,
        groups_max: 1_000,
    };
    log.report(&query, NOW_MS)
}

fn requests(log: &UsageLog, org: &str) -> u64 {
    report(log, org, &[Dimension::Model]).total.requests
}

fn ids(log: &UsageLog, org: &str) -> Vec<Uuid> {
    let page = log.newest(org, Between::default(), 100, |_| true).unwrap();
    page.items.into_iter().map(|event| event.id).collect()
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

/// A request is counted where it began, however late it ends.
#[test]
fn an_hour_is_not_complete_before_the_last_that_began_in_it_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1 << 20, 4);
    let at_ms = 7 * HOUR_MS + 5;
    let running = recorder.begin(&"acme".into(), at_ms);
    let told = |org: &str| {
        let report = report(&recorder.log(), org, &[]);
        (report.total.requests, report.complete_to_ms)
    };
    assert_eq!(told("acme"), (0, 7 * HOUR_MS));
    assert_eq!(told("beta"), (0, 9 * HOUR_MS), "another's are its own");
    recorder.record(record("acme", at_ms, 1));
    drop(running);
    assert_eq!(told("acme"), (1, 9 * HOUR_MS));
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

/// Pitfall 57: old usage goes a file at a time, without being read: here one that is longer than
/// any memory.
#[test]
fn old_usage_is_removed_without_being_read() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1, 2);
    let log = recorder.log();
    let old = dir.path().join("00000001.seg");
    for number in 1..=4 {
        recorder.record(record("acme", 1_000_000 + u64::from(number), number));
        log.barrier();
        if number == 1 {
            fs::File::options().write(true).open(&old).unwrap().set_len(1 << 42).unwrap();
        }
    }
    assert!(!old.exists());
    assert_eq!(requests(&log, "acme"), 4, "its sums stay");
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
    let first = log.newest("acme", Between::default(), 2, |_| true).unwrap();
    let rest = Between { before: first.next, ..Between::default() };
    let second = log.newest("acme", rest, 2, |_| true).unwrap();
    assert_eq!(second.next, None);
    let times: Vec<u64> =
        first.items.iter().chain(&second.items).map(|event| event.at_ms).collect();
    assert_eq!(times, [3_000_000, 2_000_000, 1_000_000]);
}

/// A dashboard asks for the last minute again and again.
#[test]
fn what_is_older_than_a_list_goes_back_is_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1 << 20, 4);
    let sent: Vec<Record> = (1..=9).map(|n| record("acme", 1_000_000 + u64::from(n), n)).collect();
    for record in &sent {
        recorder.record(record.clone());
    }
    let log = recorder.log();
    let list = |first: usize, before: Option<usize>, limit: usize| {
        let id = |place: usize| sent[place].event.id;
        let between = Between { first: Some(id(first)), before: before.map(id) };
        let looked_at = std::cell::RefCell::new(Vec::new());
        let takes = |event: &UsageEvent| {
            looked_at.borrow_mut().push(event.at_ms - 1_000_001);
            event.at_ms.is_multiple_of(2)
        };
        let page = log.newest("acme", between, limit, takes).unwrap();
        (looked_at.take(), page.items.len(), page.next)
    };
    assert_eq!(list(6, None, 5), (vec![8, 7, 6], 1, None));
    assert_eq!(list(3, Some(6), 1).0, [5], "an earlier page ends as soon as it is full");
    assert_eq!(list(5, Some(5), 5), (vec![], 0, None));
    assert_eq!(list(6, Some(3), 5), (vec![], 0, None), "nothing is between them");
}

/// Files can run out, and come back: the segment goes on, and so do its sums.
#[test]
fn a_segment_without_a_next_one_keeps_its_sums() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1, 64);
    let in_the_way = dir.path().join("00000002.seg");
    fs::create_dir(&in_the_way).unwrap();
    for number in 1..=3 {
        recorder.record(record("acme", 1_000_000, number));
        recorder.log().barrier();
    }
    fs::remove_dir(&in_the_way).unwrap();
    for number in 4..=6 {
        recorder.record(record("acme", 1_000_000, number));
        recorder.log().barrier();
    }
    assert_eq!(requests(&recorder.log(), "acme"), 6);
    assert!(dir.path().join("00000003.seg").exists(), "it went on");
    assert_eq!(recorder.log().dropped(), 0);
    drop(recorder);
    let recorder = start(dir.path(), 1, 64);
    assert_eq!(requests(&recorder.log(), "acme"), 6);
    assert_eq!(ids(&recorder.log(), "acme").len(), 6);
}

#[test]
fn after_the_end_of_the_thread_records_are_dropped_and_counted_and_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = start(dir.path(), 1 << 20, 4);
    recorder.log.shared.queue.stop();
    recorder.thread.take().unwrap().join().unwrap();
    assert!(!recorder.record(record("acme", 1, 1)));
    assert_eq!(recorder.log().dropped(), 1);
    assert_eq!(requests(&recorder.log(), "acme"), 0);
}

#[test]
fn a_full_queue_drops_instead_of_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1 << 30, 4);
    // The thread needs this lock for every batch: while it is held, the queue can only fill.
    let held = recorder.log.shared.rollup.lock();
    // One record is in the thread's hands.
    assert!(recorder.record(record("acme", 1_000_000, 1)));
    while recorder.log.shared.queue.len() > 0 {
        std::thread::yield_now();
    }
    let extra = 10;
    let taken =
        (0..WAITING_MAX + extra).filter(|_| recorder.record(record("acme", 1_000_000, 1))).count();
    assert_eq!(taken, WAITING_MAX);
    drop(held);
    assert_eq!(recorder.log().dropped(), u64::try_from(extra).unwrap());
    assert_eq!(requests(&recorder.log(), "acme"), u64::try_from(taken + 1).unwrap());
}

/// Ends the recorder, so that everything is in the segment, and returns the segment's bytes.
fn written(recorder: Recorder, dir: &Path, number: u32) -> Vec<u8> {
    drop(recorder);
    fs::read(dir.join(format!("{number:08}.seg"))).unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[test]
fn every_segment_has_its_own_dictionary_and_is_read_without_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1, 64);
    let sent: Vec<Record> = (1..=30).map(|n| record("acme", 1_000_000 + u64::from(n), n)).collect();
    for record in &sent {
        recorder.record(record.clone());
        // Each flush finishes a segment of at least one byte.
        recorder.log().barrier();
    }
    let check = |log: &UsageLog| {
        // More segments than dictionaries are kept, so most are read again from their segment.
        for record in &sent {
            assert_eq!(log.find(Some("acme"), record.event.id).unwrap().as_ref(), Some(record));
        }
        assert_eq!(ids(log, "acme").len(), 30);
    };
    check(&recorder.log());
    for number in [1, 2, 30] {
        let bytes = fs::read(dir.path().join(format!("{number:08}.seg"))).unwrap();
        assert!(contains(&bytes, "openai/gpt@openai"), "segment {number}");
    }
    drop(recorder);
    // Any segment can be missing.
    let recorder = start(dir.path(), 1, 64);
    check(&recorder.log());
    drop(recorder);
    fs::remove_file(dir.path().join("00000001.seg")).unwrap();
    let recorder = start(dir.path(), 1, 64);
    assert_eq!(ids(&recorder.log(), "acme").len(), 29);
    assert_eq!(requests(&recorder.log(), "acme"), 30);
}

#[test]
fn a_segment_that_is_opened_again_goes_on_with_its_dictionary() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        let recorder = start(dir.path(), 1 << 20, 4);
        recorder.record(record("acme", 1_000_000, number));
        let bytes = written(recorder, dir.path(), 1);
        let words = memchr::memmem::find_iter(&bytes, "openai/gpt@openai").count();
        assert_eq!(words, 1, "a word is written once");
    }
    let recorder = start(dir.path(), 1 << 20, 4);
    assert_eq!(requests(&recorder.log(), "acme"), 3);
    let sent = record("acme", 1_000_000, 2);
    assert_eq!(recorder.log().find(None, sent.event.id).unwrap(), Some(sent));
}

#[test]
fn a_segment_torn_anywhere_also_within_a_dictionary_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1 << 20, 4);
    let first = record("acme", 1_000_000, 1);
    recorder.record(first.clone());
    recorder.log().barrier();
    let whole = fs::read(dir.path().join("00000001.seg")).unwrap().len();
    // Has words of its own, in a frame before it.
    let second = record("beta", 1_000_000, 2);
    recorder.record(second.clone());
    let bytes = written(recorder, dir.path(), 1);
    assert!(contains(&bytes[whole..], "beta"));
    for cut in (0..bytes.len()).step_by(3).chain([bytes.len()]) {
        let torn = tempfile::tempdir().unwrap();
        fs::write(torn.path().join("00000001.seg"), &bytes[..cut]).unwrap();
        let recorder = start(torn.path(), 1 << 20, 4);
        let third = record("beta", 1_000_001, 3);
        recorder.record(third.clone());
        drop(recorder);
        let recorder = start(torn.path(), 1 << 20, 4);
        let log = recorder.log();
        let found = |record: &Record| log.find(None, record.event.id).unwrap();
        assert_eq!(found(&third).as_ref(), Some(&third), "cut at {cut}");
        let kept = [(&first, cut >= whole), (&second, cut == bytes.len())];
        for (record, kept) in kept {
            assert_eq!(found(record).as_ref(), kept.then_some(record), "cut at {cut}");
        }
        assert_eq!(requests(&log, "acme") + requests(&log, "beta"), {
            1 + kept.iter().map(|(_, kept)| u64::from(*kept)).sum::<u64>()
        });
    }
}

#[test]
fn sums_are_rebuilt_from_the_segments_where_summaries_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1, 64);
    for number in 1..=4 {
        recorder.record(record("acme", 3_600_000 * u64::from(number), number));
        recorder.log().barrier();
    }
    let by = [Dimension::Model, Dimension::Key, Dimension::Provider, Dimension::Task];
    let before = report(&recorder.log(), "acme", &by);
    drop(recorder);
    for number in 1..=4 {
        fs::remove_file(dir.path().join(format!("{number:08}.sum"))).unwrap();
    }
    let recorder = start(dir.path(), 1, 64);
    let again = report(&recorder.log(), "acme", &by);
    assert_eq!(again.total, before.total);
    assert_eq!(again.total.requests, 4);
    assert_eq!(format!("{:?}", again.groups), format!("{:?}", before.groups));
}

#[test]
fn words_lost_with_a_failed_write_are_written_again_before_they_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(dir.path().to_path_buf());
    let (shared, open) = super::super::load::load(&options).unwrap();
    let shared = Arc::new(shared);
    let mut writer = Writer::new(Arc::clone(&shared), options, open);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let good = std::mem::replace(&mut writer.tail, Tail::of(full));
    let (lost, kept) = (record("acme", 1, 1), record("acme", 1, 2));
    writer.take(lost.clone().into());
    writer.flush();
    assert_eq!(shared.dropped.load(Ordering::Relaxed), 1);
    writer.flush();
    writer.tail = good;
    writer.take(kept.clone().into());
    writer.flush();
    drop(writer);
    let recorder = start(dir.path(), 1 << 20, 4);
    assert_eq!(recorder.log().find(None, kept.event.id).unwrap(), Some(kept));
    assert_eq!(recorder.log().find(None, lost.event.id).unwrap(), None);
}

#[test]
fn the_end_writes_everything_that_was_taken() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = start(dir.path(), 1 << 30, 4);
    let threads = 4_u8;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let recorder = &recorder;
            scope.spawn(move || {
                for n in 0..250_u64 {
                    assert!(recorder.record(record("acme", 1_000_000 + n, thread)));
                }
            });
        }
    });
    drop(recorder);
    let recorder = start(dir.path(), 1 << 30, 4);
    assert_eq!(requests(&recorder.log(), "acme"), 1_000);
}
