//! How long records are. Never more than what a change of the format would show: how far a store
//! grows is measured by the bench `usage_store`.

use super::house::House;
use super::*;

#[test]
fn a_record_with_40_candidates_is_below_a_kilobyte_and_its_statistics_below_250_bytes() {
    let mut lexicon = Lexicon::default();
    let record = usual();
    // The first one of a segment brings its words and its roster along.
    there_and_back(&record, &mut lexicon);
    let (payload, read) = there_and_back(&record, &mut lexicon);
    assert!(payload.len() < 500, "{} bytes", payload.len());
    let mut bare = record.clone();
    bare.explanation.candidates.clear();
    let (bare, _) = there_and_back(&bare, &mut lexicon);
    let per_candidate = (payload.len() - bare.len()).div_ceil(40);
    // Scores that no rule is known for: four bytes each, and hardly more.
    assert!(per_candidate <= 5, "{per_candidate} bytes for a candidate");
    assert!(bare.len() < 250, "{} bytes without candidates", bare.len());
    let json = serde_json::to_vec(&record).unwrap().len();
    assert!(payload.len() * 10 < json, "{} of {json} bytes", payload.len());
    println!("{} bytes, {} without candidates; JSON {json}", payload.len(), bare.len());
    for (read, sent) in read.explanation.candidates.iter().zip(&record.explanation.candidates) {
        let near = |read: Option<f64>, sent: Option<f64>, by: f64| match (read, sent) {
            (Some(read), Some(sent)) => (read - sent).abs() <= by,
            (read, sent) => read == sent,
        };
        assert!(near(read.score, sent.score, 1e-6), "{read:?} {sent:?}");
        assert!(near(read.quality, sent.quality, 0.000_051), "{read:?} {sent:?}");
        assert!(near(read.first_token_ms, sent.first_token_ms, 0.051), "{read:?} {sent:?}");
        assert_eq!(read.expected_cost_usd, sent.expected_cost_usd);
        assert_eq!((&read.rejected, &read.reason_code), (&sent.rejected, &sent.reason_code));
    }
}

/// What a store of a million events grows by is measured by the bench `usage_store`; this is the
/// part of it that a change of the format would show.
#[test]
fn an_event_of_a_small_installation_takes_less_than_250_bytes_with_its_frame() {
    const FRAME_BYTES: usize = 8;
    let mut lexicon = Lexicon::default();
    let mut record = usual();
    record.explanation.candidates.truncate(6);
    record.explanation.plan.truncate(3);
    // The first one of a segment brings its words along.
    there_and_back(&record, &mut lexicon);
    let (payload, _) = there_and_back(&record, &mut lexicon);
    assert!(payload.len() + FRAME_BYTES < 250, "{} bytes", payload.len());
}

/// Bytes of so many events of a house, with their frames and what they add to the dictionary. So
/// many requests are on their way at a time, of which any may be the next to end.
fn stored(offers: u32, profile: &'static str, events: u64, beside: usize) -> u64 {
    const FRAME_BYTES: usize = 8;
    let mut house = House::of(offers, profile);
    let mut lexicon = Lexicon::default();
    let (mut bytes, mut shared) = (0, 0);
    let mut framed = lexicon.framed();
    let mut on_their_way: Vec<Fresh> = (0..beside).map(|_| house.record()).collect();
    for number in 0..2 * events {
        let next = usize::try_from((number * 2_654_435_761) >> 7).unwrap() % beside;
        let mut fresh = std::mem::replace(&mut on_their_way[next], house.record());
        let sent = whole(&fresh);
        let mut payload = Vec::new();
        encode(&mut payload, &mut fresh, &mut lexicon);
        if number >= events {
            let frames = lexicon.frames(framed);
            let dictionary: usize = frames.iter().map(|frame| frame.len() + FRAME_BYTES).sum();
            bytes += u64::try_from(payload.len() + FRAME_BYTES).unwrap();
            shared += u64::try_from(dictionary).unwrap();
        }
        framed = lexicon.framed();
        let read = decode(&payload, &book(&lexicon)).unwrap();
        same(&read.explanation.candidates, &sent);
    }
    let (each, shares) = (bytes / events, shared / events);
    println!("{offers} offers, {profile}, {beside} at a time: {each} + {shares} bytes");
    (bytes + shared) / events
}

/// The candidates as an explanation has them.
fn whole(fresh: &Fresh) -> Vec<CandidateFact> {
    let looked_at = fresh.looked_at.as_ref().unwrap();
    let label = |text: &str| Label::Owned(text.to_owned());
    looked_at
        .seen()
        .map(|seen| CandidateFact {
            offer: seen.offer.into(),
            score: seen.score,
            quality: seen.quality,
            expected_cost_usd: seen.expected_cost_usd,
            first_token_ms: seen.first_token_ms,
            figures: seen.figures,
            rejected: seen.rejected.map(label),
            reason_code: seen.reason_code.map(label),
        })
        .collect()
}

/// Amounts, names and reasons exactly; the others to the digits that are kept.
fn same(read: &[CandidateFact], sent: &[CandidateFact]) {
    assert_eq!(read.len(), sent.len());
    for (read, sent) in read.iter().zip(sent) {
        let near = |read: Option<f64>, sent: Option<f64>, by: f64| match (read, sent) {
            (Some(read), Some(sent)) => (read - sent).abs() <= by,
            (read, sent) => read == sent,
        };
        assert_eq!((&read.offer, read.expected_cost_usd), (&sent.offer, sent.expected_cost_usd));
        assert_eq!((&read.rejected, &read.reason_code), (&sent.rejected, &sent.reason_code));
        assert!(near(read.score, sent.score, 0.6e-7), "{read:?} {sent:?}");
        assert!(near(read.quality, sent.quality, 0.000_051), "{read:?} {sent:?}");
        assert!(near(read.first_token_ms, sent.first_token_ms, 0.051), "{read:?} {sent:?}");
        let of = |fact: &CandidateFact| fact.figures.unwrap_or_default();
        let (read, sent) = (of(read), of(sent));
        let both = |read: f64, sent: f64, by| near(Some(read), Some(sent), by);
        assert!(both(read.first_token_p95_ms, sent.first_token_p95_ms, 0.051));
        assert!(both(read.tokens_per_second, sent.tokens_per_second, 0.006));
        assert_eq!((read.in_flight, read.availability), (sent.in_flight, sent.availability));
        assert_eq!(read.quality_estimated, sent.quality_estimated);
        assert_eq!(read.answer_tokens, sent.answer_tokens);
    }
}

#[test]
fn an_event_takes_less_than_250_bytes_with_17_candidates_and_with_46() {
    for offers in [6, 17, 46] {
        // Under `fast` most scores are a little off: they follow from times, kept rounded.
        for profile in ["balanced", "cheap", "best", "fast"] {
            let each = stored(offers, profile, 400, 1);
            assert!(each < 250, "{offers} offers, {profile}: {each} bytes an event");
        }
        let each = stored(offers, "balanced", 400, 16);
        assert!(each < 250, "{offers} offers, 16 requests at a time: {each} bytes an event");
    }
}
