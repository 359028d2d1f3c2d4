use super::*;
use crate::catalog::Catalog;

const PROVIDERS: [&str; 5] = ["openai", "anthropic", "google", "amazon-bedrock", "alibaba"];
const ORG: &str = "acme";

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
    tokens_of(answers, ORG, offer, work)
}

fn tokens_of(answers: &Answers, org: &str, offer: usize, work: Workload) -> u32 {
    let work = answers.usual(org, work);
    work.answer_tokens(answers.percent(offer, &work), 0)
}

/// One without thinking that ended by itself.
fn written(tokens: u64) -> CompleteAnswer {
    CompleteAnswer { tokens, thinking_tokens: 0, limit: u32::MAX }
}

fn learn(answers: &Answers, offer: usize, task: &str, tokens: u64) {
    answers.learn(ORG, offer, &answers.usual(ORG, work(task)), written(tokens));
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
        learn(&answers, thinks, "chat", 2_000);
        learn(&answers, index("openai/gpt-4o@openai"), "chat", 400);
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
        learn(&answers, asked, "code", 2_000);
    }
    let seen = tokens(&answers, asked, work("code"));
    assert!((1_700..=2_200).contains(&seen), "{seen}");
    let never_asked =
        tokens(&answers, index("anthropic/claude-sonnet-4-5@anthropic"), work("code"));
    assert!(never_asked >= 1_600, "{never_asked}");
    let elsewhere = tokens(&answers, asked, work("chat"));
    assert!(elsewhere <= 500, "it is rather the task's than the model's: {elsewhere}");
}

/// Ten answers of twenty times the length that is expected, for cents: what others' requests are
/// expected to cost, and so what their ceilings rule out, stays as it is.
#[test]
fn one_organization_does_not_move_what_others_expect() {
    let (answers, index) = answers();
    let (asked, dear) = (index("openai/gpt-4o@openai"), index("openai/gpt-5.4@openai"));
    let easy = || Workload::new("chat", 0.0, 500, None);
    let of = |org: &str, offer| tokens_of(&answers, org, offer, easy());
    let before = of("other", dear);
    let ten = |tokens| {
        for _ in 0..10 {
            answers.learn(ORG, asked, &answers.usual(ORG, easy()), written(tokens));
        }
    };
    ten(4_000);
    assert!(of(ORG, dear) > 5 * before, "its own requests are: {}", of(ORG, dear));
    assert_eq!(of("other", dear), before);
    assert!(of("other", asked) <= 260, "hardly the model itself: {}", of("other", asked));
    answers.forget(ORG);
    assert_eq!(of(ORG, dear), before, "it begins where all do");
    ten(1);
    assert_eq!(of("other", dear), before, "nor by answers of one word");
    assert!(of("other", asked) >= 160, "{}", of("other", asked));
}

#[test]
fn a_few_answers_hardly_move_it_and_none_moves_it_out_of_bounds() {
    let (answers, index) = answers();
    let offer = index("openai/gpt-4o@openai");
    learn(&answers, offer, "chat", 800);
    assert!(tokens(&answers, offer, work("chat")) <= 500, "one answer of twice the length");
    for _ in 0..5_000 {
        learn(&answers, offer, "chat", u64::MAX);
    }
    assert!(answers.percent(offer, &work("chat")) <= 2_000);
    let usual = answers.usual(ORG, work("chat"));
    assert!(usual.answer_tokens(2_000, 0) <= 400 * 20 * 20);
    for _ in 0..5_000 {
        learn(&answers, offer, "chat", 1);
    }
    assert!(answers.percent(offer, &work("chat")) >= 10);
}

#[test]
fn an_answer_cut_at_its_limit_shortens_nothing() {
    let (answers, index) = answers();
    let offer = index("openai/gpt-5@openai");
    // Whoever set the limit: the caller knows of no other than its own.
    for work in [work("chat"), Workload::new("chat", 0.2, 1_000, Some(100))] {
        let before = (tokens(&answers, offer, work), answers.percent(offer, &work));
        for _ in 0..500 {
            let cut = CompleteAnswer { tokens: 100, thinking_tokens: 100, limit: 100 };
            answers.learn(ORG, offer, &answers.usual(ORG, work), cut);
        }
        let after = (tokens(&answers, offer, work), answers.percent(offer, &work));
        assert_eq!(after, before);
        assert_eq!(answers.thinking_percent(offer, &work), 60, "nor is all of it thought");
    }
    let before = answers.percent(offer, &work("chat"));
    for _ in 0..500 {
        learn(&answers, offer, "chat", 50);
    }
    assert!(answers.percent(offer, &work("chat")) < before, "but one that ended by itself does");
}

#[test]
fn what_is_thought_is_learnt_of_each_seller() {
    let (answers, index) = answers();
    let share = |id: &str, work: Workload| answers.thinking_percent(index(id), &work);
    let (plain, thinking) = (work("chat"), work("chat").thinking(true));
    assert_eq!(share("openai/gpt-4o@openai", plain), 0);
    assert_eq!(share("anthropic/claude-sonnet-4-5@anthropic", plain), 0);
    assert_eq!(share("anthropic/claude-sonnet-4-5@anthropic", thinking), 50);
    let qwen = "alibaba/qwen3-32b@alibaba";
    assert_eq!(share(qwen, plain), 50, "one of 200 % thinks for as long as it writes");
    let answer = CompleteAnswer { tokens: 1_000, thinking_tokens: 900, limit: 8_192 };
    for _ in 0..200 {
        answers.learn(ORG, index(qwen), &answers.usual(ORG, plain), answer);
    }
    assert!((75..=85).contains(&share(qwen, plain)), "{}", share(qwen, plain));
    assert_eq!(share(qwen, thinking), 50, "a request that asks for it is of another kind");
    let nonsense = CompleteAnswer { thinking_tokens: u64::MAX, ..answer };
    answers.learn(ORG, index(qwen), &plain, nonsense);
    assert!(share(qwen, plain) <= 100);
    assert_eq!(answers.thinking_percent(usize::MAX, &plain), 0);
}

#[test]
fn steps_are_few_and_offers_without_a_model_are_as_long_as_any() {
    for (times, steps) in [(0.0, 10), (0.333, 35), (0.99, 100), (1.04, 100), (2.46, 250)] {
        assert_eq!(percent(times), steps);
    }
    assert_eq!((percent(11.7), percent(99.0)), (1_200, 2_000));
    assert_eq!([-1.0, 0.0, 0.02, 0.667, 2.0].map(share_percent), [0, 0, 0, 65, 100]);
    let (answers, _) = answers();
    assert_eq!(answers.percent(usize::MAX, &work("chat")), 100);
    learn(&answers, usize::MAX, "chat", 5);
}
