use super::*;
use crate::catalog::Catalog;

const PROVIDERS: [&str; 4] = ["openai", "anthropic", "google", "amazon-bedrock"];

/// The answers of all offers of some providers, and an offer's index by its name.
fn answers() -> (Answers, impl Fn(&str) -> usize) {
    let catalog = Catalog::embedded().unwrap().for_providers(&PROVIDERS).unwrap();
    let answers = Answers::new(catalog.offers()).unwrap();
    let index = move |id: &str| catalog.offers().iter().position(|it| &*it.id == id).unwrap();
    (answers, index)
}

/// 400 tokens are expected of an answer as long as others.
fn work(task: &str) -> Workload {
    Workload::new(task, 0.2, 1_000, None)
}

fn tokens(answers: &Answers, offer: usize, work: Workload) -> u32 {
    let work = answers.usual(work);
    work.answer_tokens(answers.percent(offer, &work), 0)
}

#[test]
fn thinking_is_expected_of_who_thinks_and_where_it_is_asked_for() {
    let (answers, index) = answers();
    let of = |id: &str, work| tokens(&answers, index(id), work);
    let (plain, thinking) = (work("chat"), work("chat").thinking(true));
    assert_eq!(of("openai/gpt-4o@openai", plain), 400);
    assert_eq!(of("anthropic/claude-sonnet-4-5@anthropic", plain), 400);
    assert_eq!(of("anthropic/claude-sonnet-4-5@anthropic", thinking), 800);
    assert_eq!(of("google/gemini-2.5-pro@google", plain), 1_200);
}

#[test]
fn what_is_seen_of_a_model_counts_for_all_its_offers_and_no_other() {
    let (answers, index) = answers();
    let thinks = index("openai/gpt-5@openai");
    let sellers = ["openai/gpt-5.4@openai", "anthropic/claude-opus-4-5@anthropic"];
    let others = || sellers.map(|seller| tokens(&answers, index(seller), work("code")));
    let before = tokens(&answers, index("openai/gpt-4o@openai"), work("chat"));
    let others_before = others();
    for _ in 0..200 {
        answers.learn(thinks, &answers.usual(work("chat")), 2_000);
        answers.learn(index("openai/gpt-4o@openai"), &answers.usual(work("chat")), 400);
    }
    let after = tokens(&answers, thinks, work("chat"));
    assert!((1_700..=2_100).contains(&after), "{after}");
    let other = tokens(&answers, index("openai/gpt-4o@openai"), work("chat"));
    assert!(other.abs_diff(before) <= 120, "{before} {other}");
    assert_eq!(others(), others_before, "other tasks and models");
}

/// Otherwise who is asked would look dear, and who never was cheap.
#[test]
fn long_answers_at_a_task_are_expected_of_all_models() {
    let (answers, index) = answers();
    let asked = index("openai/gpt-4o@openai");
    for _ in 0..200 {
        answers.learn(asked, &answers.usual(work("code")), 2_000);
    }
    let seen = tokens(&answers, asked, work("code"));
    assert!((1_700..=2_200).contains(&seen), "{seen}");
    let never_asked =
        tokens(&answers, index("anthropic/claude-sonnet-4-5@anthropic"), work("code"));
    assert!(never_asked >= 1_600, "{never_asked}");
    let elsewhere = tokens(&answers, asked, work("chat"));
    assert!(elsewhere <= 500, "it is rather the task's than the model's: {elsewhere}");
}

#[test]
fn a_few_answers_hardly_move_it_and_none_moves_it_out_of_bounds() {
    let (answers, index) = answers();
    let offer = index("openai/gpt-4o@openai");
    answers.learn(offer, &work("chat"), 800);
    assert!(tokens(&answers, offer, work("chat")) <= 500, "one answer of twice the length");
    for _ in 0..5_000 {
        answers.learn(offer, &work("chat"), u64::MAX);
    }
    assert!(answers.percent(offer, &work("chat")) <= 2_000);
    let usual = answers.usual(work("chat"));
    assert!(usual.answer_tokens(2_000, 0) <= 400 * 20 * 20);
    for _ in 0..5_000 {
        answers.learn(offer, &work("chat"), 1);
    }
    assert!(answers.percent(offer, &work("chat")) >= 10);
}

#[test]
fn an_answer_cut_at_its_limit_shortens_nothing() {
    let (answers, index) = answers();
    let offer = index("openai/gpt-5@openai");
    let limited = Workload::new("chat", 0.2, 1_000, Some(100));
    let before = answers.percent(offer, &limited);
    for _ in 0..500 {
        answers.learn(offer, &limited, 100);
    }
    assert_eq!(answers.percent(offer, &limited), before);
    assert_eq!(limited.answer_tokens(before, 0), 100, "never over the limit");
    for _ in 0..500 {
        answers.learn(offer, &limited, 50);
    }
    assert!(answers.percent(offer, &limited) < before, "but one that ended by itself does");
}

#[test]
fn steps_are_few_and_offers_without_a_model_are_as_long_as_any() {
    for (times, steps) in [(0.0, 10), (0.333, 35), (0.99, 100), (1.04, 100), (2.46, 250)] {
        assert_eq!(percent(times), steps);
    }
    assert_eq!((percent(11.7), percent(99.0)), (1_200, 2_000));
    let (answers, _) = answers();
    assert_eq!(answers.percent(usize::MAX, &work("chat")), 100);
    answers.learn(usize::MAX, &work("chat"), 5);
}
