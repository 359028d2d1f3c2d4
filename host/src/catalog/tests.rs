use std::collections::BTreeSet;

use turnpike_ledger::PicoUsd;

use super::*;

mod standing;

fn embedded() -> Catalog {
    Catalog::embedded().unwrap()
}

fn offer<'a>(catalog: &'a Catalog, id: &str) -> &'a Offer {
    catalog.offers().iter().find(|offer| &*offer.id == id).unwrap_or_else(|| panic!("no {id}"))
}

fn select(name: &str) -> ProviderSelection {
    ProviderSelection { name: name.to_owned(), ..ProviderSelection::default() }
}

#[test]
fn the_snapshot_is_the_one_that_was_checked() {
    let line = include_str!("../../catalog/snapshot.jsonl.sha256");
    assert_eq!(line.split_whitespace().next(), Some(sha256_hex(SNAPSHOT).as_str()));
    let catalog = embedded();
    assert!(catalog.header().source.contains("models.dev"));
    assert!(catalog.header().source.contains("genai-prices"));
    assert_eq!(catalog.header().licence, "MIT");
    assert!(SNAPSHOT.len() < 1 << 20, "the snapshot has grown beyond a readable size");
}

#[test]
fn the_snapshot_has_the_promised_breadth() {
    let catalog = embedded();
    let models: BTreeSet<&str> = catalog.offers().iter().map(|offer| &*offer.model).collect();
    assert!(models.len() >= 200, "{}", models.len());
    let providers: BTreeSet<&str> = catalog.providers().collect();
    for provider in ["openai", "anthropic", "google", "llama", "xai", "deepseek", "alibaba"] {
        assert!(providers.contains(provider), "{provider}");
    }
    let makers: BTreeSet<&str> = catalog.offers().iter().map(|offer| &*offer.vendor).collect();
    for maker in ["openai", "anthropic", "google", "meta", "xai", "deepseek", "alibaba", "zhipuai"]
    {
        assert!(makers.contains(maker), "{maker}");
    }
    let kinds = |kind| catalog.offers().iter().any(|offer| offer.kind == kind && offer.is_priced());
    assert!(kinds(Kind::Chat) && kinds(Kind::Embedding));
}

#[test]
fn prices_are_the_list_prices_exactly() {
    let catalog = embedded();
    let gpt = &offer(&catalog, "openai/gpt-5.4@openai").rates;
    assert_eq!(gpt.base.input, Some(PicoUsd(2_500_000)));
    assert_eq!(gpt.base.output, Some(PicoUsd(15_000_000)));
    assert_eq!(gpt.base.cache_read, Some(PicoUsd(250_000)));
    assert_eq!(gpt.rates(272_001, None).unwrap().input, Some(PicoUsd(5_000_000)));
    assert_eq!(gpt.rates(1, Some("priority")).unwrap().output, Some(PicoUsd(30_000_000)));
    let claude = &offer(&catalog, "anthropic/claude-sonnet-4-5@anthropic").rates.base;
    assert_eq!(claude.cache_write_short, Some(PicoUsd(3_750_000)));
    assert_eq!(claude.cache_write_long, Some(PicoUsd(6_000_000)));
}

#[test]
fn zero_is_a_price_only_where_the_name_says_free() {
    let catalog = embedded();
    let mut free = 0;
    for offer in catalog.offers() {
        let rates = offer.rates.base;
        let zero = rates.has_zero() || offer.rates.tiers.iter().any(|tier| tier.rates.has_zero());
        assert_eq!(zero, offer.rates.free, "{}", offer.id);
        assert_eq!(zero, offer.given_away, "{}", offer.id);
        assert!(!zero || offer.upstream_model.contains("free"), "{}", offer.id);
        free += usize::from(zero);
    }
    assert!(free > 0);
    let llama = catalog.offers_of("llama");
    assert!(!llama.is_empty() && llama.iter().all(|offer| !offer.is_priced()));
}

#[test]
fn makers_are_not_sellers() {
    let catalog = embedded();
    let groq = offer(&catalog, "meta/llama-3.3-70b-instruct@groq");
    assert_eq!((&*groq.vendor, &*groq.provider), ("meta", "groq"));
    assert_eq!(&*groq.upstream_model, "llama-3.3-70b-versatile");
    let europe = offer(&catalog, "anthropic/claude-sonnet-5@amazon-bedrock:eu");
    assert_eq!(europe.region.as_deref(), Some("eu"));
    assert_eq!(&*europe.provider, "amazon-bedrock");
}

#[test]
fn only_chat_models_claim_the_chat_dialect() {
    let catalog = embedded();
    assert!(offer(&catalog, "openai/gpt-5.4@openai").speaks("openai-chat"));
    assert!(!offer(&catalog, "openai/gpt-5.4-pro@openai").speaks("openai-chat"));
    assert!(!offer(&catalog, "anthropic/claude-sonnet-5@amazon-bedrock").speaks("openai-chat"));
}

#[test]
fn quality_orders_frontier_before_middle_before_small() {
    let catalog = embedded();
    let quality =
        |id: &str, task: &str| offer(&catalog, id).quality.prior(&TaskDemands::of(task)).value;
    let ladders = [
        ["openai/gpt-5.5@openai", "openai/gpt-5.4-mini@openai", "openai/gpt-5.4-nano@openai"],
        [
            "anthropic/claude-opus-4-8@anthropic",
            "anthropic/claude-haiku-4-5@anthropic",
            "anthropic/claude-3-haiku-20240307@anthropic",
        ],
        [
            "google/gemini-3.1-pro-preview@google",
            "google/gemini-2.5-flash@google",
            "google/gemini-2.5-flash-lite@google",
        ],
    ];
    for ladder in ladders {
        for task in ["chat", "code", "reasoning", "agent", "extraction"] {
            let values = ladder.map(|id| quality(id, task));
            assert!(values.is_sorted_by(|a, b| a > b), "{task}: {ladder:?} {values:?}");
        }
    }
    assert!(quality("openai/gpt-5.5@openai", "code") > quality("openai/gpt-4o@openai", "code"));
    let source =
        offer(&catalog, "openai/gpt-5.5@openai").quality.prior(&TaskDemands::of("code")).source;
    assert_eq!(source, PriorSource::Benchmarks);
    assert_eq!(
        offer(&catalog, "openai/gpt-5.4@openai").quality,
        offer(&catalog, "openai/gpt-5.4@azure").quality,
        "a model is as good wherever it runs"
    );
}

#[test]
fn names_resolve_among_the_configured_providers() {
    let view = embedded().for_providers(&["openai", "anthropic", "azure"]).unwrap();
    let ids = |name: &str| -> Vec<String> {
        let found = view.resolve(name).unwrap_or_else(|e| panic!("{e}"));
        found.iter().map(|i| view.offer(*i).unwrap().id.to_string()).collect()
    };
    assert_eq!(ids("openai/gpt-5.4"), ["openai/gpt-5.4@azure", "openai/gpt-5.4@openai"]);
    assert_eq!(ids("OpenAI/GPT-5.4"), ids("openai/gpt-5.4"));
    assert_eq!(ids("openai/gpt-5.4@openai"), ["openai/gpt-5.4@openai"]);
    assert_eq!(ids("gpt-5.4"), ids("openai/gpt-5.4"));
    assert_eq!(ids("claude-opus-4-7"), ["anthropic/claude-opus-4-7@anthropic"]);
    assert_eq!(view.all().len(), view.offers().len());
    assert_eq!(view.models().map(|(_, offers)| offers.len()).sum::<usize>(), view.offers().len());
}

#[test]
fn an_unknown_model_is_refused_with_suggestions() {
    let view = embedded().for_providers(&["openai", "anthropic"]).unwrap();
    let unknown = view.resolve("gpt-5,4").unwrap_err();
    assert_eq!(unknown.suggestions.first().map(String::as_str), Some("openai/gpt-5.4"));
    assert!(unknown.suggestions.len() <= 3);
    assert!(unknown.to_string().contains("did you mean `openai/gpt-5.4`"));
    let elsewhere = view.resolve("xai/grok-4.3").unwrap_err();
    assert!(!elsewhere.suggestions.iter().any(|name| name.contains("grok")));
    assert!(view.resolve("").unwrap_err().to_string().contains("GET /v1/models"));
}

#[test]
fn for_a_model_without_a_price_the_nearest_with_one_is_known() {
    let declared = |id: &str, free| DeclaredOffer { id: id.to_owned(), free, ..Default::default() };
    let local = ProviderSelection {
        declared: vec![declared("meta/tuned-8b", false), declared("meta/tuned-70b", true)],
        ..select("local")
    };
    let view = embedded().configured(&[local]).unwrap();
    assert_eq!(view.priced_like("meta/tuned-8b"), ["meta/tuned-70b"]);
    assert_eq!(view.priced_like("something-else"), Vec::<&str>::new());
}

#[test]
fn a_bare_name_of_two_models_is_ambiguous() {
    let declared = |id: &str| DeclaredOffer { id: id.to_owned(), free: true, ..Default::default() };
    let local = ProviderSelection {
        declared: vec![declared("meta/tuned"), declared("alibaba/tuned")],
        ..select("local")
    };
    let view = embedded().configured(&[local]).unwrap();
    let error = view.resolve("tuned").unwrap_err();
    assert!(error.ambiguous);
    assert_eq!(error.suggestions, ["alibaba/tuned", "meta/tuned"]);
    assert_eq!(view.resolve("meta/tuned").unwrap().len(), 1);
}

#[test]
fn a_provider_can_stand_in_for_another_and_be_narrowed() {
    let proxy = ProviderSelection {
        like: Some("openai".to_owned()),
        models: vec!["gpt-5.4".to_owned(), "openai/gpt-5.4-mini".to_owned()],
        ..select("proxy")
    };
    let view = embedded().configured(&[proxy]).unwrap();
    let ids: Vec<&str> = view.offers().iter().map(|offer| &*offer.id).collect();
    assert_eq!(ids, ["openai/gpt-5.4-mini@proxy", "openai/gpt-5.4@proxy"]);
    assert!(view.offers().iter().all(|offer| &*offer.provider == "proxy"));
    let misspelt = ProviderSelection { models: vec!["gpt-5,4".to_owned()], ..select("openai") };
    let error = embedded().configured(&[misspelt]).unwrap_err().to_string();
    assert!(error.contains("gpt-5.4"), "{error}");
    let nowhere = ProviderSelection { like: Some("opnai".to_owned()), ..select("proxy") };
    assert!(embedded().configured(&[nowhere]).is_err());
}

#[test]
fn declared_offers_are_priced_or_openly_free() {
    let toml = r#"
        id = "alibaba/qwen3-32b"
        upstream_model = "qwen3:32b"
        context_tokens = 32768
        tools = true
        usd_per_million = { input = "0.5", output = "1.25" }
    "#;
    let declared: DeclaredOffer = toml::from_str(toml).unwrap();
    let offer = declared.offer("vllm").unwrap();
    assert_eq!(&*offer.id, "alibaba/qwen3-32b@vllm");
    assert_eq!(offer.rates.base.output, Some(PicoUsd(1_250_000)));
    assert!(offer.is_priced() && offer.input.text);
    // Without any of its own it has its provider's.
    assert!(offer.dialects.is_empty());
    let dialects = vec!["anthropic-messages"];
    let served = ProviderSelection { declared: vec![declared.clone()], dialects, ..select("vllm") };
    let view = embedded().configured(&[served]).unwrap();
    assert!(view.offers().iter().all(|offer| offer.speaks("anthropic-messages")));
    let zero = DeclaredOffer {
        usd_per_million: [("input".to_owned(), "0".to_owned())].into(),
        ..declared.clone()
    };
    assert!(zero.offer("vllm").unwrap_err().to_string().contains("free = true"));
    let silent = DeclaredOffer { usd_per_million: [].into(), ..declared.clone() };
    assert!(!silent.offer("vllm").unwrap().is_priced());
    let free = DeclaredOffer { free: true, ..silent };
    assert_eq!(free.offer("vllm").unwrap().rates.worst_case(100, 100), Ok(PicoUsd(0)));
    assert!(!free.offer("vllm").unwrap().given_away, "it is the operator's own");
    let misspelt = DeclaredOffer {
        usd_per_million: [("inputs".to_owned(), "1".to_owned())].into(),
        ..declared
    };
    assert!(misspelt.offer("vllm").is_err());
}

#[test]
fn an_operator_knows_prices_and_quality_better() {
    let toml = r#"
        model = "gpt-5.4"
        usd_per_million = { input = "2", search = "9000" }
        quality_permille = 990
        output_tokens = 1000
    "#;
    let better: OfferOverride = toml::from_str(toml).unwrap();
    let of = |overrides: Vec<OfferOverride>| {
        embedded().configured(&[ProviderSelection { overrides, ..select("openai") }])
    };
    let view = of(vec![better.clone()]).unwrap();
    let find = |model: &str| {
        let found = view.resolve(model).unwrap().first().copied();
        view.offer(found.unwrap()).unwrap().clone()
    };
    let changed = find("openai/gpt-5.4");
    // At every length and tier; what is not named is the official price.
    for (tokens, served) in [(1, None), (272_001, None), (1, Some("priority"))] {
        let rates = changed.rates.rates(tokens, served).unwrap();
        assert_eq!(rates.input, Some(PicoUsd(2_000_000)), "{tokens} {served:?}");
    }
    assert_eq!(changed.rates.base.output, Some(PicoUsd(15_000_000)));
    assert_eq!(changed.rates.base.search, Some(PicoUsd(9_000_000_000)));
    let prior = changed.quality.prior(&TaskDemands::of("code"));
    assert_eq!((prior.source, changed.output_tokens), (PriorSource::Operator, 1_000));
    assert_eq!(find("openai/gpt-5.4-mini").rates.base.input, Some(PicoUsd(750_000)));
    let wrong = |change: OfferOverride| of(vec![change]).unwrap_err().to_string();
    let misspelt = wrong(OfferOverride { model: "gpt-5,4".to_owned(), ..better.clone() });
    assert!(misspelt.contains("gpt-5.4"), "{misspelt}");
    let zero = [("input".to_owned(), "0".to_owned())].into();
    let zero = wrong(OfferOverride { usd_per_million: zero, ..better.clone() });
    assert!(zero.contains("free = true") && zero.contains("gpt-5.4"), "{zero}");
    assert!(wrong(OfferOverride { quality_permille: Some(1001), ..better }).contains("1001"));
}

#[test]
fn what_the_operator_says_is_free_is_not_given_away_by_its_provider() {
    let free = |change: OfferOverride| {
        let overrides = vec![OfferOverride { model: "*".to_owned(), ..change }];
        let selection = ProviderSelection { overrides, ..select("openrouter") };
        let view = embedded().configured(&[selection]).unwrap();
        let own = view.offers().iter().filter(|offer| offer.upstream_model.ends_with(":free"));
        own.map(|offer| offer.given_away).collect::<Vec<_>>()
    };
    assert!(free(OfferOverride::default()).iter().all(|given_away| *given_away));
    let known = free(OfferOverride { free: true, ..OfferOverride::default() });
    assert!(!known.is_empty() && known.iter().all(|given_away| !given_away));
}

#[test]
fn every_seed_provider_is_there_under_its_own_name() {
    let catalog = embedded();
    let sellers = sellers().unwrap();
    for title in [
        "OpenAI",
        "Anthropic",
        "Google",
        "Meta",
        "xAI",
        "DeepSeek",
        "Alibaba",
        "Zhipu",
        "Mistral",
        "Moonshot",
        "MiniMax",
        "Cohere",
        "Groq",
        "Together",
        "Fireworks",
        "Cerebras",
        "Perplexity",
        "NVIDIA",
        "OpenRouter",
        "Azure OpenAI",
        "Amazon Bedrock",
        "Google Vertex",
        "Ollama",
        "vLLM",
    ] {
        let found = sellers.iter().find(|(_, seller)| seller.title.starts_with(title));
        let (name, _) = found.unwrap_or_else(|| panic!("no {title}"));
        // The last two sell nothing: their models are the operator's own.
        let local = matches!(name.as_str(), "ollama" | "vllm");
        assert_eq!(catalog.offers_of(name).is_empty(), local, "{name}");
    }
    assert!(catalog.providers().all(|name| sellers.contains_key(name)));
    let first_party: BTreeSet<&str> = catalog
        .offers()
        .iter()
        .filter(|offer| offer.vendor == offer.provider || &*offer.provider == "zai")
        .map(|offer| &*offer.model)
        .collect();
    assert!(first_party.len() >= 200, "{}", first_party.len());
}

#[test]
fn what_only_the_second_source_has_is_in_the_shipped_catalogue() {
    let catalog = embedded();
    for id in ["openai/gpt-5.6-sol@openai", "xai/grok-4.5@xai", "anthropic/claude-opus-5@anthropic"]
    {
        let offer = offer(&catalog, id);
        assert!(offer.is_priced() && offer.estimated && !offer.deprecated, "{id}");
        assert!(offer.tools && offer.structured_output && offer.context_tokens > 0, "{id}");
    }
    for id in ["xai/grok-4-0709@xai", "xai/grok-4-fast@xai", "xai/grok-code-fast-1@xai"] {
        let offer = offer(&catalog, id);
        assert!(offer.is_priced() && offer.deprecated, "{id}: only for who names it");
    }
    let sonar = &offer(&catalog, "perplexity/sonar@perplexity").rates.base;
    assert_eq!(sonar.request.map(|price| price.0), Some(12_000_000_000));
    let priced = |offer: &&Arc<Offer>| offer.is_priced() && offer.kind == Kind::Chat;
    let own = catalog.offers().iter().filter(priced);
    let own = own.filter(|offer| offer.vendor == offer.provider || &*offer.provider == "zai");
    let own: BTreeSet<&str> = own.map(|offer| &*offer.model).collect();
    assert!(own.len() >= 230, "{}", own.len());
}

#[test]
fn lists_of_other_days_are_in_the_shipped_catalogue() {
    let catalog = embedded();
    let sonnet = &offer(&catalog, "anthropic/claude-sonnet-5@anthropic").rates;
    let input = |day: &str| {
        sonnet.at(crate::clock::day_start_s(day) * 1000).base.input.map(|price| price.0)
    };
    assert_eq!(input("2026-08-31"), Some(2_000_000));
    assert_eq!(input("2026-09-01"), Some(3_000_000));
    assert!(SNAPSHOT.contains(r#""until":{"2025-06-10":{"#), "o3 was dearer before");
    let flash = &offer(&catalog, "google/gemini-2.5-flash@google").rates.base;
    assert_eq!(flash.cache_read_audio, Some(PicoUsd(100_000)));
}

#[test]
fn damage_is_named_by_line() {
    let (first, rest) = SNAPSHOT.split_once('\n').unwrap();
    let at = |text: &str| Catalog::parse(text).unwrap_err().to_string();
    assert!(at("").contains("empty"));
    assert!(at(&format!("{first}\n{{}}\n")).starts_with("catalogue line 2"));
    let line = rest.lines().next().unwrap();
    let twice = first.replacen(&embedded().offers().len().to_string(), "2", 1);
    assert!(at(&format!("{twice}\n{line}\n{line}\n")).contains("two offers"));
    assert!(at(&format!("{first}\n{line}\n")).contains("header says"));
}

#[test]
fn fitting_counts_prompt_and_answer() {
    let catalog = embedded();
    let mut offer = offer(&catalog, "openai/gpt-4o@openai").clone();
    assert_eq!((offer.context_tokens, offer.output_tokens), (128_000, 16_384));
    assert!(offer.fits(100_000, 16_384) && !offer.fits(120_000, 16_384));
    assert!(!offer.fits(1, 16_385));
    offer.input_tokens = Some(1_000);
    assert!(offer.fits(1_000, 1) && !offer.fits(1_001, 1));
}

#[test]
fn models_are_selected_by_name_or_by_how_they_begin() {
    let catalog = embedded();
    let of = |models: &[&str]| {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        catalog.configured(&[ProviderSelection { models, ..select("openai") }])
    };
    let family = of(&["openai/GPT-5.4*"]).unwrap();
    assert!(family.offers().len() > 1);
    assert!(family.offers().iter().all(|offer| offer.model.starts_with("openai/gpt-5.4")));
    assert_eq!(of(&["*"]).unwrap().offers().len(), catalog.offers_of("openai").len());
    assert!(of(&["zzz*"]).is_err());
}

#[test]
fn a_model_that_is_not_there_is_named_with_what_to_do() {
    let catalog = embedded();
    let refused = |provider: &str, model: &str| {
        let models = vec![model.to_owned()];
        let selection = ProviderSelection { models, ..select(provider) };
        catalog.configured(&[selection]).unwrap_err().to_string()
    };
    assert!(refused("openai", "gpt5.4").contains("(near: gpt-5.4"));
    let far = refused("openai", "something-else-entirely");
    assert!(!far.contains("near") && far.contains("[[providers.openai.offers]]"), "{far}");
    let nobody = refused("opnai", "gpt-5.4");
    assert!(nobody.contains("catalog = \"openai\""), "{nobody}");
}
