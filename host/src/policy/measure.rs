//! What a decision of a policy costs: a sample question, put to fresh instances and to a warm one
//! at admission. A figure for the record and no test: a policy that wants a configuration first
//! may fail here and serve well. Its answers are not looked at.

use std::sync::Arc;
use std::time::Duration;

use super::admitted::{AdmissionFigures, Hooks};
use super::binding::Hook;
use super::engine::PolicyEngine;
use super::facts::{AttrValue, Conversation, Offers, RequestFacts};
use super::guest::View;
use super::guest_log::LogRing;
use super::instance::{Artifact, Instance};
use super::questions::{Classify, Price, Question, Scan, Score};
use super::verdict::{BillCall, Classification, Figures, Objective, Place, Quantity};
use crate::clock::Stopwatch;

/// Fresh instances that are asked.
const FRESH_CALLS: usize = 5;
/// Calls of the warm one.
const WARM_CALLS: usize = 15;
/// Offers of the sample.
const OFFERS: usize = 20;
/// The sample's text.
const TEXT: &str =
    "Please look at the attached stack trace and tell jane@example.com what is wrong.";

/// A request of one message.
struct Sample;

impl Conversation for Sample {
    fn messages(&self) -> usize {
        1
    }

    fn role(&self, message: usize) -> Option<&str> {
        (message == 0).then_some("user")
    }

    fn part(&self, message: usize, part: usize) -> Option<&str> {
        (message == 0 && part == 0).then_some(TEXT)
    }

    fn tools(&self) -> usize {
        0
    }

    fn tool_name(&self, _tool: usize) -> Option<&str> {
        None
    }

    fn tool_description(&self, _tool: usize) -> Option<&str> {
        None
    }
}

impl Offers for Sample {
    fn count(&self) -> usize {
        OFFERS
    }

    fn id(&self, row: usize) -> Option<&str> {
        (row < OFFERS).then_some("vendor/model@provider")
    }

    fn attr(&self, _row: usize, _name: &str) -> Option<AttrValue> {
        None
    }
}

/// Measures a component that starts within `deadline`. Asks for the first decision that it makes.
pub(super) async fn measure(
    engine: &PolicyEngine,
    artifact: &Artifact,
    hooks: Hooks,
    deadline: Duration,
) -> AdmissionFigures {
    let task = Classification {
        task: "chat".to_owned(),
        difficulty: 0.5,
        confidence: 0.5,
        needs: Vec::new(),
        context_tokens: 0,
        attrs: Vec::new(),
    };
    let room = Measuring { engine, artifact, deadline };
    match Hook::ALL.into_iter().rev().find(|hook| hooks.serves(*hook)) {
        Some(Hook::Classify) => room.ask(&Classify).await,
        Some(Hook::Route) => {
            let (figures, objective) = (figures(OFFERS), Objective::default());
            let candidates = Arc::new(Sample);
            let question =
                Score { task: &task, figures: &figures, objective: &objective, candidates };
            room.ask(&question).await
        }
        Some(Hook::Redact) => {
            let place = Place { direction: "input", channel: "text", role: "user" };
            room.ask(&Scan { place, text: TEXT, last: true }).await
        }
        Some(Hook::Bill) => {
            let quantity = |item: &str| Quantity {
                item: item.to_owned(),
                count: 1_000,
                unit_price_pico: 1_250_000,
            };
            let call = BillCall {
                task: task.task.clone(),
                offer: "vendor/model@provider".to_owned(),
                quantities: vec![quantity("input"), quantity("output")],
                settled: true,
                attrs: Vec::new(),
            };
            room.ask(&Price { call: &call }).await
        }
        None => AdmissionFigures::default(),
    }
}

/// The same figures for so many offers.
pub(super) fn figures(offers: usize) -> Figures {
    let column = vec![0.5; offers];
    Figures {
        quality: column.clone(),
        cost_usd: column.clone(),
        cost_worst_usd: column.clone(),
        first_token_ms: column.clone(),
        first_token_p95_ms: column.clone(),
        tokens_per_second: column.clone(),
        availability: column.clone(),
        in_flight: column,
        marks: vec![0; offers],
        expected_pico: Vec::new(),
    }
}

struct Measuring<'a> {
    engine: &'a PolicyEngine,
    artifact: &'a Artifact,
    deadline: Duration,
}

impl Measuring<'_> {
    async fn ask<Q: Question>(&self, question: &Q) -> AdmissionFigures {
        let (mut starts, mut fresh, mut warm) = (Vec::new(), Vec::new(), Vec::new());
        let mut memory_bytes = 0;
        for round in 0..FRESH_CALLS {
            let watch = Stopwatch::start();
            let started = Instance::start(self.engine, self.artifact, None, self.deadline).await;
            let Ok(mut instance) = started else { break };
            starts.push(watch.micros());
            let asked = self.put(&mut instance, question).await;
            fresh.push(watch.micros());
            memory_bytes = instance.memory_bytes();
            if !asked {
                break;
            }
            if round > 0 {
                continue;
            }
            for _ in 0..WARM_CALLS {
                let watch = Stopwatch::start();
                if !self.put(&mut instance, question).await {
                    break;
                }
                warm.push(watch.micros());
            }
        }
        AdmissionFigures {
            start_us: middle(starts),
            fresh_us: middle(fresh),
            warm_us: middle(warm),
            memory_bytes,
        }
    }

    /// Whether the instance can be asked again.
    async fn put<Q: Question>(&self, instance: &mut Instance, question: &Q) -> bool {
        let facts = Arc::new(RequestFacts {
            id: "sample".to_owned(),
            protocol: "openai-chat",
            model: "auto".to_owned(),
            streaming: false,
            input_tokens: 24,
            output_limit: None,
            call: Arc::new(Sample),
            attrs: Vec::new(),
        });
        let view = View {
            hook: Q::HOOK,
            facts,
            candidates: question.candidates(),
            log: Arc::new(LogRing::default()),
            // Nobody is there yet for whom anything could be kept.
            home: None,
            aside: true,
        };
        instance.prepare(view, self.deadline);
        question.ask(self.artifact, instance).await.is_ok()
    }
}

fn middle(mut micros: Vec<u32>) -> u32 {
    micros.sort_unstable();
    micros.get(micros.len() / 2).copied().unwrap_or_default()
}
