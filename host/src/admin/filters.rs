//! Filters of usage and of requests: by each thing that usage is grouped by, `tag:NAME` included.
//! Several values stand for any of them, an empty one for what has none. Reads query strings, and
//! never an event by itself.

use super::error::ApiError;
use crate::usage::{Dimension, Only};

/// Values of one filter.
const VALUES_MAX: usize = 100;

/// Adds a filter; false if there is none of that name.
pub(super) fn add(only: &mut Vec<Only>, name: &str, value: &str) -> Result<bool, ApiError> {
    let Some(dimension) = Dimension::from_label(name) else { return Ok(false) };
    let values = value.split(',').map(str::trim);
    let values = values.map(|text| (!text.is_empty()).then(|| text.to_owned()));
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
    }
    Ok(true)
}

/// What can be filtered by, for a message.
pub(super) fn names() -> String {
    let known: Vec<String> = Dimension::ALL.iter().map(Dimension::label).collect();
    format!("{}, tag:NAME", known.join(", "))
}
