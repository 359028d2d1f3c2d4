//! Whether a prompt of our own repeats what the figures are measured on: a run of words that it
//! has in common with a prompt of the dev set or with an everyday prompt. Such a prompt would make
//! the figures better than they are. Never changes anything.

use std::collections::BTreeMap;

use crate::data::Prompt;

/// So many words in a row are no coincidence.
const RUN: usize = 8;

/// An error that names the first prompt of our own that repeats a measured one.
pub(crate) fn none(own: &[Prompt], measured: &[Prompt]) -> Result<(), String> {
    let mut runs: BTreeMap<Vec<String>, &Prompt> = BTreeMap::new();
    for prompt in measured {
        for run in words(&prompt.text).windows(RUN) {
            runs.insert(run.to_vec(), prompt);
        }
    }
    for prompt in own {
        for run in words(&prompt.text).windows(RUN) {
            if let Some(other) = runs.get(run) {
                return Err(format!(
                    "a prompt of our own says \"{}\", as does one of {}: {:.80}. Word it \
                     differently in plugins/classify-default/train/prompts",
                    run.join(" "),
                    other.source,
                    prompt.text
                ));
            }
        }
    }
    Ok(())
}

/// In small letters; scripts without gaps give a word for each piece between marks.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|it: char| !it.is_alphanumeric() && it != '\'');
    words.filter(|it| !it.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_run_of_words_is_refused_and_a_shorter_one_is_not() {
        let of = |text: &str| [Prompt::of("x", 1, text.to_owned())];
        let measured = of("Tell me why the old bridge was closed for good last year, please.");
        let near = of("Why was the old bridge closed for good?");
        let copied = of("I ask: why the old bridge was closed for good!");
        assert!(none(&near, &measured).is_ok());
        assert!(none(&copied, &measured).is_err_and(|it| it.contains("why the old bridge")));
    }
}
