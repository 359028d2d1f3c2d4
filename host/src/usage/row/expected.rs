//! What a request's expected costs were made of, in as few bytes as the usual one needs.

use super::super::codec::{Codec, Step};
use super::super::explanation::ExpectedFact;

/// Marks of what was expected.
const THINKING: u64 = 1;
const MINUTES: u64 = 1 << 1;
const HOUR: u64 = 1 << 2;
const KEPT_OTHERWISE: u64 = 1 << 3;
const LIMITED: u64 = 1 << 4;
const TIER: u64 = 1 << 5;
const SPOKEN: u64 = 1 << 6;

/// Most requests are text alone and ask for one answer.
pub(super) fn expected<C: Codec>(c: &mut C, e: &mut ExpectedFact) -> Step {
    let kept = match e.keeping.as_deref() {
        None => 0,
        Some("minutes") => MINUTES,
        Some("hour") => HOUR,
        Some(_) => KEPT_OTHERWISE,
    };
    let others = [
        (e.thinking, THINKING),
        (e.spoken, SPOKEN),
        (e.answer_limit.is_some(), LIMITED),
        (e.service_tier.is_some(), TIER),
    ];
    let mut marks = others.iter().filter(|(set, _)| *set).fold(kept, |all, (_, mark)| all | mark);
    let (mut limit, mut more) = (e.answer_limit.unwrap_or(0), e.answers.wrapping_sub(1));
    let mut numbers = [
        &mut e.prompt_tokens,
        &mut e.answer_tokens,
        &mut marks,
        &mut limit,
        &mut e.cached_tokens,
        &mut more,
        &mut e.audio_tokens,
        &mut e.image_tokens,
        &mut e.searches,
        &mut e.hosted_calls,
    ];
    super::sparse(c, &mut numbers)?;
    e.answers = more.wrapping_add(1);
    e.thinking = marks & THINKING != 0;
    e.spoken = marks & SPOKEN != 0;
    e.answer_limit = (marks & LIMITED != 0).then_some(limit);
    if marks & KEPT_OTHERWISE != 0 {
        c.maybe_word(&mut e.keeping)?;
    } else if kept != marks & (MINUTES | HOUR) {
        e.keeping = Some(if marks & HOUR != 0 { "hour" } else { "minutes" }.into());
    }
    if marks & TIER != 0 { c.maybe_word(&mut e.service_tier) } else { Ok(()) }
}
