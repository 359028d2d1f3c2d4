//! A request for vectors: read in one pass, written by splicing. Never rewrites what it need not.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::Dialect;
use crate::call::{Call, Channel, Message, Outgoing, Points as AnyPoints, Role};
use crate::content::Source;
use crate::draft::{Draft, Mark};
use crate::labels::is_name;
use crate::names::Names;
use crate::neutral::Losses;
use crate::openai_chat::place::Place;
use crate::openai_chat::request::model;
use crate::quirks::Quirks;
use crate::request_error::RequestError;
use crate::scan::{Kind, LoneSurrogate, Scanner};
use crate::splice::{self, Edit};

use super::INPUTS_MAX;

const REQUEST: &[&str] = &[
    "model",
    "input",
    "encoding_format",
    "dimensions",
    "user",
    "models",
    "route",
    "plugins",
    "preset",
];
/// Those that a provider may refuse.
const OPTIONAL: [&str; 3] = ["encoding_format", "dimensions", "user"];

/// Where a request is spliced, and what in it is not text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Points {
    model: Range<usize>,
    optional: Vec<(&'static str, Place)>,
    /// Tokens that the caller has cut its texts into.
    pub(crate) token_ids: usize,
    /// Vectors are wanted as base64.
    pub(super) coded: bool,
}

/// Reads a whole request body.
pub(super) fn parse(body: Bytes) -> Result<Call, RequestError> {
    let body_len = body.len();
    let text = String::from_utf8(Vec::from(body))
        .map_err(|error| RequestError::not_utf8(error.utf8_error().valid_up_to()))?;
    let source = Arc::new(text);
    let mut scanner = Scanner::new(&source, LoneSurrogate::Refuse);
    let mut draft = Draft::new(Arc::clone(&source));
    let mut points = Points::default();
    let mut asked = None;
    let mut names = Names::new(REQUEST);
    scanner.open_object()?;
    while let Some(name) = names.next_in(&mut scanner, &mut draft, Mark::DOCUMENT)? {
        if name == "model" {
            let (model, span) = model(&mut scanner)?;
            (asked, points.model) = (Some(model), span);
        } else if OPTIONAL.contains(&name) {
            let read = |scanner: &mut Scanner<'_>| member(name, &mut draft, scanner, &mut points);
            let ((), place) = Place::read(&mut scanner, read)?;
            points.optional.push((name, place));
        } else {
            member(name, &mut draft, &mut scanner, &mut points)?;
        }
    }
    scanner.end()?;
    let model = asked
        .ok_or_else(|| RequestError::missing("model", "the name of an embedding model, or auto"))?;
    if draft.messages.is_empty() {
        return Err(RequestError::missing_or_empty("input", "a text, or an array of at least one"));
    }
    Ok(Call {
        dialect: Dialect::OpenAiChat,
        model,
        stream: false,
        include_usage: false,
        output_limit: None,
        service_tier: None,
        choices: 1,
        messages: draft.messages,
        texts: draft.texts,
        tools: draft.tools,
        needs: draft.needs,
        body_len,
        betas: Vec::new(),
        media: draft.media,
        source: Source(source),
        points: AnyPoints::Embeddings(points),
    })
}

fn member(
    name: &str,
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    points: &mut Points,
) -> Result<(), RequestError> {
    match name {
        "input" => inputs(draft, scanner, points),
        "encoding_format" if scanner.kind()? == Kind::String => {
            points.coded = draft.label(scanner, Mark::DOCUMENT, is_name)? == "base64";
            Ok(())
        }
        // They would be served past the key's models, the price and the hold.
        "models" | "route" | "plugins" | "preset" => {
            let expected = "the request without it: the gateway chooses and prices the model";
            Err(RequestError::invalid(name, expected))
        }
        _ => draft.walk(scanner, Mark::DOCUMENT, &[]),
    }
}

/// A text, a list of texts, a list of tokens, or a list of such lists.
fn inputs(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    points: &mut Points,
) -> Result<(), RequestError> {
    match scanner.kind()? {
        Kind::String => return text(draft, scanner),
        Kind::Array => {}
        _ => return Err(refused()),
    }
    let start = scanner.position();
    let mut kind = None;
    scanner.open_array()?;
    while scanner.next_item()? {
        let found = scanner.kind()?;
        if *kind.get_or_insert(found) != found {
            return Err(RequestError::invalid("input", "either texts or tokens, not both"));
        }
        match found {
            Kind::String => text(draft, scanner)?,
            Kind::Array => {
                let from = scanner.position();
                scanner.open_array()?;
                let mut count = 0;
                while scanner.next_item()? {
                    token(scanner)?;
                    count += 1;
                }
                let to = scanner.position();
                tokens(draft, points, from..to, count)?;
            }
            Kind::Number => {
                token(scanner)?;
                points.token_ids = points.token_ids.saturating_add(1);
            }
            _ => return Err(refused()),
        }
    }
    if kind == Some(Kind::Number) {
        let (count, end) = (std::mem::take(&mut points.token_ids), scanner.position());
        tokens(draft, points, start..end, count)?;
    }
    Ok(())
}

fn refused() -> RequestError {
    RequestError::invalid("input", "a text, an array of texts, or an array of tokens")
}

fn token(scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    if scanner.kind()? != Kind::Number || scanner.whole_number()?.is_none() {
        return Err(RequestError::invalid("input", "tokens as whole numbers"));
    }
    Ok(())
}

/// One input that is text. An empty one is the provider's to judge.
fn text(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    let first = draft.texts.len();
    let message = Some(draft.next_message()?);
    let string = scanner.text()?;
    draft.push(string, Mark { channel: Channel::Text, role: Role::User, message })?;
    input(draft, first)
}

/// One input that is tokens, which are counted and not read.
fn tokens(
    draft: &mut Draft,
    points: &mut Points,
    span: Range<usize>,
    count: usize,
) -> Result<(), RequestError> {
    points.token_ids = points.token_ids.saturating_add(count);
    draft.media.spans.push(span);
    input(draft, draft.texts.len())
}

fn input(draft: &mut Draft, first: usize) -> Result<(), RequestError> {
    if draft.messages.len() >= INPUTS_MAX {
        return Err(RequestError::too_many("input", INPUTS_MAX));
    }
    let texts = first..draft.texts.len();
    draft.messages.push(Message { role: Role::User, texts, images: 0, audio: 0, files: 0 });
    Ok(())
}

// === impl Points ===

impl Points {
    /// Adds the edits that make the caller's request the host's.
    pub(crate) fn edits(&self, out: &Outgoing<'_>, edits: &mut Vec<Edit>) {
        edits.push(Edit { span: self.model.clone(), with: splice::literal(out.model) });
        edits.extend(Place::remove(self.refused(out.quirks).map(|(_, place)| place)));
    }

    /// Notes what the provider refuses and is left out.
    pub(crate) fn note_refused(&self, quirks: &Quirks, losses: &mut Losses) {
        for (name, _) in self.refused(quirks) {
            losses.dropped(*name, "the provider refuses it");
        }
    }

    fn refused(&self, quirks: &Quirks) -> impl Iterator<Item = (&&'static str, &Place)> {
        let known = self.optional.iter().map(|(name, place)| (name, place));
        known.filter(|(name, _)| quirks.refused.iter().any(|refused| refused == *name))
    }
}
