//! That vectors of one index come from one model: those of different ones can't be compared, and
//! nothing shows that they were mixed. So `auto` stands for the one embedding model that could be
//! meant, never for a choice among several, and no fallback is another model.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::Offer;
use crate::error::Refusal;
use crate::route::{self, Candidate, Planning, Rejection, Selector};

use super::flight::Flight;

/// Refuses what would choose among several models: whichever is the best now is resting, dearer or
/// retired when the next text of the index comes.
pub(super) fn of_one_model(flight: &Flight) -> Result<(), Box<Refusal>> {
    if !flight.call.embeds() || !matches!(flight.selector(), Selector::Auto(_)) {
        return Ok(());
    }
    let meant = flight.candidates.iter().filter(|it| it.rejection.as_ref().is_none_or(may_pass));
    let models: BTreeSet<&str> =
        meant.filter_map(|it| flight.offer(it)).map(|offer| &*offer.model).collect();
    if models.len() > 1 {
        let models: Vec<&str> = models.into_iter().collect();
        return Err(Box::new(Refusal::several_embedding_models(&flight.call.model, &models)));
    }
    Ok(())
}

/// Whether what is out for that reason may be chosen for another text, or may have been before: all
/// but what those who run the gateway and the organization have settled.
fn may_pass(reason: &Rejection) -> bool {
    !matches!(
        reason,
        Rejection::NotAllowed
            | Rejection::NotInPlan
            | Rejection::NotChat
            | Rejection::NotEmbedding
            | Rejection::Dialect
            | Rejection::Unpriced
            | Rejection::GivenAway
            | Rejection::RuleDenies { .. }
            | Rejection::RuleAllowsNot { .. }
            | Rejection::Region { .. }
            | Rejection::Retention
    )
}

/// The rows in the order in which they are tried, all of one model: that of the best.
pub(super) fn plan(
    candidates: &[Candidate],
    offers: &[Arc<Offer>],
    planning: Planning,
) -> Vec<usize> {
    let best = route::plan(candidates, offers, Planning { attempts_max: 1, ..planning });
    let model = |candidate: &Candidate| offers.get(candidate.index).map(|offer| &*offer.model);
    let Some(first) = best.first().and_then(|row| candidates.get(*row)).and_then(model) else {
        return Vec::new();
    };
    // What is out, or of another model, has no score here.
    let of_it = |candidate: &Candidate| {
        let stays = candidate.rejection.is_none() && model(candidate) == Some(first);
        let score = candidate.score.filter(|_| stays);
        Candidate { index: candidate.index, rejection: None, figures: candidate.figures, score }
    };
    let of_one: Vec<Candidate> = candidates.iter().map(of_it).collect();
    route::plan(&of_one, offers, planning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn sellers_of_the_same_model_are_the_fallbacks_however_many_others_come_between() {
        let catalog = Catalog::embedded().unwrap();
        let small = "openai/text-embedding-3-small";
        let offer = |provider: &str, model: Option<&str>| {
            let embeds = |offer: &&Arc<Offer>| offer.kind == crate::catalog::Kind::Embedding;
            let mut offers = catalog.offers_of(provider).iter().filter(embeds);
            let is = |offer: &&Arc<Offer>| model.is_none_or(|model| &*offer.model == model);
            Arc::clone(offers.find(is).unwrap())
        };
        let offers = [
            offer("openai", Some(small)),
            offer("mistral", None),
            offer("google", None),
            offer("azure", Some(small)),
        ];
        let rows = [2.9, 2.8, 2.7, 2.6].into_iter().enumerate();
        let row = |(index, score)| Candidate {
            index,
            rejection: None,
            figures: None,
            score: Some(score),
        };
        let candidates: Vec<Candidate> = rows.map(row).collect();
        let attempts = |attempts_max| Planning { attempts_max, ..Planning::default() };
        assert_eq!(plan(&candidates, &offers, attempts(3)), [0, 3]);
        assert_eq!(plan(&candidates, &offers, attempts(1)), [0]);
        assert_eq!(plan(&[], &offers, attempts(3)), [0; 0]);
    }
}
