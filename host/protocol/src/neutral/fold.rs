//! A whole answer, put together from the events of a stream: for dialects whose decoder reads both
//! in one way, and for tests that both mean the same. Never reads the wire.

use super::{Block, Choice, Event, Opening, Reply};

/// Puts the blocks of a stream together.
pub(crate) fn fold(events: Vec<Event>) -> Reply {
    let mut reply = Reply::default();
    // Choice and place in it, by number of the block.
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut indexes: Vec<u32> = Vec::new();
    for event in events {
        match event {
            Event::Start { id, model, created_s } => {
                (reply.id, reply.model, reply.created_s) = (id, model, created_s);
            }
            Event::Open { choice, opening, .. } => {
                let at = choice_at(&mut reply, &mut indexes, choice);
                if let Some(choice) = reply.choices.get_mut(at) {
                    places.push((at, choice.blocks.len()));
                    choice.blocks.push(opened(opening));
                }
            }
            Event::Usage { usage, service_tier } => {
                (reply.usage, reply.service_tier) = (Some(usage), service_tier);
            }
            Event::Logprobs { choice, value } => {
                let at = choice_at(&mut reply, &mut indexes, choice);
                if let Some(choice) = reply.choices.get_mut(at) {
                    choice.logprobs = Some(value);
                }
            }
            Event::Finish { choice, reason, stop_sequence } => {
                let at = choice_at(&mut reply, &mut indexes, choice);
                if let Some(choice) = reply.choices.get_mut(at) {
                    (choice.finish, choice.stop_sequence) = (Some(reason), stop_sequence);
                }
            }
            Event::Error(error) => reply.error = Some(error),
            Event::Delta { .. } | Event::Signed { .. } | Event::Cited { .. } => {
                grow(&mut reply, &places, event);
            }
            Event::Close { .. } | Event::Ping | Event::End => {}
        }
    }
    reply
}

fn choice_at(reply: &mut Reply, indexes: &mut Vec<u32>, choice: u32) -> usize {
    if let Some(at) = indexes.iter().position(|index| *index == choice) {
        return at;
    }
    indexes.push(choice);
    reply.choices.push(Choice::default());
    reply.choices.len() - 1
}

fn opened(opening: Opening) -> Block {
    match opening {
        Opening::Text => Block::Text { text: "".into(), citations: Vec::new() },
        Opening::Refusal => Block::Refusal("".into()),
        Opening::Thinking => Block::Thinking { text: "".into(), signature: None },
        Opening::SealedThinking(signature) => Block::SealedThinking(signature),
        Opening::ToolCall { id, name, kind } => {
            Block::ToolCall { id, name, input: "".into(), kind, signature: None }
        }
        Opening::Media { media_type, base64 } => Block::Media { media_type, base64 },
        Opening::Own(value) => Block::Own(value),
    }
}

fn grow(reply: &mut Reply, places: &[(usize, usize)], event: Event) {
    let (Event::Delta { block, .. } | Event::Signed { block, .. } | Event::Cited { block, .. }) =
        &event
    else {
        return;
    };
    let place = usize::try_from(*block).ok().and_then(|block| places.get(block));
    let block = place.and_then(|(choice, block)| {
        reply.choices.get_mut(*choice).and_then(|choice| choice.blocks.get_mut(*block))
    });
    match (block, event) {
        (
            Some(
                Block::Text { text, .. }
                | Block::Refusal(text)
                | Block::Thinking { text, .. }
                | Block::ToolCall { input: text, .. },
            ),
            Event::Delta { text: more, .. },
        ) => text.0.push_str(&more.0),
        (
            Some(Block::Thinking { signature, .. } | Block::ToolCall { signature, .. }),
            Event::Signed { signature: proof, .. },
        ) => *signature = Some(proof),
        (Some(Block::Text { citations, .. }), Event::Cited { citation, .. }) => {
            citations.push(citation);
        }
        _ => {}
    }
}
