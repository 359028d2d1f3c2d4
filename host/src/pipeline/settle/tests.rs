use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::budget::{self, Payer};
use crate::catalog::Rates;
use crate::gateway::Gateway;
use crate::pipeline::attempt::tests::{PRICE, flight, gateway_with, top_up};
use crate::route::Workload;

/// Cases of one run: each books some entries of a journal.
const CASES: u32 = 400;

/// A report, a price list, what was held, and what the payer has besides.
#[derive(Debug, Clone)]
struct Case {
    usage: Usage,
    text_bytes: u64,
    reports: bool,
    rates: Rates,
    ending: Ending,
    held: u128,
    spare: u128,
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..50_000_u64, 2 => Just(0), 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn price() -> impl Strategy<Value = Option<PicoUsd>> {
    let amount = prop_oneof![
        6 => 0..20_000_000_u128,
        1 => Just(0),
        1 => 0..1_000_000_000_000_u128,
        1 => Just(u128::MAX),
    ];
    prop_oneof![5 => amount.prop_map(|pico| Some(PicoUsd(pico))), 1 => Just(None)]
}

fn money() -> impl Strategy<Value = u128> {
    prop_oneof![3 => 1..2_000_000_000_u128, 2 => 1..500_000_000_000_u128, 1 => Just(1)]
}

fn usage() -> impl Strategy<Value = Usage> {
    let inputs = (count(), count(), count(), count(), count(), count());
    let outputs = (count(), count(), count(), count());
    let seen = (count(), count(), count(), count(), count(), count());
    (inputs, outputs, seen, 0..40_u64).prop_map(|(i, o, seen, searches)| Usage {
        input_uncached: i.0,
        cache_read: i.1,
        cache_write_5m: i.2,
        cache_write_1h: i.3,
        input_audio: i.4,
        input_image: i.5,
        output_text: o.0,
        output_reasoning: o.1,
        output_audio: o.2,
        output_image: o.3,
        requests: 1,
        searches,
        cache_read_audio: seen.0,
        cache_read_image: seen.1,
        cache_read_video: seen.2,
        input_video: seen.3,
        output_video: seen.4,
        citations: seen.5,
        hosted_calls: 0,
    })
}

fn rates() -> impl Strategy<Value = Rates> {
    let input = (price(), price(), price(), price(), price(), price());
    let output = (price(), price(), price(), price());
    let seen = (price(), price(), price(), price(), price());
    (input, output, seen, price(), price()).prop_map(|(i, o, seen, request, search)| Rates {
        input: i.0,
        cache_read: i.1,
        cache_write_short: i.2,
        cache_write_long: i.3,
        input_audio: i.4,
        input_image: i.5,
        output: o.0,
        reasoning: o.1,
        output_audio: o.2,
        output_image: o.3,
        request,
        search,
        cache_read_audio: seen.0,
        cache_read_image: seen.1,
        input_video: seen.2,
        output_video: seen.3,
        citation: seen.4,
        hosted_call: None,
    })
}

fn case() -> impl Strategy<Value = Case> {
    let endings = [
        Ending::Complete,
        Ending::CompleteEstimated,
        Ending::Partial,
        Ending::RanOut,
        Ending::FailedPartial,
    ];
    let ending = prop::sample::select(endings.to_vec());
    (usage(), count(), any::<bool>(), rates(), ending, money(), money()).prop_map(
        |(usage, text_bytes, reports, rates, ending, held, spare)| Case {
            usage,
            text_bytes,
            reports,
            rates,
            ending,
            held,
            spare,
        },
    )
}

fn payer<'a>(id: uuid::Uuid) -> Payer<'a> {
    let at_ms = clock::now_ms();
    Payer { org: "acme", budgets: &[], id, at_ms, expires_at_ms: at_ms + 1_000_000 }
}

/// Settles one case with no more credit than what is held and the spare.
async fn settle(gateway: &Arc<Gateway>, case: &Case) -> Result<(), TestCaseError> {
    let ledger = &gateway.ledger;
    let whole = ledger.balance("acme");
    let others = whole.available.saturating_sub(PicoUsd(case.held + case.spare));
    let others = budget::reserve(ledger, &payer(clock::new_id()), others).unwrap();
    let mut flight = flight(gateway);
    let id = flight.started.id;
    flight.hold = Some(budget::reserve(ledger, &payer(id), PicoUsd(case.held)).unwrap());
    let mut offer = (**flight.offer_of(0).unwrap()).clone();
    offer.rates.base = case.rates;
    let reported = Reported {
        usage: case.reports.then_some(case.usage),
        service_tier: None,
        text_bytes: case.text_bytes,
        nothing: false,
    };
    let bill = charge(&mut flight, &offer, &reported, case.ending).await;
    flight.end(case.ending, 200, &bill);

    let cost = total(&bill.lines);
    let after = ledger.balance("acme");
    prop_assert!(bill.seq.is_some(), "it is booked, whatever was reported: {bill:?}");
    prop_assert!(bill.cost.0 <= case.held + case.spare, "no more than there is: {bill:?}");
    prop_assert_eq!(after.spent.0 - whole.spent.0, bill.cost.0, "charged is what is booked");
    prop_assert_eq!(after.held, others.amount(), "nothing stays held: {:?}", bill);
    prop_assert_eq!(after.available.0 + after.held.0 + after.spent.0, total_of(&whole));
    let absorbed = cost.0.saturating_sub(bill.cost.0).min(10_u128.pow(27));
    prop_assert_eq!(bill.absorbed.0, absorbed, "what is not charged is absorbed");
    if cost.0 <= case.held {
        prop_assert_eq!(bill.cost, cost, "what was held is enough");
    } else {
        let either = bill.cost == cost || bill.cost.0 == case.held;
        prop_assert!(either, "all of it or the hold: {bill:?}");
    }
    others.release(PicoUsd::ZERO, clock::now_ms());
    Ok(())
}

fn total_of(balance: &turnpike_ledger::Balance) -> u128 {
    balance.available.0 + balance.held.0 + balance.spent.0
}

/// Whatever a provider reports, at whatever price, however much was held: nobody pays more than
/// there is, nothing is booked twice or lost, and the rest returns.
#[test]
fn a_settlement_adds_up_for_every_report_price_and_hold() {
    let data = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let gateway = runtime.block_on(gateway_with(data.path(), 9, PRICE));
    runtime.block_on(async { top_up(&gateway) });
    for reference in 100..150_u8 {
        gateway.ledger.top_up(&more(reference)).unwrap();
    }
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..Default::default() };
    let mut runner = TestRunner::new(config);
    runner.run(&case(), |case| runtime.block_on(settle(&gateway, &case))).unwrap();
    gateway.ledger.close().unwrap();
    assert_sound(data.path());
}

/// Credit for the cases, which spend some of it.
fn more<'a>(reference: u8) -> turnpike_ledger::TopUp<'a> {
    turnpike_ledger::TopUp {
        id: turnpike_ledger::TransferId([reference; 16]),
        org: "acme",
        amount: PicoUsd::parse("20").unwrap(),
        channel: "manual",
        reference: "more",
        at_ms: clock::now_ms(),
    }
}

fn assert_sound(data: &Path) {
    let report = turnpike_ledger::check(&data.join(crate::gateway::JOURNAL_DIR), None).unwrap();
    assert!(report.is_sound(), "{report}");
}

/// A report that no call of the model can have come to is not paid beyond the hold.
#[tokio::test]
async fn an_absurd_report_takes_no_more_than_was_held() {
    let data = tempfile::tempdir().unwrap();
    let declared = format!("context_tokens = 10000\noutput_tokens = 1000\n{PRICE}");
    let gateway = gateway_with(data.path(), 9, &declared).await;
    top_up(&gateway);
    // Micro-dollars: 1 for a token of the prompt, 2 for one of the answer.
    let cases = [(5_000, 900, 5_000 + 1_800), (10_000, 1_000, 12_000), (10_001, 1_000, 100)];
    for (input, output, micro_usd) in cases {
        let mut flight = flight(&gateway);
        let held = PicoUsd(100 * 1_000_000);
        let hold = budget::reserve(&gateway.ledger, &payer(flight.started.id), held).unwrap();
        flight.hold = Some(hold);
        let offer = Arc::clone(flight.offer_of(0).unwrap());
        let usage = Usage { input_uncached: input, output_text: output, ..Usage::default() };
        let reported = Reported { usage: Some(usage), ..Reported::default() };
        let bill = charge(&mut flight, &offer, &reported, Ending::Complete).await;
        assert_eq!(bill.cost, PicoUsd(micro_usd * 1_000_000), "{bill:?}");
        assert_eq!(bill.cost.saturating_add(bill.absorbed), total(&bill.lines));
        flight.end(Ending::Complete, 200, &bill);
    }
}

/// An organization that is out of money gets short answers, and that says nothing of how long those
/// of others are: the caller has set no limit, and each ends as if it were complete.
#[tokio::test]
async fn an_answer_that_the_money_cut_short_shortens_nothing() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway_with(data.path(), 9, PRICE).await;
    let work = Workload::new("chat", 0.5, 100, None);
    let usual = || gateway.answers.usual("acme", work).usual_answer();
    let answered = |clamp: Option<u32>| {
        let mut flight = flight(&gateway);
        let offer = Arc::clone(flight.offer_of(0).unwrap());
        flight.clamped.extend(clamp.map(|limit| (offer, limit)));
        flight.served_index = Some(0);
        flight.work = Some(work);
        let usage = Usage { input_uncached: 10, output_text: 256, ..Usage::default() };
        learn(&flight, Ending::Complete, &Bill { usage, ..Bill::default() });
    };
    let before = usual();
    (0..20).for_each(|_| answered(Some(256)));
    assert_eq!(usual(), before);
    (0..20).for_each(|_| answered(None));
    assert!(usual() < before, "{} and {before}: these ended by themselves", usual());
}

/// Whether a report can be right does not go by what is still to be paid of it: who is owed
/// something under a key would otherwise pay for more than the model can come to.
#[tokio::test]
async fn what_is_owed_does_not_make_an_absurd_report_a_plausible_one() {
    let data = tempfile::tempdir().unwrap();
    let declared = format!("context_tokens = 10000\noutput_tokens = 1000\n{PRICE}");
    let gateway = gateway_with(data.path(), 9, &declared).await;
    top_up(&gateway);
    let micro = |count: u128| PicoUsd(count * 1_000_000);
    // The most is 12,000 micro-dollars; 5,000 are owed.
    for (key, input, charged) in [("right", 10_000, 7_000), ("absurd", 10_001, 100)] {
        let headers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("idempotency-key"),
            key.parse().unwrap(),
        )]);
        let print = gateway.repeats.print("k1", &headers, "/v1", b"hello").unwrap().unwrap();
        let begin = |id| gateway.repeats.begin(&"acme".into(), print, id, 0).unwrap();
        let tab = Tab { owed: micro(5_000), dearest: micro(5_000), ..Tab::default() };
        begin(clock::new_id()).owing(tab);
        let mut flight = flight(&gateway);
        let id = flight.started.id;
        flight.repeat = Some(begin(id));
        flight.hold = Some(budget::reserve(&gateway.ledger, &payer(id), micro(100)).unwrap());
        let offer = Arc::clone(flight.offer_of(0).unwrap());
        let usage = Usage { input_uncached: input, output_text: 1_000, ..Usage::default() };
        let reported = Reported { usage: Some(usage), ..Reported::default() };
        let bill = charge(&mut flight, &offer, &reported, Ending::Complete).await;
        flight.end(Ending::Complete, 200, &bill);
        assert_eq!(bill.cost, micro(charged), "{key}: {bill:?}");
    }
}
