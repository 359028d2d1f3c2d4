//! One request that is sent again and again under its `idempotency-key`, and interrupted in one way
//! or another: whatever happens, in whichever order, what is charged adds up, and what the platform
//! bears is bounded.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::*;
use crate::budget::{self, Hold, Payer};
use crate::clock;
use crate::gateway::Gateway;
use crate::pipeline::attempt::tests::{PRICE, flight, gateway_with};
use crate::pipeline::flight::{Bill, Ending};
use crate::pipeline::settle::{charge, forgive, total};

/// Sequences of tries in one run.
const CASES: u32 = 300;
/// The prices of [`PRICE`], of one token, and the tokens of the prompt.
const INPUT_PICO: u128 = 1_000_000;
const OUTPUT_PICO: u128 = 2_000_000;
const PROMPT: u64 = 50;
/// The prompt's tokens by the gateway's count.
const COUNTED_PROMPT: u128 = 2;
/// Bytes of text of each token.
const TOKEN_BYTES: u64 = 4;

/// What becomes of a try.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Its caller leaves after so many thousandths of the text, and all of it is charged.
    Left(u64),
    /// The same, and its provider is left at once: what came is counted.
    LeftAgain(u64),
    /// Its provider dies, and what came is charged (`money.bill_partial`).
    Died,
    /// The redaction policy stops it, and what went out is charged.
    Blocked,
    /// Nobody answers, or its caller leaves before any content.
    Nothing,
    /// It is complete, and nothing is in it.
    Empty,
    /// The ledger does not take the capture: its hold has expired.
    Uncaptured,
}

/// A try: what becomes of it, how long its answer gets, and whether as much was held.
#[derive(Debug, Clone, Copy)]
struct Try {
    fate: Fate,
    tokens: u64,
    short: bool,
}

fn tries() -> impl Strategy<Value = (Vec<Try>, u64)> {
    let fate = prop_oneof![
        6 => (0..=1_000_u64).prop_map(Fate::Left),
        4 => (0..=1_000_u64).prop_map(Fate::LeftAgain),
        3 => Just(Fate::Died),
        1 => Just(Fate::Blocked),
        1 => Just(Fate::Nothing),
        1 => Just(Fate::Empty),
        1 => Just(Fate::Uncaptured),
    ];
    // Mostly the same answer, else one of another length: another model may have given it.
    let tokens = prop_oneof![3 => Just(400_u64), 1 => 1..900_u64];
    let short = prop_oneof![5 => Just(false), 1 => Just(true)];
    let one = (fate, tokens.clone(), short);
    let one = one.prop_map(|(fate, tokens, short)| Try { fate, tokens, short });
    (prop::collection::vec(one, 0..7), tokens)
}

fn price(output_tokens: u64) -> u128 {
    u128::from(PROMPT) * INPUT_PICO + u128::from(output_tokens) * OUTPUT_PICO
}

fn hold(gateway: &Gateway, id: uuid::Uuid, amount: u128) -> Hold {
    let at_ms = clock::now_ms();
    let payer = Payer { org: "acme", budgets: &[], id, at_ms, expires_at_ms: at_ms + 1_000_000 };
    budget::reserve(&gateway.ledger, &payer, PicoUsd(amount)).unwrap()
}

/// A request under that key, with so much held for it, and a hold of all else that there is.
fn sent(gateway: &Arc<Gateway>, key: &str, held: u128) -> (Flight, Hold) {
    let mut flight = flight(gateway);
    let headers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("idempotency-key"),
        key.parse().unwrap(),
    )]);
    let print = gateway.repeats.print("k1", &headers, "/v1", b"hello").unwrap().unwrap();
    let (org, id) = ("acme".into(), flight.started.id);
    flight.repeat = Some(gateway.repeats.begin(&org, print, id, clock::steady_ms()).unwrap());
    flight.hold = Some(hold(gateway, id, held));
    let others = gateway.ledger.balance("acme").available.0;
    (flight, hold(gateway, clock::new_id(), others))
}

/// What a provider says of an answer of so many tokens.
fn report(tokens: u64) -> Reported {
    let usage = Usage { input_uncached: PROMPT, output_text: tokens, ..Usage::default() };
    Reported { usage: Some(usage), text_bytes: tokens * TOKEN_BYTES, ..Reported::default() }
}

/// What came of a try, in pico-dollars.
#[derive(Debug, Default)]
struct Came {
    charged: u128,
    /// What the part that was had is worth.
    had: u128,
    /// What the platform bore of it, and whether it was owed more.
    borne: u128,
    capped: bool,
}

/// Settles a try.
async fn settle(
    flight: &mut Flight,
    offer: &Offer,
    (reported, ending): (&Reported, Ending),
    had: u128,
) -> Came {
    let tab = flight.repeat.as_ref().unwrap().tab;
    let bill = charge(flight, offer, reported, ending).await;
    flight.end(ending, 200, &bill);
    if bill.seq.is_none() {
        return Came { charged: bill.cost.0, had, ..Came::default() };
    }
    let cost = total(&bill.lines);
    let credit = tab.credit(cost);
    let capped = credit < tab.owed.min(cost);
    Came { charged: bill.cost.0, had, borne: credit.0, capped }
}

/// Sends it once.
async fn send(gateway: &Arc<Gateway>, key: &str, this: &Try) -> Came {
    let whole = price(this.tokens);
    let held = if this.short { whole / 2 } else { whole };
    let (mut flight, _others) = sent(gateway, key, held);
    let offer = Arc::clone(flight.offer_of(0).unwrap());
    let mut reported = report(this.tokens);
    let all_bytes = reported.text_bytes;
    let part = |thousandths: u64| all_bytes * thousandths / 1_000;
    let (ending, had) = match this.fate {
        Fate::Left(thousandths) => {
            let text_bytes = part(thousandths);
            flight.reached = Reached::Part(Part { text_bytes, ..Part::default() });
            (Ending::Partial, price(text_bytes.div_ceil(TOKEN_BYTES)))
        }
        Fate::LeftAgain(thousandths) => {
            let text_bytes = part(thousandths);
            flight.reached = Reached::Part(Part { text_bytes, ..Part::default() });
            reported = Reported { text_bytes, ..Reported::default() };
            let written = u128::from(text_bytes.div_ceil(TOKEN_BYTES));
            (Ending::Partial, COUNTED_PROMPT * INPUT_PICO + written * OUTPUT_PICO)
        }
        Fate::Died => {
            flight.reached = Reached::NoResult;
            (Ending::FailedPartial, 0)
        }
        Fate::Blocked => (Ending::FailedPartial, whole),
        Fate::Nothing => {
            flight.release(PicoUsd::ZERO);
            flight.end(Ending::Failed, 502, &Bill::default());
            return Came::default();
        }
        Fate::Empty => {
            let bill = forgive(&mut flight, &offer, &reported);
            flight.end(Ending::Empty, 200, &bill);
            return Came::default();
        }
        Fate::Uncaptured => {
            let hold = turnpike_ledger::TransferId(flight.started.id.into_bytes());
            gateway.ledger.release(hold, PicoUsd::ZERO, clock::now_ms()).unwrap();
            (Ending::Complete, 0)
        }
    };
    settle(&mut flight, &offer, (&reported, ending), had).await
}

/// Sends a request again and again, the last time to its end. Whether the platform ever bore less
/// than was owed.
async fn check(
    gateway: &Arc<Gateway>,
    key: &str,
    (tries, last): &(Vec<Try>, u64),
) -> Result<bool, TestCaseError> {
    let before = gateway.ledger.balance("acme").spent;
    let short = tries.iter().any(|it| it.short);
    // A share of what was paid is rounded, once in each try.
    let rounded = u128::try_from(tries.len()).unwrap();
    let (mut all, mut dearest) = (Came::default(), price(*last));
    let add = |all: &mut Came, came: &Came| {
        all.charged += came.charged;
        all.borne += came.borne;
        all.capped |= came.capped;
    };
    for this in tries {
        let came = send(gateway, key, this).await;
        add(&mut all, &came);
        all.had += came.had;
        dearest = dearest.max(price(this.tokens));
        let one = all.charged <= dearest + all.had + rounded;
        prop_assert!(one || all.capped, "{all:?} of {dearest}");
        prop_assert!(short || all.charged >= all.had, "what was had is paid: {all:?}");
    }
    let (mut flight, _others) = sent(gateway, key, price(*last));
    let offer = Arc::clone(flight.offer_of(0).unwrap());
    let whole = (&report(*last), Ending::Complete);
    add(&mut all, &settle(&mut flight, &offer, whole, 0).await);
    prop_assert!(all.borne <= dearest, "no more than one answer is given away: {all:?} {dearest}");
    prop_assert!(
        all.charged <= dearest + all.had + rounded || all.capped,
        "no more than the answer, and what was delivered twice: {all:?}, {dearest}"
    );
    if !short && !all.capped && tries.iter().all(|it| it.tokens == *last) {
        let answer = price(*last) + all.had;
        prop_assert_eq!(all.charged, answer, "the answer, and what was delivered twice");
    }
    let spent = gateway.ledger.balance("acme").spent.saturating_sub(before);
    prop_assert_eq!(spent.0, all.charged, "as it was booked");
    Ok(all.capped)
}

/// A gateway, and an organization with a thousand dollars.
fn open(data: &std::path::Path) -> (tokio::runtime::Runtime, Arc<Gateway>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let gateway = runtime.block_on(gateway_with(data, 9, PRICE));
    let top_up = turnpike_ledger::TopUp {
        id: turnpike_ledger::TransferId([7; 16]),
        org: "acme",
        amount: PicoUsd::parse("1000").unwrap(),
        channel: "manual",
        reference: "first",
        at_ms: clock::now_ms(),
    };
    gateway.ledger.top_up(&top_up).unwrap();
    (runtime, gateway)
}

#[test]
fn pitfall_46_any_number_of_interrupted_tries_costs_one_answer_and_what_came_twice() {
    let data = tempfile::tempdir().unwrap();
    let (runtime, gateway) = open(data.path());
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..Default::default() };
    let mut runner = TestRunner::new(config);
    let key = std::cell::Cell::new(0_u32);
    runner
        .run(&tries(), |case| {
            key.set(key.get() + 1);
            let name = format!("key-{}", key.get());
            runtime.block_on(check(&gateway, &name, &case)).map(|_| ())
        })
        .unwrap();
}

fn whole(fate: Fate) -> Try {
    Try { fate, tokens: 400, short: false }
}

/// A line that drops again and again, as the gateway takes it: the provider is read on for nobody
/// once, and all that is owed is had by the end.
#[test]
fn pitfall_46_a_line_that_drops_again_and_again_never_comes_to_the_bound() {
    let data = tempfile::tempdir().unwrap();
    let (runtime, gateway) = open(data.path());
    let mut tries = vec![whole(Fate::Left(100))];
    tries.extend([whole(Fate::LeftAgain(80)); 7]);
    let capped = runtime.block_on(check(&gateway, "dropping", &(tries, 400))).unwrap();
    assert!(!capped);
}

/// Who leaves as soon as something comes, again and again, pays for it in the end.
#[test]
fn pitfall_46_leaving_at_the_first_word_costs_the_platform_one_answer_at_most() {
    let data = tempfile::tempdir().unwrap();
    let (runtime, gateway) = open(data.path());
    for (key, fate) in [("read-on", Fate::Left(1)), ("left", Fate::LeftAgain(1))] {
        let mut tries = vec![whole(Fate::Left(1))];
        tries.extend([whole(fate); 20]);
        assert!(runtime.block_on(check(&gateway, key, &(tries, 400))).unwrap(), "{key}");
    }
}
