//! Under `auto:fast` an offer whose speed is not known gets its turn beside quicker ones.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_tests::{ORG, Setup, Stage, built_policy, chat, instant_script};

use super::dry_run;

const CHOICES: usize = 24;

async fn open(explore_one_in: &'static str) -> Result<Stage> {
    let environment = vec![("TURNPIKE__ROUTING__EXPLORE_ONE_IN", explore_one_in)];
    let mut script = instant_script();
    // Whoever begins after no time at all can't be hoped to be quicker.
    for model in script.providers.iter_mut().flat_map(|provider| &mut provider.models) {
        model.first_token_ms = 20;
    }
    Stage::open_with(Setup { environment, script, ..Default::default() }).await
}

fn question(number: usize) -> String {
    format!("What is the capital of country {number}?")
}

/// Who answered requests under `auto:fast`, each of a conversation of its own.
async fn answered(stage: &Stage) -> Result<BTreeSet<String>> {
    let mut offers = BTreeSet::new();
    for number in 0..CHOICES {
        let body = chat("auto:fast", &question(number));
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        let [model, provider] =
            ["x-turnpike-model", "x-turnpike-provider"].map(|name| answer.header(name));
        offers.insert(format!("{model}@{provider}"));
    }
    Ok(offers)
}

/// The offers whose quality is enough, their score being 2 or more, with what each is expected to
/// cost in times of the cheapest.
fn good_enough(shown: &Value) -> BTreeMap<String, f64> {
    let all = shown["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let enough = all.iter().filter(|one| one["score"].as_f64().is_some_and(|score| score >= 2.0));
    let cost = |one: &Value| one["expected_cost_usd"].as_str()?.parse::<f64>().ok();
    let costs: BTreeMap<String, f64> =
        enough.filter_map(|one| Some((one["offer"].as_str()?.to_owned(), cost(one)?))).collect();
    let least = costs.values().copied().fold(f64::INFINITY, f64::min);
    costs.into_iter().map(|(offer, cost)| (offer, cost / least)).collect()
}

#[tokio::test]
async fn a_quick_choice_tries_good_enough_offers_of_unknown_speed() -> Result<()> {
    let stage = open("1").await?;
    let shown = dry_run(&stage, &chat("auto:fast", &question(0))).await?;
    let enough = good_enough(&shown);
    let near: BTreeSet<String> =
        enough.iter().filter(|(_, times)| **times <= 3.0).map(|(offer, _)| offer.clone()).collect();
    assert!(near.len() > 1, "{shown:#}");
    let answered = answered(&stage).await?;
    assert!(near.is_subset(&answered), "{near:?} and not only {answered:?}");
    assert!(answered.iter().all(|offer| enough.contains_key(offer)), "{answered:?}: {enough:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_tried_first_is_seen_in_the_record_and_its_figures_are_its_own() -> Result<()> {
    let stage = open("1").await?;
    let (mut tried, mut figures, mut marked) = (0, 0, 0);
    for number in 0..CHOICES {
        let answer = stage.caller.chat(&chat("auto:fast", &question(number))).await?;
        let answer = answer.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        let all = explanation["candidates"].as_array().context("candidates")?;
        let first = explanation["plan"][0].as_str().context("a plan")?;
        let score = |one: &Value| one["score"].as_f64().unwrap_or(-1.0);
        let best = all.iter().map(score).fold(-1.0, f64::max);
        let of_first = all.iter().find(|one| one["offer"] == first).context("its row")?;
        tried += usize::from(score(of_first) < best);
        figures += usize::from(score(of_first) < best && of_first["first_token_ms"] == 700.0);
        marked += usize::from(score(of_first) < best && of_first["figures"]["explored"] == true);
    }
    assert!(tried > 0, "none was tried before the best");
    assert_eq!(tried, figures, "of an offer that was never asked nothing is made up");
    assert_eq!(tried, marked, "each is marked");
    Ok(())
}

#[tokio::test]
async fn a_record_says_who_was_tried_because_its_speed_is_not_known() -> Result<()> {
    let stage = open("1").await?;
    let mut tried = Vec::new();
    for number in 0..2 {
        let body = chat("auto:fast", &question(number));
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        tried.push(explored(&explanation));
    }
    assert_eq!(tried, [0, 1], "at first nobody is known to be quicker");
    assert_eq!(explored(&dry_run(&stage, &chat("auto:fast", &question(2))).await?), 0);
    Ok(())
}

/// An organization's policy is its own, also where it is the built-in's rule under its name.
#[tokio::test]
async fn an_organizations_own_policy_is_not_explored_over_whatever_it_is_called() -> Result<()> {
    let stage = open("1").await?;
    let mut own = built_policy("route-default")?;
    // A custom section without a meaning, named `mark`: other bytes, and the same rule.
    own.extend([0, 5, 4]);
    own.extend(b"mark");
    stage.upload("route-default", "0.1.0", own).await?.expect_status(201)?;
    stage.bind("route", &json!({ "plugin": "route-default@0.1.0" })).await?;
    for number in 0..3 {
        let body = chat("auto:fast", &question(number));
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(explored(&explanation), 0, "{explanation:#}");
    }
    Ok(())
}

fn explored(shown: &Value) -> usize {
    let all = shown["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(|one| one["figures"]["explored"] == true).count()
}

#[tokio::test]
async fn without_exploring_the_first_that_is_quick_keeps_all() -> Result<()> {
    let stage = open("0").await?;
    assert_eq!(answered(&stage).await?.len(), 1);
    Ok(())
}
