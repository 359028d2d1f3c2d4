//! What a person would say of each request, and what must not fool the classifier.

mod golden;

use turnpike_policy_sdk::mock::MockRequest;
use turnpike_policy_sdk::{Classification, Classify, Value};

use super::ClassifyDefault;
use crate::features::Features;
use crate::model::{self, BATCH, Batch, Part, Sums, WEIGHTS, Weights};

fn classify(request: &MockRequest) -> Classification {
    ClassifyDefault.classify(request).unwrap()
}

fn said(text: &str) -> Classification {
    classify(&MockRequest::new().with_message("user", text))
}

const PYTHON: &str = "def mean(values):\n    total = 0\n    for value in values:\n        total += \
                      value\n    return total / len(value)\n\nprint(mean([1, 2, 3]))";

#[test]
fn a_system_prompt_about_code_does_not_make_a_greeting_code() {
    let system = "You are an expert Rust engineer. Answer with code.\n```rust\nfn main() {}\n```";
    for greeting in ["hi", "Hello there!", "thanks, that works", "Hallo!", "你好", "¡Hola!"] {
        let request =
            MockRequest::new().with_message("system", system).with_message("user", greeting);
        assert_eq!(classify(&request).task, "chat", "{greeting}");
        let with_tools = request.with_tool("run_shell", "Runs a command in a shell");
        assert_eq!(classify(&with_tools).task, "chat", "{greeting}, with tools");
    }
}

#[test]
fn what_tells_hardly_anything_is_chat_and_unsure() {
    for text in ["x", "1", "test", "hmm", "?!"] {
        let found = said(text);
        assert_eq!(found.task, "chat", "{text}");
        assert!(found.confidence <= 0.5, "{text}: {}", found.confidence);
    }
}

#[test]
fn a_greeting_with_an_address_is_chat_and_one_with_a_verb_is_what_it_asks_for() {
    assert_eq!(said("Hello, mail me at x@y.z").task, "chat");
    assert_eq!(said("Hi! Translate to French: the sky is blue").task, "translation");
    assert_eq!(said("Hello! Write a Python function that reverses a string.").task, "code");
}

#[test]
fn a_short_follow_up_is_read_with_the_turn_before() {
    let request = MockRequest::new()
        .with_message("user", "Write a Python function that parses an ISO date without imports.")
        .with_message("assistant", "def parse(text): …")
        .with_message("user", "and now in Rust, with tests?");
    assert_eq!(classify(&request).task, "code");
    let fix = MockRequest::new()
        .with_message("user", PYTHON)
        .with_message("assistant", "It prints the mean.")
        .with_message("user", "fix this");
    assert_eq!(classify(&fix).task, "code");
}

#[test]
fn the_last_turn_counts_and_not_what_the_conversation_was_about() {
    let conversation = MockRequest::new()
        .with_message("user", &format!("What does this do?\n```python\n{PYTHON}\n```"))
        .with_message("assistant", "It computes a mean, but divides by the wrong length.");
    let thanks = conversation.clone().with_message("user", "thanks!");
    assert_eq!(classify(&thanks).task, "chat");
    let other = conversation.with_message(
        "user",
        "Something else: please write a short poem about the first snow for my grandmother.",
    );
    assert_eq!(classify(&other).task, "writing");
}

#[test]
fn attachments_are_facts() {
    let picture = MockRequest::new()
        .with_message("user", "what is on it?")
        .with_attr("input.image", Value::Flag(true));
    let found = classify(&picture);
    assert_eq!((found.task.as_str(), found.needs), ("vision", vec!["image-input".to_owned()]));
    let voice = MockRequest::new()
        .with_message("user", "what does she say?")
        .with_attr("input.audio", Value::Flag(true));
    assert_eq!(classify(&voice).task, "audio");
    let thanks = MockRequest::new()
        .with_message("user", "what is on it?")
        .with_message("assistant", "A cat.")
        .with_message("user", "thank you")
        .with_attr("input.image", Value::Flag(true));
    let found = classify(&thanks);
    assert_eq!((found.task.as_str(), found.needs), ("chat", vec!["image-input".to_owned()]));
}

#[test]
fn tools_make_an_agent() {
    let agent = MockRequest::new()
        .with_message("user", "find the cheapest flight to Lisbon and book it")
        .with_tool("search_flights", "searches")
        .with_attr("needs.structured-output", Value::Flag(true));
    let found = classify(&agent);
    assert_eq!(found.task, "agent");
    assert_eq!(found.needs, ["tools", "structured-output"]);
    let coding = MockRequest::new()
        .with_message("user", "the test of the parser fails, make it pass")
        .with_tool("bash", "Executes a command")
        .with_tool("edit_file", "Replaces text in a file");
    assert_eq!(classify(&coding).task, "agent");
    let going_on = MockRequest::new()
        .with_message("user", "Write a poem about the weather in Oslo of today")
        .with_message("assistant", "")
        .with_message("tool", "4 degrees, rain")
        .with_tool("lookup", "Looks things up");
    assert_eq!(classify(&going_on).task, "agent");
}

#[test]
fn tools_that_have_nothing_to_do_with_the_turn_do_not() {
    let offered = MockRequest::new().with_tool("get_stock_quote", "Price of a ticker symbol");
    for (text, task) in [
        ("Write a haiku about autumn leaves and the first snow.", "writing"),
        (
            "Translate to German: The meeting is moved to Tuesday, please tell everybody.",
            "translation",
        ),
        ("hello", "chat"),
    ] {
        assert_eq!(classify(&offered.clone().with_message("user", text)).task, task, "{text}");
    }
    let asked = offered.with_message("user", "What is the quote of ACME now?");
    assert_eq!(classify(&asked).task, "agent");
}

#[test]
fn a_schema_speaks_for_extraction() {
    let text = "Anna Berg, 34, lives in Oslo and works for Fjord AS. Her brother Nils is 29.";
    let plain = MockRequest::new().with_message("user", text);
    let asked = plain.clone().with_attr("needs.structured-output", Value::Flag(true));
    let found = classify(&asked);
    assert_eq!(found.needs, ["structured-output"]);
    assert_eq!(found.task, "extraction");
}

#[test]
fn every_answer_is_within_its_ranges() {
    for text in ["", " ", "?", "漢字かな交じり文", "\u{0}\u{1}", &"x".repeat(100_000)] {
        let found = said(text);
        assert!((0.0..=1.0).contains(&found.difficulty), "{text:.20}");
        assert!((0.0..=1.0).contains(&found.confidence), "{text:.20}");
        assert!(!found.task.is_empty());
    }
    assert_eq!(classify(&MockRequest::new()).task, "chat");
    let only_system = MockRequest::new().with_message("system", "write code");
    assert_eq!(classify(&only_system).task, "chat");
}

#[test]
fn a_window_across_characters_does_not_matter() {
    for text in ["é漢".repeat(20_000), "漢".repeat(341), "漢".repeat(342), "é".repeat(512)] {
        assert!(!said(&text).task.is_empty());
    }
}

/// Which of them were new, as bits.
fn added(sums: &mut Sums<'_>, part: Part, features: &[u32]) -> u32 {
    let mut batch = Batch::EMPTY;
    features.iter().for_each(|feature| batch.push(part, *feature));
    sums.add(&mut batch)
}

/// Eight columns at once give what one after the other gives, also beyond what a lane holds.
#[test]
fn sums_of_weights_do_not_overflow_their_lanes() {
    let mut full = vec![b'~'; WEIGHTS.len()];
    let mut features: Vec<u32> = (0..4_000).map(|it: u32| it.wrapping_mul(0x0019_660D)).collect();
    features.sort_by_key(|it| model::row(*it));
    features.dedup_by_key(|it| model::row(*it));
    features.sort_by_key(|it| model::gain_bucket(*it));
    features.dedup_by_key(|it| model::gain_bucket(*it));
    for feature in &features {
        full[model::row_at(model::row(*feature))] = model::mark(*feature);
    }
    let count = features.len() as f64;
    assert!(count > 1_024.0, "{count} rows are too few to overflow");
    let mut sums = Sums::new(Weights(&full));
    for some in features.chunks(BATCH) {
        added(&mut sums, Part::Words, some);
    }
    // The highest character is 47 steps above zero.
    let expected = model::PARTS[Part::Words as usize] * 47.0 * count.sqrt() / 4.0;
    for score in sums.scores() {
        assert!((score - expected).abs() < 1e-6, "{score}");
    }
    assert!((sums.gain() - 47.0 * count.sqrt() / 40.0).abs() < 1e-6);
}

#[test]
fn a_feature_without_a_row_of_its_own_counts_for_nothing() {
    let feature = 77;
    let mut table = vec![b'~'; WEIGHTS.len()];
    table[model::row_at(model::row(feature))] = model::mark(feature) + 1;
    let mut sums = Sums::new(Weights(&table));
    assert_eq!(added(&mut sums, Part::Head, &[feature, feature]), 0b01);
    assert_eq!(added(&mut sums, Part::Head, &[feature]), 0);
    assert_eq!(sums.scores(), [0.0; model::TASKS.len()]);
}

#[test]
fn capitals_do_not_matter_in_any_of_the_scripts() {
    for (one, other) in
        [("Write Code", "write code"), ("НАПИШИ стих", "напиши СТИХ"), ("ÉCRIS", "écris")]
    {
        let scores = |text| Features::of(Weights(WEIGHTS), text, "").sums.scores();
        assert_eq!(scores(one), scores(other), "{one}");
    }
}
