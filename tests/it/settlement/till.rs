//! One gateway with two providers of each dialect and a paying customer for each; and the check of
//! how their requests ended: in the explanation, on the credit, on the key's budget, in the
//! journal. Amounts are worked out here, from what the providers were told to report.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, Failure, ModelScript, Rule, UsageScript};
use turnpike_tests::{Caller, Setup, Stage, pico};

use super::journal::{Booked, Journal};
use crate::pitfalls::speech::{Ask, Said};
use crate::pitfalls::world::{
    INPUT_PICO, OUTPUT_PICO, SPOKEN, change_all, dear_spares, fail_all, pair,
};

/// What every provider reports, whatever was said: figures of our own, so that the product's
/// reading of them is not its own judge. Cached tokens are in the prompt's, thinking in the
/// answer's, as OpenAI has it.
pub(super) const REPORTED: UsageScript = UsageScript {
    prompt: Some(40),
    cached: Some(8),
    cache_write: Some(0),
    cache_write_1h: Some(0),
    completion: Some(12),
    reasoning: Some(0),
};
/// A cached token of the prompt.
const CACHED_PICO: u128 = 100_000;
/// What the answer costs at the first provider of a pair, by the figures above.
pub(super) const COST: u128 = 32 * INPUT_PICO + 8 * CACHED_PICO + 12 * OUTPUT_PICO;
/// The part of it that is the prompt's.
pub(super) const PROMPT_COST: u128 = 32 * INPUT_PICO + 8 * CACHED_PICO;
/// The same at the second of a pair, whose cached tokens cost no more than at the first.
pub(super) const SPARE_COST: u128 = SPARE_PROMPT_COST + 12 * SPARE_TIMES * OUTPUT_PICO;
pub(super) const SPARE_PROMPT_COST: u128 = 32 * SPARE_TIMES * INPUT_PICO + 8 * CACHED_PICO;
/// How much more a token costs there.
pub(super) const SPARE_TIMES: u128 = 10;
/// What is said to every model. Of no special meaning, and ASCII.
pub(super) const PROMPT: &str = "tell me about the sea";
/// Credit and budget of each customer.
const CREDIT_USD: &str = "1";
/// The name of its key.
const KEY: &str = "till";
/// For a look at something that comes soon.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_secs(20);

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) dialect: Dialect,
    pub(super) stream: bool,
}

/// See the head of this file.
pub(super) struct Till {
    pub(super) stage: Stage,
    pub(super) asked: Asked,
    pub(super) customers: Vec<Customer>,
}

/// An organization with credit and a key with a budget, which buys from one pair of providers.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    /// Named after the dialect of its providers.
    pub(super) org: &'static str,
    pub(super) caller: Caller,
}

/// How a request is to have ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) org: &'static str,
    pub(super) id: String,
    pub(super) settlement: &'static str,
    /// Who counted; `None` where nothing was charged.
    pub(super) source: Option<&'static str>,
    pub(super) paid: RangeInclusive<u128>,
    pub(super) absorbed: RangeInclusive<u128>,
    /// `None`: nothing was ever held.
    pub(super) booked: Option<Booked>,
}

/// Exactly so much.
pub(super) fn only(amount: u128) -> RangeInclusive<u128> {
    amount..=amount
}

/// The gateway's own count of a text.
pub(super) fn counted(bytes: usize) -> u128 {
    (bytes as u128).div_ceil(4)
}

/// What the platform bears by the metrics of a gateway.
fn absorbed_usd(metrics: &str) -> Result<f64> {
    let mut lines = metrics.lines();
    let told = lines.find_map(|line| line.strip_prefix("turnpike_absorbed_usd_total "));
    Ok(told.with_context(|| format!("it is not told: {metrics}"))?.parse()?)
}

/// Bytes of so many tokens of a simulated model's filler.
pub(super) fn filler(tokens: u64) -> usize {
    usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(4)
}

/// What the gateway charges where nobody tells it the usage and so much text was delivered.
pub(super) fn estimate(prompt: &str, delivered: usize) -> u128 {
    counted(prompt.len()) * INPUT_PICO + counted(delivered) * OUTPUT_PICO
}

// === impl Till ===

impl Till {
    /// Opens with what every row shares; `environment` has what is special.
    pub(super) async fn open(
        asked: Asked,
        environment: &[(&'static str, &'static str)],
    ) -> Result<Self> {
        let mut all = vec![
            ("TURNPIKE__ROUTING__BREAKER_FAILURES", "1000"),
            ("TURNPIKE__ROUTING__ATTEMPTS", "2"),
            ("TURNPIKE__LIMITS__WORKERS", "1"),
        ];
        all.extend(environment);
        let stage = Stage::open_with(Setup { environment: all, ..dear_spares() }).await?;
        change_all(&stage, |model| model.usage = Some(REPORTED))?;
        let mut till = Self { stage, asked, customers: Vec::new() };
        for (org, _) in SPOKEN {
            till.welcome(org).await?;
        }
        Ok(till)
    }

    /// An installation of another kind, with one customer.
    pub(super) async fn open_with(asked: Asked, setup: Setup, org: &'static str) -> Result<Self> {
        let stage = Stage::open_with(setup).await?;
        let mut till = Self { stage, asked, customers: Vec::new() };
        till.welcome(org).await?;
        Ok(till)
    }

    /// Another customer, whose key has a budget.
    async fn welcome(&mut self, org: &'static str) -> Result<()> {
        self.stage.add_org(org, CREDIT_USD).await?;
        let budget = json!({ "amount_usd": CREDIT_USD, "period": "total" });
        let key = json!({ "name": KEY, "budget": budget });
        let caller = self.stage.add_key(org, &key).await?;
        self.customers.push(Customer { org, caller });
        Ok(())
    }

    /// Every customer's key has no more than so much.
    pub(super) async fn limit(&self, budget_usd: &str) -> Result<()> {
        let budget = json!({ "budget": { "amount_usd": budget_usd, "period": "total" } });
        self.change_keys(|_| budget.clone()).await
    }

    /// Changes every customer's key.
    pub(super) async fn change_keys(&self, change: impl Fn(&Customer) -> Value) -> Result<()> {
        for customer in &self.customers {
            let path = format!("/orgs/{}/keys/{}", customer.org, self.key(customer.org).await?.1);
            let changed = self.stage.operate(Method::PATCH, &path, Some(&change(customer))).await?;
            changed.expect_status(200)?;
        }
        Ok(())
    }

    /// A customer's key as it is shown, and its id.
    async fn key(&self, org: &str) -> Result<(Value, String)> {
        let path = format!("/orgs/{org}/keys");
        let keys = self.stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
        let keys = keys.body["items"].as_array().cloned().context("keys")?;
        let key = keys.into_iter().find(|key| key["name"] == KEY).context("the key")?;
        let id = key["id"].as_str().context("an id")?.to_owned();
        Ok((key, id))
    }

    /// Changes every model.
    pub(super) fn change(&self, change: impl Fn(&mut ModelScript)) -> Result<()> {
        change_all(&self.stage, change)
    }

    /// Every model writes so many tokens of filler, slowly enough to be left in the middle, and
    /// reports them.
    pub(super) fn slow(&self, tokens: u64, tokens_per_second: u64) -> Result<()> {
        self.change(|model| {
            model.answer = AnswerScript::Lorem { tokens };
            model.tokens_per_second = tokens_per_second;
            model.usage = Some(UsageScript { completion: Some(tokens), ..REPORTED });
        })
    }

    /// Every provider fails so.
    pub(super) fn fail(&self, failure: &Failure) -> Result<()> {
        fail_all(&self.stage, Some(failure))
    }

    /// The first of each pair fails so; its spare is well.
    pub(super) fn fail_first(&self, failure: &Failure) -> Result<()> {
        for (name, _) in SPOKEN {
            self.stage.simulator.fail(name, &[Rule::always(failure.clone())])?;
        }
        Ok(())
    }

    /// The customers' questions, each answered to its end.
    pub(super) async fn ask_all(&self) -> Result<Vec<(Customer, Said)>> {
        let asked = self.customers.iter().map(|customer| async move {
            let said = customer.say(self.asked).await?;
            Ok::<_, anyhow::Error>((customer.clone(), said))
        });
        futures_util::future::try_join_all(asked).await
    }

    /// The id of an organization's only request, which it may not have been told.
    pub(super) async fn only_request(&self, org: &str) -> Result<String> {
        let path = format!("/orgs/{org}/requests");
        let found = async {
            loop {
                let list =
                    self.stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
                let items = list.body["items"].as_array().cloned().unwrap_or_default();
                if let [item] = items.as_slice() {
                    return Ok(item["id"].as_str().context("an id")?.to_owned());
                }
                anyhow::ensure!(items.is_empty(), "{org} has more than one request");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(LOOK_MAX, found).await.context("a request is never recorded")?
    }

    /// Waits until the providers of an organization were asked so often.
    pub(super) async fn wait_until_asked(&self, org: &str) -> Result<()> {
        let asked = async {
            let asked = |name: String| !self.stage.simulator.requests(&name).is_empty();
            while !pair(org).map(asked).contains(&true) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(LOOK_MAX, asked).await.context("a provider is never asked")
    }

    /// Checks every end in the running gateway, then stops it and checks the journal.
    pub(super) async fn close(mut self, ends: Vec<Ended>) -> Result<()> {
        assert!(!ends.is_empty(), "a row without a request shows nothing");
        let mut known = Vec::new();
        for end in ends {
            let explanation = self.stage.explanation(end.org, &end.id).await?;
            let (paid, absorbed) = end.explained(&explanation)?;
            self.check_credit(end.org, paid).await?;
            known.push((end, paid, absorbed));
        }
        let told = absorbed_usd(&self.stage.metrics().await?)?;
        self.stage.stop().await?;
        let journal = Journal::read(&self.stage).await?;
        for (end, paid, absorbed) in known {
            journal.check(&end.id, end.booked, paid, absorbed).with_context(|| end.at())?;
        }
        let booked = journal.absorbed()? as f64 / 1e12;
        assert!((told - booked).abs() < 1e-12, "the metrics tell {told}, {booked} is booked");
        Ok(())
    }

    /// The same where nobody was to get as far as a hold.
    pub(super) async fn close_untouched(mut self) -> Result<()> {
        for (org, _) in SPOKEN {
            self.check_credit(org, 0).await?;
        }
        self.stage.stop().await?;
        Journal::read(&self.stage).await?.check_untouched();
        Ok(())
    }

    /// An organization's redaction, by the built-in policy.
    pub(super) async fn bind(&self, org: &str, config: &Value) -> Result<()> {
        let path = format!("/orgs/{org}/bindings/redact");
        let binding = json!({ "plugin": "redact-default", "config": config });
        let bound = self.stage.operate(Method::PUT, &path, Some(&binding)).await?;
        anyhow::ensure!(bound.status / 100 == 2, "{}", bound.text);
        Ok(())
    }

    /// Credit and budget have moved by exactly what was paid.
    pub(super) async fn check_credit(&self, org: &str, paid: u128) -> Result<()> {
        let balance = self.stage.settled_balance(org).await?;
        let credit = pico(CREDIT_USD)?;
        assert_eq!((balance.total(), balance.spent), (credit, paid), "{org}: {balance:?}");
        let (key, _) = self.key(org).await?;
        let amount = |name: &str| pico(key["budget"][name].as_str().context("an amount")?);
        assert_eq!((amount("spent_usd")?, amount("held_usd")?), (paid, 0), "{org}: {key}");
        Ok(())
    }
}

// === impl Customer ===

impl Customer {
    pub(super) fn model(&self) -> String {
        format!("sim/{}", self.org)
    }

    /// Its question as a body, with what a dialect needs to be told its usage in a stream.
    pub(super) fn body(&self, asked: Asked) -> (String, Value) {
        let model = self.model();
        let ask = Ask::of(asked.dialect, &model, PROMPT).streamed(asked.stream);
        let mut body = ask.body();
        if asked.stream && asked.dialect == Dialect::OpenAiChat {
            body["stream_options"] = json!({ "include_usage": true });
        }
        (ask.path(), body)
    }

    pub(super) async fn say(&self, asked: Asked) -> Result<Said> {
        let (path, body) = self.body(asked);
        self.send(asked, &path, &body).await
    }

    pub(super) async fn send(&self, asked: Asked, path: &str, body: &Value) -> Result<Said> {
        let answered = self.caller.post(path, body, &[]).await?;
        Ok(Said { dialect: asked.dialect, stream: asked.stream, answered })
    }

    /// A request of this customer's that ended so, and cost nobody anything.
    pub(super) fn ended(&self, id: &str, settlement: &'static str) -> Ended {
        Ended {
            org: self.org,
            id: id.to_owned(),
            settlement,
            source: None,
            paid: only(0),
            absorbed: only(0),
            booked: Some(Booked::Released),
        }
    }
}

// === impl Ended ===

impl Ended {
    /// The same, charged.
    pub(super) fn charged(
        self,
        source: &'static str,
        paid: RangeInclusive<u128>,
        note: &'static str,
    ) -> Self {
        Self { source: Some(source), paid, booked: Some(Booked::Captured(note)), ..self }
    }

    /// The same, with a part that the platform bears.
    pub(super) fn absorbing(self, absorbed: RangeInclusive<u128>) -> Self {
        Self { absorbed, ..self }
    }

    /// The same, without a hold.
    pub(super) fn unheld(self) -> Self {
        Self { booked: None, ..self }
    }

    fn at(&self) -> String {
        format!("{} as {}, request {}", self.org, self.settlement, self.id)
    }

    /// Checks the explanation: what was paid and absorbed by it.
    fn explained(&self, explanation: &Value) -> Result<(u128, u128)> {
        let at = format!("{}: {explanation:#}", self.at());
        let amount = |value: &Value| pico(value.as_str().with_context(|| at.clone())?);
        let paid = amount(&explanation["cost_usd"])?;
        let absorbed = amount(&explanation["absorbed_usd"])?;
        assert_eq!(explanation["settlement"], self.settlement, "{at}");
        assert_eq!(explanation["usage_source"].as_str(), self.source, "{at}");
        assert!(self.paid.contains(&paid), "{paid} is not in {:?}: {at}", self.paid);
        let right = self.absorbed.contains(&absorbed);
        assert!(right, "{absorbed} is not in {:?}: {at}", self.absorbed);
        let lines = explanation["line_items"].as_array().with_context(|| at.clone())?;
        let mut sum = 0;
        for line in lines {
            let (count, each) = (line["count"].as_u64(), amount(&line["unit_price_usd"])?);
            let one = amount(&line["amount_usd"])?;
            assert_eq!(one, u128::from(count.with_context(|| at.clone())?) * each, "{at}");
            sum += one;
        }
        // What could not be held is borne by the platform.
        let adds_up = sum == paid || sum == paid + absorbed;
        assert!(adds_up, "the lines add up to what was paid: {at}");
        let held = amount(&explanation["hold_usd"])?;
        assert_eq!(held > 0, self.booked.is_some(), "{at}");
        Ok((paid, absorbed))
    }
}
