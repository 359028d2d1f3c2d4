mod house;
mod sizes;
mod usual;

use std::sync::Arc;

use proptest::prelude::*;
use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::super::explanation::{
    AttemptFact, CandidateFact, ExpectedFact, Explanation, Failure, FiguresFact, Label, LineItem,
    LossFact, ObjectiveFact, PolicyFact, RedactionFact, TaskFact, Timing,
};
use super::super::looked_at::{Fresh, LookedAt, LookedAtFigures, LookedAtRow, OfferNames};
use super::super::words::{Book, Books, Lexicon};
use super::super::{Record, UsageEvent};
use super::{decode, decode_event, decode_head, encode, encode_as, is_of};
use usual::usual;

fn v7(at_ms: u64, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(at_ms, &random).into_uuid()
}

/// Encodes and reads back, checking that the record itself stays as it was.
fn there_and_back(record: &Record, lexicon: &mut Lexicon) -> (Vec<u8>, Record) {
    let mut payload = Vec::new();
    let mut shown = Fresh::from(record.clone());
    encode(&mut payload, &mut shown, lexicon);
    assert_eq!(&shown.record, record);
    let book = book(lexicon);
    let read = decode(&payload, &book).unwrap();
    assert_eq!(decode_event(&payload, &book).unwrap(), record.event);
    let head = (record.event.id, Arc::clone(&record.event.org));
    assert_eq!(decode_head(&payload, &book).unwrap(), head);
    assert!(is_of(&payload, record.event.id));
    (payload, read)
}

fn book(lexicon: &Lexicon) -> Arc<Book> {
    let mut books = Books::default();
    books.extend(1, lexicon);
    books.get(1).unwrap()
}

fn text() -> impl Strategy<Value = Arc<str>> {
    // Small words that repeat, sentences with numbers, and the odd.
    prop_oneof!["[a-c]{0,2}", "needs [0-9]{1,25} of [0-9]{1,3}", ".{0,12}", "\u{1}?[a-z]{190,210}"]
        .prop_map(Into::into)
}

fn label() -> impl Strategy<Value = Label> {
    text().prop_map(|text| Label::Owned(text.to_string()))
}

fn maybe<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(of)
}

fn some<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(of, 0..4)
}

fn money() -> impl Strategy<Value = PicoUsd> {
    prop_oneof![any::<u128>(), any::<u64>().prop_map(u128::from), (0_u128..9).prop_map(|n| n << 9)]
        .prop_map(PicoUsd)
}

/// Numbers that a decimal of few digits says exactly.
fn short(steps: u32) -> impl Strategy<Value = f64> {
    (0_u32..1_000_000).prop_map(move |n| f64::from(n) / f64::from(steps))
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<[u64; 19]>().prop_map(|n| Usage {
        input_uncached: n[0],
        cache_read: n[1],
        cache_write_5m: n[2],
        cache_write_1h: 0,
        output_text: n[4],
        output_reasoning: n[5],
        input_audio: 0,
        output_audio: n[7],
        input_image: n[8],
        output_image: n[9],
        requests: n[10],
        searches: n[11],
        cache_read_audio: n[12],
        cache_read_image: n[13],
        cache_read_video: n[14],
        input_video: n[15],
        output_video: n[16],
        citations: n[17],
        hosted_calls: n[18],
    })
}

fn event() -> impl Strategy<Value = UsageEvent> {
    let who = (text(), text(), maybe(text()), maybe(text()), maybe(text()));
    let what = (label(), text(), maybe(text()), maybe(text()), maybe(text()), maybe(text()));
    let numbers = (any::<bool>(), any::<u16>(), any::<u32>(), any::<u64>(), any::<u64>());
    let id = (any::<bool>(), any::<u128>(), 0_u64..1 << 47, any::<[u8; 10]>());
    let rest = (some((text(), text())), label(), usage(), money());
    let named = || maybe(prop_oneof![text(), any::<u128>().prop_map(|n| uuid_text(n, false))]);
    let more = (named(), named(), named(), maybe(money()), maybe(money()));
    (id, who, what, numbers, rest, more).prop_map(|(id, who, what, numbers, rest, more)| {
        UsageEvent {
            session: more.0,
            agent: more.1,
            parent_agent: more.2,
            list_usd: more.3,
            baseline_usd: more.4,
            id: if id.0 { v7(id.2, id.3) } else { Uuid::from_u128(id.1) },
            at_ms: numbers.3,
            org: who.0,
            key: who.1,
            team: who.2,
            project: who.3,
            user: who.4,
            tags: rest.0,
            protocol: what.0,
            model_asked: what.1,
            offer: what.2,
            model: what.3,
            provider: what.4,
            task: what.5,
            stream: numbers.0,
            status: numbers.1,
            settlement: rest.1,
            usage: rest.2,
            cost_usd: rest.3,
            attempts: numbers.2,
            duration_ms: numbers.4,
        }
    })
}

fn uuid_text(number: u128, upper: bool) -> Arc<str> {
    let text = Uuid::from_u128(number).to_string();
    if upper { text.to_uppercase().into() } else { text.into() }
}

fn candidate() -> impl Strategy<Value = CandidateFact> {
    let figures = (maybe(short(1_000)), maybe(short(10_000)), maybe(money()), maybe(short(10)));
    (text(), figures, maybe(label()), maybe(label()), maybe(scored_by())).prop_map(
        |(offer, figures, rejected, reason_code, scored_by)| CandidateFact {
            offer,
            score: figures.0,
            quality: figures.1,
            expected_cost_usd: figures.2,
            first_token_ms: figures.3,
            // Kept of those that have a quality.
            figures: figures.1.and(scored_by),
            rejected,
            reason_code,
        },
    )
}

fn scored_by() -> impl Strategy<Value = FiguresFact> {
    let thought = prop_oneof![3 => Just(0), 1 => any::<u32>()];
    let numbers = (short(10), short(100), short(10_000), any::<u32>(), any::<u32>(), thought);
    (numbers, any::<[bool; 8]>()).prop_map(|(numbers, marks)| FiguresFact {
        first_token_p95_ms: numbers.0,
        tokens_per_second: numbers.1,
        availability: numbers.2,
        in_flight: numbers.3,
        warm: marks[0],
        price_estimated: marks[1],
        quality_estimated: marks[2],
        preferred: marks[3],
        answer_tokens: numbers.4,
        thinking_tokens: numbers.5,
        explored: marks[4],
        assumed_over_ceiling: marks[5],
        without_searches: marks[6],
        without_hosted_calls: marks[7],
    })
}

fn expected() -> impl Strategy<Value = ExpectedFact> {
    let keeping = maybe(prop_oneof![Just("minutes".into()), Just("hour".into()), label()]);
    let more = (any::<[bool; 2]>(), keeping, maybe(label()), maybe(any::<u64>()));
    (any::<[u64; 8]>(), more).prop_map(|(numbers, more)| ExpectedFact {
        prompt_tokens: numbers[0],
        audio_tokens: numbers[1],
        image_tokens: numbers[2],
        cached_tokens: numbers[3],
        keeping: more.1,
        answer_tokens: numbers[4],
        answer_limit: more.3,
        // Nearly all requests ask for one, which takes no byte.
        answers: if numbers[5].is_multiple_of(2) { 1 } else { numbers[5] },
        thinking: more.0[0],
        spoken: more.0[1],
        service_tier: more.2,
        searches: numbers[6],
        hosted_calls: numbers[7],
    })
}

fn objective() -> impl Strategy<Value = ObjectiveFact> {
    let float = || any::<f64>().prop_filter("not equal to itself", |float| !float.is_nan());
    let least = prop_oneof![Just(0.0), float()];
    let numbers = (float(), float(), float(), any::<bool>(), least);
    (text(), numbers, maybe(label()), some(text())).prop_map(
        |(profile, numbers, data_class, rules)| ObjectiveFact {
            profile,
            quality_floor: numbers.0,
            cost_ceiling_usd: numbers.1,
            first_token_ceiling_ms: numbers.2,
            data_class,
            zero_retention: numbers.3,
            min_quality: numbers.4,
            rules,
        },
    )
}

fn task() -> impl Strategy<Value = TaskFact> {
    let float = || any::<f64>().prop_filter("not equal to itself", |float| !float.is_nan());
    (text(), float(), float(), some(label()), text()).prop_map(
        |(task, difficulty, confidence, needs, decided_by)| TaskFact {
            task,
            difficulty,
            confidence,
            needs,
            decided_by,
        },
    )
}

fn attempt() -> impl Strategy<Value = AttemptFact> {
    let numbers = (maybe(any::<u16>()), any::<u64>(), maybe(any::<u64>()));
    (text(), label(), numbers, maybe(label())).prop_map(|(offer, outcome, numbers, detail)| {
        AttemptFact {
            offer,
            outcome,
            status: numbers.0,
            ms: numbers.1,
            first_byte_ms: numbers.2,
            detail,
        }
    })
}

fn line_item() -> impl Strategy<Value = LineItem> {
    (label(), any::<u64>(), money(), money(), maybe(label())).prop_map(
        |(item, count, unit_price_usd, amount_usd, note)| LineItem {
            item,
            count,
            unit_price_usd,
            amount_usd,
            note,
        },
    )
}

fn policy() -> impl Strategy<Value = PolicyFact> {
    let failure = (label(), text()).prop_map(|(kind, detail)| Failure { kind, detail });
    let who = (text(), text(), text(), maybe(text()));
    (label(), who, any::<u32>(), maybe(failure)).prop_map(|(hook, who, micros, failure)| {
        let (policy, version, digest, config) = who;
        PolicyFact { hook, policy, version, digest, config, micros, failure }
    })
}

fn redaction() -> impl Strategy<Value = RedactionFact> {
    (label(), text(), label(), any::<u64>()).prop_map(|(direction, kind, action, count)| {
        RedactionFact { direction, kind, action, count }
    })
}

fn explanation() -> impl Strategy<Value = Explanation> {
    let who = (any::<u128>(), text(), text(), text(), maybe(label()), maybe(task()));
    let lists = (
        proptest::collection::vec(candidate(), 0..8),
        some(text()),
        some(attempt()),
        some(line_item()),
    );
    let aims = (maybe(objective()), maybe(expected()));
    let more = (some(policy()), some(redaction()), any::<[u64; 8]>(), aims);
    let money = (money(), money(), money(), usage(), maybe(label()), label());
    (who, lists, more, money).prop_map(|(who, lists, more, money)| Explanation {
        id: Uuid::from_u128(who.0),
        org: who.1,
        key: who.2,
        alias_of: Some(Arc::clone(&who.3)),
        model_asked: who.3,
        profile: who.4,
        objective: more.3.0,
        task: who.5,
        expected: more.3.1,
        candidates: lists.0,
        plan: lists.1,
        attempts: lists.2,
        usage: money.3,
        usage_source: money.4,
        line_items: lists.3,
        hold_usd: money.0,
        cost_usd: money.1,
        absorbed_usd: money.2,
        settlement: money.5,
        policies: more.0,
        redactions: more.1,
        losses: vec![LossFact {
            at: "tools[0]".into(),
            what: "x".into(),
            severity: "dropped".into(),
        }],
        timing: Timing {
            parse_us: more.2[0],
            redact_us: more.2[1],
            classify_us: 0,
            route_us: more.2[3],
            reserve_us: more.2[4],
            first_content_us: more.2[5],
            settle_us: more.2[6],
            total_us: more.2[7],
            policy_fetch_us: more.2[0],
            policy_fetches: more.2[1],
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_field_comes_back(event in event(), explanation in explanation()) {
        let mut lexicon = Lexicon::default();
        let record = Record { event, explanation };
        let (first, read) = there_and_back(&record, &mut lexicon);
        prop_assert_eq!(&read, &record);
        let words = lexicon.len();
        let (second, read) = there_and_back(&record, &mut lexicon);
        prop_assert_eq!(&read, &record);
        prop_assert_eq!((first, lexicon.len()), (second, words), "no word is new");
    }

    #[test]
    fn any_bytes_are_refused_or_read(mut bytes: Vec<u8>) {
        let mut lexicon = Lexicon::default();
        lexicon.number("a \u{1}");
        bytes.insert(0, super::RECORD);
        decode(&bytes, &book(&lexicon)).ok();
    }
}

impl OfferNames for Vec<Arc<str>> {
    fn name(&self, index: usize) -> Option<&str> {
        self.get(index).map(|name| &**name)
    }

    fn token_prices(&self, _: usize, _: u64) -> Option<[PicoUsd; 3]> {
        None
    }
}

#[test]
fn candidates_in_rows_are_written_as_those_of_the_explanation_are() {
    let whole = usual();
    let mut bare = whole.clone();
    let candidates = std::mem::take(&mut bare.explanation.candidates);
    let names: Vec<Arc<str>> = candidates.iter().map(|c| c.offer.clone()).collect();
    let mut reasons = Vec::new();
    let row = |(index, c): (usize, &CandidateFact)| LookedAtRow {
        index,
        score: c.score,
        figures: c.quality.map(|quality| LookedAtFigures {
            quality,
            expected_cost_usd: c.expected_cost_usd.unwrap(),
            first_token_ms: c.first_token_ms.unwrap(),
            more: c.figures.unwrap(),
            answer_percent: 100,
        }),
        reason: c.rejected.clone().map(|words| {
            reasons.push((words, "context"));
            reasons.len() - 1
        }),
    };
    let rows = candidates.iter().enumerate().map(row).collect();
    let looked_at = Some(LookedAt { names: Arc::new(names), at_ms: 0, rows, reasons });
    let mut fresh = Fresh { record: bare, looked_at };
    let mut payload = Vec::new();
    encode(&mut payload, &mut fresh, &mut Lexicon::default());
    assert_eq!(payload, there_and_back(&whole, &mut Lexicon::default()).0);
}

#[test]
fn records_of_earlier_versions_are_read() {
    use super::kind::{
        RECORD_BY_FIRST_RULE, RECORD_WITHOUT_ATTRIBUTION, RECORD_WITHOUT_BOARD,
        RECORD_WITHOUT_EXPECTED, RECORD_WITHOUT_LOSSES, RECORD_WITHOUT_ROSTERS,
    };
    let mut record = usual();
    for candidate in &mut record.explanation.candidates {
        candidate.score = candidate.score.map(|_| 0.75);
        candidate.quality = candidate.quality.map(|_| 0.625);
        candidate.first_token_ms = candidate.first_token_ms.map(|_| 800.0);
    }
    record.event.session = Some("one".into());
    record.explanation.alias_of = Some("house".into());
    let read = |kind| {
        let (mut payload, mut lexicon) = (Vec::new(), Lexicon::default());
        encode_as(kind, &mut payload, &mut Fresh::from(record.clone()), &mut lexicon);
        assert!(is_of(&payload, record.event.id));
        let book = book(&lexicon);
        assert_eq!(decode_event(&payload, &book).unwrap(), decode(&payload, &book).unwrap().event);
        decode(&payload, &book).unwrap()
    };
    assert_eq!(read(RECORD_WITHOUT_EXPECTED), record);
    assert_eq!(read(RECORD_BY_FIRST_RULE), record);
    assert_eq!(read(RECORD_WITHOUT_BOARD), record);
    assert_eq!(read(RECORD_WITHOUT_ROSTERS), record);
    let mut earlier = record.clone();
    earlier.event.session = None;
    earlier.event.baseline_usd = None;
    earlier.explanation.alias_of = None;
    earlier.explanation.candidates.iter_mut().for_each(|candidate| candidate.figures = None);
    assert_eq!(read(RECORD_WITHOUT_ATTRIBUTION), earlier);
    earlier.explanation.losses.clear();
    assert_eq!(read(RECORD_WITHOUT_LOSSES), earlier);
}

#[test]
fn records_of_another_version_and_torn_ones_are_refused() {
    let mut lexicon = Lexicon::default();
    let (payload, _) = there_and_back(&usual(), &mut lexicon);
    let book = book(&lexicon);
    for end in 0..payload.len() {
        assert!(decode(&payload[..end], &book).is_err(), "cut at {end}");
    }
    assert!(decode(b"{\"event\":{}}", &book).is_err());
    assert!(decode(&payload, &Book::default()).is_err(), "without its dictionary");
}
