use proptest::prelude::*;
use serde_json::json;

use crate::Usage;

fn read(raw: &str) -> Usage {
    Usage::from_openai_chat(raw).unwrap()
}

#[test]
fn pitfall_38_buckets_are_disjoint() {
    let usage = read(
        r#"{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,
        "prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":100,"audio_tokens":50,
            "image_tokens":30},
        "completion_tokens_details":{"reasoning_tokens":300,"audio_tokens":40,"image_tokens":10,
        "accepted_prediction_tokens":5,"rejected_prediction_tokens":7}}"#,
    );
    let expected = Usage {
        input_uncached: 220,
        cache_read: 600,
        cache_write_5m: 100,
        cache_write_1h: 0,
        output_text: 150,
        output_reasoning: 300,
        input_audio: 50,
        output_audio: 40,
        input_image: 30,
        output_image: 10,
        requests: 1,
        searches: 0,
    };
    assert_eq!(usage, expected);
    assert_eq!((usage.input_tokens(), usage.output_tokens()), (1000, 500));
}

#[test]
fn pitfall_39_cached_tokens_are_part_of_the_prompt_by_every_name() {
    for cached in [
        r#""prompt_tokens_details":{"cached_tokens":60}"#,
        r#""cached_tokens":60"#,
        r#""num_cached_tokens":60"#,
        r#""prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":40"#,
        // Two names for one count are one count.
        r#""prompt_cache_hit_tokens":60,"prompt_tokens_details":{"cached_tokens":60}"#,
    ] {
        let usage = read(&format!("{{\"prompt_tokens\":100,\"completion_tokens\":1,{cached}}}"));
        assert_eq!((usage.cache_read, usage.input_uncached), (60, 40), "{cached}");
    }
    let deepseek =
        r#"{"prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":40,"completion_tokens":1}"#;
    assert_eq!(read(deepseek).input_tokens(), 100);
}

#[test]
fn pitfall_40_a_later_report_stands_alone() {
    let early = read(r#"{"prompt_tokens":10,"completion_tokens":1}"#);
    let late = read(r#"{"prompt_tokens":10,"completion_tokens":9}"#);
    assert_eq!((early.requests, late.requests), (1, 1));
    assert_eq!((late.input_uncached, late.output_text), (10, 9));
}

#[test]
fn pitfall_41_thinking_left_out_of_the_completion_is_found_in_the_total() {
    let inside = r#"{"prompt_tokens":10,"completion_tokens":50,"total_tokens":60,
        "completion_tokens_details":{"reasoning_tokens":30}}"#;
    assert_eq!((read(inside).output_text, read(inside).output_reasoning), (20, 30));
    let neither = r#"{"prompt_tokens":10,"completion_tokens":50,"total_tokens":95,
        "completion_tokens_details":{"reasoning_tokens":30}}"#;
    assert_eq!(read(neither).output_tokens(), 50);
    assert_eq!(read(neither).output_reasoning, 30);
    let beside = r#"{"prompt_tokens":10,"completion_tokens":50,"total_tokens":100,
        "completion_tokens_details":{"reasoning_tokens":40}}"#;
    assert_eq!((read(beside).output_text, read(beside).output_reasoning), (50, 40));
    let silent = r#"{"completion_tokens":12,"prompt_tokens":35,"total_tokens":109}"#;
    assert_eq!((read(silent).output_text, read(silent).output_reasoning), (12, 62));
}

#[test]
fn what_is_no_count_counts_nothing() {
    let odd = read(
        r#"{"prompt_tokens":7,"completion_tokens":-3,"total_tokens":"x",
            "prompt_tokens_details":null,"completion_tokens_details":[]}"#,
    );
    assert_eq!((odd.input_uncached, odd.output_tokens()), (7, 0));
    for none in ["null", "{}", "[]", "{\"total_tokens\":9}", "{\"prompt_tokens\":1.5}", "{", "7"] {
        assert_eq!(Usage::from_openai_chat(none), None, "{none}");
    }
}

#[test]
fn items_are_named_as_they_are_billed() {
    let labels: Vec<_> = Usage::default().iter().map(|(label, _)| label).collect();
    let expected = concat!(
        "input cache-read cache-write-short cache-write-long output reasoning ",
        "input-audio output-audio input-image output-image request search"
    );
    assert_eq!(labels.join(" "), expected);
}

proptest! {
    #[test]
    fn pitfall_38_parts_never_exceed_their_whole(
        prompt in any::<u64>(),
        completion in any::<u64>(),
        parts in prop::array::uniform6(any::<u64>()),
    ) {
        let [cached, written, audio, reasoning, spoken, drawn] = parts;
        let report = json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_tokens_details":
                {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio},
            "completion_tokens_details":
                {"reasoning_tokens": reasoning, "audio_tokens": spoken, "image_tokens": drawn},
        });
        let usage = read(&report.to_string());
        prop_assert_eq!(usage.input_tokens(), prompt);
        prop_assert_eq!(usage.output_tokens(), completion);
    }

    #[test]
    fn what_is_written_reads_back(counts in prop::array::uniform9(0_u64..1 << 40)) {
        let usage = Usage {
            input_uncached: counts[0],
            cache_read: counts[1],
            cache_write_5m: counts[2],
            cache_write_1h: 0,
            output_text: counts[3],
            output_reasoning: counts[4],
            input_audio: counts[5],
            output_audio: counts[6],
            input_image: counts[7],
            output_image: counts[8],
            requests: 1,
            searches: 0,
        };
        prop_assert_eq!(Usage::from_openai_chat(&usage.to_openai_chat()), Some(usage));
    }
}
