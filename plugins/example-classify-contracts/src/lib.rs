//! Contracts go to the models that reason best over a long context. A text is a contract when
//! enough of the words that contracts consist of stand in it; the verdict asks for reasoning at the
//! highest difficulty, which the route policy turns into the best models, and for room for the
//! whole contract and the answer. Everything else is left to the built-in.

use turnpike_policy_sdk::json::Json;
use turnpike_policy_sdk::{
    Classification, Classify, Manifest, Plugin, Refusal, Request, Value, export_classifier,
};

/// Text looked at, of each message's beginning and end: a contract shows itself in both, and a
/// request pays for every byte that is read.
const WINDOW_BYTES: u32 = 8 << 10;
/// Messages looked at, the latest first.
const MESSAGES_MAX: usize = 8;
/// Different words that make a contract.
const ENOUGH: usize = 4;
const ENOUGH_MAX: u16 = 1000;
/// Tokens of answer and thought that a review takes.
const ROOM_TOKENS: u32 = 16_384;

/// Words of contracts in English and German, in lower case.
const WORDS: [&str; 20] = [
    "hereinafter",
    "governing law",
    "indemnif",
    "force majeure",
    "confidentiality",
    "termination",
    "liability",
    "warrant",
    "the parties",
    "in witness whereof",
    "jurisdiction",
    "assignment",
    "vertragspartei",
    "haftung",
    "kündigung",
    "gerichtsstand",
    "gewährleistung",
    "geheimhaltung",
    "nachstehend",
    "salvatorische",
];

const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"enough":{"type":"integer","minimum":1,"description":"different words that make a contract, 4"},
"words":{"type":"array","items":{"type":"string","minLength":1},
"description":"the organization's own, beside those that are known"}}}"#;

/// The policy; without a configuration it knows the usual words.
#[derive(Debug)]
pub struct Contracts {
    enough: usize,
    own: Vec<String>,
}

impl Default for Contracts {
    fn default() -> Self {
        Self { enough: ENOUGH, own: Vec::new() }
    }
}

impl Plugin for Contracts {
    fn manifest() -> Manifest {
        Manifest {
            name: "example-classify-contracts".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "contracts go to the models that reason best over a long context".to_owned(),
            config_schema: SCHEMA.to_owned(),
        }
    }

    fn configure(&mut self, config: &str) -> Result<(), String> {
        let config = Json::parse(config)?;
        if let Some(enough) = config.get("enough") {
            let wanted = enough.as_f64().unwrap_or_default();
            let whole = (1..=ENOUGH_MAX).find(|it| f64::from(*it) == wanted);
            let whole = whole.ok_or("enough is a whole number from 1 to 1000")?;
            self.enough = usize::from(whole);
        }
        for word in config.get("words").map(Json::elements).unwrap_or_default() {
            self.own.push(word.as_str().ok_or("a word is no text")?.to_lowercase());
        }
        Ok(())
    }
}

impl Contracts {
    /// How many different words of contracts stand in the request's latest messages.
    fn found(&self, request: &dyn Request) -> usize {
        let words = || WORDS.iter().copied().chain(self.own.iter().map(String::as_str));
        let mut seen = vec![false; WORDS.len() + self.own.len()];
        for message in (0..request.messages()).rev().take(MESSAGES_MAX) {
            let length = request.message_length(message);
            let mut text = request.message_text(message, 0, WINDOW_BYTES);
            if length > WINDOW_BYTES {
                let end = length.saturating_sub(WINDOW_BYTES).max(WINDOW_BYTES);
                text.push_str(&request.message_text(message, end, WINDOW_BYTES));
            }
            let text = text.to_lowercase();
            for (seen, word) in seen.iter_mut().zip(words()) {
                *seen = *seen || text.contains(word);
            }
        }
        seen.into_iter().filter(|seen| *seen).count()
    }
}

impl Classify for Contracts {
    fn classify(&self, request: &dyn Request) -> Result<Classification, Refusal> {
        let found = self.found(request);
        if found < self.enough {
            return Err(Refusal::Abstain);
        }
        Ok(Classification {
            task: "reasoning".to_owned(),
            difficulty: 1.0,
            confidence: if found >= self.enough * 2 { 0.95 } else { 0.8 },
            needs: vec!["reasoning".to_owned()],
            context_tokens: ROOM_TOKENS,
            attrs: vec![("document".to_owned(), Value::Text("contract".to_owned()))],
        })
    }
}

export_classifier!(Contracts);

#[cfg(test)]
mod tests {
    use turnpike_policy_sdk::mock::MockRequest;
    use turnpike_policy_sdk::{Classify, Plugin, Refusal};

    use super::Contracts;

    const CONTRACT: &str = "The Supplier (hereinafter \"S\") warrants ... Limitation of Liability \
                            ... Force Majeure ... Governing Law: Denmark.";

    #[test]
    fn a_contract_is_told_by_its_words_and_small_talk_is_not() {
        let request = MockRequest::new().with_message("user", CONTRACT);
        let verdict = Contracts::default().classify(&request).unwrap();
        assert_eq!((verdict.task.as_str(), verdict.difficulty), ("reasoning", 1.0));
        let talk = MockRequest::new().with_message("user", "What is force majeure?");
        assert_eq!(Contracts::default().classify(&talk), Err(Refusal::Abstain));
    }

    #[test]
    fn the_end_of_a_long_text_counts_and_so_do_earlier_messages() {
        let long = format!("{}{CONTRACT}", "x ".repeat(50_000));
        let request = MockRequest::new()
            .with_message("user", &long)
            .with_message("assistant", "Read.")
            .with_message("user", "Which risks do you see?");
        assert!(Contracts::default().classify(&request).is_ok());
    }

    #[test]
    fn an_organization_adds_words_of_its_own() {
        let mut policy = Contracts::default();
        policy.configure(r#"{"enough": 1, "words": ["Rahmenvertrag"]}"#).unwrap();
        let request = MockRequest::new().with_message("user", "der RAHMENVERTRAG");
        assert!(policy.classify(&request).is_ok());
        assert!(policy.configure(r#"{"enough": 0}"#).is_err());
    }
}
