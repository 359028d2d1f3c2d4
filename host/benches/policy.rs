//! What the policies of one request cost: a fresh instance of the combined built-in, then classify,
//! score, scan and price. Prints the middle of many in microseconds. Not a test: it fails only when
//! something does not answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use turnpike::policy::{
    Action, AttrValue, BillCall, BindingSet, Builtins, Figures, Objective, Offers, Place,
    PolicyEngine, PolicyLimits, Quantity, RequestFacts, Session,
};
use turnpike_protocol::{Call, Dialect};

/// Offers with a name and nothing else.
struct Named(Vec<String>);

impl Offers for Named {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn id(&self, row: usize) -> Option<&str> {
        self.0.get(row).map(String::as_str)
    }

    fn attr(&self, _row: usize, _name: &str) -> Option<AttrValue> {
        None
    }
}

/// Requests before anything is measured.
const WARM_UP: usize = 500;
/// Requests measured.
const ROUNDS: usize = 5_000;
/// Offers to score.
const OFFERS: usize = 50;

fn body() -> Vec<u8> {
    let text = "Please refactor this function so that it reads the file only once. ".repeat(14);
    let message = serde_json::json!({"role": "user", "content": text});
    serde_json::json!({"model": "auto", "messages": [message]}).to_string().into_bytes()
}

fn figures() -> Figures {
    let column = |scale: f64| (1..=OFFERS).map(|row| scale * row as f64).collect::<Vec<_>>();
    Figures {
        quality: column(0.019),
        cost_usd: column(0.0003),
        cost_worst_usd: column(0.002),
        first_token_ms: column(13.0),
        first_token_p95_ms: column(40.0),
        tokens_per_second: column(3.0),
        availability: column(0.019),
        in_flight: column(1.0),
        marks: vec![0; OFFERS],
        expected_pico: Vec::new(),
    }
}

fn facts(call: &Arc<Call>) -> RequestFacts {
    RequestFacts {
        id: "bench".to_owned(),
        protocol: "openai-chat",
        model: "auto".to_owned(),
        streaming: false,
        input_tokens: call.input_tokens_upper(),
        output_limit: call.output_limit,
        call: Arc::clone(call) as _,
        attrs: Vec::new(),
    }
}

fn bill() -> BillCall {
    let quantity =
        |item: &str, count| Quantity { item: item.to_owned(), count, unit_price_pico: 2_500_000 };
    BillCall {
        task: "code".to_owned(),
        offer: "lab/model@provider".to_owned(),
        quantities: vec![
            quantity("input", 812),
            quantity("cache-read", 64),
            quantity("output", 95),
        ],
        settled: true,
        attrs: Vec::new(),
    }
}

/// Microseconds of the steps of one request.
#[derive(Default)]
struct Steps {
    classify: Vec<f64>,
    scan: Vec<f64>,
    score: Vec<f64>,
    price: Vec<f64>,
    all: Vec<f64>,
}

fn middle(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
async fn measure(
    engine: &Arc<PolicyEngine>,
    bindings: &Arc<BindingSet>,
    rounds: usize,
) -> anyhow::Result<Steps> {
    let call = Arc::new(Call::parse(Dialect::OpenAiChat, body().into()).map_err(|error| {
        anyhow::anyhow!("the bench's own request does not parse: {}", error.message)
    })?);
    let text = call.texts.first().context("the bench's request has a text")?.content.clone();
    let (figures, objective, bill) = (figures(), Objective::default(), bill());
    let candidates: Arc<dyn Offers> =
        Arc::new(Named((0..OFFERS).map(|row| format!("lab/model-{row}@provider")).collect()));
    let place = Place { direction: "input", channel: "text", role: "user" };
    let mut steps = Steps::default();
    for _ in 0..rounds {
        let begun = Instant::now();
        let mut session = Session::new(Arc::clone(engine), Arc::clone(bindings), facts(&call));
        let task = session.classify().await.value.context("classify answers")?;
        let classified = begun.elapsed();
        let findings = session.scan(place, text.expose(), true).await?;
        let blocked = findings.spans.iter().any(|it| matches!(it.action, Action::Block(_)));
        anyhow::ensure!(!blocked, "the scan blocks nothing here");
        let scanned = begun.elapsed();
        let scores = session.score(&task, &figures, &objective, Arc::clone(&candidates)).await;
        anyhow::ensure!(scores.value.is_some_and(|it| it.len() == OFFERS), "score answers");
        let scored = begun.elapsed();
        anyhow::ensure!(session.price(&bill).await.value.is_some(), "price answers");
        let priced = begun.elapsed();
        drop(session);
        let micros = |duration: std::time::Duration| duration.as_secs_f64() * 1e6;
        steps.classify.push(micros(classified));
        steps.scan.push(micros(scanned.saturating_sub(classified)));
        steps.score.push(micros(scored.saturating_sub(scanned)));
        steps.price.push(micros(priced.saturating_sub(scored)));
        steps.all.push(micros(begun.elapsed()));
    }
    Ok(steps)
}

#[allow(clippy::print_stdout, reason = "a bench prints")]
fn main() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/policy-default.wasm");
    let bytes = std::fs::read(&path)
        .with_context(|| format!("{}: run `make plugins` first", path.display()))?;
    let engine = PolicyEngine::new(&PolicyLimits::default())?;
    let policy = engine.admit(&bytes)?;
    let bindings = Arc::new(BindingSet::defaults(Builtins::combined(&policy)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let steps = runtime.block_on(async {
        measure(&engine, &bindings, WARM_UP).await?;
        measure(&engine, &bindings, ROUNDS).await
    })?;
    println!("policies of one request, middle of {ROUNDS}, µs (pool: {})", engine.is_pooled());
    println!("fresh instance + classify  {:7.1}", middle(steps.classify));
    println!("scan of 1 KB               {:7.1}", middle(steps.scan));
    println!("score of {OFFERS} offers         {:7.1}", middle(steps.score));
    println!("price of 3 quantities      {:7.1}", middle(steps.price));
    println!("all, with the drop         {:7.1}", middle(steps.all));
    Ok(())
}
