use super::*;

fn card() -> RateCard {
    let rates = |input: u128, output: u128, cache_read: u128| Rates {
        input: Some(PicoUsd(input)),
        output: Some(PicoUsd(output)),
        cache_read: Some(PicoUsd(cache_read)),
        ..Rates::default()
    };
    RateCard {
        base: rates(2_500_000, 15_000_000, 250_000),
        tiers: vec![Tier {
            above_input_tokens: 272_000,
            rates: rates(5_000_000, 22_500_000, 500_000),
        }],
        modes: vec![Mode {
            served: "priority".into(),
            rates: rates(5_000_000, 30_000_000, 500_000),
        }],
        ..RateCard::default()
    }
}

#[test]
fn a_list_counts_from_its_day_on() {
    let mut dated = card();
    let dearer = RateCard { base: Rates { input: Some(PicoUsd(9)), ..card().base }, ..card() };
    let last = RateCard { base: Rates { input: Some(PicoUsd(7)), ..card().base }, ..card() };
    dated.later =
        vec![Later { from_ms: 1_000, card: dearer }, Later { from_ms: 2_000, card: last }];
    let input = |at_ms| dated.at(at_ms).base.input.unwrap().0;
    assert_eq!([input(0), input(999)], [2_500_000; 2]);
    assert_eq!([input(1_000), input(1_999), input(2_000), input(u64::MAX)], [9, 9, 7, 7]);
}

fn usage(input_uncached: u64, cache_read: u64, output_text: u64) -> Usage {
    Usage { input_uncached, cache_read, output_text, requests: 1, ..Usage::default() }
}

#[test]
fn prices_a_call_to_the_pico_dollar() {
    let used = Usage { output_reasoning: 7, ..usage(1_001, 333, 11) };
    let lines = card().rates_for(&used).unwrap();
    let items: Vec<_> =
        lines.iter().map(|line| (line.item, line.count, line.unit_price.0)).collect();
    assert_eq!(
        items,
        [
            ("input", 1_001, 2_500_000),
            ("cache-read", 333, 250_000),
            ("output", 11, 15_000_000),
            ("reasoning", 7, 15_000_000),
        ]
    );
    let cost = 1_001 * 2_500_000 + 333 * 250_000 + 18 * 15_000_000;
    assert_eq!(card().cost(&used, None).unwrap(), PicoUsd(cost));
}

#[test]
fn an_unknown_price_is_refused_and_never_zero() {
    let audio = Usage { input_audio: 5, ..usage(1, 0, 1) };
    assert_eq!(card().rates_for(&audio), Err(UnpricedBucket { item: "input-audio" }));
    let nothing = RateCard::default();
    assert!(!nothing.is_priced());
    assert_eq!(nothing.rates_for(&usage(1, 0, 0)), Err(UnpricedBucket { item: "input" }));
    assert_eq!(nothing.worst_case(1, 1), Err(UnpricedBucket { item: "input" }));
    assert_eq!(nothing.rates_for(&usage(0, 0, 0)), Ok(vec![]), "nothing used is nothing owed");
}

#[test]
fn an_hour_in_the_cache_is_not_sold_at_the_price_of_minutes() {
    let mut anthropic = card();
    anthropic.base.cache_write_short = Some(PicoUsd(3_750_000));
    let hour = Usage { cache_write_1h: 10, ..Usage::default() };
    assert_eq!(anthropic.rates_for(&hour), Err(UnpricedBucket { item: "cache-write-long" }));
    anthropic.base.cache_write_long = Some(PicoUsd(6_000_000));
    assert_eq!(anthropic.cost(&hour, None), Ok(PicoUsd(60_000_000)));
    assert_eq!(card().cost(&hour, None), Ok(PicoUsd(25_000_000)), "no price for writes: input");
}

#[test]
fn the_prompt_decides_the_tier_cached_tokens_included() {
    let at = |usage: &Usage| card().cost(usage, None).unwrap().0;
    assert_eq!(at(&usage(272_000, 0, 0)), 272_000 * 2_500_000, "up to the bound the base holds");
    assert_eq!(at(&usage(272_001, 0, 1)), 272_001 * 5_000_000 + 22_500_000);
    assert_eq!(at(&usage(1, 272_000, 0)), 5_000_000 + 272_000 * 500_000);
}

#[test]
fn the_tier_that_was_served_is_billed() {
    let at = |served| card().cost(&usage(10, 0, 10), served);
    let standard = PicoUsd(10 * 2_500_000 + 10 * 15_000_000);
    assert_eq!(at(None), Ok(standard));
    assert_eq!(at(Some("default")), Ok(standard));
    assert_eq!(at(Some("priority")), Ok(PicoUsd(10 * 5_000_000 + 10 * 30_000_000)));
    let mut plain = card();
    plain.modes.clear();
    let unpriced = plain.cost(&usage(10, 0, 10), Some("priority"));
    assert_eq!(unpriced, Err(UnpricedBucket { item: "service-tier" }));
}

#[test]
fn a_long_prompt_at_priority_pays_the_dearer_of_both() {
    let cost = card().cost(&usage(300_000, 0, 1), Some("priority")).unwrap();
    assert_eq!(cost, PicoUsd(300_000 * 5_000_000 + 30_000_000));
}

#[test]
fn the_worst_case_bounds_every_split_of_the_same_tokens() {
    let mut card = card();
    card.base.cache_write_short = Some(PicoUsd(3_125_000));
    card.base.request = Some(PicoUsd(9));
    let bound = card.worst_case(1_000, 100).unwrap();
    assert_eq!(bound, PicoUsd(9 + 1_000 * 3_125_000 + 100 * 15_000_000));
    for cached in [0, 1, 500, 1_000] {
        for written in [0, (1_000 - cached) / 2, 1_000 - cached] {
            let used = Usage {
                cache_write_5m: written,
                output_reasoning: 40,
                ..usage(1_000 - cached - written, cached, 60)
            };
            assert!(card.cost(&used, None).unwrap() <= bound);
        }
    }
    assert_eq!(card.worst_case(1_000, 0).unwrap(), PicoUsd(9 + 1_000 * 3_125_000));
}

#[test]
fn the_worst_case_bounds_whatever_tier_is_served_in_answer_to_the_one_asked_for() {
    let card = card();
    let worst = |asked, input| {
        let bounds = Bounds { service_tier: asked, ..Bounds::text(input, 100) };
        card.worst_case_at(&bounds).unwrap()
    };
    let cost = |served, input| card.cost(&usage(input, 0, 100), served).unwrap();
    assert_eq!(worst(Some("priority"), 1_000), cost(Some("priority"), 1_000));
    assert_eq!(worst(Some("auto"), 1_000), worst(Some("priority"), 1_000));
    assert_eq!(worst(None, 1_000), cost(None, 1_000));
    assert_eq!(worst(Some("default"), 1_000), worst(None, 1_000));
    assert_eq!(worst(Some("flex"), 1_000), worst(None, 1_000), "a discount is not relied on");
    // A prompt that is shorter than its estimate may stay below the band of long prompts.
    for counted in [1_000, 272_000, 272_001, 300_000] {
        for served in [None, Some("default"), Some("priority")] {
            assert!(worst(Some("priority"), 300_000) >= cost(served, counted), "{counted}");
        }
    }
}

#[test]
fn the_worst_case_refuses_a_dearer_tier_that_has_no_price() {
    let bounds = Bounds { service_tier: Some("fast"), ..Bounds::text(1, 1) };
    let unpriced = Err(UnpricedBucket { item: "service-tier" });
    assert_eq!(card().worst_case_at(&bounds), unpriced);
    assert!(card().worst_case_quantities(&bounds).is_err());
}

#[test]
fn a_search_has_a_price_or_none_and_is_never_free() {
    let found = Usage { searches: 3, ..usage(10, 0, 5) };
    assert_eq!(card().cost(&found, None), Err(UnpricedBucket { item: "search" }));
    let bounds = Bounds { searches: 16, ..Bounds::text(10, 5) };
    assert_eq!(card().worst_case_at(&bounds), Err(UnpricedBucket { item: "search" }));
    let mut card = card();
    let without = card.cost(&usage(10, 0, 5), None).unwrap().0;
    card.base.search = Some(PicoUsd(10_000_000_000));
    assert_eq!(card.cost(&found, None).unwrap().0 - without, 3 * 10_000_000_000);
    // Neither a long prompt nor a dearer tier has a price of its own for it.
    for (served, input) in [(Some("priority"), 10), (None, 300_000), (Some("priority"), 300_000)] {
        let used = Usage { searches: 1, ..usage(input, 0, 0) };
        let lines = card.quantities(&used, served).unwrap();
        let search = lines.iter().find(|line| line.item == "search").unwrap();
        assert_eq!((search.count, search.unit_price), (1, PicoUsd(10_000_000_000)));
    }
    let worst = card.worst_case_at(&bounds).unwrap().0;
    assert_eq!(worst - card.worst_case(10, 5).unwrap().0, 16 * 10_000_000_000);
}

#[test]
fn the_worst_case_bounds_sound_and_pictures_where_they_may_come() {
    let mut card = card();
    card.base.input_audio = Some(PicoUsd(40_000_000));
    card.base.input_image = Some(PicoUsd(3_000_000));
    card.base.output_audio = Some(PicoUsd(80_000_000));
    card.base.output_image = Some(PicoUsd(60_000_000));
    let text = card.worst_case(1_000, 100).unwrap();
    let bounds = Bounds { input_audio: 300, input_image: 200, ..Bounds::text(1_000, 100) };
    let heard = card.worst_case_at(&bounds).unwrap();
    assert_eq!(
        heard,
        PicoUsd(500 * 2_500_000 + 300 * 40_000_000 + 200 * 3_000_000 + 100 * 15_000_000)
    );
    assert!(heard > text);
    let spoken = Bounds { output_audio: true, ..bounds };
    assert_eq!(card.worst_case_at(&spoken).unwrap().0 - heard.0, 100 * 65_000_000);
    let drawn = Bounds { output_image: true, ..bounds };
    assert_eq!(card.worst_case_at(&drawn).unwrap().0 - heard.0, 100 * 45_000_000);
    let lines = card.worst_case_quantities(&spoken).unwrap();
    let sum = lines.iter().fold(PicoUsd(0), |sum, line| add(sum, line.count, line.unit_price));
    assert_eq!(sum, card.worst_case_at(&spoken).unwrap(), "the lines are the same bound");
}

/// The short way for text comes to what the items of the same call add up to, or to the same
/// refusal.
#[test]
fn a_text_call_costs_at_most_what_its_items_add_up_to() {
    let with = |change: fn(&mut Rates)| {
        let mut card = card();
        change(&mut card.base);
        card
    };
    let cards = [
        card(),
        with(|it| it.request = Some(PicoUsd(77))),
        with(|it| it.reasoning = Some(PicoUsd(99_000_000))),
        with(|it| {
            (it.output_audio, it.output_image) = (Some(PicoUsd(1)), Some(PicoUsd(90_000_000)))
        }),
        with(|it| it.cache_write_long = Some(PicoUsd(4_000_000))),
        with(|it| it.input = None),
        with(|it| it.output = None),
        RateCard::default(),
    ];
    for card in &cards {
        for (input, output) in [(0, 0), (0, 9), (1_000, 0), (1_000, 9), (300_000, u64::MAX)] {
            for flags in 0..4 {
                let bounds = Bounds {
                    output_audio: flags & 1 == 1,
                    output_image: flags & 2 == 2,
                    ..Bounds::text(input, output)
                };
                let items = card.worst_case_quantities(&bounds);
                let sum = items
                    .map(|it| it.iter().fold(PicoUsd(0), |s, q| add(s, q.count, q.unit_price)));
                assert_eq!(card.worst_case_at(&bounds), sum, "{bounds:?} {card:?}");
            }
        }
    }
}
