//! Which texts need no scan, because the same policies found nothing in them not long ago. Only
//! what depends on the text alone is remembered: never for policies that are granted anything
//! beside their log, and never a scan by one that has looked at the request.

use std::sync::Arc;

use super::{RECORDS_MAX, Session};
use crate::clock;
use crate::policy::binding::{Binding, Hook};
use crate::policy::clean_texts::{Context, Mark};
use crate::policy::verdict::{Findings, Place, PolicyCallRecord};

/// Whose texts are remembered.
pub(super) struct Remembering {
    key: Arc<str>,
    /// When the request came: one look at the clock serves all its texts.
    now_ms: u64,
    /// The place of the text that was asked about last, and its context: texts of one place come
    /// one after the other.
    latest: Option<(At, Context)>,
    /// The text that was asked about last and is not known: a scan of it may be remembered.
    unknown: Option<Mark>,
}

/// A place, and whether a text is read as JSON there.
type At = (Place<'static>, bool);

impl Session {
    /// Remembers from now on which texts are clean, for other requests with the same key. Nothing
    /// changes where the policies that scan may answer differently another time.
    pub fn remember_clean_texts(&mut self, key: &Arc<str>) {
        let scanner = &self.bindings.redact;
        let alone = std::iter::once(scanner).chain(&scanner.then);
        let repeatable = alone.into_iter().all(|one| one.policy.abilities.is_empty());
        // Who runs beside is to be compared on every text.
        let compared = self.bindings.beside.iter().any(|one| one.hook == Hook::Redact);
        if repeatable && !compared {
            self.remembering = Some(Remembering {
                key: Arc::clone(key),
                now_ms: clock::now_ms(),
                latest: None,
                unknown: None,
            });
        }
    }

    /// Whether nothing was found in this text not long ago, by the same policies and at the same
    /// place (`json`: read as JSON). If it is not known, a scan that follows at once is remembered.
    pub fn is_known_clean(&mut self, place: Place<'static>, json: bool, text: &str) -> bool {
        let Some(it) = &mut self.remembering else { return false };
        let texts = &self.engine.clean_texts;
        let at = (place, json);
        let context = match it.latest {
            Some((latest, context)) if latest == at => context,
            _ => texts.context((&*it.key, self.bindings.redact.serial, at)),
        };
        it.latest = Some((at, context));
        let Some(mark) = texts.mark(context, text) else { return false };
        let known = texts.knows(mark, it.now_ms);
        it.unknown = (!known).then_some(mark);
        if known {
            self.record_known();
        }
        known
    }

    /// The text that is scanned now, if its verdict may be remembered.
    pub(super) fn take_unknown(&mut self) -> Option<Mark> {
        self.remembering.as_mut()?.unknown.take()
    }

    /// Remembers a text that these scanners have scanned themselves.
    pub(super) fn remember(&self, mark: Mark, scanner: &Binding, found: &Findings) {
        let clean = found.spans.is_empty() && found.data_class.is_empty();
        let mut scanners = std::iter::once(scanner).chain(scanner.then.iter().map(|it| &**it));
        if clean && scanners.all(|it| self.has_not_looked(it)) {
            let now_ms = self.remembering.as_ref().map_or(0, |it| it.now_ms);
            self.engine.clean_texts.keep(mark, now_ms);
        }
    }

    /// The policies have decided about the text, even if they were asked about no other.
    fn record_known(&mut self) {
        let scanner = &self.bindings.redact;
        for it in std::iter::once(scanner).chain(&scanner.then) {
            let asked = |record: &PolicyCallRecord| {
                record.hook == Hook::Redact && record.policy == it.identity
            };
            if self.trace.len() < RECORDS_MAX && !self.trace.iter().any(asked) {
                let (hook, policy, failure) = (Hook::Redact, it.identity(), None);
                let record =
                    PolicyCallRecord { hook, policy, calls: 0, micros: 0, fresh: 0, failure };
                self.trace.push(record);
            }
        }
    }

    /// Whether the policy's instance is alive and has asked for nothing about any request.
    fn has_not_looked(&self, binding: &Binding) -> bool {
        let mut instances = self.instances.iter();
        let own = instances.find(|(of, _)| of.shares_instance_with(binding));
        own.is_some_and(|(_, instance)| !instance.has_looked())
    }
}
