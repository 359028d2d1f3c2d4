use super::*;

fn book(prices: &str) -> PriceBook {
    let json = format!(
        r#"[{{"id":"one","models":[{{"id":"m","prices":{prices},
            "match":{{"or":[{{"equals":"m"}},{{"regex":"^m-\\d+$"}}]}}}}]}},
            {{"id":"two","fallback_model_providers":["one"],"models":[]}}]"#
    );
    PriceBook::parse(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_list_is_in_force_from_its_day() {
    let book = book(
        r#"[{"prices":{"input_mtok":2,"output_mtok":10}},
            {"constraint":{"start_date":"2026-09-01"},
             "prices":{"input_mtok":3,"output_mtok":15}}]"#,
    );
    let model = book.find("two", "m-2026").unwrap();
    let input = |when: &str| model.card_at(at(when)).unwrap().base.input.unwrap().0;
    assert_eq!(input("2026-08-31T23:59:59Z"), 2_000_000);
    assert_eq!(input("2026-09-01T00:00:00Z"), 3_000_000);
    assert!(book.find("two", "n").is_none() && book.find("one", "m-x").is_none());
}

#[test]
fn a_list_is_in_force_at_its_hours() {
    let book = book(
        r#"[{"prices":{"input_mtok":1}},
            {"constraint":{"start_time":"00:30:00Z","end_time":"16:30:00Z"},
             "prices":{"input_mtok":2}}]"#,
    );
    let model = book.find("one", "m").unwrap();
    let input = |when: &str| model.card_at(at(when)).unwrap().base.input.unwrap().0;
    assert_eq!(input("2026-08-31T00:29:59Z"), 1_000_000);
    assert_eq!(input("2026-08-31T00:30:00Z"), 2_000_000);
    assert_eq!(input("2026-08-31T16:30:00Z"), 1_000_000);
}

#[test]
fn tiers_per_component_become_rates_of_the_whole_request() {
    let book = book(
        r#"{"input_mtok":{"base":1,"tiers":[{"start":200,"price":2},{"start":500,"price":4}]},
            "output_mtok":{"base":5,"tiers":[{"start":200,"price":7}]},"cache_read_mtok":0.1,
            "web_searches_kcount":10,"requests_kcount":5}"#,
    );
    let card = book.find("one", "m").unwrap().card_at(at("2026-08-31T00:00:00Z")).unwrap();
    let of = |tokens: u64| {
        let rates = card.rates(tokens, None).unwrap();
        [rates.input, rates.output, rates.cache_read].map(|price| price.unwrap().0 / 100_000)
    };
    assert_eq!([of(200), of(201), of(501)], [[10, 50, 1], [20, 70, 1], [40, 70, 1]]);
    assert_eq!(card.base.search.unwrap().0, 10_000_000_000);
    assert_eq!(card.base.request.unwrap().0, 5_000_000_000);
}

#[test]
fn a_price_that_is_not_exact_is_rounded_and_says_so() {
    let book = book(r#"{"input_mtok":0.18000000000000002,"output_mtok":0.08333366666}"#);
    let list = book.find("one", "m").unwrap().at(at("2026-08-31T00:00:00Z")).unwrap();
    assert!(list.rounded);
    assert_eq!(list.card.base.input.unwrap().0, 180_000);
    assert_eq!(list.card.base.output.unwrap().0, 83_334);
}

#[test]
fn what_is_not_understood_is_an_error() {
    for bad in [
        "{}",
        r#"[{"id":"x","models":[{"id":"m","match":{"like":"m"},"prices":{}}]}]"#,
        r#"[{"id":"x","models":[{"id":"m","match":{"equals":"m"},"prices":{"moon_mtok":1}}]}]"#,
        r#"[{"id":"x","models":[{"id":"m","match":{"regex":"("},"prices":{}}]}]"#,
    ] {
        assert!(PriceBook::parse(bad).is_err(), "{bad}");
    }
}
