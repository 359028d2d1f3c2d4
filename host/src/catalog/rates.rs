//! The official price list of one offer: what each kind of unit costs, by size of the prompt and
//! by service tier. Never guesses: a bucket without a price is an error, never free.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

mod billed;
mod derived;
mod expected;

pub use billed::{Billed, Side};
pub use derived::Derived;
pub use expected::Expected;

/// Service tiers that are known to cost more than the standard one. Served without a price of
/// their own in the list they are unpriced; any other unlisted tier costs the standard rate.
const DEARER_TIERS: [&str; 2] = ["priority", "fast"];
/// Asks the provider to choose the tier.
const TIER_AUTO: &str = "auto";

/// Prices of one unit (a token, a request, a search), in pico-dollars. `None` is unknown, never
/// zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    pub input: Option<PicoUsd>,
    pub output: Option<PicoUsd>,
    pub cache_read: Option<PicoUsd>,
    pub cache_write_short: Option<PicoUsd>,
    pub cache_write_long: Option<PicoUsd>,
    pub reasoning: Option<PicoUsd>,
    pub input_audio: Option<PicoUsd>,
    pub output_audio: Option<PicoUsd>,
    pub input_image: Option<PicoUsd>,
    pub output_image: Option<PicoUsd>,
    pub request: Option<PicoUsd>,
    /// One search of the web that the provider makes.
    pub search: Option<PicoUsd>,
    pub cache_read_audio: Option<PicoUsd>,
    pub cache_read_image: Option<PicoUsd>,
    pub input_video: Option<PicoUsd>,
    pub output_video: Option<PicoUsd>,
    /// One token of a source that was read for the answer.
    pub citation: Option<PicoUsd>,
    /// One call of another tool of the provider's own that it charges by the piece.
    pub hosted_call: Option<PicoUsd>,
}

/// Rates that replace the base for the whole request when its prompt is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Applies when all input tokens together are more than this.
    pub above_input_tokens: u64,
    pub rates: Rates,
}

/// Rates of a service tier other than the standard one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// As the response names it: "priority", "fast".
    pub served: String,
    pub rates: Rates,
}

/// Everything needed to price one request of one offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RateCard {
    pub base: Rates,
    /// Ascending by `above_input_tokens`.
    pub tiers: Vec<Tier>,
    pub modes: Vec<Mode>,
    /// Lists that take this one's place, ascending by when.
    pub later: Vec<Later>,
    /// The source declares this offer free: its zeros are meant.
    pub free: bool,
    pub derived: Derived,
}

/// A list that takes the place of the one before from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// Milliseconds since the Unix epoch: the start of a day, UTC.
    pub from_ms: u64,
    /// With nothing later of its own.
    pub card: RateCard,
}

/// How large a call can become, and what it may be charged as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds<'a> {
    /// All tokens of the prompt; the two below are parts of it.
    pub input_tokens: u64,
    pub input_audio: u64,
    pub input_image: u64,
    /// All tokens of all answers.
    pub output_tokens: u64,
    /// Whether the answers may be spoken, or hold images.
    pub output_audio: bool,
    pub output_image: bool,
    /// Searches of the web that the provider may make.
    pub searches: u64,
    /// Calls of other tools of its own that it may make.
    pub hosted_calls: u64,
    /// The service tier asked for; `auto` may be served at any.
    pub service_tier: Option<&'a str>,
}

/// So many units at this price each. `item` is a `bill.quantity` item of the policy contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    pub item: &'static str,
    pub count: u64,
    pub unit_price: PicoUsd,
}

/// A bucket that was used, or may be, has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no price is known for {item} units of this offer; set one in the configuration, \
     since an unknown price is never taken for zero"
)]
pub struct UnpricedBucket {
    pub item: &'static str,
}

// === impl Rates ===

impl Rates {
    /// Every item that can have a price, as `bill.quantity` names it.
    pub const ITEMS: [&'static str; 18] = [
        "input",
        "output",
        "cache-read",
        "cache-write-short",
        "cache-write-long",
        "reasoning",
        "input-audio",
        "output-audio",
        "input-image",
        "output-image",
        "request",
        "search",
        "cache-read-audio",
        "cache-read-image",
        "input-video",
        "output-video",
        "citation",
        "hosted-call",
    ];

    /// The place of an item's price, by its name.
    pub(super) fn slot(&mut self, item: &str) -> Option<&mut Option<PicoUsd>> {
        Some(match item {
            "input" => &mut self.input,
            "output" => &mut self.output,
            "cache-read" => &mut self.cache_read,
            "cache-write-short" => &mut self.cache_write_short,
            "cache-write-long" => &mut self.cache_write_long,
            "reasoning" => &mut self.reasoning,
            "input-audio" => &mut self.input_audio,
            "output-audio" => &mut self.output_audio,
            "input-image" => &mut self.input_image,
            "output-image" => &mut self.output_image,
            "request" => &mut self.request,
            "search" => &mut self.search,
            "cache-read-audio" => &mut self.cache_read_audio,
            "cache-read-image" => &mut self.cache_read_image,
            "input-video" => &mut self.input_video,
            "output-video" => &mut self.output_video,
            "citation" => &mut self.citation,
            "hosted-call" => &mut self.hosted_call,
            _ => return None,
        })
    }

    /// The prices that are known, by item.
    pub fn known(mut self) -> impl Iterator<Item = (&'static str, PicoUsd)> {
        let price = move |item| self.slot(item).and_then(|price| *price).map(|price| (item, price));
        Self::ITEMS.into_iter().filter_map(price)
    }

    /// The same with every price a declared zero.
    pub(super) fn all_zero(mut self) -> Self {
        for item in Self::ITEMS {
            if let Some(price) = self.slot(item) {
                *price = Some(PicoUsd(0));
            }
        }
        self
    }

    /// Whether any price is zero.
    pub(super) fn has_zero(mut self) -> bool {
        Self::ITEMS.iter().any(|item| self.slot(item).is_some_and(|p| *p == Some(PicoUsd(0))))
    }

    /// What one unit of an item costs, with the list's own conventions: a provider that lists no
    /// discount for cached tokens charges input, one price for them is for all kinds, image and
    /// video parts count as input and thinking as output unless they have a price, and a list
    /// without a fee per request has none.
    pub fn price(&self, item: &str) -> Option<PicoUsd> {
        match item {
            "input" => self.input,
            "output" => self.output,
            "cache-read" => self.cache_read.or(self.input),
            "cache-write-short" => self.cache_write_short.or(self.input),
            // Keeping a prompt for an hour costs more than for minutes, so a price for the short
            // one says nothing about it.
            "cache-write-long" if self.cache_write_short.is_some() => self.cache_write_long,
            "cache-write-long" => self.cache_write_long.or(self.input),
            "reasoning" => self.reasoning.or(self.output),
            "input-audio" => self.input_audio,
            "output-audio" => self.output_audio,
            "input-image" => self.input_image.or(self.input),
            "output-image" => self.output_image,
            "request" => self.request.or(Some(PicoUsd::ZERO)),
            "search" => self.search,
            "cache-read-audio" => {
                self.cache_read_audio.or(self.cache_read).or(self.input_audio).or(self.input)
            }
            "cache-read-image" => {
                self.cache_read_image.or(self.cache_read).or(self.price("input-image"))
            }
            "cache-read-video" => self.cache_read.or(self.price("input-video")),
            "input-video" => self.input_video.or(self.input),
            "output-video" => self.output_video,
            "citation" => self.citation,
            "hosted-call" => self.hosted_call,
            _ => None,
        }
    }

    /// Per bucket the dearer of both; unknown in both stays unknown.
    fn upper(&self, other: &Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.price("cache-read").max(other.price("cache-read")),
            cache_write_short: self.cache_write_short.max(other.cache_write_short),
            cache_write_long: self.cache_write_long.max(other.cache_write_long),
            reasoning: self.price("reasoning").max(other.price("reasoning")),
            input_audio: self.input_audio.max(other.input_audio),
            output_audio: self.output_audio.max(other.output_audio),
            input_image: self.price("input-image").max(other.price("input-image")),
            output_image: self.output_image.max(other.output_image),
            request: self.request.max(other.request),
            search: self.search.max(other.search),
            cache_read_audio: self.cache_read_audio.max(other.cache_read_audio),
            cache_read_image: self.cache_read_image.max(other.cache_read_image),
            input_video: self.price("input-video").max(other.price("input-video")),
            output_video: self.output_video.max(other.output_video),
            citation: self.citation.max(other.citation),
            hosted_call: self.hosted_call.max(other.hosted_call),
        }
    }

    /// The most that one prompt token can cost that is neither audio nor an image, whichever
    /// bucket it ends in. Nobody knows before how much of it is video.
    fn dearest_input(&self) -> Option<PicoUsd> {
        let writes = self.cache_write_short.max(self.cache_write_long);
        let other = self.cache_read.max(writes).max(self.input_video);
        self.input.map(|input| Some(input).max(other).unwrap_or(input))
    }

    /// The most that one answer token can cost, of what the call may be answered with.
    fn dearest_output(&self, bounds: &Bounds<'_>) -> Option<PicoUsd> {
        let output = self.output?;
        let audio = self.output_audio.filter(|_| bounds.output_audio);
        let image = self.output_image.filter(|_| bounds.output_image);
        let dearest = Some(output).max(self.reasoning).max(audio).max(image);
        Some(dearest.max(self.output_video).unwrap_or(output))
    }
}

// === impl Bounds ===

impl Bounds<'_> {
    /// A call of text alone, at the standard tier.
    pub fn text(input_tokens: u64, output_tokens: u64) -> Self {
        Self { input_tokens, output_tokens, ..Self::default() }
    }

    /// Whether nothing can be charged for but tokens of text and the request itself.
    fn is_text(&self) -> bool {
        let others = [self.input_audio, self.input_image, self.searches, self.hosted_calls];
        others == [0; 4]
    }

    /// Prompt tokens of text, audio and images. A part that is larger than the whole counts whole.
    fn parts(&self) -> [u64; 3] {
        let media = self.input_audio.saturating_add(self.input_image);
        [self.input_tokens.saturating_sub(media), self.input_audio, self.input_image]
    }
}

// === impl RateCard ===

impl RateCard {
    /// The list in force at that moment. A request is priced by the one in force at its start.
    pub fn at(&self, at_ms: u64) -> &Self {
        let later = self.later.iter().rev().find(|later| later.from_ms <= at_ms);
        later.map_or(self, |later| &later.card)
    }

    /// Whether prompts and answers have a known price, so that calls can be charged at all.
    pub fn is_priced(&self) -> bool {
        self.base.input.is_some() && self.base.output.is_some()
    }

    /// The rates in force for a prompt of so many tokens and the service tier that the response
    /// says was served.
    ///
    /// # Errors
    /// A tier that is known to cost more but has no price in the list.
    pub fn rates(&self, input_tokens: u64, served: Option<&str>) -> Result<Rates, UnpricedBucket> {
        let standard = *self.standard(input_tokens);
        let long = self.tiers.first().is_some_and(|tier| input_tokens > tier.above_input_tokens);
        let mode = served.and_then(|served| self.modes.iter().find(|mode| mode.served == served));
        let rates = match (mode, served) {
            (Some(mode), _) if long => mode.rates.upper(&standard),
            (Some(mode), _) => mode.rates,
            (None, Some(served)) if DEARER_TIERS.contains(&served) && !self.free => {
                return Err(UnpricedBucket { item: "service-tier" });
            }
            (None, _) => standard,
        };
        // A search costs the same however long the prompt is and however it is served.
        let hosted_call = rates.hosted_call.or(self.base.hosted_call);
        Ok(Rates { search: rates.search.or(self.base.search), hosted_call, ..rates })
    }

    /// The official line items of what a response reported. Empty buckets are left out.
    ///
    /// # Errors
    /// Names the first bucket that was used and has no price.
    pub fn quantities(
        &self,
        usage: &Usage,
        served: Option<&str>,
    ) -> Result<Vec<Quantity>, UnpricedBucket> {
        let rates = self.rates(usage.input_tokens(), served)?;
        let mut quantities = Vec::with_capacity(Rates::ITEMS.len());
        for (item, count) in usage.iter().filter(|(_, count)| **count > 0) {
            let unit_price = rates.price(item).ok_or(UnpricedBucket { item })?;
            if item != "request" || !unit_price.is_zero() {
                quantities.push(Quantity { item, count: *count, unit_price });
            }
        }
        Ok(quantities)
    }

    /// [`Self::quantities`] at the standard service tier.
    ///
    /// # Errors
    /// Names the first bucket that was used and has no price.
    pub fn rates_for(&self, usage: &Usage) -> Result<Vec<Quantity>, UnpricedBucket> {
        self.quantities(usage, None)
    }

    /// What the response's usage costs at official rates.
    ///
    /// # Errors
    /// Names the first bucket that was used and has no price.
    pub fn cost(&self, usage: &Usage, served: Option<&str>) -> Result<PicoUsd, UnpricedBucket> {
        let lines = self.quantities(usage, served)?;
        Ok(lines.iter().fold(PicoUsd(0), |sum, line| add(sum, line.count, line.unit_price)))
    }

    /// The most that a text call of at most so many tokens can cost at the standard tier: every
    /// prompt token in the dearest bucket, the dearest price band up to that length, the fee.
    ///
    /// # Errors
    /// When prompts or answers have no known price.
    pub fn worst_case(
        &self,
        input_tokens: u64,
        output_tokens: u64,
    ) -> Result<PicoUsd, UnpricedBucket> {
        self.worst_case_at(&Bounds::text(input_tokens, output_tokens))
    }

    /// The most that a call within these bounds can cost: every token in the dearest bucket that it
    /// may end in, at the dearest of the price bands up to that length, the standard service tier
    /// and those that the call may be served at.
    ///
    /// # Errors
    /// When prompts, answers or the tier asked for have no known price.
    pub fn worst_case_at(&self, bounds: &Bounds<'_>) -> Result<PicoUsd, UnpricedBucket> {
        // The usual prompt reaches no tier, and this is asked of every candidate: no copy.
        if self.is_plain(bounds) {
            return total(&self.base, bounds);
        }
        total(&self.dearest(bounds)?, bounds)
    }

    /// [`Self::worst_case_at`] as line items, for a bill policy to price before the call.
    ///
    /// # Errors
    /// When prompts, answers or the tier asked for have no known price.
    pub fn worst_case_quantities(
        &self,
        bounds: &Bounds<'_>,
    ) -> Result<Vec<Quantity>, UnpricedBucket> {
        lines(&self.dearest(bounds)?, bounds).collect()
    }

    /// What a prompt of so many tokens is charged by at the standard service tier.
    pub fn standard(&self, input_tokens: u64) -> &Rates {
        let tier = self.tiers.iter().rev().find(|tier| input_tokens > tier.above_input_tokens);
        tier.map_or(&self.base, |tier| &tier.rates)
    }

    /// Whether only the base rates can come into question.
    fn is_plain(&self, bounds: &Bounds<'_>) -> bool {
        let short = |tier: &Tier| bounds.input_tokens <= tier.above_input_tokens;
        bounds.service_tier.is_none() && self.tiers.first().is_none_or(short)
    }

    /// Per bucket the dearest of all rates that a call within these bounds can be charged at.
    fn dearest(&self, bounds: &Bounds<'_>) -> Result<Rates, UnpricedBucket> {
        let reached = self.tiers.iter().filter(|t| bounds.input_tokens > t.above_input_tokens);
        let standard = reached.fold(self.base, |rates, tier| rates.upper(&tier.rates));
        let Some(asked) = bounds.service_tier else { return Ok(standard) };
        // Refuses a tier that is known to be dearer but has no price.
        self.rates(bounds.input_tokens, Some(asked))?;
        let possible = self.modes.iter().filter(|m| asked == TIER_AUTO || m.served == asked);
        Ok(possible.fold(standard, |rates, mode| rates.upper(&mode.rates)))
    }
}

/// The items of a call at the end of its bounds.
fn lines<'a>(
    rates: &'a Rates,
    bounds: &'a Bounds<'_>,
) -> impl Iterator<Item = Result<Quantity, UnpricedBucket>> + 'a {
    let [text, audio, image] = bounds.parts();
    let input = rates.dearest_input();
    let output = rates.dearest_output(bounds);
    [
        ("input", text, input),
        // What is not told apart by the provider is charged as text, which may be dearer.
        ("input-audio", audio, input.max(rates.input_audio)),
        ("input-image", image, input.max(rates.input_image)),
        ("output", bounds.output_tokens, output),
        ("request", u64::from(rates.request.is_some()), rates.request),
        ("search", bounds.searches, rates.search),
        ("hosted-call", bounds.hosted_calls, rates.hosted_call),
    ]
    .into_iter()
    .filter(|(item, count, _)| *item == "input" || *count > 0)
    .map(|(item, count, price)| {
        let unit_price = price.ok_or(UnpricedBucket { item })?;
        Ok(Quantity { item, count, unit_price })
    })
}

fn total(rates: &Rates, bounds: &Bounds<'_>) -> Result<PicoUsd, UnpricedBucket> {
    if bounds.is_text() {
        return total_of_text(rates, bounds);
    }
    lines(rates, bounds)
        .try_fold(PicoUsd(0), |sum, line| line.map(|line| add(sum, line.count, line.unit_price)))
}

/// The same without items, for a call of nothing but text: this is asked of every candidate.
fn total_of_text(rates: &Rates, bounds: &Bounds<'_>) -> Result<PicoUsd, UnpricedBucket> {
    let unpriced = |item| UnpricedBucket { item };
    let input = rates.dearest_input().ok_or_else(|| unpriced("input"))?;
    let mut sum = add(PicoUsd(0), bounds.input_tokens, input);
    if bounds.output_tokens > 0 {
        let output = rates.dearest_output(bounds).ok_or_else(|| unpriced("output"))?;
        sum = add(sum, bounds.output_tokens, output);
    }
    Ok(rates.request.map_or(sum, |fee| add(sum, 1, fee)))
}

/// `sum + count × price`. A u64 count times a bounded list price is far below the u128 limit;
/// saturating keeps even an impossible amount on the refusing side.
fn add(sum: PicoUsd, count: u64, price: PicoUsd) -> PicoUsd {
    PicoUsd(sum.0.saturating_add(u128::from(count).saturating_mul(price.0)))
}

#[cfg(test)]
mod tests;
