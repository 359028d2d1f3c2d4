//! An organization's rules as a request meets them: who each is for, and for every offer what it
//! says, as bits by the offer's index. Looks nothing up and allocates only where a rule fits.

use std::borrow::Cow;
use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use crate::catalog::{ConfiguredCatalog, Offer};
use crate::hook::Clearance;

use super::pattern::{Pattern, small};
use super::{Rule, When};
use crate::route::selector::{Profile, Selector};

/// What is known of a request when rules are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// As the caller wrote it; [`OrgRules::terms_of`] takes what it stands for too.
    pub model: &'a str,
    pub team: Option<&'a str>,
    pub project: Option<&'a str>,
    pub task: &'a str,
}

/// One organization's rules that are in force, in their order.
#[derive(Debug, Default)]
pub struct OrgRules {
    rules: Box<[Compiled]>,
}

#[derive(Debug)]
struct Compiled {
    id: Arc<str>,
    /// What people know it by: its name, else its id.
    label: Arc<str>,
    when: Conditions,
    allow: Option<Bits>,
    deny: Option<Bits>,
    regions: Option<Bits>,
    prefer: Option<Bits>,
    zero_retention: bool,
    class: Option<Clearance>,
    profile: Option<Profile>,
    weighted: Option<Box<str>>,
    quality_floor: Option<f64>,
    cost_ceiling: Option<PicoUsd>,
    first_token_ceiling_ms: Option<f64>,
    free_offers: Option<bool>,
}

/// Why a rule rules an offer out, and what people know the rule by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    Denied(Arc<str>),
    NotAllowed(Arc<str>),
    Region(Arc<str>),
    Retention,
}

/// What all rules that fit one request come to.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    of: Option<Arc<OrgRules>>,
    /// Those that fit, by their place.
    fitting: Vec<usize>,
    prefers: Option<usize>,
    pub zero_retention: bool,
    /// The class of data that these requests are of at least.
    pub class: Option<Clearance>,
    profile: Option<Profile>,
    weighted: Option<usize>,
    /// 0 to 1; none where no rule sets one, which a rule does also with 0.
    floor: Option<f64>,
    pub cost_ceiling: Option<PicoUsd>,
    /// What the caller wants at least, 0 to 1; what is not so good is out.
    pub quality_min: f64,
    /// Milliseconds; 0 for none.
    pub first_token_ceiling_ms: f64,
    /// Whether a choice may take what a provider gives away; none where no rule says.
    pub free_offers: Option<bool>,
}

/// For which requests a rule is.
#[derive(Debug)]
struct Conditions {
    model: Box<[Pattern]>,
    team: Box<[Pattern]>,
    project: Box<[Pattern]>,
    task: Box<[Pattern]>,
}

/// A situation's names as patterns are compared with.
struct Lowered<'a> {
    models: Vec<Cow<'a, str>>,
    team: Option<Cow<'a, str>>,
    project: Option<Cow<'a, str>>,
    task: Cow<'a, str>,
}

/// The same names of every offer, in their order.
pub(super) struct Names {
    pub(super) ids: Vec<String>,
    pub(super) models: Vec<String>,
    pub(super) regions: Vec<Option<String>>,
}

/// One bit for each offer.
#[derive(Debug)]
struct Bits(Box<[u64]>);

// === impl OrgRules ===

impl OrgRules {
    /// Rules with their ids, against these offers. Those of the highest priority come first, of
    /// equal ones that with more conditions, then the one with the smaller id: the older one.
    pub fn compile(rules: &[(Arc<str>, Rule)], offers: &ConfiguredCatalog) -> Self {
        let mut ordered: Vec<&(Arc<str>, Rule)> =
            rules.iter().filter(|(_, rule)| !rule.disabled).collect();
        ordered.sort_by(|(a_id, a), (b_id, b)| {
            let (a_conditions, b_conditions) = (a.when.conditions(), b.when.conditions());
            (b.priority, b_conditions, a_id).cmp(&(a.priority, a_conditions, b_id))
        });
        let names = Names::of(offers);
        let compiled = ordered.into_iter().map(|(id, rule)| Compiled::of(id, rule, &names));
        Self { rules: compiled.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule is for some models only, so that it matters what a name stands for.
    pub fn go_by_model(&self) -> bool {
        self.rules.iter().any(|rule| !rule.when.model.is_empty())
    }

    /// What the rules come to for a request whose model is nothing but its name.
    pub fn terms(self: &Arc<Self>, request: &Situation<'_>) -> Terms {
        self.terms_of(request, &[])
    }

    /// What the rules come to for a request. A rule for some models fits when any of the names
    /// does: the one that was written, or what it stands for, so that no other spelling gets
    /// around it. Constraints of all that fit hold together; of the aims the first rule that sets
    /// one counts.
    pub fn terms_of(self: &Arc<Self>, request: &Situation<'_>, stands_for: &[&str]) -> Terms {
        let mut terms = Terms { of: Some(Arc::clone(self)), ..Terms::default() };
        let request = Lowered::of(request, stands_for);
        for (place, rule) in self.rules.iter().enumerate() {
            if !rule.when.fits(&request) {
                continue;
            }
            terms.fitting.push(place);
            terms.zero_retention |= rule.zero_retention;
            terms.class = terms.class.max(rule.class);
            terms.cost_ceiling = least(terms.cost_ceiling, rule.cost_ceiling);
            if let Some(ms) = rule.first_token_ceiling_ms {
                let known = terms.first_token_ceiling_ms;
                terms.first_token_ceiling_ms = if known > 0.0 { known.min(ms) } else { ms };
            }
            if terms.profile.is_none() && terms.weighted.is_none() {
                terms.profile = rule.profile;
                terms.weighted = rule.weighted.is_some().then_some(place);
            }
            terms.floor = terms.floor.or(rule.quality_floor);
            terms.free_offers = terms.free_offers.or(rule.free_offers);
            if terms.prefers.is_none() && rule.prefer.is_some() {
                terms.prefers = Some(place);
            }
        }
        terms
    }
}

fn least(one: Option<PicoUsd>, other: Option<PicoUsd>) -> Option<PicoUsd> {
    one.into_iter().chain(other).min()
}

// === impl Terms ===

impl Terms {
    /// Why the offer at that index in the configured catalogue is out.
    pub fn forbids(&self, index: usize, offer: &Offer) -> Option<Forbidden> {
        if self.zero_retention && !offer.zero_retention {
            return Some(Forbidden::Retention);
        }
        for rule in self.rules() {
            let set = |bits: &Option<Bits>| bits.as_ref().map(|bits| bits.has(index));
            let label = || Arc::clone(&rule.label);
            if set(&rule.deny) == Some(true) {
                return Some(Forbidden::Denied(label()));
            }
            if set(&rule.allow) == Some(false) {
                return Some(Forbidden::NotAllowed(label()));
            }
            if set(&rule.regions) == Some(false) {
                return Some(Forbidden::Region(label()));
            }
        }
        None
    }

    /// 0 to 1; 0 for none.
    pub fn quality_floor(&self) -> f64 {
        self.floor.unwrap_or(0.0)
    }

    /// Whether an offer goes first among those that are good enough.
    pub fn prefers(&self, index: usize) -> bool {
        let rule = self.prefers.and_then(|place| self.of.as_ref()?.rules.get(place));
        rule.and_then(|rule| rule.prefer.as_ref()).is_some_and(|bits| bits.has(index))
    }

    /// The profile that the route policy is told. What the caller chose goes before the rules'.
    pub fn profile(&self, selector: Selector<'_>) -> String {
        let ours = match selector {
            Selector::Auto(Profile::Balanced) => self.profile,
            Selector::Auto(_) | Selector::Named(_) => None,
        };
        let weighted = self.weighted.filter(|_| selector == Selector::Auto(Profile::Balanced));
        let rule = weighted.and_then(|place| self.of.as_ref()?.rules.get(place));
        match rule.and_then(|rule| rule.weighted.as_deref()) {
            Some(label) => label.to_owned(),
            None => ours.unwrap_or(selector.profile()).label().to_owned(),
        }
    }

    /// The ids of the rules that fit, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules().map(|rule| &rule.id)
    }

    fn rules(&self) -> impl Iterator<Item = &Compiled> {
        let all = self.of.as_deref();
        self.fitting.iter().filter_map(move |place| all?.rules.get(*place))
    }
}

// === impl Compiled ===

impl Compiled {
    fn of(id: &Arc<str>, rule: &Rule, names: &Names) -> Self {
        let named = |listed: &Vec<String>| {
            // With an `@` by the offer's id, else by its model's.
            let (ids, models): (Vec<&String>, Vec<&String>) =
                listed.iter().partition(|pattern| pattern.contains('@'));
            let (ids, models) = (patterns(ids), patterns(models));
            let meant = |(id, model): (&String, &String)| any(&ids, id) || any(&models, model);
            let offers = names.ids.iter().zip(&names.models);
            (!listed.is_empty()).then(|| Bits::of(offers.map(meant)))
        };
        let regions = patterns(&rule.regions);
        let within = |region: &Option<String>| region.as_ref().is_some_and(|it| any(&regions, it));
        Self {
            id: Arc::clone(id),
            label: if rule.name.is_empty() { Arc::clone(id) } else { rule.name.as_str().into() },
            when: Conditions::of(&rule.when),
            allow: named(&rule.allow),
            deny: named(&rule.deny),
            regions: (!regions.is_empty()).then(|| Bits::of(names.regions.iter().map(within))),
            prefer: named(&rule.prefer),
            zero_retention: rule.zero_retention,
            class: rule.data_class.as_deref().and_then(Clearance::from_label),
            profile: rule.profile.as_deref().and_then(Profile::from_label),
            weighted: rule.weights.map(|weights| weights.label().into()),
            quality_floor: rule.quality_floor,
            cost_ceiling: rule.cost_ceiling_usd,
            first_token_ceiling_ms: rule.first_token_ceiling_ms,
            free_offers: rule.free_offers,
        }
    }
}

fn patterns<'a>(texts: impl IntoIterator<Item = &'a String>) -> Box<[Pattern]> {
    texts.into_iter().map(|text| Pattern::new(text)).collect()
}

fn any(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(name))
}

// === impl When ===

impl When {
    fn conditions(&self) -> usize {
        [&self.model, &self.team, &self.project, &self.task]
            .into_iter()
            .filter(|list| !list.is_empty())
            .count()
    }
}

// === impl Conditions ===

impl Conditions {
    fn of(when: &When) -> Self {
        let When { model, team, project, task } = when;
        let [model, team, project, task] = [model, team, project, task].map(patterns);
        Self { model, team, project, task }
    }

    fn fits(&self, request: &Lowered<'_>) -> bool {
        let fits = |list: &[Pattern], name: Option<&str>| {
            list.is_empty() || name.is_some_and(|name| any(list, name))
        };
        let named = || request.models.iter().any(|name| any(&self.model, name));
        (self.model.is_empty() || named())
            && fits(&self.team, request.team.as_deref())
            && fits(&self.project, request.project.as_deref())
            && fits(&self.task, Some(&request.task))
    }
}

// === impl Lowered ===

impl<'a> Lowered<'a> {
    fn of(request: &Situation<'a>, stands_for: &[&'a str]) -> Self {
        let Situation { model, team, project, task } = *request;
        Self {
            models: std::iter::once(&model).chain(stands_for).map(|name| small(name)).collect(),
            team: team.map(small),
            project: project.map(small),
            task: small(task),
        }
    }
}

// === impl Names ===

impl Names {
    pub(super) fn of(offers: &ConfiguredCatalog) -> Self {
        let all = offers.offers();
        let region = |offer: &Arc<Offer>| offer.region.as_deref().map(str::to_ascii_lowercase);
        Self {
            ids: all.iter().map(|offer| offer.id.to_ascii_lowercase()).collect(),
            models: all.iter().map(|offer| offer.model.to_ascii_lowercase()).collect(),
            regions: all.iter().map(region).collect(),
        }
    }
}

// === impl Bits ===

impl Bits {
    fn of(offers: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut words = vec![0_u64; offers.len().div_ceil(64)];
        for (index, _) in offers.enumerate().filter(|(_, is)| *is) {
            if let Some(word) = words.get_mut(index / 64) {
                *word |= 1 << (index % 64);
            }
        }
        Self(words.into())
    }

    fn has(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}
