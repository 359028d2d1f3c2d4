//! What a person would say of each request, and what must not fool the classifier.

use turnpike_policy_sdk::mock::MockRequest;
use turnpike_policy_sdk::{Classification, Classify, Value};

use super::ClassifyDefault;
use super::features::Features;

fn classify(request: &MockRequest) -> Classification {
    ClassifyDefault.classify(request).unwrap()
}

fn said(text: &str) -> Classification {
    classify(&MockRequest::new().with_message("user", text))
}

#[test]
fn plain_requests_get_the_task_that_a_person_would_name() {
    for (text, task) in [
        ("Hello! How are you today?", "chat"),
        ("Translate to French: The meeting is moved to Tuesday.", "translation"),
        ("Write a Rust function that reverses a linked list.", "code"),
        ("Write a haiku about autumn leaves.", "writing"),
        ("Write a Python function that merges two sorted lists.", "code"),
        ("Translate this into German: the bill is due on Monday.", "translation"),
        ("Please summarize the following meeting transcript in three sentences.", "summarization"),
        ("Extract all names and dates from the text below as JSON.", "extraction"),
        ("I have a CSV file sales.csv. Compute the mean of the revenue column.", "data-analysis"),
        (
            "Tom has 12 apples, gives a third to Ann and buys 5 more. How many does he have?",
            "reasoning",
        ),
    ] {
        assert_eq!(said(text).task, task, "{text}");
    }
}

#[test]
fn a_system_prompt_about_code_does_not_make_a_greeting_code() {
    let system = "You are an expert Rust engineer. Answer with code.\n```rust\nfn main() {}\n```";
    for greeting in ["hi", "Hello there!", "thanks, that works"] {
        let request =
            MockRequest::new().with_message("system", system).with_message("user", greeting);
        assert_eq!(classify(&request).task, "chat", "{greeting}");
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
    assert_eq!(said("Hello, please mail me at jane.doe@example.com when you can").task, "chat");
    assert_eq!(said("Hi! Translate to French: the sky is blue").task, "translation");
}

#[test]
fn a_short_follow_up_is_read_with_the_turn_before() {
    let request = MockRequest::new()
        .with_message("user", "Write a Python function that parses an ISO date without imports.")
        .with_message("assistant", "def parse(text): …")
        .with_message("user", "and now in Rust, with tests?");
    assert_eq!(classify(&request).task, "code");
}

#[test]
fn attachments_and_tools_are_facts() {
    let picture = MockRequest::new()
        .with_message("user", "what is on it?")
        .with_attr("input.image", Value::Flag(true));
    let found = classify(&picture);
    assert_eq!((found.task.as_str(), found.needs), ("vision", vec!["image-input".to_owned()]));
    let agent = MockRequest::new()
        .with_message("user", "find the cheapest flight to Lisbon and book it")
        .with_tool("search_flights", "searches")
        .with_attr("needs.structured-output", Value::Flag(true));
    let found = classify(&agent);
    assert_eq!(found.task, "agent");
    assert_eq!(found.needs, ["tools", "structured-output"]);
}

#[test]
fn difficulty_tells_a_question_from_a_review() {
    let easy = said("What is the capital of France?");
    let clause = "The supplier's liability under this contract is limited as follows. ".repeat(900);
    let hard = said(&format!("Review the legal risks, step by step and in depth:\n{clause}"));
    assert!(easy.difficulty < 0.25, "{}", easy.difficulty);
    assert!(hard.difficulty > easy.difficulty + 0.35, "{} {}", easy.difficulty, hard.difficulty);
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
    assert!(!said(&"é漢".repeat(20_000)).task.is_empty());
}

/// The numbers are what `train/features.py` gives for the same text.
#[test]
fn features_are_those_of_the_training_script() {
    let text = b"write a poem, caf\xc3\xa9 12\n- ok?";
    assert_eq!(Features::of(text, text.len()).buckets(), EXPECTED);
}

const EXPECTED: [usize; 15] =
    [31, 308, 446, 619, 785, 880, 1050, 1396, 1724, 3015, 3132, 3678, 3899, 3953, 4049];
