//! A `generateContent` request: read in one pass, written by splicing. Control members are checked
//! where they are acted on and otherwise left to the provider. Never rewrites what it need not.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::call::{CHOICES_MAX, Call, MODEL_BYTES_MAX, Outgoing, Points as AnyPoints, Role};
use crate::content::Source;
use crate::draft::{Draft, Known, Mark};
use crate::labels::{is_function, is_media_type, is_name, is_path};
use crate::openai_chat::request::service_tier;
use crate::openai_chat::tools::schema;
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};
use crate::splice::Edit;
use crate::{Addressed, Dialect};

use super::keys::{Keys, each};
use super::{content, tools};

const REQUEST: &[&str] = &[
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
    "serviceTier",
];
const CONFIG: &[&str] = &[
    "maxOutputTokens",
    "candidateCount",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseLogprobs",
    "responseModalities",
    "thinkingConfig",
    "speechConfig",
    "mediaResolution",
];
const TOOL_CONFIG: &[&str] = &["functionCallingConfig"];
const CALLING: &[&str] = &["mode", "allowedFunctionNames"];
const SAFETY: Known =
    Known { labels: &["category", "threshold", "method"], plain: is_name, sealed: &[] };
const SPEECH: Known = Known {
    labels: &["languageCode", "language_code", "voiceName", "voice_name"],
    plain: is_name,
    sealed: &[],
};
const THINKING: &[&str] = &["thinkingBudget", "thinkingLevel", "includeThoughts"];

/// Where a request is spliced: only the bound on answer tokens is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Points {
    /// Behind the brace that opens the request.
    start: usize,
    config: Config,
}

/// Where `generationConfig` stands.
#[derive(Debug, Clone, Default)]
enum Config {
    #[default]
    Absent,
    Null(Range<usize>),
    /// Behind its brace, whether it has members, and its `maxOutputTokens`.
    There {
        at: usize,
        empty: bool,
        limit: Option<Range<usize>>,
    },
}

/// Control members while they are read.
#[derive(Debug, Default)]
struct Head {
    limit: Option<u32>,
    choices: Option<u32>,
    service_tier: Option<String>,
    config: Config,
}

/// Reads a whole request body.
pub(crate) fn parse(body: Bytes, addressed: &Addressed<'_>) -> Result<Call, RequestError> {
    let body_len = body.len();
    let model = addressed.model.unwrap_or_default();
    if model.is_empty() || model.len() > MODEL_BYTES_MAX {
        let expected = "the name of a model in the path, of 1 to 256 bytes";
        return Err(RequestError::missing("model", expected));
    }
    let text = String::from_utf8(Vec::from(body))
        .map_err(|error| RequestError::not_utf8(error.utf8_error().valid_up_to()))?;
    let source = Arc::new(text);
    let mut scanner = Scanner::of_request(&source);
    let mut draft = Draft::new(Arc::clone(&source));
    let mut head = Head::default();
    let mut keys = Keys::new(REQUEST);
    let start = scanner.position() + 1;
    scanner.open_object()?;
    while let Some(name) = keys.next_in(&mut scanner, &mut draft, Mark::DOCUMENT)? {
        member(name, &mut draft, &mut scanner, &mut head)?;
    }
    scanner.end()?;
    if draft.messages.is_empty() {
        return Err(RequestError::missing_or_empty("contents", "a list of at least one content"));
    }
    Ok(Call {
        dialect: Dialect::Gemini,
        model: model.to_owned(),
        stream: addressed.stream.unwrap_or(false),
        include_usage: true,
        output_limit: head.limit,
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
        points: AnyPoints::Gemini(Points { start, config: head.config }),
    })
}

fn member(
    name: &'static str,
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    head: &mut Head,
) -> Result<(), RequestError> {
    match name {
        "contents" => content::read_all(draft, scanner),
        "systemInstruction" => content::system(draft, scanner),
        "tools" => tools::read_all(draft, scanner),
        "generationConfig" => config(draft, scanner, head),
        "toolConfig" if scanner.kind()? == Kind::Object => tool_config(draft, scanner),
        "safetySettings" => draft.sift(scanner, Mark::DOCUMENT, &SAFETY),
        "cachedContent" => draft.labels(scanner, Mark::DOCUMENT, is_path),
        "serviceTier" => {
            let tier = service_tier(draft, scanner, name)?;
            // Vertex spells its words with what they are of.
            head.service_tier =
                tier.map(|tier| tier.strip_prefix("service_tier_").unwrap_or(&tier).to_owned());
            Ok(())
        }
        _ => draft.walk(scanner, Mark::DOCUMENT, &[]),
    }
}

fn tool_config(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    let mark = Mark::DOCUMENT;
    let mut keys = Keys::new(TOOL_CONFIG);
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, mark)? {
        if name.is_empty() || scanner.kind()? != Kind::Object {
            draft.walk(scanner, mark, &[])?;
            continue;
        }
        let mut keys = Keys::new(CALLING);
        scanner.open_object()?;
        while let Some(name) = keys.next_in(scanner, draft, mark)? {
            match name {
                "mode" => draft.labels(scanner, mark, is_name)?,
                "allowedFunctionNames" => draft.labels(scanner, mark, is_function)?,
                _ => draft.walk(scanner, mark, &[])?,
            }
        }
    }
    Ok(())
}

fn config(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    head: &mut Head,
) -> Result<(), RequestError> {
    match scanner.kind()? {
        Kind::Null => {
            head.config = Config::Null(scanner.skip()?);
            return Ok(());
        }
        Kind::Object => {}
        _ => return Err(RequestError::invalid("generationConfig", "an object")),
    }
    let at = scanner.position() + 1;
    let mut keys = Keys::new(CONFIG);
    let (mut empty, mut place) = (true, None);
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, Mark::DOCUMENT)? {
        empty = false;
        match name {
            "maxOutputTokens" => {
                let (limit, span) = whole(scanner, "generationConfig.maxOutputTokens", u32::MAX)?;
                (head.limit, place) = (limit, Some(span));
            }
            "candidateCount" => {
                head.choices = whole(scanner, "generationConfig.candidateCount", CHOICES_MAX)?.0;
            }
            _ => control(name, draft, scanner)?,
        }
    }
    head.config = Config::There { at, empty, limit: place };
    Ok(())
}

/// Members that tell what is needed but are not rewritten, and those that are not known.
fn control(
    name: &'static str,
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
) -> Result<(), RequestError> {
    match (name, scanner.kind()?) {
        ("responseMimeType", Kind::String) => {
            let mime = draft.label(scanner, Mark::DOCUMENT, is_media_type)?;
            draft.needs.structured_output |= !matches!(mime.as_ref(), "" | "text/plain");
        }
        ("responseSchema" | "responseJsonSchema", Kind::Object) => {
            (draft.needs.structured_output, draft.needs.schema) = (true, true);
            schema(draft, scanner)?;
        }
        ("responseLogprobs", Kind::Bool) => draft.needs.logprobs = scanner.boolean()?,
        ("responseModalities", _) => each(scanner, |scanner| {
            if scanner.kind()? != Kind::String {
                return draft.walk(scanner, Mark::DOCUMENT, &[]);
            }
            let item = draft.label(scanner, Mark::DOCUMENT, is_name)?;
            draft.needs.audio_output |= item.eq_ignore_ascii_case("audio");
            Ok(())
        })?,
        ("thinkingConfig", Kind::Object) => thinking(draft, scanner)?,
        ("speechConfig", _) => draft.sift(scanner, Mark::DOCUMENT, &SPEECH)?,
        ("mediaResolution", _) => draft.labels(scanner, Mark::DOCUMENT, is_name)?,
        _ => draft.walk(scanner, Mark::DOCUMENT, &[])?,
    }
    Ok(())
}

/// A budget of 0 switches thinking off; anything else asks for it.
fn thinking(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    let mut keys = Keys::new(THINKING);
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, Mark::DOCUMENT)? {
        let value = scanner.kind()?;
        match (name, value) {
            ("thinkingBudget", Kind::Number) => {
                let at = scanner.position();
                draft.walk(scanner, Mark::DOCUMENT, &[])?;
                let behind = scanner.position();
                draft.needs.reasoning |= scanner.raw(at..behind).trim_end() != "0";
            }
            ("thinkingLevel", Kind::String) => {
                draft.labels(scanner, Mark::DOCUMENT, is_name)?;
                draft.needs.reasoning = true;
            }
            ("includeThoughts", Kind::Bool) => draft.needs.reasoning |= scanner.boolean()?,
            _ => draft.walk(scanner, Mark::DOCUMENT, &[])?,
        }
    }
    Ok(())
}

fn whole(
    scanner: &mut Scanner<'_>,
    name: &str,
    max: u32,
) -> Result<(Option<u32>, Range<usize>), RequestError> {
    let refused = || RequestError::invalid(name, &format!("a whole number from 1 to {max}"));
    match scanner.kind()? {
        Kind::Null => Ok((None, scanner.skip()?)),
        Kind::Number => {
            let span = scanner.skip()?;
            let number = scanner.raw(span.clone()).parse().ok();
            let number = number.filter(|number| (1..=max).contains(number)).ok_or_else(refused)?;
            Ok((Some(number), span))
        }
        _ => Err(refused()),
    }
}

/// The role of a content, by its name.
pub(super) fn role_of(word: &str) -> Role {
    match word {
        "user" | "" => Role::User,
        "model" => Role::Assistant,
        "function" | "tool" => Role::Tool,
        "system" => Role::System,
        _ => Role::Other,
    }
}

// === impl Points ===

impl Points {
    /// Adds the edits that make the caller's request the host's. The model is in the URL.
    pub(crate) fn edits(&self, out: &Outgoing<'_>, edits: &mut Vec<Edit>) {
        let Some(limit) = out.output_limit else { return };
        let object = format!("{{\"maxOutputTokens\":{limit}}}");
        edits.push(match &self.config {
            // A request always has contents, so a comma is always right.
            Config::Absent => {
                Edit::raw(self.start..self.start, format!("\"generationConfig\":{object},"))
            }
            Config::Null(span) => Edit::raw(span.clone(), object),
            Config::There { limit: Some(span), .. } => Edit::raw(span.clone(), limit.to_string()),
            Config::There { at, empty, limit: None } => {
                let comma = if *empty { "" } else { "," };
                Edit::raw(*at..*at, format!("\"maxOutputTokens\":{limit}{comma}"))
            }
        });
    }
}
