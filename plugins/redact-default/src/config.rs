//! What happens to which kind of entity, for input and output apart, with the defaults:
//! credentials in the input are pseudonymized, all else is only counted.

use turnpike_policy_sdk::Action;
use turnpike_policy_sdk::json::Json;

/// What an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Email,
    Phone,
    Card,
    Iban,
    ApiKey,
    Token,
    PrivateKey,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Iban,
        Self::ApiKey,
        Self::Token,
        Self::PrivateKey,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::ApiKey => "api-key",
            Self::Token => "token",
            Self::PrivateKey => "private-key",
        }
    }

    fn is_credential(self) -> bool {
        matches!(self, Self::ApiKey | Self::Token | Self::PrivateKey)
    }
}

/// What an organization wants to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Off,
    Count,
    Mask,
    Pseudonymize,
    Block,
}

impl Wish {
    const ALL: [(&'static str, Self); 5] = [
        ("off", Self::Off),
        ("count", Self::Count),
        ("mask", Self::Mask),
        ("pseudonymize", Self::Pseudonymize),
        ("block", Self::Block),
    ];

    /// `None` when the entity is not even counted.
    pub(crate) fn action(self, kind: Kind) -> Option<Action> {
        match self {
            Self::Off => None,
            Self::Count => Some(Action::Note),
            Self::Mask => Some(Action::Mask),
            Self::Pseudonymize => Some(Action::Pseudonymize),
            Self::Block => Some(Action::Block(format!(
                "the text contains a {}, which this organization's \
                    redaction policy does not let through",
                kind.label()
            ))),
        }
    }
}

/// The wishes for one direction, one for each kind.
#[derive(Debug, Clone)]
pub(crate) struct Settings([Wish; Kind::ALL.len()]);

impl Settings {
    fn new(wish: impl Fn(Kind) -> Wish) -> Self {
        Self(Kind::ALL.map(wish))
    }

    pub(crate) fn of(&self, kind: Kind) -> Wish {
        Kind::ALL.iter().zip(self.0).find(|(it, _)| **it == kind).map_or(Wish::Mask, |(_, it)| it)
    }

    fn apply(&mut self, config: &Json) -> Result<(), String> {
        for (name, wish) in config.members() {
            let wish = wish.as_str().unwrap_or_default();
            let (_, wish) = Wish::ALL
                .into_iter()
                .find(|(label, _)| *label == wish)
                .ok_or_else(|| format!("{name} is no action for {name}: {wish:?}"))?;
            let mut known = name == "all";
            for (kind, slot) in Kind::ALL.iter().zip(&mut self.0) {
                if name == "all" || kind.label() == name {
                    *slot = wish;
                    known = true;
                }
            }
            if !known {
                return Err(format!("there is no kind of entity {name}"));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Config {
    input: Settings,
    output: Settings,
}

impl Default for Config {
    fn default() -> Self {
        let input =
            |kind: Kind| if kind.is_credential() { Wish::Pseudonymize } else { Wish::Count };
        Self { input: Settings::new(input), output: Settings::new(|_| Wish::Count) }
    }
}

impl Config {
    /// A direction that is not `output` is treated as input: the stricter of the defaults.
    pub(crate) fn of(&self, direction: &str) -> &Settings {
        if direction == "output" { &self.output } else { &self.input }
    }

    pub(crate) fn apply(&mut self, config: &Json) -> Result<(), String> {
        for (direction, wishes) in config.members() {
            match direction.as_str() {
                "input" => self.input.apply(wishes)?,
                "output" => self.output.apply(wishes)?,
                other => return Err(format!("there is no direction {other}; input or output")),
            }
        }
        Ok(())
    }
}

/// JSON Schema of the configuration.
pub(crate) fn schema() -> String {
    let action = r#"{"enum":["off","count","mask","pseudonymize","block"]}"#;
    let kinds = ["all"].into_iter().chain(Kind::ALL.map(Kind::label));
    let kinds: Vec<_> = kinds.map(|kind| format!("\"{kind}\":{action}")).collect();
    let settings = format!(
        r#"{{"type":"object","additionalProperties":false,"properties":{{{}}}}}"#,
        kinds.join(",")
    );
    format!(
        r#"{{"type":"object","additionalProperties":false,
"description":"what happens to each kind; all comes first, then the kinds in their order",
"properties":{{"input":{settings},"output":{settings}}}}}"#
    )
}
