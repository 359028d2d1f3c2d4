//! The questions that a session can put: how each is lowered for the guest and which check its
//! answer must pass. One type per exported function; never decides what happens on failure.

use std::sync::Arc;
use std::time::Duration;

use super::binding::Hook;
use super::facts::{AttrValue, Offers};
use super::instance::{Artifact, Instance};
use super::usd;
use super::v0_1::exports::turnpike::policy as exports;
use super::v0_1::turnpike::policy::types::{ClassificationParam, Refusal, ValueParam};
use super::validate;
use super::verdict::{
    BillCall, Classification, Figures, Findings, Line, Objective, Place, Quantity,
};

/// Text that a scan reads in a millisecond in the slowest engine we know, for the deadline.
const SCAN_BYTES_PER_MS: usize = 32 << 10;

type Raw<T> = wasmtime::Result<Result<T, Refusal>>;

/// One kind of question.
pub(super) trait Question: Sync {
    /// The decision that it belongs to.
    const HOOK: Hook;
    /// What the guest returns.
    type Raw: Send;
    /// What leaves the room.
    type Answer: Send;

    /// Calls the guest.
    fn ask(
        &self,
        artifact: &Artifact,
        instance: &mut Instance,
    ) -> impl Future<Output = Raw<Self::Raw>> + Send;

    /// Turns the guest's answer into ours, or says what is wrong with it.
    fn check(&self, raw: Self::Raw) -> Result<Self::Answer, String>;

    /// The answer that lets things pass unseen, where an operator may consent to that.
    fn pass(&self) -> Option<Self::Answer> {
        None
    }

    /// The offers in hand.
    fn candidates(&self) -> Option<Arc<dyn Offers>> {
        None
    }

    /// Time beyond the binding's deadline, for large inputs.
    fn extra_time(&self) -> Duration {
        Duration::ZERO
    }
}

fn attrs(attrs: &[(String, AttrValue)]) -> Vec<(&str, ValueParam<'_>)> {
    let lower = |value| match value {
        &AttrValue::Number(number) => ValueParam::Number(number),
        &AttrValue::Flag(flag) => ValueParam::Flag(flag),
        AttrValue::Text(text) => ValueParam::Text(text),
    };
    attrs.iter().map(|(name, value)| (name.as_str(), lower(value))).collect()
}

/// What kind of task is it?
pub(super) struct Classify;

impl Question for Classify {
    const HOOK: Hook = Hook::Classify;
    type Raw = exports::classify::Classification;
    type Answer = Classification;

    async fn ask(&self, artifact: &Artifact, instance: &mut Instance) -> Raw<Self::Raw> {
        let (store, guest) = instance.classify(artifact)?;
        guest.call_classify(store).await
    }

    fn check(&self, raw: Self::Raw) -> Result<Classification, String> {
        validate::classification(raw)
    }
}

/// Which offer is best? Answers one score per row; `None` excludes the row.
pub(super) struct Score<'a> {
    pub(super) task: &'a Classification,
    pub(super) figures: &'a Figures,
    pub(super) objective: &'a Objective,
    pub(super) candidates: Arc<dyn Offers>,
}

impl Question for Score<'_> {
    const HOOK: Hook = Hook::Route;
    type Raw = Vec<f64>;
    type Answer = Vec<Option<f64>>;

    async fn ask(&self, artifact: &Artifact, instance: &mut Instance) -> Raw<Self::Raw> {
        let Self { task, figures, objective, .. } = self;
        let needs: Vec<&str> = task.needs.iter().map(String::as_str).collect();
        let task_attrs = attrs(&task.attrs);
        let task = ClassificationParam {
            task: &task.task,
            difficulty: task.difficulty,
            confidence: task.confidence,
            needs: &needs,
            context_tokens: task.context_tokens,
            attrs: &task_attrs,
        };
        let figures = exports::route::Figures {
            quality: &figures.quality,
            cost_usd: &figures.cost_usd,
            cost_worst_usd: &figures.cost_worst_usd,
            first_token_ms: &figures.first_token_ms,
            first_token_p95_ms: &figures.first_token_p95_ms,
            tokens_per_second: &figures.tokens_per_second,
            availability: &figures.availability,
            in_flight: &figures.in_flight,
            marks: &figures.marks,
        };
        let objective = exports::route::Objective {
            profile: &objective.profile,
            quality_floor: objective.quality_floor,
            cost_ceiling_usd: objective.cost_ceiling_usd,
            first_token_ceiling_ms: objective.first_token_ceiling_ms,
        };
        let (store, guest) = instance.route(artifact)?;
        guest.call_score(store, task, figures, objective).await
    }

    fn check(&self, raw: Self::Raw) -> Result<Self::Answer, String> {
        validate::scores(raw, self.candidates.count())
    }

    fn candidates(&self) -> Option<Arc<dyn Offers>> {
        Some(Arc::clone(&self.candidates))
    }
}

/// Why these scores? Asked in the instance that scored; answers one text per row asked for.
pub(super) struct Reasons<'a> {
    pub(super) rows: &'a [u32],
    pub(super) candidates: Arc<dyn Offers>,
}

impl Question for Reasons<'_> {
    const HOOK: Hook = Hook::Route;
    type Raw = Vec<String>;
    type Answer = Vec<String>;

    async fn ask(&self, artifact: &Artifact, instance: &mut Instance) -> Raw<Self::Raw> {
        let mut reasons = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let (store, guest) = instance.reasons(artifact)?;
            reasons.push(guest.call_reason(store, *row).await?);
        }
        Ok(Ok(reasons))
    }

    fn check(&self, raw: Self::Raw) -> Result<Self::Answer, String> {
        Ok(validate::reasons(raw))
    }

    fn candidates(&self) -> Option<Arc<dyn Offers>> {
        Some(Arc::clone(&self.candidates))
    }
}

/// What must not leave?
pub(super) struct Scan<'a> {
    pub(super) place: Place<'a>,
    pub(super) text: &'a str,
    pub(super) last: bool,
}

impl Question for Scan<'_> {
    const HOOK: Hook = Hook::Redact;
    type Raw = exports::redact::Findings;
    type Answer = Findings;

    async fn ask(&self, artifact: &Artifact, instance: &mut Instance) -> Raw<Self::Raw> {
        let Place { direction, channel, role } = self.place;
        let place = exports::redact::Place { direction, channel, role };
        let (store, guest) = instance.redact(artifact)?;
        guest.call_scan(store, place, self.text, self.last).await
    }

    fn check(&self, raw: Self::Raw) -> Result<Findings, String> {
        validate::findings(raw, self.text, self.last)
    }

    fn pass(&self) -> Option<Findings> {
        Some(Findings::default())
    }

    fn extra_time(&self) -> Duration {
        let ms = self.text.len() / SCAN_BYTES_PER_MS;
        Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }
}

/// What does it cost?
pub(super) struct Price<'a> {
    pub(super) call: &'a BillCall,
}

impl Question for Price<'_> {
    const HOOK: Hook = Hook::Bill;
    type Raw = Vec<exports::bill::Line>;
    type Answer = Vec<Line>;

    async fn ask(&self, artifact: &Artifact, instance: &mut Instance) -> Raw<Self::Raw> {
        let BillCall { task, offer, quantities, settled, attrs: facts } = self.call;
        let prices: Vec<String> =
            quantities.iter().map(|quantity| usd::format(quantity.unit_price_pico)).collect();
        let lower = |(quantity, unit_price)| {
            let Quantity { item, count, .. }: &Quantity = quantity;
            exports::bill::Quantity { item: item.as_str(), count: *count, unit_price }
        };
        let quantities: Vec<_> =
            quantities.iter().zip(prices.iter().map(String::as_str)).map(lower).collect();
        let facts = attrs(facts);
        let call = exports::bill::Call {
            task,
            offer,
            quantities: &quantities,
            settled: *settled,
            attrs: &facts,
        };
        let (store, guest) = instance.bill(artifact)?;
        guest.call_price(store, call).await
    }

    fn check(&self, raw: Self::Raw) -> Result<Vec<Line>, String> {
        validate::lines(raw)
    }
}
