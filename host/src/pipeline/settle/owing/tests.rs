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

/// What had gone out, of an answer of nothing but text.
fn text(text_bytes: u64) -> Part {
    Part { text_bytes, ..Part::default() }
}

/// A caller that reads all but the last event has had the answer, with its thinking.
#[test]
fn pitfall_46_who_had_the_text_had_the_thinking_too() {
    let usage = generated(100, 9_000);
    assert_eq!(delivered(&usage, 400, text(400)), usage);
    assert_eq!(delivered(&usage, 400, text(200)), generated(50, 4_500));
    assert_eq!(delivered(&usage, 400, text(1)), generated(1, 23));
    assert_eq!(delivered(&usage, 400, text(0)), generated(0, 0));
    // Text that takes more tokens than four bytes each would.
    assert_eq!(delivered(&generated(800, 0), 400, text(399)), generated(798, 0));
    assert_eq!(delivered(&generated(u64::MAX, 1), 3, text(2)).output_reasoning, 1);
    assert_eq!(delivered(&usage, 0, text(0)), usage, "what has no text came at once");
}

/// Pictures and sounds are no part of the text, wherever in the answer they are.
#[test]
fn pitfall_46_a_picture_is_had_if_it_had_gone_out_and_else_not() {
    let drawn = Usage { output_image: 1_290, output_audio: 60, ..generated(10, 0) };
    let had = |text_bytes, media, media_came| {
        let part = Part { text_bytes, media, media_came, beyond_bytes: 0 };
        let Usage { output_text, output_image, output_audio, .. } = delivered(&drawn, 40, part);
        (output_text, output_image, output_audio)
    };
    assert_eq!(had(40, false, true), (10, 0, 0), "the line dropped between text and picture");
    assert_eq!(had(0, true, true), (0, 1_290, 60), "the picture came before the text");
    assert_eq!(had(20, true, true), (5, 1_290, 60));
    assert_eq!(had(20, false, false), (5, 645, 30), "it came in a form that nobody knows");
}

/// What is kept under a key of which so much is owed and so much was borne.
fn tab(owed: u128, borne: u128, dearest: u128) -> Tab {
    let (owed, borne, dearest) = (PicoUsd(owed), PicoUsd(borne), PicoUsd(dearest));
    Tab { owed, borne, dearest, ..Tab::default() }
}

/// However much is owed, the platform gives no more than one answer for what it was paid.
#[test]
fn pitfall_46_no_more_is_borne_under_a_key_than_one_answer_costs() {
    let credit = |tab: Tab, cost: u128| tab.credit(PicoUsd(cost)).0;
    assert_eq!(credit(tab(90, 0, 100), 100), 90);
    assert_eq!(credit(tab(90, 0, 100), 40), 40, "never more than it costs");
    assert_eq!(credit(tab(90, 90, 100), 100), 10, "the rest of one answer");
    assert_eq!(credit(tab(90, 100, 100), 100), 0);
    assert_eq!(credit(tab(90, 100, 100), 150), 50, "this one is the dearest");
    let often = Tab { for_less: TRIES_FOR_LESS_MAX, ..tab(90, 8, 100) };
    assert_eq!(credit(often, 100), 0, "nor for any number of tries");
}
