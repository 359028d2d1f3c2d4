//! Money that others take between the look and the hold.

use super::*;
use crate::budget::{Counter, Hold};
use crate::pipeline::reserve::afford::afford;
use crate::pipeline::reserve::short::{none_payable, outrun, readmit};

/// Another request, which holds so much.
fn others(gateway: &Arc<Gateway>, amount: PicoUsd) -> Hold {
    let at_ms = clock::now_ms();
    let (id, expires_at_ms) = (clock::new_id(), at_ms + 1_000_000);
    let payer = Payer { org: "acme", budgets: &[], id, at_ms, expires_at_ms };
    budget::reserve(&gateway.ledger, &payer, amount).unwrap()
}

fn free(gateway: &Gateway) -> PicoUsd {
    gateway.ledger.balance("acme").available
}

/// What is told is the least that would do and not what would have been held, and of which money it
/// was.
#[tokio::test]
async fn who_is_outrun_each_time_hears_of_the_least_and_of_the_money_that_was_short() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), &[100, 2]).await;
    let mut flight = choosing(&gateway);
    flight.plan = vec![0, 1];
    let (caller, always) = (Arc::clone(&flight.caller), Vec::new());
    let purse = purse(&flight, &caller, &always, clock::now_ms());
    let wanted = afford(&mut flight, &purse).await.ok().unwrap().amount;
    assert!(wanted > PicoUsd::parse("0.4").unwrap(), "{wanted}");
    let quicker = others(&gateway, free(&gateway));
    let held = outrun(&mut flight, &purse, Counter::Credit).await.ok().unwrap();
    quicker.release(PicoUsd::ZERO, clock::now_ms());
    let back = outrun(&mut flight, &purse, Counter::Credit).await.ok().unwrap();
    let (limit, period) = (PicoUsd::parse("50").unwrap(), turnpike_ledger::Period::Total);
    gateway.ledger.set_budget("all", Some(limit), period, clock::now_ms()).unwrap();
    let counted = [Counted { id: "all", window: 0, scope: "organization", ends_ms: None }];
    let purse = super::purse(&flight, &caller, &counted, clock::now_ms());
    let budget = outrun(&mut flight, &purse, Counter::Budget).await.ok().unwrap();
    for (short, status, code) in [
        (held, 402, "insufficient_credit"),
        (back, 402, "insufficient_credit"),
        (budget, 429, "budget_exceeded"),
    ] {
        let refusal = short.refusal;
        assert_eq!((refusal.status.as_u16(), refusal.code), (status, code), "{refusal:?}");
        assert_eq!((refusal.retry_after_s, refusal.final_word), (Some(1), false), "{refusal:?}");
        // 256 tokens of the cheaper one, and the prompt.
        assert!(short.needed < PicoUsd::parse("0.001").unwrap(), "{}", short.needed);
        assert!(refusal.message.contains(&short.needed.to_string()), "{refusal:?}");
    }
}

/// What was too dear while others held the money is looked at again when the hold is tried again.
#[tokio::test]
async fn what_was_out_for_the_money_is_in_again_with_the_next_try() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), &[1_000, 2]).await;
    let mut flight = choosing(&gateway);
    flight.plan = vec![0, 1];
    let (caller, always) = (Arc::clone(&flight.caller), Vec::new());
    let purse = purse(&flight, &caller, &always, clock::now_ms());
    let quicker = others(&gateway, PicoUsd::parse("0.9").unwrap());
    afford(&mut flight, &purse).await.ok().unwrap();
    assert_eq!((codes(&flight), &*flight.plan), (vec![Some("credit_short"), None], &[1][..]));
    quicker.release(PicoUsd::ZERO, clock::now_ms());
    readmit(&mut flight);
    flight.plan = vec![0, 1];
    afford(&mut flight, &purse).await.ok().unwrap();
    assert_eq!((codes(&flight), &*flight.plan), (vec![None, None], &[0, 1][..]));
}

/// Between the look and the words of the refusal the money may be back: it was the credit that was
/// short, whatever budgets there are beside it.
#[tokio::test]
async fn credit_that_came_back_meanwhile_is_not_told_as_a_budget() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), &[2]).await;
    let (limit, period) = (PicoUsd::parse("50").unwrap(), turnpike_ledger::Period::Total);
    gateway.ledger.set_budget("all", Some(limit), period, clock::now_ms()).unwrap();
    let budget = Counted { id: "all", window: 0, scope: "organization", ends_ms: None };
    let always = [budget];
    for (reason, status, code) in [
        (Rejection::CreditShort, 402, "insufficient_credit"),
        (Rejection::BudgetShort, 429, "budget_exceeded"),
    ] {
        let mut flight = choosing(&gateway);
        flight.candidates[0].rejection = Some(reason);
        let caller = Arc::clone(&flight.caller);
        let purse = purse(&flight, &caller, &always, clock::now_ms());
        let refusal = none_payable(&mut flight, &purse).await.ok().unwrap().refusal;
        assert_eq!((refusal.status.as_u16(), refusal.code), (status, code), "{refusal:?}");
        assert!(!refusal.final_word, "{refusal:?}");
    }
}
