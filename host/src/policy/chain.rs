//! What several scanners of the same text come to together. Each sees the text as it is, so none
//! has to understand another's masks; where they differ about a place, the stronger action stands.
//! Pure; asks nobody.

use super::verdict::{Action, Findings, Span};

/// Bytes held back at the end of a window, at most: what a single scanner may hold.
const HOLD_BYTES_MAX: usize = 4096;

/// Joins the findings of scanners in their order, each checked against this text.
pub(super) fn join(found: Vec<Findings>, text: &str) -> Findings {
    let mut joined = Findings::default();
    for one in found {
        joined.hold = joined.hold.max(one.hold);
        if !one.data_class.is_empty() {
            joined.data_class = one.data_class;
        }
        joined.spans = laid_over(joined.spans, one.spans);
    }
    keep_whole(&mut joined, text.len());
    joined
}

/// Blocking beats changing beats counting.
fn strength(action: &Action) -> u8 {
    match action {
        Action::Note => 0,
        Action::Mask | Action::Pseudonymize | Action::Replace(_) => 1,
        Action::Block(_) => 2,
    }
}

fn end(span: &Span) -> usize {
    span.start.saturating_add(span.length)
}

/// Both lists in one, in order and without overlap: of two spans at one place the stronger stays
/// whole, the earlier scanner's where they are equal, and of the other what sticks out.
fn laid_over(first: Vec<Span>, second: Vec<Span>) -> Vec<Span> {
    let mut ranked: Vec<Span> = first;
    ranked.extend(second);
    // Stable: within a strength the earlier scanner comes first.
    ranked.sort_by_key(|span| std::cmp::Reverse(strength(&span.action)));
    let mut kept: Vec<Span> = Vec::with_capacity(ranked.len());
    for span in ranked {
        let (mut at, stop) = (span.start, end(&span));
        let mut next = kept.partition_point(|one| end(one) <= at);
        while at < stop {
            let over = kept.get(next).map_or(stop, |one| one.start.clamp(at, stop));
            if over > at {
                kept.insert(
                    next,
                    Span { start: at, length: over.saturating_sub(at), ..span.clone() },
                );
                next = next.saturating_add(1);
            }
            at = kept.get(next).map_or(stop, |one| end(one).max(over));
            next = next.saturating_add(1);
        }
    }
    kept
}

/// What is held back is scanned again with what follows, so nothing of it is found now; a span that
/// reaches into it is held back whole, or, where that would be too much, nothing behind it is.
fn keep_whole(joined: &mut Findings, length: usize) {
    let mut tail = length.saturating_sub(joined.hold);
    while let Some(cut) = joined.spans.iter().find(|span| span.start < tail && end(span) > tail) {
        let held = length.saturating_sub(cut.start);
        tail = if held <= HOLD_BYTES_MAX { cut.start } else { end(cut) };
    }
    joined.hold = length.saturating_sub(tail);
    joined.spans.retain(|span| end(span) <= tail);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(start: usize, length: usize, kind: &str, action: Action) -> Span {
        Span { start, length, kind: kind.to_owned(), action }
    }

    fn found(spans: Vec<Span>, hold: usize) -> Findings {
        Findings { spans, hold, data_class: String::new() }
    }

    fn places(findings: &Findings) -> Vec<(usize, usize, &str)> {
        findings.spans.iter().map(|it| (it.start, it.length, it.kind.as_str())).collect()
    }

    #[test]
    fn the_stronger_action_stands_and_the_rest_sticks_out() {
        let note = found(vec![span(0, 10, "page", Action::Note)], 0);
        let mask = found(vec![span(4, 2, "name", Action::Mask)], 0);
        let joined = join(vec![note, mask], "0123456789");
        assert_eq!(places(&joined), [(0, 4, "page"), (4, 2, "name"), (6, 4, "page")]);
        let first = found(vec![span(0, 5, "a", Action::Mask)], 0);
        let second = found(vec![span(3, 5, "b", Action::Pseudonymize)], 0);
        let joined = join(vec![first, second], "0123456789");
        assert_eq!(places(&joined), [(0, 5, "a"), (5, 3, "b")]);
    }

    #[test]
    fn a_span_is_never_cut_by_what_another_holds_back() {
        let text = "x".repeat(100);
        let masks = found(vec![span(90, 8, "a", Action::Mask)], 0);
        let holds = found(vec![span(10, 1, "b", Action::Mask)], 5);
        let joined = join(vec![masks, holds], &text);
        assert_eq!((places(&joined), joined.hold), (vec![(10, 1, "b")], 10));
        let text = "x".repeat(10_000);
        let long = found(vec![span(10, 9_990, "key", Action::Mask)], 0);
        let joined = join(vec![long, found(Vec::new(), 5)], &text);
        assert_eq!((places(&joined), joined.hold), (vec![(10, 9_990, "key")], 0));
    }

    #[test]
    fn the_last_data_class_counts() {
        let of = |class: &str| Findings { data_class: class.to_owned(), ..Findings::default() };
        let joined = join(vec![of("internal"), of("restricted"), of("")], "");
        assert_eq!(joined.data_class, "restricted");
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0..6_usize, 1..6_usize, 0..3_u8), 0..6).prop_map(|gaps| {
            let mut at = 0;
            let action = |kind| match kind {
                0 => Action::Note,
                1 => Action::Mask,
                _ => Action::Block("no".to_owned()),
            };
            gaps.into_iter()
                .map(|(gap, length, kind)| {
                    let span = span(at + gap, length, "k", action(kind));
                    at = end(&span);
                    span
                })
                .collect()
        })
    }

    proptest! {
        /// In order, apart, none reaching into the tail; and before the tail no byte is treated
        /// more mildly than any of the scanners wanted.
        #[test]
        fn nothing_that_anyone_found_is_lost(
            lists in prop::collection::vec((spans(), 0..20_usize), 1..4),
        ) {
            let text = "x".repeat(80);
            let all: Vec<Findings> =
                lists.into_iter().map(|(spans, hold)| {
                    let tail = text.len() - hold;
                    found(spans.into_iter().filter(|it| end(it) <= tail).collect(), hold)
                }).collect();
            let joined = join(all.clone(), &text);
            let tail = text.len() - joined.hold;
            let mut after = 0;
            for span in &joined.spans {
                prop_assert!(span.start >= after && span.length > 0 && end(span) <= tail);
                after = end(span);
            }
            let at = |spans: &[Span], byte: usize| {
                let over = spans.iter().filter(|it| it.start <= byte && end(it) > byte);
                over.map(|it| strength(&it.action) + 1).max().unwrap_or(0)
            };
            for byte in 0..tail {
                let wanted = all.iter().map(|one| at(&one.spans, byte)).max().unwrap_or(0);
                prop_assert_eq!(at(&joined.spans, byte), wanted, "byte {}", byte);
            }
        }
    }
}
