//! Vectors, which are paid by their input alone: complete, without a usage, from the next
//! provider, for a caller that has gone, and refused.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_simulate::{Failure, Rule};
use turnpike_tests::{Answered, Setup};

use super::till::{Asked, Till, counted, only};
use crate::embeddings::{configuration, script};

const ORG: &str = "vectors";
const INPUT: &str = "the cat sat on the mat";
/// A token at the provider that is asked first, and at the other one, which tells no usage.
const FIRST_PICO: u128 = 20_000;
const OTHER_PICO: u128 = 200_000;

async fn open(asked: Asked) -> Result<Till> {
    let environment = vec![("TURNPIKE__ROUTING__BREAKER_FAILURES", "1000")];
    let setup =
        Setup { script: script(), providers: configuration, environment, ..Setup::default() };
    Till::open_with(asked, setup, ORG).await
}

async fn embed(till: &Till) -> Result<Answered> {
    let customer = till.customers.first().context("a customer")?;
    let body: Value = json!({ "model": "acme/vec", "input": INPUT });
    customer.caller.post("/v1/embeddings", &body, &[]).await
}

pub(super) async fn complete(asked: Asked) -> Result<()> {
    let till = open(asked).await?;
    let answer = embed(&till).await?.expect_status(200)?;
    let tokens = answer.body["usage"]["prompt_tokens"].as_u64().context("a count")?;
    let end = till.customers[0].ended(answer.request_id(), "complete");
    let paid = only(u128::from(tokens) * FIRST_PICO);
    let ends = vec![end.charged("provider", paid, "complete")];
    till.close(ends).await
}

/// Google tells no count of tokens with its vectors.
pub(super) async fn without_usage(asked: Asked) -> Result<()> {
    let till = open(asked).await?;
    till.stage.simulator.fail("alike", &[Rule::always(Failure::status(500))])?;
    let answer = embed(&till).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-provider"), "second");
    let end = till.customers[0].ended(answer.request_id(), "complete_estimated");
    let paid = only(counted(INPUT.len()) * OTHER_PICO);
    let ends = vec![end.charged("estimated", paid, "estimated")];
    till.close(ends).await
}

pub(super) async fn nobody(asked: Asked) -> Result<()> {
    let till = open(asked).await?;
    for provider in ["alike", "second"] {
        till.stage.simulator.fail(provider, &[Rule::always(Failure::status(503))])?;
    }
    let answer = embed(&till).await?;
    assert_eq!(answer.status / 100, 5, "{}", answer.text);
    let ends = vec![till.customers[0].ended(answer.request_id(), "failed")];
    till.close(ends).await
}

pub(super) async fn caller_leaves(asked: Asked) -> Result<()> {
    let till = open(asked).await?;
    till.stage.simulator.change("alike", "vec", |model| model.first_token_ms = 30_000)?;
    let sent = async {
        while till.stage.simulator.requests("alike").is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        answer = embed(&till) => anyhow::bail!("it was answered: {answer:?}"),
        () = sent => {}
    }
    let id = till.only_request(ORG).await?;
    let ends = vec![till.customers[0].ended(&id, "abandoned")];
    till.close(ends).await
}

pub(super) async fn refused(asked: Asked) -> Result<()> {
    let till = open(asked).await?;
    till.limit("0.0000000001").await?;
    let answer = embed(&till).await?.expect_status(429)?;
    assert!(till.stage.simulator.all_requests().is_empty());
    let ends = vec![till.customers[0].ended(answer.request_id(), "refused").unheld()];
    till.close(ends).await
}
