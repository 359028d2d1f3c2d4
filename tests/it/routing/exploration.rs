//! Under `auto:fast` an offer whose speed is not known gets its turn beside quicker ones.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Value, json};
use turnpike_tests::{ORG, Setup, Stage, chat, instant_script};

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

/// The offers whose quality is enough: their score is 2 or more.
fn good_enough(shown: &Value) -> BTreeSet<String> {
    let all = shown["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let enough = all.iter().filter(|one| one["score"].as_f64().is_some_and(|score| score >= 2.0));
    enough.filter_map(|one| one["offer"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_quick_choice_tries_each_good_enough_offer_of_unknown_speed() -> Result<()> {
    let stage = open("1").await?;
    // Else the dearer ones are not worth their price, since these providers answer at once.
    let by_time = json!({"plugin": "route-default", "config": {"fast-cost-share": 0}});
    stage.bind("route", &by_time).await?;
    let shown = dry_run(&stage, &chat("auto:fast", &question(0))).await?;
    let enough = good_enough(&shown);
    assert!(enough.len() > 1, "{shown:#}");
    assert_eq!(answered(&stage).await?, enough, "all of them, and none below the floor");
    Ok(())
}

#[tokio::test]
async fn a_record_says_who_was_lent_its_figures() -> Result<()> {
    let stage = open("1").await?;
    let mut lent = Vec::new();
    for number in 0..2 {
        let body = chat("auto:fast", &question(number));
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        lent.push(explored(&explanation));
    }
    assert_eq!(lent, [0, 1], "at first nobody is known to be quicker");
    assert_eq!(explored(&dry_run(&stage, &chat("auto:fast", &question(2))).await?), 0);
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
