//! From what a scan found, and the placeholders that stand in a text, to the edits that are made.
//! Decides how much of a stream's window is ready to go. Pure: never scans and never sends.

use std::ops::Range;

use super::json::{Form, Lexer, Reading};
use super::pseudonyms::kind_label;
use super::{
    Action, Direction, Findings, HOLD_BYTES_MAX, Place, Pseudonyms, Refusal, ScanFailure, Span,
    Summary,
};

/// Replaces a range of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) with: String,
}

/// What becomes of a window.
#[derive(Debug)]
pub(super) struct Plan {
    /// In order, not overlapping, all before `cut`.
    pub(super) edits: Vec<Edit>,
    /// The text up to here goes out; what follows is held and scanned again.
    pub(super) cut: usize,
}

/// What a plan depends on besides the text.
pub(super) struct Planner<'a> {
    pub(super) place: &'a Place,
    /// Nothing follows, so nothing is held.
    pub(super) last: bool,
    pub(super) pseudonyms: &'a mut Pseudonyms,
    pub(super) summary: &'a mut Summary,
}

/// A checked span.
struct Entity<'a> {
    range: Range<usize>,
    span: &'a Span,
}

// === impl Planner ===

impl Planner<'_> {
    /// Plans the edits of `raw`, of which `reading` is what was scanned; `lexer` is moved past
    /// what goes out.
    pub(super) fn plan(
        mut self,
        raw: &str,
        reading: &Reading<'_>,
        findings: &Findings,
        lexer: &mut Lexer,
    ) -> Result<Plan, Refusal> {
        let text = reading.text.as_ref();
        let mut entities = checked(text, findings)?;
        let mut cut = self.cut(text, findings, &entities);
        let restored = self.restored(text, lexer.form(raw), &entities, &mut cut);
        entities.retain(|entity| entity.range.end <= cut);
        let to_raw = |edit: Edit| Edit { range: reading.raw_range(&edit.range), ..edit };
        let mut restored = restored.into_iter().map(to_raw).peekable();
        let mut edits = Vec::new();
        let mut walked = 0;
        for entity in &mut entities {
            entity.range = reading.raw_range(&entity.range);
            let start = entity.range.start;
            while let Some(edit) = restored.next_if(|edit| edit.range.start < start) {
                edits.push(edit);
            }
            lexer.advance(part(raw, walked..start).as_bytes());
            self.act(raw, entity, lexer, &mut edits)?;
            walked = entity.range.end;
        }
        edits.extend(restored);
        let cut = reading.raw(cut);
        lexer.advance(part(raw, walked..cut).as_bytes());
        Ok(Plan { edits, cut })
    }

    /// How far the scanner lets the text go. An entity that reaches into the held part is held
    /// from its start, unless that is more than may be held.
    fn cut(&self, text: &str, findings: &Findings, entities: &[Entity<'_>]) -> usize {
        if self.last {
            return text.len();
        }
        let hold = usize::try_from(findings.hold).unwrap_or(usize::MAX).min(HOLD_BYTES_MAX);
        let mut cut = text.floor_char_boundary(text.len().saturating_sub(hold));
        for entity in entities {
            let Range { start, end } = entity.range;
            if end <= cut {
                continue;
            }
            if start >= cut {
                break;
            }
            if text.len() - start <= HOLD_BYTES_MAX {
                return start;
            }
            cut = end;
        }
        cut
    }

    /// The edits that restore placeholders, outside of entities and before `cut`, which is moved
    /// back so that none is cut in two.
    fn restored(
        &mut self,
        text: &str,
        form: Form,
        entities: &[Entity<'_>],
        cut: &mut usize,
    ) -> Vec<Edit> {
        if self.place.direction == Direction::Input {
            return Vec::new();
        }
        let (found, beginning) = self.pseudonyms.find(text);
        let covered = |range: &Range<usize>| {
            let mut all = entities.iter();
            all.any(|entity| entity.range.start < range.end && range.start < entity.range.end)
        };
        if let Some(start) = beginning.filter(|_| !self.last)
            && !covered(&(start..text.len()))
        {
            *cut = start.min(*cut);
        }
        let free = found.into_iter().filter(|found| !covered(&found.range));
        let mut edits = Vec::new();
        for found in free {
            if found.range.end > *cut {
                *cut = found.range.start.min(*cut);
                break;
            }
            self.summary.restored = self.summary.restored.saturating_add(1);
            let with = form.write(found.original);
            edits.push(Edit { range: found.range, with });
        }
        edits
    }

    /// Does with an entity what the policy wants.
    fn act(
        &mut self,
        raw: &str,
        entity: &Entity<'_>,
        lexer: &mut Lexer,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Refusal> {
        let Span { kind, action, .. } = entity.span;
        if let Action::Block(reason) = action {
            return Err(Refusal::blocked(reason));
        }
        let bytes = part(raw, entity.range.clone()).as_bytes();
        let segments = lexer.segments(bytes, entity.range.start);
        self.summary.count(kind, action.label());
        for segment in segments {
            let original = segment.form.read(part(raw, segment.range.clone()));
            if let Some(new) = self.replacement(kind, action, &original) {
                let with = segment.form.write(&new);
                edits.push(Edit { range: segment.range, with });
            }
        }
        Ok(())
    }

    fn replacement(&mut self, kind: &str, action: &Action, original: &str) -> Option<String> {
        let mask = || format!("[{}]", kind_label(kind));
        match action {
            Action::Note | Action::Block(_) => None,
            Action::Mask => Some(mask()),
            Action::Replace(new) => Some(new.clone()),
            Action::Pseudonymize if self.place.direction == Direction::Input => {
                Some(self.pseudonyms.name(kind, original).unwrap_or_else(mask))
            }
            // What the caller has sent may go back to the caller.
            Action::Pseudonymize => (!self.pseudonyms.knows(original)).then(mask),
        }
    }
}

/// The spans as ranges, if they are in order and on character boundaries.
fn checked<'a>(text: &str, findings: &'a Findings) -> Result<Vec<Entity<'a>>, ScanFailure> {
    let mut entities = Vec::with_capacity(findings.spans.len());
    let mut from = 0;
    for span in &findings.spans {
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(span.length).unwrap_or(usize::MAX));
        if start < from || start == end || text.get(start..end).is_none() {
            return Err(ScanFailure::new(
                "the policy's spans are out of order, empty or not on character boundaries",
            ));
        }
        entities.push(Entity { range: start..end, span });
        from = end;
    }
    Ok(entities)
}

fn part(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or_default()
}

/// The part of `text` in `range` with its edits made. An edit belongs to the part in which it
/// starts, and what it replaces is left out of the parts that follow.
pub(super) fn apply(text: &str, edits: &[Edit], range: Range<usize>) -> String {
    let mut out = String::with_capacity(range.len());
    let mut at = range.start;
    for edit in edits.iter().filter(|edit| edit.range.end > range.start) {
        if edit.range.start >= range.end {
            break;
        }
        if edit.range.start >= range.start {
            out.push_str(part(text, at..edit.range.start.max(at)));
            out.push_str(&edit.with);
        }
        at = edit.range.end;
    }
    out.push_str(part(text, at.min(range.end)..range.end));
    out
}
