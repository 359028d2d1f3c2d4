use std::sync::Arc;

use super::*;
use crate::catalog::Catalog;

#[test]
fn ranking_amounts_are_close_to_exact() {
    for (pico, usd) in [(1_u128, 1e-12), (37_500, 3.75e-8), (2_500_000_000_000, 2.5)] {
        let got = ranking_usd(PicoUsd(pico));
        assert!((got - usd).abs() <= usd * 1e-12, "{pico}: {got}");
    }
}

fn claude() -> Arc<Offer> {
    let catalog = Catalog::embedded().unwrap().for_providers(&["anthropic"]).unwrap();
    let named = |offer: &&Arc<Offer>| &*offer.id == "anthropic/claude-sonnet-4-5@anthropic";
    Arc::clone(catalog.offers().iter().find(named).unwrap())
}

/// 2,000 tokens of prompt are expected of an upper estimate of 4,000, and 200 of answer.
fn row(work: Workload, warm: bool) -> FigureRow {
    let of_it = Particulars { warm, ..Particulars::of_text(&work) };
    figure_row(&claude(), &work, &of_it, Snapshot::UNKNOWN).unwrap()
}

#[test]
fn what_is_expected_costs_the_official_prices_and_not_the_dearest() {
    let work = Workload::new("chat", 0.0, 4_000, None);
    let (input, output) = (3_000_000, 15_000_000);
    let plain = row(work, false);
    assert_eq!(plain.expected_cost, PicoUsd(2_000 * input + 200 * output));
    assert!(plain.cost_worst_usd > 0.024, "a hold is made for the dearest");
    let kept = |keeping| row(work.keeping(keeping), false).expected_cost;
    assert_eq!(kept(Keeping::Minutes), PicoUsd(2_000 * 3_750_000 + 200 * output));
    assert_eq!(kept(Keeping::Hour), PicoUsd(2_000 * 6_000_000 + 200 * output));
}

#[test]
fn a_price_that_is_only_estimated_is_marked() {
    let work = Workload::new("chat", 0.0, 4_000, None);
    let marked = |offer: &Offer, work: &Workload| {
        let of_it = Particulars::of_text(work);
        let row = figure_row(offer, work, &of_it, Snapshot::UNKNOWN).unwrap();
        row.marks & PRICE_ESTIMATED != 0
    };
    let listed = claude();
    assert!(!marked(&listed, &work) && !marked(&listed, &work.keeping(Keeping::Minutes)));
    // Its list has no price for an hour; a rule gave it.
    assert!(marked(&listed, &work.keeping(Keeping::Hour)));
    let mut alone = Offer::clone(&listed);
    alone.rates.derived.whole = true;
    assert!(marked(&alone, &work), "one source has the price, and not the first");
}

#[test]
fn pitfall_62_a_warm_conversation_is_expected_to_pay_for_reading_what_is_cached() {
    let answer = 200 * 15_000_000;
    let work = Workload::new("chat", 0.0, 4_000, None).cached(1_500);
    for (keeping, fresh) in [(Keeping::None, 3_000_000), (Keeping::Minutes, 3_750_000)] {
        let work = work.keeping(keeping);
        let warm = row(work, true);
        assert_eq!(warm.expected_cost, PicoUsd(1_500 * 300_000 + 500 * fresh + answer));
        assert_eq!((warm.marks & WARM, row(work, false).marks & WARM), (WARM, 0));
        assert_eq!(row(work, false).expected_cost, PicoUsd(2_000 * fresh + answer));
    }
    let all = row(work.cached(9_000), true);
    assert_eq!(all.expected_cost, PicoUsd(2_000 * 300_000 + answer), "never more than there is");
}

#[test]
fn several_answers_and_long_ones_cost_what_they_come_to() {
    let (input, output) = (2_000 * 3_000_000, 15_000_000);
    let cost = |work: Workload, answer_percent| {
        let of_it = Particulars { answer_percent, ..Particulars::of_text(&work) };
        figure_row(&claude(), &work, &of_it, Snapshot::UNKNOWN).unwrap().expected_cost
    };
    let work = Workload::new("chat", 0.0, 4_000, None);
    assert_eq!(cost(work.choosing(8), 100), PicoUsd(input + 8 * 200 * output));
    assert_eq!(cost(work, 300), PicoUsd(input + 600 * output), "who thinks writes more");
    assert_eq!(cost(work.answering(250), 10), PicoUsd(input + 50 * output));
    let limited = Workload::new("chat", 0.0, 4_000, Some(64));
    assert_eq!(cost(limited, 300), PicoUsd(input + 64 * output), "never over the limit");
    assert_eq!(limited.answer_tokens(100, 16), 16, "nor over the model's own");
}

/// A model that sells what it thinks at thirty times the price of what it writes.
#[test]
fn what_is_thought_costs_what_it_is_sold_at() {
    let (input, output, thought) = (2_000 * 3_000_000, 15_000_000, 450_000_000);
    let mut dear = Offer::clone(&claude());
    dear.rates.base.reasoning = Some(PicoUsd(thought));
    let row = |work: Workload, thinking_percent| {
        let answer_percent = 200;
        let text = Particulars::of_text(&work);
        let of_it = Particulars { answer_percent, thinking_percent, ..text };
        figure_row(&dear, &work, &of_it, Snapshot::UNKNOWN).unwrap()
    };
    let work = Workload::new("chat", 0.0, 4_000, None);
    let half = row(work, 50);
    assert_eq!((half.answer_tokens, half.thinking_tokens), (400, 200));
    assert_eq!(half.expected_cost, PicoUsd(input + 200 * output + 200 * thought));
    assert_eq!(row(work, 0).expected_cost, PicoUsd(input + 400 * output), "it thinks of none");
    let four = row(work.choosing(4), 50).expected_cost;
    assert_eq!(four, PicoUsd(input + 800 * output + 800 * thought));
    let limited = row(Workload::new("chat", 0.0, 4_000, Some(250)), 50);
    assert_eq!((limited.answer_tokens, limited.thinking_tokens), (250, 200), "it thinks first");
    // Where it costs as much as what is written nobody has to tell it apart.
    let of_it = Particulars { thinking_percent: 50, ..Particulars::of_text(&work) };
    let plain = figure_row(&claude(), &work, &of_it, Snapshot::UNKNOWN).unwrap();
    assert_eq!((plain.answer_tokens, plain.thinking_tokens), (200, 0));
}

#[test]
fn what_an_offer_does_not_get_of_what_others_are_expected_to_call_is_marked() {
    let work = Workload::new("chat", 0.0, 4_000, None);
    let missed = |expected, searches| {
        let of_it = Particulars { searches, ..Particulars::of_text(&work) };
        let mut row = row(work, false);
        row.miss(expected, &of_it);
        (row.without_searches, row.without_hosted_calls)
    };
    assert_eq!(missed([1, 0], 0), (true, false), "it is spoken to in another dialect");
    assert_eq!(missed([1, 1], 1), (false, true));
    assert_eq!(missed([0, 0], 0), (false, false), "nobody is expected to");
}

#[test]
fn a_prompt_is_likely_shorter_than_what_is_held_for() {
    assert_eq!(likely_tokens(209_093), 130_685);
    assert_eq!((likely_tokens(0), likely_tokens(u32::MAX)), (0, 2_684_354_560));
}

#[test]
fn harder_work_is_expected_to_write_more() {
    assert_eq!((answer_tokens(0.0), answer_tokens(0.2), answer_tokens(1.0)), (200, 400, 1_200));
}
