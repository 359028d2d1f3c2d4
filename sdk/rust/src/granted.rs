//! What an operator may grant: counters, a small state, the clock, chance, the catalogue, hosts. A
//! policy that calls none of these imports none of them. Natively a [`crate::mock::World`] for each
//! thread stands in, so that unit tests need no host. Keeps nothing itself.

use crate::types::Refusal;

#[cfg(target_arch = "wasm32")]
use turnpike_policy_world::turnpike::policy as host;

#[cfg(not(target_arch = "wasm32"))]
use crate::mock::World;

/// Counts up, to be seen among the gateway's metrics under this name; `by` is not negative.
pub fn count(name: &str, by: f64) {
    #[cfg(target_arch = "wasm32")]
    host::counters::add(name, by);
    #[cfg(not(target_arch = "wasm32"))]
    World::with(|world| *world.counters.entry(name.to_owned()).or_default() += by);
}

/// Takes a sample, shown as sum and count.
pub fn observe(name: &str, sample: f64) {
    #[cfg(target_arch = "wasm32")]
    host::counters::observe(name, sample);
    #[cfg(not(target_arch = "wasm32"))]
    World::with(|world| world.samples.entry(name.to_owned()).or_default().push(sample));
}

/// What the state has under a key.
#[must_use]
pub fn get(key: &str) -> Option<Vec<u8>> {
    #[cfg(target_arch = "wasm32")]
    return host::state::get(key);
    #[cfg(not(target_arch = "wasm32"))]
    World::with(|world| world.state.get(key).cloned())
}

/// Keeps a value for so many seconds, 0 for the longest that there is; an empty one removes the
/// key.
///
/// # Errors
/// Which bound of the state is met.
pub fn set(key: &str, value: &[u8], ttl_seconds: u32) -> Result<(), Refusal> {
    #[cfg(target_arch = "wasm32")]
    return host::state::set(key, value, ttl_seconds).map_err(refusal);
    #[cfg(not(target_arch = "wasm32"))]
    {
        // Time stands still in a test.
        let _ = ttl_seconds;
        World::with(|world| match value {
            [] => drop(world.state.remove(key)),
            value => drop(world.state.insert(key.to_owned(), value.to_vec())),
        });
        Ok(())
    }
}

/// Adds to a whole number and returns it. The first call sets how long it lives.
///
/// # Errors
/// What is under the key is no whole number, or a bound of the state is met.
pub fn increment(key: &str, by: i32, ttl_seconds: u32) -> Result<f64, Refusal> {
    #[cfg(target_arch = "wasm32")]
    return host::state::increment(key, by, ttl_seconds).map_err(refusal);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let before = get(key).unwrap_or_else(|| b"0".to_vec());
        let number = std::str::from_utf8(&before).ok().and_then(|text| text.parse::<i32>().ok());
        let number = number.ok_or_else(|| Refusal::Invalid(format!("{key} is no whole number")))?;
        let number = number.saturating_add(by);
        set(key, number.to_string().as_bytes(), ttl_seconds)?;
        Ok(f64::from(number))
    }
}

/// Milliseconds since 1970, in whole seconds.
#[must_use]
pub fn now_ms() -> f64 {
    #[cfg(target_arch = "wasm32")]
    return host::clock::now_ms();
    #[cfg(not(target_arch = "wasm32"))]
    World::with(|world| world.now_ms)
}

/// Random bytes, at most 1024 of a call.
#[must_use]
pub fn random(count: u32) -> Vec<u8> {
    #[cfg(target_arch = "wasm32")]
    return host::random::bytes(count);
    #[cfg(not(target_arch = "wasm32"))]
    World::with(|world| {
        let mut next = || {
            world.drawn = world.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            world.drawn.to_be_bytes()[0]
        };
        (0..count.min(1024)).map(|_| next()).collect()
    })
}

/// What a server answered: any status, a redirect too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Asks a host that the operator named, over `https`. The caller of the request waits meanwhile.
///
/// # Errors
/// Why there is no answer: the host is not among those that were named, a bound is met, or it can't
/// be reached.
pub fn fetch(url: &str) -> Result<Response, String> {
    #[cfg(target_arch = "wasm32")]
    return host::fetch::get(url).map(response);
    #[cfg(not(target_arch = "wasm32"))]
    answered(url)
}

/// The same with a body.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_post(url: &str, content_type: &str, body: &[u8]) -> Result<Response, String> {
    #[cfg(target_arch = "wasm32")]
    return host::fetch::post(url, content_type, body).map(response);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _ = (content_type, body);
        answered(url)
    }
}

#[cfg(target_arch = "wasm32")]
fn response(response: host::fetch::Response) -> Response {
    Response { status: response.status, body: response.body }
}

#[cfg(not(target_arch = "wasm32"))]
fn answered(url: &str) -> Result<Response, String> {
    let found = World::with(|world| world.answers.get(url).cloned());
    let found = found.map(|(status, body)| Response { status, body });
    found.ok_or_else(|| format!("the world's answers have no {url}"))
}

/// The offers that the installation has. Natively those of the thread's `World`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Catalog;

#[cfg(target_arch = "wasm32")]
impl crate::request::Candidates for Catalog {
    fn count(&self) -> u32 {
        host::catalog::count()
    }

    fn offer(&self, index: u32) -> String {
        host::catalog::offer(index)
    }

    fn attr(&self, index: u32, name: &str) -> Option<crate::types::Value> {
        host::catalog::attr(index, name).map(crate::ambient::value)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl crate::request::Candidates for Catalog {
    fn count(&self) -> u32 {
        World::with(|world| world.catalog.count())
    }

    fn offer(&self, index: u32) -> String {
        World::with(|world| world.catalog.offer(index))
    }

    fn attr(&self, index: u32, name: &str) -> Option<crate::types::Value> {
        World::with(|world| world.catalog.attr(index, name))
    }
}

#[cfg(target_arch = "wasm32")]
fn refusal(refusal: host::types::Refusal) -> Refusal {
    match refusal {
        host::types::Refusal::Abstain => Refusal::Abstain,
        host::types::Refusal::Invalid(why) => Refusal::Invalid(why),
        host::types::Refusal::Internal(why) => Refusal::Internal(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_a_world_of_its_own() {
        assert_eq!(increment("n", 2, 60), Ok(2.0));
        assert_eq!(increment("n", 3, 60), Ok(5.0));
        assert_eq!(get("n"), Some(b"5".to_vec()));
        assert_eq!(set("n", b"", 0), Ok(()));
        assert_eq!(get("n"), None);
        count("hits", 1.5);
        World::with(|world| {
            assert_eq!(world.counters.get("hits"), Some(&1.5));
            world.now_ms = 5_000.0;
        });
        assert_eq!(now_ms().to_bits(), 5_000.0_f64.to_bits());
        assert_eq!(random(9_999).len(), 1024);
        assert!(fetch("https://a.example").is_err());
        let (url, answer) = ("https://a.example".to_owned(), (404, Vec::new()));
        World::with(|world| world.answers.insert(url, answer));
        assert_eq!(fetch("https://a.example").map(|it| it.status), Ok(404));
        std::thread::spawn(|| assert_eq!(now_ms().to_bits(), 0)).join().unwrap();
    }
}
