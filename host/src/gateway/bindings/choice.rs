//! Which of an organization's bindings are one request's: the narrowest scope that fits it, and for
//! a canary whether its session is among the share. The same session always falls on the same side;
//! a larger share only adds sessions. Values only; asks no policy.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::hook::{Hook, Mode, Scope};
use crate::policy::{Beside, Binding, BindingSet};

/// Bytes of each text that tell one conversation from another.
const PREFIX_BYTES: usize = 4096;

/// What of a request bindings go by.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub team: Option<&'a str>,
    pub project: Option<&'a str>,
    /// The model as the caller wrote it.
    pub model: &'a str,
    /// What that stands for: behind an alias, in the catalogue. Asked for only where a binding goes
    /// by model.
    pub stands_for: &'a [&'a str],
    /// The caller's key, by its id.
    pub key: &'a str,
    /// The conversation as the caller names it, as for the router's memory of where it is warm.
    pub session: Option<&'a str>,
    /// How the conversation begins, where it has no name.
    pub opening: [Option<&'a str>; 2],
}

impl Wanted<'_> {
    /// 0 to 99: where a conversation falls for one organization's decision.
    fn draw(&self, org: &str, hook: Hook) -> u8 {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            let end = text.floor_char_boundary(PREFIX_BYTES);
            hash.update(text.get(..end).unwrap_or_default());
            hash.update([0]);
        };
        part(org);
        part(hook.label());
        match self.session {
            Some(session) => part(session),
            None => {
                part(self.key);
                self.opening.into_iter().flatten().for_each(part);
            }
        }
        let digest = hash.finalize();
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        u8::try_from(u64::from_be_bytes(first) % 100).unwrap_or_default()
    }
}

/// What is bound to a hook for one scope.
#[derive(Debug, Default)]
struct Places {
    active: Option<Arc<Binding>>,
    canary: Option<(u8, Arc<Binding>)>,
    shadow: Option<(u8, Arc<Binding>)>,
}

/// What is bound to a hook, by scope.
#[derive(Debug, Default)]
struct Scopes {
    everybody: Places,
    teams: HashMap<String, Places>,
    projects: HashMap<String, Places>,
    /// By names in lower case.
    models: HashMap<String, Places>,
}

/// One organization's bindings.
#[derive(Debug)]
pub(super) struct OrgBindings {
    org: Arc<str>,
    default: Arc<BindingSet>,
    scopes: HashMap<Hook, Scopes>,
    /// Whether any is for a model.
    go_by_model: bool,
    by_revision: HashMap<u64, Arc<Binding>>,
    /// The one for every request, where there is only one.
    simple: Option<Arc<BindingSet>>,
}

/// Of one hook: who decides, and who is asked beside.
struct Chosen {
    decides: Option<Arc<Binding>>,
    beside: Option<Beside>,
}

impl Scopes {
    fn at(&mut self, scope: Scope) -> &mut Places {
        match scope {
            Scope::Organization => &mut self.everybody,
            Scope::Team(name) => self.teams.entry(name).or_default(),
            Scope::Project(name) => self.projects.entry(name).or_default(),
            Scope::Alias(name) => self.models.entry(name).or_default(),
        }
    }

    /// What is bound for a request, the narrowest first. `names` are those of its model.
    fn of<'a>(
        &'a self,
        names: &'a [Cow<'a, str>],
        wanted: &Wanted<'_>,
    ) -> impl Iterator<Item = &'a Places> {
        let models = names.iter().filter_map(move |name| self.models.get(&**name));
        let project = wanted.project.and_then(|name| self.projects.get(name));
        let team = wanted.team.and_then(|name| self.teams.get(name));
        models.chain(project).chain(team).chain([&self.everybody])
    }
}

impl OrgBindings {
    pub(super) fn new(
        org: &str,
        default: &Arc<BindingSet>,
        bound: Vec<(Hook, Scope, Mode, u8, Arc<Binding>)>,
    ) -> Self {
        let mut scopes: HashMap<Hook, Scopes> = HashMap::new();
        let mut by_revision = HashMap::new();
        let everybody = |scope: &Scope, mode| *scope == Scope::Organization && mode != Mode::Canary;
        let simple = bound.iter().all(|(_, scope, mode, ..)| everybody(scope, *mode));
        let go_by_model = bound.iter().any(|(_, scope, ..)| matches!(scope, Scope::Alias(_)));
        for (hook, scope, mode, percent, binding) in bound {
            by_revision.insert(binding.revision, Arc::clone(&binding));
            let place = scopes.entry(hook).or_default().at(scope);
            match mode {
                Mode::Active => place.active = Some(binding),
                Mode::Canary => place.canary = Some((percent, binding)),
                Mode::Shadow => place.shadow = Some((percent, binding)),
            }
        }
        let (org, default) = (Arc::from(org), Arc::clone(default));
        let mut own = Self { org, default, scopes, go_by_model, by_revision, simple: None };
        if simple {
            let nobody = Wanted {
                team: None,
                project: None,
                model: "",
                stands_for: &[],
                key: "",
                session: None,
                opening: [None, None],
            };
            own.simple = Some(own.choose(&nobody));
        }
        own
    }

    /// The binding of a revision that is in force.
    pub(super) fn revision(&self, revision: u64) -> Option<&Arc<Binding>> {
        self.by_revision.get(&revision)
    }

    /// Whether it matters what a model's name stands for.
    pub(super) fn go_by_model(&self) -> bool {
        self.go_by_model
    }

    /// Who decides for a request.
    pub(super) fn choose(&self, wanted: &Wanted<'_>) -> Arc<BindingSet> {
        if let Some(simple) = &self.simple {
            return Arc::clone(simple);
        }
        let names = if self.go_by_model { names(wanted) } else { Vec::new() };
        let mut set = BindingSet::clone(&self.default);
        for hook in Hook::ALL {
            let chosen = self.chosen(hook, &names, wanted);
            if let Some(binding) = chosen.decides {
                set = set.with(hook, binding);
            }
            set.beside.extend(chosen.beside);
        }
        Arc::new(set)
    }

    fn chosen(&self, hook: Hook, names: &[Cow<'_, str>], wanted: &Wanted<'_>) -> Chosen {
        let (mut active, mut canary, mut shadow) = (None, None, None);
        let scopes = self.scopes.get(&hook);
        for places in scopes.into_iter().flat_map(|scopes| scopes.of(names, wanted)) {
            canary = canary.or(places.canary.as_ref());
            shadow = shadow.or(places.shadow.as_ref());
            // What is meant for more requests stands behind this one.
            if places.active.is_some() {
                active = places.active.as_ref();
                break;
            }
        }
        let beside = |(percent, binding): &(u8, Arc<Binding>)| Beside {
            hook,
            binding: Arc::clone(binding),
            tried: Arc::clone(binding),
            percent: *percent,
        };
        let drawn = canary.filter(|(percent, _)| wanted.draw(&self.org, hook) < *percent);
        let Some((_, canary)) = drawn else {
            return Chosen { decides: active.cloned(), beside: shadow.map(beside) };
        };
        // The one that would have decided is asked beside, for the comparison.
        let current = active.unwrap_or_else(|| self.default.of(hook));
        let compared =
            Beside { hook, binding: Arc::clone(current), tried: Arc::clone(canary), percent: 100 };
        Chosen { decides: Some(Arc::clone(canary)), beside: Some(compared) }
    }
}

/// The names of a request's model in lower case, as scopes have them: the one that was written,
/// then what it stands for, so that no other spelling gets around a binding.
fn names<'a>(wanted: &Wanted<'a>) -> Vec<Cow<'a, str>> {
    let names = std::iter::once(&wanted.model).chain(wanted.stands_for);
    let lowered = names.map(|name| match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(*name),
    });
    lowered.collect()
}

#[cfg(test)]
mod tests;
