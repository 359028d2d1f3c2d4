//! Credit: top-ups book once, entries add up, and an organization with money is not deleted
//! by accident.

use http::StatusCode;
use serde_json::json;
use turnpike_ledger::{PicoUsd, Reserve, TransferId};

use super::world::World;

const TOP_UPS: &str = "/admin/v1/orgs/acme/credits/topups";

#[tokio::test]
async fn a_top_up_books_once_however_often_it_is_sent() {
    let world = World::new();
    world.org("acme").await;
    let body = json!({"amount_usd": "12.5", "channel": "bank", "reference": "invoice 7"});
    let first = world.send("POST", TOP_UPS, &body).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!(first.body["balance"]["available_usd"], "12.500000");
    let again = world.send("POST", TOP_UPS, &body).await;
    assert_eq!((again.status, &again.body["seq"]), (StatusCode::OK, &first.body["seq"]));
    let other = json!({"amount_usd": "13", "channel": "bank", "reference": "invoice 7"});
    let other = world.send("POST", TOP_UPS, &other).await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "reference_reused"));
    let by_id = json!({"amount_usd": "1", "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"});
    for status in [StatusCode::CREATED, StatusCode::OK] {
        assert_eq!(world.send("POST", TOP_UPS, &by_id).await.status, status);
    }
    for _ in 0..2 {
        world.send("POST", TOP_UPS, &json!({"amount_usd": "1"})).await;
    }
    let balance = world.get("/admin/v1/orgs/acme/credits").await;
    assert_eq!(balance["available_usd"], "15.500000", "without a reference each one counts");
    let world = world.restarted();
    assert_eq!(world.send("POST", TOP_UPS, &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn amounts_that_make_no_sense_are_refused() {
    let world = World::new();
    world.org("acme").await;
    for amount in [json!("0"), json!("-1"), json!("1e3"), json!("1.0000000000001"), json!(5)] {
        let answer = world.send("POST", TOP_UPS, &json!({"amount_usd": amount})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{amount}");
        assert_eq!(answer.body["error"]["field"], "amount_usd", "{}", answer.body);
    }
    let nobody = "/admin/v1/orgs/nobody/credits/topups";
    let nobody = world.send("POST", nobody, &json!({"amount_usd": "1"})).await;
    assert_eq!(
        nobody.status,
        StatusCode::NOT_FOUND,
        "no account comes into being by a typing error"
    );
}

#[tokio::test]
async fn entries_page_and_their_postings_add_up_to_the_balance() {
    let world = World::new();
    world.org("acme").await;
    world.org("beta").await;
    for number in 1..=5 {
        let body = json!({"amount_usd": number.to_string(), "reference": format!("r{number}")});
        world.send("POST", TOP_UPS, &body).await;
        world.send("POST", "/admin/v1/orgs/beta/credits/topups", &body).await;
    }
    let mut items = Vec::new();
    let mut next = json!("0");
    while let Some(after) = next.as_str() {
        let path = format!("/admin/v1/orgs/acme/credits/entries?limit=2&after={after}");
        let page = world.get(&path).await;
        items.extend(page["items"].as_array().unwrap().clone());
        next = page["next"].clone();
    }
    assert_eq!(items.len(), 5);
    let sum = PicoUsd::checked_sum(items.iter().map(|item| {
        assert_eq!(item["postings"][0]["to"], "credit:acme");
        PicoUsd::parse(item["postings"][0]["amount_usd"].as_str().unwrap()).unwrap()
    }));
    let balance = world.get("/admin/v1/orgs/acme/credits").await;
    assert_eq!(balance["available_usd"], sum.unwrap().to_string());
}

#[tokio::test]
async fn an_organization_with_money_or_open_holds_is_not_deleted_by_accident() {
    let world = World::new();
    world.org("acme").await;
    world.send("POST", TOP_UPS, &json!({"amount_usd": "5"})).await;
    let credit = world.send("DELETE", "/admin/v1/orgs/acme", &json!(null)).await;
    assert_eq!((credit.status, credit.code()), (StatusCode::CONFLICT, "credit_left"));
    let hold = Reserve {
        id: TransferId([1; 16]),
        org: "acme",
        budgets: &[],
        amount: PicoUsd::from_usd(5),
        at_ms: 1,
        expires_at_ms: 2,
    };
    let _held = world.ledger.reserve(&hold).unwrap();
    let holds = world.send("DELETE", "/admin/v1/orgs/acme?force=true", &json!(null)).await;
    assert_eq!((holds.status, holds.code()), (StatusCode::CONFLICT, "holds_open"));
    world.ledger.release(TransferId([1; 16]), PicoUsd::ZERO, 3).unwrap();
    let gone = world.send("DELETE", "/admin/v1/orgs/acme?force=true", &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
}
