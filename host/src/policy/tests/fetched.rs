//! The network as a policy sees it: only hosts that were named, so often and so long, and nothing
//! for a policy that is only asked beside another. What answers is the tests' own.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::guests::*;
use crate::policy::*;

/// Where the guests keep the address that they ask.
const URL_AT: u32 = 4096;
const GET: &str = r#"(import "turnpike:policy/fetch@0.1.0" "get"
    (func $get (param i32 i32 i32)))"#;

/// Answers after a while, and remembers who was asked.
#[derive(Default)]
struct Answering {
    asked: Mutex<Vec<String>>,
    takes: Duration,
}

impl Web for Answering {
    fn ask(&self, request: WebRequest) -> Asked<'_> {
        self.asked.lock().push(format!("{}{}", request.host, request.path));
        let takes = self.takes;
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            Ok(WebAnswer { status: 207, body: b"hello".to_vec() })
        })
    }
}

/// A classifier that asks an address so often; the last status, or 1 for an error, is its
/// `context-tokens`.
fn asking(url: &str, times: u32) -> Vec<u8> {
    let get = format!(
        "(call $get (i32.const {URL_AT}) (i32.const {}) (i32.const 2048))
         (i32.store (i32.const 1064) (if (result i32) (i32.load8_u (i32.const 2048))
            (then (i32.const 1)) (else (i32.load16_u (i32.const 2052)))))",
        url.len()
    );
    let does = get.repeat(usize::try_from(times).unwrap());
    let body = format!("{does} {}", answer(&[(8, 0), (12, 5)]));
    let functions = format!(
        r#"(data (i32.const {URL_AT}) "{url}")
           (func (export "{CLASSIFY}") (result i32) {body})"#
    );
    wrap("classifier", &module(GET, &functions, 1), None)
}

struct Bed {
    engine: Arc<PolicyEngine>,
    web: Arc<Answering>,
}

impl Bed {
    fn new(web: Answering) -> Self {
        let (engine, web) = (engine(), Arc::new(web));
        engine.set_web(Arc::clone(&web) as Arc<dyn Web>);
        engine.grant("a", Abilities::all());
        engine.allow_hosts("a", vec![HostRule::parse("api.example.com").unwrap()]);
        Self { engine, web }
    }

    fn bound(&self, url: &str, times: u32) -> Arc<BindingSet> {
        let policy = self.engine.admit_granted(&asking(url, times), Abilities::all()).unwrap();
        let deadline = Hook::Classify.default_deadline();
        let binding = Binding::new(policy, None, OnFailure::Builtin, deadline, 7)
            .at(|| self.engine.home_of("a", "mine"));
        Arc::new(
            BindingSet::defaults(builtins(&self.engine)).with(Hook::Classify, Arc::new(binding)),
        )
    }

    async fn status(&self, url: &str, times: u32) -> Result<u32, FailureKind> {
        let verdict = session(&self.engine, &self.bound(url, times)).classify().await;
        let tokens = verdict.value.unwrap().context_tokens;
        verdict.failure.map_or(Ok(tokens), |failure| Err(failure.kind))
    }
}

#[tokio::test]
async fn a_named_host_is_asked_and_no_other() {
    let bed = Bed::new(Answering::default());
    assert_eq!(bed.status("https://api.example.com/x?y=z", 1).await, Ok(207));
    for other in [
        "https://other.example.com/",
        "https://api.example.com:8443/",
        "http://api.example.com/",
        "https://api.example.com.evil.org/",
        "https://api.example.com@evil.org/",
        "nonsense",
    ] {
        assert_eq!(bed.status(other, 1).await, Ok(1), "{other}");
    }
    assert_eq!(*bed.web.asked.lock(), ["api.example.com/x?y=z"]);
    bed.engine.allow_hosts("a", Vec::new());
    assert_eq!(bed.status("https://api.example.com/", 1).await, Ok(1), "withdrawn");
}

#[tokio::test]
async fn a_request_has_four_and_they_are_counted() {
    let bed = Bed::new(Answering::default());
    assert_eq!(bed.status("https://api.example.com/", 4).await, Ok(207));
    assert_eq!(bed.status("https://api.example.com/", 5).await, Ok(1));
    let fetched = bed.engine.fetched();
    let [one] = &*fetched else { panic!("{fetched:?}") };
    assert_eq!((&*one.org, &*one.plugin, one.fetches, one.failures), ("a", "mine", 8, 0));
    assert_eq!(one.bytes, 8 * 5);
}

#[tokio::test]
async fn the_policys_own_time_stands_still_while_it_waits() {
    let takes = 3 * Hook::Classify.default_deadline();
    let bed = Bed::new(Answering { takes, ..Answering::default() });
    assert_eq!(bed.status("https://api.example.com/", 2).await, Ok(207));
}

#[tokio::test]
async fn a_trial_has_the_answers_of_its_case() {
    let bed = Bed::new(Answering::default());
    let url = "https://api.example.com/";
    let policy = bed.engine.admit_granted(&asking(url, 1), Abilities::all()).unwrap();
    let mut trial = Trial::new(&bed.engine, &policy, None, Hook::Classify, None, facts());
    assert_eq!(trial.classify().await.map(|it| it.context_tokens), Ok(1));
    let answers = vec![(url.to_owned(), WebAnswer { status: 404, body: Vec::new() })];
    trial.begin(&Beginnings { answers, ..Beginnings::default() });
    assert_eq!(trial.classify().await.map(|it| it.context_tokens), Ok(404));
    assert!(bed.web.asked.lock().is_empty());
}
