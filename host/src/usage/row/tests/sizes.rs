//! How long records are. Never more than what a change of the format would show: how far a store
//! grows is measured by the bench `usage_store`.

use super::*;

#[test]
fn a_record_with_40_candidates_is_below_a_kilobyte_and_its_statistics_below_250_bytes() {
    let mut lexicon = Lexicon::default();
    let record = usual();
    let (payload, read) = there_and_back(&record, &mut lexicon);
    assert!(payload.len() < 700, "{} bytes", payload.len());
    let mut bare = record.clone();
    bare.explanation.candidates.clear();
    let (bare, _) = there_and_back(&bare, &mut lexicon);
    let per_candidate = (payload.len() - bare.len()).div_ceil(40);
    // Twelve, and one more since a choice can be made again from them.
    assert!(per_candidate <= 13, "{per_candidate} bytes for a candidate");
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
