//! Filters of usage and of requests: by each thing that usage is grouped by, `tag:NAME` included.
//! Several values stand for any of them, an empty one for what has none. Reads query strings, and
//! never an event by itself.

use std::collections::HashMap;

use uuid::Uuid;

use super::AdminParts;
use super::error::ApiError;
use crate::store::PAGE_ROWS_MAX;
use crate::usage::{Dimension, Only};

/// Values of one filter.
const VALUES_MAX: usize = 100;
/// What stands for keys that are not told apart any more.
const OTHER: &str = "(other)";

/// Adds a filter; false if there is none of that name.
pub(super) fn add(only: &mut Vec<Only>, name: &str, value: &str) -> Result<bool, ApiError> {
    let Some(dimension) = Dimension::from_label(name) else { return Ok(false) };
    let values = value.split(',').map(str::trim);
    let values = values.map(|text| (!text.is_empty()).then(|| text.to_owned()));
    let is_alias = dimension == Dimension::Alias;
    let place = match only.iter().position(|(known, _)| *known == dimension) {
        Some(place) => place,
        None => {
            only.push((dimension, Vec::new()));
            only.len().saturating_sub(1)
        }
    };
    if let Some((_, wanted)) = only.get_mut(place) {
        wanted.extend(values);
        if wanted.len() > VALUES_MAX {
            let message = format!("a filter has at most {VALUES_MAX} values");
            return Err(ApiError::invalid(name, message));
        }
        // Aliases are compared without case and recorded in small letters, other names of models
        // as they were written: either is looked for.
        if is_alias {
            let small = wanted.iter().flatten().map(|text| Some(text.to_ascii_lowercase()));
            let small: Vec<Option<String>> = small.filter(|text| !wanted.contains(text)).collect();
            wanted.extend(small);
        }
    }
    Ok(true)
}

/// The names of an organization's keys, by id.
pub(super) fn key_names(
    parts: &AdminParts,
    org: &str,
) -> Result<HashMap<String, String>, ApiError> {
    let (mut names, mut after) = (HashMap::new(), None::<String>);
    loop {
        let page = parts.store.keys(org, after.as_deref(), PAGE_ROWS_MAX)?;
        after = page.items.last().filter(|_| page.more).map(|key| key.id.clone());
        names.extend(page.items.into_iter().map(|key| (key.id, key.name)));
        if after.is_none() {
            return Ok(names);
        }
    }
}

/// Usage knows keys by their ids: puts those in place of names. What is neither an id, perhaps of a
/// key that is gone, nor a name is refused rather than found nowhere.
pub(super) fn name_keys(only: &mut [Only], parts: &AdminParts, org: &str) -> Result<(), ApiError> {
    let Some((_, wanted)) = only.iter_mut().find(|(dimension, _)| *dimension == Dimension::Key)
    else {
        return Ok(());
    };
    let is_id = |text: &str| Uuid::try_parse(text).is_ok() || text == OTHER;
    if wanted.iter().flatten().all(|text| is_id(text)) {
        return Ok(());
    }
    let names = key_names(parts, org)?;
    let mut ids = Vec::with_capacity(wanted.len());
    for value in wanted.drain(..) {
        let Some(text) = value.as_ref().filter(|text| !is_id(text)) else {
            ids.push(value);
            continue;
        };
        let known = ids.len();
        let named = names.iter().filter(|(_, name)| *name == text);
        ids.extend(named.map(|(id, _)| Some(id.clone())));
        if ids.len() == known {
            let message = format!(
                "no key of {org:?} has the id or the name {text:?}; GET /orgs/{org}/keys lists them"
            );
            return Err(ApiError::invalid("key", message));
        }
    }
    *wanted = ids;
    Ok(())
}

/// What can be filtered by, for a message.
pub(super) fn names() -> String {
    let known: Vec<String> = Dimension::ALL.iter().map(Dimension::label).collect();
    format!("{}, tag:NAME", known.join(", "))
}
