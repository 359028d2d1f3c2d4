//! The gateway is killed with holds open: after the restart they expire, are listed, and nobody
//! has paid.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use reqwest::Method;
use turnpike_simulate::Failure;

use super::journal::{Booked, Journal};
use super::till::{Asked, Till};

/// A hold lasts for four seconds, which is what an attempt may take.
const SHORT: [(&str, &str); 6] = [
    ("TURNPIKE__ROUTING__ATTEMPTS", "1"),
    ("TURNPIKE__TIMEOUTS__FIRST_BYTE_MS", "2000"),
    ("TURNPIKE__TIMEOUTS__FIRST_CONTENT_MS", "2000"),
    ("TURNPIKE__TIMEOUTS__ANSWER_MS", "2000"),
    ("TURNPIKE__TIMEOUTS__IDLE_MS", "30000"),
    ("TURNPIKE__MONEY__HOLD_MS", "4000"),
];
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
