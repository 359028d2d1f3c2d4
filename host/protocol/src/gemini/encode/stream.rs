//! A streamed answer. Calls are written whole when they are complete, because this dialect has no
//! pieces of arguments; reasons to end and the usage come in the last event.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Usage;
use crate::gemini::{error, finish, tree, usage};
use crate::neutral::{Event, Finish, Losses, Opening, Signature, ToolKind};
use crate::sse::Frame;
use crate::translate::Naming;

use super::reply::{call, cite, facts, logprobs, own, sealed, thought};

/// What is known of the answer so far.
#[derive(Debug)]
pub(crate) struct Stream {
    naming: Naming,
    open: BTreeMap<u32, Open>,
    /// Reasons to end, in the order they came.
    finished: Vec<(u32, Finish)>,
    /// What stands beside the content, by choice.
    beside: BTreeMap<u32, Map<String, Value>>,
    usage: Option<Usage>,
    service_tier: Option<String>,
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    choice: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking,
    Call {
        id: Option<String>,
        name: String,
        kind: ToolKind,
        input: Hidden,
        proof: Option<Signature>,
    },
    /// Written when it opened.
    Whole,
}

type Hidden = crate::neutral::Words;

// === impl Stream ===

impl Stream {
    pub(crate) fn new(naming: Naming) -> Self {
        Self {
            naming,
            open: BTreeMap::new(),
            finished: Vec::new(),
            beside: BTreeMap::new(),
            usage: None,
            service_tier: None,
        }
    }

    /// Takes one event and writes what can be written.
    pub(crate) fn push(&mut self, event: Event, losses: &mut Losses, out: &mut Vec<Frame>) {
        match event {
            Event::Start { id, model, .. } => {
                self.naming.id = id.unwrap_or_else(|| std::mem::take(&mut self.naming.id));
                self.naming.model = model.unwrap_or_else(|| std::mem::take(&mut self.naming.model));
            }
            Event::Open { block, choice, opening } => {
                let kind = self.opened(choice, opening, losses, out);
                self.open.insert(block, Open { choice, kind });
            }
            Event::Delta { block, text } => self.delta(block, &text.0, out),
            Event::Signed { block, signature } => self.signed(block, signature, out),
            Event::Cited { block, citation } => {
                let choice = self.open.get(&block).map_or(0, |open| open.choice);
                cite(&citation.0, self.beside.entry(choice).or_default(), losses);
            }
            Event::Close { block } => self.close(block, out),
            Event::Logprobs { choice, value } => {
                let candidate = json!({"content": {"parts": [], "role": "model"},
                    "index": choice, "logprobsResult": logprobs(&value.0)});
                self.write(vec![candidate], None, out);
            }
            Event::Finish { choice, reason, stop_sequence } => {
                if stop_sequence.is_some() {
                    losses.dropped("stop_sequence", "not told which one was met");
                }
                self.finished.push((choice, reason));
            }
            Event::Usage { usage, service_tier } => {
                self.usage = Some(usage);
                self.service_tier = service_tier.or(self.service_tier.take());
            }
            // A comment would break clients that read lines of data alone.
            Event::Ping => {}
            Event::Error(failure) => out.push(Frame::made(None, &error::body(&facts(&failure)))),
            Event::End => self.end(out),
        }
    }

    fn opened(
        &mut self,
        choice: u32,
        opening: Opening,
        losses: &mut Losses,
        out: &mut Vec<Frame>,
    ) -> Kind {
        let part = match opening {
            Opening::Text | Opening::Refusal => return Kind::Text,
            Opening::Thinking => return Kind::Thinking,
            Opening::ToolCall { id, name, kind } => {
                return Kind::Call { id, name, kind, input: "".into(), proof: None };
            }
            Opening::SealedThinking(signature) => Some(sealed(&signature)),
            Opening::Media { media_type, base64 } => {
                Some(json!({"inlineData": {"mimeType": media_type, "data": base64.0}}))
            }
            Opening::Own(value) => own(&value.0, self.beside.entry(choice).or_default(), losses),
        };
        if let Some(part) = part {
            self.part(choice, &part, out);
        }
        Kind::Whole
    }

    fn delta(&mut self, block: u32, text: &str, out: &mut Vec<Frame>) {
        let Some(open) = self.open.get_mut(&block).filter(|_| !text.is_empty()) else { return };
        let choice = open.choice;
        let part = match &mut open.kind {
            Kind::Text => json!({"text": text}),
            Kind::Thinking => thought(text, None),
            Kind::Call { input, .. } => return input.0.push_str(text),
            Kind::Whole => return,
        };
        self.part(choice, &part, out);
    }

    fn signed(&mut self, block: u32, signature: Signature, out: &mut Vec<Frame>) {
        let Some(open) = self.open.get_mut(&block) else { return };
        let choice = open.choice;
        match &mut open.kind {
            Kind::Call { proof, .. } => *proof = Some(signature),
            Kind::Thinking => self.part(choice, &thought("", Some(&signature)), out),
            Kind::Text | Kind::Whole => self.part(choice, &sealed(&signature), out),
        }
    }

    fn close(&mut self, block: u32, out: &mut Vec<Frame>) {
        let Some(Open { choice, kind }) = self.open.remove(&block) else { return };
        if let Kind::Call { id, name, kind, input, proof } = kind {
            let part = call(id.as_deref(), &name, (&input.0, kind), proof.as_ref());
            self.part(choice, &part, out);
        }
    }

    fn part(&self, choice: u32, part: &Value, out: &mut Vec<Frame>) {
        let content = json!({"parts": [part], "role": "model"});
        self.write(vec![json!({"content": content, "index": choice})], None, out);
    }

    /// The last event: why each choice ended, and what was used.
    fn end(&mut self, out: &mut Vec<Frame>) {
        let blocks: Vec<u32> = self.open.keys().copied().collect();
        for block in blocks {
            self.close(block, out);
        }
        let finished = std::mem::take(&mut self.finished);
        let candidates = finished.into_iter().map(|(choice, reason)| {
            let mut candidate = Map::new();
            candidate
                .insert("content".to_owned(), json!({"parts": [{"text": ""}], "role": "model"}));
            candidate.insert("finishReason".to_owned(), json!(finish::write(reason)));
            candidate.insert("index".to_owned(), json!(choice));
            candidate.extend(self.beside.remove(&choice).unwrap_or_default());
            Value::Object(candidate)
        });
        let candidates = candidates.collect();
        let tier = self.service_tier.as_deref();
        let used = self.usage.as_ref().map(|used| usage::write(used, tier));
        self.write(candidates, used, out);
    }

    fn write(&self, candidates: Vec<Value>, used: Option<Value>, out: &mut Vec<Frame>) {
        let mut root = Map::new();
        root.insert("candidates".to_owned(), Value::Array(candidates));
        root.extend(used.map(|used| ("usageMetadata".to_owned(), used)));
        root.insert("modelVersion".to_owned(), json!(self.naming.model));
        root.insert("responseId".to_owned(), json!(self.naming.id));
        out.push(Frame::made(None, &tree::bytes(&Value::Object(root))));
    }
}
