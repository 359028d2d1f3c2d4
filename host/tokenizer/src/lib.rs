//! Counts the tokens of a text as the models of OpenAI's family do. A crate of its own because its
//! vocabulary takes minutes to prepare and tens of megabytes: it is compiled once, and read into
//! memory when something is counted for the first time. Never guesses for a model whose vocabulary
//! is not public, and never runs where a worker's other requests wait for it: the first count takes
//! a tenth of a second, each megabyte of text about as much.

/// How one family of models cuts a text into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// `o200k_base`: GPT-4o and everything since, the open models included.
    O200k,
}

/// Whose models these are, in the catalogue's words.
const OPENAI: &str = "openai/";
/// Beginnings of the names of OpenAI's models with that vocabulary.
const O200K: [&str; 11] = [
    "gpt-4o",
    "gpt-4.1",
    "gpt-4.5",
    "gpt-5",
    "gpt-audio",
    "gpt-chat-latest",
    "gpt-oss",
    "codex",
    "o1",
    "o3",
    "o4",
];

// === impl Vocabulary ===

impl Vocabulary {
    /// That of a model, by its catalogue id such as `openai/gpt-5.4-mini`; `None` where it is not
    /// known. The models before GPT-4o have an older one, which would add its megabytes for models
    /// that hardly anybody asks for.
    pub fn of(model: &str) -> Option<Self> {
        let name = model.strip_prefix(OPENAI)?;
        let known = O200K.iter().any(|start| name.starts_with(start));
        known.then_some(Self::O200k)
    }

    /// How many tokens a text has. Words that stand for something in a conversation, such as
    /// `<|endoftext|>`, count as the text that they are in a request.
    pub fn count(self, text: &str) -> usize {
        match self {
            Self::O200k => bpe_openai::o200k_base().count(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_the_vocabulary_that_its_maker_has_published() {
        for model in ["gpt-4o-mini", "gpt-5.4", "gpt-oss-120b:free", "o4-mini", "gpt-4.1-nano"] {
            assert_eq!(Vocabulary::of(&format!("openai/{model}")), Some(Vocabulary::O200k));
        }
        for model in ["openai/gpt-4", "openai/gpt-3.5-turbo", "anthropic/claude-opus-4.6", "gpt-5"]
        {
            assert_eq!(Vocabulary::of(model), None, "{model}");
        }
    }

    #[test]
    fn a_text_has_the_tokens_that_openai_counts() {
        let counted = [
            ("", 0),
            ("hello world", 2),
            ("tiktoken is great!", 6),
            ("2 + 2 = 4", 7),
            ("お誕生日おめでとう", 8),
            ("antidisestablishmentarianism", 6),
        ];
        for (text, tokens) in counted {
            assert_eq!(Vocabulary::O200k.count(text), tokens, "{text}");
        }
    }
}
