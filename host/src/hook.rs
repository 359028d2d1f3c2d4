//! The four decisions that a policy can take over, and what happens when one fails; the classes of
//! data. Shared words, used by the store, the admin API, routing and the policy runtime alike.

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

/// For which of an organization's requests a binding is meant. The narrowest that fits a request
/// counts: alias before project, project before team, team before organization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All of them.
    Organization,
    /// Those of keys of this team.
    Team(String),
    /// Those of keys of this project.
    Project(String),
    /// Those that ask for this model, as the caller writes it: `auto:fast`, an alias, a name. In
    /// lower case, because models are asked for in any: two spellings would be two bindings.
    Alias(String),
}

impl Scope {
    /// Bytes of the name behind the colon.
    pub const NAME_BYTES_MAX: usize = 128;

    /// `organization`, or kind and name: `team:research`.
    pub fn label(&self) -> String {
        match self {
            Self::Organization => "organization".to_owned(),
            Self::Team(name) => format!("team:{name}"),
            Self::Project(name) => format!("project:{name}"),
            Self::Alias(name) => format!("alias:{name}"),
        }
    }

    /// The scope of that label.
    pub fn from_label(label: &str) -> Option<Self> {
        if label == "organization" {
            return Some(Self::Organization);
        }
        let (kind, name) = label.split_once(':')?;
        let fits = (1..=Self::NAME_BYTES_MAX).contains(&name.len());
        if !fits || name.contains(char::is_control) {
            return None;
        }
        match kind {
            "team" => Some(Self::Team(name.to_owned())),
            "project" => Some(Self::Project(name.to_owned())),
            "alias" => Some(Self::Alias(name.to_ascii_lowercase())),
            _ => None,
        }
    }
}

/// How a binding takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// It decides.
    Active,
    /// It decides for a share of the sessions, in place of the active one.
    Canary,
    /// It is asked beside, compared, and never decides.
    Shadow,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Canary, Self::Shadow];

    /// The name in the API and on disk.
    pub fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Canary => "canary",
            Self::Shadow => "shadow",
        }
    }

    /// The mode of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.label() == label)
    }
}

/// How long an instance of a policy lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceLife {
    /// As long as its request: no memory of one survives into the next.
    Fresh,
    /// Kept between requests of its organization, for a while.
    Warm,
}

impl InstanceLife {
    /// The name in the API and on disk.
    pub fn label(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Warm => "warm",
        }
    }

    /// The life of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::Fresh, Self::Warm].into_iter().find(|life| life.label() == label)
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

/// How sensitive data may be, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clearance {
    /// Anyone may see it.
    Public,
    /// For the organization.
    Internal,
    /// For few.
    Confidential,
    /// For named people only.
    Restricted,
}

impl Clearance {
    /// All of them, in rising order.
    pub const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Confidential, Self::Restricted];

    /// The name in headers and in the API.
    pub fn label(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }

    /// The clearance of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.label() == label)
    }
}
