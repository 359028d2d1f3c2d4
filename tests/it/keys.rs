//! What happens to a key in its first week: it is rotated while applications use it, whoever has it
//! looks what is left, and somebody writes tags that can't be read.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{Caller, ORG, Stage, chat, pico};

const MODEL: &str = "openai/gpt-5.4-mini";

/// Rotates a key; the answer, and a caller with the new secret.
async fn rotate(stage: &Stage, id: &str, body: &Value) -> Result<(Value, Caller)> {
    let path = format!("/orgs/{ORG}/keys/{id}/rotate");
    let rotated = stage.operate(Method::POST, &path, Some(body)).await?.expect_status(200)?;
    let secret = rotated.body["key"].as_str().context("no key in the answer")?;
    let caller = Caller::new(&stage.gateway()?.data_url, secret);
    Ok((rotated.body.clone(), caller))
}

async fn only_key(stage: &Stage) -> Result<Value> {
    let keys = stage.operate(Method::GET, &format!("/orgs/{ORG}/keys"), None).await?;
    keys.body.pointer("/items/0").cloned().context("no key")
}

/// The secret before ends at once, or after its grace, and a power cut changes nothing about it.
#[tokio::test]
async fn a_rotated_key_works_by_its_new_secret_after_kill_9_and_by_no_other() -> Result<()> {
    let mut stage = Stage::open().await?;
    let first = stage.caller.clone();
    first.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    let id = only_key(&stage).await?["id"].as_str().context("an id")?.to_owned();
    let (_, second) = rotate(&stage, &id, &json!({})).await?;
    stage.kill();
    stage.restart().await?;
    let here = |caller: &Caller| Caller::new(stage.caller.base(), caller.key());

    let refused = here(&first).chat(&chat(MODEL, "hello")).await?.expect_status(401)?;
    assert_eq!(refused.body["error"]["code"], "rotated_api_key", "{}", refused.text);
    let message = refused.body["error"]["message"].as_str().context("a message")?;
    assert!(message.contains("was rotated") && !message.contains(first.key()), "{message}");
    let body = json!({"model": MODEL, "max_tokens": 9,
        "messages": [{"role": "user", "content": "hello"}]});
    let refused = here(&first).post("/v1/messages", &body, &[]).await?.expect_status(401)?;
    assert_eq!(refused.body["error"]["type"], "authentication_error", "{}", refused.text);
    here(&second).chat(&chat(MODEL, "hello")).await?.expect_status(200)?;

    // Two secrets of one key, over another power cut; what both spend is the key's.
    let (answer, third) = rotate(&stage, &id, &json!({"grace_seconds": 600})).await?;
    assert_eq!(answer["previous"]["prefix"].as_str(), second.key().get(..7), "{answer}");
    stage.kill();
    stage.restart().await?;
    for secret in [&second, &third] {
        spend(&stage, &Caller::new(stage.caller.base(), secret.key())).await?;
    }
    let path = format!("/orgs/{ORG}/usage?group_by=key");
    let usage = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    let items = usage.body["items"].as_array().context("items")?;
    assert_eq!(items.len(), 1, "{}", usage.text);
    // What was recorded a moment before a power cut may be lost, and nothing is another key's.
    let succeeded = items[0]["succeeded"].as_u64().context("a count")?;
    assert!(items[0]["key"] == json!(id) && succeeded >= 2, "{}", usage.text);
    let log = stage.log()?;
    assert!([&first, &second, &third].iter().all(|it| !log.contains(it.key())), "{log}");
    Ok(())
}

/// A grace of a second is over after it.
#[tokio::test]
async fn a_secret_is_refused_once_its_grace_is_over() -> Result<()> {
    let stage = Stage::open().await?;
    let id = only_key(&stage).await?["id"].as_str().context("an id")?.to_owned();
    rotate(&stage, &id, &json!({"grace_seconds": 1})).await?;
    let refused = async {
        loop {
            let answer = stage.caller.get("/v1/models").await?;
            if answer.status != 200 {
                return anyhow::Ok(answer);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let refused = tokio::time::timeout(std::time::Duration::from_secs(20), refused).await??;
    assert_eq!(refused.body["error"]["code"], "rotated_api_key", "{}", refused.text);
    assert!(only_key(&stage).await?["previous"].is_null());
    Ok(())
}

/// A key with a budget of its own in a team that has one too, and a colleague's key.
async fn colleagues(stage: &Stage) -> Result<(Caller, Caller)> {
    let body = json!({"scope": "team:a", "amount_usd": "77", "period": "month"});
    let path = format!("/orgs/{ORG}/budgets");
    stage.operate(Method::POST, &path, Some(&body)).await?.expect_status(201)?;
    let own = json!({"name": "mine", "team": "a", "project": "p", 
        "models": ["openai/*", "!openai/o3-pro"],
        "budget": {"amount_usd": "5", "period": "day"}, "limits": {"rpm": 50},
        "expires_at": "2999-01-01T00:00:00Z"});
    let mine = stage.add_key(ORG, &own).await?;
    let theirs = stage.add_key(ORG, &json!({"name": "colleague", "team": "a"})).await?;
    Ok((mine, theirs))
}

/// A request that has been settled and recorded; what it cost in pico-USD.
async fn spend(stage: &Stage, caller: &Caller) -> Result<u128> {
    let answer = caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    stage.explanation(ORG, answer.request_id()).await?;
    pico(answer.header("x-turnpike-cost-usd"))
}

#[tokio::test]
async fn a_key_sees_what_it_is_and_may_still_spend_and_nothing_of_others() -> Result<()> {
    let stage = Stage::open().await?;
    let (mine, theirs) = colleagues(&stage).await?;
    let cost = spend(&stage, &mine).await?;
    for _ in 0..3 {
        spend(&stage, &theirs).await?;
    }
    let shown = mine.get("/v1/key").await?.expect_status(200)?;
    let view = &shown.body;
    assert_eq!(
        (&view["name"], &view["org"], &view["team"]),
        (&json!("mine"), &json!(ORG), &json!("a"))
    );
    assert_eq!(view["models"], json!(["openai/*", "!openai/o3-pro"]), "{}", shown.text);
    assert_eq!(view["limits"], json!({"rpm": 50, "tpm": null, "concurrency": null}));
    assert_eq!(view["expires_at"], "2999-01-01T00:00:00Z");
    assert_eq!((&view["project"], &view["secret_works_until"]), (&json!("p"), &Value::Null));

    let budget = view.pointer("/budgets/0").context("the key's own budget")?;
    let amount = |name: &str| pico(budget[name].as_str().context("an amount")?);
    assert_eq!((amount("spent_usd")?, amount("held_usd")?), (cost, 0), "{}", shown.text);
    assert_eq!(amount("remaining_usd")?, pico("5")? - cost, "{}", shown.text);
    assert!(budget["window_end"].as_str().is_some_and(|end| end.ends_with('Z')), "{budget}");
    assert_eq!(view["budgets"].as_array().map(Vec::len), Some(1));
    let shared = json!({"scope": "team:a", "period": "month", "mode": "hard",
        "window_end": view["shared_budgets"][0]["window_end"]});
    assert_eq!(view["shared_budgets"], json!([shared]), "no figure of the team's");
    for hidden in ["colleague", "77.0", "available", "hash", mine.key()] {
        assert!(!shown.text.contains(hidden), "{hidden}: {}", shown.text);
    }

    // A secret that a rotation took the place of is told until when it works.
    let id = view["id"].as_str().context("an id")?;
    rotate(&stage, id, &json!({"grace_seconds": 600})).await?;
    let shown = mine.get("/v1/key").await?.expect_status(200)?;
    assert!(shown.body["secret_works_until"].is_string(), "{}", shown.text);
    Ok(())
}

#[tokio::test]
async fn a_key_reads_its_own_usage_within_the_bounds_of_the_operators() -> Result<()> {
    let stage = Stage::open().await?;
    let (mine, theirs) = colleagues(&stage).await?;
    let cost = spend(&stage, &mine).await? + spend(&stage, &mine).await?;
    spend(&stage, &theirs).await?;
    for query in ["", "?group_by=model&bucket=day", "?group_by=key", "?group_by=team&team=a"] {
        let read = mine.get(&format!("/v1/key/usage{query}")).await?.expect_status(200)?;
        let total = &read.body["total"];
        assert_eq!(total["requests"], 2, "{query}: {}", read.text);
        // That would be since when somebody else's stream runs.
        assert!(read.body.get("complete_to").is_none(), "{query}: {}", read.text);
        assert!(read.body["told_apart_from"].is_string(), "{query}: {}", read.text);
        assert_eq!(pico(total["cost_usd"].as_str().context("a cost")?)?, cost, "{query}");
        let items = read.body["items"].as_array().context("items")?;
        assert_eq!(items.len(), 1, "{query}: {}", read.text);
        let of_model = query.is_empty() || query.contains("model");
        assert_eq!(items[0]["model"] == MODEL, of_model, "{query}: {}", read.text);
        assert_eq!(items[0]["bucket"].is_string(), query.contains("bucket"), "{query}");
    }
    // Google's clients put the key into the query; it is no filter there.
    let bare = Caller::new(mine.base(), "");
    let unsigned = reqwest::get(format!("{}/v1/key/usage?key={}", bare.base(), mine.key())).await?;
    let read: Value = serde_json::from_str(&unsigned.text().await?)?;
    assert_eq!(read["total"]["requests"], 2, "{read}");

    let refused = mine.get("/v1/key/usage?who=me").await?.expect_status(400)?;
    assert_eq!(refused.body["error"]["code"], "bad_query", "{}", refused.text);
    assert_eq!(refused.body["error"]["param"], "who");
    let refused = mine.get("/v1/key/usage?from=soon").await?.expect_status(422)?;
    assert_eq!(refused.body["error"]["param"], "from", "{}", refused.text);
    let path = "/v1/key/usage";
    let refused = mine.call(Method::POST, path, Some(&json!({}))).await?.expect_status(405)?;
    assert_eq!(refused.header("allow"), "GET");
    assert_eq!(bare.get("/v1/key").await?.status, 401);
    Ok(())
}

/// The limits of requests hold for questions about usage, and take none of the requests'.
#[tokio::test]
async fn reading_usage_is_limited_as_requests_are_and_looking_at_the_key_is_not() -> Result<()> {
    let stage = Stage::open().await?;
    let caller = stage.add_key(ORG, &json!({"name": "k", "limits": {"rpm": 1}})).await?;
    caller.get("/v1/key/usage").await?.expect_status(200)?;
    let refused = caller.get("/v1/key/usage").await?.expect_status(429)?;
    assert_eq!(refused.body["error"]["code"], "rate_limit_exceeded", "{}", refused.text);
    assert!(!refused.header("retry-after").is_empty());
    caller.get("/v1/key").await?.expect_status(200)?;
    caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    Ok(())
}

/// Malformed tags are refused in the caller's protocol, before anyone is asked or charged.
#[tokio::test]
async fn tags_that_cant_be_read_are_refused_in_each_dialect() -> Result<()> {
    let stage = Stage::open().await?;
    let tags = [("x-turnpike-tags", "job=nightly,canary")];
    let said = json!([{"role": "user", "content": "hello"}]);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    let gemini_path = format!("/v1beta/models/{MODEL}:generateContent");
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": MODEL, "messages": said})),
        ("/v1/responses", json!({"model": MODEL, "input": "hello"})),
        ("/v1/messages", json!({"model": MODEL, "max_tokens": 9, "messages": said})),
        (&gemini_path, gemini),
        ("/v1/route", json!({"model": MODEL, "messages": said})),
    ] {
        let refused = stage.caller.post(path, &body, &tags).await?.expect_status(400)?;
        let message = refused.body.pointer("/error/message").and_then(Value::as_str);
        let message = message.with_context(|| refused.text.clone())?;
        assert!(message.contains("x-turnpike-tags") && message.contains("tag 2"), "{message}");
        assert!(message.contains("NAME=VALUE") && !message.contains("canary"), "{message}");
        let kind = &refused.body["error"]["type"];
        let expected =
            if path.contains("v1beta") { Value::Null } else { json!("invalid_request_error") };
        assert_eq!(*kind, expected, "{path}: {}", refused.text);
    }
    // Neither could be told apart in a report: two of one name, and one without a value.
    for (headers, why) in [
        (vec![("x-turnpike-tags", "job=a,job=b")], "tag 2 has the name of tag 1"),
        (vec![("x-turnpike-tags", "job=a"), ("x-turnpike-tags", "job=a")], "tag 2 has the name"),
        (vec![("x-turnpike-tags", "job=")], "tag 1 has no value"),
    ] {
        let body = chat(MODEL, "hello");
        let refused = stage.caller.post("/v1/chat/completions", &body, &headers).await?;
        let refused = refused.expect_status(400)?;
        assert_eq!(refused.body["error"]["code"], "invalid_tags", "{}", refused.text);
        assert!(refused.text.contains(why), "{}", refused.text);
    }
    assert!(stage.simulator.all_requests().is_empty());
    let fine = [("x-turnpike-tags", "job=nightly, env = ci,")];
    let answer = stage.caller.post("/v1/chat/completions", &chat(MODEL, "hello"), &fine).await?;
    let told = stage.explanation(ORG, answer.expect_status(200)?.request_id()).await?;
    assert_eq!(told["tags"], json!({"job": "nightly", "env": "ci"}), "{told}");
    Ok(())
}
