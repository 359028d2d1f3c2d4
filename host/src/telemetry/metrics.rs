//! Every metric's name, type and labels. The data plane calls the methods; `/metrics` on the admin
//! listener shows the result in the Prometheus text format. Labels come from the configuration and
//! fixed sets, never from a request, so their number is bounded.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use turnpike_protocol::Usage;

use crate::hook::Hook;

/// Every metric name as Prometheus shows it; the documentation lists the same.
pub const NAMES: [&str; 10] = [
    "turnpike_requests_total",
    "turnpike_request_duration_seconds",
    "turnpike_first_content_seconds",
    "turnpike_attempts_total",
    "turnpike_tokens_total",
    "turnpike_cost_usd_total",
    "turnpike_absorbed_usd_total",
    "turnpike_policy_calls_total",
    "turnpike_policy_failures_total",
    "turnpike_usage_events_dropped",
];

/// How a request ended, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A complete answer.
    Answered,
    /// The provider died after the first content.
    CutShort,
    /// The caller went away.
    Abandoned,
    /// The gateway said no: key, policy, money, model.
    Refused,
    /// No provider answered.
    Failed,
}

impl Outcome {
    /// As the label shows it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::CutShort => "cut_short",
            Self::Abandoned => "abandoned",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.label().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    outcome: Outcome,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    bucket: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServedLabels {
    provider: Name,
    model: Name,
}

/// A name of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name(Arc<str>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        (&*self.0).encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HookLabels {
    hook: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    hook: &'static str,
    kind: &'static str,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    first_content: Histogram,
    attempts: Family<AttemptLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    cost: Family<ServedLabels, Counter<f64, AtomicU64>>,
    absorbed: Counter<f64, AtomicU64>,
    policy_calls: Family<HookLabels, Counter>,
    policy_failures: Family<FailureLabels, Counter>,
    usage_dropped: Gauge<u64, AtomicU64>,
    usual: Usual,
}

/// Counters that every request needs, looked up once: a look-up hashes its labels and takes a lock
/// that all workers share. Empty until first needed, so that nothing is shown that never happened.
#[derive(Debug, Default)]
struct Usual {
    answered: OnceLock<Counter>,
    tokens: [OnceLock<Counter>; 19],
    policy_calls: [OnceLock<Counter>; Hook::ALL.len()],
}

/// Upper bounds in seconds: from what the gateway adds to what a long answer takes.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("turnpike");
        let metrics = Self {
            requests: Family::default(),
            duration: Histogram::new(BUCKETS),
            first_content: Histogram::new(BUCKETS),
            attempts: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            absorbed: Counter::default(),
            policy_calls: Family::default(),
            policy_failures: Family::default(),
            usage_dropped: Gauge::default(),
            usual: Usual::default(),
            registry: Registry::default(),
        };
        let r = &mut registry;
        r.register("requests", "Requests by how they ended", metrics.requests.clone());
        r.register_with_unit(
            "request_duration",
            "From the request's head to the end of the answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        r.register_with_unit(
            "first_content",
            "From the request's head to the first content",
            Unit::Seconds,
            metrics.first_content.clone(),
        );
        r.register("attempts", "Calls to providers by outcome", metrics.attempts.clone());
        r.register("tokens", "Tokens served, by usage bucket", metrics.tokens.clone());
        r.register("cost_usd", "What callers were charged, in dollars", metrics.cost.clone());
        r.register(
            "absorbed_usd",
            "What providers are owed and nobody was charged for, in dollars",
            metrics.absorbed.clone(),
        );
        r.register("policy_calls", "Calls into policies", metrics.policy_calls.clone());
        r.register(
            "policy_failures",
            "Calls into policies that failed",
            metrics.policy_failures.clone(),
        );
        r.register(
            "usage_events_dropped",
            "Usage events lost because their queue was full; money is not affected",
            metrics.usage_dropped.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// A request has ended with this status.
    pub fn request(&self, outcome: Outcome, status: u16, took: Duration) {
        let count = || self.requests.get_or_create_owned(&RequestLabels { outcome, status });
        match (outcome, status) {
            (Outcome::Answered, 200) => self.usual.answered.get_or_init(count).inc(),
            _ => count().inc(),
        };
        self.duration.observe(took.as_secs_f64());
    }

    /// The first content has gone to the caller.
    pub fn first_content(&self, after: Duration) {
        self.first_content.observe(after.as_secs_f64());
    }

    /// A provider was called; `outcome` is one of the fixed set of the pipeline.
    pub fn attempt(&self, provider: &str, outcome: &'static str) {
        self.attempts
            .get_or_create(&AttemptLabels { provider: provider.to_owned(), outcome })
            .inc();
    }

    /// What a call used, under the names that the API gives its buckets.
    pub fn usage(&self, usage: &Usage) {
        // Taken apart, so that a new bucket can't be forgotten here.
        let &Usage {
            input_uncached,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output_text,
            output_reasoning,
            input_audio,
            output_audio,
            input_image,
            output_image,
            requests,
            searches,
            cache_read_audio,
            cache_read_image,
            cache_read_video,
            input_video,
            output_video,
            citations,
            hosted_calls,
        } = usage;
        let buckets = [
            ("input_uncached", input_uncached),
            ("cache_read", cache_read),
            ("cache_write_5m", cache_write_5m),
            ("cache_write_1h", cache_write_1h),
            ("output_text", output_text),
            ("output_reasoning", output_reasoning),
            ("input_audio", input_audio),
            ("output_audio", output_audio),
            ("input_image", input_image),
            ("output_image", output_image),
            ("searches", searches),
            ("requests", requests),
            ("cache_read_audio", cache_read_audio),
            ("cache_read_image", cache_read_image),
            ("cache_read_video", cache_read_video),
            ("input_video", input_video),
            ("output_video", output_video),
            ("citations", citations),
            ("hosted_calls", hosted_calls),
        ];
        for ((bucket, count), usual) in buckets.into_iter().zip(&self.usual.tokens) {
            if count > 0 {
                let look_up = || self.tokens.get_or_create_owned(&TokenLabels { bucket });
                usual.get_or_init(look_up).inc_by(count);
            }
        }
    }

    /// What the caller was charged for an answer, in dollars; the ledger has the exact amount.
    pub fn charged(&self, provider: &Arc<str>, model: &Arc<str>, usd: f64) {
        let labels =
            ServedLabels { provider: Name(Arc::clone(provider)), model: Name(Arc::clone(model)) };
        self.cost.get_or_create(&labels).inc_by(usd);
    }

    /// What nobody was charged for, in dollars.
    pub fn absorbed(&self, usd: f64) {
        self.absorbed.inc_by(usd);
    }

    /// A policy was called for `hook`.
    pub fn policy_call(&self, hook: Hook) {
        let labels = HookLabels { hook: hook.label() };
        let look_up = || self.policy_calls.get_or_create_owned(&labels);
        for (_, usual) in
            Hook::ALL.iter().zip(&self.usual.policy_calls).filter(|(h, _)| **h == hook)
        {
            usual.get_or_init(look_up).inc();
        }
    }

    /// A policy failed in the way that `kind` names.
    pub fn policy_failure(&self, hook: &'static str, kind: &'static str) {
        self.policy_failures.get_or_create(&FailureLabels { hook, kind }).inc();
    }

    /// How many usage events have been lost so far.
    pub fn usage_dropped(&self, total: u64) {
        self.usage_dropped.set(total);
    }

    /// The Prometheus text format, with families from elsewhere, in the same format, behind.
    pub fn render_with(&self, more: &str) -> String {
        const END: &str = "# EOF\n";
        let text = self.render();
        match text.strip_suffix(END) {
            Some(own) => format!("{own}{more}{END}"),
            None => text,
        }
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(8 << 10);
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            return "# the metrics could not be encoded\n".to_owned();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_shown_and_no_other() {
        let metrics = Metrics::default();
        metrics.request(Outcome::Answered, 200, Duration::from_millis(2));
        metrics.first_content(Duration::from_millis(1));
        metrics.attempt("openai", "answered");
        metrics.usage(&Usage { input_uncached: 7, requests: 1, ..Usage::default() });
        metrics.charged(&"openai".into(), &"openai/gpt".into(), 0.25);
        metrics.absorbed(0.5);
        metrics.policy_call(Hook::Classify);
        metrics.policy_failure("classify", "trap");
        metrics.usage_dropped(0);
        let text = metrics.render();
        for name in NAMES {
            assert!(text.contains(name), "{name} is missing:\n{text}");
        }
        let shown = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(shown, NAMES.len(), "{text}");
        assert!(text.contains("turnpike_tokens_total{bucket=\"input_uncached\"} 7"), "{text}");
        assert!(text.contains("outcome=\"answered\""), "{text}");
        let cost = "turnpike_cost_usd_total{provider=\"openai\",model=\"openai/gpt\"} 0.25";
        assert!(text.contains(cost), "{text}");
        assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so:\n{text}");
    }

    #[test]
    fn buckets_are_called_as_in_the_api() {
        let one = Usage {
            input_uncached: 1,
            cache_read: 1,
            cache_write_5m: 1,
            cache_write_1h: 1,
            output_text: 1,
            output_reasoning: 1,
            input_audio: 1,
            output_audio: 1,
            input_image: 1,
            output_image: 1,
            requests: 1,
            searches: 1,
            cache_read_audio: 1,
            cache_read_image: 1,
            cache_read_video: 1,
            input_video: 1,
            output_video: 1,
            citations: 1,
            hosted_calls: 1,
        };
        let metrics = Metrics::default();
        metrics.usage(&one);
        let text = metrics.render();
        let api = serde_json::to_value(one).unwrap();
        for bucket in api.as_object().unwrap().keys() {
            let line = format!("turnpike_tokens_total{{bucket=\"{bucket}\"}} 1");
            assert!(text.contains(&line), "{line} is missing:\n{text}");
        }
    }
}
