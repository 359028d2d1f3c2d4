//! Credit: top-ups book once, entries add up, and an organization with money is not deleted
//! by accident.

use http::StatusCode;
use serde_json::json;
use turnpike_ledger::{PicoUsd, Reserve, TransferId};

use super::world::World;
use crate::store::{AlertRecord, Delivery};

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

/// Something that an organization was to be told.
fn alert(org: &str, delivery: Delivery) -> AlertRecord {
    AlertRecord {
        v: 0,
        id: "evt_1".to_owned(),
        org: org.to_owned(),
        kind: "budget.threshold".to_owned(),
        scope: "organization".to_owned(),
        at_ms: 1,
        budget: Some("budget:1:day".to_owned()),
        threshold: Some(80),
        limit_usd: PicoUsd::from_usd(1),
        spent_usd: PicoUsd::from_usd(1),
        needed_usd: None,
        window_start_ms: 0,
        window_end_ms: None,
        delivery,
    }
}

/// What it spent and what was done to it stays to be looked up; and its name is not free again,
/// which is told as what it is.
#[tokio::test]
async fn an_organization_that_was_deleted_can_be_read_and_not_changed_or_made_again() {
    let world = World::new();
    world.org("acme").await;
    world.send("POST", TOP_UPS, &json!({"amount_usd": "5"})).await;
    world.record("acme", "openai/gpt", 1_500_000);
    let id = TransferId([1; 16]);
    let amount = PicoUsd::from_usd(1);
    let hold = Reserve { id, org: "acme", budgets: &[], amount, at_ms: 1, expires_at_ms: 2 };
    let _held = world.ledger.reserve(&hold).unwrap();
    world.ledger.expire_due(3).unwrap();
    world.ledger.wait_durable(world.ledger.health().last_seq).unwrap();
    let pending = Delivery::Pending { attempts: 1, next_at_ms: 9, last_error: None };
    world.store.put_alerts(&[alert("acme", pending)]).unwrap();

    let lists = ["credits/entries", "credits/holds?state=expired", "usage", "requests", "audit"];
    let read = async || {
        let mut read = Vec::new();
        for of_it in lists {
            let list = world.get(&format!("/admin/v1/orgs/acme/{of_it}")).await;
            read.push(list["items"].as_array().unwrap().clone());
        }
        read
    };
    let before = read().await;
    let gone = world.send("DELETE", "/admin/v1/orgs/acme?force=true", &json!(null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    let mut after = read().await;
    assert_eq!(after.last_mut().unwrap().remove(0)["method"], "DELETE", "the audit went on");
    for ((list, before), after) in lists.iter().zip(&before).zip(&after) {
        assert!(!before.is_empty(), "{list}");
        assert_eq!(before, after, "{list}");
    }
    let alerts = world.get("/admin/v1/orgs/acme/alerts").await;
    assert_eq!(alerts["items"][0]["id"], "evt_1", "{alerts}");
    let undelivered = json!({"state": "none"});
    assert_eq!(alerts["items"][0]["delivery"], undelivered, "where to is gone as well");
    let credits = world.get("/admin/v1/orgs/acme/credits").await;
    assert_eq!(credits["available_usd"], "5.000000");
    let told = |body: &serde_json::Value| {
        body["error"]["message"].as_str().is_some_and(|text| text.contains("was deleted"))
    };
    let again = world.send("POST", "/admin/v1/orgs", &json!({"id": "acme", "name": "x"})).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "exists"));
    assert!(told(&again.body), "{}", again.body);
    let more = world.send("POST", TOP_UPS, &json!({"amount_usd": "5"})).await;
    assert_eq!(more.status, StatusCode::NOT_FOUND);
    assert!(told(&more.body), "{}", more.body);
}

const ADJUSTMENTS: &str = "/admin/v1/orgs/acme/credits/adjustments";

#[tokio::test]
async fn a_correction_books_once_with_its_reason_and_takes_no_more_than_there_is() {
    let world = World::new();
    world.org("acme").await;
    let up = json!({"amount_usd": "3", "direction": "credit", "reason": "a failed answer was \
        charged", "reference": "ticket 7"});
    let first = world.send("POST", ADJUSTMENTS, &up).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!(first.body["balance"]["available_usd"], "3.000000");
    let again = world.send("POST", ADJUSTMENTS, &up).await;
    assert_eq!((again.status, &again.body["seq"]), (StatusCode::OK, &first.body["seq"]));
    let other = json!({"amount_usd": "4", "direction": "credit", "reason": "x",
        "reference": "ticket 7"});
    let other = world.send("POST", ADJUSTMENTS, &other).await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "reference_reused"));
    let down = json!({"amount_usd": "5", "direction": "debit", "reason": "credited twice"});
    let down = world.send("POST", ADJUSTMENTS, &down).await;
    assert_eq!((down.status, down.code()), (StatusCode::CONFLICT, "insufficient_credit"));
    let down = json!({"amount_usd": "1", "direction": "debit", "reason": "credited twice"});
    let down = world.send("POST", ADJUSTMENTS, &down).await;
    assert_eq!(down.body["balance"]["available_usd"], "2.000000");
    for (field, body) in [
        ("reason", json!({"amount_usd": "1", "direction": "credit", "reason": " "})),
        ("reason", json!({"amount_usd": "1", "direction": "credit"})),
        ("direction", json!({"amount_usd": "1", "direction": "up", "reason": "x"})),
        ("amount_usd", json!({"amount_usd": "0", "direction": "credit", "reason": "x"})),
    ] {
        let refused = world.send("POST", ADJUSTMENTS, &body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(refused.body["error"]["field"], field, "{}", refused.body);
    }
    let entries = world.get("/admin/v1/orgs/acme/credits/entries").await;
    assert_eq!(entries["items"][0]["reason"], "a failed answer was charged");
    assert_eq!(entries["items"][0]["postings"][0]["from"], "adjustment");
    assert_eq!(entries["items"][1]["postings"][0]["to"], "adjustment");
}

#[tokio::test]
async fn holds_are_listed_while_they_are_open_and_once_nobody_has_settled_them() {
    let world = World::new();
    world.org("acme").await;
    world.org("beta").await;
    for org in ["acme", "beta"] {
        let path = format!("/admin/v1/orgs/{org}/credits/topups");
        world.send("POST", &path, &json!({"amount_usd": "50"})).await;
    }
    for number in 1..=9_u8 {
        let org = if number % 3 == 0 { "beta" } else { "acme" };
        let (id, amount) = (TransferId([number; 16]), PicoUsd::from_usd(u64::from(number)));
        let expires_at_ms = 100 - u64::from(number);
        let hold = Reserve { id, org, budgets: &[], amount, at_ms: 1, expires_at_ms };
        let _held = world.ledger.reserve(&hold).unwrap();
    }
    let all = |state: &'static str| {
        let world = &world;
        async move {
            let (mut items, mut after) = (Vec::new(), String::new());
            loop {
                let path =
                    format!("/admin/v1/orgs/acme/credits/holds?state={state}&limit=2{after}");
                let page = world.get(&path).await;
                items.extend(page["items"].as_array().unwrap().clone());
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => return items,
                }
            }
        }
    };
    let open = all("open").await;
    let amounts: Vec<&str> = open.iter().map(|hold| hold["amount_usd"].as_str().unwrap()).collect();
    let expected = ["8.000000", "7.000000", "5.000000", "4.000000", "2.000000", "1.000000"];
    assert_eq!(amounts, expected, "those that expire soonest first");
    assert!(all("expired").await.is_empty());
    world.ledger.expire_due(96).unwrap();
    world.ledger.wait_durable(world.ledger.health().last_seq).unwrap();
    assert_eq!(all("open").await.len(), 2);
    let expired = all("expired").await;
    let ids: Vec<&str> = expired.iter().map(|hold| hold["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids[0].starts_with("08080808"), "{ids:?}");
    let wrong = "/admin/v1/orgs/acme/credits/holds?state=lost";
    let wrong = world.send("GET", wrong, &json!(null)).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// The limit of a day follows the allowance until it was set to something of its own.
#[tokio::test]
async fn changing_an_allowance_leaves_a_limit_of_its_own() {
    let world = World::new();
    let plan = json!({"id": "free", "name": "Free", "daily_allowance_usd": "0.5"});
    let made = world.send("POST", "/admin/v1/plans", &plan).await;
    assert_eq!(made.body["daily_limit_usd"], "0.500000", "{}", made.body);
    let path = "/admin/v1/plans/free";
    let steps = [
        (json!({"daily_allowance_usd": "0.7"}), json!("0.700000")),
        (json!({"daily_limit_usd": "5"}), json!("5.000000")),
        (json!({"daily_allowance_usd": "1"}), json!("5.000000")),
        (json!({"daily_allowance_usd": null}), json!("5.000000")),
        (json!({"daily_limit_usd": null}), json!(null)),
    ];
    for (change, limit) in steps {
        let changed = world.send("PATCH", path, &change).await;
        assert_eq!(changed.body["daily_limit_usd"], limit, "{change}: {}", changed.body);
    }
}

/// What is spent never passes a hard budget, so nobody would ever hear of such an alert.
#[tokio::test]
async fn alerts_beyond_a_hard_budget_are_refused_and_those_of_one_that_counts_are_not() {
    let world = World::new();
    world.org("acme").await;
    let budgets = "/admin/v1/orgs/acme/budgets";
    let mut budget = json!({"scope": "team:a", "amount_usd": "1", "period": "day",
        "alerts": [50, 101]});
    let refused = world.send("POST", budgets, &budget).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    assert_eq!(refused.body["error"]["field"], "alerts", "{}", refused.body);
    let message = refused.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("101 %") && message.contains("\"alert\""), "{message}");
    budget["mode"] = json!("alert");
    let made = world.send("POST", budgets, &budget).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let one = format!("{budgets}/{}", made.body["id"].as_str().unwrap());
    let harder = world.send("PATCH", &one, &json!({"mode": "hard"})).await;
    assert_eq!(harder.body["error"]["field"], "alerts", "{}", harder.body);
    let harder = world.send("PATCH", &one, &json!({"mode": "hard", "alerts": [100]})).await;
    assert_eq!(harder.status, StatusCode::OK, "{}", harder.body);
    let beyond = world.send("PATCH", &one, &json!({"alerts": [150]})).await;
    assert_eq!(beyond.body["error"]["field"], "alerts", "{}", beyond.body);

    let own = json!({"amount_usd": "1", "period": "day", "alerts": [1000]});
    let keys = "/admin/v1/orgs/acme/keys";
    let refused = world.send("POST", keys, &json!({"name": "ci", "budget": own})).await;
    assert_eq!(refused.body["error"]["field"], "budget.alerts", "{}", refused.body);
}
