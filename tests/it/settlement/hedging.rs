//! Two providers are asked beside each other because the first did not begin to answer in time: who
//! answers is paid, at its own price, and the other is not.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_simulate::Failure;

use super::complete::ends_well;
use super::till::{Asked, Customer, PROMPT, SPARE_COST, Till, estimate, only};
use crate::pitfalls::world::{SPOKEN, pair};

/// How long the first has.
const HEDGE: [(&str, &str); 1] = [("TURNPIKE__ROUTING__HEDGE_MS", "100")];

/// Pitfall 49: the loser of a hedge is nobody's expense but the platform's, and it is recorded.
pub(super) async fn loser(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &HEDGE).await?;
    till.change_keys(|customer| json!({ "models": [customer.model()] })).await?;
    let native = |customer: &&Customer| SPOKEN.contains(&(customer.org, asked.dialect));
    // A rival takes the caller's own bytes: only providers of its dialect can be one.
    let customer = till.customers.iter().find(native).context("a customer of the dialect")?;
    let [first, spare] = pair(customer.org);
    // Somebody else has found out that the first is quick.
    let other = Customer { caller: till.stage.add_org("other", "1").await?, ..customer.clone() };
    assert_eq!(other.say(asked).await?.answered.header("x-turnpike-provider"), first);
    till.fail_first(&Failure::HangBeforeHeaders)?;
    let (path, body) = customer.body(asked);
    let fast = |text: &str| text.replace(&customer.model(), "auto:fast");
    let body: Value = serde_json::from_str(&fast(&body.to_string()))?;
    let said = customer.send(asked, &fast(&path), &body).await?.expect_answer()?;
    assert!(ends_well(&said), "{}", said.answered.text);
    assert_eq!(said.answered.header("x-turnpike-provider"), spare);
    let explanation = till.stage.explanation(customer.org, said.id()).await?;
    let outcomes: Vec<&str> = explanation["attempts"]
        .as_array()
        .context("attempts")?
        .iter()
        .filter_map(|attempt| attempt["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["cancelled", "answered"], "{explanation:#}");
    // The first had the prompt, and nobody knows what it counted.
    let end = customer.ended(said.id(), "complete").absorbing(only(estimate(PROMPT, 0)));
    let end = end.charged("provider", only(SPARE_COST), "complete");
    till.close(vec![end]).await
}
