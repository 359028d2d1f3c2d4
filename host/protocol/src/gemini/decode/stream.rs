//! A streamed answer. Reasons to end are held until the body ends: some servers repeat them in
//! every chunk, and content may follow. Never keeps text.

use serde_json::{Map, Value, json};

use crate::Usage;
use crate::answer::AnswerError;
use crate::chunk::StreamError;
use crate::content::Content;
use crate::gemini::tree::{self, Members, take, take_object, take_string, take_u32};
use crate::gemini::{error, finish, usage};
use crate::neutral::{Event, Finish, MediaSource, Opening, Signature, ToolKind, Words};
use crate::scan::{LoneSurrogate, Scanner};
use crate::sse::Frame;

use super::piece::{self, Piece, Read};

/// Candidates that are followed; Google makes eight at most.
const CANDIDATES_MAX: usize = 128;

/// What the stream has said so far.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    started: bool,
    over: bool,
    blocks: u32,
    candidates: Vec<Candidate>,
    /// Searches that Google made so far.
    searches: u64,
    /// Why there is no answer.
    failed: Option<StreamError>,
}

/// One candidate.
#[derive(Debug)]
struct Candidate {
    index: u32,
    /// The block that grows, and whether it is thinking.
    open: Option<(u32, bool)>,
    called: bool,
    finish: Option<Finish>,
}

// === impl Stream ===

impl Stream {
    /// Takes one event.
    pub(crate) fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), AnswerError> {
        if !frame.carries_data() {
            return Ok(());
        }
        self.payload(&frame.data, out)
    }

    /// Takes one payload, or a list of them.
    pub(super) fn payload(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), AnswerError> {
        let value: Value = serde_json::from_slice(data)
            .map_err(|_| AnswerError { at: 0, what: "expected a JSON object" })?;
        for item in tree::items(Some(value)) {
            let Value::Object(members) = item else {
                return Err(AnswerError { at: 0, what: "expected a JSON object" });
            };
            self.answer(members, out);
        }
        Ok(())
    }

    fn answer(&mut self, mut members: Members, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        if let Some(error) = take(&mut members, "error").as_ref().and_then(error_of) {
            self.over = true;
            out.push(Event::Error(error));
            return;
        }
        if !self.started {
            self.started = true;
            out.push(Event::Start {
                id: take_string(&mut members, "responseId"),
                model: take_string(&mut members, "modelVersion"),
                created_s: None,
            });
        }
        for candidate in tree::items(take(&mut members, "candidates")) {
            if let Value::Object(candidate) = candidate {
                self.candidate(candidate, out);
            }
        }
        if let Some(feedback) = take_object(&mut members, "promptFeedback") {
            self.blocked(feedback, out);
        }
        if let Some(report) = take(&mut members, "usageMetadata") {
            let report = usage::of(&report);
            let service_tier = report.service_tier;
            let searches = self.searches;
            out.extend(
                report
                    .usage
                    .map(|usage| Event::Usage { usage: Usage { searches, ..usage }, service_tier }),
            );
        }
        // After what it cost all the same.
        if let Some(error) = self.failed.take() {
            self.over = true;
            out.push(Event::Error(error));
        }
    }

    fn candidate(&mut self, mut members: Members, out: &mut Vec<Event>) {
        let index = take_u32(&mut members, "index").unwrap_or(0);
        let Some(place) = self.place_of(index) else { return };
        let mut content = take_object(&mut members, "content").unwrap_or_default();
        for part in tree::items(take(&mut content, "parts")) {
            self.part(place, piece::read(part), out);
        }
        let mut beside = Map::new();
        if let Some(grounding) = take(&mut members, "groundingMetadata") {
            self.searches = self.searches.max(usage::searches(&grounding));
            let links = links(&grounding);
            if links.is_empty() {
                beside.insert("groundingMetadata".to_owned(), grounding);
            }
            links.into_iter().for_each(|link| self.cite(place, link, out));
        }
        for name in ["citationMetadata", "urlContextMetadata"] {
            beside.extend(take(&mut members, name).map(|value| (name.to_owned(), value)));
        }
        if !beside.is_empty() {
            self.cite(place, Value::Object(beside), out);
        }
        if let Some(value) = take_object(&mut members, "logprobsResult").map(logprobs) {
            out.push(Event::Logprobs { choice: index, value: value.into() });
        }
        let reason = take_string(&mut members, "finishReason");
        if self.blocks == 0 && reason.as_deref().is_some_and(finish::is_failure) {
            self.failed = Some(failure(reason.clone(), take_string(&mut members, "finishMessage")));
        }
        let reason = reason.as_deref().and_then(finish::read);
        if let Some(candidate) = self.candidates.get_mut(place) {
            candidate.finish = reason.or(candidate.finish);
        }
    }

    /// The place of a candidate in the list; `None` beyond the bound.
    fn place_of(&mut self, index: u32) -> Option<usize> {
        let known = self.candidates.iter().position(|candidate| candidate.index == index);
        if known.is_none() && self.candidates.len() < CANDIDATES_MAX {
            self.candidates.push(Candidate { index, open: None, called: false, finish: None });
            return Some(self.candidates.len() - 1);
        }
        known
    }

    fn part(&mut self, place: usize, read: Read, out: &mut Vec<Event>) {
        let Read { piece, thought, signature, .. } = read;
        match piece {
            Piece::Text { text, thought } => {
                let block = self.grow(place, thought, out);
                out.push(Event::Delta { block, text: text.into() });
                self.sign(place, thought, signature, out);
            }
            Piece::Nothing => self.sign(place, thought, signature, out),
            Piece::Call(call) => {
                if let Some(candidate) = self.candidates.get_mut(place) {
                    candidate.called = true;
                }
                let (id, name, kind) = (call.id, call.name, ToolKind::Function);
                let block = self.whole(place, Opening::ToolCall { id, name, kind }, out);
                out.push(Event::Delta { block, text: call.input });
                out.extend(signature.map(|signature| Event::Signed { block, signature }));
                out.push(Event::Close { block });
            }
            Piece::Media(media) => {
                let opening = match media.source {
                    MediaSource::Inline { media_type, base64 } => {
                        Opening::Media { media_type, base64 }
                    }
                    MediaSource::Url { url, .. } => own_file(&url.0),
                    MediaSource::FileId(uri) => own_file(&uri),
                    MediaSource::Text(_) => return,
                };
                let block = self.whole(place, opening, out);
                out.push(Event::Close { block });
                self.sign(place, false, signature, out);
            }
            Piece::Own(value) => {
                let block = self.whole(place, Opening::Own(value.into()), out);
                out.push(Event::Close { block });
                self.sign(place, false, signature, out);
            }
            Piece::Result(_) => {}
        }
    }

    /// The block that text of this kind is added to; opened if another is.
    fn grow(&mut self, place: usize, thought: bool, out: &mut Vec<Event>) -> u32 {
        let open = self.candidates.get(place).and_then(|candidate| candidate.open);
        if let Some((block, _)) = open.filter(|(_, thinking)| *thinking == thought) {
            return block;
        }
        let opening = if thought { Opening::Thinking } else { Opening::Text };
        let block = self.whole(place, opening, out);
        if let Some(candidate) = self.candidates.get_mut(place) {
            candidate.open = Some((block, thought));
        }
        block
    }

    /// Opens a block after closing the one that grew.
    fn whole(&mut self, place: usize, opening: Opening, out: &mut Vec<Event>) -> u32 {
        self.close(place, out);
        let choice = self.candidates.get(place).map_or(0, |candidate| candidate.index);
        let block = self.blocks;
        self.blocks = self.blocks.saturating_add(1);
        out.push(Event::Open { block, choice, opening });
        block
    }

    fn close(&mut self, place: usize, out: &mut Vec<Event>) {
        let open = self.candidates.get_mut(place).and_then(|candidate| candidate.open.take());
        out.extend(open.map(|(block, _)| Event::Close { block }));
    }

    /// A signature ends the thinking that it proves. That of a text, which Google wants back only
    /// if it is at hand, goes nowhere: behind the text it would be the last block of an answer, and
    /// clients take that for the answer. That of thinking that is not shown stands before the text.
    fn sign(
        &mut self,
        place: usize,
        thought: bool,
        signature: Option<Signature>,
        out: &mut Vec<Event>,
    ) {
        let Some(signature) = signature else { return };
        let open = self.candidates.get(place).and_then(|candidate| candidate.open);
        match open {
            Some((block, true)) if thought => {
                out.push(Event::Signed { block, signature });
                self.close(place, out);
            }
            Some((_, false)) => {}
            _ => {
                let block = self.whole(place, Opening::SealedThinking(signature), out);
                out.push(Event::Close { block });
            }
        }
    }

    /// Sources belong to the text that is open; where none is, they stand alone.
    fn cite(&mut self, place: usize, citation: Value, out: &mut Vec<Event>) {
        let open = self.candidates.get(place).and_then(|candidate| candidate.open);
        if let Some((block, false)) = open {
            out.push(Event::Cited { block, citation: citation.into() });
            return;
        }
        let block = self.whole(place, Opening::Own(citation.into()), out);
        out.push(Event::Close { block });
    }

    /// A prompt that was blocked has no candidates: the refusal is the answer.
    fn blocked(&mut self, mut feedback: Members, out: &mut Vec<Event>) {
        let Some(reason) = take_string(&mut feedback, "blockReason") else { return };
        if !self.candidates.is_empty() || reason == "BLOCK_REASON_UNSPECIFIED" {
            return;
        }
        let message = take_string(&mut feedback, "blockReasonMessage");
        let message = message
            .unwrap_or_else(|| format!("The provider's filter blocked the prompt: {reason}."));
        let Some(place) = self.place_of(0) else { return };
        let block = self.whole(place, Opening::Refusal, out);
        out.push(Event::Delta { block, text: Words::from(message) });
        out.push(Event::Close { block });
        if let Some(candidate) = self.candidates.get_mut(place) {
            candidate.finish = Some(Finish::ContentFilter);
        }
    }

    /// The body has ended: so has the answer, if every candidate said why it ended.
    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) {
        let complete = !self.candidates.is_empty()
            && self.candidates.iter().all(|candidate| candidate.finish.is_some());
        if self.over || !complete {
            return;
        }
        self.over = true;
        for place in 0..self.candidates.len() {
            self.close(place, out);
        }
        for candidate in &self.candidates {
            let reason = match candidate.finish.unwrap_or(Finish::Other) {
                Finish::Stop if candidate.called => Finish::ToolCalls,
                other => other,
            };
            out.push(Event::Finish { choice: candidate.index, reason, stop_sequence: None });
        }
        out.push(Event::End);
    }
}

fn own_file(uri: &str) -> Opening {
    Opening::Own(json!({"fileData": {"fileUri": uri}}).into())
}

/// The pages that an answer is grounded on, where it has any: an address and a title each, and all
/// that Google said with the first.
fn links(grounding: &Value) -> Vec<Value> {
    let chunks = grounding.get("groundingChunks").and_then(Value::as_array);
    let pages = chunks.into_iter().flatten().filter_map(|chunk| chunk.get("web"));
    let pages = pages.filter(|page| page.get("uri").is_some_and(Value::is_string));
    let link = |page: &Value| {
        let (uri, title) = (page.get("uri"), page.get("title"));
        json!({"uri": uri, "title": title, "grounding": null})
    };
    let mut links: Vec<Value> = pages.map(link).collect();
    if let Some(first) = links.first_mut().and_then(Value::as_object_mut) {
        first.insert("grounding".to_owned(), grounding.clone());
    }
    links
}

/// A model that wrote a call which nobody can read has not answered: another may.
fn failure(reason: Option<String>, message: Option<String>) -> StreamError {
    let message = message.unwrap_or_else(|| "the model's call of a tool can't be read".to_owned());
    StreamError {
        message: Content::from_string(message),
        kind: Some("server_error".to_owned()),
        code: reason.map(|reason| reason.to_ascii_lowercase()),
    }
}

fn error_of(value: &Value) -> Option<StreamError> {
    let raw = value.to_string();
    error::read(&mut Scanner::new(&raw, LoneSurrogate::Accept)).ok()?
}

/// Probabilities in the shape of OpenAI chat.
fn logprobs(mut result: Members) -> Value {
    let chosen = tree::items(take(&mut result, "chosenCandidates"));
    let top = tree::items(take(&mut result, "topCandidates"));
    let content: Vec<Value> = chosen
        .iter()
        .enumerate()
        .map(|(step, token)| {
            let others = top.get(step).and_then(|top| top.get("candidates"));
            let others = others.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let mut token = probability(token);
            if let Some(members) = token.as_object_mut() {
                let others = others.iter().map(probability).collect();
                members.insert("top_logprobs".to_owned(), Value::Array(others));
            }
            token
        })
        .collect();
    json!({"content": content, "refusal": null})
}

fn probability(token: &Value) -> Value {
    let text = token.get("token").and_then(Value::as_str).unwrap_or_default();
    let logprob = token.get("logProbability").cloned().unwrap_or_else(|| json!(0));
    json!({"token": text, "logprob": logprob, "bytes": text.as_bytes()})
}
