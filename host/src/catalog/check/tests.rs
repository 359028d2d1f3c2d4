use super::*;

/// A file of the shared data, or why the test is skipped.
fn shared(name: &str) -> Option<String> {
    let shared = std::env::var("TURNPIKE_SHARED_DATA").unwrap_or("../shared/data".to_owned());
    // A relative folder counts from the root of the repository.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join(shared).join("genai-prices").join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: no {}; set TURNPIKE_SHARED_DATA", path.display());
    }
    text
}

fn sample(name: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/usage");
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// When the expectations of the data were made.
fn then() -> Timestamp {
    "2026-07-15T12:00:00Z".parse().unwrap()
}

fn bodies<'a>(readings: impl IntoIterator<Item = &'a Reading>) -> usize {
    readings.into_iter().map(|r| r.body).collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn real_usage_bodies_have_the_expected_counts_and_prices() {
    let (Some(prices), Some(lines)) = (shared("prices.json"), shared("usages.dev.jsonl")) else {
        return;
    };
    let book = PriceBook::parse(&prices).unwrap();
    let readings = readings(&book, &lines, then()).unwrap();
    let differing: Vec<&Reading> = readings.iter().filter(|r| !r.differences.is_empty()).collect();
    let shown = || differing.iter().map(|r| format!("{r:?}")).collect::<Vec<_>>().join("\n");
    assert!(readings.len() > 13_000, "{}", readings.len());
    assert!(differing.len() * 200 <= readings.len(), "{}: {}", differing.len(), shown());
    assert!(differing.iter().all(|r| r.reason.is_some()), "unexplained: {}", shown());
    assert_eq!(bodies(&readings), 1_114);
    assert!(bodies(differing.iter().copied()) * 200 <= bodies(&readings), "{}", shown());
    // What the gateway reads without knowing the provider is the same wherever there is a price.
    let told: Vec<&Reading> = readings.iter().filter(|r| r.priced && !r.same_unknown).collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn one_body_of_each_shape_has_the_expected_counts_and_prices() {
    let book = PriceBook::parse(&sample("prices.json")).unwrap();
    let readings = readings(&book, &sample("bodies.jsonl"), then()).unwrap();
    let differing: Vec<&Reading> = readings.iter().filter(|r| !r.differences.is_empty()).collect();
    assert!(differing.iter().all(|r| r.reason.is_some()), "unexplained: {differing:#?}");
    // A message that asked a second model, a total that shows thinking, DeepSeek's own names.
    assert_eq!((bodies(&readings), bodies(differing.iter().copied())), (113, 3));
    assert!(readings.iter().filter(|r| r.priced).count() > 100);
}

#[test]
fn a_difference_is_found() {
    let line = |input: u64, price: &str| {
        format!(
            r#"{{"id":1,"model":"m","body":{{"usage":{{"prompt_tokens":10,"completion_tokens":2}}}},
            "extracted":[{{"usage":{{"input_tokens":{input},"output_tokens":2}},"extractors":[{{
            "provider_id":"one","api_flavor":"chat","input_price":"{price}","output_price":"4E-6"
            }}]}}]}}"#
        )
        .replace('\n', " ")
    };
    let book = PriceBook::parse(
        r#"[{"id":"one","models":[{"id":"m","match":{"equals":"m"},
            "prices":{"input_mtok":1,"output_mtok":2}}]}]"#,
    )
    .unwrap();
    let differences = |line: &str| readings(&book, line, then()).unwrap().remove(0).differences;
    assert_eq!(differences(&line(10, "0.00001")), Vec::<String>::new());
    let count = differences(&line(11, "0.00001"));
    assert_eq!(count, ["input_tokens 10, expected 11"]);
    let price = differences(&line(10, "0.000011")).join("; ");
    assert!(price.starts_with("input price 0.00001") && price.contains("total price"), "{price}");
    let unknown = line(10, "0.00001").replace("\"model\":\"m\"", "\"model\":\"n\"");
    assert_eq!(differences(&unknown), ["no price, expected one"]);
    assert!(readings(&book, "{}", then()).is_err());
}
