//! The board: how each offer was doing, as requests have seen it one after the other, kept once in
//! a segment's dictionary. An offer that answers changes a little, and every later request looks at
//! it again: written in each record, that would grow with the offers that are in use. So a record
//! says which place of the board it has seen, and only what it saw otherwise. Never holds anything
//! of one request alone.

use std::collections::VecDeque;
use std::sync::Arc;

use super::roster::Doing;
use super::segment::widen;
use super::wire::{Broken, Reader, put, put_signed};

/// The first byte of a frame with a part of a board.
pub(super) const BOARD: u8 = 10;

/// Bytes of a segment's board, which readers keep in memory. Beyond it records say themselves what
/// has changed since, until the segment is full.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A frame with a part of it ends after so many bytes.
const PART_BYTES: usize = 64 * 1024;

/// Changes that can be gone back by, for requests that end after others which began later.
const BACK_MAX: usize = 1_024;

/// Changes after which a reader remembers how all were doing, so that it need not begin at the
/// first one; more where there are many offers, so that this takes no more than the changes do.
const REMEMBERED_EVERY: usize = 4_096;
const REMEMBERED_EVERY_BY_OFFER: usize = 64;

/// Standings are as quick as at prompts of their size: tokens of a prompt up to which it is of one
/// size.
const SIZE_TOKENS: [u64; 2] = [2_000, 16_000];
/// In place of a size: how long the offer's answers are.
const ANSWERS: usize = 3;
/// What a standing has of an offer: how it is doing at prompts of each size, and its answers.
const PLACES: usize = 4;

/// Which values of a change follow.
const FIRST_TOKEN: u8 = 1;
const TAIL: u8 = 1 << 1;
const SPEED: u8 = 1 << 2;
const SHARE: u8 = 1 << 3;
const IN_FLIGHT: u8 = 1 << 4;
const ALL: u8 = FIRST_TOKEN | TAIL | SPEED | SHARE | IN_FLIGHT;

/// Which size a prompt of so many tokens is of.
pub(super) fn size_of(tokens: u64) -> usize {
    SIZE_TOKENS.iter().take_while(|from| tokens >= **from).count()
}

/// How an offer was doing, as far as it is the same for all requests of a size; the units are those
/// of a roster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) first_token: u64,
    pub(super) tail: u64,
    pub(super) speed: u64,
    pub(super) share: u64,
    pub(super) in_flight: u32,
}

/// How long the answers of an offer are, in hundredths of the usual: as it is called usually, and
/// where the caller asks for thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths(pub(super) [u64; 2]);

/// How all offers were doing: by the number of an offer's word and the size of the prompt.
#[derive(Debug, Clone, Default)]
pub(super) struct Standings(Vec<[Option<Live>; PLACES]>);

/// The board of the segment that is being written.
#[derive(Debug, Default)]
pub(super) struct Board {
    bytes: Vec<u8>,
    /// Where its parts end, but for the last one.
    parts: Vec<usize>,
    now: Standings,
    /// The last changes: where each begins, and what was there before.
    back: VecDeque<Change>,
    /// The latest request whose view is on it, in milliseconds since the Unix epoch.
    latest_ms: u64,
}

#[derive(Debug)]
struct Change {
    at: usize,
    at_ms: u64,
    offer: u32,
    size: usize,
    before: Option<Live>,
}

/// The board of a segment, for reading.
#[derive(Debug, Clone, Default)]
pub(super) struct BoardBook {
    bytes: Vec<u8>,
    /// How all were doing at its end.
    now: Standings,
    /// The same at some places before, rising.
    remembered: Vec<(usize, Arc<Standings>)>,
    /// Changes since the last of these.
    since: usize,
}

// === impl Live ===

impl Live {
    pub(super) fn of(first_token: u64, doing: Doing) -> Self {
        let Doing { tail, speed, share, in_flight, marks: _, answer: _, thought: _ } = doing;
        Self { first_token, tail, speed, share, in_flight }
    }

    /// What else is known of it comes from a roster.
    pub(super) fn doing(self, roster: Doing) -> Doing {
        let Self { first_token: _, tail, speed, share, in_flight } = self;
        Doing { tail, speed, share, in_flight, ..roster }
    }

    fn numbers(self) -> [(u8, u64); 5] {
        [
            (FIRST_TOKEN, self.first_token),
            (TAIL, self.tail),
            (SPEED, self.speed),
            (SHARE, self.share),
            (IN_FLIGHT, self.in_flight.into()),
        ]
    }
}

// === impl Lengths ===

impl Default for Lengths {
    /// As long as those of others.
    fn default() -> Self {
        Self([100; 2])
    }
}

impl Lengths {
    /// Kept as a change of an offer is.
    fn of(live: Live) -> Self {
        Self([live.first_token, live.tail])
    }

    fn live(self) -> Live {
        let Self([first_token, tail]) = self;
        Live { first_token, tail, ..Live::default() }
    }
}

// === impl Standings ===

impl Standings {
    /// How long an offer's answers are.
    pub(super) fn lengths(&self, offer: u32) -> Lengths {
        self.get(offer, ANSWERS).map_or(Lengths::default(), Lengths::of)
    }

    pub(super) fn get(&self, offer: u32, size: usize) -> Option<Live> {
        self.0.get(usize::try_from(offer).ok()?)?.get(size).copied().flatten()
    }

    /// The numbers of those that anything is known of.
    pub(super) fn known(&self) -> impl Iterator<Item = u32> {
        let some = |places: &[Option<Live>; PLACES]| places.iter().any(Option::is_some);
        (0..).zip(&self.0).filter(move |(_, sizes)| some(sizes)).map(|(number, _)| number)
    }

    fn set(&mut self, offer: u32, size: usize, live: Option<Live>) {
        let Ok(row) = usize::try_from(offer) else { return };
        if self.0.len() <= row {
            self.0.resize(row.saturating_add(1), [None; PLACES]);
        }
        if let Some(place) = self.0.get_mut(row).and_then(|sizes| sizes.get_mut(size)) {
            *place = live;
        }
    }

    /// Reads one change, and makes it; no offer's number is beyond `offers_max`.
    fn change(&mut self, reader: &mut Reader<'_>, offers_max: usize) -> Result<(), Broken> {
        let which = reader.varint()?;
        let size = usize::try_from(which & 3).map_err(|_| Broken)?;
        let offer = u32::try_from(which >> 2).map_err(|_| Broken)?;
        if widen(offers_max) <= u64::from(offer) {
            return Err(Broken);
        }
        let flags = reader.byte()?;
        if flags & !ALL != 0 {
            return Err(Broken);
        }
        let before = self.get(offer, size).unwrap_or_default();
        let mut numbers = before.numbers().map(|(_, number)| number);
        for (number, (flag, _)) in numbers.iter_mut().zip(before.numbers()) {
            if flags & flag != 0 {
                *number = reader.signed(*number)?;
            }
        }
        let [first_token, tail, speed, share, in_flight] = numbers;
        let in_flight = u32::try_from(in_flight).map_err(|_| Broken)?;
        self.set(offer, size, Some(Live { first_token, tail, speed, share, in_flight }));
        Ok(())
    }
}

// === impl Board ===

impl Board {
    /// Goes on with that of a segment that is opened again.
    pub(super) fn go_on(book: &BoardBook) -> Self {
        let (bytes, now) = (book.bytes.clone(), book.now.clone());
        Self { bytes, now, ..Self::default() }
    }

    /// Its place: all of it that there is.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether what a request of that time has seen can be what is newest.
    pub(super) fn takes(&self, at_ms: u64) -> bool {
        at_ms >= self.latest_ms && self.bytes.len() < BYTES_MAX
    }

    /// How an offer is doing as of the newest request.
    pub(super) fn now(&self, offer: u32, size: usize) -> Option<Live> {
        self.now.get(offer, size)
    }

    /// How long an offer's answers are as of the newest request.
    pub(super) fn lengths(&self, offer: u32) -> Lengths {
        self.now.lengths(offer)
    }

    /// A request that began then was expected to get longer answers of an offer, or shorter ones.
    pub(super) fn lengthened(&mut self, at_ms: u64, offer: u32, lengths: Lengths) {
        self.changed(at_ms, offer, ANSWERS, lengths.live());
    }

    /// A request that began then has seen an offer doing otherwise; only if the board takes it.
    pub(super) fn changed(&mut self, at_ms: u64, offer: u32, size: usize, live: Live) {
        let before = self.now.get(offer, size);
        let at = self.bytes.len();
        let earlier = before.unwrap_or_default().numbers();
        let numbers = || live.numbers().into_iter().zip(earlier);
        let differ = numbers().filter(|((_, now), (_, before))| now != before);
        let flags = differ.fold(0, |all, ((flag, _), _)| all | flag);
        put(&mut self.bytes, (u64::from(offer) << 2) | widen(size));
        self.bytes.push(flags);
        for ((flag, now), (_, before)) in numbers() {
            if flags & flag != 0 {
                put_signed(&mut self.bytes, now, before);
            }
        }
        self.now.set(offer, size, Some(live));
        if self.back.len() >= BACK_MAX {
            self.back.pop_front();
        }
        self.back.push_back(Change { at, at_ms, offer, size, before });
        self.latest_ms = self.latest_ms.max(at_ms);
        if self.bytes.len().saturating_sub(self.parts.last().copied().unwrap_or(0)) >= PART_BYTES {
            self.parts.push(self.bytes.len());
        }
    }

    /// The place of the board that a request of that time has seen, as far as one can go back.
    pub(super) fn place_at(&self, at_ms: u64) -> usize {
        let first_later = self.back.partition_point(|change| change.at_ms <= at_ms);
        self.back.get(first_later).map_or(self.bytes.len(), |change| change.at)
    }

    /// How all were doing at such a place.
    pub(super) fn at(&self, place: usize) -> Standings {
        let mut standings = self.now.clone();
        for change in self.back.iter().rev().take_while(|change| change.at >= place) {
            standings.set(change.offer, change.size, change.before);
        }
        standings
    }

    /// The payloads of the frames with what has come since.
    pub(super) fn frames(&self, since: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut from = since;
        let ends = self.parts.iter().copied().chain([self.bytes.len()]);
        for end in ends {
            // What was framed before; or a part that ends where all does.
            if end <= from {
                continue;
            }
            let mut payload = vec![BOARD];
            put(&mut payload, widen(from));
            payload.extend(self.bytes.get(from..end).unwrap_or_default());
            frames.push(payload);
            from = end;
        }
        frames
    }

    fn since(&self, place: usize) -> &[u8] {
        self.bytes.get(place..).unwrap_or_default()
    }
}

// === impl BoardBook ===

impl BoardBook {
    /// Reads what comes after the first byte of a frame.
    pub(super) fn read(&mut self, mut frame: Reader<'_>, words: usize) -> Result<(), Broken> {
        let first = usize::try_from(frame.varint()?).map_err(|_| Broken)?;
        if first != self.bytes.len() {
            return Err(Broken);
        }
        self.extend(frame.0, words)
    }

    /// Takes in what the board has got.
    pub(super) fn catch_up(&mut self, board: &Board, words: usize) -> Result<(), Broken> {
        self.extend(board.since(self.bytes.len()), words)
    }

    /// Takes changes in up to the first that can't be read.
    fn extend(&mut self, changes: &[u8], words: usize) -> Result<(), Broken> {
        let mut reader = Reader(changes);
        while !reader.is_empty() {
            if self.since
                >= REMEMBERED_EVERY.max(self.now.0.len().saturating_mul(REMEMBERED_EVERY_BY_OFFER))
            {
                self.remembered.push((self.bytes.len(), Arc::new(self.now.clone())));
                self.since = 0;
            }
            let rest = reader.0;
            self.now.change(&mut reader, words)?;
            let read = rest.len().saturating_sub(reader.0.len());
            self.bytes.extend_from_slice(rest.get(..read).unwrap_or_default());
            self.since = self.since.saturating_add(1);
        }
        Ok(())
    }

    /// How all were doing at a place.
    pub(super) fn at(&self, place: u64) -> Result<Standings, Broken> {
        let place = usize::try_from(place).map_err(|_| Broken)?;
        if place == self.bytes.len() {
            return Ok(self.now.clone());
        }
        let until = self.remembered.partition_point(|(from, _)| *from <= place);
        let nearest = until.checked_sub(1).and_then(|nearest| self.remembered.get(nearest));
        let (from, mut offers) = nearest
            .map_or_else(Default::default, |(from, offers)| (*from, Standings::clone(offers)));
        let mut reader = Reader(self.bytes.get(from..place).ok_or(Broken)?);
        while !reader.is_empty() {
            offers.change(&mut reader, usize::MAX)?;
        }
        Ok(offers)
    }
}

#[cfg(test)]
mod tests;
