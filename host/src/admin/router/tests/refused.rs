//! What is refused changes nothing: the limits that the ledger goes by stay those of the store.

use http::StatusCode;
use serde_json::{Value, json};
use turnpike_ledger::PicoUsd;

use super::world::World;

const ORGS: &str = "/admin/v1/orgs";

impl World {
    async fn made(&self, path: &str, body: &Value) -> Value {
        let made = self.send("POST", path, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        made.body
    }

    /// The limit that the ledger refuses by.
    fn limit(&self, budget: &str) -> Option<PicoUsd> {
        self.ledger.budget(budget, 0).unwrap().limit
    }
}

/// Provisioning scripts make what they need and take "it is there already" for an answer.
#[tokio::test]
async fn an_organization_that_is_made_twice_keeps_the_limit_of_its_plan() {
    let world = World::new();
    world.made("/admin/v1/plans", &json!({"id": "free", "daily_limit_usd": "0.5"})).await;
    world.made("/admin/v1/plans", &json!({"id": "payg"})).await;
    world.made(ORGS, &json!({"id": "acme", "plan": "free"})).await;
    let half = PicoUsd::parse("0.5").unwrap();
    assert_eq!(world.limit("plan:acme:day"), Some(half));
    let again = world.send("POST", ORGS, &json!({"id": "acme", "plan": "payg"})).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "exists"));
    assert_eq!(world.limit("plan:acme:day"), Some(half), "the hard limit of the day is there");

    let gone = world.send("DELETE", "/admin/v1/orgs/acme", &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let again = world.send("POST", ORGS, &json!({"id": "acme", "plan": "payg"})).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "exists"));
    assert_eq!(world.limit("plan:acme:day"), Some(half));
}

#[tokio::test]
async fn a_change_that_can_not_be_stored_leaves_every_limit_as_it_was() {
    let world = World::new();
    world.made("/admin/v1/plans", &json!({"id": "free", "daily_limit_usd": "1"})).await;
    world.made("/admin/v1/plans", &json!({"id": "payg"})).await;
    world.made(ORGS, &json!({"id": "acme", "plan": "free"})).await;
    let own = json!({"amount_usd": "1", "period": "day"});
    let key = world.made(&format!("{ORGS}/acme/keys"), &json!({"name": "k", "budget": own})).await;
    let team = json!({"scope": "team:a", "amount_usd": "1", "period": "day"});
    let team = world.made(&format!("{ORGS}/acme/budgets"), &team).await;
    let (key, team) = (key["id"].as_str().unwrap(), team["id"].as_str().unwrap());
    let counters =
        [format!("key:{key}:day"), format!("budget:{team}:day"), "plan:acme:day".to_owned()];
    let one = PicoUsd::parse("1").unwrap();

    world.store.refuse_changes();
    let more = json!({"amount_usd": "9", "period": "day"});
    for (path, body) in [
        (format!("{ORGS}/acme/keys/{key}"), json!({"budget": more})),
        (format!("{ORGS}/acme/budgets/{team}"), json!({"amount_usd": "9"})),
        ("/admin/v1/plans/free".to_owned(), json!({"daily_limit_usd": "9"})),
        (format!("{ORGS}/acme"), json!({"plan": "payg"})),
    ] {
        let refused = world.send("PATCH", &path, &body).await;
        assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}: {}", refused.body);
        for counter in &counters {
            assert_eq!(world.limit(counter), Some(one), "{counter} after {path}");
        }
    }
}
