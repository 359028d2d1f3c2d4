//! What is simulated: twelve offers of eight providers with a spread of price, quality and speed,
//! requests of mixed tasks, and trouble. Everything follows from a seed. What an offer is truly
//! worth is hidden from the router, which sees an estimate.

use std::sync::Arc;

use anyhow::Context as _;
use turnpike::catalog::{Catalog, ConfiguredCatalog, DeclaredOffer, ProviderSelection};
use turnpike_protocol::Needs;

use crate::dice::Dice;

/// When virtual time begins: any time will do that is not zero.
pub const START_MS: u64 = 1_800_000_000_000;

/// The offers: provider, quality in thousandths, dollars per million tokens in and out, first token
/// in milliseconds, tokens per second, sees images.
type Row = (&'static str, u16, f64, f64, f64, f64, bool);
const OFFERS: [Row; 12] = [
    ("alder", 940, 5.0, 25.0, 1_400.0, 55.0, true),
    ("alder", 880, 3.0, 15.0, 900.0, 70.0, true),
    ("alder", 720, 0.8, 4.0, 500.0, 120.0, true),
    ("birch", 925, 2.5, 14.0, 1_100.0, 60.0, true),
    ("birch", 790, 0.4, 2.0, 600.0, 110.0, true),
    ("cedar", 900, 1.8, 11.0, 1_000.0, 80.0, true),
    ("cedar", 700, 0.15, 0.6, 350.0, 190.0, true),
    ("elm", 860, 0.5, 1.7, 1_800.0, 35.0, false),
    ("fir", 850, 0.6, 2.2, 700.0, 75.0, false),
    ("hazel", 640, 0.1, 0.3, 250.0, 260.0, false),
    ("larch", 600, 0.06, 0.2, 450.0, 140.0, false),
    ("maple", 810, 0.9, 2.7, 200.0, 450.0, true),
];

/// The qualities of the models that several sell where a world is made so: what agents are given.
const SOLD_BY_MANY: [u16; 2] = [790, 860];

/// Of offers at least so good, in thousandths, half think before they answer where a world is made
/// so, and write so many times as much.
const THINKING_MIN: u16 = 750;
const THINKING_TIMES: (f64, f64) = (2.0, 8.0);

/// One of the mixed tasks: label, share, difficulty's middle and spread, tokens in and out.
struct Kind {
    task: &'static str,
    share: f64,
    difficulty: (f64, f64),
    input: f64,
    output: f64,
    tools: bool,
    image: bool,
}

const fn kind(task: &'static str, share: f64, difficulty: (f64, f64), tokens: (f64, f64)) -> Kind {
    let (input, output) = tokens;
    Kind { task, share, difficulty, input, output, tools: false, image: false }
}

const KINDS: [Kind; 10] = [
    kind("chat", 0.26, (0.22, 0.16), (350.0, 220.0)),
    kind("writing", 0.11, (0.38, 0.16), (500.0, 650.0)),
    kind("summarization", 0.12, (0.32, 0.14), (4_000.0, 300.0)),
    kind("extraction", 0.10, (0.25, 0.14), (2_500.0, 180.0)),
    kind("translation", 0.06, (0.30, 0.13), (900.0, 700.0)),
    kind("code", 0.15, (0.52, 0.20), (3_000.0, 700.0)),
    kind("data-analysis", 0.05, (0.55, 0.18), (3_500.0, 500.0)),
    kind("reasoning", 0.06, (0.68, 0.18), (800.0, 1_200.0)),
    Kind { tools: true, ..kind("agent", 0.06, (0.60, 0.16), (9_000.0, 350.0)) },
    Kind { image: true, ..kind("vision", 0.03, (0.40, 0.16), (1_500.0, 250.0)) },
];

/// What can be chosen when a world is made.
#[derive(Debug, Clone)]
pub struct Shape {
    pub seed: u64,
    pub requests: usize,
    /// Requests in a second.
    pub rate: f64,
    /// By how much true qualities differ from the estimates, most of them.
    pub surprise: f64,
    /// By how much the classifier's difficulties differ from the true ones.
    pub blur: f64,
    /// Draws the offers' qualities and prices anew, from the seed.
    pub other_offers: bool,
    /// Three more sellers of one of the models, at the same price.
    pub sellers: bool,
    /// Some offers think, at length, and what they think is paid for like an answer.
    pub thinking: bool,
    /// The built-in policy's configuration, as JSON.
    pub policy: Option<String>,
    /// Tasks, difficulties and lengths of prompts from a file, in place of the mix.
    pub labelled: Vec<Labelled>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            seed: 1,
            requests: 20_000,
            rate: 20.0,
            surprise: 0.04,
            blur: 0.08,
            other_offers: false,
            sellers: false,
            thinking: false,
            policy: None,
            labelled: Vec::new(),
        }
    }
}

/// A request of a labelled file.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct Labelled {
    pub task: String,
    /// 0 to 1.
    pub difficulty: Option<f64>,
    pub prompt: String,
    /// Whether a weak and a strong model answered it right.
    pub weak: Option<bool>,
    pub strong: Option<bool>,
}

/// What is true of an offer and hidden from the router.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Added to the estimate of the quality.
    pub surprise: f64,
    pub first_token_ms: f64,
    pub tokens_per_second: f64,
    /// How many times the tokens of an answer it writes.
    pub longer: f64,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub at_ms: u64,
    pub task: &'static str,
    /// What it truly takes, 0 to 1.
    pub difficulty: f64,
    /// What the classifier says.
    pub seen_difficulty: f64,
    pub input_tokens: u32,
    pub output_tokens: u32,
    pub needs: Needs,
}

/// A provider's trouble.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub provider: &'static str,
    pub from_ms: u64,
    pub until_ms: u64,
    /// Share of its attempts that fail.
    pub errors: f64,
    /// How many times slower it is.
    pub slower: f64,
    /// Its failures are found out only when the time-out ends.
    pub hangs: bool,
}

/// Everything that is simulated.
#[derive(Debug)]
pub struct World {
    pub seed: u64,
    /// The built-in policy's configuration.
    pub policy: Option<String>,
    pub offers: Arc<ConfiguredCatalog>,
    pub truths: Vec<Truth>,
    pub requests: Vec<Request>,
    pub troubles: Vec<Trouble>,
}

/// The providers, in the order of the table.
pub fn providers() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = OFFERS.iter().map(|row| row.0).collect();
    names.dedup();
    names
}

// === impl Trouble ===

impl Trouble {
    /// A provider that fails a share of its attempts for the whole time.
    pub fn throughout(provider: &'static str, errors: f64) -> Self {
        let (from_ms, until_ms) = (0, u64::MAX);
        Self { provider, from_ms, until_ms, errors, slower: 1.0, hangs: false }
    }

    pub fn is_on(&self, provider: &str, at_ms: u64) -> bool {
        self.provider == provider && (self.from_ms..self.until_ms).contains(&at_ms)
    }
}

// === impl World ===

impl World {
    /// The world of a shape.
    ///
    /// # Errors
    /// When the catalogue refuses the offers.
    pub fn new(shape: &Shape) -> anyhow::Result<Self> {
        let rows = rows(shape);
        let offers = Arc::new(offers(&rows)?);
        let truth = |offer: &Arc<turnpike::catalog::Offer>| {
            let at = rows.iter().position(|row| *name(row) == *offer.model).context("an offer")?;
            let mut dice = Dice::of(&[shape.seed, 11, u64::try_from(at)?]);
            let row = rows.get(at).context("an offer")?;
            Ok(Truth {
                surprise: dice.normal() * shape.surprise,
                first_token_ms: row.4,
                tokens_per_second: row.5,
                longer: longer(shape, row, at),
            })
        };
        let truths = offers.offers().iter().map(truth).collect::<anyhow::Result<Vec<_>>>()?;
        let requests = requests(shape)?;
        let end_ms = requests.last().map_or(START_MS, |last| last.at_ms);
        let troubles = troubles(shape.seed, end_ms);
        let (seed, policy) = (shape.seed, shape.policy.clone());
        Ok(Self { seed, policy, offers, truths, requests, troubles })
    }

    /// Tokens that an offer writes for a request.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of tokens of a simulation: some thousands"
    )]
    pub fn output_tokens(&self, offer: usize, request: &Request) -> u32 {
        let longer = self.truths.get(offer).map_or(1.0, |truth| truth.longer);
        (f64::from(request.output_tokens) * longer) as u32
    }

    /// The same without any trouble but this.
    pub fn with(self, troubles: Vec<Trouble>) -> Self {
        Self { troubles, ..self }
    }
}

fn longer(shape: &Shape, row: &Row, at: usize) -> f64 {
    let mut dice = Dice::of(&[shape.seed, 19, u64::try_from(at).unwrap_or(0)]);
    let thinks = shape.thinking && row.1 >= THINKING_MIN && dice.unit() < 0.5;
    if thinks { dice.between(THINKING_TIMES.0, THINKING_TIMES.1) } else { 1.0 }
}

fn rows(shape: &Shape) -> Vec<Row> {
    if shape.sellers {
        let sold = OFFERS.iter().filter(|row| SOLD_BY_MANY.contains(&row.1));
        let others = ["ginkgo", "juniper", "oak"];
        let more = sold
            .flat_map(|row| others.map(|name| (name, row.1, row.2, row.3, row.4, row.5, row.6)));
        return OFFERS.iter().copied().chain(more).collect();
    }
    if !shape.other_offers {
        return OFFERS.to_vec();
    }
    // Dearer is better on the whole, with much scatter, as in any price list.
    let drawn = OFFERS.iter().zip(1_u64..).map(|(row, at)| {
        let mut dice = Dice::of(&[shape.seed, 7, at]);
        let dear = dice.unit();
        let quality = (0.55 + 0.37 * dear.powf(0.6) + 0.04 * dice.normal()).clamp(0.35, 0.97);
        let price = dice.around(0.08 * 80_f64.powf(dear), 1.9);
        let first = dice.around(700.0, 2.2);
        let speed = dice.around(110.0, 2.2);
        let permille = (quality * 1_000.0).round().clamp(0.0, 1_000.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
        let permille = permille as u16;
        (row.0, permille, price, price * dice.between(3.0, 6.0), first, speed, row.6)
    });
    drawn.collect()
}

/// Unique within the table, because two offers of one provider differ in speed.
fn name(row: &Row) -> String {
    format!("{}/q{}-{:.0}", row.0, row.1, row.4 + row.5)
}

fn offers(rows: &[Row]) -> anyhow::Result<ConfiguredCatalog> {
    let mut selections: Vec<ProviderSelection> = Vec::new();
    for row in rows {
        let declared = declared(row);
        match selections.iter_mut().find(|known| known.name == row.0) {
            Some(known) => known.declared.push(declared),
            None => selections.push(ProviderSelection {
                name: row.0.to_owned(),
                declared: vec![declared],
                dialects: vec!["openai-chat"],
                dialects_are_certain: true,
                ..ProviderSelection::default()
            }),
        }
    }
    Ok(Catalog::embedded()?.configured(&selections)?)
}

fn declared(row: &Row) -> DeclaredOffer {
    let image = if row.6 { vec!["text".to_owned(), "image".to_owned()] } else { Vec::new() };
    let prices = [("input", row.2), ("output", row.3), ("cache-read", row.2 / 10.0)];
    let price = |(item, usd): (&str, f64)| (item.to_owned(), format!("{usd:.4}"));
    DeclaredOffer {
        id: name(row),
        context_tokens: 200_000,
        output_tokens: 32_000,
        input: image,
        tools: true,
        structured_output: true,
        reasoning: row.1 >= 700,
        quality_permille: Some(row.1),
        usd_per_million: prices.into_iter().map(price).collect(),
        ..DeclaredOffer::default()
    }
}

fn requests(shape: &Shape) -> anyhow::Result<Vec<Request>> {
    let mut at_ms = START_MS as f64;
    let mut made = Vec::with_capacity(shape.requests);
    for number in 0..shape.requests {
        let mut dice = Dice::of(&[shape.seed, 13, u64::try_from(number)?]);
        // Of an exponential distribution, as independent arrivals are.
        at_ms += -(1.0 - dice.unit()).ln() * 1_000.0 / shape.rate;
        let labelled = shape.labelled.get(number.checked_rem(shape.labelled.len()).unwrap_or(0));
        made.push(request(shape, &mut dice, at_ms, labelled));
    }
    Ok(made)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts of tokens and milliseconds of a simulation, clamped"
)]
fn request(shape: &Shape, dice: &mut Dice, at_ms: f64, labelled: Option<&Labelled>) -> Request {
    let lot = dice.unit();
    let mut share = 0.0;
    let by_lot = KINDS.iter().find(|kind| {
        share += kind.share;
        lot < share
    });
    let named = labelled.and_then(|it| KINDS.iter().find(|kind| kind.task == it.task));
    let kind = named.or(by_lot).unwrap_or(&KINDS[0]);
    let (middle, spread) = kind.difficulty;
    let drawn = middle + spread * dice.normal();
    let difficulty = labelled.and_then(Labelled::hardness).unwrap_or(drawn).clamp(0.0, 1.0);
    let seen_difficulty = (difficulty + shape.blur * dice.normal()).clamp(0.0, 1.0);
    let told = labelled.map(|it| it.prompt.len() as f64 / 4.0).filter(|tokens| *tokens > 0.0);
    let input = told.unwrap_or_else(|| dice.around(kind.input, 2.2)).clamp(16.0, 100_000.0);
    let output = dice.around(kind.output, 1.8).clamp(8.0, 8_000.0);
    Request {
        at_ms: at_ms as u64,
        task: kind.task,
        difficulty,
        seen_difficulty,
        input_tokens: input as u32,
        output_tokens: output as u32,
        needs: Needs { tools: kind.tools, image_input: kind.image, ..Needs::default() },
    }
}

// === impl Labelled ===

impl Labelled {
    /// How hard it is, by what is known of it.
    fn hardness(&self) -> Option<f64> {
        self.difficulty.or(match (self.weak?, self.strong?) {
            (true, _) => Some(0.3),
            (false, true) => Some(0.65),
            (false, false) => Some(0.9),
        })
    }
}

/// Outages and brown-outs over the whole time, one provider after the other.
fn troubles(seed: u64, end_ms: u64) -> Vec<Trouble> {
    let length_ms = end_ms.saturating_sub(START_MS);
    let names = providers();
    let mut troubles = Vec::new();
    for (number, provider) in (0_u64..).zip(names) {
        let mut dice = Dice::of(&[seed, 17, number]);
        let from_ms = START_MS + length_ms / 10 * (number + 1);
        let outage = dice.unit() < 0.5;
        troubles.push(Trouble {
            provider,
            from_ms,
            until_ms: from_ms + length_ms / 16,
            errors: if outage { 1.0 } else { dice.between(0.1, 0.4) },
            slower: if outage { 1.0 } else { dice.between(1.5, 4.0) },
            hangs: false,
        });
    }
    troubles
}
