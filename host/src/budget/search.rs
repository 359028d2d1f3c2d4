//! The search for the longest answer that some money pays where a bill policy may charge otherwise
//! than by list prices: each price of its has to be asked for, so few are. Pure; knows no policy.

use turnpike_ledger::PicoUsd;

use super::{ANSWER_TOKENS_ENOUGH, clamp, is_modest, length, share};

/// Lengths that are guessed before those that are asked about last: the first nearly always does,
/// and for a fee on top of a mark-up the second.
const GUESSES_MAX: u32 = 3;

/// See the head of this file. Every `list` gives the worst case of an output limit by list prices,
/// and grows with it.
#[derive(Debug)]
pub struct Search {
    /// Tokens of an answer that is too dear, and what is charged for it.
    dear: (u32, PicoUsd),
    floor: u32,
    free: PicoUsd,
    guesses: u32,
}

// === impl Search ===

impl Search {
    /// Of an answer of as many tokens as were asked for, `dear` with its price, where so much is
    /// `free`; not below `floor`.
    pub fn new(dear: (u32, PicoUsd), floor: u32, free: PicoUsd) -> Self {
        Self { dear, floor: floor.max(1).min(dear.0), free, guesses: 0 }
    }

    /// Whether an answer of so many tokens, with its price, is one: what is charged for it is no
    /// more than one request may hold of what is free.
    pub fn takes(&self, found: (u32, PicoUsd)) -> bool {
        is_modest(found, self.free) || (found.0 <= self.floor && found.1 <= self.free)
    }

    /// The first length to ask about, as [`length`] has it: what is free is scaled by how the two
    /// prices compare on the whole, which is exact for a mark-up. `None` when even the floor is too
    /// dear by list prices.
    pub fn first(&mut self, mut list: impl FnMut(u32) -> Option<PicoUsd>) -> Option<u32> {
        let (asked, charged) = self.dear;
        self.guesses = 1;
        let product = list(asked).and_then(|list| self.free.0.checked_mul(list.0));
        let scaled = product.and_then(|product| product.checked_div(charged.0));
        let scaled = PicoUsd(scaled.unwrap_or(self.free.0).min(self.free.0));
        let found = length(asked, self.floor, scaled, &mut list);
        found.or_else(|| list(self.floor).filter(|least| *least <= self.free).map(|_| self.floor))
    }

    /// The next, where `found` is too dear as well: a guess, or else what is enough for most
    /// answers, and last the floor.
    pub fn shorter(
        &mut self,
        found: (u32, PicoUsd),
        list: impl FnMut(u32) -> Option<PicoUsd>,
    ) -> Option<u32> {
        let longer = std::mem::replace(&mut self.dear, found);
        let enough = ANSWER_TOKENS_ENOUGH.max(self.floor);
        // Beyond what is enough no more than a share is wanted, and else all there is.
        let (goal, least) = match found.0 > enough {
            true => (share(self.free), enough),
            false => (self.free, self.floor),
        };
        let mut guess = None;
        if self.guesses < GUESSES_MAX {
            self.guesses = self.guesses.saturating_add(1);
            guess = between(longer, found, (goal, least), list);
        }
        guess.or(Some(least)).filter(|tokens| *tokens < found.0)
    }
}

/// The length, not below `least`, for which no more than the `goal` is charged: what is charged is
/// taken to grow evenly from there to what was too dear before, which is exact for a fee on top of
/// a mark-up. `None` where that leads nowhere.
fn between(
    longer: (u32, PicoUsd),
    shorter: (u32, PicoUsd),
    (goal, least): (PicoUsd, u32),
    mut list: impl FnMut(u32) -> Option<PicoUsd>,
) -> Option<u32> {
    let shorter_list = list(shorter.0)?;
    let rise = longer.1.checked_sub(shorter.1)?;
    let run = list(longer.0)?.checked_sub(shorter_list)?;
    let over = shorter.1.checked_sub(goal)?.0.checked_mul(run.0)?;
    // Rounded up: all that is over has to go.
    let back = over.checked_next_multiple_of(rise.0)?.checked_div(rise.0)?;
    let left = shorter_list.checked_sub(PicoUsd(back))?;
    clamp(shorter.0, least, left, list).filter(|tokens| *tokens < shorter.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A price of 10 for each token on top of 100 for the prompt.
    fn list(tokens: u32) -> Option<PicoUsd> {
        Some(PicoUsd(100 + 10 * u128::from(tokens)))
    }

    /// What is found for that price of a policy's, and how often it was asked.
    fn find(asked: u32, free: u128, price: impl Fn(u32) -> u128) -> (Option<u32>, usize) {
        let whole = (asked, PicoUsd(price(asked)));
        let mut search = Search::new(whole, 256, PicoUsd(free));
        let (mut found, mut quotes) = (search.first(list), 0);
        while let Some(tokens) = found {
            quotes += 1;
            assert!(quotes < 9, "it comes to an end");
            let amount = PicoUsd(price(tokens));
            if search.takes((tokens, amount)) {
                break;
            }
            found = search.shorter((tokens, amount), list);
        }
        (found, quotes)
    }

    #[test]
    fn a_mark_up_is_found_at_the_first_quote() {
        let official = |tokens| list(tokens).unwrap().0;
        assert_eq!(find(128_000, 30_100, official), (Some(3_000), 1));
        assert_eq!(find(128_000, 60_200, |tokens| 2 * official(tokens)), (Some(3_000), 1));
    }

    /// A cent on each request, where five are left of what two dollars of answer are asked for.
    #[test]
    fn a_fee_for_each_request_leaves_what_else_there_is_for_the_answer() {
        let fee = |tokens| list(tokens).unwrap().0 + 8_000;
        let (found, quotes) = find(128_000, 40_000, fee);
        assert_eq!((found, quotes), (Some(3_190), 2), "what is left of it, to the token");
        let both = |tokens| 3 * list(tokens).unwrap().0 + 8_000;
        let (found, quotes) = find(128_000, 40_000, both);
        let found = found.unwrap();
        assert!((1_040..=1_056).contains(&found) && quotes <= 3, "{found} after {quotes}");
        assert!(both(found) <= 40_000);
    }

    /// Most of a price may be a fee: what is held is a share of what is free all the same, or what
    /// is enough for most answers.
    #[test]
    fn with_a_fee_one_request_holds_no_more_than_its_share() {
        let fee = |fee: u128| move |tokens| list(tokens).unwrap().0 + fee;
        let (free, dear) = (400_000, fee(80_000));
        assert_eq!(find(128_000, free, dear), (Some(ANSWER_TOKENS_ENOUGH), 2), "a quarter is less");
        assert!(dear(ANSWER_TOKENS_ENOUGH) > free / 4);
        let (free, cheap) = (1_000_000, fee(20_000));
        assert_eq!(find(128_000, free, cheap), (Some(22_990), 2), "a quarter, to the token");
        assert_eq!(cheap(22_990), free / 4);
    }

    #[test]
    fn a_fee_beyond_what_is_free_finds_nothing() {
        assert_eq!(find(128_000, 8_000, |tokens| list(tokens).unwrap().0 + 8_000).0, None);
        assert_eq!(find(128_000, 8_000, |_| 9_000).0, None, "the same for every length");
    }
}
