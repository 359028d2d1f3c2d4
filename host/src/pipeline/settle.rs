//! From usage to money: quantities at official prices, the bill policy's lines, the check of its
//! arithmetic, the capture. One row of the settlement rulebook per function.

mod beyond;
mod extent;
mod owing;

use turnpike_ledger::{CaptureNote, PicoUsd};
use turnpike_protocol::{PaidTools, Usage};

use crate::catalog::{Bounds, Offer, Quantity, RateCard};
use crate::clock;
use crate::hook::Hook;
use crate::policy::{self, AttrValue, BillCall, FailureKind, Line};
use crate::route::Candidate;

use super::flight::{Bill, Ending, Flight};
use super::reserve;
use owing::Tried;
pub(super) use owing::{Part, Reached, Tab, leaves_at_once};

pub(super) use extent::{expected_calls, learn, particulars};

/// Bytes of text for one token, where a provider reports no usage and the gateway has to count.
const BYTES_PER_TOKEN: u64 = 4;
/// The longest prompt of a model whose context window is not known, for what is only named in it.
const CONTEXT_TOKENS_UNKNOWN: u32 = 262_144;

/// Searches of the web that a request is held for where it lets the provider search: more than the
/// answers of assistants are seen to take. What goes beyond the hold is absorbed.
const SEARCHES_HELD: u64 = 16;

/// The same of other tools of its own that it charges by the piece.
const HOSTED_CALLS_HELD: u64 = 16;

/// What a provider said about what it served.
#[derive(Debug, Clone, Default)]
pub(super) struct Reported {
    pub usage: Option<Usage>,
    pub service_tier: Option<String>,
    /// Bytes of answer text that were received, for counting where no usage came.
    pub text_bytes: u64,
    /// Nothing was said or done: no text, call, sound or picture; and not because the model, or a
    /// filter, declined, nor because that was asked for.
    pub nothing: bool,
}

// === impl Reported ===

impl Reported {
    /// How an answer that is complete ended.
    pub(super) fn ending(&self) -> Ending {
        match self.usage {
            Some(_) if !self.is_silent() => Ending::Complete,
            _ => Ending::CompleteEstimated,
        }
    }

    /// Whether an answer that is complete is no result: nothing was said, and the provider counted
    /// nothing that it wrote. Its prompt is not charged (pitfall 45).
    pub(super) fn is_empty(&self) -> bool {
        self.nothing && self.usage.is_none_or(|usage| usage.output_tokens() == 0)
    }

    /// Whether the provider itself says so: it counted the prompt, and nothing that it wrote. Not
    /// where it counts nothing at all, nor where a stop sequence or the length ended it at once:
    /// that is a token.
    pub(super) fn says_that_it_is_empty(&self) -> bool {
        self.is_empty() && self.usage.is_some_and(|usage| usage.input_tokens() > 0)
    }

    /// Whether a report is there and leaves out what there must have been: no prompt is empty, and
    /// no text is no tokens. Some servers report zeros where they don't count.
    fn is_silent(&self) -> bool {
        self.usage.is_some_and(|usage| {
            usage.input_tokens() == 0 || (usage.output_tokens() == 0 && self.text_bytes > 0)
        })
    }
}

/// Charges a complete answer (or one that `ending` says was cut short) and closes the hold. Waits
/// for no disk: that is for whoever answers, after the end is recorded.
pub(super) async fn charge(
    flight: &mut Flight,
    offer: &Offer,
    reported: &Reported,
    ending: Ending,
) -> Bill {
    let watch = clock::Stopwatch::start();
    let (usage, estimated) = used(flight, offer, reported, ending);
    let official = official(flight, offer, &usage, reported.service_tier.as_deref());
    let list = sum(official.iter().map(|q| (q.count, q.unit_price)));
    let baseline = baseline(flight, &usage);
    let lines = lines(flight, offer, &official, true).await;
    let cost = total(&lines);
    let note = match ending {
        Ending::Partial | Ending::RanOut => CaptureNote::Partial,
        Ending::FailedPartial => CaptureNote::FailedPartial,
        _ if estimated => CaptureNote::Estimated,
        _ => CaptureNote::Complete,
    };
    reserve::narrow(flight, offer, clock::now_ms());
    let Some(mut hold) = flight.hold.take() else {
        tracing::error!(id = flight.id_text, "a request without a hold can't be charged");
        return Bill { usage, estimated, ..Bill::default() };
    };
    // What was charged for the same request before, and never delivered, is not charged again.
    let tab = flight.repeat.as_ref().map_or_else(Tab::default, |ticket| ticket.tab);
    let credit = tab.credit(cost);
    let (due, lost) = (cost.saturating_sub(credit), flight.lost.saturating_add(credit));
    if due > hold.amount() && beyond::is_plausible(flight, offer, &usage, cost) {
        // What was held is a guess; who has more pays what was served (decision 036).
        hold.grow(due, flight.gateway.settings.hold_ms, clock::now_ms());
    }
    let settlement = hold.capture(due, note, lost, clock::now_ms());
    let charged = settlement.charged;
    let tried = Tried { usage: &usage, estimated, reported, list, cost, charged, credit };
    flight.tab = tab.after(flight, offer, &tried);
    let (cost, absorbed, seq) = (settlement.charged, settlement.absorbed, settlement.seq);
    flight.timing.settle_us = watch.micros().into();
    Bill { charged: true, usage, estimated, lines, cost, list: Some(list), baseline, absorbed, seq }
}

/// Closes the hold of an answer that is complete and empty: nobody is charged for its prompt, which
/// the platform bears.
pub(super) fn forgive(flight: &mut Flight, offer: &Offer, reported: &Reported) -> Bill {
    let absorbed = absorbed(flight, offer, reported, Ending::Empty);
    flight.release(absorbed);
    Bill { absorbed, ..Bill::default() }
}

/// What the same usage would have cost at the strongest of the candidates that could have answered,
/// by its quality prior, at its list prices; of equals the cheapest. None where that is not known:
/// what routing saved is then not known either.
fn baseline(flight: &Flight, usage: &Usage) -> Option<PicoUsd> {
    let running = || flight.candidates.iter().filter(|candidate| candidate.rejection.is_none());
    let quality = |candidate: &Candidate| candidate.figures.as_ref().map(|it| it.quality);
    let best = running().filter_map(quality).max_by(f64::total_cmp)?;
    let strongest = running().filter(|candidate| quality(candidate) == Some(best));
    let cost = |candidate: &Candidate| {
        let offer = flight.offer(candidate)?;
        let billed = rates(flight, offer).billed(usage, None);
        let lines = Some(billed.lines).filter(|lines| !lines.is_empty())?;
        Some(sum(lines.iter().map(|q| (q.count, q.unit_price))))
    };
    strongest.filter_map(cost).min()
}

/// What was used up to here.
pub(super) fn so_far(flight: &Flight, offer: &Offer, reported: &Reported) -> Usage {
    used(flight, offer, reported, Ending::RanOut).0
}

/// What the platform paid for an answer that nobody is charged for, at official prices.
pub(super) fn absorbed(
    flight: &Flight,
    offer: &Offer,
    reported: &Reported,
    ending: Ending,
) -> PicoUsd {
    let (usage, _) = used(flight, offer, reported, ending);
    official_cost(flight, offer, &usage, reported.service_tier.as_deref())
}

fn official_cost(flight: &Flight, offer: &Offer, usage: &Usage, tier: Option<&str>) -> PicoUsd {
    let quantities = official(flight, offer, usage, tier);
    sum(quantities.iter().map(|q| (q.count, q.unit_price)))
}

/// What was used, and whether it is the gateway's own count: where the provider says nothing, or
/// says nothing of a prompt or of text that it did send.
fn used(flight: &Flight, offer: &Offer, reported: &Reported, ending: Ending) -> (Usage, bool) {
    let counted = || {
        let mut counted = count(flight, reported.text_bytes);
        // Who leaves before anybody has said how long the files are that it named pays for them
        // what was held, or else leaving would make them free.
        if ending == Ending::Partial && flight.call.names_media() {
            let more = input_bound(flight, offer).saturating_sub(counted.input_tokens());
            counted.input_uncached = counted.input_uncached.saturating_add(more);
        }
        counted
    };
    match reported.usage {
        None => (counted(), true),
        Some(usage) if reported.is_silent() => (filled(usage, &counted()), true),
        // Reports grow while a stream runs. Who left early, or was cut off, pays at least for what
        // was received.
        Some(usage)
            if matches!(ending, Ending::Partial | Ending::FailedPartial | Ending::RanOut) =>
        {
            at_least(usage, &counted())
        }
        Some(usage) => (usage, false),
    }
}

/// The report, with an answer that is not shorter than what was counted; and whether it was.
fn at_least(reported: Usage, counted: &Usage) -> (Usage, bool) {
    let missing = counted.output_text.saturating_sub(reported.output_tokens());
    let output_text = reported.output_text.saturating_add(missing);
    (Usage { output_text, ..reported }, missing > 0)
}

/// The report, with the count for each side of it that says nothing.
fn filled(reported: Usage, counted: &Usage) -> Usage {
    let mut usage = reported;
    if usage.input_tokens() == 0 {
        usage.input_uncached = counted.input_uncached;
        usage.input_audio = counted.input_audio;
        usage.input_image = counted.input_image;
    }
    if usage.output_tokens() == 0 {
        usage.output_text = counted.output_text;
    }
    usage
}

/// Whether an answer without a word is what was asked for: Anthropic's callers have a prompt cached
/// so, for which the provider charges.
pub(super) fn asks_for_nothing(flight: &Flight) -> bool {
    flight.call.output_limit == Some(0)
}

/// The gateway's own count of a request without an answer.
pub(super) fn counted(flight: &Flight) -> Usage {
    count(flight, 0)
}

/// The gateway's own count, where the provider sent none: the texts by their bytes, and what is no
/// text as it was held for.
fn count(flight: &Flight, text_bytes: u64) -> Usage {
    let prompt = flight.call.texts.iter().map(|text| text.content.len()).sum::<usize>();
    let prompt = u64::try_from(prompt).unwrap_or(u64::MAX).div_ceil(BYTES_PER_TOKEN);
    let media = flight.media_tokens;
    let ids = u64::try_from(flight.call.token_ids()).unwrap_or(u64::MAX);
    Usage {
        input_uncached: prompt.saturating_add(ids).saturating_add(media.file.into()),
        input_audio: media.audio.into(),
        input_image: media.image.into(),
        output_text: tokens_of(text_bytes),
        requests: 1,
        ..Usage::default()
    }
}

/// Tokens of so many bytes of text, where nobody says.
pub(super) fn tokens_of(text_bytes: u64) -> u64 {
    text_bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Official quantities. A bucket without a price of its own is charged as the plain bucket of its
/// side.
fn official(flight: &Flight, offer: &Offer, usage: &Usage, tier: Option<&str>) -> Vec<Quantity> {
    let (rates, mut usage) = (rates(flight, offer), *usage);
    if usage.searches > 0 && rates.base.search.is_none() {
        // Nobody asked for it: who does is not sent here. So nobody is charged for it either.
        let searches = std::mem::take(&mut usage.searches);
        // Who takes a fee for each request has its searches in it.
        if rates.base.request.is_none() {
            tracing::error!(
                offer = %offer.id, searches,
                "a provider searched the web unasked and its price is not known: nobody is charged \
                 for it; set `search` among the model's prices"
            );
        }
    }
    if usage.hosted_calls > 0 && rates.base.hosted_call.is_none() {
        let calls = std::mem::take(&mut usage.hosted_calls);
        tracing::error!(
            offer = %offer.id, calls,
            "a provider ran tools of its own unasked and their price is not known: nobody is \
             charged for it; set `hosted-call` among the model's prices"
        );
    }
    let billed = rates.billed(&usage, tier);
    if let Some(bucket) = billed.unpriced {
        // Unknown is never free, and an answer that was served has to be paid.
        tracing::warn!(offer = %offer.id, bucket, "charged at the plain price of its side");
    }
    if billed.lines.is_empty() && (usage.input_tokens() > 0 || usage.output_tokens() > 0) {
        tracing::error!(offer = %offer.id, "an offer without a price was served");
    }
    billed.lines
}

/// The list in force at the start of the request.
fn rates<'a>(flight: &Flight, offer: &'a Offer) -> &'a RateCard {
    offer.rates.at(flight.started.at_ms)
}

/// Whether the provider may search the web, or run other tools of its own that it charges by the
/// piece: in another dialect it does not get them.
pub(super) fn paid_tools(flight: &Flight, offer: &Offer) -> PaidTools {
    let needs = &flight.call.needs;
    if !(needs.web_search || needs.hosted_tools) || !offer.speaks(flight.call.dialect.label()) {
        return PaidTools::default();
    }
    let withheld = withheld(flight, offer);
    PaidTools {
        searches: needs.web_search && !withheld.searches,
        hosted: needs.hosted_tools && !withheld.hosted,
    }
}

/// Which of such tools the provider does not get that it would have: nobody knows what it would
/// charge, and the request does not insist. Agents bring such tools along to every request.
pub(super) fn withheld(flight: &Flight, offer: &Offer) -> PaidTools {
    let optional = flight.call.can_do_without();
    if !optional.any() || flight.manner.strict || !offer.speaks(flight.call.dialect.label()) {
        return PaidTools::default();
    }
    let base = &rates(flight, offer).base;
    PaidTools {
        searches: optional.searches && base.search.is_none(),
        hosted: optional.hosted && base.hosted_call.is_none(),
    }
}

/// The longest that the prompt can be at one offer: as it was estimated, or, where it names files
/// of which only the provider will know how long they are, as long as the model takes.
fn input_bound(flight: &Flight, offer: &Offer) -> u64 {
    let estimated = u64::from(flight.input_tokens);
    if !flight.call.names_media() {
        return estimated;
    }
    let window = match offer.context_tokens {
        0 => CONTEXT_TOKENS_UNKNOWN,
        known => known,
    };
    estimated.max(window.into())
}

/// What a call can come to at one offer, with `output` tokens for each choice.
fn bounds<'a>(flight: &'a Flight, offer: &Offer, output: u32) -> Bounds<'a> {
    let call = &flight.call;
    let input_tokens = input_bound(flight, offer);
    let input_image = u64::from(flight.media_tokens.image);
    let tools = paid_tools(flight, offer);
    // All that is not known may be the sound.
    let input_audio = match call.needs.audio_input && call.names_media() {
        true => input_tokens.saturating_sub(input_image),
        false => u64::from(flight.media_tokens.audio),
    };
    Bounds {
        input_tokens,
        input_audio,
        input_image,
        output_tokens: u64::from(output).saturating_mul(u64::from(call.choices)),
        output_audio: call.needs.audio_output,
        // Some models draw without being asked to.
        output_image: offer.output.image,
        searches: if tools.searches { SEARCHES_HELD } else { 0 },
        hosted_calls: if tools.hosted { HOSTED_CALLS_HELD } else { 0 },
        service_tier: call.service_tier.as_deref(),
    }
}

/// The worst case of one offer: all input at its dearest, `output` tokens for each choice, at the
/// dearest of the standard service tier and the one asked for.
pub(super) fn worst_case(flight: &Flight, offer: &Offer, output: u32) -> Option<PicoUsd> {
    rates(flight, offer).worst_case_at(&bounds(flight, offer, output)).ok()
}

/// What the bill policy would charge for the worst case of one offer; the official worst case where
/// the policy has nothing to say.
pub(super) async fn quote(flight: &mut Flight, offer: &Offer, output: u32) -> Option<PicoUsd> {
    let official = worst_case(flight, offer, output)?;
    if flight.session.bindings().bill.builtin {
        // The built-in charges official rates, which is what was just added up.
        return Some(official);
    }
    let bounds = bounds(flight, offer, output);
    let quantities = rates(flight, offer).worst_case_quantities(&bounds).ok()?;
    let lines = lines(flight, offer, &quantities, false).await;
    Some(total(&lines).max(official))
}

/// The bill policy's lines; the official ones where it fails, abstains or asks for more than is
/// held.
async fn lines(
    flight: &mut Flight,
    offer: &Offer,
    official: &[Quantity],
    settled: bool,
) -> Vec<Line> {
    let call = BillCall {
        task: flight.task.task.clone(),
        offer: offer.id.to_string(),
        quantities: official.iter().map(quantity).collect(),
        settled,
        attrs: who(flight),
    };
    let verdict = flight.session.price(&call).await;
    let builtin = flight.session.bindings().bill.builtin;
    // Not needed as long as the policy decides, which is nearly always.
    let plain = || official.iter().map(line).collect::<Vec<Line>>();
    let Some(lines) = verdict.value else { return discounted(flight, plain(), settled) };
    if builtin {
        return discounted(flight, lines, settled);
    }
    let held = flight.hold.as_ref().map(|hold| hold.amount());
    let asked = total(&lines);
    if let Some(held) = held.filter(|held| settled && asked > *held && asked > total(&plain())) {
        let detail = format!("it charged {asked} USD where {held} were held: official rates stand");
        flight.session.overruled(Hook::Bill, FailureKind::OverHold, detail);
        return discounted(flight, plain(), settled);
    }
    lines
}

/// The lines less the discount that the organization's plan has for its volume. Only where the
/// built-in policy decides: one of its own has discounts of its own.
fn discounted(flight: &Flight, mut lines: Vec<Line>, settled: bool) -> Vec<Line> {
    let volume = flight.caller.plan.as_ref().and_then(|plan| plan.volume.as_ref());
    let Some(volume) = volume.filter(|_| settled) else { return lines };
    let window = volume.month.window(flight.started.at_ms);
    let state = flight.gateway.ledger.budget(&volume.month.id, window.start_ms);
    let permyriad = state.map_or(0, |state| volume.discount(state.spent));
    if permyriad == 0 {
        return lines;
    }
    let kept = u128::from(10_000_u32.saturating_sub(permyriad));
    for line in &mut lines {
        line.unit_price_pico = line.unit_price_pico.saturating_mul(kept) / 10_000;
        line.amount_pico = u128::from(line.count).saturating_mul(line.unit_price_pico);
        let (whole, part) = (permyriad / 100, permyriad % 100);
        line.note = format!("volume discount of {whole}.{part:02} %");
    }
    lines
}

/// Whose call it is, for a policy that does not charge everyone the same. The built-in without a
/// configuration does, and needs none of it.
fn who(flight: &Flight) -> Vec<(String, AttrValue)> {
    if flight.session.bindings().bill.builtin {
        return Vec::new();
    }
    let facts = flight.session.facts().attrs.iter();
    facts
        .filter(|(name, _)| name.starts_with("caller.") || name.starts_with("tag."))
        .cloned()
        .collect()
}

/// The contract counts in 32 bits; no call has four billion of anything.
fn units(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn quantity(q: &Quantity) -> policy::Quantity {
    let (item, count) = (q.item.to_owned(), units(q.count));
    policy::Quantity { item, count, unit_price_pico: q.unit_price.0 }
}

fn line(q: &Quantity) -> Line {
    let count = units(q.count);
    let amount_pico = u128::from(count).saturating_mul(q.unit_price.0);
    let (item, note) = (q.item.to_owned(), String::new());
    Line { item, count, unit_price_pico: q.unit_price.0, amount_pico, note }
}

/// The sum of the lines, saturating: an absurd bill can't wrap into a cheap one.
pub(super) fn total(lines: &[Line]) -> PicoUsd {
    PicoUsd(lines.iter().fold(0_u128, |sum, line| sum.saturating_add(line.amount_pico)))
}

fn sum(rows: impl Iterator<Item = (u64, PicoUsd)>) -> PicoUsd {
    PicoUsd(rows.fold(0_u128, |sum, (count, price)| {
        sum.saturating_add(u128::from(count).saturating_mul(price.0))
    }))
}

#[cfg(test)]
mod tests;
