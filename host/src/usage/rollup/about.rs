//! What a row is about, in words, and how much of it is told apart. Words become numbers only for a
//! row that there is room for: looking for one makes none.

use super::names::{NONE, NameId, Names};
use super::{
    AGENT, ALIAS, FIELDS, KEY, MODEL, ORG, PROJECT, PROVIDER, RowKey, SESSION, TAGS, TASK, TEAM,
    USER, put,
};
use crate::usage::event::UsageEvent;

/// What stands for "and the rest" where there is no room for names.
pub(super) const REST: &str = "(other)";

/// How much is told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    /// Everything.
    #[default]
    Full,
    /// All but sessions, agents and tags.
    Coarse,
    /// Nor keys, users, and what was asked for: callers make as many of these as they like.
    Rest,
    /// Only the organization, the model and the provider, of which there are so many.
    Least,
}

/// What a row is about.
#[derive(Debug, Default)]
pub(super) struct About<'a> {
    /// In the order of a row's fields.
    pub(super) fields: [Option<&'a str>; TAGS],
    pub(super) tags: Vec<(&'a str, &'a str)>,
}

// === impl About ===

impl<'a> About<'a> {
    pub(super) fn of(event: &'a UsageEvent) -> Self {
        let mut this = Self::default();
        let fields = [
            (ORG, Some(&event.org)),
            (MODEL, event.model.as_ref()),
            (KEY, Some(&event.key)),
            (PROVIDER, event.provider.as_ref()),
            (TASK, event.task.as_ref()),
            (TEAM, event.team.as_ref()),
            (USER, event.user.as_ref()),
            (PROJECT, event.project.as_ref()),
            (ALIAS, Some(&event.model_asked)),
            (SESSION, event.session.as_ref()),
            (AGENT, event.agent.as_ref()),
        ];
        for (field, name) in fields {
            this.set(field, name.map(|name| &**name));
        }
        this.tags = event.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
        this
    }

    pub(super) fn set(&mut self, field: usize, name: Option<&'a str>) {
        if let Some(place) = self.fields.get_mut(field) {
            *place = name;
        }
    }

    /// Whose it is.
    pub(super) fn org(&self) -> &'a str {
        self.fields.get(ORG).copied().flatten().unwrap_or_default()
    }

    /// How much of it was told apart when it was counted first: what is kept beside a segment may
    /// have been given up by then. A key always has an id of its own.
    pub(super) fn detail(&self) -> Detail {
        let is_rest = |field: usize| self.fields.get(field).copied().flatten() == Some(REST);
        match is_rest(KEY) {
            true if [TASK, TEAM, PROJECT].into_iter().any(is_rest) => Detail::Least,
            true => Detail::Rest,
            false => Detail::Full,
        }
    }

    /// The row's numbers, if all of its names have one.
    pub(super) fn known(&self, detail: Detail, names: &Names) -> Option<RowKey> {
        let mut key = [NONE; FIELDS];
        for (field, name) in self.told(detail) {
            put(&mut key, field, names.known(name)?);
        }
        if detail == Detail::Full && !self.tags.is_empty() {
            let known = |name: &str| names.known(name);
            let tags = self.tags.iter().map(|(name, value)| Some((known(name)?, known(value)?)));
            put(&mut key, TAGS, names.known_set(tags.collect::<Option<Vec<_>>>()?)?);
        }
        Some(key)
    }

    /// The row's numbers; names that are new get one.
    pub(super) fn key(&self, detail: Detail, names: &mut Names) -> RowKey {
        let mut key = [NONE; FIELDS];
        for (field, name) in self.told(detail) {
            put(&mut key, field, names.id(name));
        }
        if detail == Detail::Full {
            let tags = self.tags.iter();
            let tags = tags.map(|(name, value)| (names.id(name), names.id(value))).collect();
            put(&mut key, TAGS, names.set(tags));
        }
        key
    }

    /// The fields that have a name, with what is told of it.
    fn told(&self, detail: Detail) -> impl Iterator<Item = (usize, &'a str)> {
        let told = move |(field, name): (usize, &Option<&'a str>)| match given_up(field) {
            Some(from) if detail >= from => (detail >= Detail::Rest).then_some((field, REST)),
            _ => Some((field, (*name)?)),
        };
        self.fields.iter().enumerate().filter_map(told)
    }
}

/// From which detail on a field is not told apart any more.
pub(super) fn given_up(field: usize) -> Option<Detail> {
    match field {
        SESSION | AGENT | TAGS => Some(Detail::Coarse),
        KEY | USER | ALIAS => Some(Detail::Rest),
        TASK | TEAM | PROJECT => Some(Detail::Least),
        _ => None,
    }
}

/// Gives up what is finer in a row; `rest` is the number of [`REST`].
pub(super) fn lower(key: &mut RowKey, detail: Detail, rest: NameId) {
    let told = if detail >= Detail::Rest { rest } else { NONE };
    for field in 0..TAGS {
        if given_up(field).is_some_and(|from| detail >= from) {
            put(key, field, told);
        }
    }
    if detail > Detail::Full {
        put(key, TAGS, NONE);
    }
}
