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
        output_text: 150,
        output_reasoning: 300,
        input_audio: 50,
        output_audio: 40,
        input_image: 30,
        output_image: 10,
        requests: 1,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
    assert_eq!((usage.input_tokens(), usage.output_tokens()), (1000, 500));
}

#[test]
fn pitfall_39_cached_tokens_are_part_of_the_prompt_by_every_name() {
    for cached in [
        r#""prompt_tokens_details":{"cached_tokens":60}"#,
        r#""cached_tokens":60"#,
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
        "input-audio output-audio input-image output-image request search ",
        "cache-read-audio cache-read-image cache-read-video input-video output-video citation ",
        "hosted-call"
    );
    assert_eq!(labels.join(" "), expected);
}

#[test]
fn pitfall_39_an_engines_own_count_of_its_cache_is_no_discount() {
    let mistral = r#"{"prompt_tokens":64,"completion_tokens":6,"num_cached_tokens":32}"#;
    assert_eq!((read(mistral).cache_read, read(mistral).input_uncached), (0, 64));
    let discounted = r#"{"prompt_tokens":64,"completion_tokens":6,"num_cached_tokens":32,
        "prompt_tokens_details":{"cached_tokens":32}}"#;
    assert_eq!((read(discounted).cache_read, read(discounted).input_uncached), (32, 32));
}

#[test]
fn pitfall_41_perplexity_counts_thinking_and_sources_beside_the_completion() {
    let deep = read(
        r#"{"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,
        "citation_tokens":20016,"num_search_queries":18,"reasoning_tokens":193703}"#,
    );
    assert_eq!((deep.output_text, deep.output_reasoning), (7_163, 193_703));
    assert_eq!((deep.citations, deep.searches), (20_016, 18));
    assert_eq!(deep.output_tokens(), 7_163 + 193_703 + 20_016);
}

#[test]
fn cohere_is_read_by_what_it_charges_for() {
    let raw = r#"{"billed_units":{"input_tokens":41,"output_tokens":28},"cached_tokens":1040,
        "tokens":{"input_tokens":1442,"output_tokens":29}}"#;
    let billed = read(raw);
    assert_eq!((billed.input_uncached, billed.cache_read, billed.output_text), (41, 0, 28));
    let passed = super::parse_passed(raw).unwrap();
    assert_eq!((passed.input_uncached, passed.cache_read, passed.output_text), (402, 1_040, 29));
    let ranked = read(r#"{"billed_units":{"search_units":2}}"#);
    assert_eq!((ranked.searches, ranked.input_tokens()), (2, 0));
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
            output_text: counts[3],
            output_reasoning: counts[4],
            input_audio: counts[5],
            output_audio: counts[6],
            input_image: counts[7],
            output_image: counts[8],
            requests: 1,
            ..Usage::default()
        };
        prop_assert_eq!(Usage::from_openai_chat(&usage.to_openai_chat()), Some(usage));
    }
}
