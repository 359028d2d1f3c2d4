//! The scores of a record's candidates: nothing where all are what the built-in policy gives
//! ([`super::rule`]), else how far each is off, or the score itself. They have seven digits after
//! the point, or seven significant ones where that is more.

use super::super::wire::{Broken, Reader, put, put_short};

/// How a record's scores are written.
const AS_EXPECTED: u8 = 0;
/// Runs of expected ones, each with the score that ends it.
const SOME: u8 = 1;
const EACH: u8 = 2;

/// There is none.
const NONE: u64 = 0;
/// It follows as it is.
const PLAIN: u64 = 1;
/// Steps from the expected score, folded to be positive, follow after these.
const FIRST_OFFSET: u64 = 2;

const STEPS: f64 = 1e7;
/// A score in steps has fewer digits than it might below this, unless they say it exactly.
const IN_STEPS_MIN: f64 = 0.1;
const IN_STEPS_MAX: f64 = 1e4;

pub(super) fn put_scores(out: &mut Vec<u8>, scores: &[Option<f64>], expected: &[Option<f64>]) {
    let pairs = || scores.iter().copied().zip(expected.iter().copied());
    let differ = |pair: &(Option<f64>, Option<f64>)| !is_expected(pair.0, pair.1);
    let odd = pairs().filter(differ).count();
    if odd == 0 {
        return out.push(AS_EXPECTED);
    }
    if odd.saturating_mul(2) > scores.len() {
        out.push(EACH);
        return pairs().for_each(|(score, expected)| put_score(out, score, expected));
    }
    out.push(SOME);
    let mut run = 0;
    for (score, expected) in pairs() {
        if is_expected(score, expected) {
            run += 1;
        } else {
            put(out, run);
            put_score(out, score, expected);
            run = 0;
        }
    }
    put(out, run);
}

/// As many as are expected.
pub(super) fn read_scores(
    reader: &mut Reader<'_>,
    expected: &[Option<f64>],
) -> Result<Vec<Option<f64>>, Broken> {
    match reader.byte()? {
        AS_EXPECTED => Ok(expected.iter().map(|one| one.and_then(rounded)).collect()),
        EACH => expected.iter().map(|one| read_score(reader, *one)).collect(),
        SOME => {
            let mut scores = Vec::with_capacity(expected.len());
            let mut run = reader.varint()?;
            for one in expected {
                if run > 0 {
                    run -= 1;
                    scores.push(one.and_then(rounded));
                } else {
                    scores.push(read_score(reader, *one)?);
                    run = reader.varint()?;
                }
            }
            if run == 0 { Ok(scores) } else { Err(Broken) }
        }
        _ => Err(Broken),
    }
}

/// A score in whole steps; none where they would not say it well.
fn steps(score: f64) -> Option<i64> {
    let scaled = (score * STEPS).round();
    let exact = (scaled / STEPS).to_bits() == score.to_bits();
    let fits = score.abs() < IN_STEPS_MAX && (score.abs() >= IN_STEPS_MIN || exact);
    // Below the bound a float has an integer of its own.
    fits.then_some(scaled as i64)
}

fn rounded(score: f64) -> Option<f64> {
    Some((score * STEPS).round() / STEPS)
}

fn is_expected(score: Option<f64>, expected: Option<f64>) -> bool {
    match (score, expected) {
        (None, None) => true,
        (Some(score), Some(expected)) => {
            let score = steps(score);
            score.is_some() && score == steps(expected)
        }
        _ => false,
    }
}

fn base(expected: Option<f64>) -> i64 {
    expected.and_then(steps).unwrap_or(0)
}

fn put_score(out: &mut Vec<u8>, score: Option<f64>, expected: Option<f64>) {
    let Some(score) = score else { return put(out, NONE) };
    let Some(steps) = steps(score) else {
        put(out, PLAIN);
        return put_short(out, score);
    };
    let off = steps.saturating_sub(base(expected));
    let folded = off.unsigned_abs().saturating_mul(2).saturating_add(u64::from(off < 0));
    put(out, folded.saturating_add(FIRST_OFFSET));
}

fn read_score(reader: &mut Reader<'_>, expected: Option<f64>) -> Result<Option<f64>, Broken> {
    let folded = match reader.varint()? {
        NONE => return Ok(None),
        PLAIN => return reader.short().map(Some),
        code => code.saturating_sub(FIRST_OFFSET),
    };
    let size = i64::try_from(folded / 2).map_err(|_| Broken)?;
    let off = if folded % 2 == 0 { size } else { size.checked_neg().ok_or(Broken)? };
    let steps = base(expected).checked_add(off).ok_or(Broken)?;
    // Both are below the bound that a float holds exactly, or the bytes are none of ours.
    Ok(Some(steps as f64 / STEPS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::wire::Reader;
    use super::{put_scores, read_scores};

    fn back(scores: &[Option<f64>], expected: &[Option<f64>]) -> (usize, Vec<Option<f64>>) {
        let mut out = Vec::new();
        put_scores(&mut out, scores, expected);
        let mut reader = Reader(&out);
        let read = read_scores(&mut reader, expected).unwrap();
        assert!(reader.is_empty());
        (out.len(), read)
    }

    proptest! {
        #[test]
        fn scores_come_back_whatever_was_expected(
            pairs in proptest::collection::vec(
                (proptest::option::of(any::<f64>()), proptest::option::of(0.0..5.0_f64)),
                0..50,
            ),
            near in any::<bool>(),
        ) {
            let expected: Vec<_> = pairs.iter().map(|(_, expected)| *expected).collect();
            let scores: Vec<_> = pairs
                .iter()
                .map(|(score, expected)| if near { *expected } else { *score })
                .collect();
            let (len, read) = back(&scores, &expected);
            if near && expected.iter().flatten().all(|score| *score >= 0.1) {
                prop_assert_eq!(len, 1);
            }
            for (read, sent) in read.into_iter().zip(scores) {
                match (read, sent) {
                    (Some(read), Some(sent)) => {
                        let by = (sent.abs() * 1e-6).max(0.0);
                        prop_assert!((read - sent).abs() <= by || read == sent || sent.is_nan());
                    }
                    (read, sent) => prop_assert_eq!(read, sent),
                }
            }
        }
    }

    #[test]
    fn a_few_that_are_off_are_a_few_bytes() {
        let expected: Vec<_> = (0..46).map(|n| Some(2.0 + f64::from(n) / 100.0)).collect();
        let mut scores = expected.clone();
        scores[7] = None;
        scores[40] = Some(2.400_000_3);
        let (len, read) = back(&scores, &expected);
        assert!(len <= 6, "{len} bytes");
        for (read, sent) in read.into_iter().zip(scores) {
            assert_eq!(read.is_some(), sent.is_some());
            assert!((read.unwrap_or(0.0) - sent.unwrap_or(0.0)).abs() < 0.6e-7);
        }
    }
}
