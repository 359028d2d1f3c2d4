//! The payload of a record's frame: one byte of kind, the id, the event, the explanation. The order
//! of the fields here is the format; to change it, take another [`RECORD`]
//! ([`kind`]).

mod brief;
mod expected;
mod kind;
mod policies;

use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::codec::{Codec, Decoder, Encoder, Shape, Step};
use super::event::{Record, UsageEvent};
use super::explanation::{
    AttemptFact, Explanation, LineItem, LossFact, ObjectiveFact, PolicyFact, RedactionFact,
    TaskFact, Timing,
};
use super::looked_at::Fresh;
use super::segments::time_of;
use super::wire::Broken;
use super::words::{Book, Lexicon};
use kind::{
    KINDS, RECORD, RECORD_BY_FIRST_RULE, RECORD_WITHOUT_BOARD, RECORD_WITHOUT_EXPECTED,
    RECORD_WITHOUT_LOSSES, RECORD_WITHOUT_ROSTERS, has_rosters, is_attributed,
};

/// Appends a record's payload. Takes it mutably because reading is the same walk; it comes back as
/// it was.
pub(super) fn encode(out: &mut Vec<u8>, fresh: &mut Fresh, lexicon: &mut Lexicon) {
    encode_as(RECORD, out, fresh, lexicon);
}

fn encode_as(kind: u8, out: &mut Vec<u8>, fresh: &mut Fresh, lexicon: &mut Lexicon) {
    out.push(kind);
    let Fresh { record, looked_at } = fresh;
    let walked = whole(kind, &mut Encoder::new(out, lexicon, looked_at.as_ref()), record);
    debug_assert_eq!(walked, Ok(()), "writing does not fail");
}

/// Reads a whole record.
pub(super) fn decode(payload: &[u8], book: &Book) -> Result<Record, Broken> {
    let (kind, mut decoder) = open(payload, book)?;
    let mut record = Record { event: UsageEvent::default(), explanation: blank() };
    whole(kind, &mut decoder, &mut record)?;
    decoder.end()?;
    Ok(record)
}

/// All that records of that kind have.
fn whole<C: Codec>(kind: u8, c: &mut C, record: &mut Record) -> Step {
    whole_event(kind, c, &mut record.event)?;
    explanation(kind, c, &mut record.explanation, &record.event)?;
    if kind != RECORD_WITHOUT_LOSSES {
        c.list(&mut record.explanation.losses, loss)?;
    }
    if is_attributed(kind) {
        scored(kind, c, &mut record.explanation)?;
        c.maybe_word(&mut record.explanation.alias_of)?;
    }
    Ok(())
}

/// Reads the event alone.
pub(super) fn decode_event(payload: &[u8], book: &Book) -> Result<UsageEvent, Broken> {
    let mut read = UsageEvent::default();
    let (kind, mut decoder) = open(payload, book)?;
    whole_event(kind, &mut decoder, &mut read)?;
    Ok(read)
}

/// Reads what the index needs: the id and the organization.
pub(super) fn decode_head(payload: &[u8], book: &Book) -> Result<(Uuid, Arc<str>), Broken> {
    let mut read = UsageEvent::default();
    head(&mut open(payload, book)?.1, &mut read)?;
    Ok((read.id, read.org))
}

/// Whether a payload is the record of that request; reads the id alone.
pub(super) fn is_of(payload: &[u8], id: Uuid) -> bool {
    payload.split_first().is_some_and(|(kind, rest)| {
        KINDS.contains(kind) && rest.first_chunk::<16>() == Some(id.as_bytes())
    })
}

fn open<'a>(payload: &'a [u8], book: &'a Book) -> Result<(u8, Decoder<'a>), Broken> {
    match payload.split_first() {
        Some((kind, rest)) if KINDS.contains(kind) => Ok((*kind, Decoder::new(rest, book))),
        _ => Err(Broken),
    }
}

/// The event, as far as records of that kind have it.
fn whole_event<C: Codec>(kind: u8, c: &mut C, e: &mut UsageEvent) -> Step {
    event(kind, c, e)?;
    if is_attributed(kind) { attribution(c, e) } else { Ok(()) }
}

fn blank() -> Explanation {
    Explanation::begin(Uuid::nil(), Arc::default(), Arc::default(), Arc::default())
}

fn head<C: Codec>(c: &mut C, e: &mut UsageEvent) -> Step {
    let mut id = e.id.into_bytes();
    c.bytes(&mut id)?;
    e.id = Uuid::from_bytes(id);
    c.word(&mut e.org)
}

fn event<C: Codec>(kind: u8, c: &mut C, e: &mut UsageEvent) -> Step {
    head(c, e)?;
    // The id holds the time, so what is written is nearly always zero.
    let base = time_of(e.id).unwrap_or(0);
    let mut later = e.at_ms.wrapping_sub(base);
    c.number(&mut later)?;
    e.at_ms = base.wrapping_add(later);
    c.word(&mut e.key)?;
    c.maybe_word(&mut e.team)?;
    c.maybe_word(&mut e.project)?;
    c.maybe_word(&mut e.user)?;
    // Callers put anything into tags, also what never repeats: none of it goes into the dictionary.
    c.list(&mut e.tags, |c, (name, value)| {
        c.inline(name)?;
        c.inline(value)
    })?;
    c.word(&mut e.protocol)?;
    c.word(&mut e.model_asked)?;
    if has_rosters(kind) {
        brief::outcome(c, e)?;
    } else {
        c.maybe_word(&mut e.offer)?;
        c.maybe_word(&mut e.model)?;
        c.maybe_word(&mut e.provider)?;
        c.maybe_word(&mut e.task)?;
        c.flag(&mut e.stream)?;
        c.small(&mut e.status)?;
        c.word(&mut e.settlement)?;
    }
    usage(c, &mut e.usage)?;
    c.money(&mut e.cost_usd)?;
    if !has_rosters(kind) {
        c.small(&mut e.attempts)?;
    }
    c.number(&mut e.duration_ms)
}

/// Who asked more exactly than by key, and what it would have cost otherwise.
fn attribution<C: Codec>(c: &mut C, e: &mut UsageEvent) -> Step {
    name(c, &mut e.session)?;
    name(c, &mut e.agent)?;
    name(c, &mut e.parent_agent)?;
    c.option(&mut e.list_usd, C::money)?;
    c.option(&mut e.baseline_usd, C::money)
}

const NAME_ABSENT: u64 = 0;
const NAME_TEXT: u64 = 1;
const NAME_UUID: u64 = 2;

/// A name that callers make up and that hardly repeats within a segment: not for the dictionary.
/// Most are UUIDs, which are half as long as numbers.
fn name<C: Codec>(c: &mut C, value: &mut Option<Arc<str>>) -> Step {
    let uuid = value.as_deref().and_then(plain_uuid);
    let mut kind = match (&value, uuid) {
        (None, _) => NAME_ABSENT,
        (Some(_), None) => NAME_TEXT,
        (Some(_), Some(_)) => NAME_UUID,
    };
    c.number(&mut kind)?;
    *value = match kind {
        NAME_ABSENT => None,
        NAME_TEXT => {
            let mut text = value.take().unwrap_or_default();
            c.inline(&mut text)?;
            Some(text)
        }
        NAME_UUID => {
            let mut bytes = uuid.unwrap_or_default().into_bytes();
            c.bytes(&mut bytes)?;
            let uuid = Uuid::from_bytes(bytes);
            Some(value.take().unwrap_or_else(|| uuid.to_string().into()))
        }
        _ => return Err(Broken),
    };
    Ok(())
}

/// The UUID of a text that is written just as UUIDs are printed here.
fn plain_uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    let mut printed = Uuid::encode_buffer();
    (*uuid.hyphenated().encode_lower(&mut printed) == *text).then_some(uuid)
}

fn explanation<C: Codec>(kind: u8, c: &mut C, e: &mut Explanation, event: &UsageEvent) -> Step {
    type Walks<C> = (fn(&mut C, &mut LineItem) -> Step, fn(&mut C, &mut PolicyFact) -> Step);
    let (line, asked): Walks<C> = match kind {
        RECORD => (brief::line_item, policies::brief),
        _ if has_rosters(kind) => (brief::line_item, policies::brief_without_config),
        RECORD_WITHOUT_ROSTERS => (short_line_item, policies::short),
        _ => (line_item, policies::long),
    };
    shared(c, e, event)?;
    c.maybe_word(&mut e.profile)?;
    c.option(&mut e.task, task)?;
    if !has_rosters(kind) {
        c.candidates(&mut e.candidates)?;
    }
    c.list(&mut e.plan, C::word)?;
    c.list(&mut e.attempts, attempt)?;
    c.maybe_word(&mut e.usage_source)?;
    c.list(&mut e.line_items, line)?;
    c.money(&mut e.hold_usd)?;
    c.money(&mut e.absorbed_usd)?;
    c.list(&mut e.policies, asked)?;
    c.list(&mut e.redactions, redaction)?;
    // All of its time is nearly that which the event has.
    let known = if has_rosters(kind) { event.duration_ms.wrapping_mul(1_000) } else { 0 };
    e.timing.total_us = e.timing.total_us.wrapping_sub(known);
    timing(c, &mut e.timing)?;
    e.timing.total_us = e.timing.total_us.wrapping_add(known);
    Ok(())
}

/// What the explanation repeats of the event is written only where the two differ.
fn shared<C: Codec>(c: &mut C, e: &mut Explanation, event: &UsageEvent) -> Step {
    let mut same = e.id == event.id
        && e.org == event.org
        && e.key == event.key
        && e.model_asked == event.model_asked
        && e.usage == event.usage
        && e.cost_usd == event.cost_usd
        && e.settlement == event.settlement;
    c.flag(&mut same)?;
    if same {
        e.id = event.id;
        e.org = Arc::clone(&event.org);
        e.key = Arc::clone(&event.key);
        e.model_asked = Arc::clone(&event.model_asked);
        e.usage = event.usage;
        e.cost_usd = event.cost_usd;
        e.settlement = event.settlement.clone();
        return Ok(());
    }
    let mut id = e.id.into_bytes();
    c.bytes(&mut id)?;
    e.id = Uuid::from_bytes(id);
    c.word(&mut e.org)?;
    c.word(&mut e.key)?;
    c.word(&mut e.model_asked)?;
    usage(c, &mut e.usage)?;
    c.money(&mut e.cost_usd)?;
    c.word(&mut e.settlement)
}

/// What the choice was made by: enough to make it again.
fn scored<C: Codec>(kind: u8, c: &mut C, e: &mut Explanation) -> Step {
    c.option(&mut e.objective, objective)?;
    match kind {
        RECORD => {
            c.option(&mut e.expected, expected::expected)?;
            c.lineup(e, Shape::Expected)
        }
        RECORD_WITHOUT_EXPECTED => c.lineup(e, Shape::BoardAndSecondRule),
        RECORD_BY_FIRST_RULE => c.lineup(e, Shape::Board),
        RECORD_WITHOUT_BOARD => c.lineup(e, Shape::Roster),
        _ => c.figures(&mut e.candidates),
    }
}

/// Marks of an objective. The second came with a later kind of records, and is in no earlier one.
const ZERO_RETENTION: u64 = 1;
const MIN_QUALITY: u64 = 1 << 1;

fn objective<C: Codec>(c: &mut C, o: &mut ObjectiveFact) -> Step {
    c.word(&mut o.profile)?;
    c.float(&mut o.quality_floor)?;
    c.float(&mut o.cost_ceiling_usd)?;
    c.float(&mut o.first_token_ceiling_ms)?;
    c.maybe_word(&mut o.data_class)?;
    // Hardly anybody asks for a quality: what asks for none takes no byte.
    let marks = [(o.zero_retention, ZERO_RETENTION), (o.min_quality.to_bits() != 0, MIN_QUALITY)];
    let marks = marks.iter().filter(|(set, _)| *set);
    let mut marks = marks.fold(0_u64, |all, (_, mark)| all | mark);
    c.number(&mut marks)?;
    o.zero_retention = marks & ZERO_RETENTION != 0;
    if marks & MIN_QUALITY != 0 {
        c.float(&mut o.min_quality)?;
    }
    c.list(&mut o.rules, C::word)
}

fn task<C: Codec>(c: &mut C, t: &mut TaskFact) -> Step {
    c.word(&mut t.task)?;
    c.float(&mut t.difficulty)?;
    c.float(&mut t.confidence)?;
    c.list(&mut t.needs, C::word)?;
    c.word(&mut t.decided_by)
}

fn attempt<C: Codec>(c: &mut C, a: &mut AttemptFact) -> Step {
    c.word(&mut a.offer)?;
    c.word(&mut a.outcome)?;
    c.option(&mut a.status, C::small)?;
    c.number(&mut a.ms)?;
    c.option(&mut a.first_byte_ms, C::number)?;
    c.maybe_phrase(&mut a.detail)
}

fn line_item<C: Codec>(c: &mut C, l: &mut LineItem) -> Step {
    c.word(&mut l.item)?;
    c.number(&mut l.count)?;
    c.money(&mut l.unit_price_usd)?;
    c.money(&mut l.amount_usd)?;
    c.maybe_phrase(&mut l.note)
}

/// The amount is nearly always the count at its price.
fn short_line_item<C: Codec>(c: &mut C, l: &mut LineItem) -> Step {
    c.word(&mut l.item)?;
    c.number(&mut l.count)?;
    c.money(&mut l.unit_price_usd)?;
    let product = PicoUsd(u128::from(l.count).wrapping_mul(l.unit_price_usd.0));
    let mut plain = l.amount_usd == product;
    c.flag(&mut plain)?;
    if plain {
        l.amount_usd = product;
    } else {
        c.money(&mut l.amount_usd)?;
    }
    c.maybe_phrase(&mut l.note)
}

fn redaction<C: Codec>(c: &mut C, r: &mut RedactionFact) -> Step {
    c.word(&mut r.direction)?;
    c.word(&mut r.kind)?;
    c.word(&mut r.action)?;
    c.number(&mut r.count)
}

/// Places are made of callers' own member names: none of it goes into the dictionary.
fn loss<C: Codec>(c: &mut C, l: &mut LossFact) -> Step {
    c.inline(&mut l.at)?;
    c.word(&mut l.what)?;
    c.word(&mut l.severity)
}

fn usage<C: Codec>(c: &mut C, u: &mut Usage) -> Step {
    sparse(c, &mut buckets(u))
}

/// The buckets of a usage in the order in which they are kept.
pub(super) fn buckets(u: &mut Usage) -> [&mut u64; 19] {
    // Named one by one: a bucket that is added must be added here.
    let Usage {
        input_uncached,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        output_text,
        output_reasoning,
        input_audio,
        output_audio,
        input_image,
        output_image,
        requests,
        searches,
        cache_read_audio,
        cache_read_image,
        cache_read_video,
        input_video,
        output_video,
        citations,
        hosted_calls,
    } = u;
    [
        input_uncached,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        output_text,
        output_reasoning,
        input_audio,
        output_audio,
        input_image,
        output_image,
        requests,
        // New buckets go to the end: older records have no bit for them.
        searches,
        cache_read_audio,
        cache_read_image,
        cache_read_video,
        input_video,
        output_video,
        citations,
        hosted_calls,
    ]
}

fn timing<C: Codec>(c: &mut C, t: &mut Timing) -> Step {
    let Timing {
        parse_us,
        redact_us,
        classify_us,
        route_us,
        reserve_us,
        first_content_us,
        settle_us,
        total_us,
        policy_fetch_us,
        policy_fetches,
    } = t;
    let mut steps = [
        parse_us,
        redact_us,
        classify_us,
        route_us,
        reserve_us,
        first_content_us,
        settle_us,
        total_us,
        // New ones go to the end: older records have no bit for them.
        policy_fetch_us,
        policy_fetches,
    ];
    sparse(c, &mut steps)
}

/// Numbers most of which are zero: a mask of those that aren't, and these.
fn sparse<C: Codec>(c: &mut C, numbers: &mut [&mut u64]) -> Step {
    let mut mask = numbers
        .iter()
        .enumerate()
        .fold(0_u64, |mask, (bit, number)| mask | (u64::from(**number != 0) << bit));
    c.number(&mut mask)?;
    for (bit, number) in numbers.iter_mut().enumerate() {
        // Whoever reads may have begun with another number.
        match mask & (1_u64 << bit) {
            0 => **number = 0,
            _ => c.number(number)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
