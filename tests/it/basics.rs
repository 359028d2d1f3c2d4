//! The doors: health, keys, the list of models, refusals in the caller's protocol, credit.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use turnpike_tests::{Caller, ORG, Setup, Stage, chat};

#[tokio::test]
async fn health_head_and_models_answer() -> Result<()> {
    let stage = Stage::open().await?;
    for path in ["/health/live", "/health/ready"] {
        stage.caller.get(path).await?.expect_status(200)?;
    }
    stage.caller.call(Method::HEAD, "/", None).await?.expect_status(200)?;
    let models = stage.caller.get("/v1/models").await?.expect_status(200)?;
    assert_eq!(models.body["object"], "list");
    let listed = models.body["data"].as_array().expect("a list");
    let ids: Vec<&str> = listed.iter().filter_map(|model| model["id"].as_str()).collect();
    for id in ["auto", "openai/gpt-5.4", "deepseek/deepseek-v4-pro"] {
        assert!(ids.contains(&id), "{id} is in {ids:?}");
    }
    for asked in ["openai/gpt-5.4", "gpt-5.4"] {
        let one = stage.caller.get(&format!("/v1/models/{asked}")).await?.expect_status(200)?;
        assert_eq!(one.body["id"], asked, "it is asked for by its bare name too");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_works_in_either_header_and_a_wrong_one_in_none() -> Result<()> {
    let stage = Stage::open().await?;
    let url = format!("{}/v1/chat/completions", stage.gateway()?.data_url);
    let http = reqwest::Client::new();
    let send = |name: &'static str, key: String| {
        http.post(&url).header(name, key).json(&chat("auto", "hello")).send()
    };
    assert_eq!(send("x-api-key", stage.caller.key().to_owned()).await?.status(), 200);
    assert_eq!(
        send("authorization", format!("Bearer {}", stage.caller.key())).await?.status(),
        200
    );
    let refused = send("x-api-key", "tp-nobody".to_owned()).await?;
    assert_eq!(refused.status(), 401);
    let body: serde_json::Value = refused.json().await?;
    let keys: Vec<&String> = body["error"].as_object().expect("an error").keys().collect();
    assert_eq!(keys, ["message", "type", "param", "code"], "all four keys of OpenAI's shape");
    Ok(())
}

/// Pitfall 71: a caller's credential reached an upstream.
#[tokio::test]
async fn a_callers_key_never_goes_upstream() -> Result<()> {
    let stage = Stage::open().await?;
    stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    let seen = stage.simulator.all_requests();
    assert_eq!(seen.len(), 1);
    for (name, value) in &seen[0].headers {
        assert!(!value.contains(stage.caller.key()), "header {name} carries the caller's key");
    }
    assert_eq!(seen[0].header("authorization"), Some("Bearer sim-key"));
    Ok(())
}

#[tokio::test]
async fn bad_bodies_and_unknown_models_are_refused_with_what_to_do() -> Result<()> {
    let stage = Stage::open().await?;
    let path = "/v1/chat/completions";
    let broken = stage.caller.send_bytes(Method::POST, path, "application/json", b"{\"mo".to_vec());
    let broken = broken.await?.expect_status(400)?;
    assert_eq!(broken.body["error"]["type"], "invalid_request_error");
    let unknown = stage.caller.chat(&chat("nobody/has-this", "x")).await?.expect_status(404)?;
    assert_eq!(unknown.body["error"]["code"], "model_not_found");
    assert!(unknown.text.contains("/v1/models"), "it says where to look: {}", unknown.text);
    assert!(stage.simulator.all_requests().is_empty());
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    Ok(())
}

#[tokio::test]
async fn profiles_and_named_models_choose_among_offers() -> Result<()> {
    let stage = Stage::open().await?;
    for profile in ["auto", "auto:cheap", "auto:fast", "auto:best"] {
        let answer = stage.caller.chat(&chat(profile, "hello")).await?.expect_status(200)?;
        assert_eq!(answer.content(), "hello", "{profile}");
    }
    let named = chat("openai/gpt-5.4-nano", "hello");
    let answer = stage.caller.chat(&named).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-model"), "openai/gpt-5.4-nano");
    assert_eq!(
        stage.simulator.all_requests().last().map(|seen| seen.model.as_str()),
        Some("gpt-5.4-nano")
    );
    Ok(())
}

#[tokio::test]
async fn without_credit_or_over_its_budget_a_key_is_refused_before_any_upstream() -> Result<()> {
    let setup = Setup { credit_usd: "0.000001".to_owned(), ..Setup::default() };
    let stage = Stage::open_with(setup).await?;
    stage.caller.chat(&chat("openai/gpt-5.4", "hello")).await?.expect_status(402)?;
    let rich = stage.add_org("rich", "50").await?;
    let tight = json!({ "name": "tight",
        "budget": { "amount_usd": "0.000001", "period": "day", "mode": "hard" } });
    let tight = stage.add_key("rich", &tight).await?;
    let refused = tight.chat(&chat("openai/gpt-5.4", "hello")).await?;
    assert!([402, 429].contains(&refused.status), "{}: {}", refused.status, refused.text);
    assert!(stage.simulator.all_requests().is_empty());
    rich.chat(&chat("openai/gpt-5.4", "hello")).await?.expect_status(200)?;
    Ok(())
}

#[tokio::test]
async fn usage_is_grouped_by_model_and_key_and_adds_up_to_what_was_spent() -> Result<()> {
    let stage = Stage::open().await?;
    let second = stage.add_key(ORG, &json!({ "name": "second" })).await?;
    for model in ["openai/gpt-5.4", "openai/gpt-5.4-mini"] {
        for caller in [&stage.caller, &second] {
            let answer = caller.chat(&chat(model, "hello")).await?.expect_status(200)?;
            stage.explanation(ORG, answer.request_id()).await?;
        }
    }
    let path = format!("/orgs/{ORG}/usage?group_by=model,key");
    let usage = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    let items = usage.body["items"].as_array().expect("items");
    assert_eq!(items.len(), 4, "{}", usage.text);
    let costs = items.iter().map(|item| turnpike_tests::pico(item["cost_usd"].as_str().unwrap()));
    let sum: u128 = costs.collect::<Result<Vec<_>>>()?.iter().sum();
    assert_eq!(sum, stage.settled_balance(ORG).await?.spent);
    Ok(())
}

#[tokio::test]
async fn the_admin_api_wants_the_operators_token() -> Result<()> {
    let stage = Stage::open().await?;
    for key in [stage.caller.key(), "", "wrong"] {
        let stranger = Caller::new(&stage.gateway()?.admin_url, key);
        stranger.get("/admin/v1/orgs").await?.expect_status(401)?;
    }
    stage.operate(Method::GET, "/orgs", None).await?.expect_status(200)?;
    Ok(())
}
