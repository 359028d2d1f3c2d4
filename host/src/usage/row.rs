//! The payload of a record's frame: one byte of kind, the id, the event, the explanation. The order
//! of the fields here is the format; to change it, take another [`RECORD`].

use std::sync::Arc;

use turnpike_protocol::Usage;
use uuid::Uuid;

use super::codec::{Codec, Decoder, Encoder, Step};
use super::event::{Record, UsageEvent};
use super::explanation::{
    AttemptFact, Explanation, Failure, LineItem, LossFact, PolicyFact, RedactionFact, TaskFact,
    Timing,
};
use super::looked_at::Fresh;
use super::segments::time_of;
use super::wire::Broken;
use super::words::{Book, Lexicon};

/// The first byte of a frame with a record. Another version of the format takes another number.
const RECORD: u8 = 4;
/// The same before aliases were kept; still read.
const RECORD_WITHOUT_ALIAS: u8 = 3;
/// The same before losses were kept; still read.
const RECORD_WITHOUT_LOSSES: u8 = 1;

/// Appends a record's payload. Takes it mutably because reading is the same walk; it comes back as
/// it was.
pub(super) fn encode(out: &mut Vec<u8>, fresh: &mut Fresh, lexicon: &mut Lexicon) {
    out.push(RECORD);
    let Fresh { record, looked_at } = fresh;
    let mut encoder = Encoder::new(out, lexicon, looked_at.as_ref());
    let walked = event(&mut encoder, &mut record.event)
        .and_then(|()| explanation(&mut encoder, &mut record.explanation, &record.event))
        .and_then(|()| encoder.list(&mut record.explanation.losses, loss))
        .and_then(|()| encoder.maybe_word(&mut record.explanation.alias_of));
    debug_assert_eq!(walked, Ok(()), "writing does not fail");
}

/// Reads a whole record.
pub(super) fn decode(payload: &[u8], book: &Book) -> Result<Record, Broken> {
    let mut decoder = open(payload, book)?;
    let mut record = Record { event: UsageEvent::default(), explanation: blank() };
    event(&mut decoder, &mut record.event)?;
    explanation(&mut decoder, &mut record.explanation, &record.event)?;
    if matches!(payload.first(), Some(&(RECORD | RECORD_WITHOUT_ALIAS))) {
        decoder.list(&mut record.explanation.losses, loss)?;
    }
    if payload.first() == Some(&RECORD) {
        decoder.maybe_word(&mut record.explanation.alias_of)?;
    }
    decoder.end()?;
    Ok(record)
}

/// Reads the event alone.
pub(super) fn decode_event(payload: &[u8], book: &Book) -> Result<UsageEvent, Broken> {
    let mut read = UsageEvent::default();
    event(&mut open(payload, book)?, &mut read)?;
    Ok(read)
}

/// Reads what the index needs: the id and the organization.
pub(super) fn decode_head(payload: &[u8], book: &Book) -> Result<(Uuid, Arc<str>), Broken> {
    let mut read = UsageEvent::default();
    head(&mut open(payload, book)?, &mut read)?;
    Ok((read.id, read.org))
}

/// Whether a payload is the record of that request; reads the id alone.
pub(super) fn is_of(payload: &[u8], id: Uuid) -> bool {
    payload.split_first().is_some_and(|(kind, rest)| {
        matches!(*kind, RECORD | RECORD_WITHOUT_ALIAS | RECORD_WITHOUT_LOSSES)
            && rest.first_chunk::<16>() == Some(id.as_bytes())
    })
}

fn open<'a>(payload: &'a [u8], book: &'a Book) -> Result<Decoder<'a>, Broken> {
    match payload.split_first() {
        Some((&(RECORD | RECORD_WITHOUT_ALIAS | RECORD_WITHOUT_LOSSES), rest)) => {
            Ok(Decoder::new(rest, book))
        }
        _ => Err(Broken),
    }
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

fn event<C: Codec>(c: &mut C, e: &mut UsageEvent) -> Step {
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
    c.maybe_word(&mut e.offer)?;
    c.maybe_word(&mut e.model)?;
    c.maybe_word(&mut e.provider)?;
    c.maybe_word(&mut e.task)?;
    c.flag(&mut e.stream)?;
    c.small(&mut e.status)?;
    c.word(&mut e.settlement)?;
    usage(c, &mut e.usage)?;
    c.money(&mut e.cost_usd)?;
    c.small(&mut e.attempts)?;
    c.number(&mut e.duration_ms)
}

fn explanation<C: Codec>(c: &mut C, e: &mut Explanation, event: &UsageEvent) -> Step {
    shared(c, e, event)?;
    c.maybe_word(&mut e.profile)?;
    c.option(&mut e.task, task)?;
    c.candidates(&mut e.candidates)?;
    c.list(&mut e.plan, C::word)?;
    c.list(&mut e.attempts, attempt)?;
    c.maybe_word(&mut e.usage_source)?;
    c.list(&mut e.line_items, line_item)?;
    c.money(&mut e.hold_usd)?;
    c.money(&mut e.absorbed_usd)?;
    c.list(&mut e.policies, policy)?;
    c.list(&mut e.redactions, redaction)?;
    timing(c, &mut e.timing)
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

fn policy<C: Codec>(c: &mut C, p: &mut PolicyFact) -> Step {
    c.word(&mut p.hook)?;
    c.word(&mut p.policy)?;
    c.word(&mut p.version)?;
    c.word(&mut p.digest)?;
    c.small(&mut p.micros)?;
    c.option(&mut p.failure, |c, failure: &mut Failure| {
        c.word(&mut failure.kind)?;
        c.phrase(&mut failure.detail)
    })
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
    } = u;
    let mut buckets = [
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
    ];
    sparse(c, &mut buckets)
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
        if mask & (1_u64 << bit) != 0 {
            c.number(number)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
