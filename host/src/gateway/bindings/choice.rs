//! Which of an organization's bindings are one request's: the narrowest scope that fits it, and for
//! a canary whether its session is among the share. The same session always falls on the same side;
//! a larger share only adds sessions. Values only; asks no policy.

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

/// One organization's bindings.
#[derive(Debug)]
pub(super) struct OrgBindings {
    org: Arc<str>,
    default: Arc<BindingSet>,
    places: HashMap<(Hook, Scope), Places>,
    by_revision: HashMap<u64, Arc<Binding>>,
    /// The one for every request, where there is only one.
    simple: Option<Arc<BindingSet>>,
}

/// Of one hook: who decides, and who is asked beside.
struct Chosen {
    decides: Option<Arc<Binding>>,
    beside: Option<Beside>,
}

impl OrgBindings {
    pub(super) fn new(
        org: &str,
        default: &Arc<BindingSet>,
        bound: Vec<(Hook, Scope, Mode, u8, Arc<Binding>)>,
    ) -> Self {
        let mut places: HashMap<(Hook, Scope), Places> = HashMap::new();
        let mut by_revision = HashMap::new();
        let everybody = |scope: &Scope, mode| *scope == Scope::Organization && mode != Mode::Canary;
        let simple = bound.iter().all(|(_, scope, mode, ..)| everybody(scope, *mode));
        for (hook, scope, mode, percent, binding) in bound {
            by_revision.insert(binding.revision, Arc::clone(&binding));
            let place = places.entry((hook, in_small(scope))).or_default();
            match mode {
                Mode::Active => place.active = Some(binding),
                Mode::Canary => place.canary = Some((percent, binding)),
                Mode::Shadow => place.shadow = Some((percent, binding)),
            }
        }
        let default = Arc::clone(default);
        let mut own = Self { org: Arc::from(org), default, places, by_revision, simple: None };
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
        self.places.keys().any(|(_, scope)| matches!(scope, Scope::Alias(_)))
    }

    /// Who decides for a request.
    pub(super) fn choose(&self, wanted: &Wanted<'_>) -> Arc<BindingSet> {
        if let Some(simple) = &self.simple {
            return Arc::clone(simple);
        }
        let scopes = scopes(wanted);
        let mut set = BindingSet::clone(&self.default);
        for hook in Hook::ALL {
            let chosen = self.chosen(hook, &scopes, wanted);
            if let Some(binding) = chosen.decides {
                set = set.with(hook, binding);
            }
            set.beside.extend(chosen.beside);
        }
        Arc::new(set)
    }

    fn chosen(&self, hook: Hook, scopes: &[Scope], wanted: &Wanted<'_>) -> Chosen {
        let (mut active, mut canary, mut shadow) = (None, None, None);
        for scope in scopes {
            let Some(places) = self.places.get(&(hook, scope.clone())) else { continue };
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

/// Models are asked for in any case.
fn in_small(scope: Scope) -> Scope {
    match scope {
        Scope::Alias(name) => Scope::Alias(name.to_ascii_lowercase()),
        other => other,
    }
}

/// The scopes that a request is in, the narrowest first: the name that was written, then what it
/// stands for, so that no other spelling gets around a binding.
fn scopes(wanted: &Wanted<'_>) -> Vec<Scope> {
    let names = std::iter::once(&wanted.model).chain(wanted.stands_for);
    let mut scopes: Vec<Scope> = names.map(|it| Scope::Alias(it.to_ascii_lowercase())).collect();
    scopes.extend(wanted.project.map(|name| Scope::Project(name.to_owned())));
    scopes.extend(wanted.team.map(|name| Scope::Team(name.to_owned())));
    scopes.push(Scope::Organization);
    scopes
}

#[cfg(test)]
mod tests;
