//! The redact room: asks a scanner what is in a text, and masks, replaces or pseudonymises it in
//! calls, answers and streams. The scanner is a policy; this room only obeys, and fails closed.
//!
//! It never decides what is sensitive, never keeps a text or a pseudonym beyond its request, never
//! lets an entity that the scanner wants to see whole leave in halves, and knows no HTTP.

mod edits;
mod json;
mod pseudonyms;
mod stream;
mod window;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use turnpike_protocol::{Answer, Call, Channel, Role, Text};

use edits::Planner;
use json::{Lexer, Reading};
pub use pseudonyms::Pseudonyms;
pub use stream::{StreamFacts, StreamOptions, StreamRedactor};

/// Calls with less text than this are scanned whole: finding out what is known of a text costs as
/// much as scanning a short one.
const LONG_CALL_BYTES: usize = 16 << 10;
/// A scanner may hold back this many bytes of a stream's text, and an entity longer than this is
/// found in parts: bounds the memory and the silence that one stream can cause.
pub const HOLD_BYTES_MAX: usize = 4096;
/// Different pairs of kind and action that one summary counts; the rest count as `other`.
const COUNTS_MAX: usize = 128;
/// Different data classes that one summary names: organizations have a handful.
const DATA_CLASSES_MAX: usize = 16;
/// Bytes of a policy's reason that reach the caller.
const REASON_BYTES_MAX: usize = 512;

/// Which way a text travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the caller to the provider.
    Input,
    /// From the provider to the caller.
    Output,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which way it travels.
    pub direction: Direction,
    /// What kind of text it is.
    pub channel: Channel,
    /// Who speaks.
    pub role: Role,
}

/// What to do with a span.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Replace by the kind in brackets: `[EMAIL]`.
    Mask,
    /// Replace by a placeholder that is restored in the answer: `<EMAIL_1>`. What a model wrote
    /// by itself is masked instead, for there is nobody to restore it for.
    Pseudonymize,
    /// Replace by this text.
    Replace(String),
    /// Refuse the request, or stop the answer, with this reason.
    Block(String),
    /// Leave it and count it.
    Note,
}

/// One entity, by byte offsets of the scanned text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Bytes.
    pub length: u32,
    /// `email`, `api-key` …
    pub kind: String,
    /// What to do with it.
    pub action: Action,
}

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// In order, not overlapping, at character boundaries.
    pub spans: Vec<Span>,
    /// Trailing bytes that may begin an entity, at most [`HOLD_BYTES_MAX`]. Ignored for a whole
    /// text and at a stream's end.
    pub hold: u32,
    /// A data class that the text shows; empty for none.
    pub data_class: String,
}

/// The scanner could not do its work; the text is treated as if it must not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the text could not be checked: {detail}")]
pub struct ScanFailure {
    /// What failed, for the operator. Holds nothing of the text.
    pub detail: String,
}

/// Why nothing may pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The policy says no, for this reason, which the caller may read.
    #[error("refused by policy: {reason}")]
    Blocked {
        /// The policy's words, shortened.
        reason: String,
    },
    /// The provider sent something that can't be read, and so not be checked: its fault, not the
    /// scanner's.
    #[error("the provider sent an event that cannot be read")]
    Unreadable,
    /// The scanner failed, and this room fails closed.
    #[error(transparent)]
    Failed(#[from] ScanFailure),
}

/// Finds entities in texts. No state is kept between calls, so a stream's held tail is scanned
/// again in front of what follows.
pub trait Scan: Send {
    /// Scans a whole text (`last`), or a window of a stream.
    fn scan(
        &mut self,
        place: &Place,
        text: &str,
        last: bool,
    ) -> impl Future<Output = Result<Findings, ScanFailure>> + Send;

    /// Whether it is known that a scan of this text of a call (`json`: read as JSON) would find
    /// nothing, so that it need not be made.
    fn is_known_clean(&mut self, _place: &Place, _json: bool, _text: &str) -> bool {
        false
    }
}

/// How often something was found, and what was done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The kind, as the policy named it.
    pub kind: String,
    /// `mask`, `pseudonymize`, `replace` or `note`; `other` for what comes beyond the bound.
    pub action: &'static str,
    /// How often.
    pub count: u32,
}

/// What was done to a call, an answer or a stream; facts, never text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// By kind and action, in order of appearance.
    pub counts: Vec<Count>,
    /// The data classes that were shown, in order of appearance.
    pub data_classes: Vec<String>,
    /// Pseudonyms that were turned back into what they stand for.
    pub restored: u32,
}

// === impl Direction ===

impl Direction {
    /// Stable name for policies.
    pub fn label(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

// === impl Place ===

impl Place {
    fn of(direction: Direction, text: &Text) -> Self {
        Self { direction, channel: text.channel, role: text.role }
    }
}

// === impl Action ===

impl Action {
    /// Stable name for the explanation and the metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Pseudonymize => "pseudonymize",
            Self::Replace(_) => "replace",
            Self::Block(_) => "block",
            Self::Note => "note",
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A replacement may be made of the text it replaces.
        f.write_str(self.label())
    }
}

// === impl ScanFailure ===

impl ScanFailure {
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into() }
    }
}

// === impl Refusal ===

impl Refusal {
    fn blocked(reason: &str) -> Self {
        let short = reason.floor_char_boundary(REASON_BYTES_MAX);
        Self::Blocked { reason: reason.get(..short).unwrap_or_default().to_owned() }
    }
}

// === impl Summary ===

impl Summary {
    /// How often anything was found.
    pub fn total(&self) -> u32 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(count.count))
    }

    fn count(&mut self, kind: &str, action: &'static str) {
        if self.add_to(kind, action) {
            return;
        }
        let full = self.counts.len() + 1 >= COUNTS_MAX;
        let (kind, action) = if full { ("other", "other") } else { (kind, action) };
        if !full || !self.add_to(kind, action) {
            self.counts.push(Count { kind: kind.to_owned(), action, count: 1 });
        }
    }

    fn add_to(&mut self, kind: &str, action: &str) -> bool {
        let same = |count: &&mut Count| count.kind == kind && count.action == action;
        let known = self.counts.iter_mut().find(same);
        let found = known.is_some();
        if let Some(known) = known {
            known.count = known.count.saturating_add(1);
        }
        found
    }

    fn note_class(&mut self, class: &str) {
        let known = self.data_classes.iter().any(|known| known == class);
        if !class.is_empty() && !known && self.data_classes.len() < DATA_CLASSES_MAX {
            self.data_classes.push(class.to_owned());
        }
    }
}

/// Scans every text of a call and replaces what was found. The call is copied only when something
/// is replaced and others share it; a clean one stays the same allocation.
///
/// # Errors
/// [`Refusal`]; the call must then not be sent anywhere.
pub async fn redact_call(
    scan: &mut impl Scan,
    call: &mut Arc<Call>,
    pseudonyms: &mut Pseudonyms,
) -> Result<Summary, Refusal> {
    redact_call_where(scan, call, pseudonyms, |_| true).await
}

/// The same, but only for the texts that `wanted` picks; the others are known to be clean.
///
/// # Errors
/// [`Refusal`]; the call must then not be sent anywhere.
pub async fn redact_call_where(
    scan: &mut impl Scan,
    call: &mut Arc<Call>,
    pseudonyms: &mut Pseudonyms,
    wanted: impl Fn(&Text) -> bool,
) -> Result<Summary, Refusal> {
    let mut summary = Summary::default();
    let mut found = Vec::new();
    let bytes = call.texts.iter().fold(0, |sum, text| text.content.len().saturating_add(sum));
    // Everything is scanned before anything is replaced, so that a pseudonym can be chosen which
    // no text of the caller holds already.
    for (index, text) in call.texts.iter().enumerate().filter(|(_, text)| wanted(text)) {
        let place = Place::of(Direction::Input, text);
        if bytes >= LONG_CALL_BYTES
            && scan.is_known_clean(&place, text.is_json(), text.content.expose())
        {
            continue;
        }
        let subject = Subject::new(Direction::Input, text, pseudonyms);
        let findings = scan.scan(&subject.place, &subject.reading.text, true).await?;
        summary.note_class(&findings.data_class);
        if !findings.spans.is_empty() {
            found.push((index, findings));
        }
    }
    let spans = found.iter().flat_map(|(_, findings)| &findings.spans);
    if spans.into_iter().any(|span| span.action == Action::Pseudonymize) {
        pseudonyms.avoid(call.texts.iter().map(|text| text.content.expose()));
    }
    pseudonyms.answers_are_json(call.needs.structured_output);
    for (index, findings) in found {
        let Some(text) = call.texts.get(index) else { continue };
        let subject = Subject::new(Direction::Input, text, pseudonyms);
        if let Some(new) = subject.redacted(&findings, pseudonyms, &mut summary)? {
            Arc::make_mut(call).replace_text(index, new);
        }
    }
    Ok(summary)
}

/// Scans every text of a whole answer, if `scan_output`, and turns the pseudonyms of the call back
/// into what they stand for; what is restored is the caller's own and is not scanned.
///
/// # Errors
/// [`Refusal`]; the answer must then not reach the caller.
pub async fn redact_answer(
    scan: &mut impl Scan,
    answer: &mut Answer,
    pseudonyms: &mut Pseudonyms,
    scan_output: bool,
) -> Result<Summary, Refusal> {
    let mut summary = Summary::default();
    for index in 0..answer.texts.len() {
        let Some(text) = answer.texts.get(index) else { break };
        let subject = Subject::new(Direction::Output, text, pseudonyms);
        let findings = if scan_output {
            scan.scan(&subject.place, &subject.reading.text, true).await?
        } else {
            Findings::default()
        };
        summary.note_class(&findings.data_class);
        if let Some(new) = subject.redacted(&findings, pseudonyms, &mut summary)? {
            answer.replace_text(index, new);
        }
    }
    Ok(summary)
}

/// A whole text, ready to be scanned.
struct Subject<'a> {
    place: Place,
    raw: &'a str,
    lexer: Lexer,
    reading: Reading<'a>,
}

// === impl Subject ===

impl<'a> Subject<'a> {
    fn new(direction: Direction, text: &'a Text, pseudonyms: &Pseudonyms) -> Self {
        let place = Place::of(direction, text);
        let lexer = match text.is_json() {
            true => Lexer::JSON,
            false => Lexer::for_place(&place, pseudonyms),
        };
        Self::of(place, text.content.expose(), lexer)
    }

    fn of(place: Place, raw: &'a str, lexer: Lexer) -> Self {
        Self { place, raw, lexer, reading: lexer.read(raw, true) }
    }

    /// The new text, if anything changes.
    fn redacted(
        mut self,
        findings: &Findings,
        pseudonyms: &mut Pseudonyms,
        summary: &mut Summary,
    ) -> Result<Option<String>, Refusal> {
        let planner = Planner { place: &self.place, last: true, pseudonyms, summary };
        let plan = planner.plan(self.raw, &self.reading, findings, &mut self.lexer)?;
        let whole = 0..self.raw.len();
        Ok((!plan.edits.is_empty()).then(|| edits::apply(self.raw, &plan.edits, whole)))
    }
}
