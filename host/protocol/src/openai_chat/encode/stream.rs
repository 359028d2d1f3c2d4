//! A streamed answer as chat completion chunks, all with one id. The role comes first, names of
//! tools once, usage in a chunk without choices and only if wanted. Keeps the thinking of the block
//! that is open, because its signature comes last and is worth nothing without it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Usage;
use crate::neutral::{Event, Finish, Issuer, Losses, Opening, Signature, ToolKind, Words};
use crate::sse::{DONE, Frame};
use crate::translate::Naming;

use super::reply::{tier_word, usage_value};
use super::{annotation, chosen, thinking, tool};

/// A comment, which every reader of events passes over.
const PING: &[u8] = b": ping\n\n";

/// The state of one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    naming: Naming,
    id: String,
    model: String,
    created_s: u64,
    choices: BTreeMap<u32, Choice>,
    blocks: HashMap<u32, Block>,
    /// Tool calls so far, over all choices.
    calls: usize,
    usage: Option<(Usage, Option<String>)>,
}

#[derive(Debug, Default)]
struct Choice {
    calls: u32,
    details: usize,
    /// Characters of content so far, which citations count in.
    characters: usize,
    thought: bool,
    refused: bool,
    finished: bool,
}

#[derive(Debug)]
struct Block {
    choice: u32,
    role: Part,
}

/// What an open block is.
#[derive(Debug)]
enum Part {
    /// Where its text begins in the content.
    Text(usize),
    Refusal,
    Thinking {
        text: Words,
        signature: Option<Signature>,
        begun: bool,
    },
    Function {
        index: u32,
        id: String,
        written: bool,
    },
    Custom {
        index: u32,
        id: String,
    },
    /// A custom call that comes as a function's: its arguments, until they are whole.
    Wrapped {
        index: u32,
        id: String,
        arguments: Words,
    },
    /// Written whole when it opened.
    Done,
}

// === impl Stream ===

impl Stream {
    pub(crate) fn new(naming: Naming) -> Self {
        let id = chosen::answer_id(None, &naming);
        let (model, created_s) = (naming.model.clone(), naming.created_s);
        let (choices, blocks) = (BTreeMap::new(), HashMap::new());
        Self { naming, id, model, created_s, choices, blocks, calls: 0, usage: None }
    }

    /// Writes what one event says.
    pub(crate) fn push(&mut self, event: Event, losses: &mut Losses, out: &mut Vec<Frame>) {
        match event {
            Event::Start { id, model, created_s } => {
                self.id = chosen::answer_id(id.as_deref(), &self.naming);
                self.model = model.unwrap_or_else(|| self.naming.model.clone());
                self.created_s = created_s.unwrap_or(self.naming.created_s);
                self.begin(0, out);
            }
            Event::Open { block, choice, opening } => {
                self.begin(choice, out);
                self.open(block, choice, opening, losses, out);
            }
            Event::Delta { block, text } => self.grow(block, &text.0, out),
            Event::Signed { block, signature } => self.sign(block, signature, out),
            Event::Cited { block, citation } => self.cite(block, &citation.0, losses, out),
            Event::Close { block } => self.close(block, out),
            Event::Logprobs { choice, value } => {
                self.begin(choice, out);
                out.push(self.chunk(choice, &json!({}), Some(&value.0), None));
            }
            Event::Finish { choice, reason, .. } => {
                self.begin(choice, out);
                self.finish(choice, Some(reason), losses, out);
            }
            Event::Usage { usage, service_tier } => self.usage = Some((usage, service_tier)),
            Event::Ping => {
                out.push(Frame { raw: Bytes::from_static(PING), event: None, data: Bytes::new() })
            }
            // No end mark follows: the clients take the error for the end.
            Event::Error(error) => out.push(Frame::made(None, &chosen::error_body(&error))),
            Event::End => self.end(losses, out),
        }
    }

    /// The first delta of a choice, which has the role.
    fn begin(&mut self, choice: u32, out: &mut Vec<Frame>) {
        if let Entry::Vacant(new) = self.choices.entry(choice) {
            new.insert(Choice::default());
            let delta = json!({"role": "assistant", "content": ""});
            out.push(self.chunk(choice, &delta, None, None));
        }
    }

    fn open(
        &mut self,
        block: u32,
        choice: u32,
        opening: Opening,
        losses: &mut Losses,
        out: &mut Vec<Frame>,
    ) {
        let said = self.choices.entry(choice).or_default();
        let role = match opening {
            Opening::Text => Part::Text(said.characters),
            Opening::Refusal => Part::Refusal,
            Opening::Thinking => {
                let begun = !said.thought;
                Part::Thinking { text: Words::default(), signature: None, begun }
            }
            Opening::SealedThinking(signature) => {
                self.seal(choice, None, &signature, out);
                Part::Done
            }
            Opening::ToolCall { id, name, kind } => {
                let id = chosen::call_id(id.as_deref(), &self.naming, self.calls);
                self.calls += 1;
                let index = said.calls;
                said.calls = index.saturating_add(1);
                self.call(choice, (index, id, &name), kind, out)
            }
            Opening::Media { media_type, base64 } => {
                let (member, value) = chosen::medium(&media_type, &base64.0, &self.naming.id);
                out.push(self.chunk(choice, &json!({ member: value }), None, None));
                Part::Done
            }
            Opening::Own(_) => {
                let what = "a part that only the provider's dialect has";
                losses.dropped("choices[].delta", what);
                Part::Done
            }
        };
        self.blocks.insert(block, Block { choice, role });
    }

    fn call(
        &self,
        choice: u32,
        (index, id, name): (u32, String, &str),
        kind: ToolKind,
        out: &mut Vec<Frame>,
    ) -> Part {
        let wrapped =
            kind != ToolKind::Custom && self.naming.custom_tools.iter().any(|it| it == name);
        let (word, member, role) = match kind {
            _ if wrapped => {
                let arguments = Words::default();
                ("custom", "input", Part::Wrapped { index, id: id.clone(), arguments })
            }
            ToolKind::Custom => ("custom", "input", Part::Custom { index, id: id.clone() }),
            ToolKind::Function | ToolKind::BuiltIn => {
                let id = id.clone();
                ("function", "arguments", Part::Function { index, id, written: false })
            }
        };
        let call =
            json!({"index": index, "id": id, "type": word, word: {"name": name, member: ""}});
        out.push(self.chunk(choice, &json!({"tool_calls": [call]}), None, None));
        role
    }

    fn grow(&mut self, block: u32, text: &str, out: &mut Vec<Frame>) {
        let Some(Block { choice, role }) = self.blocks.get_mut(&block) else { return };
        if text.is_empty() {
            return;
        }
        let choice = *choice;
        let Some(said) = self.choices.get_mut(&choice) else { return };
        let delta = match role {
            Part::Text(_) => {
                said.characters += text.chars().count();
                json!({"content": text})
            }
            Part::Refusal => {
                said.refused = true;
                json!({"refusal": text})
            }
            Part::Thinking { text: kept, begun, .. } => {
                kept.0.push_str(text);
                said.thought = true;
                // Blocks of thinking are kept apart by an empty line.
                let apart = if std::mem::replace(begun, true) { "" } else { "\n\n" };
                json!({"reasoning_content": format!("{apart}{text}")})
            }
            Part::Function { index, written, .. } => {
                *written = true;
                json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
            }
            Part::Custom { index, .. } => {
                json!({"tool_calls": [{"index": index, "custom": {"input": text}}]})
            }
            Part::Wrapped { arguments, .. } => {
                arguments.0.push_str(text);
                return;
            }
            Part::Done => return,
        };
        out.push(self.chunk(choice, &delta, None, None));
    }

    fn sign(&mut self, block: u32, signature: Signature, out: &mut Vec<Frame>) {
        let Some(Block { choice, role }) = self.blocks.get_mut(&block) else { return };
        let choice = *choice;
        let (index, id) = match role {
            Part::Thinking { signature: kept, .. } => {
                // A signature that comes in pieces is one.
                match kept {
                    Some(kept) if kept.issuer == signature.issuer => {
                        kept.data.0.push_str(&signature.data.0);
                    }
                    _ => *kept = Some(signature),
                }
                return;
            }
            Part::Function { index, id, .. }
            | Part::Custom { index, id }
            | Part::Wrapped { index, id, .. } => (*index, id.clone()),
            Part::Text(_) | Part::Refusal | Part::Done => return,
        };
        if signature.issuer == Issuer::Gemini {
            let extra = thinking::extra_content(&signature);
            let delta = json!({"tool_calls": [{"index": index, "extra_content": extra}]});
            out.push(self.chunk(choice, &delta, None, None));
        } else {
            self.seal(choice, Some(&id), &signature, out);
        }
    }

    fn seal(&mut self, choice: u32, id: Option<&str>, signature: &Signature, out: &mut Vec<Frame>) {
        let index = self.next_detail(choice);
        let entry = thinking::sealed(id, &thinking::kept(signature), signature.issuer, index);
        out.push(self.chunk(choice, &json!({"reasoning_details": [entry]}), None, None));
    }

    fn next_detail(&mut self, choice: u32) -> usize {
        let said = self.choices.entry(choice).or_default();
        let index = said.details;
        said.details = index.saturating_add(1);
        index
    }

    fn cite(&mut self, block: u32, citation: &Value, losses: &mut Losses, out: &mut Vec<Frame>) {
        let Some(Block { choice, role: Part::Text(from) }) = self.blocks.get(&block) else {
            return;
        };
        let choice = *choice;
        let to = self.choices.get(&choice).map_or(0, |said| said.characters);
        if let Some(written) = annotation::write(citation, (*from, to), losses) {
            out.push(self.chunk(choice, &json!({"annotations": [written]}), None, None));
        }
    }

    fn close(&mut self, block: u32, out: &mut Vec<Frame>) {
        let Some(Block { choice, role }) = self.blocks.remove(&block) else { return };
        let delta = match role {
            Part::Thinking { text, signature: Some(signature), .. } => {
                let index = self.next_detail(choice);
                let kept = thinking::kept(&signature);
                let entry = thinking::signed(&text.0, &kept, signature.issuer, index);
                json!({"reasoning_details": [entry]})
            }
            Part::Function { index, written: false, .. } => {
                json!({"tool_calls": [{"index": index, "function": {"arguments": "{}"}}]})
            }
            Part::Wrapped { index, arguments, .. } => {
                let input = tool::unwrap_input(&arguments.0);
                json!({"tool_calls": [{"index": index, "custom": {"input": input}}]})
            }
            _ => return,
        };
        out.push(self.chunk(choice, &delta, None, None));
    }

    fn finish(
        &mut self,
        choice: u32,
        reason: Option<Finish>,
        losses: &mut Losses,
        out: &mut Vec<Frame>,
    ) {
        let Some(said) = self.choices.get_mut(&choice).filter(|said| !said.finished) else {
            return;
        };
        said.finished = true;
        let word = chosen::finish(reason, said.calls > 0, said.refused, losses);
        out.push(self.chunk(choice, &json!({}), None, Some(word)));
    }

    fn end(&mut self, losses: &mut Losses, out: &mut Vec<Frame>) {
        let open: Vec<u32> = self.choices.keys().copied().collect();
        for choice in open {
            self.finish(choice, None, losses, out);
        }
        if let Some((usage, tier)) = self.usage.take().filter(|_| self.naming.include_usage) {
            let mut chunk = self.head(&json!([]));
            if let Some(members) = chunk.as_object_mut() {
                members.insert("usage".to_owned(), usage_value(&usage));
                if let Some(tier) = tier {
                    members.insert("service_tier".to_owned(), tier_word(&tier).into());
                }
            }
            out.push(Frame::made(None, chunk.to_string().as_bytes()));
        }
        let data = Bytes::from_static(b"[DONE]");
        out.push(Frame { raw: Bytes::from_static(DONE), event: None, data });
    }

    fn head(&self, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created_s,
            "model": self.model,
            "choices": choices,
        })
    }

    fn chunk(
        &self,
        choice: u32,
        delta: &Value,
        logprobs: Option<&Value>,
        finish: Option<&str>,
    ) -> Frame {
        let choice = json!({
            "index": choice,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish,
        });
        Frame::made(None, self.head(&json!([choice])).to_string().as_bytes())
    }
}
