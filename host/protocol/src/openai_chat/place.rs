//! A member of the request's outermost object that may be written anew, renamed or taken out, and
//! the bytes that must go with it. Never knows what the member means.

use std::ops::Range;

use crate::scan::{Fault, Scanner};
use crate::splice::Edit;

/// Where a member stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its key, with both quotes.
    key: Range<usize>,
    pub(crate) value: Range<usize>,
    /// The comma in front of it.
    before: Option<usize>,
    /// The comma behind it.
    after: Option<usize>,
}

// === impl Place ===

impl Place {
    /// Reads a member whose key was just taken; `value` takes its value.
    pub(crate) fn read<'a, T, E: From<Fault>>(
        scanner: &mut Scanner<'a>,
        value: impl FnOnce(&mut Scanner<'a>) -> Result<T, E>,
    ) -> Result<(T, Self), E> {
        let start = scanner.position();
        let head = scanner.raw(0..start);
        // A key that is acted on holds no quote, however it is escaped.
        let close = head.rfind('"').unwrap_or(0);
        let open = head.get(..close).and_then(|head| head.rfind('"')).unwrap_or(0);
        let in_front = head.get(..open).unwrap_or_default().trim_end();
        let before = in_front.ends_with(',').then(|| in_front.len().saturating_sub(1));
        let read = value(scanner)?;
        let next = scanner.position();
        let after = (scanner.raw(next..next.saturating_add(1)) == ",").then_some(next);
        let behind = scanner.raw(start..next).trim_end().len();
        let value = start..start.saturating_add(behind);
        Ok((read, Self { key: open..close.saturating_add(1), value, before, after }))
    }

    /// Gives the member another name.
    pub(crate) fn rename(&self, name: &str) -> Edit {
        Edit::literal(self.key.clone(), name)
    }

    /// Takes members out, each with one comma; neighbours go as one, because they share one.
    pub(crate) fn remove<'a>(places: impl Iterator<Item = &'a Self>) -> Vec<Edit> {
        let mut places: Vec<Self> = places.cloned().collect();
        places.sort_by_key(|place| place.key.start);
        let mut runs: Vec<Self> = Vec::with_capacity(places.len());
        for place in places {
            match runs.last_mut() {
                Some(run) if run.after.is_some() && run.after == place.before => {
                    (run.value.end, run.after) = (place.value.end, place.after);
                }
                _ => runs.push(place),
            }
        }
        runs.iter().map(Self::removal).collect()
    }

    fn removal(&self) -> Edit {
        let span = match (self.before, self.after) {
            (Some(comma), _) => comma..self.value.end,
            (None, Some(comma)) => self.key.start..comma.saturating_add(1),
            (None, None) => self.key.start..self.value.end,
        };
        Edit::raw(span, String::new())
    }
}
