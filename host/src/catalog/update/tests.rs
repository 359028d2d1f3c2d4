use super::*;
use crate::catalog::Catalog;
use crate::catalog::genai::PriceBook;

/// A source with every provider and these entries under `openai`.
fn source(entries: &str) -> String {
    let others = select::PROVIDERS.iter().filter(|name| **name != "openai");
    let others: Vec<String> =
        others.map(|name| format!(r#""{name}":{{"npm":"x","models":{{}}}}"#)).collect();
    format!(
        r#"{{"providers":{{"openai":{{"npm":"@ai-sdk/openai","models":{{{entries}}}}},{}}}}}"#,
        others.join(",")
    )
}

fn entry(name: &str, cost: &str) -> String {
    format!(
        r#""{name}":{{"name":"{name}","modalities":{{"input":["text"],"output":["text"]}},
        "limit":{{"context":1000,"output":100}},"release_date":"2026-01-01","cost":{cost}}}"#
    )
}

fn built(models_dev: &str, as_of: &str) -> Result<Update, UpdateError> {
    from_sources(&Sources { models_dev, genai_prices: None }, as_of)
}

fn update(entries: &[String]) -> Update {
    built(&source(&entries.join(",")), "2026-07").unwrap()
}

#[test]
fn the_same_source_gives_the_same_bytes() {
    let one = entry("gpt-5.4", r#"{"input":2.5,"output":15.0}"#);
    let two = entry("gpt-4o", r#"{"input":2.50,"output":10}"#);
    let built = update(&[one.clone(), two.clone()]);
    assert_eq!(built, update(&[two, one]), "the order of the source does not matter");
    assert_eq!((built.offers, built.models), (2, 2));
    assert_eq!(built.sha256, sha256_hex(&built.text));
    let ids: Vec<&str> = built.text.lines().skip(1).collect();
    assert!(ids.is_sorted());
    assert!(built.text.contains(r#""usd_per_million":{"input":"2.5","output":"10"}"#));
}

#[test]
fn prices_that_cannot_be_relied_on_are_left_unknown_and_noted() {
    let cases = [
        ("gpt-fine", r#"{"input":0.09999999999999999,"output":1}"#, "more than 6 decimals"),
        ("gpt-below", r#"{"input":-1,"output":1}"#, "negative"),
        ("gpt-zero", r#"{"input":0,"output":0.0}"#, "means unknown"),
        ("gpt-half", r#"{"input":1,"output":0}"#, "means unknown"),
        ("gpt-extra", r#"{"input":1,"output":2,"citation":2}"#, "citation"),
        ("gpt-exponent", r#"{"input":1e-3,"output":2}"#, "plain decimal"),
        ("gpt-none", "null", "the source has none"),
        ("gpt-free", r#"{"input":1,"output":1}"#, "says free"),
    ];
    for (name, cost, why) in cases {
        let built = update(&[entry(name, cost)]);
        let catalog = Catalog::parse(&built.text).unwrap();
        assert!(!catalog.offers()[0].is_priced(), "{name}");
        assert!(built.notes.iter().any(|note| note.contains(why)), "{name}: {:?}", built.notes);
    }
}

#[test]
fn declared_free_is_free_and_zero_parts_are_unknown() {
    let built = update(&[
        entry("gpt-oss:free", r#"{"input":0,"output":0}"#),
        entry("gpt-5", r#"{"input":1,"output":2,"cache_read":0}"#),
    ]);
    let catalog = Catalog::parse(&built.text).unwrap();
    let by = |name: &str| catalog.offers().iter().find(|o| &*o.upstream_model == name).unwrap();
    assert!(by("gpt-oss:free").rates.free && by("gpt-oss:free").is_priced());
    assert_eq!(by("gpt-5").rates.base.cache_read, None);
}

#[test]
fn long_context_tiers_are_kept() {
    let cost = r#"{"input":2.5,"output":15,"tiers":[
        {"tier":{"size":200000},"input":5,"output":20,"cache_read":0.5}]}"#;
    let built = update(&[entry("gpt-5.4", cost)]);
    let catalog = Catalog::parse(&built.text).unwrap();
    let card = &catalog.offers()[0].rates;
    assert_eq!(card.worst_case(200_000, 0).unwrap().0, 200_000 * 2_500_000);
    assert_eq!(card.worst_case(200_001, 0).unwrap().0, 200_001 * 5_000_000);
}

#[test]
fn what_neither_chats_nor_embeds_stays_out() {
    let built = update(&[
        entry("whisper-large-v3", r#"{"input":1,"output":1}"#),
        entry("text-embedding-3-small", r#"{"input":0.02,"output":0.0}"#),
    ]);
    let catalog = Catalog::parse(&built.text).unwrap();
    assert_eq!(catalog.offers().len(), 1);
    assert_eq!(catalog.offers()[0].kind, Kind::Embedding);
    assert!(catalog.offers()[0].is_priced());
}

#[test]
fn a_cut_off_source_is_refused() {
    let missing = built(r#"{"providers":{}}"#, "2026-07").unwrap_err();
    assert!(missing.to_string().contains("alibaba"));
    assert!(built("{", "2026-07").is_err());
    assert!(built(&source(""), "July").is_err());
}

#[test]
fn a_diff_names_what_changed() {
    let old = update(&[
        entry("gpt-5.4", r#"{"input":2.5,"output":15}"#),
        entry("gpt-4o", r#"{"input":2.5,"output":10}"#),
    ]);
    let new = update(&[
        entry("gpt-5.4", r#"{"input":2,"output":15}"#),
        entry("gpt-6", r#"{"input":2.5,"output":10}"#),
    ]);
    let changes = diff(&old.text, &new.text).unwrap();
    assert!(changes.contains(&"- openai/gpt-4o@openai".to_owned()));
    assert!(changes.contains(&"+ openai/gpt-6@openai".to_owned()));
    let changed = changes.iter().find(|line| line.starts_with("~ openai/gpt-5.4@openai"));
    assert!(changed.unwrap().contains("input 2.5 -> 2"), "{changes:?}");
    assert_eq!(diff(&new.text, &new.text).unwrap(), Vec::<String>::new());
}

#[test]
fn batches_cost_half_where_the_list_says_so() {
    let built = update(&[entry("gpt-5.4", r#"{"input":2.5,"output":15,"cache_read":0.25}"#)]);
    let catalog = Catalog::parse(&built.text).unwrap();
    let card = &catalog.offers()[0].rates;
    for served in ["batch", "flex"] {
        let rates = card.rates(1, Some(served)).unwrap();
        assert_eq!((rates.input.unwrap().0, rates.output.unwrap().0), (1_250_000, 7_500_000));
        assert_eq!(rates.cache_read.unwrap().0, 125_000);
        assert_eq!(rates.search, card.base.search, "a search costs the same");
    }
}

/// Prices by the second source of a model that is `gpt-5.4` by the first.
fn with_second(cost: &str, prices: &str) -> Update {
    let book = PriceBook::parse(&format!(
        r#"[{{"id":"openai","models":[{{"id":"m","match":{{"equals":"gpt-5.4"}},
            "prices":{prices}}}]}}]"#
    ))
    .unwrap();
    let models_dev = source(&entry("gpt-5.4", cost));
    let sources = Sources { models_dev: &models_dev, genai_prices: Some(&book) };
    from_sources(&sources, "2026-07").unwrap()
}

#[test]
fn lists_count_from_their_day_and_are_kept_when_they_have_ceased() {
    let built = with_second(
        r#"{"input":2,"output":10}"#,
        r#"[{"prices":{"input_mtok":4,"output_mtok":20}},
            {"constraint":{"start_date":"2025-06-10"},
             "prices":{"input_mtok":2,"output_mtok":10,"cache_read_mtok":0.2}},
            {"constraint":{"start_date":"2026-09-01"},
             "prices":{"input_mtok":3,"output_mtok":15}}]"#,
    );
    let catalog = Catalog::parse(&built.text).unwrap();
    let card = &catalog.offers()[0].rates;
    assert_eq!(card.base.cache_read.unwrap().0, 200_000, "what the first leaves out");
    let day = |text: &str| crate::clock::day_start_s(text) * 1000;
    let input = |at_ms| card.at(at_ms).base.input.unwrap().0;
    assert_eq!(input(day("2026-09-01") - 1), 2_000_000);
    assert_eq!(input(day("2026-09-01")), 3_000_000);
    assert!(built.text.contains(r#""until":{"2025-06-10":{"#), "{}", built.text);
    assert!(built.disagreements.is_empty());
}

#[test]
fn what_the_sources_disagree_on_is_listed_and_taken_from_the_first() {
    let built = with_second(
        r#"{"input":2,"output":10,"cache_read":0.2}"#,
        r#"{"input_mtok":2.01,"output_mtok":12,"cache_read_mtok":0.25,"input_audio_mtok":9}"#,
    );
    let listed: Vec<_> = built.disagreements.iter().map(|d| (d.item, d.prices.join(" "))).collect();
    let expected = [("cache-read", "0.2 0.25".to_owned()), ("output", "10 12".to_owned())];
    assert_eq!(listed, expected, "half a per cent is no disagreement");
    let catalog = Catalog::parse(&built.text).unwrap();
    assert_eq!(catalog.offers()[0].rates.base.output.unwrap().0, 10_000_000);
    assert_eq!(catalog.offers()[0].rates.base.input_audio, None, "another list's price");
}

/// What comes of a book in which OpenAI sells these models beside `gpt-5.4`.
fn with_book(models: &str) -> Update {
    let book = PriceBook::parse(&format!(r#"[{{"id":"openai","models":[{models}]}}]"#)).unwrap();
    let kin = r#""gpt-5.4":{"name":"5.4","reasoning":true,"tool_call":true,
        "release_date":"2026-03-05","structured_output":true,
        "limit":{"context":400000,"output":128000},
        "modalities":{"input":["text","image"],"output":["text"]},
        "cost":{"input":2.5,"output":15}}"#;
    let models_dev = source(kin);
    let sources = Sources { models_dev: &models_dev, genai_prices: Some(&book) };
    from_sources(&sources, "2026-07").unwrap()
}

#[test]
fn a_model_that_only_the_second_source_has_is_added_at_its_price() {
    let built = with_book(
        r#"{"id":"gpt-5.6-sol","name":"GPT-5.6 Sol","context_window":1050000,
            "match":{"or":[{"equals":"gpt-5.6-sol"},{"equals":"gpt-5.6"},{"equals":"gpt-5-6"}]},
            "prices":{"input_mtok":5,"output_mtok":30,"cache_read_mtok":0.5}},
           {"id":"gpt-4-mini","context_window":100000,"match":{"equals":"gpt-4-mini"},
            "prices":{"input_mtok":1,"output_mtok":2}}"#,
    );
    let catalog = Catalog::parse(&built.text).unwrap();
    let by = |name: &str| catalog.offers().iter().find(|o| &*o.upstream_model == name).unwrap();
    let sol = by("gpt-5.6-sol");
    assert_eq!((&*sol.id, sol.context_tokens), ("openai/gpt-5.6-sol@openai", 1_050_000));
    assert_eq!(sol.rates.base.output.unwrap().0, 30_000_000);
    assert_eq!(sol.rates.base.search.unwrap().0, 10_000_000_000, "its maker's price of a search");
    assert!(sol.tools && sol.reasoning && sol.structured_output && sol.input.image);
    assert!(sol.estimated && !sol.deprecated && sol.output_tokens == 128_000);
    assert!(sol.released.is_none(), "nobody says when it came out");
    let listed = by("gpt-5.4");
    assert!(!listed.estimated);
    assert!(sol.quality.general_permille >= listed.quality.general_permille);
    assert!(sol.rates.is_estimated(false), "nobody else says what it costs");
    assert!(!listed.rates.is_estimated(true));
    assert!(!by("gpt-5.6").deprecated, "the name without its end is served too");
    assert!(!catalog.offers().iter().any(|offer| &*offer.upstream_model == "gpt-5-6"));
    assert!(by("gpt-4-mini").deprecated, "older than what the first source still lists");
    assert!(built.notes.iter().any(|note| note.contains("gpt-5.6-sol@openai: added")));
}

#[test]
fn what_is_not_known_well_enough_is_not_added() {
    let cases = [
        (
            "from a reseller",
            r#""match":{"equals":"gpt-6"},"prices":{"input_mtok":1,"output_mtok":2}"#,
        ),
        (
            "no price of the answer",
            r#""context_window":9,"match":{"equals":"gpt-6"},"prices":{"input_mtok":1}"#,
        ),
        (
            "an inexact price",
            r#""context_window":9,"match":{"equals":"gpt-6"},
               "prices":{"input_mtok":0.10000000000000001,"output_mtok":2.0000000000000003}"#,
        ),
        (
            "free",
            r#""context_window":9,"match":{"equals":"gpt-6"},
               "prices":{"input_mtok":0,"output_mtok":0}"#,
        ),
        (
            "listed under another name",
            r#""context_window":9,"match":{"starts_with":"gpt-5"},
               "prices":{"input_mtok":1,"output_mtok":2}"#,
        ),
    ];
    for (why, members) in cases {
        let built = with_book(&format!(r#"{{"id":"gpt-6",{members}}}"#));
        assert_eq!(built.offers, 1, "{why}: {}", built.text);
    }
    for id in ["gpt-audio-6", "other-6", "claude-opus-9"] {
        let built = with_book(&format!(
            r#"{{"id":"{id}","context_window":9,"match":{{"equals":"{id}"}},
                "prices":{{"input_mtok":1,"output_mtok":2}}}}"#
        ));
        assert_eq!(built.offers, 1, "{id}: {}", built.text);
    }
}

#[test]
fn a_fee_per_request_comes_from_the_source_that_has_it() {
    let entries = entry("sonar", r#"{"input":1,"output":1}"#);
    let other = r#""perplexity":{"npm":"x","models":{}}"#;
    let models_dev = source("");
    assert!(models_dev.contains(other));
    let own = format!(r#""perplexity":{{"npm":"x","models":{{{entries}}}}}"#);
    let models_dev = models_dev.replace(other, &own);
    let alone = built(&models_dev, "2026-07").unwrap();
    assert!(!Catalog::parse(&alone.text).unwrap().offers()[0].is_priced());
    let priced = |prices: &str| {
        let book = PriceBook::parse(&format!(
            r#"[{{"id":"perplexity","models":[{{"id":"sonar","match":{{"equals":"sonar"}},
                "prices":{prices}}}]}}]"#
        ))
        .unwrap();
        let sources = Sources { models_dev: &models_dev, genai_prices: Some(&book) };
        from_sources(&sources, "2026-07").unwrap()
    };
    let built = priced(r#"{"input_mtok":1,"output_mtok":1,"requests_kcount":12}"#);
    let catalog = Catalog::parse(&built.text).unwrap();
    let card = &catalog.offers()[0].rates;
    assert_eq!(card.worst_case(1_000, 1_000).unwrap().0, 2_000 * 1_000_000 + 12_000_000_000);
    assert!(!built.notes.iter().any(|note| note.contains("no price")), "{:?}", built.notes);
    let without = priced(r#"{"input_mtok":1,"output_mtok":1}"#);
    assert!(!Catalog::parse(&without.text).unwrap().offers()[0].is_priced());
}

#[test]
fn a_schema_is_kept_to_where_the_makers_documents_say_so() {
    let cost = r#"{"input":2.5,"output":15}"#;
    let kept = |cost: &str, more: &str| {
        let entry = entry("claude-opus-4-8", cost).replace(r#""release_date""#, more);
        let own = format!(r#""anthropic":{{"npm":"@ai-sdk/anthropic","models":{{{entry}}}}}"#);
        let text = source("").replace(r#""anthropic":{"npm":"x","models":{}}"#, &own);
        let catalog = Catalog::parse(&built(&text, "2026-07").unwrap().text).unwrap();
        catalog.offers()[0].structured_output
    };
    assert!(kept(cost, r#""release_date""#));
    assert!(!kept(cost, r#""structured_output":false,"release_date""#), "the source goes first");
}

fn shared(name: &str) -> Option<String> {
    let shared = std::env::var("TURNPIKE_SHARED_DATA").unwrap_or("../shared/data".to_owned());
    // A relative folder counts from the root of the repository.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join(shared).join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: no {}; set TURNPIKE_SHARED_DATA", path.display());
    }
    text
}

#[test]
fn the_shipped_files_are_what_the_generator_makes() {
    let all = (
        shared("models-dev/snapshot.json"),
        shared("genai-prices/prices.json"),
        shared("litellm-media/prices.json"),
    );
    let (Some(models_dev), Some(prices), Some(media)) = all else { return };
    let shipped = include_str!("../../../catalog/snapshot.jsonl");
    let as_of = Catalog::parse(shipped).unwrap().header().as_of.clone();
    let book = PriceBook::parse(&prices).unwrap();
    let sources = Sources { models_dev: &models_dev, genai_prices: Some(&book) };
    let built = from_sources(&sources, &as_of).unwrap();
    let changes = diff(shipped, &built.text).unwrap();
    assert!(built.text == shipped, "run `turnpike catalog update`: {changes:#?}");
    let listed = include_str!("../../../catalog/disagreements.txt");
    assert!(disagreements_text(&built.disagreements) == listed, "run `turnpike catalog update`");
    let media = media::from_litellm(&media).unwrap();
    let shipped = include_str!("../../../catalog/media.jsonl");
    assert!(media.text == shipped, "run `turnpike catalog update`");
}
