//! The law of streams: however a text is cut, what goes on is the same. Cuts short texts at every
//! character, long ones at a sample, and asks the policy as the gateway's streams do.

use crate::policy::{PolicyFailure, Trial};

use super::ask::{Names, place};
use super::cases::Text;
use super::dice::Dice;
use super::expect::shown;

/// Texts up to here are cut in two at every place.
const EVERY_PLACE_MAX: usize = 256;
/// Texts up to here are also sent character by character.
const SINGLE_CHARS_MAX: usize = 2_048;
/// Places at which a longer text is cut in two.
const PLACES: usize = 64;
/// Ways of cutting a text into many pieces.
const WAYS: usize = 32;
/// Bytes of the pieces of the first way; each way's are larger.
const PIECE: usize = 3;

/// What came out of a stream: the text and the highest data class, or why it was blocked.
type Sent = Result<(String, String), String>;

/// What a cut changed, in words; `None` when nothing did.
pub(super) async fn broken(
    trial: &mut Trial,
    text: &Text,
    dice: &mut Dice,
) -> Result<Option<String>, PolicyFailure> {
    let whole = sent(trial, text, &[]).await?;
    for cuts in ways(&text.text, dice) {
        let cut = sent(trial, text, &cuts).await?;
        if cut != whole {
            let word = |sent: &Sent| match sent {
                Ok((text, class)) => format!("{} {class}", shown(&text.as_str().into())),
                Err(why) => format!("blocked: {why}"),
            };
            return Ok(Some(format!(
                "cut at {cuts:?} it sends\n        {}\n      but whole it sends\n        {}",
                word(&cut),
                word(&whole)
            )));
        }
    }
    Ok(None)
}

/// Sends the text in the pieces between the cuts, as a stream: the held tail stands in front of
/// the next piece, and at the end it is the last.
async fn sent(trial: &mut Trial, text: &Text, cuts: &[usize]) -> Result<Sent, PolicyFailure> {
    let (mut names, mut out, mut class) = (Names::default(), String::new(), String::new());
    let (mut held, mut at) = (String::new(), 0);
    let ends = cuts.iter().copied().map(|cut| (cut, false));
    for (end, last) in ends.chain([(text.text.len(), true)]) {
        let window = format!("{held}{}", text.text.get(at..end).unwrap_or_default());
        at = end;
        let found = trial.scan(place(text), &window, last).await?;
        match names.apply(&window, &found) {
            Ok(settled) => out.push_str(&settled),
            Err(why) => return Ok(Err(why)),
        }
        if !found.data_class.is_empty() {
            class = found.data_class;
        }
        held = window.get(window.len().saturating_sub(found.hold)..).unwrap_or_default().to_owned();
    }
    Ok(Ok((out, class)))
}

/// The ways to cut a text, each as the places of its cuts, in order.
fn ways(text: &str, dice: &mut Dice) -> Vec<Vec<usize>> {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
    let mut out: Vec<Vec<usize>> = Vec::new();
    if text.len() <= EVERY_PLACE_MAX {
        out.extend(places.iter().map(|at| vec![*at]));
    } else {
        let some = (0..PLACES).filter_map(|_| places.get(dice.below(places.len())));
        out.extend(some.map(|at| vec![*at]));
    }
    if text.len() <= SINGLE_CHARS_MAX {
        out.push(places.clone());
    }
    for way in 1..=WAYS {
        let longest = PIECE.saturating_mul(way);
        let mut cuts = Vec::new();
        let mut next = 0;
        for at in &places {
            if *at >= next {
                cuts.push(*at);
                next = at.saturating_add(1 + dice.below(longest));
            }
        }
        out.push(cuts);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_cut_everywhere_and_only_between_characters() {
        let text = "a€bß";
        let ways = ways(text, &mut Dice::new(1));
        for at in [1, 4, 5] {
            assert!(ways.contains(&vec![at]));
        }
        assert!(ways.contains(&vec![1, 4, 5]));
        for cuts in &ways {
            assert!(cuts.iter().all(|at| text.is_char_boundary(*at)), "{cuts:?}");
            assert!(cuts.is_sorted() && cuts.iter().all(|at| *at > 0 && *at < text.len()));
        }
    }

    #[test]
    fn long_texts_are_sampled() {
        let long = "word ".repeat(20_000);
        let ways = ways(&long, &mut Dice::new(1));
        assert_eq!(ways.len(), PLACES + WAYS);
        assert!(ways.iter().skip(PLACES).all(|cuts| cuts.len() > 100));
    }
}
