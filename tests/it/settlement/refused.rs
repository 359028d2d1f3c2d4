//! Requests that are refused, by the gateway or by the provider: nobody pays, and where it is
//! known before anything is set aside, nothing ever is.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_simulate::{Dialect, Failure};

use super::till::{Asked, Till};

/// A policy says no before a provider is asked.
pub(super) async fn by_policy(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    let mut ends = Vec::new();
    for customer in &till.customers {
        let config = json!({ "input": { "card": "block" }, "output": { "all": "count" } });
        till.bind(customer.org, &config).await?;
        let (path, body) = customer.body(asked);
        let text = body.to_string().replace("the sea", "card 4111 1111 1111 1111");
        let body: Value = serde_json::from_str(&text)?;
        let said = customer.send(asked, &path, &body).await?;
        assert_eq!(said.answered.status, 403, "{}", said.answered.text);
        said.error()?;
        ends.push(customer.ended(said.id(), "refused").unheld());
    }
    assert!(till.stage.simulator.all_requests().is_empty());
    till.close(ends).await
}

/// A model that nobody has.
pub(super) async fn by_model(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    let mut ends = Vec::new();
    for customer in &till.customers {
        let (path, body) = customer.body(asked);
        let other = |text: &str| text.replace(&customer.model(), "sim/nobody");
        let body: Value = serde_json::from_str(&other(&body.to_string()))?;
        let said = customer.send(asked, &other(&path), &body).await?;
        assert_eq!(said.answered.status, 404, "{}", said.answered.text);
        said.error()?;
        ends.push(customer.ended(said.id(), "refused").unheld());
    }
    till.close(ends).await
}

/// A budget that can't take the worst case, not even of the shortest answer.
pub(super) async fn for_money(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.limit("0.0001").await?;
    let mut ends = Vec::new();
    for customer in &till.customers {
        let said = customer.say(asked).await?;
        assert_eq!(said.answered.status, 429, "{}", said.answered.text);
        said.error()?;
        ends.push(customer.ended(said.id(), "refused").unheld());
    }
    assert!(till.stage.simulator.all_requests().is_empty());
    till.close(ends).await
}

/// A key's requests of a minute are used up, here by one that the provider refused: the next is
/// refused before anything is set aside.
pub(super) async fn by_rate_limit(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.change_keys(|_| json!({ "limits": { "rpm": 1 } })).await?;
    till.fail(&Failure::status(400))?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        assert_eq!(said.answered.status, 400, "{}", said.answered.text);
        ends.push(customer.ended(said.id(), "refused"));
    }
    let sent = till.stage.simulator.all_requests().len();
    for (customer, said) in till.ask_all().await? {
        assert_eq!(said.answered.status, 429, "{}", said.answered.text);
        assert!(!said.answered.header("retry-after").is_empty(), "{:?}", said.answered.headers);
        said.error()?;
        ends.push(customer.ended(said.id(), "refused").unheld());
    }
    assert_eq!(till.stage.simulator.all_requests().len(), sent);
    till.close(ends).await
}

/// A body that no provider would take: it never becomes a request of which there is a record.
pub(super) async fn by_validation(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    let list = match asked.dialect {
        Dialect::OpenAiResponses => "input",
        Dialect::Gemini => "contents",
        _ => "messages",
    };
    for customer in &till.customers {
        let (path, mut body) = customer.body(asked);
        body[list] = json!(7);
        let said = customer.send(asked, &path, &body).await?;
        assert_eq!(said.answered.status, 400, "{}", said.answered.text);
        said.error().context(customer.org)?;
    }
    assert!(till.stage.simulator.all_requests().is_empty());
    till.close_untouched().await
}

/// The provider's own refusal is passed on and costs nothing.
pub(super) async fn by_the_provider(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.fail(&Failure::status(400))?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        assert_eq!(said.answered.status, 400, "{}", said.answered.text);
        said.error()?;
        ends.push(customer.ended(said.id(), "refused"));
    }
    till.close(ends).await
}
