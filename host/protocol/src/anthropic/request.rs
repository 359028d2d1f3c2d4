//! A Messages request: read in one pass, written by splicing. Control members are checked where
//! they are acted on and otherwise left to the provider. Never merges `system` blocks and never
//! reorders.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::Dialect;
use crate::betas::{self, Betas};
use crate::call::{Call, Channel, MODEL_BYTES_MAX, Outgoing, Points as AnyPoints, Role};
use crate::content::Source;
use crate::draft::{Draft, Known, Mark};
use crate::labels::{is_call_id, is_name, is_version};
use crate::names::Names;
use crate::neutral::Losses;
use crate::neutral::loss::Severity;
use crate::openai_chat::refusal::{self, REFUSED};
use crate::openai_chat::request::service_tier;
use crate::quirks::{Envelope, Quirks, ThinkingWish};
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};
use crate::splice::{self, Edit};

use super::thoughts::{self, Item, Thoughts};
use super::{message, tools};

const REQUEST: &[&str] = &[
    "model",
    "messages",
    "system",
    "stream",
    "max_tokens",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "thread",
    "container",
    "anthropic_version",
    "anthropic_beta",
    "betas",
    "context_management",
    "mcp_servers",
    "fallbacks",
    "models",
    "route",
    "plugins",
    "preset",
    "inference_geo",
    "temperature",
    "top_p",
    "top_k",
];
/// Members that the newest models refuse.
const REFUSABLE: [&str; 3] = ["temperature", "top_p", "top_k"];
const THINKING: &[&str] = &["type", "budget_tokens", "display"];
const OUTPUT: &[&str] = &["format", "effort"];
/// Members that are names, in values that are walked as they are.
const KNOWN: Known = Known { labels: &["type", "ttl"], plain: is_version, sealed: &[] };
/// The same of a container and what it is given.
const CONTAINER: Known = Known {
    labels: &["id", "type", "skill_id", "version"],
    plain: |text| is_call_id(text) || is_version(text),
    sealed: &[],
};
/// The least budget for thinking that the provider takes.
pub(super) const BUDGET_MIN: u32 = 1_024;
/// In the bodies that clouds take in place of a header.
pub(super) const VERTEX_VERSION: &str = "vertex-2023-10-16";
pub(super) const BEDROCK_VERSION: &str = "bedrock-2023-05-31";

/// Where a request is spliced.
#[derive(Debug, Clone, Default)]
pub(crate) struct Points {
    /// Right behind the brace that opens the body.
    first: usize,
    /// Every member, key and value, in order.
    members: Vec<Range<usize>>,
    model: Member,
    stream: Option<Member>,
    max_tokens: Option<Member>,
    version: Option<Member>,
    /// `thinking`, where it has a budget: such a request demands that a turn which calls tools
    /// begins with thinking.
    thinking: Option<Member>,
    budget: Option<Budget>,
    /// Members that need a beta, with their indices.
    paired: Vec<(&'static str, usize)>,
    /// Members that some model refuses, with their indices and how much each is missed.
    refusable: Vec<(&'static str, usize, Option<Severity>)>,
    thoughts: Thoughts,
}

/// One member: which of the body's, and where its value is.
#[derive(Debug, Clone, Default)]
struct Member {
    index: usize,
    value: Range<usize>,
}

/// Tokens to think with, which must stay below the bound on the answer.
#[derive(Debug, Clone)]
struct Budget {
    tokens: u64,
    span: Range<usize>,
}

/// Control members while they are read.
#[derive(Debug, Default)]
struct Head {
    model: Option<String>,
    stream: bool,
    limit: Option<u32>,
    service_tier: Option<String>,
    /// The fast mode, which has a price of its own, as a tier has.
    fast: bool,
    thinking_enabled: bool,
}

/// Reads a whole request body.
pub(crate) fn parse(body: Bytes) -> Result<Call, RequestError> {
    let body_len = body.len();
    let text = String::from_utf8(Vec::from(body))
        .map_err(|error| RequestError::not_utf8(error.utf8_error().valid_up_to()))?;
    let source = Arc::new(text);
    let mut scanner = Scanner::of_request(&source);
    let mut draft = Draft::new(Arc::clone(&source));
    let (mut points, mut head) = (Points::default(), Head::default());
    let mut names = Names::new(REQUEST);
    scanner.open_object()?;
    points.first = scanner.position();
    loop {
        let item = Item::begin(&mut scanner);
        let Some(name) = names.next_in(&mut scanner, &mut draft, Mark::DOCUMENT)? else { break };
        let from = scanner.position();
        member(name, &mut draft, &mut scanner, &mut points, &mut head)?;
        // Without the white space behind the value, so that what stays is byte for byte the same.
        let behind = scanner.position();
        let read = scanner.raw(from..behind).trim_end().len();
        let end = from.saturating_add(read);
        let member = Member { index: points.members.len(), value: from..end };
        let value = scanner.raw(from..end);
        if REFUSABLE.contains(&name) && !refusal::stays(name, value) {
            let severity = refusal::severity(name, value);
            points.refusable.push((name, member.index, severity));
        }
        points.members.push(item.end(end));
        points.note(name, member, &head);
    }
    scanner.end()?;
    let model = head.model.ok_or_else(|| {
        RequestError::missing("model", "the name of a model, or auto to have one chosen")
    })?;
    if draft.messages.is_empty() {
        return Err(RequestError::missing_or_empty("messages", "an array of at least one message"));
    }
    // The data of a document is judged when its type is known.
    draft.media.spans.sort_by_key(|span| span.start);
    Ok(Call {
        dialect: Dialect::AnthropicMessages,
        model,
        stream: head.stream,
        include_usage: true,
        output_limit: head.limit,
        service_tier: if head.fast { Some("fast".to_owned()) } else { head.service_tier },
        choices: 1,
        messages: draft.messages,
        texts: draft.texts,
        tools: draft.tools,
        needs: draft.needs,
        body_len,
        betas: Vec::new(),
        media: draft.media,
        source: Source(source),
        points: AnyPoints::Anthropic(points),
    })
}

fn member(
    name: &'static str,
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    points: &mut Points,
    head: &mut Head,
) -> Result<(), RequestError> {
    match name {
        "model" => head.model = Some(model(scanner)?),
        "messages" => message::read_all(draft, scanner, &mut points.thoughts)?,
        "system" => {
            let mark = Mark { channel: Channel::System, role: Role::System, message: None };
            draft.sift(scanner, mark, &KNOWN)?;
        }
        "stream" => head.stream = flag(scanner, name)?,
        "max_tokens" => head.limit = limit(scanner, name)?,
        "tools" => tools::read_all(draft, scanner)?,
        "thinking" => (head.thinking_enabled, points.budget) = thinking(draft, scanner)?,
        "output_config" => output_config(draft, scanner)?,
        "output_format" => tools::format(draft, scanner)?,
        "service_tier" => head.service_tier = service_tier(draft, scanner, name)?,
        // A thread that goes on names only what is new: the rest would be lost to every check and
        // to every other provider.
        "thread" if !scanner.null()? => return Err(RequestError::threaded()),
        "thread" => {}
        "speed" if scanner.kind()? == Kind::String => {
            head.fast = draft.label(scanner, Mark::DOCUMENT, is_name)? == "fast";
        }
        "tool_choice" if scanner.kind()? == Kind::Object => {
            draft.structure(scanner, Mark::DOCUMENT, &["name"])?;
        }
        "tool_choice" | "anthropic_version" | "anthropic_beta" | "betas" => {
            draft.labels(scanner, Mark::DOCUMENT, is_version)?;
        }
        "container" if scanner.kind()? == Kind::String => {
            draft.labels(scanner, Mark::DOCUMENT, is_call_id)?;
        }
        "container" => draft.sift(scanner, Mark::DOCUMENT, &CONTAINER)?,
        // Elsewhere than anywhere costs more than the price that the hold is made of.
        "inference_geo" if scanner.kind()? == Kind::String => {
            let word = draft.label(scanner, Mark::DOCUMENT, is_name)?;
            if word != "global" {
                let expected = "global, or nothing: the gateway has no price for other places";
                return Err(RequestError::invalid(name, expected));
            }
        }
        // Other models would be served past the key's models, the price and the hold that this
        // request is judged by.
        "fallbacks" | "models" | "route" | "plugins" | "preset" => {
            let expected = "the request without it: the gateway chooses and prices the model";
            return Err(RequestError::invalid(name, expected));
        }
        _ => draft.sift(scanner, Mark::DOCUMENT, &KNOWN)?,
    }
    Ok(())
}

fn model(scanner: &mut Scanner<'_>) -> Result<String, RequestError> {
    let expected = "the name of a model as a string of 1 to 256 bytes";
    if scanner.kind()? != Kind::String {
        return Err(RequestError::invalid("model", expected));
    }
    let model = scanner.string()?.into_owned();
    if model.is_empty() || model.len() > MODEL_BYTES_MAX {
        return Err(RequestError::invalid("model", expected));
    }
    Ok(model)
}

fn flag(scanner: &mut Scanner<'_>, name: &str) -> Result<bool, RequestError> {
    match scanner.kind()? {
        Kind::Bool => Ok(scanner.boolean()?),
        Kind::Null => Ok(scanner.skip().map(|_| false)?),
        _ => Err(RequestError::invalid(name, "true or false")),
    }
}

/// A bound on answer tokens; 0 asks only for the prompt to be cached.
fn limit(scanner: &mut Scanner<'_>, name: &str) -> Result<Option<u32>, RequestError> {
    let expected =
        || format!("a whole number from 1 to {}, or 0 to have the prompt cached alone", u32::MAX);
    let refused = || RequestError::invalid(name, &expected());
    match scanner.kind()? {
        Kind::Null => Ok(scanner.skip().map(|_| None)?),
        Kind::Number => {
            let span = scanner.skip()?;
            scanner.raw(span).parse().map(Some).map_err(|_| refused())
        }
        _ => Err(refused()),
    }
}

/// Whether thinking is on with a budget. What the model may decide itself (`adaptive`) is no need:
/// callers send it to any model.
fn thinking(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
) -> Result<(bool, Option<Budget>), RequestError> {
    if scanner.null()? {
        return Ok((false, None));
    }
    if scanner.kind()? != Kind::Object {
        return Err(RequestError::invalid("thinking", "an object with a type"));
    }
    let (mut enabled, mut budget) = (false, None);
    let mut names = Names::new(THINKING);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        match (name, scanner.kind()?) {
            ("type", Kind::String) => {
                enabled = draft.label(scanner, Mark::DOCUMENT, is_name)? == "enabled";
            }
            ("budget_tokens", Kind::Number) => {
                let at = scanner.position();
                draft.walk(scanner, Mark::DOCUMENT, &[])?;
                let behind = scanner.position();
                let raw = scanner.raw(at..behind).trim_end();
                let span = at..at.saturating_add(raw.len());
                budget = raw.parse().ok().map(|tokens| Budget { tokens, span });
            }
            ("display", Kind::String) => draft.labels(scanner, Mark::DOCUMENT, is_name)?,
            _ => draft.walk(scanner, Mark::DOCUMENT, &[])?,
        }
    }
    draft.needs.reasoning |= enabled;
    Ok((enabled, budget.filter(|_| enabled)))
}

fn output_config(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    if scanner.kind()? != Kind::Object {
        return draft.walk(scanner, Mark::DOCUMENT, &[]);
    }
    let mut names = Names::new(OUTPUT);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        match name {
            "format" => tools::format(draft, scanner)?,
            "effort" => draft.labels(scanner, Mark::DOCUMENT, is_name)?,
            _ => draft.sift(scanner, Mark::DOCUMENT, &KNOWN)?,
        }
    }
    Ok(())
}

// === impl Points ===

impl Points {
    fn note(&mut self, name: &'static str, member: Member, head: &Head) {
        if betas::is_paired(name) {
            self.paired.push((name, member.index));
        }
        match name {
            "model" => self.model = member,
            "stream" => self.stream = Some(member),
            "max_tokens" => self.max_tokens = Some(member),
            "anthropic_version" => self.version = Some(member),
            "thinking" if head.thinking_enabled => self.thinking = Some(member),
            _ => {}
        }
    }

    /// Adds the edits that make the caller's request the host's. Thinking that another provider
    /// signed is left out: this one would refuse the whole conversation for it.
    pub(crate) fn edits(&self, betas: &[String], out: &Outgoing<'_>, edits: &mut Vec<Edit>) {
        self.host_edits(betas, out, edits);
        edits.extend(self.thoughts.removal(|thought| thought.foreign));
    }

    /// The same without any thinking of earlier turns; `None` if there is none.
    pub(crate) fn edits_without_thinking(
        &self,
        betas: &[String],
        out: &Outgoing<'_>,
        edits: &mut Vec<Edit>,
    ) -> Option<()> {
        if self.thoughts.is_empty() {
            return None;
        }
        self.host_edits(betas, out, edits);
        edits.extend(self.thoughts.removal(|_| true));
        // With a budget, the turn whose tools have just answered would have to begin with thinking.
        if self.thoughts.answers_tools {
            edits.extend(self.disable_thinking());
        }
        Some(())
    }

    fn disable_thinking(&self) -> Option<Edit> {
        let span = self.thinking.as_ref()?.value.clone();
        Some(Edit::raw(span, "{\"type\":\"disabled\"}".to_owned()))
    }

    /// A bound on the answer that is below the thinking budget would be refused: the budget gives
    /// way, or the thinking where too little is left for it.
    fn fit_budget(&self, limit: u32) -> Option<Edit> {
        let budget = self.budget.as_ref().filter(|budget| budget.tokens >= u64::from(limit))?;
        if limit > BUDGET_MIN {
            return Some(Edit::raw(budget.span.clone(), (limit - 1).to_string()));
        }
        self.disable_thinking()
    }

    /// Whether a member needs a beta, or is missed by as much where it is refused.
    pub(crate) fn is_refusable(&self, least: Severity) -> bool {
        let missed = |(_, _, severity): &(_, _, Option<Severity>)| *severity >= Some(least);
        !self.paired.is_empty() || self.refusable.iter().any(missed)
    }

    /// Notes what the model refuses or a cloud does not know, and is left out.
    pub(crate) fn note_refused(&self, asked: &[String], quirks: &Quirks, losses: &mut Losses) {
        for (name, _, severity) in self.refused(quirks) {
            if let Some(severity) = severity {
                losses.note(*severity, *name, REFUSED);
            }
        }
        if quirks.betas.is_none() {
            return;
        }
        let betas = Betas::towards(asked, quirks);
        betas.note(losses);
        for (name, _) in self.paired.iter().filter(|(name, _)| betas.drops(name)) {
            losses.dropped(*name, "the provider does not know the beta that it needs");
        }
    }

    fn refused<'a>(
        &'a self,
        quirks: &'a Quirks,
    ) -> impl Iterator<Item = &'a (&'static str, usize, Option<Severity>)> {
        self.refusable.iter().filter(|(name, ..)| quirks.refuses(name, ThinkingWish::Unsaid))
    }

    fn host_edits(&self, asked: &[String], out: &Outgoing<'_>, edits: &mut Vec<Edit>) {
        if let Some(limit) = out.output_limit {
            edits.push(match &self.max_tokens {
                Some(member) => Edit::raw(member.value.clone(), limit.to_string()),
                // There is always a member behind it: `messages`.
                None => self.insert(format!("\"max_tokens\":{limit},")),
            });
            edits.extend(self.fit_budget(limit));
        }
        let betas = Betas::towards(asked, out.quirks);
        let unpaired = self.paired.iter().filter(|(name, _)| betas.drops(name));
        let refused = self.refused(out.quirks).map(|(_, index, _)| *index);
        let mut removed: Vec<usize> = unpaired.map(|(_, index)| *index).chain(refused).collect();
        let (version, streams) = match out.quirks.envelope {
            Envelope::Plain => {
                let with = splice::literal(out.model);
                edits.push(Edit { span: self.model.value.clone(), with });
                edits.extend(thoughts::remove(&self.members, |index| removed.contains(&index)));
                return;
            }
            Envelope::Vertex => (VERTEX_VERSION, true),
            Envelope::Bedrock => (BEDROCK_VERSION, false),
        };
        removed.push(self.model.index);
        let sent: Vec<&str> = betas.known_alone().sent().collect();
        if out.quirks.envelope == Envelope::Bedrock && !sent.is_empty() {
            let list = serde_json::json!(sent);
            edits.push(self.insert(format!("\"anthropic_beta\":{list},")));
        }
        match &self.version {
            Some(member) => edits.push(Edit::literal(member.value.clone(), version)),
            None => edits.push(self.insert(format!("\"anthropic_version\":\"{version}\","))),
        }
        if let Some(member) = self.stream.as_ref().filter(|_| !streams) {
            removed.push(member.index);
        }
        edits.extend(thoughts::remove(&self.members, |index| removed.contains(&index)));
    }

    /// A new member in front of all others.
    fn insert(&self, member: String) -> Edit {
        Edit::raw(self.first..self.first, member)
    }
}
