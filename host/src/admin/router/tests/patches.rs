//! A PATCH merges: what is absent stays, null is the default or refused, and what is within a field
//! is merged likewise. Never is something asked for, nothing done, and 200 the answer.

use http::StatusCode;
use serde_json::{Value, json};

use super::world::World;

const ORG: &str = "/admin/v1/orgs/acme";

/// Something that was made: its address.
async fn made(world: &World, path: &str, body: &Value) -> String {
    let made = world.send("POST", path, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    format!("{path}/{}", made.body["id"].as_str().unwrap())
}

/// What is shown after a PATCH, which was taken.
async fn patched(world: &World, path: &str, change: &Value) -> Value {
    let patched = world.send("PATCH", path, change).await;
    assert_eq!(patched.status, StatusCode::OK, "{change}: {}", patched.body);
    let mut shown = patched.body;
    if let Some(members) = shown.as_object_mut() {
        members.shift_remove("warnings");
    }
    assert_eq!(world.get(path).await, shown, "it is kept");
    shown
}

/// Each of these is refused by its field, and changes nothing.
async fn refused(world: &World, path: &str, changes: &[(Value, &str)]) {
    let before = world.get(path).await;
    for (change, field) in changes {
        let refused = world.send("PATCH", path, change).await;
        let status = refused.status;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{change}: {}", refused.body);
        assert_eq!(refused.body["error"]["field"], *field, "{change}: {}", refused.body);
        assert_eq!(world.get(path).await, before, "{change}");
    }
}

#[tokio::test]
async fn null_brings_a_keys_defaults_back_or_is_refused() {
    let world = World::new();
    world.org("acme").await;
    let body = json!({"name": "ci", "team": "a", "models": ["mistral/*"], "clearance": "public",
        "disabled": true, "expires_at": "2999-01-01", "limits": {"rpm": 5},
        "budget": {"amount_usd": "1", "period": "day", "mode": "alert", "alerts": [50]}});
    let key = made(&world, &format!("{ORG}/keys"), &body).await;
    for (field, default) in [
        ("team", json!(null)),
        ("models", json!([])),
        ("clearance", json!("internal")),
        ("disabled", json!(false)),
        ("expires_at", json!(null)),
        ("limits", json!({"rpm": null, "tpm": null, "concurrency": null})),
    ] {
        let shown = patched(&world, &key, &json!({field: null})).await;
        assert_eq!(shown[field], default, "{field}");
    }
    let shown = patched(&world, &key, &json!({"budget": {"mode": null, "alerts": null}})).await;
    let budget = &shown["budget"];
    assert_eq!((&budget["mode"], &budget["alerts"]), (&json!("hard"), &json!([])));
    let none = [
        (json!({"name": null}), "name"),
        (json!({"budget": {"amount_usd": null}}), "budget.amount_usd"),
        (json!({"budget": {"period": null}}), "budget.period"),
    ];
    refused(&world, &key, &none).await;
    let shown = patched(&world, &key, &json!({"budget": null})).await;
    assert_eq!(shown["budget"], json!(null));
    refused(&world, &key, &[(json!({"budget": {"amount_usd": "2"}}), "budget.period")]).await;
    // So it is where a key is made.
    let body = json!({"name": "other", "models": null, "clearance": null, "limits": null});
    let other = world.get(&made(&world, &format!("{ORG}/keys"), &body).await).await;
    assert_eq!((&other["models"], &other["clearance"]), (&json!([]), &json!("internal")));
}

/// A limit that somebody else has set is not lost without a word.
#[tokio::test]
async fn what_is_within_a_field_of_a_key_is_merged() {
    let world = World::new();
    world.org("acme").await;
    let key = made(&world, &format!("{ORG}/keys"), &json!({"name": "ci"})).await;
    patched(&world, &key, &json!({"limits": {"rpm": 5}})).await;
    let both = patched(&world, &key, &json!({"limits": {"tpm": 500}})).await;
    assert_eq!(both["limits"], json!({"rpm": 5, "tpm": 500, "concurrency": null}));
    let one = patched(&world, &key, &json!({"limits": {"rpm": null}})).await;
    assert_eq!(one["limits"], json!({"rpm": null, "tpm": 500, "concurrency": null}));
    let whole = json!({"amount_usd": "1", "period": "day", "alerts": [50]});
    patched(&world, &key, &json!({"budget": whole})).await;
    let more = patched(&world, &key, &json!({"budget": {"amount_usd": "2"}})).await;
    let budget = &more["budget"];
    assert_eq!(
        (&budget["amount_usd"], &budget["period"], &budget["alerts"]),
        (&json!("2.000000"), &json!("day"), &json!([50]))
    );
    let beyond = [(json!({"budget": {"alerts": [500]}}), "budget.alerts")];
    refused(&world, &key, &beyond).await;
}

#[tokio::test]
async fn so_it_is_of_organizations_and_budgets() {
    let world = World::new();
    world.org("acme").await;
    let body = json!({"name": "Acme", "require_signature": true, "time_zone": "UTC"});
    patched(&world, ORG, &body).await;
    let shown = patched(&world, ORG, &json!({"name": null, "require_signature": null})).await;
    assert_eq!((&shown["name"], &shown["require_signature"]), (&json!("acme"), &json!(false)));
    let body = json!({"scope": "team:a", "amount_usd": "1", "period": "day", "mode": "alert",
        "alerts": [50, 500]});
    let budget = made(&world, &format!("{ORG}/budgets"), &body).await;
    let none = [(json!({"amount_usd": null}), "amount_usd"), (json!({"period": null}), "period")];
    refused(&world, &budget, &none).await;
    refused(&world, &budget, &[(json!({"mode": null}), "alerts")]).await;
    let shown = patched(&world, &budget, &json!({"mode": null, "alerts": null})).await;
    assert_eq!((&shown["mode"], &shown["alerts"]), (&json!("hard"), &json!([])));
}

#[tokio::test]
async fn so_it_is_of_plans() {
    let world = World::new();
    let body = json!({"id": "free", "name": "Free", "models": ["mistral/*"],
        "daily_allowance_usd": "1", "discounts": [{"from_usd": "10", "percent": "5"}],
        "invoice": {"due_days": 30, "note": "by order"}});
    let plan = made(&world, "/admin/v1/plans", &body).await;
    let shown = patched(&world, &plan, &json!({"invoice": {"due_days": 14}})).await;
    assert_eq!(shown["invoice"], json!({"due_days": 14, "note": "by order"}));
    let shown = patched(&world, &plan, &json!({"invoice": {"note": null}})).await;
    assert_eq!(shown["invoice"], json!({"due_days": 14, "note": ""}));
    let none =
        [(json!({"invoice": {"due_days": null}}), "invoice.due_days"), (json!({"id": null}), "id")];
    refused(&world, &plan, &none).await;
    let change = json!({"name": null, "models": null, "discounts": null, "invoice": null,
        "daily_allowance_usd": null});
    let shown = patched(&world, &plan, &change).await;
    for (field, default) in [
        ("name", json!("free")),
        ("models", json!([])),
        ("discounts", json!([])),
        ("invoice", json!(null)),
        ("daily_allowance_usd", json!(null)),
    ] {
        assert_eq!(shown[field], default, "{field}");
    }
    refused(&world, &plan, &[(json!({"invoice": {"note": "x"}}), "invoice.due_days")]).await;
}

#[tokio::test]
async fn so_it_is_of_rules() {
    let world = World::new();
    world.org("acme").await;
    let body = json!({"when": {"model": ["auto"], "team": ["a"]}, "deny": ["*@groq"],
        "weights": {"cost": 1, "speed": 2}});
    let rule = made(&world, &format!("{ORG}/rules"), &body).await;
    let change = json!({"when": {"team": null, "task": ["code"]}, "weights": {"cost": 5}});
    let shown = patched(&world, &rule, &change).await;
    let when = json!({"model": ["auto"], "team": [], "project": [], "task": ["code"]});
    assert_eq!(shown["when"], when);
    assert_eq!(shown["weights"], json!({"cost": 5, "speed": 2, "quality": 0}));
    assert_eq!(shown["deny"], json!(["*@groq"]));
    let odd = [
        (json!({"denny": null}), "denny"),
        (json!({"when": {"teams": null}}), "when.teams"),
        (json!({"weights": {"price": null}}), "weights.price"),
        (json!({"weights": {"cost": -1}}), "weights.cost"),
        (json!({"weights": {"cost": null, "speed": null}}), "weights"),
        (json!({"when": 5}), "when"),
    ];
    refused(&world, &rule, &odd).await;
    let shown = patched(&world, &rule, &json!({"when": null, "weights": null})).await;
    assert_eq!(shown["weights"], json!(null));
    let shown = patched(&world, &rule, &json!({"weights": {"quality": 3}})).await;
    assert_eq!(shown["weights"], json!({"cost": 0, "speed": 0, "quality": 3}));
}
