//! The four decisions that a policy can take over, and what happens when one fails. Shared words,
//! used by the store, the admin API and the policy runtime alike.

/// One of the four decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// What kind of task a request is.
    Classify,
    /// Which of the candidates should do it.
    Route,
    /// What must not leave the building.
    Redact,
    /// What it costs.
    Bill,
}

impl Hook {
    /// All of them, in the order in which a request meets them.
    pub const ALL: [Self; 4] = [Self::Redact, Self::Classify, Self::Route, Self::Bill];

    /// The name in the API, on disk and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Route => "route",
            Self::Redact => "redact",
            Self::Bill => "bill",
        }
    }

    /// The hook of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.label() == label)
    }

    /// Milliseconds that one call may take where a binding says nothing: what a request can bear.
    pub fn default_deadline_ms(self) -> u32 {
        match self {
            Self::Classify | Self::Bill => 20,
            Self::Route => 10,
            Self::Redact => 5,
        }
    }

    /// [`Self::default_deadline_ms`] as a duration.
    pub fn default_deadline(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.default_deadline_ms().into())
    }

    /// Whether the hook may read the text of messages.
    pub fn reads_content(self) -> bool {
        matches!(self, Self::Classify | Self::Redact)
    }

    /// What happens on a failure where a binding says nothing: only redaction fails closed.
    pub fn default_on_failure(self) -> OnFailure {
        match self {
            Self::Redact => OnFailure::Closed,
            Self::Classify | Self::Route | Self::Bill => OnFailure::Builtin,
        }
    }
}

/// What happens when a policy fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// The built-in policy decides.
    Builtin,
    /// Redaction only: the text passes unseen.
    Open,
    /// Redaction only: the request is refused, an answer withheld.
    Closed,
}

impl OnFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Builtin, Self::Open, Self::Closed];

    /// The name in the API and on disk.
    pub fn label(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    /// The choice of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.label() == label)
    }
}
