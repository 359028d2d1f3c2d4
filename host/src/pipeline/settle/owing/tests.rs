//! What a caller is owed of one answer.

mod tries;

use super::*;

/// What was charged may have a mark-up or a discount in it; the share of it is what returns.
#[test]
fn the_share_of_what_was_charged_goes_by_official_prices() {
    let share = |charged, part, whole| share(PicoUsd(charged), PicoUsd(part), PicoUsd(whole)).0;
    assert_eq!(share(200, 0, 100), 0, "all was had, at twice the price");
    assert_eq!(share(200, 25, 100), 50);
    assert_eq!(share(90, 100, 100), 90, "nothing was had, with a discount");
    assert_eq!(share(100, 1, 3), 33, "rounded down");
    assert_eq!(share(100, 5, 0), 0);
    assert_eq!(share(u128::MAX, 1, 2), u128::MAX / 2);
}

fn generated(text: u64, thinking: u64) -> Usage {
    Usage { input_uncached: 9, output_text: text, output_reasoning: thinking, ..Usage::default() }
}

/// A caller that reads all but the last event has had the answer, with its thinking.
#[test]
fn pitfall_46_who_had_the_text_had_the_thinking_too() {
    let usage = generated(100, 9_000);
    assert_eq!(delivered(&usage, 400, 400), usage);
    assert_eq!(delivered(&usage, 400, 200), generated(50, 4_500));
    assert_eq!(delivered(&usage, 400, 1), generated(1, 23));
    assert_eq!(delivered(&usage, 400, 0), generated(0, 0));
    // Text that takes more tokens than four bytes each would.
    assert_eq!(delivered(&generated(800, 0), 400, 399), generated(798, 0));
    assert_eq!(delivered(&generated(u64::MAX, 1), 3, 2).output_reasoning, 1);
    assert_eq!(delivered(&usage, 0, 0), usage, "what has no text came at once");
}
