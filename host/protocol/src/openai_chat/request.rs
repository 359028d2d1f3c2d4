//! A chat completion request: read in one pass, written by splicing. Control members are checked
//! where they are acted on and otherwise left to the provider. Never rewrites what it need not.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::Dialect;
use crate::call::{CHOICES_MAX, Call, LimitField, MODEL_BYTES_MAX, Outgoing, Points as AnyPoints};
use crate::content::Source;
use crate::draft::{Draft, Known, Mark};
use crate::labels::is_name;
use crate::names::Names;
use crate::neutral::Losses;
use crate::neutral::loss::Severity;
use crate::quirks::{Quirks, ThinkingWish};
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};
use crate::splice::{self, Edit};

use super::place::Place;
use super::refusal::{self, REFUSABLE, Refusable};
use super::{message, tools};

const REQUEST: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "models",
    "route",
    "plugins",
    "preset",
    "web_search_options",
    "tools",
    "functions",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "modalities",
    "logprobs",
    "tool_choice",
    "function_call",
    "service_tier",
    "audio",
    "input",
    "prediction",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "top_logprobs",
    "metadata",
    "parallel_tool_calls",
    "seed",
    "stop",
    "store",
    "temperature",
    "top_p",
    "fallbacks",
    "user",
];
const STREAM_OPTIONS: &[&str] = &["include_usage"];

/// Bytes of what may be the name of a service tier: `priority` has eight.
const TIER_BYTES_MAX: usize = 16;

/// A bound on answer tokens, as the caller wrote it.
#[derive(Debug, Clone)]
struct Limit {
    place: Place,
    null: bool,
}

/// What `stream_options` asks of usage.
#[derive(Debug, Clone, Default)]
enum UsageWish {
    #[default]
    Absent,
    /// `null` in place of the object.
    Null(Range<usize>),
    /// An object without `include_usage`: where its first member would be, and whether it has one.
    Silent {
        at: usize,
        empty: bool,
    },
    /// `include_usage` is there with another value than `true`.
    Declined(Range<usize>),
    Asked,
}

/// Where a request is spliced.
#[derive(Debug, Clone, Default)]
pub(crate) struct Points {
    model: Range<usize>,
    usage: UsageWish,
    stream_options: Option<Box<Place>>,
    max_tokens: Option<Limit>,
    max_completion_tokens: Option<Box<Limit>>,
    /// The bound to write where the member with the right name is null: the other one's.
    limit: Option<u32>,
    /// Members that some provider refuses.
    refusable: Vec<Refusable>,
    thinking: ThinkingWish,
}

/// Control members while they are read.
#[derive(Debug, Default)]
struct Head {
    model: Option<String>,
    stream: bool,
    limits: [Option<u32>; 2],
    choices: Option<u32>,
    service_tier: Option<String>,
    messages: bool,
    input: bool,
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
    while let Some(name) = names.next_in(&mut scanner, &mut draft, Mark::DOCUMENT)? {
        if !REFUSABLE.contains(&name) {
            member(name, &mut draft, &mut scanner, &mut points, &mut head)?;
            continue;
        }
        let read =
            |scanner: &mut Scanner<'_>| member(name, &mut draft, scanner, &mut points, &mut head);
        let ((), place) = Place::read(&mut scanner, read)?;
        let value = scanner.raw(place.value.clone());
        if !refusal::stays(name, value) {
            let severity = refusal::severity(name, value);
            points.refusable.push(Refusable { name, place, severity });
        }
    }
    scanner.end()?;
    points.limit = head.limits.into_iter().flatten().max();
    let model = head.model.ok_or_else(|| {
        RequestError::missing("model", "the name of a model, or auto to have one chosen")
    })?;
    if !head.messages && head.input {
        let expected = "an array of messages; a body with input belongs to /v1/responses";
        return Err(RequestError::missing("messages", expected));
    }
    if draft.messages.is_empty() {
        return Err(RequestError::missing_or_empty("messages", "an array of at least one message"));
    }
    Ok(Call {
        dialect: Dialect::OpenAiChat,
        model,
        stream: head.stream,
        include_usage: matches!(points.usage, UsageWish::Asked),
        output_limit: points.limit,
        service_tier: head.service_tier,
        choices: head.choices.unwrap_or(1),
        messages: draft.messages,
        texts: draft.texts,
        tools: draft.tools,
        needs: draft.needs,
        body_len,
        betas: Vec::new(),
        media: draft.media,
        source: Source(source),
        points: AnyPoints::OpenAiChat(points),
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
        "model" => {
            let (model, span) = model(scanner)?;
            (head.model, points.model) = (Some(model), span);
        }
        "messages" => {
            message::read_all(draft, scanner)?;
            head.messages = true;
        }
        "input" => {
            head.input = true;
            draft.walk(scanner, Mark::DOCUMENT, &[])?;
        }
        "stream" => head.stream = flag(scanner, name)?,
        "stream_options" => {
            let read = |scanner: &mut Scanner<'_>| stream_options(draft, scanner);
            let (usage, place) = Place::read(scanner, read)?;
            (points.usage, points.stream_options) = (usage, Some(Box::new(place)));
        }
        "max_tokens" => {
            let (limit, place) = Place::read(scanner, |scanner| limit(scanner, name, u32::MAX))?;
            head.limits[0] = limit;
            points.max_tokens = Some(Limit { place, null: limit.is_none() });
        }
        "max_completion_tokens" => {
            let (limit, place) = Place::read(scanner, |scanner| limit(scanner, name, u32::MAX))?;
            head.limits[1] = limit;
            let null = limit.is_none();
            points.max_completion_tokens = Some(Box::new(Limit { place, null }));
        }
        "service_tier" => head.service_tier = service_tier(draft, scanner, name)?,
        "n" => head.choices = limit(scanner, name, CHOICES_MAX)?,
        "tools" | "functions" => tools::read_all(draft, scanner, name)?,
        "response_format" => tools::response_format(draft, scanner)?,
        "logprobs" => draft.needs.logprobs = flag(scanner, name)?,
        // A list of other models, or work that is charged by the piece, would be served past the
        // key's models, the price and the hold that this request is judged by.
        "models" | "fallbacks" | "route" | "plugins" | "preset" | "web_search_options" => {
            let expected = "the request without it: the gateway chooses and prices the model";
            return Err(RequestError::invalid(name, expected));
        }
        "prediction" => {
            let known = Known { labels: &["type"], plain: is_name, sealed: &[] };
            draft.sift(scanner, Mark::DOCUMENT, &known)?;
        }
        _ => control(name, draft, scanner, &mut points.thinking)?,
    }
    Ok(())
}

/// Members that tell what is needed but are not rewritten, and those that are not known.
fn control(
    name: &'static str,
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    thinking: &mut ThinkingWish,
) -> Result<(), RequestError> {
    let kind = scanner.kind()?;
    match (name, kind) {
        ("reasoning_effort", Kind::String) => {
            let effort = draft.label(scanner, Mark::DOCUMENT, is_name)?;
            if *thinking != ThinkingWish::Asked {
                *thinking = ThinkingWish::of_effort(&effort);
            }
            draft.needs.reasoning |= *thinking == ThinkingWish::Asked;
        }
        ("reasoning", Kind::Object) => {
            draft.needs.reasoning = true;
            *thinking = ThinkingWish::Asked;
            let known = Known { labels: &["effort", "summary"], plain: is_name, sealed: &[] };
            draft.sift(scanner, Mark::DOCUMENT, &known)?;
        }
        ("modalities", Kind::Array) => {
            scanner.open_array()?;
            while scanner.next_item()? {
                let at = scanner.position();
                draft.labels(scanner, Mark::DOCUMENT, is_name)?;
                let item = draft.source.get(at..).unwrap_or_default();
                draft.needs.audio_output |= item.starts_with("\"audio\"");
            }
        }
        // The function's name stays what it is under `tools`, which `tools.rs` gives a reason for.
        ("tool_choice" | "function_call", Kind::Object) => {
            draft.structure(scanner, Mark::DOCUMENT, &["name"])?;
        }
        ("tool_choice" | "function_call", Kind::String) => {
            draft.labels(scanner, Mark::DOCUMENT, is_name)?;
        }
        ("audio", Kind::Object) => draft.structure(scanner, Mark::DOCUMENT, &[])?,
        _ => draft.walk(scanner, Mark::DOCUMENT, &[])?,
    }
    Ok(())
}

pub(crate) fn model(scanner: &mut Scanner<'_>) -> Result<(String, Range<usize>), RequestError> {
    let expected = "the name of a model as a string of 1 to 256 bytes";
    if scanner.kind()? != Kind::String {
        return Err(RequestError::invalid("model", expected));
    }
    let literal = scanner.literal()?;
    let model = scanner.decode(&literal).into_owned();
    if model.is_empty() || model.len() > MODEL_BYTES_MAX {
        return Err(RequestError::invalid("model", expected));
    }
    Ok((model, literal.span))
}

fn flag(scanner: &mut Scanner<'_>, name: &str) -> Result<bool, RequestError> {
    match scanner.kind()? {
        Kind::Bool => Ok(scanner.boolean()?),
        Kind::Null => Ok(scanner.skip().map(|_| false)?),
        _ => Err(RequestError::invalid(name, "true or false")),
    }
}

/// The tier asked for. The names that tiers have are not text; anything else is scanned as one.
pub(crate) fn service_tier(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    name: &str,
) -> Result<Option<String>, RequestError> {
    if scanner.null()? {
        return Ok(None);
    }
    if scanner.kind()? != Kind::String {
        return Err(RequestError::invalid(name, "a string or null"));
    }
    let string = scanner.text()?;
    let tier = scanner.decode(&string.0).to_ascii_lowercase();
    let belongs = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if tier.len() > TIER_BYTES_MAX || !tier.bytes().all(belongs) {
        draft.push(string, Mark::DOCUMENT)?;
    }
    Ok(Some(tier))
}

fn limit(scanner: &mut Scanner<'_>, name: &str, max: u32) -> Result<Option<u32>, RequestError> {
    let refused = || RequestError::invalid(name, &format!("a whole number from 1 to {max}"));
    match scanner.kind()? {
        Kind::Null => Ok(scanner.skip().map(|_| None)?),
        Kind::Number => {
            let span = scanner.skip()?;
            let number = scanner.raw(span).parse().ok();
            number.filter(|number| (1..=max).contains(number)).map(Some).ok_or_else(refused)
        }
        _ => Err(refused()),
    }
}

fn stream_options(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<UsageWish, RequestError> {
    match scanner.kind()? {
        Kind::Null => return Ok(UsageWish::Null(scanner.skip()?)),
        Kind::Object => {}
        _ => return Err(RequestError::invalid("stream_options", "an object")),
    }
    let at = scanner.position() + 1;
    let mut empty = true;
    let mut wish = None;
    let mut names = Names::new(STREAM_OPTIONS);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        empty = false;
        if name == "include_usage" {
            if !matches!(scanner.kind()?, Kind::Bool | Kind::Null) {
                let at = "stream_options.include_usage";
                return Err(RequestError::invalid(at, "true or false"));
            }
            let span = scanner.skip()?;
            let asked = scanner.raw(span.clone()) == "true";
            wish = Some(if asked { UsageWish::Asked } else { UsageWish::Declined(span) });
        } else {
            draft.walk(scanner, Mark::DOCUMENT, &[])?;
        }
    }
    Ok(wish.unwrap_or(UsageWish::Silent { at, empty }))
}

// === impl Points ===

impl Points {
    /// Adds the edits that make the caller's request the host's.
    pub(crate) fn edits(&self, stream: bool, out: &Outgoing<'_>, edits: &mut Vec<Edit>) {
        edits.push(Edit { span: self.model.clone(), with: splice::literal(out.model) });
        let mut unknown = None;
        if out.quirks.no_stream_options {
            unknown = self.stream_options.as_deref();
        } else if stream {
            edits.extend(self.usage_edit());
        }
        let other = self.limit_edits(out, edits);
        let refused = self.refused(out.quirks).map(|refused| &refused.place);
        edits.extend(Place::remove(unknown.into_iter().chain(other).chain(refused)));
    }

    /// Whether a member is missed by as much where it is refused.
    pub(crate) fn is_refusable(&self, least: Severity) -> bool {
        self.refusable.iter().any(|member| member.severity >= Some(least))
    }

    /// Notes what the provider refuses and is left out.
    pub(crate) fn note_refused(&self, quirks: &Quirks, losses: &mut Losses) {
        refusal::note(self.refused(quirks), losses);
    }

    fn refused<'a>(&'a self, quirks: &'a Quirks) -> impl Iterator<Item = &'a Refusable> {
        refusal::going(&self.refusable, quirks, self.thinking)
    }

    /// Whether the caller bounds the answer by the newer of the two names.
    pub(crate) fn has_completion_limit(&self) -> bool {
        self.max_completion_tokens.is_some()
    }

    fn usage_edit(&self) -> Option<Edit> {
        let object = "{\"include_usage\":true}";
        match &self.usage {
            UsageWish::Asked => None,
            UsageWish::Absent => Some(self.insert(format!(",\"stream_options\":{object}"))),
            UsageWish::Null(span) => Some(Edit::raw(span.clone(), object.to_owned())),
            UsageWish::Declined(span) => Some(Edit::raw(span.clone(), "true".to_owned())),
            UsageWish::Silent { at, empty } => {
                let comma = if *empty { "" } else { "," };
                Some(Edit::raw(*at..*at, format!("\"include_usage\":true{comma}")))
            }
        }
    }

    /// Writes the bound under the one name that the provider knows, and renames a member that has
    /// the other. Returns the member that is then one too many.
    fn limit_edits(&self, out: &Outgoing<'_>, edits: &mut Vec<Edit>) -> Option<&Place> {
        let (old, new) = (self.max_tokens.as_ref(), self.max_completion_tokens.as_deref());
        let (name, known, other) = match out.limit_field {
            LimitField::MaxTokens => ("max_tokens", old, new),
            LimitField::MaxCompletionTokens => ("max_completion_tokens", new, old),
        };
        let Some(limit) = known.or(other) else {
            let new = out.output_limit.map(|limit| format!(",\"{name}\":{limit}"));
            edits.extend(new.map(|member| self.insert(member)));
            return None;
        };
        if known.is_none() {
            edits.push(limit.place.rename(name));
        }
        // What stands there stays, unless it says nothing.
        let value = out.output_limit.or(self.limit.filter(|_| limit.null));
        let value = value.map(|value| value.to_string());
        edits.extend(value.map(|value| Edit::raw(limit.place.value.clone(), value)));
        known.and(other).map(|other| &other.place)
    }

    /// A new member right behind the model, which is always there.
    fn insert(&self, member: String) -> Edit {
        Edit::raw(self.model.end..self.model.end, member)
    }
}
