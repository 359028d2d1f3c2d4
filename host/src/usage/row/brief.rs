//! What records of the newest kind say in fewer bytes than those before: what usually goes without
//! saying is one mark.

use turnpike_ledger::PicoUsd;

use super::super::codec::{Codec, Step};
use super::super::event::UsageEvent;
use super::super::explanation::LineItem;
use super::super::wire::Broken;

/// Marks of an event.
const STREAM: u64 = 1;
/// Model and provider are those that the offer is named after.
const NAMED: u64 = 1 << 1;
const OK: u64 = 1 << 2;
const ONE_ATTEMPT: u64 = 1 << 3;

/// Marks of a line of the bill: its amount is not the count at its price; it has a note.
const OTHER_AMOUNT: u64 = 1;
const NOTE: u64 = 1 << 1;

/// By whom it was served, and how it ended.
pub(super) fn outcome<C: Codec>(c: &mut C, e: &mut UsageEvent) -> Step {
    let named = e.offer.as_deref().and_then(|offer| offer.split_once('@'));
    let named = named.is_some() && named == e.model.as_deref().zip(e.provider.as_deref());
    let marks =
        [(e.stream, STREAM), (named, NAMED), (e.status == 200, OK), (e.attempts == 1, ONE_ATTEMPT)];
    let mut marks = marks.iter().filter(|(set, _)| *set).fold(0, |all, (_, mark)| all | mark);
    c.number(&mut marks)?;
    e.stream = marks & STREAM != 0;
    c.maybe_word(&mut e.offer)?;
    if marks & NAMED == 0 {
        c.maybe_word(&mut e.model)?;
        c.maybe_word(&mut e.provider)?;
    } else if !named {
        let (model, provider) =
            e.offer.as_deref().and_then(|offer| offer.split_once('@')).ok_or(Broken)?;
        (e.model, e.provider) = (Some(model.into()), Some(provider.into()));
    }
    c.maybe_word(&mut e.task)?;
    if marks & OK == 0 {
        c.small(&mut e.status)?;
    } else {
        e.status = 200;
    }
    if marks & ONE_ATTEMPT == 0 {
        c.small(&mut e.attempts)?;
    } else {
        e.attempts = 1;
    }
    c.word(&mut e.settlement)
}

/// The amount is nearly always the count at its price, and hardly any line has a note.
pub(super) fn line_item<C: Codec>(c: &mut C, l: &mut LineItem) -> Step {
    c.word(&mut l.item)?;
    c.number(&mut l.count)?;
    c.money(&mut l.unit_price_usd)?;
    let product = PicoUsd(u128::from(l.count).wrapping_mul(l.unit_price_usd.0));
    let other = if l.amount_usd == product { 0 } else { OTHER_AMOUNT };
    let mut marks = other | if l.note.is_some() { NOTE } else { 0 };
    c.number(&mut marks)?;
    if marks & OTHER_AMOUNT == 0 {
        l.amount_usd = product;
    } else {
        c.money(&mut l.amount_usd)?;
    }
    if marks & NOTE == 0 { Ok(()) } else { c.maybe_phrase(&mut l.note) }
}
