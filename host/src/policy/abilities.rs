//! What a policy may use beside its log and the request: nothing, until the operator grants it to
//! the organization. Names only; does nothing itself.

/// One interface of the contract that must be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// Counters of its own among the metrics.
    Counters,
    /// A small memory between requests.
    State,
    /// The time, in whole seconds.
    Clock,
    /// Random bytes.
    Random,
    /// The offers that this installation has.
    Catalog,
    /// The network: hosts that the operator names.
    Fetch,
    /// The deny-all WASI profile, for languages that can't be built without it.
    Wasi,
}

impl Ability {
    /// All that this host can grant.
    pub const ALL: [Self; 7] = [
        Self::Counters,
        Self::State,
        Self::Clock,
        Self::Random,
        Self::Catalog,
        Self::Fetch,
        Self::Wasi,
    ];

    /// The interface's name in the contract, and in the admin API.
    pub fn label(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::State => "state",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Catalog => "catalog",
            Self::Fetch => "fetch",
            Self::Wasi => "wasi",
        }
    }

    /// The ability of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ability| ability.label() == label)
    }

    /// Whether a bill may depend on it: the same call must cost the same whenever it is asked
    /// about.
    pub fn suits_bill(self) -> bool {
        match self {
            Self::Counters | Self::State | Self::Catalog => true,
            // WASI has a clock and chance.
            Self::Clock | Self::Random | Self::Fetch | Self::Wasi => false,
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Counters => 1,
            Self::State => 2,
            Self::Clock => 4,
            Self::Random => 8,
            Self::Catalog => 16,
            Self::Fetch => 32,
            Self::Wasi => 64,
        }
    }
}

/// A set of them; empty by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities(u8);

impl Abilities {
    /// Every one, as an author's own trials have.
    pub fn all() -> Self {
        Ability::ALL.into_iter().collect()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it is among them.
    pub fn has(self, ability: Ability) -> bool {
        self.0 & ability.bit() != 0
    }

    /// Adds one.
    pub fn insert(&mut self, ability: Ability) {
        self.0 |= ability.bit();
    }

    /// Those that are in it.
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL.into_iter().filter(move |ability| self.has(*ability))
    }

    /// Those that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Their names, for a sentence.
    pub fn names(self) -> String {
        self.iter().map(Ability::label).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// What [`Self::bits`] gave.
    pub(super) fn of_bits(bits: u8) -> Self {
        Ability::ALL.into_iter().filter(|ability| ability.bit() & bits != 0).collect()
    }
}

impl FromIterator<Ability> for Abilities {
    fn from_iter<I: IntoIterator<Item = Ability>>(abilities: I) -> Self {
        let mut set = Self::default();
        abilities.into_iter().for_each(|ability| set.insert(ability));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_come_back_from_their_names_and_bits() {
        assert!(Abilities::default().is_empty());
        for ability in Ability::ALL {
            assert_eq!(Ability::from_label(ability.label()), Some(ability));
            let one: Abilities = [ability].into_iter().collect();
            assert_eq!(one.iter().collect::<Vec<_>>(), [ability]);
            assert_eq!(Abilities::of_bits(one.bits()), one);
            assert!(!Abilities::all().without(one).has(ability));
        }
        assert_eq!(Ability::from_label("disk"), None);
        assert_eq!(
            Abilities::all().names(),
            "counters, state, clock, random, catalog, fetch, wasi"
        );
    }
}
