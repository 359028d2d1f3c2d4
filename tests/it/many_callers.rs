//! Many callers on one limit: never above it at any instant anyone looked, and nearly all of it
//! can be spent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use turnpike_ledger::{Event, TransferId};
use turnpike_simulate::{AnswerScript, Script};
use turnpike_tests::{Caller, ORG, Setup, Stage, chat, instant_script, pico};

/// Callers at once.
const CALLERS: u64 = 64;
const CREDIT_USD: &str = "2.00";
const BUDGET_USD: &str = "1.00";
/// Of a limit, in percent: what has to be usable at least.
const USABLE_PERCENT: u128 = 95;
/// A caller that was refused so often in a row gives up. Between two tries a long answer ends and
/// gives back what it did not use.
const REFUSALS_MAX: u32 = 12;
const REFUSED_PAUSE: Duration = Duration::from_millis(120);
/// Tokens of the longest answer that a caller asks for; the model has no more to say.
const ANSWER_TOKENS: u64 = 2_000;
const MODEL: &str = "openai/gpt-5.4";

/// Requests that a provider saw, by their ids, and how callers were refused.
#[derive(Default)]
struct Seen {
    ids: Mutex<BTreeSet<[u8; 16]>>,
    odd: Mutex<Vec<String>>,
}

fn talkative() -> Script {
    let mut script = instant_script();
    for model in script.providers.iter_mut().flat_map(|provider| &mut provider.models) {
        model.answer = AnswerScript::Lorem { tokens: ANSWER_TOKENS };
        model.first_token_ms = 10;
        model.tokens_per_second = 20_000;
        model.chunk_tokens = 20;
    }
    script
}

struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % most
    }
}

/// One request of random cost: short and long limits, none at all, whole and streamed, read to
/// the end and not. Whether it was served.
async fn ask(caller: &Caller, dice: &mut Dice, seen: &Seen) -> Result<bool> {
    let mut body = chat(MODEL, "Tell me something.");
    match dice.up_to(10) {
        0 => {}
        1..=4 => body["max_completion_tokens"] = json!(16 + dice.up_to(200)),
        _ => body["max_completion_tokens"] = json!(16 + dice.up_to(ANSWER_TOKENS)),
    }
    let (status, id, text) = if dice.up_to(3) == 0 {
        let mut answer = caller.stream(&body).await?;
        // A refusal is no stream.
        match answer.status {
            200 if dice.up_to(4) == 0 => drop(answer.read_to_text().await?),
            200 => answer.read().await?,
            _ => {}
        }
        (answer.status, answer.request_id.clone(), String::new())
    } else {
        let answer = caller.chat(&body).await?;
        (answer.status, answer.request_id().to_owned(), answer.text)
    };
    match status {
        200 => {
            let id = TransferId::parse(&id).context("a request has an id")?;
            seen.ids.lock().insert(id.0);
        }
        402 | 429 => {}
        _ => seen.odd.lock().push(format!("{status}: {text}")),
    }
    Ok(status == 200)
}

async fn spend_on(caller: Caller, number: u64, seen: Arc<Seen>) -> Result<()> {
    let mut dice = Dice(number * 7_919 + 17);
    let mut refusals = 0;
    while refusals < REFUSALS_MAX {
        if ask(&caller, &mut dice, &seen).await? {
            refusals = 0;
        } else {
            refusals += 1;
            tokio::time::sleep(REFUSED_PAUSE).await;
        }
    }
    Ok(())
}

fn amount(body: &Value, pointer: &str) -> Result<u128> {
    pico(body.pointer(pointer).and_then(Value::as_str).context("no amount")?)
}

/// Looks at the limits until told to stop; how often.
async fn watch(admin: Caller, key: Option<String>, stop: Arc<AtomicBool>) -> Result<u64> {
    let credits = format!("/admin/v1/orgs/{ORG}/credits");
    let mut looks = 0;
    while !stop.load(Ordering::Acquire) {
        let balance = admin.call(Method::GET, &credits, None).await?.body;
        let [available, held, spent] =
            ["/available_usd", "/held_usd", "/spent_usd"].map(|name| amount(&balance, name));
        if available? + held? + spent? != pico(CREDIT_USD)? {
            bail!("money came or went: {balance}");
        }
        if let Some(key) = &key {
            let path = format!("/admin/v1/orgs/{ORG}/keys/{key}");
            let shown = admin.call(Method::GET, &path, None).await?.body;
            let used = amount(&shown, "/budget/spent_usd")? + amount(&shown, "/budget/held_usd")?;
            if used > pico(BUDGET_USD)? {
                bail!("the budget is overshot: {}", shown["budget"]);
            }
        }
        looks += 1;
    }
    Ok(looks)
}

/// All callers spend with one key until nothing more is to be had; what they were served.
async fn spend_all(stage: &Stage, caller: &Caller, key: Option<String>) -> Result<Arc<Seen>> {
    let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let mut watching = JoinSet::new();
    watching.spawn(watch(stage.admin.clone(), key, Arc::clone(&stop)));
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        callers.spawn(spend_on(caller.clone(), number, Arc::clone(&seen)));
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    stop.store(true, Ordering::Release);
    let looks = watching.join_next().await.context("nobody watched")???;
    let odd = std::mem::take(&mut *seen.odd.lock());
    assert!(odd.is_empty(), "refused otherwise than for money: {odd:?}");
    assert!(looks > 20, "only {looks} looks");
    Ok(seen)
}

/// What the journal says was charged for these requests.
fn charged(stage: &Stage, seen: &Seen) -> Result<u128> {
    let (ids, mut sum) = (seen.ids.lock(), 0);
    turnpike_ledger::export(&stage.data_folder().join("journal"), |entry| {
        if let Event::Capture { hold, actual, .. } = entry.event
            && ids.contains(&hold.0)
        {
            sum += actual.0;
        }
    })
    .context("the journal can't be read")?;
    Ok(sum)
}

fn expect_nearly_all(what: &str, spent: u128, limit: u128) {
    let percent = spent * 10_000 / limit;
    println!("{what}: {spent} of {limit} pico-USD, {}.{:02} %", percent / 100, percent % 100);
    assert!(spent <= limit, "{what}: overshot");
    assert!(spent * 100 >= limit * USABLE_PERCENT, "{what}: most of it can't be spent");
}

/// Pitfalls 51 and 53.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_spend_a_budget_and_a_credit_to_the_end_and_never_above() -> Result<()> {
    let setup =
        Setup { script: talkative(), credit_usd: CREDIT_USD.to_owned(), ..Setup::default() };
    let stage = Stage::open_with(setup).await?;
    let budget = json!({ "name": "budgeted",
        "budget": { "amount_usd": BUDGET_USD, "period": "total", "mode": "hard" } });
    let made = stage.operate(Method::POST, &format!("/orgs/{ORG}/keys"), Some(&budget)).await?;
    let made = made.expect_status(201)?.body;
    let text = |name: &str| made[name].as_str().map(str::to_owned).context("a new key");
    let (id, budgeted) = (text("id")?, Caller::new(&stage.gateway()?.data_url, &text("key")?));

    let seen = spend_all(&stage, &budgeted, Some(id.clone())).await?;
    let before = stage.settled_balance(ORG).await?;
    let key = stage.operate(Method::GET, &format!("/orgs/{ORG}/keys/{id}"), None).await?.body;
    let spent = amount(&key, "/budget/spent_usd")?;
    expect_nearly_all("the key's budget", spent, pico(BUDGET_USD)?);
    assert_eq!(before.spent, spent, "nobody else has spent anything");
    assert_eq!(charged(&stage, &seen)?, spent, "and nothing else was charged");

    spend_all(&stage, &stage.caller.clone(), None).await?;
    let after = stage.settled_balance(ORG).await?;
    expect_nearly_all("the organization's credit", after.spent, pico(CREDIT_USD)?);
    let data = stage.data_folder().display().to_string();
    let checked = stage.program(&["ledger", "check", "--data", &data]).await?;
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    Ok(())
}
