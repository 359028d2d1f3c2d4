//! Several conversations under one name: the models and the agents of one session, the users of one
//! application. Each stays where its own beginning is cached, and none takes another's for its own.
//! Two equal providers of each model, so that staying is no chance.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage};

use super::affinity::open;

/// Sessions or users of one test: that all of them begin at one of two providers is no chance.
const SESSIONS: usize = 12;
const TURNS: usize = 3;

/// One request of a conversation, and who is to answer it.
struct Asked<'a> {
    model: &'a str,
    path: &'a str,
    body: Value,
    headers: Vec<(&'a str, &'a str)>,
}

impl Asked<'_> {
    /// Who answers, and what the offers of the model were expected to cost there and elsewhere.
    async fn of(&self, stage: &Stage) -> Result<(String, [u128; 2])> {
        let answer = stage.caller.post(self.path, &self.body, &self.headers).await?;
        let answer = answer.expect_status(200)?;
        let provider = answer.header("x-turnpike-provider").to_owned();
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        let candidates = explanation["candidates"].as_array().context("candidates")?;
        let expected = |here: bool| {
            let found = candidates.iter().find(|candidate| {
                let offer = candidate["offer"].as_str().unwrap_or_default();
                let at = offer.strip_prefix(self.model).and_then(|rest| rest.strip_prefix('@'));
                at.is_some_and(|at| (at == provider) == here)
            });
            let found = found.context("an offer of the model")?;
            turnpike_tests::pico(found["expected_cost_usd"].as_str().context("a cost")?)
        };
        let costs = [expected(true)?, expected(false)?];
        Ok((provider, costs))
    }
}

/// The messages of a conversation that begins with `first`, `turns` answers long.
fn messages(first: &str, turns: usize) -> Vec<Value> {
    let mut messages = vec![json!({ "role": "user", "content": first })];
    for turn in 0..turns {
        messages.push(json!({ "role": "assistant", "content": format!("answer {turn}") }));
        messages.push(json!({ "role": "user", "content": format!("question {turn}") }));
    }
    messages
}

/// As Claude Code sends it.
fn claude(model: &str, first: &str, turns: usize) -> Value {
    let billing = format!("x-anthropic-billing-header: cc_version=2.1.207; cch={turns}a;");
    let system = [billing.as_str(), "You are Claude Code.", "You help with code."];
    let system = system.map(|text| json!({ "type": "text", "text": text }));
    json!({ "model": model, "max_tokens": 64, "messages": messages(first, turns),
        "system": system, "metadata": { "user_id": "user_1" } })
}

/// What each conversation has had so far.
#[derive(Default)]
struct Seen(BTreeMap<String, String>);

impl Seen {
    /// That it is answered where it was, and expects its beginning to be cached there; the first
    /// time, that it expects nothing of anybody.
    async fn check(&mut self, stage: &Stage, name: String, asked: &Asked<'_>) -> Result<String> {
        let (provider, [here, elsewhere]) = asked.of(stage).await?;
        match self.0.get(&name) {
            Some(before) => {
                assert_eq!(*before, provider, "{name} stays");
                assert!(here < elsewhere, "{name}: {here} and {elsewhere}");
            }
            None => assert_eq!(here, elsewhere, "{name} is cached nowhere yet"),
        }
        self.0.insert(name, provider.clone());
        Ok(provider)
    }

    fn providers(&self) -> BTreeSet<&String> {
        self.0.values().collect()
    }
}

#[tokio::test]
async fn pitfall_62_two_models_of_one_session_each_stay_where_they_are_cached() -> Result<()> {
    let stage = open("300000").await?;
    let mut seen = Seen::default();
    for number in 0..SESSIONS {
        let session = format!("session-{number}");
        for turn in 0..TURNS {
            for (model, first) in [("sim/messages", "Mend it."), ("sim/chat", "Name this.")] {
                let body = claude(model, first, turn);
                let headers = vec![("x-claude-code-session-id", session.as_str())];
                let asked = Asked { model, path: "/v1/messages", body, headers };
                seen.check(&stage, format!("{model} of {session}"), &asked).await?;
            }
        }
    }
    assert_eq!(seen.providers().len(), 4, "the load is shared: {:?}", seen.providers());
    Ok(())
}

#[tokio::test]
async fn pitfall_62_an_agent_is_not_where_the_one_that_started_it_is_cached() -> Result<()> {
    let stage = open("300000").await?;
    let mut seen = Seen::default();
    let mut apart = 0;
    for number in 0..SESSIONS {
        let session = format!("session-{number}");
        for turn in 0..TURNS {
            let mut providers = BTreeSet::new();
            for agent in [None, Some("agent-1"), Some("agent-2")] {
                let mut headers = vec![("x-claude-code-session-id", session.as_str())];
                headers.extend(agent.map(|agent| ("x-claude-code-agent-id", agent)));
                let body = claude("sim/messages", "Mend it.", turn);
                let asked = Asked { model: "sim/messages", path: "/v1/messages", body, headers };
                let name = format!("{agent:?} of {session}");
                providers.insert(seen.check(&stage, name, &asked).await?);
            }
            apart += usize::from(providers.len() > 1);
        }
    }
    assert!(apart > 0, "agents begin wherever the lot falls");
    Ok(())
}

#[tokio::test]
async fn pitfall_62_users_of_one_application_are_no_conversation() -> Result<()> {
    let stage = open("300000").await?;
    let members = [("prompt_cache_key", json!("app")), ("metadata", json!({ "user_id": "app" }))];
    for (member, value) in members {
        let mut seen = Seen::default();
        for turn in 0..TURNS {
            for user in 0..SESSIONS {
                let mut messages = messages(&format!("user {user} of {member}"), turn);
                messages.insert(0, json!({ "role": "system", "content": "Be brief." }));
                let body = json!({ "model": "sim/chat", "messages": messages, member: value });
                let (path, headers) = ("/v1/chat/completions", Vec::new());
                let asked = Asked { model: "sim/chat", path, body, headers };
                seen.check(&stage, format!("{user} of {member}"), &asked).await?;
            }
        }
        assert_eq!(seen.providers().len(), 2, "{member}: {:?}", seen.providers());
    }
    Ok(())
}
