//! A stream on its way to the caller: the frames of one socket read in, the bytes to send on out.
//! Frames pass verbatim unless something in them was found, held or restored. Never waits for more
//! frames, never reads a socket, and after a refusal nothing of the batch may be sent.

mod joined;
mod last;

use bytes::Bytes;
use turnpike_protocol::sse::Frame;
use turnpike_protocol::{Beginning, Chunk, ChunkHead, Dialect, Origin, Slot, StreamError, Usage};

use super::edits::Planner;
use super::window::{Outcome, Window};
use super::{Findings, Pseudonyms, Refusal, Scan, ScanFailure, Summary};
use joined::Joined;

/// Texts that one stream may have side by side: 128 choices of a few texts, or one choice with
/// hundreds of tool calls.
const WINDOWS_MAX: usize = 1024;
/// Choices whose beginning and end are followed; no provider makes more.
const CHOICES_MAX: usize = 128;

/// What is to be done with a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamOptions {
    /// The dialect the frames are in.
    pub dialect: Dialect,
    /// Whether the policy scans what the model says.
    pub scan_output: bool,
    /// Whether the caller asked for the usage chunk; it is dropped otherwise.
    pub include_usage: bool,
}

/// What a stream showed on its way, for metering and for a legal end.
#[derive(Debug, Clone, Default)]
pub struct StreamFacts {
    /// The model has said or done something: nothing may be replayed elsewhere any more.
    pub content_seen: bool,
    /// Some of it was the answer itself, and not what the model thinks.
    pub answer_seen: bool,
    /// A sound or a picture has come; anything, or the model, or a filter, has declined.
    pub media_seen: bool,
    pub said: bool,
    /// What the provider reported last; reports are cumulative.
    pub usage: Option<Usage>,
    /// An error that came in place of an answer.
    pub error: Option<StreamError>,
    /// The mark that ends a stream was seen.
    pub done: bool,
    /// Bytes of text that went out to the caller.
    pub delivered_bytes: u64,
    /// The model that the provider says it uses, and the service tier that was served.
    pub model: Option<String>,
    pub service_tier: Option<String>,
    /// What the stream's chunks share, to make frames that belong to it.
    pub head: Option<ChunkHead>,
    /// What the answer says of itself, in dialects whose last event says it again.
    pub origin: Option<Origin>,
    /// The number of the last event that came, in dialects that count them.
    sequence: Option<u64>,
    /// Payloads that could not be read and were passed on as they were.
    pub unreadable: u32,
    begun: Vec<u32>,
    ended: Vec<u32>,
    open_block: Option<u32>,
}

/// Redacts one stream. Dropped with its request.
#[derive(Debug)]
pub struct StreamRedactor {
    options: StreamOptions,
    pseudonyms: Pseudonyms,
    windows: Vec<Window>,
    facts: StreamFacts,
    summary: Summary,
    /// Choices of which some text was masked or restored.
    changed: Vec<u32>,
    /// What its chunks begin with.
    beginning: Beginning,
    /// Events that were added to the stream.
    inserted: u64,
    /// A frame that says that the answer ends, and what came after it: it waits for what follows.
    pending: Vec<Item>,
}

/// One frame of a batch.
struct Item {
    raw: Bytes,
    chunk: Option<Chunk>,
    edited: bool,
    dropped: bool,
    /// It is the mark at the end of a stream.
    marks_end: bool,
    /// Held texts that go out in front of this one.
    tails: Vec<(Slot, String)>,
    /// The same as events.
    before: Vec<Bytes>,
}

// === impl StreamFacts ===

impl StreamFacts {
    /// Whether every choice that began has ended.
    pub fn finished(&self) -> bool {
        !self.ended.is_empty() && self.open_choices().is_empty()
    }

    /// The choices that have begun and not ended, which an early end must close.
    pub fn open_choices(&self) -> Vec<u32> {
        self.begun.iter().filter(|choice| !self.ended.contains(choice)).copied().collect()
    }

    /// The block that has begun and not ended, in dialects that have one at a time.
    pub fn open_block(&self) -> Option<u32> {
        self.open_block
    }

    fn note(&mut self, chunk: &Chunk) {
        self.open_block = chunk.opened.or(self.open_block);
        self.open_block = self.open_block.filter(|block| !chunk.closed.contains(&(0, *block)));
        self.content_seen |= chunk.has_content();
        self.answer_seen |= chunk.answers();
        self.said |= chunk.says_anything() || chunk.declined;
        self.media_seen |= chunk.has_media();
        self.done |= chunk.done;
        self.usage = chunk.usage_after(self.usage);
        if self.head.is_none() {
            self.head = Some(chunk.head());
            self.model = chunk.model();
        }
        // The tier that counts is the one that was served in the end.
        let reports = chunk.usage.is_some() || chunk.usage_update.is_some();
        if self.service_tier.is_none() || reports {
            self.service_tier = chunk.service_tier().or_else(|| self.service_tier.take());
        }
        if self.origin.is_none() {
            self.origin.clone_from(&chunk.origin);
        }
        self.sequence = chunk.sequence_number().or(self.sequence);
        self.error = self.error.take().or_else(|| chunk.error.clone());
        chunk.deltas.iter().for_each(|delta| remember(&mut self.begun, delta.choice));
        chunk.finished.iter().for_each(|choice| {
            remember(&mut self.begun, *choice);
            remember(&mut self.ended, *choice);
        });
    }

    fn deliver(&mut self, bytes: usize) {
        self.delivered_bytes = self.delivered_bytes.saturating_add(bytes as u64);
    }
}

fn remember(choices: &mut Vec<u32>, choice: u32) {
    if !choices.contains(&choice) && choices.len() < CHOICES_MAX {
        choices.push(choice);
    }
}

// === impl StreamRedactor ===

impl StreamRedactor {
    /// For the answer to a call whose pseudonyms these are.
    pub fn new(options: StreamOptions, pseudonyms: Pseudonyms) -> Self {
        let (facts, summary) = (StreamFacts::default(), Summary::default());
        let (windows, changed) = (Vec::new(), Vec::new());
        let (beginning, inserted, pending) = (Beginning::default(), 0, Vec::new());
        Self { options, pseudonyms, windows, facts, summary, changed, beginning, inserted, pending }
    }

    /// What the stream showed so far.
    pub fn facts(&self) -> &StreamFacts {
        &self.facts
    }

    /// What the stream's answer is, and the number of the event that would come next.
    pub fn next_event(&self) -> Option<(&Origin, u64)> {
        let origin = self.facts.origin.as_ref()?;
        let last = self.facts.sequence.unwrap_or_default().saturating_add(self.inserted);
        Some((origin, last.saturating_add(1)))
    }

    /// What was found and done so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Takes the frames that one socket read brought; returns what to send on, in one piece. Each
    /// text of the batch is scanned once. Empty when everything is held.
    ///
    /// # Errors
    /// [`Refusal`]: end the stream with a legal error; what was held is not to be sent.
    pub async fn push(&mut self, scan: &mut impl Scan, frames: &[Frame]) -> Result<Bytes, Refusal> {
        if !self.options.scan_output && self.pseudonyms.is_empty() {
            return Ok(self.pass(frames));
        }
        let mut items = self.items(frames)?;
        let ended = self.facts.done || self.facts.error.is_some();
        last::judge(&mut items);
        if !ended && let Some(from) = last::waits(&items, |choice| self.holds(choice)) {
            self.pending = items.split_off(from);
        }
        self.sort(&items)?;
        self.work(scan, &mut items).await?;
        self.drop_logprobs(&mut items);
        Ok(write(&items))
    }

    /// The stream has ended, in whatever way: returns what is still held, scanned for the last
    /// time. Safe to call after the end was seen: nothing is held then.
    ///
    /// # Errors
    /// [`Refusal`], as for [`StreamRedactor::push`].
    pub async fn finish(&mut self, scan: &mut impl Scan) -> Result<Bytes, Refusal> {
        let mut items = std::mem::take(&mut self.pending);
        last::judge(&mut items);
        self.sort(&items)?;
        let end = items.len();
        items.push(Item::new(Bytes::new()));
        self.windows.iter_mut().for_each(|window| window.close(end));
        self.work(scan, &mut items).await?;
        self.drop_logprobs(&mut items);
        Ok(write(&items))
    }

    /// Whether some text of a choice is held that its end has to wait for, also an end without text
    /// of its own. Elsewhere than in Gemini's streams the usage follows such an end, and would be
    /// known, and charged, before what is held has been looked at.
    fn holds(&self, choice: u32) -> bool {
        if self.options.dialect != Dialect::Gemini {
            return false;
        }
        let own = |window: &Window| window.slot.choice == choice && !window.text().is_empty();
        self.windows.iter().any(own)
    }

    /// Probabilities of tokens repeat the text in pieces, as it was before it was masked or
    /// restored. They do not go on with text that is held, and from the first change of a choice
    /// not at all.
    fn drop_logprobs(&mut self, items: &mut [Item]) {
        for item in items {
            let Some(chunk) = item.chunk.as_mut() else { continue };
            let edited: Vec<u32> = chunk.edited_choices().collect();
            for choice in self.changed.iter().chain(&edited) {
                item.edited |= chunk.drop_logprobs(*choice);
            }
        }
    }

    /// Nothing is scanned and nothing restored: the frames pass, and the facts are noted.
    fn pass(&mut self, frames: &[Frame]) -> Bytes {
        let mut out = Joined::for_frames(frames);
        for frame in frames {
            if !self.drops(frame) {
                out.add(&frame.raw);
            }
        }
        out.finish()
    }

    fn drops(&mut self, frame: &Frame) -> bool {
        let Some(chunk) = self.read(frame) else { return false };
        let new = chunk.deltas.iter().filter(|delta| !delta.whole);
        let said: usize = new.map(|delta| delta.content.len()).sum();
        self.facts.deliver(said);
        chunk.usage_only && !self.options.include_usage
    }

    /// The chunk in a frame, noted; `None` for comments, the end mark and what cannot be read.
    fn read(&mut self, frame: &Frame) -> Option<Chunk> {
        if !frame.carries_data() {
            return None;
        }
        if self.options.dialect == Dialect::OpenAiChat && Chunk::done_marker(&frame.data) {
            self.facts.done = true;
            return None;
        }
        let read = Chunk::parse_next(self.options.dialect, &frame.data, &mut self.beginning);
        let Ok(chunk) = read else {
            self.facts.unreadable = self.facts.unreadable.saturating_add(1);
            return None;
        };
        self.facts.note(&chunk);
        Some(chunk)
    }

    /// Reads the frames; those that waited come first.
    fn items(&mut self, frames: &[Frame]) -> Result<Vec<Item>, Refusal> {
        let mut items = std::mem::take(&mut self.pending);
        items.reserve(frames.len());
        for frame in frames {
            // In its place before it is filled: it is large.
            items.push(Item::new(frame.raw.clone()));
            let Some(item) = items.last_mut() else { break };
            let (unreadable, done) = (self.facts.unreadable, self.facts.done);
            item.chunk = self.read(frame);
            if self.facts.unreadable != unreadable && self.options.scan_output {
                return Err(Refusal::Unreadable);
            }
            item.marks_end = item.chunk.is_none() && self.facts.done && !done;
            if let Some(chunk) = &item.chunk {
                item.dropped = chunk.usage_only && !self.options.include_usage;
            }
        }
        Ok(items)
    }

    /// Puts the texts of a batch into the windows they belong to.
    fn sort(&mut self, items: &[Item]) -> Result<(), Refusal> {
        for (at, item) in items.iter().enumerate() {
            if let Some(chunk) = &item.chunk {
                self.place(at, chunk)?;
            } else if item.marks_end {
                self.windows.iter_mut().for_each(|window| window.close(at));
            }
        }
        Ok(())
    }

    fn place(&mut self, at: usize, chunk: &Chunk) -> Result<(), Refusal> {
        for (index, delta) in chunk.deltas.iter().enumerate() {
            let slot = delta.slot();
            let text = delta.content.expose();
            if delta.whole {
                self.place_whole(at, index, slot, text)?;
                continue;
            }
            let known = |window: &&mut Window| window.slot == slot && !window.once && !window.spent;
            if let Some(known) = self.windows.iter_mut().find(known) {
                if known.closing().is_none() {
                    known.add(at, index, text);
                    continue;
                }
                // What was held of it goes out where it closed; what comes now is held anew.
                known.spent = true;
            }
            if self.windows.len() >= WINDOWS_MAX {
                let what = "the provider's stream has more than 1024 texts side by side";
                return Err(ScanFailure::new(what).into());
            }
            let mut window = Window::new(slot, &self.pseudonyms);
            window.add(at, index, text);
            self.windows.push(window);
        }
        let ends = |window: &&mut Window| chunk.closes(&window.slot);
        self.windows.iter_mut().filter(ends).for_each(|window| window.close(at));
        Ok(())
    }

    /// A text that is said whole, once more, in one event: scanned by itself, held back never.
    fn place_whole(
        &mut self,
        at: usize,
        index: usize,
        slot: Slot,
        text: &str,
    ) -> Result<(), Refusal> {
        if self.windows.len() >= WINDOWS_MAX {
            let what = "the provider's stream has more than 1024 texts side by side";
            return Err(ScanFailure::new(what).into());
        }
        let mut window = Window::new(slot, &self.pseudonyms);
        window.once = true;
        window.add(at, index, text);
        window.close(at);
        self.windows.push(window);
        Ok(())
    }

    /// Scans every window that this batch added to or closes, once, and makes the edits.
    async fn work(&mut self, scan: &mut impl Scan, items: &mut [Item]) -> Result<(), Refusal> {
        for window in self.windows.iter_mut().filter(|window| window.is_due()) {
            let last = window.closing().is_some();
            let (place, mut lexer) = (window.place, window.lexer);
            let reading = lexer.read(window.text(), last);
            let findings = if self.options.scan_output && !reading.text.is_empty() {
                scan.scan(&place, &reading.text, last).await?
            } else {
                Findings::default()
            };
            self.summary.note_class(&findings.data_class);
            let planner = Planner {
                place: &place,
                last,
                pseudonyms: &mut self.pseudonyms,
                summary: &mut self.summary,
            };
            let plan = planner.plan(window.text(), &reading, &findings, &mut lexer)?;
            drop(reading);
            if !plan.edits.is_empty() {
                remember(&mut self.changed, window.slot.choice);
            }
            window.lexer = lexer;
            let closing = window.closing().unwrap_or_default();
            let outcome = window.settle(&plan);
            // What is said once more was counted when it was said first.
            if !window.once {
                self.facts.deliver(outcome.sent);
            }
            carry_out(items, outcome, closing, window.slot);
        }
        self.windows.retain(|window| !window.once && !window.spent);
        self.renumber(items);
        Ok(())
    }

    /// Makes the events that carry held text, each in the likeness of the event that it goes in
    /// front of; in dialects that count their events, it and what follows move up by one.
    fn renumber(&mut self, items: &mut [Item]) {
        for item in items {
            for (slot, text) in std::mem::take(&mut item.tails) {
                let head = match item.chunk.as_mut() {
                    Some(chunk) => {
                        chunk.shift_sequence(self.inserted);
                        Some(chunk.head())
                    }
                    None => self.facts.head.clone(),
                };
                let Some(head) = head else { continue };
                item.before.push(head.delta_frame(slot, &text));
                self.inserted = self.inserted.saturating_add(1);
            }
            if let Some(chunk) = item.chunk.as_mut().filter(|_| self.inserted > 0) {
                item.edited |= chunk.shift_sequence(self.inserted);
            }
        }
    }
}

/// Puts what a window changes into the frames.
fn carry_out(items: &mut [Item], outcome: Outcome, closing: usize, slot: Slot) {
    for (frame, delta, new) in outcome.changes {
        if let Some(item) = items.get_mut(frame)
            && let Some(chunk) = item.chunk.as_mut()
        {
            chunk.replace_delta(delta, new);
            item.edited = true;
        }
    }
    if let (Some(tail), Some(item)) = (outcome.extra, items.get_mut(closing)) {
        item.tails.push((slot, tail));
    }
}

fn write(items: &[Item]) -> Bytes {
    let room = items.iter().map(|item| item.raw.len()).sum::<usize>();
    let mut out = Joined::new(items.len(), room);
    for item in items {
        item.before.iter().for_each(|frame| out.add(frame));
        match item.chunk.as_ref().filter(|_| item.edited) {
            _ if item.dropped => {}
            Some(chunk) if chunk.is_hollow() => {}
            Some(chunk) => out.add(&chunk.encode()),
            None => out.add(&item.raw),
        }
    }
    out.finish()
}

// === impl Item ===

impl Item {
    fn new(raw: Bytes) -> Self {
        let (tails, before) = (Vec::new(), Vec::new());
        let (edited, dropped, marks_end) = (false, false, false);
        Self { raw, chunk: None, edited, dropped, marks_end, tails, before }
    }
}

impl std::fmt::Debug for Item {
    /// Without its bytes, which are content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item").field("chunk", &self.chunk).finish_non_exhaustive()
    }
}
