//! What the caller's `model` asks for: a choice by the gateway under a profile, or a name.

/// What a choice aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `auto`: good enough for the difficulty, then the price.
    Balanced,
    /// `auto:cheap`
    Cheap,
    /// `auto:fast`
    Fast,
    /// `auto:best`
    Best,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Balanced, Self::Cheap, Self::Fast, Self::Best];

    /// The profile of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.label() == label)
    }

    /// The model that asks for a choice under it.
    pub fn model(self) -> &'static str {
        match self {
            Self::Balanced => "auto",
            Self::Cheap => "auto:cheap",
            Self::Fast => "auto:fast",
            Self::Best => "auto:best",
        }
    }

    /// As the route policy is told.
    pub fn label(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Cheap => "cheap",
            Self::Fast => "fast",
            Self::Best => "best",
        }
    }
}

/// The caller's `model`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector<'a> {
    /// `auto` and its profiles: any chat offer.
    Auto(Profile),
    /// A catalogue id, an offer's id, or a provider's own name for a model.
    Named(&'a str),
}

impl<'a> Selector<'a> {
    /// Never fails: a name that means nothing is refused where names are resolved.
    pub fn parse(model: &'a str) -> Self {
        let choice = Profile::ALL.into_iter().find(|profile| profile.model() == model);
        choice.map_or(Self::Named(model), Self::Auto)
    }

    /// The same under another profile, where it is a choice.
    pub fn under(self, profile: Option<Profile>) -> Self {
        match (self, profile) {
            (Self::Auto(_), Some(profile)) => Self::Auto(profile),
            (own, _) => own,
        }
    }

    /// The profile under which offers are scored; a named model's offers are scored too, since
    /// several providers may serve it.
    pub fn profile(self) -> Profile {
        match self {
            Self::Auto(profile) => profile,
            Self::Named(_) => Profile::Balanced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_has_profiles_and_all_else_is_a_name() {
        assert_eq!(Selector::parse("auto"), Selector::Auto(Profile::Balanced));
        assert_eq!(Selector::parse("auto:fast").profile().label(), "fast");
        assert_eq!(
            Selector::parse("auto:fast").under(Some(Profile::Best)).profile().label(),
            "best"
        );
        let named = Selector::parse("openai/gpt-5.4");
        assert_eq!(named.under(Some(Profile::Best)), named);
        assert_eq!(Selector::parse("auto:slow"), Selector::Named("auto:slow"));
        assert_eq!(Selector::parse("openai/gpt-5.4"), Selector::Named("openai/gpt-5.4"));
    }
}
