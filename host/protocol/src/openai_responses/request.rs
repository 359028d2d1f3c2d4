//! A Responses request: read in one pass, written by splicing. Control members are checked where
//! they are acted on and otherwise left to the provider. Never rewrites what it need not.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::Dialect;
use crate::call::{Call, Channel, MODEL_BYTES_MAX, Outgoing, PaidTools, Points as AnyPoints, Role};
use crate::content::Source;
use crate::draft::{Draft, Mark};
use crate::labels::{is_name, is_path};
use crate::names::Names;
use crate::neutral::Losses;
use crate::neutral::loss::Severity;
use crate::openai_chat::place::Place;
use crate::openai_chat::refusal::{self, REFUSED, Refusable};
use crate::openai_chat::request::service_tier;
use crate::openai_chat::tools;
use crate::quirks::{Quirks, ThinkingWish};
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};
use crate::splice::{self, Edit};

use super::{input, search};

const REQUEST: &[&str] = &[
    "model",
    "instructions",
    "input",
    "messages",
    "tools",
    "tool_choice",
    "stream",
    "max_output_tokens",
    "reasoning",
    "text",
    "include",
    "top_logprobs",
    "previous_response_id",
    "conversation",
    "prompt",
    "background",
    "service_tier",
    "truncation",
    "prompt_cache_retention",
    "models",
    "route",
    "plugins",
    "preset",
    "web_search_options",
    "fallbacks",
    "temperature",
    "top_p",
];
/// Members that models refuse which always think.
const REFUSABLE: &[&str] = &["temperature", "top_p", "top_logprobs"];
const REASONING: &[&str] = &["effort", "summary", "generate_summary"];
const TEXT: &[&str] = &["format", "verbosity"];
const FORMAT: &[&str] = &["type"];
const LOGPROBS: &str = "message.output_text.logprobs";

/// Where a request is spliced, and what it leaves to be found elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Points {
    model: Range<usize>,
    /// `max_output_tokens`, also where it is `null`.
    limit: Option<Range<usize>>,
    /// The member that names by its id what a provider keeps of the conversation: an earlier
    /// response, a conversation, a prompt or an item.
    pub(crate) elsewhere: Option<&'static str>,
    tools: Option<Range<usize>>,
    tool_choice: Option<Range<usize>>,
    /// Which of the tools search the web, and which are others that the provider charges by the
    /// piece, if the request leaves it to the model whether to.
    pub(crate) optional_searches: Vec<usize>,
    pub(crate) optional_hosted: Vec<usize>,
    refusable: Vec<Refusable>,
    /// By the effort that is asked for.
    thinking: ThinkingWish,
    /// Probabilities are asked for.
    logprobs: bool,
}

/// Control members while they are read.
#[derive(Debug, Default)]
struct Head {
    model: Option<String>,
    stream: bool,
    limit: Option<u32>,
    service_tier: Option<String>,
    messages: bool,
    input: bool,
}

/// Whether a body that came to the address of chat completions is of this dialect: it has `input`
/// and no `messages`, whatever the values below them hold.
pub(crate) fn is_meant(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    let mut scanner = Scanner::of_request(text);
    let mut input = false;
    if scanner.open_object().is_err() {
        return false;
    }
    while let Ok(Some(key)) = scanner.next_key() {
        match key.as_ref() {
            "messages" => return false,
            "input" => input = true,
            _ => {}
        }
        if scanner.skip().is_err() {
            return false;
        }
    }
    input
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
        let ((), place) = Place::read(&mut scanner, |scanner| control(name, &mut draft, scanner))?;
        let value = scanner.raw(place.value.clone());
        if !refusal::stays(name, value) {
            let severity = refusal::severity(name, value);
            points.refusable.push(Refusable { name, place, severity });
        }
    }
    scanner.end()?;
    points.logprobs = draft.needs.logprobs;
    if draft.needs.web_search || draft.needs.hosted_tools {
        points.find_paid(&source);
    }
    let model = head.model.ok_or_else(|| {
        RequestError::missing("model", "the name of a model, or auto to have one chosen")
    })?;
    if !head.input && points.elsewhere.is_none() {
        let expected = if head.messages {
            "a string or an array of items; a body with messages belongs to /v1/chat/completions"
        } else {
            "a string or an array of items"
        };
        return Err(RequestError::missing("input", expected));
    }
    Ok(Call {
        dialect: Dialect::OpenAiResponses,
        model,
        stream: head.stream,
        // Every stream of this dialect ends with usage.
        include_usage: true,
        output_limit: head.limit,
        service_tier: head.service_tier,
        choices: 1,
        messages: draft.messages,
        texts: draft.texts,
        tools: draft.tools,
        needs: draft.needs,
        body_len,
        betas: Vec::new(),
        media: draft.media,
        source: Source(source),
        points: AnyPoints::OpenAiResponses(points),
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
        "instructions" => instructions(draft, scanner)?,
        "input" => {
            head.input = scanner.kind()? != Kind::Null;
            let referred = input::read(draft, scanner)?;
            points.elsewhere = points.elsewhere.or(referred.then_some(name));
        }
        "messages" => {
            head.messages = true;
            draft.walk(scanner, Mark::DOCUMENT, &[])?;
        }
        "stream" => head.stream = flag(scanner, name)?,
        "max_output_tokens" => {
            let (limit, span) = limit(scanner, name)?;
            (head.limit, points.limit) = (limit, Some(span));
        }
        "tools" => {
            let at = scanner.position();
            tools::read_all(draft, scanner, name)?;
            points.tools = Some(at..scanner.position());
        }
        "tool_choice" => {
            let at = scanner.position();
            control(name, draft, scanner)?;
            points.tool_choice = Some(at..scanner.position());
        }
        "previous_response_id" | "conversation" => {
            let named = scanner.kind()? != Kind::Null;
            points.elsewhere = if named { Some(name) } else { points.elsewhere };
            input::named(draft, scanner)?;
        }
        "prompt" => {
            let named = scanner.kind()? != Kind::Null;
            points.elsewhere = points.elsewhere.or(named.then_some(name));
            input::prompt(draft, scanner)?;
        }
        "service_tier" => head.service_tier = service_tier(draft, scanner, name)?,
        "reasoning" if scanner.kind()? == Kind::Object => {
            points.thinking = reasoning(draft, scanner)?;
        }
        "background" => {
            if flag(scanner, name)? {
                let expected = "false: an answer is relayed while it is made and not kept";
                return Err(RequestError::invalid(name, expected));
            }
        }
        // A list of other models, or work that is charged by the piece, would be served past the
        // key's models, the price and the hold that this request is judged by.
        "models" | "fallbacks" | "route" | "plugins" | "preset" | "web_search_options" => {
            let expected = "the request without it: the gateway chooses and prices the model";
            return Err(RequestError::invalid(name, expected));
        }
        _ => control(name, draft, scanner)?,
    }
    Ok(())
}

/// Members that tell what is needed but are not rewritten, and those that are not known.
fn control(
    name: &'static str,
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
) -> Result<(), RequestError> {
    let kind = scanner.kind()?;
    match (name, kind) {
        ("text", Kind::Object) => text(draft, scanner)?,
        ("include", Kind::Array) => {
            scanner.open_array()?;
            while scanner.next_item()? {
                if scanner.kind()? == Kind::String {
                    let item = draft.label(scanner, Mark::DOCUMENT, is_path)?;
                    draft.needs.logprobs |= item == LOGPROBS;
                } else {
                    draft.walk(scanner, Mark::DOCUMENT, &[])?;
                }
            }
        }
        ("top_logprobs", Kind::Number) => {
            let at = scanner.position();
            draft.walk(scanner, Mark::DOCUMENT, &[])?;
            let count = draft.source.get(at..).unwrap_or_default();
            draft.needs.logprobs |= !count.starts_with(['0', '-']);
        }
        ("tool_choice", Kind::Object) => draft.structure(scanner, Mark::DOCUMENT, &["name"])?,
        ("tool_choice" | "truncation" | "prompt_cache_retention", Kind::String) => {
            draft.labels(scanner, Mark::DOCUMENT, is_name)?;
        }
        _ => draft.walk(scanner, Mark::DOCUMENT, &[])?,
    }
    Ok(())
}

/// Instructions count as a message of the application's.
fn instructions(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    match scanner.kind()? {
        Kind::Null => Ok(scanner.skip().map(|_| ())?),
        Kind::String => input::lone(draft, scanner, Role::System, Channel::System),
        _ => Err(RequestError::invalid("instructions", "a string")),
    }
}

/// Reads what is asked of thinking, and what by its effort.
fn reasoning(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<ThinkingWish, RequestError> {
    let mut names = Names::new(REASONING);
    let mut wish = ThinkingWish::Unsaid;
    draft.needs.reasoning = true;
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        match (name, scanner.kind()?) {
            ("effort", Kind::String) => {
                let effort = draft.label(scanner, Mark::DOCUMENT, is_name)?;
                wish = ThinkingWish::of_effort(&effort);
                draft.needs.reasoning = wish == ThinkingWish::Asked;
            }
            ("summary" | "generate_summary", Kind::String) => {
                draft.labels(scanner, Mark::DOCUMENT, is_name)?;
            }
            _ => draft.walk(scanner, Mark::DOCUMENT, &[])?,
        }
    }
    Ok(wish)
}

fn text(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    let mut names = Names::new(TEXT);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        match (name, scanner.kind()?) {
            ("format", Kind::Object) => format(draft, scanner)?,
            ("verbosity", Kind::String) => draft.labels(scanner, Mark::DOCUMENT, is_name)?,
            _ => draft.walk(scanner, Mark::DOCUMENT, &[])?,
        }
    }
    Ok(())
}

fn format(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    let mut names = Names::new(FORMAT);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, Mark::DOCUMENT)? {
        if (name, scanner.kind()?) == ("type", Kind::String) {
            let kind = draft.label(scanner, Mark::DOCUMENT, is_name)?;
            draft.needs.schema = kind == "json_schema";
            draft.needs.structured_output = draft.needs.schema || kind == "json_object";
        } else {
            tools::schema(draft, scanner)?;
        }
    }
    Ok(())
}

fn model(scanner: &mut Scanner<'_>) -> Result<(String, Range<usize>), RequestError> {
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

fn limit(
    scanner: &mut Scanner<'_>,
    name: &str,
) -> Result<(Option<u32>, Range<usize>), RequestError> {
    let kind = scanner.kind()?;
    let span = scanner.skip()?;
    if kind == Kind::Null {
        return Ok((None, span));
    }
    let number = (kind == Kind::Number).then(|| scanner.raw(span.clone()).parse::<u32>().ok());
    match number.flatten().filter(|number| *number > 0) {
        Some(number) => Ok((Some(number), span)),
        None => {
            let expected = format!("a whole number from 1 to {}", u32::MAX);
            Err(RequestError::invalid(name, &expected))
        }
    }
}

// === impl Points ===

impl Points {
    fn find_paid(&mut self, source: &str) {
        let text = |span: &Option<Range<usize>>| source.get(span.clone()?);
        if search::is_optional(text(&self.tool_choice)) {
            let list = text(&self.tools).unwrap_or_default();
            let places = |which| search::find(list, which).places;
            let (none, yes) = (PaidTools::default(), true);
            self.optional_searches = places(PaidTools { searches: yes, ..none });
            self.optional_hosted = places(PaidTools { hosted: yes, ..none });
        }
    }

    /// Adds the edits that take those tools out.
    pub(crate) fn cut_paid(&self, which: PaidTools, source: &str, edits: &mut Vec<Edit>) {
        let Some(span) = self.tools.clone() else { return };
        let list = source.get(span.clone()).unwrap_or_default();
        let cuts = search::find(list, which).cuts;
        for cut in cuts {
            let cut = span.start.saturating_add(cut.start)..span.start.saturating_add(cut.end);
            // What was replaced in it goes with it.
            edits.retain(|edit| edit.span.start < cut.start || edit.span.end > cut.end);
            edits.push(Edit::raw(cut, String::new()));
        }
    }

    /// Whether a member is missed by as much where it is refused.
    pub(crate) fn is_refusable(&self, least: Severity) -> bool {
        self.logprobs || self.refusable.iter().any(|member| member.severity >= Some(least))
    }

    /// Notes what the provider refuses and is left out.
    pub(crate) fn note_refused(&self, quirks: &Quirks, losses: &mut Losses) {
        refusal::note(self.refused(quirks), losses);
        if self.logprobs && quirks.refuses("logprobs", self.thinking) {
            losses.unsupported("logprobs", REFUSED);
        }
    }

    fn refused<'a>(&'a self, quirks: &'a Quirks) -> impl Iterator<Item = &'a Refusable> {
        refusal::going(&self.refusable, quirks, self.thinking)
    }

    /// Adds the edits that make the caller's request the host's.
    pub(crate) fn edits(&self, out: &Outgoing<'_>, edits: &mut Vec<Edit>) {
        edits.push(Edit { span: self.model.clone(), with: splice::literal(out.model) });
        edits.extend(Place::remove(self.refused(out.quirks).map(|refused| &refused.place)));
        let Some(limit) = out.output_limit else { return };
        edits.push(match &self.limit {
            Some(span) => Edit::raw(span.clone(), limit.to_string()),
            // Right behind the model, which is always there.
            None => {
                let at = self.model.end;
                Edit::raw(at..at, format!(",\"max_output_tokens\":{limit}"))
            }
        });
    }
}
