//! What is known of one request so far, from authentication to its record. However the request
//! ends, also by being dropped, its hold is settled and one event is recorded.

mod ending;
mod labels;
mod manner;
mod tags;

use std::sync::Arc;

use http::{HeaderMap, Response};
use turnpike_ledger::PicoUsd;
use turnpike_protocol::translate::Naming;
use turnpike_protocol::{Call, Losses, MediaTokens};
use uuid::Uuid;

use crate::auth::Caller;
use crate::budget::Hold;
use crate::catalog::Offer;
use crate::clock::Stopwatch;
use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::gateway::Gateway;
use crate::hook::Clearance;
use crate::limits::{Admission, Standing};
use crate::policy::{AttrValue, Classification, PolicyRef, RequestFacts, Session};
use crate::redact::{Pseudonyms, Summary};
use crate::route::{Candidate, OrgRules, Profile, Selector, Terms, Workload, ranking_usd};
use crate::usage::{AttemptFact, Timing, Unrecorded};

use super::conversation::{Known, Turn};
use super::facts::{self, CallView};
use super::repeats::{Print, Ticket};
use super::terms::{self, Limits};
use super::{admit, explain, settle};
pub(super) use ending::{Bill, Ending};
pub(super) use labels::Labels;
pub(super) use manner::Manner;

/// Bytes of a session id or a tag that a caller may attach.
const LABEL_BYTES_MAX: usize = 128;

/// When and as what a request began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Started {
    pub id: Uuid,
    pub at_ms: u64,
    pub watch: Stopwatch,
}

/// One request in the gateway.
pub(super) struct Flight {
    pub gateway: Arc<Gateway>,
    pub started: Started,
    pub id_text: String,
    pub manner: Manner,
    /// What translations lost so far.
    pub losses: Losses,
    pub caller: Arc<Caller>,
    pub call: Arc<Call>,
    /// What the model's name stands for, where it is an alias of the organization's.
    pub alias_of: Option<Arc<str>>,
    /// The profile that the caller asks for in a header, in place of the model's own.
    pub asked_profile: Option<Profile>,
    pub input_tokens: u32,
    /// The part of them that is audio and images.
    pub media_tokens: MediaTokens,
    pub tags: Vec<(String, String)>,
    pub labels: Labels,
    /// Of which conversation it is, where it can be told.
    pub turn: Option<Turn>,
    pub session: Session,
    pub pseudonyms: Pseudonyms,
    pub redacted: Vec<(&'static str, Summary)>,
    pub task: Classification,
    /// `None` until it is classified.
    pub classified_by: Option<Arc<PolicyRef>>,
    /// The class of data that it is of, as the caller says or the redact policy found.
    pub class: Option<Clearance>,
    /// What the caller asks of it beside the organization's rules.
    pub limits: Limits,
    /// Rules that are tried in place of the organization's own.
    pub rules: Option<Arc<OrgRules>>,
    /// What rules and the class of the data ask of it, if anything.
    pub terms: Option<Terms>,
    pub candidates: Vec<Candidate>,
    /// How large it is, as far as their costs were expected by it.
    pub work: Option<Workload>,
    /// The row that is tried before the best, so that its speed is learnt.
    pub tried_first: Option<usize>,
    pub plan: Vec<usize>,
    pub attempts: Vec<AttemptFact>,
    /// The row of an offer that was asked beside another and did not answer.
    pub asked_beside: Option<usize>,
    pub hold: Option<Hold>,
    pub held: PicoUsd,
    /// Offers of the plan with the output limit that the money allowed, where lower than asked.
    pub clamped: Vec<(Arc<Offer>, u32)>,
    pub first_content_us: Option<u64>,
    /// Who answered, and its index in the configured catalogue.
    pub served: Option<Arc<Offer>>,
    pub served_index: Option<usize>,
    pub timing: Timing,
    /// What tells it from others under its `idempotency-key`, until it has taken that key.
    pub print: Option<Print>,
    pub repeat: Option<Ticket>,
    pub reached: settle::Reached,
    /// What is kept under its `idempotency-key` for the next try, once this one is charged.
    pub tab: settle::Tab,
    /// What attempts that came to nothing cost the platform.
    pub lost: PicoUsd,
    /// What the platform bears of this request, as it was booked.
    pub absorbed: PicoUsd,
    /// What the provider gave, from its complete answer to the end: the platform has to pay it also
    /// when the caller leaves in between.
    pub received: Option<settle::Reported>,
    /// Its place under the rate limits; none where there are none.
    pub admission: Option<Admission>,
    /// What is left of them.
    pub standing: Option<Standing>,
    /// As long as it is there, the hour in which the request began is not complete.
    pub unrecorded: Option<Unrecorded>,
    ended: bool,
}

impl std::fmt::Debug for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flight").field("id", &self.id_text).finish_non_exhaustive()
    }
}

impl Flight {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        caller: Arc<Caller>,
        call: Call,
        started: Started,
        headers: &HeaderMap,
        manner: Manner,
    ) -> Result<Self, Box<Refusal>> {
        let call = Arc::new(call);
        let input_tokens = call.input_tokens_upper();
        let tags = tags::of(headers, gateway.settings.body_tags.then_some(&*call))?;
        let labels = Labels::of(headers);
        // Before anything is replaced: what stands for it may differ from turn to turn.
        let conversation = Known::of(&call, &labels);
        let turn = Turn::of(&gateway.affinity, &caller.org, &call, conversation);
        let media_tokens = call.media_tokens_upper();
        let alias_of = gateway.aliases.target(&caller.org, &call.model);
        // One that names no profile is refused where the headers are read.
        let asked_profile = terms::profile_of(headers).unwrap_or_default();
        let asked = (&*call.model, alias_of.as_deref(), asked_profile);
        let bindings = facts::bindings(&gateway, &caller, asked, conversation);
        let id_text = started.id.to_string();
        let attrs = attrs(&caller, &call, &tags, &labels, headers);
        let known = facts_of(&call, id_text.clone(), attrs);
        let mut session = Session::new(Arc::clone(&gateway.policy_engine), bindings, known);
        session.remember_clean_texts(&caller.key_id);
        Ok(Self {
            gateway,
            started,
            id_text,
            manner,
            losses: Losses::default(),
            caller,
            call,
            alias_of,
            asked_profile,
            input_tokens,
            media_tokens,
            tags,
            labels,
            turn,
            session,
            pseudonyms: Pseudonyms::default(),
            redacted: Vec::new(),
            task: unclassified(),
            classified_by: None,
            class: None,
            limits: Limits::default(),
            rules: None,
            terms: None,
            candidates: Vec::new(),
            work: None,
            tried_first: None,
            plan: Vec::new(),
            attempts: Vec::new(),
            asked_beside: None,
            hold: None,
            held: PicoUsd(0),
            clamped: Vec::new(),
            first_content_us: None,
            served: None,
            served_index: None,
            timing: Timing::default(),
            print: None,
            repeat: None,
            reached: settle::Reached::All,
            tab: settle::Tab::default(),
            lost: PicoUsd(0),
            absorbed: PicoUsd(0),
            received: None,
            admission: None,
            standing: None,
            unrecorded: None,
            ended: false,
        })
    }

    /// What a candidate's index stands for.
    pub(super) fn offer(&self, candidate: &Candidate) -> Option<&Arc<Offer>> {
        self.gateway.offers.offers().get(candidate.index)
    }

    /// The offer in that row of the candidates.
    pub(super) fn offer_of(&self, row: usize) -> Option<&Arc<Offer>> {
        self.offer(self.candidates.get(row)?)
    }

    /// The output limit that the money allowed this offer, where it is lower than asked.
    pub(super) fn clamp_of(&self, offer: &Offer) -> Option<u32> {
        let mut clamped = self.clamped.iter();
        clamped.find(|(known, _)| *known.id == *offer.id).map(|(_, limit)| *limit)
    }

    pub(super) fn selector(&self) -> Selector<'_> {
        selector(&self.call.model, self.alias_of.as_deref(), self.asked_profile)
    }

    /// Under which profile offers are scored, where no rule says otherwise.
    pub(super) fn profile(&self) -> Profile {
        self.asked_profile.unwrap_or(self.selector().profile())
    }

    /// Nothing happened that is worth a record: it was only asked what would.
    pub(super) fn leave_unrecorded(mut self: Box<Self>) {
        self.ended = true;
    }

    /// Ends the request with the gateway's own refusal; what was held returns.
    pub(super) fn refuse(mut self: Box<Self>, refusal: &Refusal) -> Response<GatewayBody> {
        let ending = if refusal.status.is_server_error() && !self.attempts.is_empty() {
            Ending::Failed
        } else {
            Ending::Refused
        };
        let mut response = refuse(refusal, self.manner.dialect, &self.id_text);
        admit::headers(&self, response.headers_mut());
        self.release(PicoUsd(0));
        self.end(ending, refusal.status.as_u16(), &Bill::default());
        response
    }

    /// Gives the hold back; `absorbed` is what the platform paid for nothing, besides what failed
    /// attempts cost.
    pub(super) fn release(&mut self, absorbed: PicoUsd) {
        if let Some(hold) = self.hold.take() {
            self.absorbed = absorbed.saturating_add(self.lost);
            hold.release(self.absorbed, crate::clock::now_ms());
        }
    }

    /// What the platform bears of the request that ends with this bill.
    pub(super) fn borne(&self, bill: &Bill) -> PicoUsd {
        bill.absorbed.max(self.absorbed)
    }

    /// An attempt came to nothing that the provider counted all the same: nobody is charged for it
    /// (pitfall 49).
    pub(super) fn bear(&mut self, offer: &Offer, reported: &settle::Reported) -> PicoUsd {
        if reported.usage.is_none() {
            return PicoUsd(0);
        }
        let cost = settle::absorbed(self, offer, reported, Ending::Failed);
        self.lost = self.lost.saturating_add(cost);
        cost
    }

    /// An attempt was left while its provider may have been at work, and nothing was counted: what
    /// its prompt comes to by the gateway's own count is the platform's.
    pub(super) fn bear_prompt(&mut self, offer: &Offer) -> PicoUsd {
        let cost = settle::absorbed(self, offer, &settle::Reported::default(), Ending::Failed);
        self.lost = self.lost.saturating_add(cost);
        cost
    }

    /// Records the end. The second call does nothing: a request ends once.
    pub(super) fn end(&mut self, ending: Ending, status: u16, bill: &Bill) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let took = self.started.watch.elapsed();
        let metrics = &self.gateway.metrics;
        metrics.request(ending.outcome(), status, took);
        if let Some(us) = self.first_content_us {
            metrics.first_content(std::time::Duration::from_micros(us));
        }
        metrics.usage(&bill.usage);
        if let Some(offer) = self.served.as_ref().filter(|_| bill.charged) {
            metrics.charged(&offer.provider, &offer.model, ranking_usd(bill.cost));
        }
        let borne = self.borne(bill);
        if !borne.is_zero() {
            metrics.absorbed(ranking_usd(borne));
        }
        admit::let_out(self, &bill.usage);
        match (self.repeat.take(), ending) {
            (Some(ticket), Ending::Partial | Ending::FailedPartial) if bill.is_booked() => {
                ticket.owing(self.tab);
            }
            (Some(ticket), _) if bill.is_booked() => ticket.answered(),
            // It came to nothing, or nothing was paid for it: the key is free again.
            (ticket, _) => drop(ticket),
        }
        settle::learn(self, ending, bill);
        explain::count_policies(self);
        let record = explain::record(self, ending, status, bill);
        self.gateway.recorder.record(record);
        drop(self.unrecorded.take());
    }

    /// What an answer that is made here calls itself.
    pub(super) fn naming(&self) -> Naming {
        Naming {
            id: self.id_text.clone(),
            created_s: self.started.at_ms / 1_000,
            model: self.call.model.clone(),
            include_usage: self.call.include_usage,
            input_tokens: self.input_tokens.into(),
            custom_tools: self.call.custom_tools(),
            long_tools: self.call.long_tools(),
        }
    }

    /// The content has begun to reach the caller.
    pub(super) fn mark_first_content(&mut self) {
        if self.first_content_us.is_none() {
            self.first_content_us = Some(self.started.watch.micros().into());
        }
    }
}

impl Drop for Flight {
    /// Only a request whose caller left before the answer is dropped without an end.
    fn drop(&mut self) {
        if !self.ended {
            let received = self.received.take();
            let absorbed = match (&received, &self.served) {
                (Some(reported), Some(offer)) => {
                    settle::absorbed(self, offer, reported, Ending::Failed)
                }
                _ => PicoUsd(0),
            };
            self.release(absorbed);
            self.end(Ending::Abandoned, 499, &Bill { absorbed, ..Bill::default() });
        }
    }
}

/// What a model's name asks for.
pub(super) fn selector<'a>(
    model: &'a str,
    alias_of: Option<&'a str>,
    profile: Option<Profile>,
) -> Selector<'a> {
    Selector::parse(alias_of.unwrap_or(model)).under(profile)
}

/// The task until a policy says which: the plainest there is, so that nothing is ruled out by it.
fn unclassified() -> Classification {
    Classification {
        task: "chat".to_owned(),
        difficulty: 0.5,
        confidence: 0.0,
        needs: Vec::new(),
        context_tokens: 0,
        attrs: Vec::new(),
    }
}

/// What policies are told of the call.
fn facts_of(call: &Arc<Call>, id: String, attrs: Vec<(String, AttrValue)>) -> RequestFacts {
    RequestFacts {
        id,
        protocol: call.dialect.label(),
        model: call.model.clone(),
        streaming: call.stream,
        // Of what is said alone: the same conversation is as hard in every dialect.
        input_tokens: call.said_tokens(),
        output_limit: call.output_limit,
        call: Arc::new(CallView(Arc::clone(call))),
        attrs,
    }
}

/// What policies may ask about the caller, by the names that `docs/policies` lists.
fn attrs(
    caller: &Caller,
    call: &Call,
    tags: &[(String, String)],
    labels: &Labels,
    headers: &HeaderMap,
) -> Vec<(String, AttrValue)> {
    let text = |name: &str, value: &str| (name.to_owned(), AttrValue::Text(value.to_owned()));
    let mut attrs = vec![
        text("caller.organization", &caller.org),
        text("caller.key", &caller.key_id),
        text("caller.clearance", caller.clearance.label()),
    ];
    let needs = [
        ("input.image", call.needs.image_input),
        ("input.audio", call.needs.audio_input),
        ("input.file", call.needs.file_input),
        ("needs.structured-output", call.needs.structured_output),
        ("needs.reasoning", call.needs.reasoning),
        ("input.token-ids", call.token_ids() > 0),
    ];
    attrs.extend(
        needs
            .into_iter()
            .filter(|(_, needed)| *needed)
            .map(|(name, _)| (name.to_owned(), AttrValue::Flag(true))),
    );
    let optional = [
        ("caller.team", &caller.team),
        ("caller.project", &caller.project),
        ("caller.user", &caller.user),
    ];
    for (name, value) in optional {
        attrs.extend(value.as_deref().map(|value| text(name, value)));
    }
    attrs.extend(tags.iter().map(|(name, value)| text(&format!("tag.{name}"), value)));
    let class = headers.get("x-turnpike-class").and_then(|value| value.to_str().ok());
    let class = class.filter(|value| value.len() <= LABEL_BYTES_MAX);
    let (session, agent) = (labels.session.as_deref(), labels.agent.as_deref());
    let more = [("session", session), ("agent", agent), ("data-class", class)];
    attrs.extend(more.into_iter().filter_map(|(name, value)| Some(text(name, value?))));
    attrs
}
