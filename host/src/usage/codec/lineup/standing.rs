//! How the offers of a roster are expected to be doing: as the board has it, or else the roster.
//! The same for whoever writes a record and whoever reads it.

use std::collections::HashMap;

use super::super::super::board::{Lengths, Live, size_of};
use super::super::super::explanation::ExpectedFact;
use super::super::super::looked_at::Seen;
use super::super::super::roster::{Doing, MS_STEPS, Roster, in_steps};
use super::super::super::wire::Broken;
use super::super::super::words::{Book, Lexicon};
use super::super::Step;

/// One of them; nothing of an offer that was out before anybody looked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    pub(super) first_token: Option<u64>,
    pub(super) doing: Option<Doing>,
}

/// What of a request it depends on how offers are expected to be doing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) at_ms: u64,
    pub(super) made_of: &'a ExpectedFact,
    /// Whether the record says how long answers were expected to be.
    pub(super) answers: bool,
}

/// As the roster has them.
pub(super) fn roster_standing(roster: &Roster) -> Vec<Standing> {
    let of = |row: &super::RosterRow| Standing { first_token: row.first_token, doing: row.doing };
    roster.rows.iter().map(of).collect()
}

// === impl Standing ===

impl Standing {
    fn take(&mut self, live: Option<Live>) {
        if let (Some(live), Some(doing), Some(_)) = (live, self.doing, self.first_token) {
            *self = Self { first_token: Some(live.first_token), doing: Some(live.doing(doing)) };
        }
    }

    /// Its answer is expected to be as long as that.
    fn answer(&mut self, lengths: Lengths, made_of: &ExpectedFact) {
        let Lengths([usual, thinking]) = lengths;
        let percent = if made_of.thinking { thinking } else { usual };
        if let Some(doing) = &mut self.doing {
            let tokens = made_of.answer_of(u32::try_from(percent).unwrap_or(u32::MAX));
            doing.answer = u32::try_from(tokens).unwrap_or(u32::MAX);
        }
    }

    /// Whether it is more than an offer's name.
    fn is_live(&self) -> bool {
        self.doing.is_some() && self.first_token.is_some()
    }
}

/// How an offer was seen to be doing.
fn seen_live(seen: &Seen<'_>) -> Option<Live> {
    let first_token = in_steps(seen.first_token_ms?, MS_STEPS)?;
    Some(Live::of(first_token, Doing::of(&seen.figures?)?))
}

/// How long its answers are as far as a request knows, which is of one kind.
fn seen_lengths(seen: &Seen<'_>, made_of: &ExpectedFact, before: Lengths) -> Option<Lengths> {
    let percent = u64::from(seen.answer_percent?);
    let Lengths([usual, thinking]) = before;
    Some(Lengths(if made_of.thinking { [usual, percent] } else { [percent, thinking] }))
}

impl Lexicon {
    /// What the board says of a request that began then, after it has taken in what is new in what
    /// the request has seen. Gives the place of the board that the record is to name.
    pub(super) fn look(
        &mut self,
        asked: Asked<'_>,
        seen: &[Seen<'_>],
        standing: &mut [Standing],
    ) -> usize {
        let Asked { at_ms, made_of, answers } = asked;
        let size = size_of(made_of.prompt_tokens);
        let newest = self.board.takes(at_ms);
        let place = self.board.place_at(at_ms);
        let past = if newest { None } else { Some(self.board.at(place)) };
        let mut near = None;
        for (seen, standing) in seen.iter().zip(standing) {
            let number = self.number_near(near, seen.offer);
            near = number.and_then(|number| number.checked_add(1));
            let Some(number) = number.filter(|_| standing.is_live()) else {
                if answers {
                    standing.answer(Lengths::default(), made_of);
                }
                continue;
            };
            standing.take(match &past {
                Some(past) => past.get(number, size),
                None => self.board.now(number, size),
            });
            if answers {
                let before = match &past {
                    Some(past) => past.lengths(number),
                    None => self.board.lengths(number),
                };
                let now =
                    seen_lengths(seen, made_of, before).filter(|now| newest && *now != before);
                if let Some(now) = now {
                    self.board.lengthened(at_ms, number, now);
                }
                standing.answer(now.unwrap_or(before), made_of);
            }
            let Some(live) = seen_live(seen).filter(|_| newest) else { continue };
            let known = standing.first_token.zip(standing.doing);
            if known.map(|(first, doing)| Live::of(first, doing)) != Some(live) {
                self.board.changed(at_ms, number, size, live);
                standing.take(Some(live));
            }
        }
        if newest { self.board.len() } else { place }
    }
}

impl Book {
    /// What the board says at that place.
    pub(super) fn look(
        &self,
        place: u64,
        asked: Asked<'_>,
        roster: &Roster,
        standing: &mut [Standing],
    ) -> Step {
        let size = size_of(asked.made_of.prompt_tokens);
        let standings = self.standings(place)?;
        let mut numbers = HashMap::new();
        for number in standings.known() {
            numbers.insert(self.get(number.into()).ok_or(Broken)?, number);
        }
        for (row, standing) in roster.rows.iter().zip(standing) {
            let number = numbers.get(&row.offer).copied().filter(|_| standing.is_live());
            if let Some(number) = number {
                standing.take(standings.get(number, size));
            }
            if asked.answers {
                let lengths = number.map_or(Lengths::default(), |it| standings.lengths(it));
                standing.answer(lengths, asked.made_of);
            }
        }
        Ok(())
    }
}
