//! What the usage store costs at size: bytes an event on disk, the time of a month's group-by, and
//! the time of a start. `cargo bench -p turnpike --bench usage_store` fills a folder with a million
//! events of a month, as a gateway with a few offers and busy agents makes them; another number may
//! follow after `--`. What an event takes with more offers, each of which its explanation names, is
//! measured on fewer. Not a test: it prints, and says whether each figure is within its limit.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use turnpike::usage::{
    AttemptFact, Dimension, ExpectedFact, Explanation, Fresh, LineItem, ObjectiveFact, Options,
    PolicyFact, Query, Record, Recorder, TaskFact, Timing, UsageEvent, UsageLog,
};
use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

mod offers;

use offers::{Offers, Work};

const EVENTS: u64 = 1_000_000;
/// Milliseconds of a month, over which the events are spread, and when it began.
const MONTH_MS: u64 = 30 * 24 * 3_600_000;
const BEGAN_MS: u64 = 1_793_491_200_000;
/// Offers that are looked at for each request: the first for all figures, the others for the size.
const OFFERS: [u64; 4] = [6, 3, 17, 46];
/// Events by which the size with other offers is measured: a finished segment and its sums are
/// among them.
const SAMPLE: u64 = 400_000;
/// Requests of one session, on average.
const TURNS: u64 = 20;
/// Events between two waits for the recorder, whose queue is bounded.
const BATCH: u64 = 1_000;

const BYTES_MAX: f64 = 250.0;
const REPORT_MS_MAX: f64 = 200.0;
const START_MS_MAX: f64 = 2_000.0;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % sides.max(1)
    }

    /// Small ones more often than large ones.
    fn skewed(&mut self, sides: u64) -> u64 {
        let most = self.roll(sides).saturating_add(1);
        self.roll(most)
    }
}

#[allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints and measures")]
fn main() -> anyhow::Result<()> {
    let events = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(EVENTS);
    let dir = std::env::temp_dir().join(format!("turnpike-usage-store-{}", std::process::id()));
    let filled = Instant::now();
    let recorder = Recorder::start(Options::new(dir.clone()))?;
    let [few, others @ ..] = OFFERS;
    fill(&recorder, events, few)?;
    println!("{events} events of a month in {:.1} s", filled.elapsed().as_secs_f64());
    reports(&recorder.log());
    drop(recorder);
    verdict(&format!("bytes an event, {few} offers"), size(&dir)? / events as f64, BYTES_MAX);
    let start = Instant::now();
    let recorder = Recorder::start(Options::new(dir.clone()))?;
    verdict("start, ms", start.elapsed().as_secs_f64() * 1e3, START_MS_MAX);
    reports(&recorder.log());
    drop(recorder);
    remove(&dir)?;
    for offers in others {
        let recorder = Recorder::start(Options::new(dir.clone()))?;
        fill(&recorder, SAMPLE, offers)?;
        drop(recorder);
        let each = size(&dir)? / SAMPLE as f64;
        verdict(&format!("bytes an event, {offers} offers"), each, BYTES_MAX);
        remove(&dir)?;
    }
    Ok(())
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(dir).with_context(|| format!("can't remove {}", dir.display()))
}

#[allow(clippy::print_stdout, reason = "a bench prints")]
fn verdict(what: &str, figure: f64, limit: f64) {
    let within = if figure < limit { "within" } else { "OVER" };
    println!("{what:<40} {figure:9.1}   {within} {limit}");
}

#[allow(clippy::disallowed_methods, reason = "a bench measures")]
fn reports(log: &UsageLog) {
    log.barrier();
    for labels in ["model", "model,team,user", "project,task,provider", "session", "tag:job,key"] {
        let by: Vec<Dimension> = labels.split(',').filter_map(Dimension::from_label).collect();
        let watch = Instant::now();
        let query = Query {
            org: "org-0",
            by: &by,
            from_ms: BEGAN_MS,
            to_ms: BEGAN_MS + MONTH_MS,
            only: &[],
            present: &[],
            bucket: None,
            groups_max: 1_000,
        };
        let report = log.report(&query, BEGAN_MS + MONTH_MS);
        let ms = watch.elapsed().as_secs_f64() * 1e3;
        let what = format!("group by {labels}: {} requests, ms", report.total.requests);
        verdict(&what, ms, REPORT_MS_MAX);
    }
}

fn size(dir: &Path) -> anyhow::Result<f64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes as f64)
}

fn fill(recorder: &Recorder, events: u64, offers: u64) -> anyhow::Result<()> {
    let mut dice = Dice(7);
    let mut offers = Offers::new(offers);
    let log = recorder.log();
    for number in 0..events {
        let at_ms = BEGAN_MS + number * (MONTH_MS / events.max(1));
        anyhow::ensure!(
            recorder.record(record(&mut dice, number, at_ms, &mut offers)),
            "the queue was full"
        );
        if number % BATCH == BATCH - 1 {
            log.barrier();
        }
    }
    log.barrier();
    anyhow::ensure!(log.dropped() == 0, "events were dropped");
    Ok(())
}

fn name(kind: &str, number: u64) -> Arc<str> {
    format!("{kind}-{number}").into()
}

fn record(dice: &mut Dice, number: u64, at_ms: u64, offers: &mut Offers) -> Fresh {
    let random = dice.0.to_le_bytes();
    let mut tail = [0; 10];
    for (place, byte) in tail.iter_mut().zip(random) {
        *place = byte;
    }
    let id = uuid::Builder::from_unix_timestamp_millis(at_ms, &tail).into_uuid();
    // A key's requests come in sessions, several of which are under way at a time.
    let session = (number / (TURNS * 32)) * 32 + dice.roll(32);
    let key = session.wrapping_mul(2_654_435_761) % 200;
    let (org, task) = (name("org", key % 2), name("task", dice.skewed(8)));
    let difficulty = dice.roll(1_000_000) as f64 / 1e6;
    let tokens = [200 + dice.roll(4_000), 100 + dice.roll(900)];
    let work = Work { task: &task, difficulty, tokens, at_ms };
    let (looked_at, best) = offers.look(&work);
    let index = best.first().copied().unwrap_or(0);
    offers.answered(index, dice);
    let served = u64::try_from(index).unwrap_or(0);
    let usage = Usage {
        input_uncached: 200 + dice.roll(4_000),
        cache_read: dice.roll(60_000),
        output_text: 20 + dice.roll(900),
        requests: 1,
        ..Usage::default()
    };
    let cost = PicoUsd(u128::from(usage.input_uncached) * 2_500_000);
    let event = UsageEvent {
        id,
        at_ms,
        org: Arc::clone(&org),
        key: format!("01a20319-92cd-735f-8659-{key:012x}").into(),
        team: Some(name("team", key % 12)),
        project: Some(name("project", key % 30)),
        user: Some(format!("user-{}@example.org", key % 100).into()),
        session: Some(session_id(session)),
        agent: session.is_multiple_of(4).then(|| name("agent", session % 9)),
        tags: vec![("job".into(), name("job", key % 6))],
        protocol: "anthropic-messages".into(),
        model_asked: "auto".into(),
        offer: Some(offer(served)),
        model: Some(name("vendor/model", served)),
        provider: Some(name("provider", served % 5)),
        task: Some(Arc::clone(&task)),
        stream: true,
        status: 200,
        settlement: "complete".into(),
        usage,
        cost_usd: cost,
        baseline_usd: Some(PicoUsd(cost.0 * 4)),
        attempts: 1,
        duration_ms: 400 + dice.roll(9_000),
        ..UsageEvent::default()
    };
    let mut explanation = explanation(dice, &event, difficulty, &best);
    let [prompt_tokens, answer_tokens] = tokens;
    let expected = ExpectedFact { prompt_tokens, answer_tokens, answers: 1, ..Default::default() };
    explanation.expected = Some(expected);
    Fresh { record: Record { event, explanation }, looked_at: Some(looked_at) }
}

fn session_id(number: u64) -> Arc<str> {
    Uuid::from_u128(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
        .to_string()
        .into()
}

fn offer(number: u64) -> Arc<str> {
    format!("vendor/model-{number}@provider-{}", number % 5).into()
}

fn explanation(
    dice: &mut Dice,
    event: &UsageEvent,
    difficulty: f64,
    best: &[usize],
) -> Explanation {
    let (org, key) = (Arc::clone(&event.org), Arc::clone(&event.key));
    let mut e = Explanation::begin(event.id, org, key, Arc::clone(&event.model_asked));
    e.profile = Some("balanced".into());
    e.task = Some(TaskFact {
        task: event.task.clone().unwrap_or_default(),
        difficulty,
        confidence: 0.9,
        needs: vec!["tools".into()],
        decided_by: "policy-default@0.1.0".into(),
    });
    e.objective = Some(ObjectiveFact { profile: "balanced".into(), ..ObjectiveFact::default() });
    e.plan = best.iter().take(3).map(|index| offer(u64::try_from(*index).unwrap_or(0))).collect();
    e.attempts.push(AttemptFact {
        offer: event.offer.clone().unwrap_or_default(),
        outcome: "answered".into(),
        status: Some(200),
        ms: event.duration_ms,
        first_byte_ms: Some(200 + dice.roll(900)),
        detail: None,
    });
    e.usage = event.usage;
    e.usage_source = Some("provider".into());
    e.line_items = ["input", "cache_read", "output"].map(|item| line(dice, item)).into();
    (e.hold_usd, e.cost_usd) = (PicoUsd(912_345_000_000), event.cost_usd);
    e.settlement = event.settlement.clone();
    e.policies = ["redact", "classify", "route", "bill"].map(|hook| policy(dice, hook)).into();
    e.timing = Timing {
        parse_us: 20 + dice.roll(90),
        redact_us: 100 + dice.roll(900),
        classify_us: 30 + dice.roll(60),
        route_us: 40 + dice.roll(60),
        reserve_us: 20 + dice.roll(60),
        first_content_us: 200_000 + dice.roll(900_000),
        settle_us: 50 + dice.roll(200),
        total_us: event.duration_ms * 1_000,
        ..Timing::default()
    };
    e
}

fn line(dice: &mut Dice, item: &'static str) -> LineItem {
    let (count, unit_price_usd) = (dice.roll(4_000), PicoUsd(2_500_000));
    let amount_usd = PicoUsd(u128::from(count) * unit_price_usd.0);
    LineItem { item: item.into(), count, unit_price_usd, amount_usd, note: None }
}

fn policy(dice: &mut Dice, hook: &'static str) -> PolicyFact {
    PolicyFact {
        hook: hook.into(),
        policy: "policy-default".into(),
        version: "0.1.0".into(),
        digest: "0123456789abcdef".repeat(4).into(),
        config: None,
        micros: u32::try_from(20 + dice.roll(900)).unwrap_or(0),
        failure: None,
    }
}
