//! The gateway is killed with holds open: after the restart they expire, are listed, and nobody
//! has paid.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use reqwest::Method;
use turnpike_simulate::Failure;

use super::journal::{Booked, Journal};
use super::till::{Asked, PROMPT, PROMPT_COST, Till, counted, estimate, filler};
use crate::pitfalls::speech::read_to;
use crate::pitfalls::world::OUTPUT_PICO;

/// A hold lasts for four seconds, which is what an attempt may take.
const SHORT: [(&str, &str); 6] = [
    ("TURNPIKE__ROUTING__ATTEMPTS", "1"),
    ("TURNPIKE__TIMEOUTS__FIRST_BYTE_MS", "2000"),
    ("TURNPIKE__TIMEOUTS__FIRST_CONTENT_MS", "2000"),
    ("TURNPIKE__TIMEOUTS__ANSWER_MS", "2000"),
    ("TURNPIKE__TIMEOUTS__IDLE_MS", "30000"),
    ("TURNPIKE__MONEY__HOLD_MS", "4000"),
];
/// Of a stream that outlasts the stop: how long its answer is, how fast it comes, and how much of
/// it is read before.
const WRITTEN: u64 = 600;
const PER_SECOND: u64 = 20;
const READ_BYTES: usize = 30;
const EXPIRE_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn dies(asked: Asked) -> Result<()> {
    let mut till = Till::open(asked, &SHORT).await?;
    till.fail(&Failure::HangAfter { chunks: 3 })?;
    let held = async {
        for customer in &till.customers {
            while till.stage.balance(customer.org).await?.held == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        // Past the time in which a killed process may lose what it wrote, on a busy machine too.
        tokio::time::sleep(Duration::from_millis(400)).await;
        anyhow::Ok(())
    };
    let customers = till.customers.clone();
    let mut asking = pin!(try_join_all(customers.iter().map(|customer| customer.say(asked))));
    tokio::select! {
        said = &mut asking => anyhow::bail!("they were answered: {said:?}"),
        held = tokio::time::timeout(EXPIRE_MAX, held) => held??,
    }
    // The callers are still there when it dies.
    till.stage.restart().await?;
    let mut expired = Vec::new();
    for customer in &till.customers {
        let id = expired_hold(&till, customer.org).await?;
        till.check_credit(customer.org, 0).await?;
        expired.push(id);
    }
    till.stage.stop().await?;
    let journal = Journal::read(&till.stage).await?;
    for id in expired {
        journal.check(&id, Some(Booked::Expired), 0, 0)?;
    }
    Ok(())
}

/// The gateway is stopped in order while streams run that outlast the time for it: what was
/// delivered is paid.
pub(super) async fn stops(asked: Asked) -> Result<()> {
    let mut till = Till::open(asked, &[("TURNPIKE__TIMEOUTS__DRAIN_MS", "300")]).await?;
    till.slow(WRITTEN, PER_SECOND)?;
    let begun = try_join_all(till.customers.iter().map(|customer| async move {
        let (path, body) = customer.body(asked);
        let mut response = customer.caller.open(&path, &body, &[]).await?;
        let id = response.headers().get("x-request-id").context("an id")?.to_str()?.to_owned();
        let text = read_to(&mut response, asked.dialect, READ_BYTES).await?;
        anyhow::Ok((customer.clone(), id, text, response))
    }));
    let begun = begun.await?;
    // The callers are still there when it stops.
    till.stage.stop().await?;
    till.stage.restart().await?;
    let ends = begun.iter().map(|(customer, id, text, _)| {
        // Those that count the prompt in the beginning are believed for it.
        let prompt = match customer.org {
            "messages" | "gemini" => PROMPT_COST,
            _ => estimate(PROMPT, 0),
        };
        let least = prompt + counted(text.len()) * OUTPUT_PICO;
        let most = prompt + counted(filler(WRITTEN) / 2) * OUTPUT_PICO;
        customer.ended(id, "partial").charged("estimated", least..=most, "partial")
    });
    let ends = ends.collect();
    till.close(ends).await
}

/// The hold of an organization that is listed as expired.
async fn expired_hold(till: &Till, org: &str) -> Result<String> {
    let path = format!("/orgs/{org}/credits/entries");
    let found = async {
        loop {
            let list = till.stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
            let items = list.body["items"].as_array().cloned().context("items")?;
            let expired = items.iter().find(|item| item["kind"] == "expire");
            if let Some(id) = expired.and_then(|item| item["transfer"].as_str()) {
                return anyhow::Ok(id.to_owned());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let found = tokio::time::timeout(EXPIRE_MAX, found).await;
    found.with_context(|| format!("a hold of {org} never expires"))?
}
