//! Providers that fail before any content: the next one answers and is paid, and who failed is
//! not; where none answers, nothing is.

use anyhow::Result;
use turnpike_simulate::Failure;

use super::complete::ends_well;
use super::till::{
    Asked, Customer, PROMPT_COST, SPARE_COST, SPARE_PROMPT_COST, SPARE_TIMES, Till, only,
};
use crate::pitfalls::world::{OUTPUT_PICO, pair};

/// Providers are given up soon, on a busy machine too.
const SHORT: [(&str, &str); 4] = [
    ("TURNPIKE__TIMEOUTS__FIRST_BYTE_MS", "1200"),
    ("TURNPIKE__TIMEOUTS__FIRST_CONTENT_MS", "1200"),
    ("TURNPIKE__TIMEOUTS__ANSWER_MS", "1200"),
    ("TURNPIKE__TIMEOUTS__IDLE_MS", "1200"),
];

/// What the first provider of this dialect, and its spare, have counted before they fail without
/// content: one counts the prompt and a first token in its first event.
fn counted_before(asked: Asked, customer: &Customer) -> [u128; 2] {
    match asked.stream && customer.org == "messages" {
        true => [PROMPT_COST + OUTPUT_PICO, SPARE_PROMPT_COST + SPARE_TIMES * OUTPUT_PICO],
        false => [0, 0],
    }
}

/// The first of each pair fails so, and its spare answers: it alone is paid, at its own price.
async fn replaced(asked: Asked, failure: Failure, tells: bool) -> Result<()> {
    let till = Till::open(asked, &SHORT).await?;
    till.fail_first(&failure)?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        let said = said.expect_answer()?;
        assert!(ends_well(&said), "{}", said.answered.text);
        let [_, spare] = pair(customer.org);
        assert_eq!(said.answered.header("x-turnpike-provider"), spare);
        let absorbed = if tells { counted_before(asked, &customer)[0] } else { 0 };
        let end = customer.ended(said.id(), "complete").absorbing(only(absorbed));
        ends.push(end.charged("provider", only(SPARE_COST), "complete"));
    }
    till.close(ends).await
}

pub(super) async fn error(asked: Asked) -> Result<()> {
    replaced(asked, Failure::status(500), false).await
}

/// It says how long the prompt is, where its dialect does so at the start, and nothing more.
pub(super) async fn time_out(asked: Asked) -> Result<()> {
    replaced(asked, Failure::HangAfter { chunks: 0 }, true).await
}

pub(super) async fn rate_limit(asked: Asked) -> Result<()> {
    replaced(asked, Failure::Status { status: 429, retry_after_s: None, echo: false }, false).await
}

/// Nobody answers: an error of the caller's dialect, and no charge. What providers counted all the
/// same is the platform's.
pub(super) async fn nobody(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &SHORT).await?;
    till.fail(&Failure::DieBeforeContent)?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        assert_eq!(said.answered.status, 502, "{}", said.answered.text);
        said.error()?;
        // Both of a pair were asked.
        let absorbed = counted_before(asked, &customer).iter().sum();
        ends.push(customer.ended(said.id(), "failed").absorbing(only(absorbed)));
    }
    till.close(ends).await
}
