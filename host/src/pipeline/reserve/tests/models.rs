//! Plans of which some offers count on a budget of their own model's, and others don't.

use jiff::tz::TimeZone;

use super::*;
use crate::auth::{BudgetRef, Caller, CallerBudgets, ModelRules, Period, Sometimes};

/// The longest answer of every offer here.
const LONGEST: u32 = 128_000;

fn usd(text: &str) -> PicoUsd {
    PicoUsd::parse(text).unwrap()
}

/// A gateway with offers at these dollars for a million tokens of answer, and an organization with
/// a hundred.
async fn rich(data: &std::path::Path, prices: &[u32]) -> Arc<Gateway> {
    let gateway = gateway_of(data, prices, &format!("output_tokens = {LONGEST}\n")).await;
    let more = turnpike_ledger::TopUp {
        id: turnpike_ledger::TransferId([8; 16]),
        org: "acme",
        amount: usd("99"),
        channel: "manual",
        reference: "second",
        at_ms: clock::now_ms(),
    };
    gateway.ledger.top_up(&more).unwrap();
    gateway
}

/// A request that may go to any of them, in an organization with these budgets by model.
fn budgeted(gateway: &Arc<Gateway>, budgets: &[(&str, &str)]) -> Flight {
    let mut flight = choosing(gateway);
    let models = budgets.iter().map(|(model, amount)| {
        let budget = BudgetRef::of_scope(model, model, Period::Total, TimeZone::UTC);
        let (limit, period) = (Some(usd(amount)), turnpike_ledger::Period::Total);
        gateway.ledger.set_budget(&budget.id, limit, period, clock::now_ms()).unwrap();
        (ModelRules::parse(&[model]).unwrap(), Arc::new(budget))
    });
    let sometimes = Sometimes { models: models.collect(), ..Sometimes::default() };
    let budgets = CallerBudgets { sometimes: Some(Arc::new(sometimes)), ..Default::default() };
    flight.caller = Arc::new(Caller { budgets, ..(*flight.caller).clone() });
    flight
}

/// With this limit of the caller's.
fn limited(flight: &mut Flight, limit: u32) {
    let mut call = (*flight.call).clone();
    call.output_limit = Some(limit);
    flight.call = Arc::new(call);
}

fn tokens(flight: &Flight, row: usize) -> u32 {
    let offer = Arc::clone(flight.offer_of(row).unwrap());
    held_tokens(flight, &offer)
}

/// The hold counts on the model's budget for the sake of the first; for how much is not to depend
/// on how dear its fallback is, or nobody else could ask for the model meanwhile.
#[tokio::test]
async fn a_dear_fallback_takes_no_more_of_a_models_budget_than_a_share() {
    let data = tempfile::tempdir().unwrap();
    let gateway = rich(data.path(), &[15, 75]).await;
    let mut beside = Vec::new();
    let mut left = usd("5");
    for number in 0..5 {
        let mut flight = budgeted(&gateway, &[("acme/one", "5")]);
        reserve(&mut flight, &[0, 1]).await.unwrap();
        assert_eq!(flight.plan, [0, 1], "{number}: both are there still");
        assert!(flight.held <= budget::share(left), "{number}: {} of {left}", flight.held);
        assert!(tokens(&flight, 1) >= budget::ANSWER_TOKENS_ENOUGH, "{number}");
        left = left.saturating_sub(flight.held);
        beside.push(flight);
    }
    assert!(tokens(&beside[0], 0) > 80_000 && tokens(&beside[0], 1) > 16_000);
    // Who asks for the model alone is let in, too.
    let mut named = budgeted(&gateway, &[("acme/one", "5")]);
    reserve(&mut named, &[0]).await.unwrap();
    assert!(tokens(&named, 0) >= budget::ANSWER_TOKENS_ENOUGH);
}

/// Of two in a plan the better one has its length; the budget of a model that may be asked after it
/// shortens it to what hardly an answer needs, or makes room.
#[tokio::test]
async fn what_is_preferred_is_not_cut_short_by_the_budget_of_its_fallback() {
    let data = tempfile::tempdir().unwrap();
    let gateway = rich(data.path(), &[75, 15]).await;
    let alone = [None, Some("model_budget")];
    for (left, limit, out, length) in [
        // Its longest answer is worth 9.6 dollars, one of 16,384 tokens 1.23.
        ("5", None, [None, None], 16_384..17_000),
        ("4", None, alone, LONGEST..LONGEST + 1),
        ("50", None, [None, None], LONGEST..LONGEST + 1),
        // What the caller asked for is not cut.
        ("5", Some(64_000), alone, 64_000..64_001),
        ("5", Some(10_000), [None, None], 10_000..10_001),
        // And may be held where it is no more than most answers need.
        ("0.5", Some(4_000), [None, None], 4_000..4_001),
        ("0.25", Some(4_000), alone, 4_000..4_001),
    ] {
        let mut flight = budgeted(&gateway, &[("acme/1", left)]);
        if let Some(limit) = limit {
            limited(&mut flight, limit);
        }
        reserve(&mut flight, &[0, 1]).await.unwrap();
        assert_eq!(codes(&flight), out, "{left} {limit:?}");
        assert!(length.contains(&tokens(&flight, 0)), "{left} {limit:?}: {}", tokens(&flight, 0));
        assert!(flight.held <= usd(left) || flight.plan == [0], "{left}: {}", flight.held);
    }
}

/// The tightest of several budgets decides what the plan holds.
#[tokio::test]
async fn a_plan_over_several_budgets_of_models_holds_a_share_of_the_tightest() {
    let data = tempfile::tempdir().unwrap();
    let gateway = rich(data.path(), &[15, 15, 75]).await;
    let budgets = [("acme/one", "2"), ("acme/1", "50")];
    let mut flight = budgeted(&gateway, &budgets);
    reserve(&mut flight, &[0, 1, 2]).await.unwrap();
    assert_eq!(flight.plan, [0, 1, 2]);
    assert!(flight.held <= usd("0.5"), "{}", flight.held);
    assert_eq!(codes(&flight), [None; 3]);
}

/// Hundreds of candidates that count on the same money are short of the same; only one of each kind
/// is looked at, the cheapest.
#[tokio::test]
async fn what_is_short_is_told_of_the_cheapest_of_each_budget() {
    let data = tempfile::tempdir().unwrap();
    let gateway = rich(data.path(), &[900, 600, 700, 800]).await;
    let budgets = [("acme/one", "0.0001"), ("acme/1", "0.2"), ("acme/2", "0.0001")];
    // 256 tokens of the second come to 0.1536 dollars; the last has no budget and is not asked.
    let mut first = budgeted(&gateway, &budgets);
    first.candidates.truncate(3);
    reserve(&mut first, &[0, 1, 2]).await.unwrap();
    assert_eq!(first.plan, [1]);
    let mut second = budgeted(&gateway, &budgets);
    second.candidates.truncate(3);
    let refused = reserve(&mut second, &[0, 1, 2]).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_s), ("budget_exceeded", Some(1)), "{refused:?}");
    assert!(refused.message.contains("acme/1") && !refused.final_word, "{refused:?}");
    let budgets = [("acme/one", "0.0001"), ("acme/1", "0.0001"), ("acme/2", "0.0001")];
    let mut third = budgeted(&gateway, &budgets);
    third.candidates.truncate(3);
    let refused = reserve(&mut third, &[0, 1, 2]).await.unwrap_err();
    assert!(refused.final_word && refused.message.contains("acme/1"), "{refused:?}");
}
