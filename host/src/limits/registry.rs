//! The meters by whose limits they are, so that a change of keys or limits does not forget what has
//! been used. Holds on to no use that nobody has a meter of.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Limits, Meter, Used};

/// What each scope has used, as long as somebody counts on it. At most as many as there are keys
/// and scopes with limits, which are bounded where they are made.
#[derive(Debug, Default)]
pub struct Registry {
    used: Mutex<HashMap<OrgScope, [Shared; 2]>>,
}

/// An organization and one of its scopes.
type OrgScope = (String, String);
/// What was used, for as long as a meter counts on it.
type Shared = Weak<Mutex<Used>>;

// === impl Registry ===

impl Registry {
    /// A meter of that organization's scope with these limits, over what it has used so far.
    pub fn meter(&self, org: &str, scope: &str, limits: Limits) -> Arc<Meter> {
        let mut all = self.used.lock();
        let place = all.entry((org.to_owned(), scope.to_owned())).or_default();
        let [used, questions] = place.each_ref().map(|known| known.upgrade().unwrap_or_default());
        *place = [Arc::downgrade(&used), Arc::downgrade(&questions)];
        Arc::new(Meter { scope: scope.into(), limits, used, questions })
    }

    /// Forgets what nobody counts on any more. For after a new snapshot.
    pub fn sweep(&self) {
        self.used.lock().retain(|_, [used, _]| used.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{admission::What, admit};
    use super::*;

    #[test]
    fn a_change_of_limits_forgets_nothing_and_what_is_gone_is_forgotten() {
        let registry = Registry::default();
        let limits = |requests| Limits { requests: Some(requests), ..Limits::default() };
        let before: Arc<[_]> = [registry.meter("acme", "key:1", limits(2))].into();
        assert!(admit(&before, 0, 1_000_000).0.is_ok());
        let after: Arc<[_]> = [registry.meter("acme", "key:1", limits(1))].into();
        drop(before);
        registry.sweep();
        assert_eq!(admit(&after, 0, 1_000_000).0.unwrap_err().what, What::Requests);
        let other: Arc<[_]> = [registry.meter("globex", "key:1", limits(1))].into();
        assert!(admit(&other, 0, 1_000_000).0.is_ok(), "another organization's is another");
        drop((after, other));
        registry.sweep();
        assert!(registry.used.lock().is_empty());
    }
}
