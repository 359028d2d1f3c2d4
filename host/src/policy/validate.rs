//! Checks what guests answer before anyone acts on it. Pure. The messages name what is wrong in
//! the host's words and never quote the guest, who may have read the request's text.

use super::facts::AttrValue;
use super::usd;
use super::v0_1::exports::turnpike::policy as exports;
use super::v0_1::turnpike::policy::types::ValueResult;
use super::verdict::{Action, Classification, Findings, Line, Span};

/// Bytes of a label: labels become metric dimensions and columns.
pub(super) const LABEL_BYTES_MAX: usize = 64;
/// Needs of one task: there are about a dozen known ones.
const NEEDS_MAX: usize = 32;
/// Named facts of one classification.
const ATTRS_MAX: usize = 64;
/// Bytes of one fact's text.
const ATTR_BYTES_MAX: usize = 1024;
/// Entities of one text: a page of nothing but addresses has fewer.
const SPANS_MAX: usize = 16_384;
/// Bytes held back at the end of a window: a promise to whoever reads the stream.
const HOLD_BYTES_MAX: usize = 4096;
/// Bytes of one replacement.
const REPLACEMENT_BYTES_MAX: usize = 4096;
/// Bytes of a reason that the caller is shown.
const REASON_BYTES_MAX: usize = 512;
/// Lines of one price: one per item and then some.
const LINES_MAX: usize = 64;
/// Bytes of one line's note.
const NOTE_BYTES_MAX: usize = 256;

type Checked<T> = Result<T, String>;

/// Lowercase letters, digits and `-_./:+` beginning with a letter or a digit.
pub(super) fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= LABEL_BYTES_MAX
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b"-_./:+".contains(&b))
}

fn label(what: &str, text: String) -> Checked<String> {
    if is_label(&text) {
        return Ok(text);
    }
    Err(format!(
        "{what} is not a label (1 to {LABEL_BYTES_MAX} of a-z, 0-9 and -_./:+, the first a letter \
         or a digit)"
    ))
}

fn at_most(what: &str, count: usize, max: usize) -> Checked<()> {
    if count <= max { Ok(()) } else { Err(format!("{what}: {count}, at most {max} are allowed")) }
}

fn share(what: &str, number: f64) -> Checked<f64> {
    // A NaN is in no range.
    if (0.0..=1.0).contains(&number) {
        return Ok(number);
    }
    Err(format!("{what} is {number}, expected 0 to 1"))
}

fn attr((name, value): (String, ValueResult)) -> Checked<(String, AttrValue)> {
    let name = label("the name of an attr", name)?;
    let value = match value {
        ValueResult::Text(text) => {
            at_most("bytes of an attr's text", text.len(), ATTR_BYTES_MAX)?;
            AttrValue::Text(text)
        }
        ValueResult::Number(number) if number.is_finite() => AttrValue::Number(number),
        ValueResult::Number(_) => return Err("an attr's number is not finite".to_owned()),
        ValueResult::Flag(flag) => AttrValue::Flag(flag),
    };
    Ok((name, value))
}

/// Shares within 0 to 1, labels that are labels, bounded lists.
pub(super) fn classification(raw: exports::classify::Classification) -> Checked<Classification> {
    at_most("needs", raw.needs.len(), NEEDS_MAX)?;
    at_most("attrs", raw.attrs.len(), ATTRS_MAX)?;
    let needs = raw.needs.into_iter().map(|need| label("a need", need)).collect::<Checked<_>>()?;
    Ok(Classification {
        task: label("the task", raw.task)?,
        difficulty: share("difficulty", raw.difficulty)?,
        confidence: share("confidence", raw.confidence)?,
        needs,
        context_tokens: raw.context_tokens,
        attrs: raw.attrs.into_iter().map(attr).collect::<Checked<_>>()?,
    })
}

/// One score per row. NaN and negative exclude the row; infinity can't be compared.
pub(super) fn scores(raw: Vec<f64>, rows: usize) -> Checked<Vec<Option<f64>>> {
    if raw.len() != rows {
        return Err(format!("{} scores for {rows} candidates", raw.len()));
    }
    raw.into_iter()
        .enumerate()
        .map(|(row, score)| match score {
            score if score.is_nan() || score < 0.0 => Ok(None),
            score if score.is_infinite() => Err(format!("the score of row {row} is infinite")),
            score => Ok(Some(score)),
        })
        .collect()
}

/// Reasons are only shown, so they are cut and cleaned, not refused.
pub(super) fn reasons(raw: Vec<String>) -> Vec<String> {
    let clean = |text: String| {
        let end = text.floor_char_boundary(REASON_BYTES_MAX);
        let cut = text.get(..end).unwrap_or_default();
        cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    };
    raw.into_iter().map(clean).collect()
}

fn action(raw: exports::redact::Action) -> Checked<Action> {
    Ok(match raw {
        exports::redact::Action::Note => Action::Note,
        exports::redact::Action::Mask => Action::Mask,
        exports::redact::Action::Pseudonymize => Action::Pseudonymize,
        exports::redact::Action::Replace(text) => {
            at_most("bytes of a replacement", text.len(), REPLACEMENT_BYTES_MAX)?;
            Action::Replace(text)
        }
        exports::redact::Action::Block(reason) => {
            at_most("bytes of a reason to block", reason.len(), REASON_BYTES_MAX)?;
            Action::Block(reason)
        }
    })
}

/// Spans in order, apart, in range, at character boundaries; a bounded tail; none when last.
pub(super) fn findings(
    raw: exports::redact::Findings,
    text: &str,
    last: bool,
) -> Checked<Findings> {
    at_most("spans", raw.spans.len(), SPANS_MAX)?;
    let hold = usize::try_from(raw.hold).unwrap_or(usize::MAX);
    at_most("bytes held back", hold, HOLD_BYTES_MAX)?;
    if last && hold > 0 {
        return Err(format!("{hold} bytes held back of the last piece"));
    }
    let Some(end) = text.len().checked_sub(hold).filter(|at| text.is_char_boundary(*at)) else {
        return Err("the bytes held back do not begin at a character".to_owned());
    };
    let mut after = 0;
    let mut spans = Vec::with_capacity(raw.spans.len());
    for (at, span) in raw.spans.into_iter().enumerate() {
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        let length = usize::try_from(span.length).unwrap_or(usize::MAX);
        let stop = start.saturating_add(length);
        if length == 0 || start < after || stop > end {
            return Err(format!("span {at} is empty, out of order, overlapping or out of range"));
        }
        if !text.is_char_boundary(start) || !text.is_char_boundary(stop) {
            return Err(format!("span {at} cuts a character"));
        }
        after = stop;
        let kind = label("the kind of a span", span.kind)?;
        spans.push(Span { start, length, kind, action: action(span.action)? });
    }
    let data_class = match raw.data_class {
        none if none.is_empty() => none,
        class => label("the data class", class)?,
    };
    Ok(Findings { spans, hold, data_class })
}

/// Exact amounts: each line's is its count times its unit price, and the sum fits.
pub(super) fn lines(raw: Vec<exports::bill::Line>) -> Checked<Vec<Line>> {
    at_most("price lines", raw.len(), LINES_MAX)?;
    let mut total = 0_u128;
    let mut lines = Vec::with_capacity(raw.len());
    for (at, line) in raw.into_iter().enumerate() {
        let money = |what: &str, text: &str| {
            usd::parse(text).ok_or_else(|| {
                format!("the {what} of line {at} is not a decimal amount of US dollars")
            })
        };
        let unit_price_pico = money("unit price", &line.unit_price)?;
        let amount_pico = money("amount", &line.amount)?;
        if unit_price_pico.checked_mul(u128::from(line.count)) != Some(amount_pico) {
            return Err(format!("the amount of line {at} is not its count times its unit price"));
        }
        total = total
            .checked_add(amount_pico)
            .ok_or_else(|| "the lines add up to more money than there is".to_owned())?;
        at_most("bytes of a note", line.note.len(), NOTE_BYTES_MAX)?;
        lines.push(Line {
            item: label("the item of a line", line.item)?,
            count: line.count,
            unit_price_pico,
            amount_pico,
            note: line.note,
        });
    }
    Ok(lines)
}
