//! How the offers of a roster are expected to be doing: as the board has it, or else the roster.
//! The same for whoever writes a record and whoever reads it.

use std::collections::HashMap;

use super::super::super::board::{Live, size_of};
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

impl Lexicon {
    /// What the board says of a request that began then, after it has taken in what is new in what
    /// the request has seen. Gives the place of the board that the record is to name.
    pub(super) fn look(
        &mut self,
        at_ms: u64,
        tokens: u64,
        seen: &[Seen<'_>],
        standing: &mut [Standing],
    ) -> usize {
        let size = size_of(tokens);
        let newest = self.board.takes(at_ms);
        let place = self.board.place_at(at_ms);
        let past = if newest { None } else { Some(self.board.at(place)) };
        let mut near = None;
        for (seen, standing) in seen.iter().zip(standing) {
            let number = self.number_near(near, seen.offer);
            near = number.and_then(|number| number.checked_add(1));
            let Some(number) = number.filter(|_| standing.is_live()) else { continue };
            standing.take(match &past {
                Some(past) => past.get(number, size),
                None => self.board.now(number, size),
            });
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
        tokens: u64,
        roster: &Roster,
        standing: &mut [Standing],
    ) -> Step {
        let standings = self.standings(place)?;
        let mut numbers = HashMap::new();
        for number in standings.known() {
            numbers.insert(self.get(number.into()).ok_or(Broken)?, number);
        }
        for (row, standing) in roster.rows.iter().zip(standing) {
            if let Some(number) = numbers.get(&row.offer) {
                standing.take(standings.get(*number, size_of(tokens)));
            }
        }
        Ok(())
    }
}
