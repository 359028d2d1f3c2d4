//! Which models a key may use: an ordered list of patterns such as `openai/*` and
//! `!openai/o3-pro`. Knows no catalogue; a pattern may name models that do not exist yet.

/// Patterns of one key at most; the list is walked for every candidate of every request.
const PATTERNS_MAX: usize = 100;

/// Characters of one pattern at most; model ids are far shorter.
const PATTERN_CHARS_MAX: usize = 200;

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is nothing in it.
    #[error("an empty model pattern matches nothing; write \"*\" for all models")]
    Empty,
    /// It is too long.
    #[error("the model pattern is longer than {PATTERN_CHARS_MAX} characters; shorten it")]
    TooLong,
    /// It has a character that no model id has.
    #[error("the model pattern {0:?} has a blank or control character; remove it")]
    BadCharacter(String),
    /// The list is too long.
    #[error("a key has at most {PATTERNS_MAX} model patterns; merge some with \"*\"")]
    TooMany,
}

/// A key's allow-list. Without a single allowing pattern, everything that is not excluded is
/// allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelRules {
    allow: Vec<Box<str>>,
    exclude: Vec<Box<str>>,
}

// === impl ModelRules ===

impl ModelRules {
    /// Excludes every model.
    pub fn nothing() -> Self {
        Self { allow: Vec::new(), exclude: vec!["*".into()] }
    }

    /// Reads patterns: `*` stands for any characters, a leading `!` excludes.
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        if patterns.len() > PATTERNS_MAX {
            return Err(PatternError::TooMany);
        }
        let mut rules = Self::default();
        for pattern in patterns.iter().map(AsRef::as_ref) {
            let (list, body) = match pattern.strip_prefix('!') {
                Some(body) => (&mut rules.exclude, body),
                None => (&mut rules.allow, pattern),
            };
            if body.is_empty() {
                return Err(PatternError::Empty);
            }
            if body.chars().count() > PATTERN_CHARS_MAX {
                return Err(PatternError::TooLong);
            }
            if body.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(PatternError::BadCharacter(body.to_owned()));
            }
            list.push(body.to_ascii_lowercase().into());
        }
        Ok(rules)
    }

    /// Whether a model, by its catalogue id, may be used. An exclusion always wins. Case does not
    /// count, as where models are asked for.
    pub fn may_use(&self, model: &str) -> bool {
        let upper = model.bytes().any(|byte| byte.is_ascii_uppercase());
        let lowered = upper.then(|| model.to_ascii_lowercase());
        let model = lowered.as_deref().unwrap_or(model);
        let hits = |patterns: &[Box<str>]| patterns.iter().any(|one| matches(one, model));
        (self.allow.is_empty() || hits(&self.allow)) && !hits(&self.exclude)
    }

    /// The patterns: those that allow, then those that exclude.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        let excluded = self.exclude.iter().map(|pattern| format!("!{pattern}"));
        self.allow.iter().map(|pattern| pattern.to_string()).chain(excluded)
    }

    /// Whether every model is allowed, so that a caller can skip asking.
    pub fn allows_all(&self) -> bool {
        self.exclude.is_empty() && (self.allow.is_empty() || self.allow.iter().any(|p| &**p == "*"))
    }
}

/// Whether the text fits the pattern. Linear in the text for each `*`: greedy, with one restart.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return text.is_empty() };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{ModelRules, PatternError, matches};

    fn rules(patterns: &[&str]) -> ModelRules {
        ModelRules::parse(patterns).unwrap()
    }

    #[test]
    fn nothing_allows_nothing() {
        assert!(!ModelRules::nothing().may_use("openai/gpt-5.4"));
    }

    #[test]
    fn an_empty_list_allows_all_and_an_exclusion_wins_wherever_it_stands() {
        assert!(rules(&[]).may_use("openai/gpt-5.4"));
        let some = rules(&["!openai/o3-pro", "openai/*"]);
        assert!(some.may_use("openai/gpt-5.4"));
        assert!(!some.may_use("openai/o3-pro"));
        assert!(!some.may_use("anthropic/claude-sonnet-5"));
        let all_but = rules(&["!openai/*"]);
        assert!(all_but.may_use("anthropic/claude-sonnet-5"));
        assert!(!all_but.may_use("openai/gpt-5.4"));
    }

    /// Else an exclusion in capitals would exclude nothing, and nobody would notice.
    #[test]
    fn case_does_not_count() {
        let some = rules(&["OpenAI/*", "acme/Own-Model", "!openai/GPT-5*"]);
        assert!(some.may_use("openai/o3") && some.may_use("acme/Own-Model"));
        assert!(!some.may_use("openai/gpt-5.4") && !some.may_use("openai/GPT-5.4"));
    }

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("openai/*", "openai/", true),
            ("openai/*", "openai", false),
            ("*/gpt-*-mini", "openai/gpt-5-mini", true),
            ("*/gpt-*-mini", "openai/gpt-5-mini-2", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a**b", "ab", true),
            ("o.enai/x", "openai/x", false),
            ("*mini", "gpt-mini-mini", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_that_can_match_nothing_are_refused() {
        assert_eq!(ModelRules::parse(&["!"]), Err(PatternError::Empty));
        assert_eq!(ModelRules::parse(&["x".repeat(201)]), Err(PatternError::TooLong));
        assert_eq!(ModelRules::parse(&vec!["x"; 101]), Err(PatternError::TooMany));
        let bad = ModelRules::parse(&["openai /x"]).unwrap_err();
        assert_eq!(bad, PatternError::BadCharacter("openai /x".into()));
    }

    #[test]
    fn patterns_are_shown_in_lower_case_those_that_allow_first() {
        let shown: Vec<String> = rules(&["!openai/o3-pro", "OpenAI/*"]).patterns().collect();
        assert_eq!(shown, ["openai/*", "!openai/o3-pro"]);
    }

    #[test]
    fn allows_all_never_contradicts_may_use() {
        assert!(rules(&[]).allows_all() && rules(&["*"]).allows_all());
        assert!(!rules(&["*", "!x/y"]).allows_all() && !rules(&["openai/*"]).allows_all());
    }
}
