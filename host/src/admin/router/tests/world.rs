//! A whole admin API over a temporary folder, and a data plane that only remembers.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt;
use turnpike_ledger::{Ledger, Options, PicoUsd};
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::super::super::{
    AdminParts, AdminState, Admitted, Backtest, BacktestOf, BacktestReport, BindingRefused,
    BindingsChanged, ComponentSource, Counts, Observed, PolicyAdmission, PolicyBounds, PullRefused,
    Pulling, RatedModels, Routing, SignaturePolicy, Switch, SystemNumbers, router,
};
use crate::auth::{AuthError, Caller, Directory, OperatorToken, Pepper, authenticate};
use crate::catalog::Catalog;
use crate::clock;
use crate::policy::{Abilities, HostRule, OrgLimits, SelfTest, Tally};
use crate::route::{Aliases, Answers, BreakerRule, Health, Ratings, Rulebook};
use crate::secret::Secret;
use crate::store::{BindingRecord, PluginCheck, PluginFigures, Store};
use crate::usage::{
    CandidateFact, Explanation, Label, LineItem, Record, Recorder, Unrecorded, UsageEvent,
};

/// The id of the key in everything that is recorded; no key of the organization's has it any more.
pub(super) const KEY: &str = "01a22a86-9acc-7026-bee2-70e84e49a061";
const TOKEN: &str = "operator-token";

/// Admits what starts with `ok `, and reads the digest's hooks from the rest.
struct Admission;

impl PolicyAdmission for Admission {
    fn admit(
        &self,
        _org: &str,
        bytes: &[u8],
        cases: Option<&SelfTest>,
    ) -> Result<Admitted, Vec<PluginCheck>> {
        let check = |name: &str, passed: bool, detail: &str| PluginCheck {
            name: name.into(),
            passed,
            detail: detail.into(),
        };
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let Some(hooks) = text.strip_prefix("ok ") else {
            let size = check("size", true, "small enough");
            return Err(vec![size, check("component", false, "this is no component")]);
        };
        Ok(Admitted {
            name: "self-named".into(),
            version: "0.1.0".into(),
            digest: crate::store::sha256_hex(bytes),
            interfaces: hooks.split(' ').map(str::to_owned).collect(),
            checks: match cases {
                Some(_) => vec![check("component", true, "it is one"), check("cases", true, "")],
                None => vec![check("component", true, "it is one")],
            },
            figures: PluginFigures { start_us: 9, fresh_us: 40, warm_us: 3, memory_bytes: 65_536 },
        })
    }

    fn builtin(&self, name: &str) -> Option<Admitted> {
        (name == "redact-default").then(|| Admitted {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            digest: "b".repeat(64),
            interfaces: vec!["redact".to_owned()],
            checks: Vec::new(),
            figures: PluginFigures::default(),
        })
    }
}

/// The bindings that the "data plane" sees, and whether the store had them before.
#[derive(Default)]
pub(super) struct Plane {
    pub(super) visible: Mutex<Vec<(String, Vec<BindingRecord>)>>,
    pub(super) granted: Mutex<Vec<(String, Option<Abilities>)>>,
    pub(super) limited: Mutex<Vec<(String, OrgLimits)>>,
    /// Plugins of which no version is left.
    pub(super) deleted: Mutex<Vec<String>>,
}

impl BindingsChanged for Arc<Plane> {
    fn prepare(&self, org: &str, bindings: &[BindingRecord]) -> Result<Switch, BindingRefused> {
        let bad = |one: &BindingRecord| one.first.config.as_deref() == Some("{\"bad\":true}");
        if bindings.iter().any(bad) {
            let message = "the policy refuses this configuration: bad".into();
            return Err(BindingRefused { field: Some("config/bad".into()), message });
        }
        let plane = Arc::clone(self);
        let (org, bindings) = (org.to_owned(), bindings.to_vec());
        Ok(Box::new(move || plane.visible.lock().push((org, bindings))))
    }

    fn granted(&self, org: &str, granted: Option<Abilities>) {
        self.granted.lock().push((org.to_owned(), granted));
    }

    fn hosts_named(&self, _org: &str, _hosts: Vec<HostRule>) {}

    fn limited(&self, org: &str, limits: &OrgLimits) {
        self.limited.lock().push((org.to_owned(), *limits));
    }

    fn deleted(&self, org: &str, plugin: &str) {
        self.deleted.lock().push(format!("{org}/{plugin}"));
    }

    fn observed(&self, _org: &str, revision: u64) -> Vec<Observed> {
        let tally = Tally { calls: revision, ..Tally::default() };
        let lacks = Abilities::default();
        let idle_instances = None;
        vec![Observed { tally, suspension: None, stand_in: None, lacks, idle_instances }]
    }
}

/// A registry that has one.
struct OneComponent;

impl ComponentSource for OneComponent {
    fn pull<'a>(&'a self, reference: &'a str) -> Pulling<'a> {
        let known = reference == "registry.example/acme/policy@sha256:1";
        Box::pin(async move {
            match known {
                true => Ok(bytes::Bytes::from_static(b"ok route")),
                false => Err(PullRefused::Reference("it is not there".to_owned())),
            }
        })
    }
}

struct NoBacktests;

impl Backtest for NoBacktests {
    fn run(&self, what: &BacktestOf) -> Result<BacktestReport, BindingRefused> {
        let counts = Counts { requests: u64::from(what.limit), ..Counts::default() };
        Ok(BacktestReport { counts, ..BacktestReport::default() })
    }
}

struct Numbers;

impl SystemNumbers for Numbers {
    fn numbers(&self) -> Vec<(&'static str, u64)> {
        vec![("requests_running", 3)]
    }
}

#[derive(Debug)]
struct Unrated;

impl RatedModels for Unrated {
    fn of_model(&self, _: &str) -> Vec<(Arc<str>, Arc<str>, Ratings)> {
        Vec::new()
    }
}

/// Two providers' offers, of which nothing is known.
fn routing(store: &Store) -> Routing {
    let catalog = Catalog::embedded().unwrap().for_providers(&["mistral", "groq"]).unwrap();
    let rule = BreakerRule { failures: 3, open_ms: 1_000 };
    let rulebook = Rulebook::default();
    for org in store.all_orgs().unwrap() {
        rulebook.set(&org.id, super::super::super::compiled_rules(&org, &catalog).unwrap());
    }
    Routing {
        health: Arc::new(Health::new(catalog.offers().len(), rule)),
        answers: Arc::new(Answers::new(catalog.offers()).unwrap()),
        offers: Arc::new(catalog),
        rulebook: Arc::new(rulebook),
        rated: Arc::new(Unrated),
    }
}

pub(super) struct World {
    dir: tempfile::TempDir,
    router: Router,
    recorder: Recorder,
    pub(super) directory: Arc<ArcSwap<Directory>>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) store: Arc<Store>,
    pub(super) plane: Arc<Plane>,
    rulebook: Arc<Rulebook>,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Empty where there is none.
    pub(super) etag: String,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    /// The same folder after a restart.
    pub(super) fn restarted(self) -> Self {
        let Self { dir, router, recorder, ledger, store, plane, .. } = self;
        drop((router, recorder, plane));
        ledger.close().unwrap();
        drop((ledger, store));
        Self::at(dir)
    }

    fn at(dir: tempfile::TempDir) -> Self {
        let store = Arc::new(Store::open(dir.path()).unwrap().store);
        let ledger = Ledger::open(Options::at(dir.path().join("journal")), None).unwrap();
        let ledger = Arc::new(ledger);
        let pepper = Pepper::open(dir.path(), store.all_keys().unwrap().len()).unwrap();
        let limits = Arc::default();
        let directory = super::super::super::directory_of(&store, pepper, &limits).unwrap();
        let directory = Arc::new(ArcSwap::from_pointee(directory));
        let usage = crate::usage::Options::new(dir.path().join("usage"));
        let recorder = Recorder::start(usage).unwrap();
        let plane = Arc::new(Plane::default());
        let routing = routing(&store);
        let rulebook = Arc::clone(&routing.rulebook);
        let offers = Catalog::embedded().unwrap().for_providers(&["openai"]).unwrap();
        let state = AdminState::new(AdminParts {
            store: Arc::clone(&store),
            ledger: Arc::clone(&ledger),
            usage: recorder.log(),
            directory: Arc::clone(&directory),
            limits,
            webhook_rule: Arc::new(|url| match url.starts_with("https://") {
                true => Ok(()),
                false => Err("it must begin with https://".to_owned()),
            }),
            operator: OperatorToken::new(Secret::new(TOKEN.into())).unwrap(),
            admission: Arc::new(Admission),
            bindings: Arc::new(Arc::clone(&plane)),
            aliases: Arc::new(Aliases::new(Arc::new(offers))),
            registries: Arc::new(OneComponent),
            backtests: Arc::new(NoBacktests),
            routing,
            numbers: Arc::new(Numbers),
            signatures: SignaturePolicy::default(),
            bounds: PolicyBounds {
                component_bytes: 32 << 20,
                components_per_org: 2,
                components: 3,
                deadline_ms: 1_000,
                memory_bytes: 64 << 20,
                instances: 192,
                instances_per_org: 64,
                log_lines: 64,
            },
            started_at_ms: 0,
        });
        Self { dir, router: router(state), recorder, directory, ledger, store, plane, rulebook }
    }

    /// The rules that the data plane sees.
    pub(super) fn rulebook(&self) -> &Rulebook {
        &self.rulebook
    }

    pub(super) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(super) async fn send_as(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        self.exchange(token, None, method, path, body).await
    }

    /// With the tag of what was seen.
    pub(super) async fn send_if_match(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        tag: &str,
    ) -> Answer {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        self.exchange(Some(TOKEN), Some(tag), method, path, body).await
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send_as(Some(TOKEN), method, path, body).await
    }

    pub(super) async fn send_bytes(&self, method: &str, path: &str, body: Vec<u8>) -> Answer {
        self.exchange(Some(TOKEN), None, method, path, body).await
    }

    async fn exchange(
        &self,
        token: Option<&str>,
        if_match: Option<&str>,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.starts_with(b"{\"oci\"") {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let etag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, etag: etag.unwrap_or_default(), body }
    }

    /// What is no JSON: its status, headers and text.
    pub(super) async fn file(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        let request =
            Request::builder().uri(path).header("authorization", format!("Bearer {TOKEN}"));
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (head.status, head.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, &Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    pub(super) async fn org(&self, id: &str) {
        let made = self.send("POST", "/admin/v1/orgs", &json!({"id": id})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    }

    /// What the data plane says to a key.
    pub(super) fn authenticate(&self, key: &str) -> Result<Arc<Caller>, AuthError> {
        self.authenticate_at(key, clock::now_ms())
    }

    /// The same when the clock shows that time.
    pub(super) fn authenticate_at(&self, key: &str, at_ms: u64) -> Result<Arc<Caller>, AuthError> {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-api-key");
        headers.insert(name, HeaderValue::from_str(key).unwrap());
        authenticate(&headers, None, &self.directory.load(), at_ms)
    }

    /// A request of an organization that began then, and is not recorded yet.
    pub(super) fn begin(&self, org: &str, at_ms: u64) -> Unrecorded {
        self.recorder.begin(&org.into(), at_ms)
    }

    /// Records a request that cost so many pico-dollars.
    pub(super) fn record(&self, org: &str, model: &str, cost: u128) -> Uuid {
        let id = clock::new_id();
        let mut explanation = Explanation::begin(id, org.into(), KEY.into(), "auto".into());
        explanation.cost_usd = PicoUsd(cost);
        explanation.candidates.push(CandidateFact {
            offer: "openai/small@openai".into(),
            score: None,
            quality: Some(0.5),
            expected_cost_usd: None,
            first_token_ms: None,
            rejected: Some(Label::Borrowed("needs tools")),
            reason_code: Some(Label::Borrowed("tools")),
            figures: None,
        });
        explanation.line_items.push(LineItem {
            item: Label::Borrowed("output"),
            count: 2,
            unit_price_usd: PicoUsd(cost / 2),
            amount_usd: PicoUsd(cost),
            note: None,
        });
        let event = UsageEvent {
            id,
            at_ms: clock::now_ms(),
            org: org.into(),
            key: KEY.into(),
            team: None,
            project: None,
            user: None,
            tags: Vec::new(),
            protocol: Label::Borrowed("openai-chat"),
            model_asked: "auto".into(),
            offer: Some(format!("{model}@openai").into()),
            model: Some(model.into()),
            provider: Some("openai".into()),
            task: Some("chat".into()),
            stream: false,
            status: 200,
            settlement: Label::Borrowed("complete"),
            usage: Usage { output_text: 2, ..Usage::default() },
            cost_usd: PicoUsd(cost),
            attempts: 1,
            duration_ms: 5,
            ..UsageEvent::default()
        };
        assert!(self.recorder.record(Record { event, explanation }));
        id
    }
}
