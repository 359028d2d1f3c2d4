//! The imports that an operator grants: counters, state, clock, random, catalog. Each goes to the
//! plugin's own home; without one (while a component starts or is configured) there is nothing to
//! be had. A policy that is only asked beside reads and changes nothing.

use super::guest::{Guest, index, lower};
use super::home::Home;
use super::v0_1::turnpike::policy::types::{Refusal, ValueResult};
use super::v0_1::turnpike::policy::{catalog, clock, counters, random, state};

/// A whole number as guests get it; it is within what a float can tell apart.
#[allow(clippy::cast_precision_loss, reason = "the state keeps it within 2^53")]
fn float(number: i64) -> f64 {
    number as f64
}

impl Guest {
    /// The home of the policy that is being asked.
    fn home(&self) -> Option<&Home> {
        self.view.as_ref()?.home.as_deref()
    }

    /// The same, if what happens now counts.
    fn own(&self) -> Option<&Home> {
        self.view.as_ref().filter(|view| !view.aside)?.home.as_deref()
    }
}

fn outside() -> Refusal {
    Refusal::Invalid("there is no state while the policy starts or is configured".to_owned())
}

impl counters::Host for Guest {
    fn add(&mut self, name: String, by: f64) {
        if let Some(home) = self.own() {
            home.counters.add(&name, by);
        }
    }

    fn observe(&mut self, name: String, sample: f64) {
        if let Some(home) = self.own() {
            home.counters.observe(&name, sample);
        }
    }
}

impl state::Host for Guest {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        let home = self.home()?;
        home.state.get(&key, home.now_ms())
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_seconds: u32) -> Result<(), Refusal> {
        match (self.own(), self.home()) {
            (Some(home), _) => {
                let set = home.state.set(&key, value, ttl_seconds, home.now_ms());
                set.map_err(Refusal::Invalid)
            }
            // Beside another one: what it would keep is not kept.
            (None, Some(_)) => Ok(()),
            (None, None) => Err(outside()),
        }
    }

    fn increment(&mut self, key: String, by: i32, ttl_seconds: u32) -> Result<f64, Refusal> {
        let number = match (self.own(), self.home()) {
            (Some(home), _) => home.state.increment(&key, by, ttl_seconds, home.now_ms()),
            (None, Some(home)) => home.state.would_be(&key, by, home.now_ms()),
            (None, None) => return Err(outside()),
        };
        number.map(float).map_err(Refusal::Invalid)
    }
}

impl clock::Host for Guest {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
    fn now_ms(&mut self) -> f64 {
        self.home().map(|home| home.told_ms() as f64).unwrap_or_default()
    }
}

impl random::Host for Guest {
    fn bytes(&mut self, count: u32) -> Vec<u8> {
        self.home().map(|home| home.random(count)).unwrap_or_default()
    }
}

impl catalog::Host for Guest {
    fn count(&mut self) -> u32 {
        let offers = self.home().and_then(Home::catalog);
        offers.map(|offers| super::guest::count(offers.count())).unwrap_or_default()
    }

    fn offer(&mut self, row: u32) -> String {
        let offers = self.home().and_then(Home::catalog);
        let found = offers.and_then(|offers| offers.id(index(row)).map(str::to_owned));
        found.unwrap_or_default()
    }

    fn attr(&mut self, row: u32, name: String) -> Option<ValueResult> {
        let offers = self.home()?.catalog()?;
        offers.attr(index(row), &name).map(lower)
    }
}
