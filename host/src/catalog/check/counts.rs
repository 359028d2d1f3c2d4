//! The file's names for counts, each with what it is of our buckets. Its counts overlap: cached
//! tokens are among those of the prompt, thinking among those of the answer.

use turnpike_protocol::Usage;

type Count = fn(&Usage) -> u64;

/// Left out are counts that follow from others (text is what no other kind is, short-lived writes
/// what no long-lived ones are) and those of what tools brought, which is charged as the rest.
pub(super) const COUNTS: [(&str, Count); 17] = [
    ("input_tokens", Usage::input_tokens),
    ("output_tokens", Usage::output_tokens),
    ("cache_read_tokens", Usage::cached_tokens),
    ("cache_write_tokens", |u| u.cache_write_5m.saturating_add(u.cache_write_1h)),
    ("cache_write_1h_tokens", |u| u.cache_write_1h),
    ("output_reasoning_tokens", |u| u.output_reasoning),
    ("input_audio_tokens", |u| u.input_audio.saturating_add(u.cache_read_audio)),
    ("input_image_tokens", |u| u.input_image.saturating_add(u.cache_read_image)),
    ("input_video_tokens", |u| u.input_video.saturating_add(u.cache_read_video)),
    ("cache_audio_read_tokens", |u| u.cache_read_audio),
    ("cache_image_read_tokens", |u| u.cache_read_image),
    ("cache_video_read_tokens", |u| u.cache_read_video),
    ("output_audio_tokens", |u| u.output_audio),
    ("output_image_tokens", |u| u.output_image),
    ("output_video_tokens", |u| u.output_video),
    ("output_citation_tokens", |u| u.citations),
    ("web_searches", |u| u.searches),
];

/// The usage as far as the file reads it: a count that it does not know is part of its whole, and a
/// search that it does not know has not been made.
pub(super) fn limited(mut usage: Usage, known: &impl Fn(&str) -> bool) -> Usage {
    let prompt: [(&str, &mut u64); 9] = [
        ("cache_read_tokens", &mut usage.cache_read),
        ("cache_read_tokens", &mut usage.cache_read_audio),
        ("cache_read_tokens", &mut usage.cache_read_image),
        ("cache_read_tokens", &mut usage.cache_read_video),
        ("cache_write_tokens", &mut usage.cache_write_5m),
        ("cache_write_tokens", &mut usage.cache_write_1h),
        ("input_audio_tokens", &mut usage.input_audio),
        ("input_image_tokens", &mut usage.input_image),
        ("input_video_tokens", &mut usage.input_video),
    ];
    for (_, count) in prompt.into_iter().filter(|(name, _)| !known(name)) {
        usage.input_uncached = usage.input_uncached.saturating_add(std::mem::take(count));
    }
    let answer: [(&str, &mut u64); 4] = [
        ("output_reasoning_tokens", &mut usage.output_reasoning),
        ("output_audio_tokens", &mut usage.output_audio),
        ("output_image_tokens", &mut usage.output_image),
        ("output_video_tokens", &mut usage.output_video),
    ];
    for (_, count) in answer.into_iter().filter(|(name, _)| !known(name)) {
        usage.output_text = usage.output_text.saturating_add(std::mem::take(count));
    }
    if !known("cache_write_1h_tokens") {
        let long = std::mem::take(&mut usage.cache_write_1h);
        usage.cache_write_5m = usage.cache_write_5m.saturating_add(long);
    }
    if !known("web_searches") {
        usage.searches = 0;
    }
    usage
}
