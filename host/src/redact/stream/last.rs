//! Whether a frame that says that an answer ends is its last. Servers that copy Gemini, and some
//! that copy OpenAI, say so with every piece; a text that is cut there would go out half checked.
//! So such a frame counts by what follows it, and one behind which text is held waits for that:
//! for the next piece, the mark at the end, or the end of the body. Never looks at what is said.

use turnpike_protocol::Chunk;

use super::Item;

/// Frames that wait together: behind a reason to end come the usage and little else. With more it
/// counts as the last.
const WAITING_MAX: usize = 16;

/// Takes the end from every frame after which the same choice goes on.
pub(super) fn judge(items: &mut [Item]) {
    // From behind: for each frame, what comes next of the answer.
    let mut next = Next::None;
    for chunk in items.iter_mut().rev().filter_map(|item| item.chunk.as_mut()) {
        chunk.finished.retain(|choice| !next.goes_on(*choice));
        next.read(chunk);
    }
}

/// From which frame on a batch is to wait: the last one that ends a choice of which it says some
/// text, or of which some is held, by `holds`.
pub(super) fn waits(items: &[Item], holds: impl Fn(u32) -> bool) -> Option<usize> {
    let ends = |item: &Item| item.chunk.as_ref().is_some_and(|chunk| !chunk.finished.is_empty());
    let from = items.iter().rposition(ends)?;
    let behind = items.get(from.saturating_add(1)..).unwrap_or_default();
    let over = |item: &Item| item.marks_end || item.chunk.as_ref().is_some_and(Chunk::goes_on);
    if behind.len() >= WAITING_MAX || behind.iter().any(over) {
        return None;
    }
    let end = items.get(from)?.chunk.as_ref()?;
    let says = |choice: u32| {
        end.deltas.iter().filter(|delta| !delta.whole).any(|delta| delta.choice == choice)
    };
    end.finished.iter().any(|choice| holds(*choice) || says(*choice)).then_some(from)
}

/// The next chunk in which an answer goes on.
enum Next {
    /// There is none.
    None,
    /// It says something of these choices.
    Of(Vec<u32>),
    /// A call or a picture, of whichever choice.
    Any,
}

// === impl Next ===

impl Next {
    /// Takes the chunk in front of what it knows.
    fn read(&mut self, chunk: &Chunk) {
        if !chunk.goes_on() {
            return;
        }
        let mut said =
            chunk.deltas.iter().filter(|delta| !delta.whole).map(|it| it.choice).peekable();
        match (said.peek().is_some(), self) {
            (false, next) => *next = Self::Any,
            // The list of the chunk behind it serves again: most streams are one text in pieces.
            (true, Self::Of(choices)) => {
                choices.clear();
                choices.extend(said);
            }
            (true, next) => *next = Self::Of(said.collect()),
        }
    }

    fn goes_on(&self, choice: u32) -> bool {
        match self {
            Self::None => false,
            Self::Of(choices) => choices.contains(&choice),
            Self::Any => true,
        }
    }
}
