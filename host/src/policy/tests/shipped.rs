//! The combined built-in as it is shipped, through all four hooks.

use std::path::Path;
use std::sync::Arc;

use super::guests::*;
use crate::policy::*;

fn shipped() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/policy-default.wasm");
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make plugins` first", path.display()))
}

#[tokio::test]
async fn one_instance_of_the_shipped_policy_serves_all_four_hooks() {
    let engine = engine();
    let policy = engine.admit(&shipped()).unwrap();
    assert_eq!(policy.hooks.labels(), ["redact", "classify", "route", "bill"]);
    let bindings = Arc::new(BindingSet::defaults(Builtins::combined(&policy)));
    let mut session = session(&engine, &bindings);

    let task = session.classify().await.value.unwrap();
    let place = Place { direction: "input", channel: "text", role: "user" };
    let found = session.scan(place, "write to jane.doe@example.com", true).await.unwrap();
    assert_eq!(found.spans.iter().map(|span| (span.start, span.length)).next(), Some((9, 20)));
    let (figures, candidates) = offers(3);
    let scores = session.score(&task, &figures, &Objective::default(), candidates).await;
    assert_eq!(scores.value.map(|scores| scores.len()), Some(3));
    let call = BillCall {
        task: task.task,
        offer: "lab/model@provider".to_owned(),
        quantities: vec![
            Quantity { item: "input".to_owned(), count: 1234, unit_price_pico: 37_500_000 },
            Quantity { item: "output".to_owned(), count: 5, unit_price_pico: 1 },
        ],
        settled: true,
        attrs: Vec::new(),
    };
    let lines = session.price(&call).await.value.unwrap();
    let total: u128 = lines.iter().map(|line| line.amount_pico).sum();
    assert_eq!(total, 1234 * 37_500_000 + 5);

    assert_eq!(session.trace().iter().map(|record| record.fresh).sum::<u32>(), 1);
    assert!(session.trace().iter().all(|record| record.failure.is_none()));
    assert_eq!(engine.live_instances(), 1);
    drop(session);
    assert_eq!(engine.live_instances(), 0);
}
